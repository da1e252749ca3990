#include "host/backends/reference_likelihood.hpp"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>

#include "host/backends/reference_numerics.hpp"

namespace nuscan::reference
{

namespace
{

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

double garwood_error(double count)
{
    // Half of 1 - (2 Phi(1) - 1) on either side.
    double const tail = boost::math::cdf(boost::math::complement(boost::math::normal(), 1.0));
    auto quantile = [](double degrees, double probability) {
        return boost::math::quantile(boost::math::chi_squared(degrees), probability);
    };
    auto upper_quantile = [](double degrees, double probability) {
        return boost::math::quantile(boost::math::complement(boost::math::chi_squared(degrees), probability));
    };
    double const lower = count > 0.0 ? 0.5 * quantile(2.0 * count, tail) : 0.0;
    double const upper = 0.5 * upper_quantile(2.0 * count + 2.0, tail);
    return 0.5 * ((upper - count) + (count - lower));
}

ExperimentChi2::ExperimentChi2(ExperimentDefinition const& experiment, std::vector<double> const& sm_rates,
                               std::vector<bool> accepts)
    : statistic_(experiment.statistic)
    , counts_per_rate_(experiment.rate_unit == RateUnit::per_tonne_year ? experiment.exposure : 1.0)
    , accepts_(std::move(accepts))
    , fixed_background_(experiment.bins(), 0.0)
    , pulled_background_(experiment.pulls.size(), std::vector<double>(experiment.bins(), 0.0))
{
    std::size_t const n = experiment.bins();
    for (double const count : experiment.counts)
    {
        observed_.push_back(count / counts_per_rate_);
        error_.push_back((statistic_ == Statistic::gaussian ? garwood_error(count) : std::sqrt(count + 1.0)) / counts_per_rate_);
    }
    for (BackgroundDefinition const& component : experiment.backgrounds)
    {
        auto& sum = component.pull < 0 ? fixed_background_ : pulled_background_[static_cast<std::size_t>(component.pull)];
        for (std::size_t i = 0; i < n; ++i)
            sum[i] += component.per_bin[i] - (component.contains_sm_signal ? sm_rates[i] : 0.0);
    }
    for (std::size_t p = 0; p < experiment.pulls.size(); ++p)
    {
        pull_sigma_.push_back(experiment.pulls[p].sigma);
        double curvature = 1.0 / pull_sigma_[p];
        for (std::size_t i = 0; i < n; ++i)
            if (accepts_[i])
                curvature = std::hypot(curvature, pulled_background_[p][i] / error_[i]);
        pull_unit_.push_back(1.0 / curvature);
    }
}

double ExperimentChi2::background(std::size_t bin, std::vector<double> const& pulls) const
{
    double sum = fixed_background_[bin];
    for (std::size_t p = 0; p < pulls.size(); ++p)
        sum += (1.0 + pulls[p]) * pulled_background_[p][bin];
    return sum;
}

double ExperimentChi2::bin_chi2(std::size_t bin, double prediction) const
{
    double const observed = observed_[bin];
    if (statistic_ == Statistic::gaussian)
    {
        double const x = (prediction - observed) / error_[bin];
        return x * x;
    }
    if (observed == 0.0)
        return 2.0 * counts_per_rate_ * prediction;
    if (!(prediction > 0.0))
        return infinity;
    return 2.0 * counts_per_rate_ * (prediction - observed + observed * std::log(observed / prediction));
}

double ExperimentChi2::bin_half_slope(std::size_t bin, double prediction) const
{
    if (statistic_ == Statistic::gaussian)
        return (prediction - observed_[bin]) / (error_[bin] * error_[bin]);
    return counts_per_rate_ * (observed_[bin] == 0.0 ? 1.0 : 1.0 - observed_[bin] / prediction);
}

std::vector<double> ExperimentChi2::per_bin(std::vector<double> const& rates, double scale, std::vector<double> const& pulls) const
{
    std::vector<double> chi2(bins(), 0.0);
    for (std::size_t i = 0; i < bins(); ++i)
        if (accepts_[i])
            chi2[i] = bin_chi2(i, background(i, pulls) + scale * rates[i]);
    return chi2;
}

double ExperimentChi2::value(std::vector<double> const& rates, double scale, std::vector<double> const& pulls) const
{
    double sum = 0.0;
    for (std::size_t i = 0; i < bins(); ++i)
        if (accepts_[i])
            sum += bin_chi2(i, background(i, pulls) + scale * rates[i]);
    for (std::size_t p = 0; p < pulls.size(); ++p)
        sum += (pulls[p] / pull_sigma_[p]) * (pulls[p] / pull_sigma_[p]);
    return sum;
}

double ExperimentChi2::slope(std::vector<double> const& rates, double scale, std::vector<double> const& pulls) const
{
    double sum = 0.0;
    for (std::size_t i = 0; i < bins(); ++i)
        if (accepts_[i])
            sum += 2.0 * bin_half_slope(i, background(i, pulls) + scale * rates[i]) * rates[i];
    return sum;
}

double ExperimentChi2::excess_bound(std::vector<double> const& rates, double scale, std::vector<double> const& pulls) const
{
    double bound = 0.0;
    for (std::size_t p = 0; p < pulls.size(); ++p)
    {
        double derivative = 2.0 * pulls[p] / (pull_sigma_[p] * pull_sigma_[p]);
        for (std::size_t i = 0; i < bins(); ++i)
            if (accepts_[i])
                derivative += 2.0 * bin_half_slope(i, background(i, pulls) + scale * rates[i]) * pulled_background_[p][i];
        bound += 0.25 * derivative * pull_sigma_[p] * derivative * pull_sigma_[p];
    }
    return bound;
}

double ExperimentChi2::typical_scale(std::vector<double> const& rates) const
{
    double curvature = 0.0;
    for (std::size_t i = 0; i < bins(); ++i)
        if (accepts_[i])
            curvature = std::hypot(curvature, rates[i] / error_[i]);
    return 1.0 / curvature;
}

double ExperimentChi2::profile(std::vector<double> const& rates, double scale, std::vector<double>& pulls) const
{
    auto chi2 = [&](std::vector<double> const& x) { return value(rates, scale, x); };
    // A start from another scale may leave a bin without a positive prediction.
    if (!std::isfinite(chi2(pulls)))
        std::fill(pulls.begin(), pulls.end(), 0.0);
    if (!std::isfinite(chi2(pulls)))
        return infinity;
    return minimise_powell(chi2, pulls, pull_unit_);
}

ProfiledChi2 profile_all(std::vector<ExperimentChi2> const& experiments, std::vector<std::vector<double>> const& rates,
                         double sigma_beta)
{
    // Accuracy that is asked of chi^2, relative to 1 + chi^2.
    constexpr double tolerance = 1e-10;

    ProfiledChi2 result;
    for (ExperimentChi2 const& experiment : experiments)
        result.pulls.emplace_back(experiment.n_pulls(), 0.0);

    // The signal scale that matters: rates of 1e20 times the Standard Model have their minimum at s = 1e-20.
    double unit = sigma_beta;
    for (std::size_t e = 0; e < experiments.size(); ++e)
        unit = 1.0 / std::hypot(1.0 / unit, 1.0 / experiments[e].typical_scale(rates[e]));

    auto profile = [&](double scale) {
        double const x = (scale - 1.0) / sigma_beta;
        double sum = x * x;
        for (std::size_t e = 0; e < experiments.size(); ++e)
            sum += experiments[e].profile(rates[e], scale, result.pulls[e]);
        return sum;
    };
    auto finish = [&](double scale) {
        result.scale = scale;
        result.chi2 = profile(scale);
        double bound = 0.0;
        for (std::size_t e = 0; e < experiments.size(); ++e)
            bound += experiments[e].excess_bound(rates[e], scale, result.pulls[e]);
        return std::isfinite(result.chi2) && bound <= tolerance * (1.0 + std::abs(result.chi2));
    };

    // s = 0 is the solution where chi^2 does not fall from there; the pulls are at their minimum, hence contribute no slope.
    double const at_zero = profile(0.0);
    if (std::isfinite(at_zero))
    {
        double slope = -2.0 / (sigma_beta * sigma_beta);
        for (std::size_t e = 0; e < experiments.size(); ++e)
            slope += experiments[e].slope(rates[e], 0.0, result.pulls[e]);
        if (slope >= 0.0)
        {
            result.converged = finish(0.0);
            return result;
        }
    }

    // Bracket 0 <= lo < mid < hi in units of the typical scale.
    auto scaled = [&](double u) { return profile(u * unit); };
    double lo = 0.0;
    double mid = 1.0;
    double mid_value = scaled(mid);
    double hi = 2.0;
    double hi_value = scaled(hi);
    constexpr int max_steps = 1100;
    for (int i = 0; hi_value < mid_value && i < max_steps; ++i)
    {
        lo = mid;
        mid = hi;
        mid_value = hi_value;
        hi *= 2.0;
        hi_value = scaled(hi);
    }
    if (lo == 0.0)
    {
        // chi^2 falls at 0, so that it is lower than there at some small scale; Brent's method needs a finite lower end.
        for (int i = 0; !(mid_value < at_zero) && i < max_steps; ++i)
        {
            hi = mid;
            mid *= 0.5;
            mid_value = scaled(mid);
        }
        lo = std::isfinite(at_zero) ? 0.0 : 0.5 * mid;
        for (int i = 0; lo > 0.0 && scaled(lo) < mid_value && i < max_steps; ++i)
        {
            hi = mid;
            mid = lo;
            mid_value = scaled(mid);
            lo *= 0.5;
        }
    }
    double best = minimise_bracketed(scaled, lo, hi, mid, mid_value).x;

    // Brent's method ends where rounding hides the minimum. A parabola through points further apart finds it more sharply.
    double const step = std::min(1e-4, 0.5 * best);
    double const left = scaled(best - step);
    double const centre = scaled(best);
    double const right = scaled(best + step);
    double const curvature = left - 2.0 * centre + right;
    double const shift = 0.5 * (left - right) / curvature;
    bool const minimum = left >= centre - tolerance * (1.0 + centre) && right >= centre - tolerance * (1.0 + centre);
    if (curvature > 0.0 && std::abs(shift) < 1.0)
        best += shift * step;
    result.converged = finish(best * unit) && minimum;
    return result;
}

} // namespace nuscan::reference
