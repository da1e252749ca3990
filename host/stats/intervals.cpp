#include "host/stats/intervals.hpp"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/tools/minima.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <cstdint>

#include "host/support/error.hpp"

namespace nuscan
{

namespace
{

constexpr int lowest_decade = -60;
constexpr int highest_decade = 20;
/// Each pass narrows the range by the number of even samples: a few reach the resolution of double precision.
constexpr int most_passes = 6;
/// Extrema shallower than this are rounding.
constexpr double noise = 1e-9;
constexpr int brent_bits = 30;
constexpr double root_tolerance = 1e-13;

struct Sample
{
    double x;
    double chi2;
};

void sort_samples(std::vector<Sample>& samples)
{
    std::sort(samples.begin(), samples.end(), [](Sample const& a, Sample const& b) { return a.x < b.x; });
    samples.erase(std::unique(samples.begin(), samples.end(), [](Sample const& a, Sample const& b) { return a.x == b.x; }),
                  samples.end());
}

double value_at(Chi2Curve const& chi2, double x)
{
    return chi2({x}).front();
}

/// Refined local minima (sign = 1) or maxima (sign = -1) of the sampled curve.
std::vector<Sample> extrema(Chi2Curve const& chi2, std::vector<Sample> const& samples, double sign)
{
    std::vector<Sample> found;
    for (std::size_t i = 1; i + 1 < samples.size(); ++i)
    {
        double const left = sign * samples[i - 1].chi2;
        double const here = sign * samples[i].chi2;
        double const right = sign * samples[i + 1].chi2;
        if (here > left || here > right || std::max(left, right) - here < noise * (1.0 + std::fabs(here)))
            continue;
        // On [0, 1], since the search stops at an absolute distance, which means nothing for a parameter of size 1e-32.
        double const from = samples[i - 1].x;
        double const width = samples[i + 1].x - from;
        std::uintmax_t steps = 200;
        auto const best = boost::math::tools::brent_find_minima([&](double t) { return sign * value_at(chi2, from + width * t); },
                                                                0.0, 1.0, brent_bits, steps);
        if (std::isfinite(best.second) && best.second < here)
            found.push_back({from + width * best.first, sign * best.second});
        else
            found.push_back(samples[i]);
    }
    return found;
}

} // namespace

double delta_chi2(double cl, int dof)
{
    return boost::math::quantile(boost::math::chi_squared(static_cast<double>(dof)), cl);
}

AllowedRegion find_allowed_region(std::function<double(double)> const& chi2, bool non_negative, double threshold,
                                  Sampling const& sampling)
{
    auto const one_by_one = [&chi2](std::vector<double> const& values) {
        std::vector<double> results;
        for (double const value : values)
            results.push_back(chi2(value));
        return results;
    };
    return find_allowed_region(Chi2Curve(one_by_one), non_negative, threshold, sampling);
}

AllowedRegion find_allowed_region(Chi2Curve const& chi2, bool non_negative, double threshold, Sampling const& sampling)
{
    std::vector<Sample> samples;
    // Keeps what is finite; of an outward list only what lies before the first failure.
    auto const take = [&](std::vector<double> const& values, bool outward) {
        auto const results = chi2(values);
        for (std::size_t i = 0; i < values.size(); ++i)
        {
            if (std::isfinite(results[i]))
                samples.push_back({values[i], results[i]});
            else if (outward)
                break;
        }
    };
    take({0.0}, true);
    if (samples.empty())
        throw InputError("chi^2 has no value where the parameter is 0: values of --set overflow, or the fit fails there; "
                         "nuscan chi2 with the same options shows its status");
    for (double const sign : {1.0, -1.0})
    {
        if (sign < 0.0 && non_negative)
            break;
        std::vector<double> outward;
        for (int i = lowest_decade * sampling.per_decade; i <= highest_decade * sampling.per_decade; ++i)
            outward.push_back(sign * std::pow(10.0, static_cast<double>(i) / sampling.per_decade));
        take(outward, true);
    }
    sort_samples(samples);

    // Even samples over the part that may be allowed, up to the next sample beyond it on each side; again on the narrower part as
    // long as most of them fall outside, since an allowed region far from 0 may lie between two neighbours.
    for (int pass = 0; pass < most_passes; ++pass)
    {
        // A minimum far from 0 may hide between two samples of the plateau around it: refine before judging what is low.
        auto const found = extrema(chi2, samples, 1.0);
        samples.insert(samples.end(), found.begin(), found.end());
        sort_samples(samples);
        double lowest = samples.front().chi2;
        for (Sample const& sample : samples)
            lowest = std::min(lowest, sample.chi2);
        std::size_t first = samples.size();
        std::size_t last = 0;
        for (std::size_t i = 0; i < samples.size(); ++i)
            if (samples[i].chi2 - lowest <= threshold + 1.0)
            {
                first = std::min(first, i);
                last = i;
            }
        double const from = samples[first > 0 ? first - 1 : 0].x;
        double const to = samples[std::min(last + 1, samples.size() - 1)].x;
        // Where nothing is excluded the range spans all decades and even samples tell nothing.
        if (first == 0 && last + 1 == samples.size())
            break;
        auto const inside = std::count_if(samples.begin(), samples.end(), [&](Sample const& s) { return s.x > from && s.x < to; });
        if (pass > 0 && inside >= sampling.even / 4)
            break;
        std::vector<double> even;
        for (int i = 1; i < sampling.even; ++i)
            even.push_back(from + (to - from) * i / sampling.even);
        take(even, false);
        sort_samples(samples);
    }

    auto const minima = extrema(chi2, samples, 1.0);
    auto const maxima = extrema(chi2, samples, -1.0);
    samples.insert(samples.end(), minima.begin(), minima.end());
    samples.insert(samples.end(), maxima.begin(), maxima.end());
    sort_samples(samples);

    AllowedRegion region;
    auto const best = std::min_element(samples.begin(), samples.end(),
                                       [](Sample const& a, Sample const& b) { return a.chi2 < b.chi2; });
    region.best_fit = best->x;
    region.chi2_min = best->chi2;
    // On a plateau around 0 rounding picks an arbitrary sample: say 0.
    auto const zero = std::find_if(samples.begin(), samples.end(), [](Sample const& sample) { return sample.x == 0.0; });
    double const infinity = std::numeric_limits<double>::infinity();
    if (zero->chi2 - best->chi2 < noise)
        region.best_fit = 0.0;
    else if (samples.back().chi2 - best->chi2 < noise)
        region.best_fit = infinity;
    else if (samples.front().chi2 - best->chi2 < noise)
        region.best_fit = -infinity;
    region.lowest_at = std::isfinite(region.best_fit) ? region.best_fit : best->x;

    auto const excess = [&](double x) { return value_at(chi2, x) - region.chi2_min - threshold; };
    auto const crossing = [&](Sample const& a, Sample const& b) {
        std::uintmax_t steps = 200;
        auto const close = [](double p, double q) {
            return std::fabs(p - q) <= root_tolerance * std::max(std::fabs(p), std::fabs(q));
        };
        auto const bracket = boost::math::tools::toms748_solve(excess, a.x, b.x, a.chi2 - region.chi2_min - threshold,
                                                               b.chi2 - region.chi2_min - threshold, close, steps);
        return 0.5 * (bracket.first + bracket.second);
    };
    bool inside = false;
    for (std::size_t i = 0; i < samples.size(); ++i)
    {
        bool const allowed = samples[i].chi2 - region.chi2_min <= threshold;
        if (allowed && !inside)
            region.intervals.push_back(
                {i == 0 ? (non_negative ? 0.0 : -infinity) : crossing(samples[i - 1], samples[i]), infinity});
        if (!allowed && inside)
            region.intervals.back().hi = crossing(samples[i - 1], samples[i]);
        inside = allowed;
    }

    auto const is_close = [&](double value) { return std::fabs(value - region.chi2_min - threshold) < marginal_distance; };
    for (auto const& extremum : {minima, maxima})
        for (Sample const& sample : extremum)
            region.marginal = region.marginal || is_close(sample.chi2);
    if (non_negative)
        region.marginal = region.marginal || is_close(samples.front().chi2);
    return region;
}

} // namespace nuscan
