#include "host/backends/reference_likelihood.hpp"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/special_functions/log1p.hpp>
#include <cmath>
#include <limits>

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
        pull_sigma_.push_back(experiment.pulls[p].sigma);
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
    double const excess = (prediction - observed) / observed;
    // Of many events, the difference of prediction and data cancels the logarithm's leading term.
    if (std::abs(excess) < 0.5)
        return -2.0 * counts_per_rate_ * observed * boost::math::log1pmx(excess);
    return 2.0 * counts_per_rate_ * (prediction - observed + observed * std::log(observed / prediction));
}

double ExperimentChi2::bin_half_slope(std::size_t bin, double prediction) const
{
    if (statistic_ == Statistic::gaussian)
        return (prediction - observed_[bin]) / (error_[bin] * error_[bin]);
    return counts_per_rate_ * (observed_[bin] == 0.0 ? 1.0 : (prediction - observed_[bin]) / prediction);
}

double ExperimentChi2::bin_half_curvature(std::size_t bin, double prediction) const
{
    if (statistic_ == Statistic::gaussian)
        return 1.0 / (error_[bin] * error_[bin]);
    return counts_per_rate_ * observed_[bin] / prediction / prediction;
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

void ExperimentChi2::add_derivatives(std::vector<double> const& rates, double scale, std::vector<double> const& pulls, double unit,
                                     std::size_t first_pull, Derivatives& sum) const
{
    auto const variable = [&](std::size_t a) { return a == 0 ? 0 : first_pull + a - 1; };
    std::vector<double> change(pulls.size() + 1); // of the prediction by scale and pulls
    for (std::size_t i = 0; i < bins(); ++i)
    {
        if (!accepts_[i])
            continue;
        change[0] = rates[i] * unit;
        for (std::size_t p = 0; p < pulls.size(); ++p)
            change[p + 1] = pulled_background_[p][i];
        double const prediction = background(i, pulls) + scale * rates[i];
        double const slope = 2.0 * bin_half_slope(i, prediction);
        double const curvature = 2.0 * bin_half_curvature(i, prediction);
        for (std::size_t a = 0; a < change.size(); ++a)
        {
            sum.gradient[variable(a)] += slope * change[a];
            for (std::size_t b = 0; b < change.size(); ++b)
                sum.hessian[variable(a)][variable(b)] += curvature * change[a] * change[b];
        }
    }
    for (std::size_t p = 0; p < pulls.size(); ++p)
    {
        double const weight = 1.0 / (pull_sigma_[p] * pull_sigma_[p]);
        sum.gradient[first_pull + p] += 2.0 * weight * pulls[p];
        sum.hessian[first_pull + p][first_pull + p] += 2.0 * weight;
    }
}

double ExperimentChi2::least_scale(std::vector<double> const& rates) const
{
    double least = 0.0;
    std::vector<double> const nominal(n_pulls(), 0.0);
    for (std::size_t i = 0; i < bins(); ++i)
    {
        if (!accepts_[i] || statistic_ != Statistic::poisson || observed_[i] == 0.0)
            continue;
        double const without_signal = background(i, nominal);
        if (without_signal <= 0.0)
            least = std::max(least, rates[i] > 0.0 ? -without_signal / rates[i] : infinity);
    }
    return least;
}

double ExperimentChi2::typical_scale(std::vector<double> const& rates) const
{
    double curvature = 0.0;
    for (std::size_t i = 0; i < bins(); ++i)
        if (accepts_[i])
            curvature = std::hypot(curvature, rates[i] / error_[i]);
    return 1.0 / curvature;
}

ProfiledChi2 profile_all(std::vector<ExperimentChi2> const& experiments, std::vector<std::vector<double>> const& rates,
                         double sigma_beta)
{
    // Accuracy that is asked of chi^2, relative to 1 + chi^2.
    constexpr double tolerance = 1e-10;

    // The signal scale that matters: rates of 1e20 times the Standard Model have their minimum at s = 1e-20.
    double unit = sigma_beta;
    double least_scale = 0.0;
    std::size_t n_variables = 1;
    for (std::size_t e = 0; e < experiments.size(); ++e)
    {
        unit = 1.0 / std::hypot(1.0 / unit, 1.0 / experiments[e].typical_scale(rates[e]));
        least_scale = std::max(least_scale, experiments[e].least_scale(rates[e]));
        n_variables += experiments[e].n_pulls();
    }

    unit = std::max(unit, std::numeric_limits<double>::min());

    ProfiledChi2 result;
    // Variables: the scale in that unit, then all pulls.
    auto const set = [&](std::vector<double> const& x) {
        result.scale = x[0] * unit;
        result.pulls.clear();
        auto next = x.begin() + 1;
        for (ExperimentChi2 const& experiment : experiments)
        {
            auto const begin = next;
            next += static_cast<std::ptrdiff_t>(experiment.n_pulls());
            result.pulls.emplace_back(begin, next);
        }
    };
    ConvexFunction chi2;
    chi2.value = [&](std::vector<double> const& x) {
        set(x);
        double const y = (result.scale - 1.0) / sigma_beta;
        double sum = y * y;
        for (std::size_t e = 0; e < experiments.size(); ++e)
            sum += experiments[e].value(rates[e], result.scale, result.pulls[e]);
        return sum;
    };
    chi2.derivatives = [&](std::vector<double> const& x) {
        set(x);
        Derivatives sum(n_variables);
        double const y = unit / sigma_beta;
        sum.gradient[0] = 2.0 * y * (result.scale - 1.0) / sigma_beta;
        sum.hessian[0][0] = 2.0 * y * y;
        std::size_t first_pull = 1;
        for (std::size_t e = 0; e < experiments.size(); ++e)
        {
            experiments[e].add_derivatives(rates[e], result.scale, result.pulls[e], unit, first_pull, sum);
            first_pull += experiments[e].n_pulls();
        }
        return sum;
    };

    // A signal by which all bins with data have a positive prediction, if there is one.
    std::vector<double> x(n_variables, 0.0);
    x[0] = 1.0 + 2.0 * least_scale / unit;
    std::vector<double> lower(n_variables, -infinity);
    lower[0] = 0.0;
    result.chi2 = chi2.value(x);
    if (!std::isfinite(result.chi2))
        return result;
    ConvexMinimum const minimum = minimise_convex(chi2, x, lower);
    result.chi2 = minimum.value;
    set(x);
    // chi^2/2 is self-concordant, so that near its minimum twice the promised decrease bounds what is left.
    double const allowed = tolerance * (1.0 + std::abs(minimum.value));
    result.converged = 2.0 * minimum.excess <= allowed && minimum.gain <= allowed;
    return result;
}

} // namespace nuscan::reference
