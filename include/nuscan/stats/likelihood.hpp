/// \file
/// Data and background of one experiment, bin by bin.
#pragma once

#include <cmath>

#include "nuscan/core/macros.hpp"
#include "nuscan/stats/statistic.hpp"

namespace nuscan
{

inline constexpr int max_experiments = 8;
/// Background pulls of all experiments of a fit together.
inline constexpr int max_pulls = 16;

/// The prediction of a bin is mu_i = base_i + s R_i + sum_p theta_p pull_template_pi with s = 1 + beta.
struct LikelihoodView
{
    Statistic statistic = Statistic::poisson;
    int n_bins = 0;
    int stride = 0; ///< distance of rows in pull_templates, and of this experiment's rates to the next one's
    int n_pulls = 0;
    /// Sum of the SM rates over the used bins: scale of the signal.
    double sm_total = 1.0;
    double const* observed = nullptr; ///< [n_bins] in the rate unit; 0 for dropped bins
    double const* base = nullptr;     ///< [n_bins] background at pulls 0
    double const* weight
        = nullptr; ///< [n_bins] 1/sigma_i^2, or of Poisson data 1/max(mu_i, 1) at the SM's best fit; 0 for dropped bins
    double const* pull_templates = nullptr; ///< [n_pulls][stride]
    double const* pull_sigma = nullptr;     ///< [n_pulls]
    double const* used = nullptr;           ///< [n_bins] 1, or 0 for bins without acceptance, which take no part
};

/// chi^2 of every bin at signal scale \p signal_scale and pulls \p theta [n_pulls], without penalties; dropped bins get 0.
/// \param rates    [n_bins] signal before pulls
/// \param per_bin  [n_bins] result
NUSCAN_HD inline void chi2_per_bin(LikelihoodView const& data, double const* rates, double signal_scale, double const* theta,
                                   double* per_bin)
{
    for (int i = 0; i < data.n_bins; ++i)
    {
        per_bin[i] = 0.0;
        if (data.used[i] == 0.0)
            continue;
        double prediction = data.base[i] + signal_scale * rates[i];
        for (int p = 0; p < data.n_pulls; ++p)
            prediction += theta[p] * data.pull_templates[p * data.stride + i];
        double const observed = data.observed[i];
        if (data.statistic == Statistic::gaussian)
            per_bin[i] = (prediction - observed) * (prediction - observed) * data.weight[i];
        else if (observed > 0.0)
            per_bin[i] = 2.0 * observed * ((prediction / observed - 1.0) - std::log(prediction / observed));
        else
            per_bin[i] = 2.0 * prediction;
    }
}

} // namespace nuscan
