#include "host/prepare/fit_data.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace nuscan
{

namespace
{

std::size_t index(int i)
{
    return static_cast<std::size_t>(i);
}

} // namespace

FitData::FitData(std::vector<LikelihoodView> const& experiments, double signal_sigma, bool fix_pulls)
{
    scalars_.signal_sigma = signal_sigma;
    scalars_.fix_pulls = fix_pulls;
    scalars_.sm_total = 0.0;
    for (auto const& experiment : experiments)
    {
        scalars_.n_slots += experiment.stride;
        scalars_.n_pulls += experiment.n_pulls;
        scalars_.sm_total += experiment.sm_total;
        pull_sigma_.insert(pull_sigma_.end(), experiment.pull_sigma, experiment.pull_sigma + experiment.n_pulls);
    }
    used_.assign(index(scalars_.n_slots), 0.0);
    empty_ = used_;
    empty_templates_.assign(index(scalars_.n_pulls), 0.0);

    int first_slot = 0;
    int first_pull = 0;
    double least_count = 1.0;
    for (auto const& experiment : experiments)
    {
        bool const poisson = experiment.statistic == Statistic::poisson;
        for (int i = 0; i < experiment.n_bins; ++i)
        {
            int const slot = first_slot + i;
            if (experiment.used[i] == 0.0)
                continue;
            used_[index(slot)] = 1.0;
            scalars_.has_poisson = scalars_.has_poisson || poisson;
            if (!poisson)
                add_to(gaussian_bins_, experiment, i, slot, first_pull);
            else if (experiment.observed[i] > 0.0)
            {
                add_to(counted_, experiment, i, slot, first_pull);
                least_count = std::min(least_count, experiment.observed[i]);
            }
            else
            {
                empty_[index(slot)] = 1.0;
                scalars_.empty_base += experiment.base[i];
                for (int p = 0; p < experiment.n_pulls; ++p)
                    empty_templates_[index(first_pull + p)] += experiment.pull_templates[p * experiment.stride + i];
            }
        }
        first_slot += experiment.stride;
        first_pull += experiment.n_pulls;
    }
    // -n ln(mu) has |f'''| = 2 n^(-1/2) f''^(3/2): standard self-concordant from one count on, below it after scaling by 1/n.
    scalars_.concordance = std::sqrt(1.0 / least_count);
    gaussian_ = make_quadratic(experiments, true);
    start_ = make_quadratic(experiments, false);
}

void FitData::add_to(Bins& bins, LikelihoodView const& experiment, int bin, int slot, int first_pull) const
{
    bins.slot.push_back(slot);
    bins.data.push_back(experiment.observed[bin]);
    bins.inverse.push_back(1.0 / experiment.observed[bin]);
    bins.weight.push_back(experiment.weight[bin]);
    bins.base.push_back(experiment.base[bin]);
    std::vector<double> templates(index(scalars_.n_pulls), 0.0);
    for (int p = 0; p < experiment.n_pulls; ++p)
        templates[index(first_pull + p)] = experiment.pull_templates[p * experiment.stride + bin];
    bins.templates.insert(bins.templates.end(), templates.begin(), templates.end());
}

FitData::Quadratic FitData::make_quadratic(std::vector<LikelihoodView> const& experiments, bool gaussian_only) const
{
    auto const n_slots = index(scalars_.n_slots);
    auto const n_pulls = index(scalars_.n_pulls);
    Quadratic form;
    form.weight.assign(n_slots, 0.0);
    form.residual.assign(n_slots, 0.0);
    form.weighted.assign(n_pulls * n_slots, 0.0);
    form.gradient.assign(n_pulls, 0.0);
    form.hessian.assign(n_pulls * n_pulls, 0.0);
    for (std::size_t p = 0; p < n_pulls; ++p)
        form.hessian[p * n_pulls + p] = 1.0 / (pull_sigma_[p] * pull_sigma_[p]);
    std::size_t first_slot = 0;
    std::size_t first_pull = 0;
    for (auto const& experiment : experiments)
    {
        auto const own_pulls = index(experiment.n_pulls);
        for (int i = 0; i < experiment.n_bins; ++i)
        {
            if (experiment.used[i] == 0.0 || (gaussian_only && experiment.statistic != Statistic::gaussian))
                continue;
            std::size_t const slot = first_slot + index(i);
            double const weight = experiment.weight[i];
            double const difference = experiment.base[i] - experiment.observed[i];
            form.constant += weight * difference * difference;
            form.weight[slot] = weight;
            form.residual[slot] = weight * difference;
            for (std::size_t p = 0; p < own_pulls; ++p)
            {
                double const* const row = experiment.pull_templates + p * index(experiment.stride);
                form.weighted[(first_pull + p) * n_slots + slot] = weight * row[i];
                form.gradient[first_pull + p] += weight * difference * row[i];
                for (std::size_t q = 0; q < own_pulls; ++q)
                    form.hessian[(first_pull + p) * n_pulls + first_pull + q]
                        += weight * row[i] * experiment.pull_templates[q * index(experiment.stride) + index(i)];
            }
        }
        first_slot += index(experiment.stride);
        first_pull += own_pulls;
    }
    return form;
}

QuadraticView FitData::Quadratic::view() const
{
    QuadraticView result;
    result.constant = constant;
    result.weight = weight.data();
    result.residual = residual.data();
    result.weighted = weighted.data();
    result.gradient = gradient.data();
    result.hessian = hessian.data();
    return result;
}

FitView FitData::view() const
{
    FitView fit = scalars_;
    fit.used = used_.data();
    fit.pull_sigma = pull_sigma_.data();
    fit.counted.n = static_cast<int>(counted_.slot.size());
    fit.counted.slot = counted_.slot.data();
    fit.counted.data = counted_.data.data();
    fit.counted.inverse = counted_.inverse.data();
    fit.counted.base = counted_.base.data();
    fit.counted.templates = counted_.templates.data();
    fit.empty = empty_.data();
    fit.empty_templates = empty_templates_.data();
    fit.n_gaussian = static_cast<int>(gaussian_bins_.slot.size());
    fit.gaussian_slot = gaussian_bins_.slot.data();
    fit.gaussian_data = gaussian_bins_.data.data();
    fit.gaussian_weight = gaussian_bins_.weight.data();
    fit.gaussian_base = gaussian_bins_.base.data();
    fit.gaussian_templates = gaussian_bins_.templates.data();
    fit.gaussian = gaussian_.view();
    fit.start = start_.view();
    return fit;
}

} // namespace nuscan
