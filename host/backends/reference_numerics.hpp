/// \file
/// Numerical tools of the reference calculation: composite Gauss-Legendre nodes, compensated sums, Chebyshev interpolation and a
/// minimiser that knows nothing of the function it minimises.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

namespace nuscan::reference
{

/// Abscissa and weight of a quadrature.
struct Node
{
    double x;
    double w;
};

/// Nodes of a Gauss-Legendre rule on one panel. On the panels used here (ratio of the ends at most 2, at most half a standard
/// deviation of the resolution) ten nodes are exact to rounding.
inline constexpr std::size_t nodes_per_panel = 10;
std::array<Node, nodes_per_panel> panel_nodes(double lo, double hi);

/// Sorts \p breaks, drops what lies outside [lo, hi] and adds both ends.
std::vector<double> breaks_between(double lo, double hi, std::vector<double> breaks);

/// Gauss-Legendre nodes on the panels between \p breaks, each halved until no panel [a, b] is longer than max_length(a).
std::vector<Node> composite_nodes(std::vector<double> const& breaks, std::function<double(double)> const& max_length);

/// Neumaier's compensated sum.
class CompensatedSum
{
public:
    void add(double term)
    {
        double const total = sum_ + term;
        correction_ += std::abs(sum_) >= std::abs(term) ? (sum_ - total) + term : (term - total) + sum_;
        sum_ = total;
    }
    /// Not a number if a term was not finite.
    double value() const { return sum_ + correction_; }

private:
    double sum_ = 0.0;
    double correction_ = 0.0;
};

/// Chebyshev interpolation of a smooth function on [lo, hi].
class Chebyshev
{
public:
    Chebyshev(std::function<double(double)> const& function, double lo, double hi, std::size_t nodes);
    double operator()(double x) const;
    /// Largest of the last coefficients over the largest of all: the truncation error.
    double truncation() const;

private:
    double lo_;
    double hi_;
    std::vector<double> coefficients_;
};

using Function = std::function<double(std::vector<double> const&)>;
using Function1 = std::function<double(double)>;

/// Minimum of a one-dimensional convex function by Brent's method between brackets found here.
struct LineMinimum
{
    double x = 0.0;
    double value = 0.0;
    bool bracketed = false;
};

/// Searches from \p start, where the function must be finite, with first step \p step. The function may be +inf outside its domain.
LineMinimum minimise_line(Function1 const& function, double start, double start_value, double step);

/// Brent's method in the bracket (lo, mid, hi), function(mid) at most that of both ends, all finite.
LineMinimum minimise_bracketed(Function1 const& function, double lo, double hi, double mid, double mid_value);

/// Powell's method of direction sets on a convex function that may be +inf outside its domain.
///
/// \param x      where to start, replaced by the minimum; the function must be finite there
/// \param units  typical lengths of the coordinates
/// \return       value at the minimum
double minimise_powell(Function const& function, std::vector<double>& x, std::vector<double> const& units);

} // namespace nuscan::reference
