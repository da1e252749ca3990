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

/// First and second derivatives of a function of n variables.
struct Derivatives
{
    explicit Derivatives(std::size_t n) : gradient(n, 0.0), hessian(n, std::vector<double>(n, 0.0)) {}

    std::vector<double> gradient;
    std::vector<std::vector<double>> hessian;
};

/// A convex function. Outside its domain its value is +inf and it has no derivatives.
struct ConvexFunction
{
    std::function<double(std::vector<double> const&)> value;
    std::function<Derivatives(std::vector<double> const&)> derivatives;
};

struct ConvexMinimum
{
    double value = 0.0;
    /// Decrease that the parabola through the last point promises. Near the minimum of a function whose curvature changes slowly
    /// that is the distance of the value from the minimum.
    double excess = 0.0;
    /// Largest gain of a small step along any coordinate, found from values alone: where it exceeds rounding, the derivatives are
    /// not those of the function or the search failed.
    double gain = 0.0;
};

/// Newton's method with a search on every step for where the slope along it vanishes. Values are compared only where they differ by
/// more than rounding, so that the minimum is found as sharply as the derivatives are known.
///
/// \param x      where to start, within the domain and the bounds; replaced by the minimum
/// \param lower  lower bounds of the coordinates, or -inf
ConvexMinimum minimise_convex(ConvexFunction const& function, std::vector<double>& x, std::vector<double> const& lower);

} // namespace nuscan::reference
