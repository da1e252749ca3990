/// \file
/// The likelihoods of all experiments of a fit, sorted by what each bin asks of the minimisation.
#pragma once

#include "nuscan/stats/likelihood.hpp"

namespace nuscan
{

/// Sums over bins of a quadratic form 1/2 sum_i w_i (mu_i - n_i)^2 that do not depend on the signal. Rates are concatenated over the
/// experiments (slots, padded); pulls belong to the fit, and their templates are 0 in the slots of other experiments.
struct QuadraticView
{
    double constant = 0.0;            ///< sum_i w_i (base_i - n_i)^2
    double const* weight = nullptr;   ///< [n_slots] w_i, 0 where the form takes no part
    double const* residual = nullptr; ///< [n_slots] w_i (base_i - n_i)
    double const* weighted = nullptr; ///< [n_pulls][n_slots] w_i t_pi
    double const* gradient = nullptr; ///< [n_pulls] sum_i w_i (base_i - n_i) t_pi
    double const* hessian = nullptr;  ///< [n_pulls][n_pulls] sum_i w_i t_pi t_qi, and the penalties 1/sigma_p^2 on the diagonal
};

/// The bins that every step of the minimisation visits: Poisson, data > 0.
struct CountedBins
{
    int n = 0;
    int const* slot = nullptr;         ///< [n] slot of the bin's rate
    double const* data = nullptr;      ///< [n] n_i
    double const* inverse = nullptr;   ///< [n] 1/n_i
    double const* base = nullptr;      ///< [n] background at pulls 0
    double const* templates = nullptr; ///< [n][n_pulls]
};

/// One or several experiments fitted together with one flux pull. Half of chi^2 falls into four parts:
///   counted bins (Poisson, data > 0):  mu - n - n ln(mu/n),
///   empty bins (Poisson, data = 0):    mu, linear, so that only their sums count,
///   Gaussian bins:                     w (mu - n)^2 / 2, a quadratic form,
///   penalties:                         beta^2/(2 sigma_beta^2) + sum_p theta_p^2/(2 sigma_p^2).
struct FitView
{
    int n_slots = 0; ///< length of a rate vector: bins of all experiments, each padded to its stride
    int n_pulls = 0; ///< background pulls of all experiments
    double signal_sigma = 1.0;
    double sm_total = 1.0;  ///< sum of the SM rates over the used bins
    bool fix_pulls = false; ///< s = 1 and all pulls 0, without penalty
    bool has_poisson = false;
    /// Factor that makes Newton decrements those of a standard self-concordant function: above 1 only for data below half a count.
    double concordance = 1.0;

    double const* used = nullptr;       ///< [n_slots] 1 for bins that take part
    double const* pull_sigma = nullptr; ///< [n_pulls]

    CountedBins counted;

    double empty_base = 0.0;                 ///< sum of the background over the empty bins
    double const* empty = nullptr;           ///< [n_slots] 1 for empty bins
    double const* empty_templates = nullptr; ///< [n_pulls] sum of the template over the empty bins

    int n_gaussian = 0;
    int const* gaussian_slot = nullptr;         ///< [n_gaussian]
    double const* gaussian_data = nullptr;      ///< [n_gaussian] n
    double const* gaussian_weight = nullptr;    ///< [n_gaussian] 1/sigma^2
    double const* gaussian_base = nullptr;      ///< [n_gaussian]
    double const* gaussian_templates = nullptr; ///< [n_gaussian][n_pulls]

    QuadraticView gaussian; ///< the Gaussian bins and the pulls' penalties
    QuadraticView start;    ///< the same with all Poisson bins as if they were Gaussian: its minimum starts the minimisation
};

} // namespace nuscan
