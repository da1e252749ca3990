#include "host/backends/reference_numerics.hpp"

#include <boost/math/constants/constants.hpp>
#include <boost/math/quadrature/gauss.hpp>

#include <limits>

namespace nuscan::reference
{

std::array<Node, nodes_per_panel> panel_nodes(double lo, double hi)
{
    using Rule = boost::math::quadrature::gauss<double, nodes_per_panel>;
    static_assert(nodes_per_panel % 2 == 0, "Boost lists one half of a symmetric rule");
    double const centre = 0.5 * (lo + hi);
    double const half = 0.5 * (hi - lo);
    std::array<Node, nodes_per_panel> nodes;
    for (std::size_t i = 0; i < nodes_per_panel / 2; ++i)
    {
        double const offset = half * Rule::abscissa()[i];
        double const weight = half * Rule::weights()[i];
        nodes[nodes_per_panel / 2 - 1 - i] = {centre - offset, weight};
        nodes[nodes_per_panel / 2 + i] = {centre + offset, weight};
    }
    return nodes;
}

std::vector<double> breaks_between(double lo, double hi, std::vector<double> breaks)
{
    std::erase_if(breaks, [&](double x) { return !(x > lo && x < hi); });
    breaks.push_back(lo);
    breaks.push_back(hi);
    std::sort(breaks.begin(), breaks.end());
    breaks.erase(std::unique(breaks.begin(), breaks.end()), breaks.end());
    return breaks;
}

namespace
{

void add_panel(std::vector<Node>& nodes, double lo, double hi, std::function<double(double)> const& max_length)
{
    double const mid = 0.5 * (lo + hi);
    if (hi - lo > max_length(lo) && mid > lo && mid < hi)
    {
        add_panel(nodes, lo, mid, max_length);
        add_panel(nodes, mid, hi, max_length);
        return;
    }
    auto const panel = panel_nodes(lo, hi);
    nodes.insert(nodes.end(), panel.begin(), panel.end());
}

} // namespace

std::vector<Node> composite_nodes(std::vector<double> const& breaks, std::function<double(double)> const& max_length)
{
    std::vector<Node> nodes;
    for (std::size_t i = 1; i < breaks.size(); ++i)
        add_panel(nodes, breaks[i - 1], breaks[i], max_length);
    return nodes;
}

Chebyshev::Chebyshev(std::function<double(double)> const& function, double lo, double hi, std::size_t nodes)
    : lo_(lo)
    , hi_(hi)
    , coefficients_(nodes)
{
    std::vector<double> values(nodes);
    auto const n = static_cast<double>(nodes);
    auto angle = [&](std::size_t i) { return boost::math::constants::pi<double>() * (static_cast<double>(i) + 0.5) / n; };
    for (std::size_t i = 0; i < nodes; ++i)
        values[i] = function(0.5 * (lo + hi) + 0.5 * (hi - lo) * std::cos(angle(i)));
    for (std::size_t j = 0; j < nodes; ++j)
    {
        CompensatedSum sum;
        for (std::size_t i = 0; i < nodes; ++i)
            sum.add(values[i] * std::cos(static_cast<double>(j) * angle(i)));
        coefficients_[j] = sum.value() * (j == 0 ? 1.0 : 2.0) / n;
    }
}

double Chebyshev::operator()(double x) const
{
    double const t = (2.0 * x - lo_ - hi_) / (hi_ - lo_);
    double b1 = 0.0;
    double b2 = 0.0;
    for (std::size_t j = coefficients_.size() - 1; j > 0; --j)
    {
        double const b = 2.0 * t * b1 - b2 + coefficients_[j];
        b2 = b1;
        b1 = b;
    }
    return t * b1 - b2 + coefficients_[0];
}

double Chebyshev::truncation() const
{
    auto larger = [](double a, double b) { return std::max(std::abs(a), std::abs(b)); };
    double all = 0.0;
    double last = 0.0;
    for (std::size_t j = 0; j < coefficients_.size(); ++j)
    {
        all = larger(all, coefficients_[j]);
        if (j + 4 >= coefficients_.size())
            last = larger(last, coefficients_[j]);
    }
    return last / all;
}

namespace
{

double dot(std::vector<double> const& a, std::vector<double> const& b)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += a[i] * b[i];
    return sum;
}

std::vector<double> moved(std::vector<double> x, double length, std::vector<double> const& step)
{
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] += length * step[i];
    return x;
}

/// Scale of a coordinate: the step by which the curvature alone changes the function by 1/2.
double coordinate_unit(Derivatives const& at, std::size_t i)
{
    return at.hessian[i][i] > 0.0 ? 1.0 / std::sqrt(at.hessian[i][i]) : 1.0;
}

/// Minimum of the quadratic model in the coordinates that are not held, by Cholesky's factorisation in units of each coordinate.
std::vector<double> newton_step(Derivatives const& at, std::vector<bool> const& held)
{
    std::vector<std::size_t> free;
    for (std::size_t i = 0; i < held.size(); ++i)
        if (!held[i])
            free.push_back(i);
    std::size_t const n = free.size();
    std::vector<double> unit(n);
    for (std::size_t a = 0; a < n; ++a)
        unit[a] = coordinate_unit(at, free[a]);

    std::vector<std::vector<double>> factor(n, std::vector<double>(n, 0.0));
    std::vector<double> y(n);
    for (std::size_t a = 0; a < n; ++a)
    {
        for (std::size_t b = 0; b <= a; ++b)
        {
            double sum = unit[a] * at.hessian[free[a]][free[b]] * unit[b];
            for (std::size_t k = 0; k < b; ++k)
                sum -= factor[a][k] * factor[b][k];
            // A direction whose curvature drowns in rounding is taken for one of the least curvature that does not.
            factor[a][b] = a == b ? std::sqrt(std::max(sum, std::numeric_limits<double>::epsilon())) : sum / factor[b][b];
        }
        y[a] = -unit[a] * at.gradient[free[a]];
        for (std::size_t k = 0; k < a; ++k)
            y[a] -= factor[a][k] * y[k];
        y[a] /= factor[a][a];
    }
    std::vector<double> step(held.size(), 0.0);
    for (std::size_t a = n; a-- > 0;)
    {
        for (std::size_t k = a + 1; k < n; ++k)
            y[a] -= factor[k][a] * y[k];
        y[a] /= factor[a][a];
        step[free[a]] = unit[a] * y[a];
    }
    return step;
}

/// Newton step over the coordinates that can move: one at its bound is held where the function or the step would push it out.
std::vector<double> bounded_step(Derivatives const& at, std::vector<double> const& x, std::vector<double> const& lower)
{
    std::vector<bool> held(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        held[i] = x[i] <= lower[i] && at.gradient[i] >= 0.0;
    for (;;)
    {
        auto const step = newton_step(at, held);
        bool pushed = false;
        for (std::size_t i = 0; i < x.size(); ++i)
            if (!held[i] && x[i] <= lower[i] && step[i] < 0.0)
                held[i] = pushed = true;
        if (!pushed)
            return step;
    }
}

/// Part of \p step, at most \p longest, at which the slope along it has (nearly) vanished; 0 if there is none.
double search_along(ConvexFunction const& function, std::vector<double> const& x, std::vector<double> const& step,
                    double slope_here, double longest)
{
    constexpr int max_trials = 400;
    // Far enough: the slope is down to this part of what it was.
    constexpr double enough = 0.3;
    double const value_here = function.value(x);
    double lo = 0.0;
    double hi = std::numeric_limits<double>::infinity();
    double length = std::min(1.0, longest);
    for (int trial = 0; trial < max_trials; ++trial)
    {
        auto const there = moved(x, length, step);
        double const value = function.value(there);
        if (!std::isfinite(value))
            hi = length;
        else
        {
            double const slope = dot(function.derivatives(there).gradient, step);
            bool const lower = value <= value_here;
            if (lower && (std::abs(slope) <= enough * std::abs(slope_here) || (slope <= 0.0 && length == longest)))
                return length;
            (slope > 0.0 || !lower ? hi : lo) = length;
        }
        length = std::isfinite(hi) ? 0.5 * (lo + hi) : std::min(2.0 * length, longest);
    }
    return lo;
}

} // namespace

ConvexMinimum minimise_convex(ConvexFunction const& function, std::vector<double>& x, std::vector<double> const& lower)
{
    constexpr int max_steps = 500;
    // Where a step promises less, it is taken in full: each then squares the distance to the minimum, down to rounding.
    constexpr double near = 1e-4;

    ConvexMinimum result;
    std::vector<double> last = x;
    double last_decrease = std::numeric_limits<double>::infinity(); // before a full step, else infinite
    Derivatives at(x.size());
    for (int i = 0;; ++i)
    {
        at = function.derivatives(x);
        auto const step = bounded_step(at, x, lower);
        double const slope = dot(at.gradient, step);
        result.excess = -0.5 * slope;
        // Full steps go on until rounding stops them from gaining anything.
        if (!(result.excess < 0.25 * last_decrease))
        {
            if (!(result.excess < last_decrease))
            {
                x = last;
                result.excess = last_decrease;
                at = function.derivatives(x);
            }
            break;
        }
        if (!(result.excess > 0.0) || i == max_steps)
            break;

        std::size_t first = x.size();
        double longest = std::numeric_limits<double>::infinity();
        for (std::size_t k = 0; k < x.size(); ++k)
            if (step[k] < 0.0 && (lower[k] - x[k]) / step[k] < longest)
            {
                first = k;
                longest = (lower[k] - x[k]) / step[k];
            }
        double length = std::min(1.0, longest);
        if (result.excess > near || !std::isfinite(function.value(moved(x, length, step))))
            length = search_along(function, x, step, slope, longest);
        if (!(length > 0.0))
            break;
        bool const full = result.excess <= near && length == 1.0 && length < longest;
        last_decrease = full ? result.excess : std::numeric_limits<double>::infinity();
        last = x;
        x = moved(x, length, step);
        for (std::size_t k = 0; k < x.size(); ++k)
            x[k] = std::max(x[k], lower[k]);
        if (length == longest)
            x[first] = lower[first];
    }

    result.value = function.value(x);
    constexpr double probe = 1e-4;
    for (std::size_t k = 0; k < x.size(); ++k)
        for (double const side : {-1.0, 1.0})
        {
            auto there = x;
            there[k] = std::max(lower[k], x[k] + side * probe * coordinate_unit(at, k));
            result.gain = std::max(result.gain, result.value - function.value(there));
        }
    return result;
}

} // namespace nuscan::reference
