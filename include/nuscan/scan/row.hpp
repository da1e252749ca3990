/// \file
/// Rows: neighbours along the fastest axis of a grid, a coupling. Everything else is the same for all points of a row, so that a bin's
/// rate is a polynomial of degree 2 in one strength z however many axes there are, and the minimum of one point leads to its
/// neighbour's.
#pragma once

#include <cstddef>

#include "nuscan/core/macros.hpp"
#include "nuscan/core/real.hpp"
#include "nuscan/scan/factored.hpp"
#include "nuscan/stats/chi2.hpp"

namespace nuscan
{

/// The sum over counted bins of n_i ln q_i as few logarithms: n_i is written as a sum of weights (powers of 2, and what is left of a
/// data value that is no whole number), and bins of one weight share the logarithm of the product of their q_i.
struct LogFactors
{
    int n = 0;                      ///< number of products
    double const* weight = nullptr; ///< [n]
    int const* first = nullptr;     ///< [n + 1] places of a product's bins in `bin`
    int const* bin = nullptr;       ///< counted bins
};

/// Bins that share a product at most: with quotients between 1e-15 and 1e15 none leaves the range of a double.
inline constexpr int max_log_factors = 16;

/// What the points of a row share.
struct RowView
{
    FactoredLayout layout;         ///< of the monomials 1, z, z^2
    double const* block = nullptr; ///< [layout.size()] templates and sums, as of any combination of masses

    /// The counted bins, in units of their data n: T_0/n, T_1/n, T_2/n, base/n, n, t_p/n for every pull, t_p t_q/n^2 for q <= p.
    double const* bins = nullptr;      ///< [fit.counted.n][record]
    double rate[3] = {};               ///< sums of T_0, T_1, T_2 over the counted bins
    double excess = 0.0;               ///< sum of base - n over them
    double const* templates = nullptr; ///< [n_pulls] sums of t_p over them
    LogFactors logs;

    /// Sums over the Gaussian bins of a fit that has both kinds, by powers of z: sum_i w_i (base_i - n_i) T_d, sum_i w_i T_d T_e
    /// (e <= d, twice that for e < d), and sum_i w_i t_p T_d.
    double gaussian_residual[3] = {};
    double gaussian_square[6] = {};
    double const* gaussian_pull = nullptr; ///< [n_pulls][3]

    /// Length of a bin's record.
    NUSCAN_HD static constexpr int record(int n_pulls) { return 5 + n_pulls + n_pulls * (n_pulls + 1) / 2; }
};

/// Squared Newton decrement of chi^2/2, in units of a standard self-concordant function, below which a point of a row is done: with
/// the decrement l, the minimum lies l^2/2 below up to l^3/3, that is 7e-13 of chi^2.
inline constexpr double row_tolerance = 1e-8;
/// Steps that a point of a row gets before it is left to the general minimisation.
inline constexpr int max_row_steps = 12;

namespace detail
{

/// Minimisation for points of a row in a fit with Poisson bins. Data, gradient and Hessian come from one visit to each bin; chi^2 at
/// the minimum follows from chi^2 before the last step and the quadratic model of that step.
template<int n_static, class Real>
class RowMinimiser : private Minimiser<n_static, Real, RatesInMemory<Real>>
{
    using Base = Minimiser<n_static, Real, RatesInMemory<Real>>;

public:
    using Base::capacity;
    using typename Base::Mask;
    using typename Base::Ops;
    using typename Base::Sums;

    /// \param monomials  1, z, z^2 in units of c
    /// \param quotients  room for [fit.counted.n]
    NUSCAN_HD_INLINE RowMinimiser(FitView const& fit, RowView const& row, RatesInMemory<Real> const& no_rates, Sums const& sums,
                                  Real inverse_unit, Real const* monomials, Real* quotients)
        : Base(fit, fit.counted, no_rates, sums, inverse_unit)
        , row_(row)
        , monomials_(monomials)
        , quotients_(quotients)
    {
        rate_ = monomials[0] * row.rate[0];
        for (int d = 1; d < 3; ++d)
            rate_ = Ops::multiply_add(monomials[d], Real(row.rate[d]), rate_);
    }

    /// \param guess  values of the unknowns to begin with, or null
    /// \param left   receives the lanes without a result here: for the general minimisation
    NUSCAN_HD_INLINE Profile<n_static, Real> minimise(Mask active, Real const* guess, Mask& left)
    {
        Profile<n_static, Real> result;
        result.chi2 = 0.0;
        left = !active;
        for (int a = 0; a <= n(); ++a)
            minimum_[a] = 0.0;
        bool may_restart = guess != nullptr;
        if (guess == nullptr)
            Base::start();
        else
            for (int a = 0; a <= n(); ++a)
                x_[a] = guess[a];
        x_[n()] = Ops::select(x_[n()] > 0.0, x_[n()], Real(0.0));
        for (int steps = 0; steps < max_row_steps && Ops::any(active); ++steps)
        {
            Mask const inside = build();
            Real const decrement_squared = Base::solve() * (fit_.concordance * fit_.concordance);
            Mask const lost = active && !(inside && decrement_squared < line_search_decrement * line_search_decrement);
            active = advance(active && !lost, decrement_squared, result.chi2);
            if (Ops::any(lost) && may_restart)
            {
                // A guess that leads nowhere costs its lane one step.
                restart(lost);
                active = active || lost;
            }
            else
                left = left || lost;
            may_restart = false;
        }
        left = left || active || result.chi2 != result.chi2;
        result.signal_scale = minimum_[n()] * inverse_unit_;
        for (int p = 0; p < n(); ++p)
            result.pulls[p] = minimum_[p];
        result.finite = !left;
        result.converged = result.finite;
        result.iterations = 0;
        return result;
    }

    /// Unknown \p a (a pull, or the signal last) at the minimum.
    NUSCAN_HD_INLINE Real minimum(int a) const { return minimum_[a]; }

private:
    using Base::fit_;
    using Base::gradient_;
    using Base::hessian_;
    using Base::inverse_unit_;
    using Base::n;
    using Base::step_;
    using Base::sums_;
    using Base::x_;

    /// The lanes \p lost begin anew at the minimum of the quadratic form.
    NUSCAN_HD_INLINE void restart(Mask lost)
    {
        Real keep[capacity];
        for (int a = 0; a <= n(); ++a)
            keep[a] = x_[a];
        Base::start();
        for (int a = 0; a <= n(); ++a)
            x_[a] = Ops::select(lost, x_[a], keep[a]);
    }

    /// A step of the lanes \p moving; those that arrive with it get their result. \returns the others
    NUSCAN_HD_INLINE Mask advance(Mask moving, Real decrement_squared, Real& chi2)
    {
        Mask const last = moving && decrement_squared < row_tolerance;
        if (Ops::any(last))
        {
            chi2 = Ops::select(last, chi2_after_step(), chi2);
            for (int a = 0; a <= n(); ++a)
                minimum_[a] = Ops::select(last, x_[a] + step_[a], minimum_[a]);
        }
        Mask const on = moving && !last;
        if (!Ops::any(on))
            return on;
        Real const decrement = Ops::sqrt(decrement_squared);
        Real const length = Ops::select(decrement < full_step_decrement, Real(1.0),
                                        (1.0 + decrement) / (1.0 + decrement + decrement_squared));
        for (int a = 0; a <= n(); ++a)
            x_[a] = Ops::select(on, Ops::multiply_add(length, step_[a], x_[a]), x_[a]);
        return on;
    }

    /// Gradient and Hessian of chi^2/2. \returns the lanes whose counted bins all have a positive prediction
    NUSCAN_HD_INLINE Mask build()
    {
        Base::set_smooth_part();
        // Copies that no store of a quotient can reach: they stay in registers.
        int const bins = fit_.counted.n;
        Real* const quotients = quotients_;
        Real const monomial[3] = {monomials_[0], monomials_[1], monomials_[2]};
        Real x[capacity];
        // sum_i (n_i/q_i) times the shapes in units of the data: the gradient is what their plain sums are above it.
        Real weighted[capacity];
        Real hessian[capacity][capacity];
        for (int a = 0; a <= n(); ++a)
        {
            x[a] = x_[a];
            weighted[a] = 0.0;
            for (int b = 0; b <= a; ++b)
                hessian[a][b] = hessian_[a][b];
        }
        Real lowest = HUGE_VAL;
        double const* bin = row_.bins;
        for (int k = 0; k < bins; ++k, bin += RowView::record(n()))
        {
            double const* const templates = bin + 5;
            double const* const products = templates + n();
            Real const rate = Ops::multiply_add(monomial[2], Real(bin[2]),
                                                Ops::multiply_add(monomial[1], Real(bin[1]), monomial[0] * bin[0]));
            Real quotient = Ops::multiply_add(x[n()], rate, Real(bin[3]));
            for (int p = 0; p < n(); ++p)
                quotient = Ops::multiply_add(x[p], Real(templates[p]), quotient);
            quotients[k] = quotient;
            lowest = Ops::min(quotient, lowest);
            Real const inverse = 1.0 / quotient;
            Real const ratio = bin[4] * inverse;
            Real const curvature = ratio * inverse;
            Real const rate_curvature = curvature * rate;
            weighted[n()] = Ops::multiply_add(ratio, rate, weighted[n()]);
            hessian[n()][n()] = Ops::multiply_add(rate_curvature, rate, hessian[n()][n()]);
            int pair = 0;
            for (int p = 0; p < n(); ++p)
            {
                weighted[p] = Ops::multiply_add(ratio, Real(templates[p]), weighted[p]);
                hessian[n()][p] = Ops::multiply_add(rate_curvature, Real(templates[p]), hessian[n()][p]);
                for (int q = 0; q <= p; ++q, ++pair)
                    hessian[p][q] = Ops::multiply_add(curvature, Real(products[pair]), hessian[p][q]);
            }
        }
        gradient_[n()] += rate_ - weighted[n()];
        for (int p = 0; p < n(); ++p)
            gradient_[p] += row_.templates[p] - weighted[p];
        for (int a = 0; a <= n(); ++a)
            for (int b = 0; b <= a; ++b)
                hessian_[a][b] = hessian[a][b];
        return lowest > 0.0;
    }

    /// chi^2 at the end of a full step; NaN where a product left the range of its type.
    NUSCAN_HD_INLINE Real chi2_after_step() const
    {
        Real half = row_.excess + fit_.empty_base + x_[n()] * (rate_ + sums_.empty);
        for (int p = 0; p < n(); ++p)
            half = Ops::multiply_add(x_[p], Real(row_.templates[p] + fit_.empty_templates[p]), half);
        LogFactors const& logs = row_.logs;
        for (int g = 0; g < logs.n; ++g)
        {
            Real product = quotients_[logs.bin[logs.first[g]]];
            for (int j = logs.first[g] + 1; j < logs.first[g + 1]; ++j)
                product *= quotients_[logs.bin[j]];
            // Below the normal numbers a product has lost digits.
            product = Ops::select(product > least_product, product, Real(NAN));
            half = Ops::multiply_add(Real(-logs.weight[g]), Ops::log(product), half);
        }
        for (int a = 0; a <= n(); ++a)
        {
            Real slope = gradient_[a];
            for (int b = 0; b <= n(); ++b)
                slope = Ops::multiply_add(b <= a ? hessian_[a][b] : hessian_[b][a], 0.5 * step_[b], slope);
            half = Ops::multiply_add(step_[a], slope, half);
        }
        return Ops::multiply_add(Real(2.0), half, Base::quadratic_chi2());
    }

    static constexpr double least_product = 1e-290;

    RowView const& row_;
    Real const* monomials_;
    Real* quotients_;
    Real rate_; ///< sum over the counted bins
    Real minimum_[capacity];
};

} // namespace detail

/// Points of a row, side by side. \p Block as in FactoredPoints, for `RowView::block`.
template<int static_pulls, class Real, class Block>
class RowPoints : public FactoredPoints<3, static_pulls, Real, Block>
{
    using Base = FactoredPoints<3, static_pulls, Real, Block>;

public:
    using typename Base::Mask;
    using typename Base::Ops;

    /// \param monomials  1, z, z^2
    NUSCAN_HD_INLINE RowPoints(FitView const& fit, RowView const& row, Block const& block, Real const* monomials)
        : Base(fit, fit.counted, row.layout, block, monomials)
        , row_(row)
    {
    }

    /// Minimum of chi^2 in a fit with Poisson bins.
    /// \param guessed    true if \p unknowns hold values to begin with
    /// \param unknowns   [n_pulls + 1] pulls and, last, the signal in units of c; receives those of the minimum
    /// \param quotients  room for [fit.counted.n]
    /// \param left       receives the lanes without a result here: for the general minimisation
    NUSCAN_HD_INLINE Profile<static_pulls, Real> minimise(bool guessed, Real* unknowns, Real* quotients, Mask& left)
    {
        if (fit_.n_gaussian > 0)
            add_up_gaussian();
        RatesInMemory<Real> const none{nullptr};
        detail::RowMinimiser<static_pulls, Real> minimiser(fit_, row_, none, sums_, inverse_unit_, monomials_, quotients);
        auto result = minimiser.minimise(finite_, guessed ? unknowns : nullptr, left);
        for (int a = 0; a <= n_pulls(); ++a)
            unknowns[a] = minimiser.minimum(a);
        if (fit_.n_gaussian > 0)
        {
            left = left || !gaussian_is_accurate(unknowns, result.chi2);
            result.finite = !left;
        }
        return result;
    }

private:
    using Base::finite_;
    using Base::fit_;
    using Base::inverse_unit_;
    using Base::monomials_;
    using Base::n_pulls;
    using Base::sums_;

    NUSCAN_HD_INLINE void add_up_gaussian()
    {
        for (int d = 0; d < 3; ++d)
        {
            sums_.gaussian.residual = Ops::multiply_add(monomials_[d], Real(row_.gaussian_residual[d]), sums_.gaussian.residual);
            Real row = 0.0;
            for (int e = 0; e <= d; ++e)
                row = Ops::multiply_add(monomials_[e], Real(row_.gaussian_square[d * (d + 1) / 2 + e]), row);
            sums_.gaussian.square = Ops::multiply_add(monomials_[d], row, sums_.gaussian.square);
            for (int p = 0; p < n_pulls(); ++p)
                sums_.gaussian.pull[p] = Ops::multiply_add(monomials_[d], Real(row_.gaussian_pull[3 * p + d]),
                                                           sums_.gaussian.pull[p]);
        }
    }

    /// True where the sums above lose no more digits than chi^2 has to spare, by the Cauchy-Schwarz inequality.
    NUSCAN_HD_INLINE Mask gaussian_is_accurate(Real const* unknowns, Real chi2) const
    {
        Real signal = 0.0;
        for (int d = 0; d < 3; ++d)
            signal = Ops::multiply_add(Ops::abs(monomials_[d]), Real(std::sqrt(row_.gaussian_square[d * (d + 1) / 2 + d])), signal);
        Real size = Ops::multiply_add(unknowns[n_pulls()], signal, Real(std::sqrt(fit_.gaussian.constant)));
        for (int p = 0; p < n_pulls(); ++p)
            size = Ops::multiply_add(Ops::abs(unknowns[p]), Real(std::sqrt(fit_.gaussian.hessian[p * n_pulls() + p])), size);
        double const rounding = 1.1e-16 * fit_.n_slots;
        return size * size * rounding <= closed_form_tolerance * (1.0 + chi2);
    }

    RowView const& row_;
};

} // namespace nuscan
