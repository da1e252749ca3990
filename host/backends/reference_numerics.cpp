#include "host/backends/reference_numerics.hpp"

#include <boost/math/constants/constants.hpp>
#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/tools/minima.hpp>

#include <cstdint>
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

LineMinimum minimise_bracketed(Function1 const& function, double lo, double hi, double mid, double mid_value)
{
    // Half the digits of a double: a function cannot tell its minimum more sharply.
    constexpr int bits = std::numeric_limits<double>::digits / 2;
    std::uintmax_t iterations = 200;
    // Brent's tolerance is relative to x, so that x is counted from the middle of the bracket.
    auto const shifted = [&](double t) { return function(mid + t); };
    auto const [t, value] = boost::math::tools::brent_find_minima(shifted, lo - mid, hi - mid, bits, iterations);
    if (value <= mid_value)
        return {mid + t, value, true};
    return {mid, mid_value, true};
}

LineMinimum minimise_line(Function1 const& function, double start, double start_value, double step)
{
    constexpr int max_steps = 400;
    double lo = start;
    double mid = start;
    double mid_value = start_value;
    double hi = start + step;
    double hi_value = function(hi);
    if (hi_value < start_value)
    {
        // Downhill: longer and longer steps until the function rises.
        for (int i = 0; hi_value < mid_value; ++i)
        {
            if (i == max_steps)
                return {mid, mid_value, false};
            lo = mid;
            mid = hi;
            mid_value = hi_value;
            step *= 2.0;
            hi = mid + step;
            hi_value = function(hi);
        }
    }
    else
    {
        double back = step;
        lo = start - back;
        double lo_value = function(lo);
        for (int i = 0; lo_value < mid_value; ++i)
        {
            if (i == max_steps)
                return {mid, mid_value, false};
            hi = mid;
            hi_value = mid_value;
            mid = lo;
            mid_value = lo_value;
            back *= 2.0;
            lo = mid - back;
            lo_value = function(lo);
        }
        // The lower end may be outside the domain; Brent's parabolas need finite values.
        for (int i = 0; !std::isfinite(lo_value); ++i)
        {
            if (i == max_steps)
                return {mid, mid_value, false};
            double const between = 0.5 * (lo + mid);
            double const value = function(between);
            if (value < mid_value)
            {
                hi = mid;
                hi_value = mid_value;
                mid = between;
                mid_value = value;
            }
            else
            {
                lo = between;
                lo_value = value;
            }
        }
    }
    for (int i = 0; !std::isfinite(hi_value); ++i)
    {
        if (i == max_steps)
            return {mid, mid_value, false};
        double const between = 0.5 * (mid + hi);
        double const value = function(between);
        if (value < mid_value)
        {
            lo = mid;
            mid = between;
            mid_value = value;
        }
        else
        {
            hi = between;
            hi_value = value;
        }
    }
    return minimise_bracketed(function, lo, hi, mid, mid_value);
}

double minimise_powell(Function const& function, std::vector<double>& x, std::vector<double> const& units)
{
    std::size_t const n = x.size();
    double value = function(x);
    if (n == 0)
        return value;

    auto coordinate_directions = [&] {
        std::vector<std::vector<double>> directions(n, std::vector<double>(n, 0.0));
        for (std::size_t i = 0; i < n; ++i)
            directions[i][i] = units[i];
        return directions;
    };
    auto search = [&](std::vector<double> const& direction, double step) {
        std::vector<double> const origin = x;
        std::vector<double> trial = x;
        auto along = [&](double t) {
            for (std::size_t i = 0; i < n; ++i)
                trial[i] = origin[i] + t * direction[i];
            return function(trial);
        };
        LineMinimum const minimum = minimise_line(along, 0.0, value, step);
        for (std::size_t i = 0; i < n; ++i)
            x[i] = origin[i] + minimum.x * direction[i];
        value = minimum.value;
        return std::abs(minimum.x);
    };

    // Rounding of the function itself; a smaller decrease means nothing.
    constexpr double noise = 1e-15;
    constexpr int max_sweeps = 100;
    auto directions = coordinate_directions();
    double step = 0.5;
    int idle = 0;
    for (int sweep = 0; sweep < max_sweeps && idle < 2; ++sweep)
    {
        std::vector<double> const before = x;
        double const value_before = value;
        double largest = 0.0;
        std::size_t best = 0;
        double moved = 0.0;
        for (std::size_t i = 0; i < n; ++i)
        {
            double const last = value;
            moved = std::max(moved, search(directions[i], step));
            if (last - value > largest)
            {
                largest = last - value;
                best = i;
            }
        }
        // Steps of the next sweep: about what this one needed.
        step = std::clamp(moved, 1e-6, 1.0);
        bool const nothing = value_before - value <= noise * (1.0 + std::abs(value));
        if (n == 1)
        {
            if (nothing)
                break;
            continue;
        }
        if (nothing)
        {
            // Directions may have become parallel: the coordinates themselves have the last word.
            ++idle;
            directions = coordinate_directions();
            continue;
        }
        idle = 0;
        // Powell's criterion: the net displacement replaces the direction of the largest decrease, unless that would make the
        // set (nearly) dependent.
        std::vector<double> displacement(n);
        std::vector<double> extrapolated(n);
        for (std::size_t i = 0; i < n; ++i)
        {
            displacement[i] = x[i] - before[i];
            extrapolated[i] = x[i] + displacement[i];
        }
        double const beyond = function(extrapolated);
        if (beyond < value_before)
        {
            double const a = value_before - value - largest;
            double const b = value_before - beyond;
            if (2.0 * (value_before - 2.0 * value + beyond) * a * a < largest * b * b)
            {
                double norm = 0.0;
                for (std::size_t i = 0; i < n; ++i)
                    norm = std::hypot(norm, displacement[i] / units[i]);
                for (double& component : displacement)
                    component /= norm;
                search(displacement, 0.5 * norm);
                directions[best] = directions[n - 1];
                directions[n - 1] = displacement;
            }
        }
    }
    return value;
}

} // namespace nuscan::reference
