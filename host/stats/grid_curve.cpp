#include "host/stats/grid_curve.hpp"

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>

namespace nuscan
{

namespace
{

/// Extrema shallower than this are rounding: chi^2 of a parameter that decouples is flat.
constexpr double noise = 1e-9;
constexpr int brent_bits = 30;
constexpr std::uintmax_t most_steps = 200;
constexpr double root_tolerance = 1e-13;
/// Share of the difference between a cubic and the parabolas without one of its outer nodes that is taken for the cubic's own error: on
/// a power law with steps of a quarter in ln x it is a third.
constexpr double cubic_share = 1.0 / 3.0;
/// An extremum this many thresholds above the level has no part in the region, wherever it lies between its nodes.
constexpr double coarse_relevant = 1.0;

} // namespace

GridCurve::GridCurve(CurveAxis const& axis, std::vector<double> chi2, double chi2_zero)
    : axis_(axis)
    , chi2_(std::move(chi2))
    , chi2_zero_(chi2_zero)
    , lowest_(chi2_zero)
{
    t_ = axis.values;
    if (axis.scale == AxisScale::log)
        for (double& t : t_)
            t = std::log(t);
    for (std::size_t i = 0; i < chi2_.size();)
    {
        std::size_t end = i;
        while (end < chi2_.size() && std::isfinite(chi2_[end]))
            ++end;
        if (end > i)
            add_run(i, end);
        i = end + 1;
    }

    double on_grid = NAN;
    for (Run const& run : runs_)
        for (Sample const& sample : run.samples)
            if (!(on_grid <= sample.chi2))
            {
                on_grid = sample.chi2;
                lowest_at_ = value(sample.t);
            }
    // On a plateau around 0 rounding picks an arbitrary node: say 0.
    if (axis_.has_zero && chi2_zero_ - on_grid < noise)
        lowest_at_ = 0.0;
    lowest_ = std::fmin(on_grid, chi2_zero_);
}

double GridCurve::value(double t) const
{
    return axis_.scale == AxisScale::log ? std::exp(t) : t;
}

std::size_t GridCurve::node_above(std::size_t begin, std::size_t end, double t) const
{
    auto const first = t_.begin() + static_cast<std::ptrdiff_t>(begin);
    auto const last = t_.begin() + static_cast<std::ptrdiff_t>(end);
    return static_cast<std::size_t>(std::upper_bound(first, last, t) - t_.begin());
}

double GridCurve::interpolate(std::size_t begin, std::size_t end, double t) const
{
    // The segment, and up to four nodes with it in their middle.
    std::size_t const above = node_above(begin, end, t);
    constexpr std::size_t width = 4;
    std::size_t const n = std::min(width, end - begin);
    return polynomial(std::clamp(above < begin + 2 ? begin : above - 2, begin, end - n), n, t);
}

double GridCurve::polynomial(std::size_t from, std::size_t n, double t) const
{
    double sum = 0.0;
    for (std::size_t i = from; i < from + n; ++i)
    {
        double weight = 1.0; // Lagrange's
        for (std::size_t j = from; j < from + n; ++j)
            if (j != i)
                weight *= (t - t_[j]) / (t_[i] - t_[j]);
        sum += weight * chi2_[i];
    }
    return sum;
}

void GridCurve::add_extremum(std::vector<Sample>& samples, std::size_t begin, std::size_t end, std::size_t node, double sign) const
{
    double const left = sign * chi2_[node - 1];
    double const here = sign * chi2_[node];
    double const right = sign * chi2_[node + 1];
    if (here > left || here > right || std::max(left, right) - here < noise * (1.0 + std::fabs(here)))
        return;
    double const width = t_[node + 1] - t_[node - 1];
    auto const at = [&](double u) { return t_[node - 1] + width * u; };
    std::uintmax_t steps = most_steps;
    // On [0, 1], since the search stops at an absolute distance.
    auto const found = boost::math::tools::brent_find_minima([&](double u) { return sign * interpolate(begin, end, at(u)); }, 0.0,
                                                             1.0, brent_bits, steps);
    // A parabola through the three nodes for comparison: how far its vertex lies beyond the node in the middle.
    double const first = (here - left) / (t_[node] - t_[node - 1]);
    double const second = (right - here) / (t_[node + 1] - t_[node]);
    double const curvature = (second - first) / width;
    double const slope = (first * (t_[node + 1] - t_[node]) + second * (t_[node] - t_[node - 1])) / width;
    double const parabola = curvature > 0.0 ? here - slope * slope / (4.0 * curvature) : here;
    // Three nodes have no other curve to compare with.
    double const doubt = end - begin > 3 ? std::fabs(found.second - parabola) : here - found.second;
    bool const coarse = doubt > coarse_minimum;
    if (std::isfinite(found.second) && found.second < here && !coarse)
        samples.push_back({at(found.first), sign * found.second, true});
    else
        samples.push_back({t_[node], chi2_[node], true, coarse});
}

void GridCurve::add_run(std::size_t begin, std::size_t end)
{
    Run run{begin, end, {}};
    for (std::size_t i = begin; i < end; ++i)
        run.samples.push_back({t_[i], chi2_[i], false});
    for (std::size_t i = begin + 1; i + 1 < end; ++i)
        for (double const sign : {1.0, -1.0})
            add_extremum(run.samples, begin, end, i, sign);
    std::stable_sort(run.samples.begin(), run.samples.end(), [](Sample const& a, Sample const& b) { return a.t < b.t; });
    runs_.push_back(std::move(run));
}

GridRegion GridCurve::allowed(double reference, double threshold) const
{
    GridRegion region;
    region.chi2_min = reference;
    region.best_fit = lowest_at_;
    double const level = reference + threshold;
    bool const zero_allowed = chi2_zero_ <= level;
    auto const is_close = [&](double chi2) { return std::fabs(chi2 - level) < marginal_distance; };
    for (Run const& run : runs_)
    {
        auto const crossing = [&](Sample const& a, Sample const& b) {
            std::uintmax_t steps = most_steps;
            auto const close = [](double p, double q) {
                return std::fabs(p - q) <= root_tolerance * std::max(std::fabs(p), std::fabs(q));
            };
            auto const bracket = boost::math::tools::toms748_solve(
                [&](double t) { return interpolate(run.begin, run.end, t) - level; }, a.t, b.t, a.chi2 - level, b.chi2 - level,
                close, steps);
            double const end = value(0.5 * (bracket.first + bracket.second));
            // The other way: sqrt(chi^2 - minimum) as a straight line between the two, or its logarithm over that of a log axis.
            double const base = std::fmin(lowest_, reference);
            bool const power_law = axis_.scale == AxisScale::log && std::min(a.chi2, b.chi2) > base;
            auto const height = [&](double chi2) { return power_law ? std::log(chi2 - base) : std::sqrt(chi2 - base); };
            double const share = (height(level) - height(a.chi2)) / (height(b.chi2) - height(a.chi2));
            double const other = value(a.t + (b.t - a.t) * share);
            // And how much the cubic owes to each of its outer nodes.
            double const t = 0.5 * (bracket.first + bracket.second);
            std::size_t const above = node_above(run.begin, run.end, t);
            double doubt = 0.0;
            for (std::size_t const from : {above - 2, above - 1})
                if (from < above && from >= run.begin && from + 3 <= run.end)
                    doubt = std::max(doubt, std::fabs((polynomial(from, 3, t) - level) * (b.t - a.t) / (b.chi2 - a.chi2)));
            double const difference = std::max(std::fabs(end - other), std::fabs(value(t + cubic_share * doubt) - end));
            if (difference <= coarse_end * std::fabs(end - lowest_at_))
                return end;
            region.coarse = true;
            return value(a.chi2 > level ? a.t : b.t);
        };
        bool inside = false;
        for (std::size_t i = 0; i < run.samples.size(); ++i)
        {
            Sample const& sample = run.samples[i];
            bool const is_allowed = sample.chi2 <= level;
            if (is_allowed && !inside)
            {
                GridInterval interval;
                if (i > 0)
                    interval.range.lo = crossing(run.samples[i - 1], sample);
                else if (run.begin == 0 && axis_.bounded && (zero_allowed || axis_.values.front() == 0.0))
                {
                    interval.range.lo = 0.0;
                    interval.lo_end = IntervalEnd::physical_bound;
                }
                else
                {
                    interval.range.lo = axis_.values[run.begin];
                    interval.lo_end = IntervalEnd::grid_edge;
                }
                region.intervals.push_back(interval);
            }
            if (!is_allowed && inside)
                region.intervals.back().range.hi = crossing(run.samples[i - 1], sample);
            inside = is_allowed;
            // What is not known of an extremum far above does not matter.
            region.coarse = region.coarse || (sample.coarse && sample.chi2 - coarse_relevant * threshold <= level);
            bool const at_edge = i == 0 || i + 1 == run.samples.size();
            region.marginal = region.marginal || ((sample.extremum || at_edge) && is_close(sample.chi2));
        }
        if (inside)
        {
            region.intervals.back().range.hi = axis_.values[run.end - 1];
            region.intervals.back().hi_end = IntervalEnd::grid_edge;
        }
    }
    if (axis_.bounded)
        region.marginal = region.marginal || is_close(chi2_zero_);
    bool const below = axis_.values.front() > 0.0;
    bool const above = axis_.values.back() < 0.0;
    double const nearest = above ? chi2_.back() : chi2_.front();
    region.zero_off_grid = axis_.has_zero && zero_allowed && (below || above) && std::isfinite(nearest) && nearest > level;
    return region;
}

} // namespace nuscan
