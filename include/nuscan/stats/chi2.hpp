/// \file
/// chi^2 of a parameter point, minimised over the flux pull and the background pulls (arXiv:2208.06415, Eqs. 14-15).
///
///   chi^2 = sum_exp chi^2_exp + (beta/sigma_beta)^2 + sum_p (theta_p/sigma_p)^2,   beta >= -1.
///
/// Unknowns are the pulls theta and, last, u = c s with s = 1 + beta. The scale c brings the signal down to the size of the SM's where
/// couplings are huge: rates enter as r = R/c, and u r keeps every digit while s goes to 0.
#pragma once

#include <cmath>
#include <cstddef>

#include "nuscan/core/macros.hpp"
#include "nuscan/core/real.hpp"
#include "nuscan/scan/backend.hpp"
#include "nuscan/stats/fit.hpp"

namespace nuscan
{

/// Result of one point.
struct FitResult
{
    double chi2 = 0.0;
    PointStatus status = PointStatus::ok;
    double signal_scale = 1.0; ///< s = 1 + beta
    double pulls[max_pulls] = {};
    int iterations = 0;
};

/// Room for the pulls of a fit; \p n_static is their number where it is known at compile time, else -1.
template<int n_static>
inline constexpr std::size_t pull_capacity = static_cast<std::size_t>(n_static < 0 ? max_pulls : (n_static > 0 ? n_static : 1));

/// Result of one point, or of several side by side.
template<int n_static, class Real>
struct Profile
{
    Real chi2;
    Real signal_scale;
    Real pulls[pull_capacity<n_static>];
    MaskOf<Real> finite;
    MaskOf<Real> converged;
    int iterations; ///< of the slowest lane
};

/// Sums of a QuadraticView that contain the signal r.
template<int n_static, class Real>
struct QuadraticSums
{
    Real residual;                      ///< sum_i w_i (base_i - n_i) r_i
    Real square;                        ///< sum_i w_i r_i^2
    Real pull[pull_capacity<n_static>]; ///< sum_i w_i t_pi r_i
};

/// Status of a point from the two things that can go wrong.
NUSCAN_HD inline PointStatus point_status(bool finite, bool converged)
{
    return !finite ? PointStatus::not_finite : (!converged ? PointStatus::not_converged : PointStatus::ok);
}

/// Everything that the minimisation wants to know of a signal beyond its rates in single bins.
template<int n_static, class Real>
struct SignalSums
{
    Real empty; ///< sum of r over the empty bins
    QuadraticSums<n_static, Real> start;
    QuadraticSums<n_static, Real> gaussian; ///< 0 in a fit without Gaussian bins
};

/// c of a signal that sums up to \p total; 1 for anything up to the size of the SM.
template<class Real>
NUSCAN_HD_INLINE Real signal_scale_unit(FitView const& fit, Real total)
{
    Real const ratio = RealOps<Real>::abs(total) / fit.sm_total;
    return fit.fix_pulls ? Real(1.0) : RealOps<Real>::select(ratio > 1.0, ratio, Real(1.0));
}

namespace detail
{

inline constexpr int max_newton_steps = 200;
/// Squared Newton decrement of chi^2/2 below which one more full step is the last: it leaves a decrement of at most 1e-6, that is an
/// error of chi^2 of order 1e-12.
inline constexpr double newton_tolerance = 5e-7;
/// Decrement below which full Newton steps contract quadratically for a self-concordant function (bound 0.38).
inline constexpr double full_step_decrement = 0.25;
/// Decrement above which a line search pays: the guaranteed step (1+l)/(1+l+l^2) is short there.
inline constexpr double line_search_decrement = 2.0;

template<int n_static, class Real>
NUSCAN_HD_INLINE void add_quadratic(QuadraticView const& view, int n_slots, int n_pulls, int slot, Real rate,
                                    QuadraticSums<n_static, Real>& sums)
{
    using Ops = RealOps<Real>;
    sums.residual = Ops::multiply_add(rate, Real(view.residual[slot]), sums.residual);
    sums.square = Ops::multiply_add(rate * view.weight[slot], rate, sums.square);
    for (int p = 0; p < n_pulls; ++p)
        sums.pull[p] = Ops::multiply_add(rate, Real(view.weighted[p * n_slots + slot]), sums.pull[p]);
}

template<int n_static, class Real>
NUSCAN_HD_INLINE void clear(int n_pulls, QuadraticSums<n_static, Real>& sums)
{
    sums.residual = 0.0;
    sums.square = 0.0;
    for (int p = 0; p < n_pulls; ++p)
        sums.pull[p] = 0.0;
}

/// The minimisation of one point, or of several side by side. \p Rates is called with a slot and gives r there.
///
/// chi^2/2 is convex and self-concordant in (theta, u). Each step goes towards the minimum of the quadratic model over u >= 0. Its
/// length, (1+l)/(1+l+l^2) with l the Newton decrement, decreases chi^2 and keeps predictions positive without trial; far from the
/// minimum a search along the step finds a longer one. u = 0 is reached exactly where the profiled slope there is not negative.
template<int n_static, class Real, class Rates>
class Minimiser
{
public:
    using Ops = RealOps<Real>;
    using Mask = MaskOf<Real>;
    using Sums = SignalSums<n_static, Real>;
    static constexpr std::size_t capacity = pull_capacity<n_static> + 1;

    NUSCAN_HD_INLINE Minimiser(FitView const& fit, CountedBins const& counted, Rates const& rates, Sums const& sums,
                               Real inverse_unit)
        : fit_(fit)
        , counted_(counted)
        , rates_(rates)
        , sums_(sums)
        , inverse_unit_(inverse_unit)
    {
    }

    /// To the minimum of the quadratic form that approximates chi^2/2: all there is to do where all data are Gaussian.
    NUSCAN_HD_INLINE void start()
    {
        for (int a = 0; a <= n(); ++a)
            x_[a] = 0.0;
        set_quadratic(fit_.start, sums_.start);
        solve();
        for (int a = 0; a <= n(); ++a)
            x_[a] = step_[a];
    }

    /// From the present values to the minimum. \returns the lanes of \p active that arrived
    NUSCAN_HD_INLINE Mask iterate(Mask active, int& iterations)
    {
        Mask converged = active && !active;
        int attempts = 0;
        iterations = 0;
        for (;;)
        {
            Mask const positive = build();
            if (attempts < 2)
            {
                // The approximate minimum may lie outside the domain: then without pulls, and then with a larger signal.
                Mask const outside = active && !positive;
                if (Ops::any(outside))
                {
                    for (int a = 0; a < n(); ++a)
                        x_[a] = Ops::select(outside, Real(0.0), x_[a]);
                    if (attempts == 1)
                        x_[n()] = Ops::select(outside, sufficient_signal(), x_[n()]);
                    ++attempts;
                    continue;
                }
                attempts = 2;
            }
            ++iterations;
            Real const decrement_squared = solve();
            active = active && decrement_squared < HUGE_VAL;
            Real const decrement = Ops::sqrt(decrement_squared) * fit_.concordance;
            Mask const last = active && decrement * decrement < newton_tolerance;
            Real length = Ops::select(decrement < full_step_decrement, Real(1.0),
                                      (1.0 + decrement) / (1.0 + decrement + decrement * decrement));
            Mask const far = active && decrement > line_search_decrement;
            if (Ops::any(far))
                length = longer_step(far, length);
            for (int a = 0; a <= n(); ++a)
                x_[a] = Ops::select(active, Ops::multiply_add(length, step_[a], x_[a]), x_[a]);
            converged = converged || last;
            active = active && !last;
            if (!Ops::any(active) || iterations == max_newton_steps)
                return converged;
        }
    }

    /// The quadratic form of the Gaussian bins and all penalties at the present values, as chi^2.
    NUSCAN_HD_INLINE Real quadratic_chi2() const
    {
        QuadraticView const& view = fit_.gaussian;
        Real sum = sums_.gaussian.residual;
        for (int p = 0; p < n(); ++p)
            sum = Ops::multiply_add(x_[p], sums_.gaussian.pull[p], sum);
        Real chi2 = view.constant + x_[n()] * (2.0 * sum + x_[n()] * sums_.gaussian.square);
        for (int p = 0; p < n(); ++p)
        {
            Real row = Real(2.0 * view.gradient[p]);
            for (int q = 0; q < n(); ++q)
                row = Ops::multiply_add(x_[q], Real(view.hessian[p * n() + q]), row);
            chi2 = Ops::multiply_add(x_[p], row, chi2);
        }
        return chi2 + signal_penalty();
    }

    /// chi^2 at the present values, bin by bin.
    NUSCAN_HD_INLINE Real chi2() const
    {
        Real half = fit_.empty_base + x_[n()] * sums_.empty;
        for (int p = 0; p < n(); ++p)
            half = Ops::multiply_add(x_[p], Real(fit_.empty_templates[p]), half);
        for (int k = 0; k < counted_.n; ++k)
        {
            Real const prediction = predict(x_, counted_.base[k], counted_.templates + k * n(), rates_(counted_.slot[k]));
            // n ((q - 1) - ln q): the rounding error of q = mu/n has no first-order effect near q = 1.
            Real const quotient = prediction * counted_.inverse[k];
            half = Ops::multiply_add(Real(counted_.data[k]), (quotient - 1.0) - Ops::log(quotient), half);
        }
        Real chi2 = 2.0 * half;
        for (int k = 0; k < fit_.n_gaussian; ++k)
        {
            Real const difference = predict(x_, fit_.gaussian_base[k], fit_.gaussian_templates + k * n(),
                                            rates_(fit_.gaussian_slot[k]))
                                    - fit_.gaussian_data[k];
            chi2 = Ops::multiply_add(difference * fit_.gaussian_weight[k], difference, chi2);
        }
        if (fit_.fix_pulls)
            return chi2;
        for (int p = 0; p < n(); ++p)
        {
            Real const reduced = x_[p] / fit_.pull_sigma[p];
            chi2 = Ops::multiply_add(reduced, reduced, chi2);
        }
        return chi2 + signal_penalty();
    }

    /// s = 1 and all pulls 0.
    NUSCAN_HD_INLINE void set_nominal()
    {
        for (int a = 0; a < n(); ++a)
            x_[a] = 0.0;
        x_[n()] = 1.0;
    }

    NUSCAN_HD_INLINE Real value(int unknown) const { return x_[unknown]; }
    NUSCAN_HD_INLINE Real signal_scale() const { return x_[n()] * inverse_unit_; }
    NUSCAN_HD_INLINE int n_pulls() const { return n(); }

protected:
    /// Number of pulls, and place of the signal among the unknowns.
    NUSCAN_HD_INLINE int n() const { return n_static < 0 ? fit_.n_pulls : n_static; }

    NUSCAN_HD_INLINE Real signal_penalty() const
    {
        Real const reduced = (signal_scale() - 1.0) / fit_.signal_sigma;
        return reduced * reduced;
    }

    NUSCAN_HD_INLINE Real predict(Real const* x, double base, double const* templates, Real rate) const
    {
        Real prediction = Ops::multiply_add(x[n()], rate, Real(base));
        for (int p = 0; p < n(); ++p)
            prediction = Ops::multiply_add(x[p], Real(templates[p]), prediction);
        return prediction;
    }

    /// A signal that, without pulls, makes the prediction of every counted bin positive if any does. Backgrounds are negative where
    /// they were given with a SM signal inside that is smaller than ours.
    NUSCAN_HD_INLINE Real sufficient_signal() const
    {
        Real signal = 1.0;
        for (int k = 0; k < counted_.n; ++k)
        {
            Real const needed = -2.0 * counted_.base[k] / rates_(counted_.slot[k]);
            signal = Ops::select(needed > signal, needed, signal);
        }
        return signal;
    }

    /// Gradient and Hessian of a quadratic form and of the penalties.
    NUSCAN_HD_INLINE void set_quadratic(QuadraticView const& view, QuadraticSums<n_static, Real> const& sums)
    {
        Real const penalty = inverse_unit_ / fit_.signal_sigma;
        gradient_[n()] = sums.residual + x_[n()] * sums.square + signal_penalty_slope();
        hessian_[n()][n()] = sums.square + penalty * penalty;
        for (int p = 0; p < n(); ++p)
        {
            gradient_[p] = Ops::multiply_add(x_[n()], sums.pull[p], Real(view.gradient[p]));
            gradient_[n()] = Ops::multiply_add(x_[p], sums.pull[p], gradient_[n()]);
            hessian_[n()][p] = sums.pull[p];
            for (int q = 0; q < n(); ++q)
            {
                gradient_[p] = Ops::multiply_add(x_[q], Real(view.hessian[p * n() + q]), gradient_[p]);
                if (q <= p)
                    hessian_[p][q] = view.hessian[p * n() + q];
            }
        }
    }

    NUSCAN_HD_INLINE Real signal_penalty_slope() const
    {
        double const weight = 1.0 / (fit_.signal_sigma * fit_.signal_sigma);
        return (signal_scale() - 1.0) * (inverse_unit_ * weight);
    }

    /// Gradient and Hessian of all but the counted bins.
    NUSCAN_HD_INLINE void set_smooth_part()
    {
        set_quadratic(fit_.gaussian, sums_.gaussian);
        gradient_[n()] += sums_.empty;
        for (int p = 0; p < n(); ++p)
            gradient_[p] += fit_.empty_templates[p];
    }

    /// Gradient and Hessian of chi^2/2. \returns the lanes whose counted bins all have a positive prediction: chi^2 is defined there
    NUSCAN_HD_INLINE Mask build()
    {
        set_smooth_part();
        Real shape[capacity];
        Real lowest = HUGE_VAL;
        for (int k = 0; k < counted_.n; ++k)
        {
            double const* const templates = counted_.templates + k * n();
            shape[n()] = rates_(counted_.slot[k]);
            Real const prediction = predict(x_, counted_.base[k], templates, shape[n()]);
            lowest = Ops::select(prediction < lowest, prediction, lowest);
            for (int p = 0; p < n(); ++p)
                shape[p] = templates[p];
            Real const inverse = 1.0 / prediction;
            Real const ratio = counted_.data[k] * inverse;
            Real const slope = 1.0 - ratio;
            Real const curvature = ratio * inverse;
            for (int a = 0; a <= n(); ++a)
            {
                gradient_[a] = Ops::multiply_add(slope, shape[a], gradient_[a]);
                Real const weighted = curvature * shape[a];
                for (int b = 0; b <= a; ++b)
                    hessian_[a][b] = Ops::multiply_add(weighted, shape[b], hessian_[a][b]);
            }
        }
        return lowest > 0.0;
    }

    /// Step to the minimum of the quadratic model over u >= 0, by L D L^T factorisation. The signal comes last, so that fixing it at
    /// 0 changes only the back substitution. \returns the squared Newton decrement
    NUSCAN_HD_INLINE Real solve()
    {
        Real lower[capacity][capacity];
        Real pivot[capacity];
        Real inverse_pivot[capacity];
        Real y[capacity];
        Real decrement_squared = 0.0;
        for (int a = 0; a <= n(); ++a)
        {
            Real scaled[capacity]; // row of L D
            Real diagonal = hessian_[a][a];
            Real right = -gradient_[a];
            for (int b = 0; b < a; ++b)
            {
                Real sum = hessian_[a][b];
                for (int k = 0; k < b; ++k)
                    sum = Ops::multiply_add(-scaled[k], lower[b][k], sum);
                scaled[b] = sum;
                lower[a][b] = sum * inverse_pivot[b];
                diagonal = Ops::multiply_add(-sum, lower[a][b], diagonal);
                right = Ops::multiply_add(-lower[a][b], y[b], right);
            }
            // The floor is reached only by a signal without any curvature: it then falls straight to u = 0.
            pivot[a] = Ops::select(diagonal > 1e-300, diagonal, Real(1e-300));
            inverse_pivot[a] = 1.0 / pivot[a];
            y[a] = right;
            if (a < n())
                decrement_squared = Ops::multiply_add(right * inverse_pivot[a], right, decrement_squared);
        }
        for (int a = n(); a >= 0; --a)
        {
            Real value = y[a] * inverse_pivot[a];
            for (int k = a + 1; k <= n(); ++k)
                value = Ops::multiply_add(-lower[k][a], step_[k], value);
            if (a == n())
            {
                value = Ops::select(x_[n()] + value < 0.0, -x_[n()], value);
                decrement_squared = Ops::multiply_add(pivot[n()] * value, value, decrement_squared);
            }
            step_[a] = value;
        }
        return decrement_squared;
    }

    /// Halves the full step of the lanes \p far until the slope of chi^2 along it is not positive any more: by convexity chi^2
    /// decreases all the way. \p floor is the length that is safe without a search.
    NUSCAN_HD_INLINE Real longer_step(Mask far, Real floor)
    {
        set_smooth_part();
        Real slope_here = 0.0;
        Real curvature = 0.0;
        for (int a = 0; a <= n(); ++a)
        {
            slope_here = Ops::multiply_add(gradient_[a], step_[a], slope_here);
            Real row = 0.0;
            for (int b = 0; b <= n(); ++b)
                row = Ops::multiply_add(b <= a ? hessian_[a][b] : hessian_[b][a], step_[b], row);
            curvature = Ops::multiply_add(step_[a], row, curvature);
        }
        Real length = 1.0;
        for (Mask searching = far; Ops::any(searching);)
        {
            Real slope = Ops::multiply_add(length, curvature, slope_here);
            Real lowest = HUGE_VAL;
            for (int k = 0; k < counted_.n; ++k)
            {
                double const* const templates = counted_.templates + k * n();
                Real const rate = rates_(counted_.slot[k]);
                Real const change = predict(step_, 0.0, templates, rate);
                Real const prediction = Ops::multiply_add(length, change, predict(x_, counted_.base[k], templates, rate));
                lowest = Ops::select(prediction < lowest, prediction, lowest);
                slope = Ops::multiply_add(change, 1.0 - counted_.data[k] / prediction, slope);
            }
            Mask const good = lowest > 0.0 && slope <= 0.0;
            searching = searching && !good && length > floor;
            Real const half = 0.5 * length;
            length = Ops::select(searching, Ops::select(half > floor, half, floor), length);
        }
        return Ops::select(far, length, floor);
    }

    FitView const& fit_;
    CountedBins const& counted_;
    Rates const& rates_;
    Sums const& sums_;
    Real inverse_unit_;
    Real x_[capacity];
    Real step_[capacity];
    Real gradient_[capacity];
    Real hessian_[capacity][capacity]; ///< lower triangle
};

/// Rates from memory, divided by c on the way.
struct ScaledRates
{
    double const* rates;
    double inverse_unit;
    NUSCAN_HD_INLINE double operator()(int slot) const { return rates[slot] * inverse_unit; }
};

} // namespace detail

/// The sums over bins that contain the signal \p rates, bin by bin.
template<int n_static, class Real, class Rates>
NUSCAN_HD_INLINE void add_up_signal(FitView const& fit, Rates const& rates, SignalSums<n_static, Real>& sums)
{
    int const n_pulls = n_static < 0 ? fit.n_pulls : n_static;
    sums.empty = 0.0;
    detail::clear(n_pulls, sums.start);
    detail::clear(n_pulls, sums.gaussian);
    for (int slot = 0; slot < fit.n_slots; ++slot)
    {
        Real const rate = rates(slot);
        sums.empty = RealOps<Real>::multiply_add(rate, Real(fit.empty[slot]), sums.empty);
        detail::add_quadratic(fit.start, fit.n_slots, n_pulls, slot, rate, sums.start);
    }
    for (int k = 0; k < fit.n_gaussian; ++k)
    {
        int const slot = fit.gaussian_slot[k];
        detail::add_quadratic(fit.gaussian, fit.n_slots, n_pulls, slot, rates(slot), sums.gaussian);
    }
}

/// Minimum of chi^2 for a signal given by \p rates (a function of the slot, in units of c) and its sums.
/// \param counted       `fit.counted`, or a copy of it in faster memory
/// \param inverse_unit  1/c
/// \param active        lanes to work on
template<int n_static, class Real, class Rates>
NUSCAN_HD_INLINE Profile<n_static, Real> profile(FitView const& fit, CountedBins const& counted, Rates const& rates,
                                                 SignalSums<n_static, Real> const& sums, Real inverse_unit, MaskOf<Real> active)
{
    detail::Minimiser<n_static, Real, Rates> minimiser(fit, counted, rates, sums, inverse_unit);
    Profile<n_static, Real> result;
    result.iterations = 0;
    result.converged = active;
    if (fit.fix_pulls)
        minimiser.set_nominal();
    else
    {
        minimiser.start();
        if (fit.has_poisson)
            result.converged = minimiser.iterate(active, result.iterations);
    }
    result.chi2 = minimiser.chi2();
    result.finite = active && (RealOps<Real>::is_finite(result.chi2) || !result.converged);
    result.signal_scale = minimiser.signal_scale();
    for (int p = 0; p < minimiser.n_pulls(); ++p)
        result.pulls[p] = minimiser.value(p);
    return result;
}

namespace detail
{

template<int n_static>
NUSCAN_HD inline FitResult profile_rates(FitView const& fit, double const* rates)
{
    double total = 0.0;
    for (int slot = 0; slot < fit.n_slots; ++slot)
        total += fit.used[slot] * std::fabs(rates[slot]);
    double const unit = signal_scale_unit(fit, total);
    ScaledRates const scaled{rates, 1.0 / unit};
    SignalSums<n_static, double> sums;
    add_up_signal(fit, scaled, sums);
    auto const profile_of_point = profile(fit, fit.counted, scaled, sums, scaled.inverse_unit, std::isfinite(total));
    FitResult result;
    result.iterations = profile_of_point.iterations;
    result.status = point_status(profile_of_point.finite, profile_of_point.converged);
    bool const ok = result.status == PointStatus::ok;
    result.chi2 = ok ? profile_of_point.chi2 : NAN;
    result.signal_scale = ok ? profile_of_point.signal_scale : NAN;
    for (int p = 0; p < fit.n_pulls; ++p)
        result.pulls[p] = ok ? profile_of_point.pulls[p] : NAN;
    return result;
}

} // namespace detail

/// chi^2 of one point, minimised. A point without result is NaN in every number.
/// \param rates  [n_slots] signal before pulls, R
NUSCAN_HD inline FitResult profile_chi2(FitView const& fit, double const* rates)
{
    switch (fit.n_pulls)
    {
    case 0:
        return detail::profile_rates<0>(fit, rates);
    case 1:
        return detail::profile_rates<1>(fit, rates);
    case 2:
        return detail::profile_rates<2>(fit, rates);
    case 3:
        return detail::profile_rates<3>(fit, rates);
    default:
        return detail::profile_rates<-1>(fit, rates);
    }
}

} // namespace nuscan
