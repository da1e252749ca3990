/// \file
/// chi^2 of one parameter point, minimised over the flux pull and the background pulls.
#pragma once

#include <cmath>
#include <cstddef>

#include "nuscan/core/macros.hpp"
#include "nuscan/scan/backend.hpp"
#include "nuscan/stats/statistic.hpp"

namespace nuscan
{

inline constexpr int max_experiments = 8;
/// Background pulls of all experiments of a fit together.
inline constexpr int max_pulls = 16;

/// Data and background of one experiment. The prediction of a bin is
///   mu_i = base_i + s R_i + sum_p theta_p pull_template_pi,   s = 1 + beta.
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

/// One or several experiments fitted together with one flux pull.
struct FitView
{
    int n_experiments = 0;
    int n_pulls = 0; ///< background pulls of all experiments
    double signal_sigma = 1.0;
    bool fix_pulls = false; ///< s = 1 and all pulls 0, without penalty
    LikelihoodView experiment[max_experiments];
};

struct FitResult
{
    double chi2 = 0.0;
    PointStatus status = PointStatus::ok;
    double signal_scale = 1.0; ///< s = 1 + beta
    double pulls[max_pulls] = {};
    int iterations = 0;
};

namespace detail
{

inline constexpr int max_unknowns = 1 + max_pulls;
inline constexpr int max_newton_steps = 200;
/// Newton decrement squared below which one more full step is the last: it leaves a decrement of at most 1e-6, that is an error of
/// chi^2 of order 1e-12.
inline constexpr double newton_tolerance = 1e-6;
/// Decrement below which full Newton steps contract quadratically for a self-concordant function (bound 0.38).
inline constexpr double full_step_decrement = 0.25;

/// Unknowns of the fit: the pulls of all experiments, then u = c s, the signal scale. c makes u r = s R with r of the size of the SM
/// rate; this keeps every digit when huge couplings drive s to 0.
struct NewtonSystem
{
    int n = 0;
    double gradient[max_unknowns];
    double hessian[max_unknowns][max_unknowns]; ///< lower triangle
};

/// Adds gradient and Hessian of one experiment's bins: of chi^2 itself (poisson), or of sum weight (mu - n)^2, which is chi^2 for
/// Gaussian data and a good start for Poisson data. n_pulls is a compile-time number where small, so that sums stay in registers.
template<int static_pulls, bool poisson>
NUSCAN_HD inline void add_bins(LikelihoodView const& data, double const* rates, double inverse_scale, double const* x,
                               int first_pull, NewtonSystem& system)
{
    int const n_pulls = static_pulls < 0 ? data.n_pulls : static_pulls;
    constexpr std::size_t capacity = static_pulls < 0 ? std::size_t{max_unknowns} : std::size_t{1 + static_pulls};
    double gradient[capacity];
    double hessian[capacity][capacity];
    double shape[capacity];
    for (int a = 0; a <= n_pulls; ++a)
    {
        gradient[a] = 0.0;
        for (int b = 0; b <= a; ++b)
            hessian[a][b] = 0.0;
    }
    double const signal = x[system.n - 1];
    for (int i = 0; i < data.n_bins; ++i)
    {
        shape[n_pulls] = rates[i] * inverse_scale;
        double prediction = data.base[i] + signal * shape[n_pulls];
        for (int p = 0; p < n_pulls; ++p)
        {
            shape[p] = data.pull_templates[p * data.stride + i];
            prediction += x[first_pull + p] * shape[p];
        }
        double slope;
        double curvature;
        if constexpr (poisson)
        {
            // A bin without data is linear; where its prediction reaches 0, 0/0 would spoil the sums.
            double const inverse = data.observed[i] > 0.0 ? 1.0 / prediction : 0.0;
            double const ratio = data.observed[i] * inverse;
            slope = data.used[i] - ratio;
            curvature = ratio * inverse;
        }
        else
        {
            slope = (prediction - data.observed[i]) * data.weight[i];
            curvature = data.weight[i];
        }
        for (int a = 0; a <= n_pulls; ++a)
        {
            gradient[a] += slope * shape[a];
            double const weighted = curvature * shape[a];
            for (int b = 0; b <= a; ++b)
                hessian[a][b] += weighted * shape[b];
        }
    }
    for (int a = 0; a <= n_pulls; ++a)
    {
        int const row = a == n_pulls ? system.n - 1 : first_pull + a;
        system.gradient[row] += 2.0 * gradient[a];
        for (int b = 0; b <= a; ++b)
            system.hessian[row][b == n_pulls ? system.n - 1 : first_pull + b] += 2.0 * hessian[a][b];
    }
}

template<int static_pulls>
NUSCAN_HD inline void add_experiment(LikelihoodView const& data, double const* rates, double inverse_scale, double const* x,
                                     int first_pull, bool least_squares, NewtonSystem& system)
{
    if (least_squares || data.statistic == Statistic::gaussian)
        add_bins<static_pulls, false>(data, rates, inverse_scale, x, first_pull, system);
    else
        add_bins<static_pulls, true>(data, rates, inverse_scale, x, first_pull, system);
}

/// Gradient and Hessian (lower triangle) at \p x of chi^2, or of its least-squares approximation.
NUSCAN_HD inline void build_system(FitView const& fit, double const* rates, double inverse_scale, double const* x,
                                   bool least_squares, NewtonSystem& system)
{
    system.n = 1 + fit.n_pulls;
    for (int a = 0; a < system.n; ++a)
    {
        system.gradient[a] = 0.0;
        for (int b = 0; b <= a; ++b)
            system.hessian[a][b] = 0.0;
    }
    double const signal_weight = 1.0 / (fit.signal_sigma * fit.signal_sigma);
    int const signal = fit.n_pulls;
    system.gradient[signal] = 2.0 * (x[signal] * inverse_scale - 1.0) * signal_weight * inverse_scale;
    system.hessian[signal][signal] = 2.0 * signal_weight * inverse_scale * inverse_scale;
    int pull = 0;
    for (int e = 0; e < fit.n_experiments; ++e)
    {
        LikelihoodView const& data = fit.experiment[e];
        for (int p = 0; p < data.n_pulls; ++p)
        {
            double const weight = 1.0 / (data.pull_sigma[p] * data.pull_sigma[p]);
            system.gradient[pull + p] = 2.0 * x[pull + p] * weight;
            system.hessian[pull + p][pull + p] = 2.0 * weight;
        }
        switch (data.n_pulls)
        {
        case 0:
            add_experiment<0>(data, rates, inverse_scale, x, pull, least_squares, system);
            break;
        case 1:
            add_experiment<1>(data, rates, inverse_scale, x, pull, least_squares, system);
            break;
        case 2:
            add_experiment<2>(data, rates, inverse_scale, x, pull, least_squares, system);
            break;
        case 3:
            add_experiment<3>(data, rates, inverse_scale, x, pull, least_squares, system);
            break;
        default:
            add_experiment<-1>(data, rates, inverse_scale, x, pull, least_squares, system);
        }
        pull += data.n_pulls;
        rates += data.stride;
    }
}

/// True where every bin with Poisson data has a positive prediction at \p x: chi^2 is defined there.
NUSCAN_HD inline bool is_feasible(FitView const& fit, double const* rates, double inverse_scale, double const* x)
{
    double const* theta = x;
    double const signal = x[fit.n_pulls];
    for (int e = 0; e < fit.n_experiments; ++e)
    {
        LikelihoodView const& data = fit.experiment[e];
        if (data.statistic == Statistic::poisson)
            for (int i = 0; i < data.n_bins; ++i)
            {
                double prediction = data.base[i] + signal * (rates[i] * inverse_scale);
                for (int p = 0; p < data.n_pulls; ++p)
                    prediction += theta[p] * data.pull_templates[p * data.stride + i];
                if (data.observed[i] > 0.0 && !(prediction > 0.0))
                    return false;
            }
        theta += data.n_pulls;
        rates += data.stride;
    }
    return true;
}

/// Minimum of the quadratic model g d + d H d/2 over steps that keep the signal scale >= 0, by Cholesky factorisation.
/// The signal comes last, so that fixing it at 0 changes only the back substitution.
/// \param signal  present value of the signal scale
/// \returns d H d, the squared Newton decrement
NUSCAN_HD inline double newton_step(NewtonSystem& system, double signal, double* step)
{
    auto& h = system.hessian;
    int const n = system.n;
    for (int a = 0; a < n; ++a)
    {
        for (int b = 0; b <= a; ++b)
        {
            double sum = h[a][b];
            for (int k = 0; k < b; ++k)
                sum -= h[a][k] * h[b][k];
            if (a == b)
                // The floor is reached only by a signal without any curvature: it then falls straight to s = 0.
                h[a][a] = std::sqrt(sum > 1e-300 ? sum : 1e-300);
            else
                h[a][b] = sum / h[b][b];
        }
    }
    double decrement = 0.0;
    for (int a = 0; a < n; ++a)
    {
        double sum = -system.gradient[a];
        for (int k = 0; k < a; ++k)
            sum -= h[a][k] * step[k];
        step[a] = sum / h[a][a];
        if (a < n - 1)
            decrement += step[a] * step[a];
    }
    for (int a = n - 1; a >= 0; --a)
    {
        double sum = step[a];
        for (int k = a + 1; k < n; ++k)
            sum -= h[k][a] * step[k];
        step[a] = sum / h[a][a];
        if (a == n - 1)
        {
            if (signal + step[a] < 0.0)
                step[a] = -signal;
            decrement += h[a][a] * step[a] * (h[a][a] * step[a]);
        }
    }
    return decrement;
}

/// True where chi^2 is a parabola in s alone.
NUSCAN_HD inline bool is_closed_form(FitView const& fit)
{
    for (int e = 0; e < fit.n_experiments; ++e)
        if (fit.experiment[e].statistic != Statistic::gaussian)
            return false;
    return fit.n_pulls == 0;
}

/// A point without result: every number is NaN.
NUSCAN_HD inline FitResult failed_fit(PointStatus status, int iterations)
{
    FitResult result;
    result.chi2 = NAN;
    result.signal_scale = NAN;
    for (double& pull : result.pulls)
        pull = NAN;
    result.status = status;
    result.iterations = iterations;
    return result;
}

/// chi^2 of a bin at prediction mu.
NUSCAN_HD inline double chi2_bin(LikelihoodView const& data, int i, double prediction)
{
    double const observed = data.observed[i];
    double const difference = prediction - observed;
    if (data.statistic == Statistic::gaussian)
        return difference * difference * data.weight[i];
    return observed > 0.0 ? 2.0 * (difference + observed * std::log(observed / prediction)) : 2.0 * prediction;
}

} // namespace detail

/// chi^2 of one experiment at scale \p scaled_signal * inverse_scale and pulls \p theta [n_pulls], without penalties.
/// \param per_bin  [n_bins] filled if not null; dropped bins get 0
NUSCAN_HD inline double chi2_experiment(LikelihoodView const& data, double const* rates, double inverse_scale, double scaled_signal,
                                        double const* theta, double* per_bin = nullptr)
{
    double chi2 = 0.0;
    for (int i = 0; i < data.n_bins; ++i)
    {
        double bin = 0.0;
        if (data.used[i] != 0.0)
        {
            double prediction = data.base[i] + scaled_signal * (rates[i] * inverse_scale);
            for (int p = 0; p < data.n_pulls; ++p)
                prediction += theta[p] * data.pull_templates[p * data.stride + i];
            bin = detail::chi2_bin(data, i, prediction);
        }
        chi2 += bin;
        if (per_bin != nullptr)
            per_bin[i] = bin;
    }
    return chi2;
}

/// Minimum of chi^2 = sum_exp chi^2_exp + (beta/sigma_beta)^2 + sum_p (theta_p/sigma_p)^2 over beta >= -1 and the pulls
/// (arXiv:2208.06415, Eqs. 14-15).
///
/// The function is convex and self-concordant in (s, theta). Each step goes towards the minimum of the quadratic model over s >= 0, by
/// the length (1+l)/(1+l+l^2) with l the Newton decrement: that decreases chi^2 and keeps predictions positive without a line search.
/// s = 0 is reached exactly where the profiled slope there is not negative.
///
/// \param rates    signal before pulls, experiment after experiment, each with its own stride
/// \param per_bin  chi^2 per bin in the layout of \p rates, filled if not null
NUSCAN_HD inline FitResult profile_chi2(FitView const& fit, double const* rates, double* per_bin = nullptr)
{
    FitResult result;
    double scale = 1.0;
    double const* signal = rates;
    for (int e = 0; e < fit.n_experiments; ++e)
    {
        LikelihoodView const& data = fit.experiment[e];
        double total = 0.0;
        for (int i = 0; i < data.n_bins; ++i)
            total += data.used[i] * std::fabs(signal[i]);
        double const ratio = total / data.sm_total;
        if (!std::isfinite(ratio))
            return detail::failed_fit(PointStatus::not_finite, result.iterations);
        scale = ratio > scale ? ratio : scale;
        signal += data.stride;
    }
    if (fit.fix_pulls)
        scale = 1.0;
    double const inverse_scale = 1.0 / scale;

    double x[detail::max_unknowns] = {};
    int const signal_index = fit.n_pulls;
    x[signal_index] = scale;
    if (!fit.fix_pulls)
    {
        // Start from the minimum of the least-squares approximation, which is one linear solve from x = 0.
        detail::NewtonSystem system;
        double step[detail::max_unknowns];
        x[signal_index] = 0.0;
        detail::build_system(fit, rates, inverse_scale, x, true, system);
        detail::newton_step(system, 0.0, step);
        for (int a = 0; a < system.n; ++a)
            x[a] = step[a];
        // For Gaussian experiments without pulls of their own this is the minimum already.
        bool converged = detail::is_closed_form(fit);
        if (!converged && !detail::is_feasible(fit, rates, inverse_scale, x))
        {
            for (int a = 0; a < signal_index; ++a)
                x[a] = 0.0;
            if (!detail::is_feasible(fit, rates, inverse_scale, x))
                x[signal_index] = 1.0;
        }
        while (!converged && result.iterations < detail::max_newton_steps)
        {
            ++result.iterations;
            detail::build_system(fit, rates, inverse_scale, x, false, system);
            double const decrement_squared = detail::newton_step(system, x[signal_index], step);
            if (!(decrement_squared < INFINITY))
                break;
            double const decrement = std::sqrt(decrement_squared);
            double const length = decrement < detail::full_step_decrement
                                      ? 1.0
                                      : (1.0 + decrement) / (1.0 + decrement + decrement_squared);
            for (int a = 0; a < system.n; ++a)
                x[a] += length * step[a];
            converged = decrement_squared < detail::newton_tolerance;
        }
        if (!converged)
            return detail::failed_fit(PointStatus::not_converged, result.iterations);
    }

    result.signal_scale = x[signal_index] * inverse_scale;
    double const beta = result.signal_scale - 1.0;
    double chi2 = 0.0;
    int pull = 0;
    for (int e = 0; e < fit.n_experiments; ++e)
    {
        LikelihoodView const& data = fit.experiment[e];
        chi2 += chi2_experiment(data, rates, inverse_scale, x[signal_index], x + pull, per_bin);
        for (int p = 0; p < data.n_pulls; ++p)
        {
            result.pulls[pull + p] = x[pull + p];
            double const reduced = x[pull + p] / data.pull_sigma[p];
            chi2 += reduced * reduced;
        }
        pull += data.n_pulls;
        rates += data.stride;
        if (per_bin != nullptr)
            per_bin += data.stride;
    }
    double const reduced = beta / fit.signal_sigma;
    result.chi2 = chi2 + (fit.fix_pulls ? 0.0 : reduced * reduced);
    if (!std::isfinite(result.chi2))
        return detail::failed_fit(PointStatus::not_finite, result.iterations);
    return result;
}

} // namespace nuscan
