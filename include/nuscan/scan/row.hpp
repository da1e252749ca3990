/// \file
/// Rows: neighbours along the fastest axis of a grid, a coupling. Everything else is the same for all points of a row, so that a bin's
/// rate is a polynomial of degree 2 in one strength z however many axes there are, and the minimum of one point leads to its
/// neighbour's.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "nuscan/core/macros.hpp"
#include "nuscan/core/real.hpp"
#include "nuscan/scan/factored.hpp"
#include "nuscan/stats/chi2.hpp"

namespace nuscan
{

/// The sum over counted bins of n_i ln q_i with few logarithms. With the bins in the order of falling data it is a sum over the
/// different data values v > v' > ... > 0 of (v - v') ln R, where R is the product of all q_i with n_i >= v: one running product.
struct LogLevels
{
    int n = 0;                      ///< number of different data values
    double const* weight = nullptr; ///< [n] v - v', where v' is the next data value, 0 after the last
    /// [n] the weight, where R to its power is a few multiplications; 0 where R gets a logarithm of its own.
    int const* power = nullptr;
    int const* end = nullptr; ///< [n] number of bins with n_i >= v
    bool simple = false;      ///< all weights are powers, and no level has more than max_log_factors bins
};

/// Points with a quotient q below this, or where one might be above its inverse, are left to the general minimisation.
inline constexpr double least_quotient = 1e-9;
/// Factors that are multiplied before the exponent is taken out of a product, or looked at: they change it by up to 1e144.
inline constexpr int max_log_factors = 16;
/// Largest weight that becomes a power.
inline constexpr int max_log_power = 8;
/// Powers in one product at most: of factors between sqrt(1/2) and sqrt(2) it stays in the range of a double.
inline constexpr int max_log_powers = 1024;

/// What the points of a row share.
struct RowView
{
    FactoredLayout layout;         ///< of the monomials 1, z, z^2
    double const* block = nullptr; ///< [layout.size()] templates and sums, as of any combination of masses

    /// The counted bins in the order of falling data n, in units of n: T_0/n, T_1/n, T_2/n, sqrt(n), rest/n, t_p/n for every pull,
    /// t_p t_q/n^2 for q <= p. The rest is base - sum_p t_p, where `spanned` is false.
    double const* bins = nullptr; ///< [fit.counted.n][record]
    /// True if the pulls scale all there is beside the signal, base = sum_p t_p: gradients then follow from the Hessian, see
    /// RowMinimiser.
    bool spanned = false;
    double rate[3] = {}; ///< sums of T_0, T_1, T_2 over the counted bins
    double excess = 0.0; ///< sum of base - n over them
    double data = 0.0;   ///< sum of n over them
    /// False where products of quotients would lose more digits than chi^2 has to spare: bins are then added up one by one.
    bool by_products = true;
    double largest_inverse = 0.0;      ///< largest 1/n
    double const* templates = nullptr; ///< [n_pulls] sums of t_p over them
    LogLevels logs;

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
/// Newton decrement above which a point of a row is left to the general minimisation, which searches along its steps. A point that goes on
/// from its neighbours' minima begins anew without them above line_search_decrement already.
inline constexpr double row_far_decrement = 10.0;
/// Steps that a point of a row gets before it is left to the general minimisation.
inline constexpr int max_row_steps = 12;
/// Size up to which chi^2 comes from products and sums over bins, the sum of what is larger in each bin, data or background: they round at
/// that size, in tests by up to 3e-15 of it, while single bins round at the size of their own chi^2.
inline constexpr double max_summed_size = 1e4;

/// Points of a row that are worked off together. The same for every instruction set, so that each point has the same history.
inline constexpr int row_block_size = 8;

/// Continues a block of points into the next: the value of the polynomial through all points of a block, sum_j w_ij v_j with
/// w_ij = prod_(k != j) (8 + i - k)/(j - k), at point i of the next.
struct ExtrapolationWeights
{
    double of[row_block_size][row_block_size]; ///< [j][i]

    consteval ExtrapolationWeights() : of{}
    {
        for (int j = 0; j < row_block_size; ++j)
            for (int i = 0; i < row_block_size; ++i)
            {
                of[j][i] = 1.0;
                for (int k = 0; k < row_block_size; ++k)
                    if (k != j)
                        of[j][i] *= static_cast<double>(row_block_size + i - k) / (j - k);
            }
    }
};

namespace detail
{

inline constexpr double ln_2 = 0x1.62e42fefa39efp-1;

/// Calls \p work with 0 ... n - 1; as constants where \p n_static says how many, so that arrays indexed with them end in registers.
template<int n_static, class Work>
NUSCAN_HD_INLINE void for_each_below(int n, Work const& work)
{
    if constexpr (n_static < 0)
        for (int i = 0; i < n; ++i)
            work(i);
    else
    {
        auto const all = [&work]<int... i>(std::integer_sequence<int, i...>)
        {
            (work(std::integral_constant<int, i>{}), ...);
        };
        all(std::make_integer_sequence<int, n_static>{});
    }
}

/// Calls \p work with 0 ... last, as constants if \p last is one.
template<class Index, class Work>
NUSCAN_HD_INLINE void for_each_up_to(Index last, Work const& work)
{
    if constexpr (std::is_same_v<Index, int>)
        for_each_below<-1>(last + 1, work);
    else
        for_each_below<Index::value + 1>(0, work);
}

/// Sums over the counted bins of a row with the predictions mu = n q: of (n/q^2) s_a s_b, with the shapes s in units of the data (the
/// pulls' templates and, last, the rate), and of (n/q^2) s_a rest where there is a rest.
template<int n_static, class Real>
struct RowSums
{
    static constexpr std::size_t capacity = pull_capacity<n_static> + 1;
    Real square[capacity][capacity]; ///< lower triangle
    Real rest[capacity];
    Real lowest; ///< of all q
};

/// Signal of a bin of a row. \param bin  its record
template<class Real>
NUSCAN_HD_INLINE Real row_rate(double const* bin, Real strength)
{
    using Ops = RealOps<Real>;
    return Ops::multiply_add(strength, Ops::multiply_add(strength, Real(bin[2]), Real(bin[1])), Real(bin[0]));
}

/// Prediction of a bin of a row. \param y  [n_pulls + 1] coefficients of the shapes
template<int n_static, bool spanned, class Real>
NUSCAN_HD_INLINE Real row_quotient(double const* bin, int n_pulls, Real const* y, Real rate)
{
    using Ops = RealOps<Real>;
    Real quotient = spanned ? y[n_pulls] * rate : Ops::multiply_add(y[n_pulls], rate, Real(bin[4]));
    for_each_below<n_static>(n_pulls, [&](auto p) { quotient = Ops::multiply_add(y[p], Real(bin[5 + p]), quotient); });
    return quotient;
}

/// The same in any row.
template<int n_static, class Real>
NUSCAN_HD_INLINE Real row_quotient(RowView const& row, double const* bin, int n_pulls, Real const* y, Real rate)
{
    return row.spanned ? row_quotient<n_static, true>(bin, n_pulls, y, rate) : row_quotient<n_static, false>(bin, n_pulls, y, rate);
}

/// Fills in \p sums. Everything that changes from bin to bin is meant to stay in registers: no function that this one is merged into
/// takes any of them. \param strength  z  \param y  [n_pulls + 1] coefficients of the shapes  \param products  receives the products of
/// the first 1, 2, ... quotients q
template<int n_static, bool spanned, class Real>
NUSCAN_NOINLINE NUSCAN_HD void add_up_row(RowView const& row, int n_bins, int n_pulls, Real strength, Real const* y, Real* products,
                                          RowSums<n_static, Real>& sums)
{
    using Ops = RealOps<Real>;
    constexpr std::size_t capacity = RowSums<n_static, Real>::capacity;
    // A constant where the number of pulls is one.
    auto const pulls = [&](auto const& work) { for_each_below<n_static>(n_pulls, work); };
    constexpr int n_unknowns = n_static < 0 ? -1 : n_static + 1;
    auto const unknowns = [&](auto const& work) { for_each_below<n_unknowns>(n_pulls + 1, work); };
    int const n = n_static < 0 ? n_pulls : n_static;
    Real square[capacity][capacity];
    Real rest[capacity];
    Real x[capacity];
    unknowns([&](auto a) {
        x[a] = y[a];
        rest[a] = 0.0;
        for_each_up_to(a, [&](auto b) { square[a][b] = 0.0; });
    });
    Real lowest = HUGE_VAL;
    Real product = 1.0;
    double const* bin = row.bins;
    for (int k = 0; k < n_bins; ++k, bin += RowView::record(n))
    {
        double const* const templates = bin + 5;
        double const* const pairs = templates + n;
        Real const rate = row_rate(bin, strength);
        Real const quotient = row_quotient<n_static, spanned>(bin, n, x, rate);
        product *= quotient;
        products[k] = product;
        lowest = Ops::min(quotient, lowest);
        Real const root = bin[3] / quotient;
        Real const curvature = root * root;
        Real const rate_curvature = curvature * rate;
        square[n][n] = Ops::multiply_add(rate_curvature, rate, square[n][n]);
        pulls([&](auto p) {
            square[n][p] = Ops::multiply_add(rate_curvature, Real(templates[p]), square[n][p]);
            for_each_up_to(
                p, [&](auto q) { square[p][q] = Ops::multiply_add(curvature, Real(pairs[p * (p + 1) / 2 + q]), square[p][q]); });
        });
        if constexpr (!spanned)
        {
            Real const rest_curvature = curvature * bin[4];
            pulls([&](auto p) { rest[p] = Ops::multiply_add(rest_curvature, Real(templates[p]), rest[p]); });
            rest[n] = Ops::multiply_add(rest_curvature, rate, rest[n]);
        }
    }
    unknowns([&](auto a) {
        sums.rest[a] = rest[a];
        for_each_up_to(a, [&](auto b) { sums.square[a][b] = square[a][b]; });
    });
    sums.lowest = lowest;
}

/// The sum of LogLevels for quotients between least_quotient and its inverse: exponents are taken out of the products on the way.
/// \param y  [n_pulls + 1] coefficients of the shapes
template<int n_static, class Real>
NUSCAN_NOINLINE NUSCAN_HD Real sum_of_any_logarithms(RowView const& row, int n_pulls, Real strength, Real const* y)
{
    using Ops = RealOps<Real>;
    LogLevels const& logs = row.logs;
    Real product = 1.0;
    Real exponent = 0.0;
    Real powers = 1.0; // all R^(v - v') but for their exponents
    Real powers_exponent = 0.0;
    Real sum = 0.0;
    double const* bin = row.bins;
    int k = 0;
    for (int level = 0; level < logs.n; ++level)
    {
        while (k < logs.end[level])
        {
            int const last = logs.end[level] - k > max_log_factors ? k + max_log_factors : logs.end[level];
            for (; k < last; ++k, bin += RowView::record(n_pulls))
                product *= row_quotient<n_static>(row, bin, n_pulls, y, row_rate(bin, strength));
            product = Ops::take_exponent(product, exponent);
        }
        powers_exponent = Ops::multiply_add(exponent, Real(logs.weight[level]), powers_exponent);
        for (int j = 0; j < logs.power[level]; ++j)
            powers *= product;
        if (logs.power[level] == 0)
            sum = Ops::multiply_add(Real(logs.weight[level]), Ops::log(product), sum);
    }
    powers = Ops::take_exponent(powers, powers_exponent);
    return Ops::multiply_add(powers_exponent, Real(ln_2), sum + Ops::log(powers));
}

/// sum_i n_i ((q_i - 1) - ln q_i) bin by bin: the rounding error of q has no first-order effect near q = 1.
/// \param y  [n_pulls + 1] coefficients of the shapes
template<int n_static, class Real>
NUSCAN_NOINLINE NUSCAN_HD Real sum_of_deviations(RowView const& row, int n_bins, int n_pulls, Real strength, Real const* y)
{
    using Ops = RealOps<Real>;
    Real sum = 0.0;
    double const* bin = row.bins;
    for (int k = 0; k < n_bins; ++k, bin += RowView::record(n_pulls))
    {
        Real const quotient = row_quotient<n_static>(row, bin, n_pulls, y, row_rate(bin, strength));
        sum = Ops::multiply_add(Real(bin[3] * bin[3]), (quotient - 1.0) - Ops::log(quotient), sum);
    }
    return sum;
}

/// The sum of LogLevels from the products of the first 1, 2, ... quotients, with exponents left in all products: powers of 2 are exact,
/// and the result has the same bits. \param in_range  receives false in lanes where a product came near the limits of a double
template<class Real>
NUSCAN_HD_INLINE Real sum_of_logarithms(LogLevels const& logs, Real const* products, MaskOf<Real>& in_range)
{
    using Ops = RealOps<Real>;
    // Where two successive products of powers are in this range, R is between 1e-140 and 1e140, and what led to it between 1e-284 and
    // 1e284.
    constexpr double largest = 1e70;
    Real powers = 1.0;
    Real lowest = 1.0;
    Real highest = 1.0;
    for (int level = 0; level < logs.n; ++level)
    {
        Real const product = products[logs.end[level] - 1];
        for (int j = 0; j < logs.power[level]; ++j)
            powers *= product;
        lowest = Ops::min(powers, lowest);
        highest = Ops::min(-powers, highest);
    }
    in_range = lowest > 1.0 / largest && highest > -largest && powers == powers;
    Real exponent = 0.0;
    powers = Ops::take_exponent(powers, exponent);
    return Ops::multiply_add(exponent, Real(ln_2), Ops::log(powers));
}

/// Minimisation for points of a row in a fit with Poisson bins. Data, gradient and Hessian come from one visit to each bin. The
/// gradient's part sum_i (n_i/q_i) s_ai costs nothing: q is a sum of shapes, q = sum_b y_b s_b (+ rest), so that it is
/// sum_b y_b sum_i (n_i/q_i^2) s_ai s_bi, sums that the Hessian needs anyway. Their rounding is that of a relative error of the y, and
/// so is that of the step. chi^2 at the minimum follows from chi^2 before the last step and the quadratic model of that step.
template<int n_static, class Real>
class RowMinimiser : private Minimiser<n_static, Real, RatesInMemory<Real>>
{
    using Base = Minimiser<n_static, Real, RatesInMemory<Real>>;

public:
    using Base::capacity;
    using typename Base::Mask;
    using typename Base::Ops;
    using typename Base::Sums;

    /// \param strength   z
    /// \param monomials  1, z, z^2 in units of c
    /// \param products   room for [fit.counted.n]
    NUSCAN_HD_INLINE RowMinimiser(FitView const& fit, RowView const& row, RatesInMemory<Real> const& no_rates, Sums const& sums,
                                  Real inverse_unit, Real strength, Real const* monomials, Real* products)
        : Base(fit, fit.counted, no_rates, sums, inverse_unit)
        , row_(row)
        , strength_(strength)
        , products_(products)
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
            double const far = may_restart ? line_search_decrement : row_far_decrement;
            Mask const lost = active && !(inside && decrement_squared < far * far);
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
        left = left || active || !Ops::is_finite(result.chi2);
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
        Real* const y = y_;
        for (int p = 0; p < n(); ++p)
            y[p] = row_.spanned ? x_[p] + 1.0 : x_[p];
        // Rates come without the unit c: it is in the signal.
        y[n()] = x_[n()] * inverse_unit_;
        RowSums<n_static, Real> sums;
        if (row_.spanned)
            add_up_row<n_static, true>(row_, fit_.counted.n, n(), strength_, y, products_, sums);
        else
            add_up_row<n_static, false>(row_, fit_.counted.n, n(), strength_, y, products_, sums);
        for (int a = 0; a <= n(); ++a)
        {
            Real weighted = sums.rest[a];
            for (int b = 0; b <= n(); ++b)
                weighted = Ops::multiply_add(y[b], b <= a ? sums.square[a][b] : sums.square[b][a], weighted);
            gradient_[a] += a < n() ? row_.templates[a] - weighted : Ops::multiply_add(-inverse_unit_, weighted, rate_);
            for (int b = 0; b <= a; ++b)
                hessian_[a][b] += a < n()   ? sums.square[a][b]
                                  : b < n() ? inverse_unit_ * sums.square[a][b]
                                            : inverse_unit_ * (inverse_unit_ * sums.square[a][b]);
        }
        lowest_ = sums.lowest;
        return lowest_ > 0.0;
    }

    /// chi^2 at the end of a full step; NaN where a quotient is too small or too large.
    NUSCAN_HD_INLINE Real chi2_after_step() const
    {
        Real counted = Ops::multiply_add(x_[n()], rate_, Real(row_.excess)); // sum of mu - n over the counted bins
        Real half = Ops::multiply_add(x_[n()], sums_.empty, Real(fit_.empty_base));
        for (int p = 0; p < n(); ++p)
        {
            counted = Ops::multiply_add(x_[p], Real(row_.templates[p]), counted);
            half = Ops::multiply_add(x_[p], Real(fit_.empty_templates[p]), half);
        }
        if (row_.by_products)
        {
            // No positive prediction is larger than the sum of all.
            Mask const in_range = lowest_ > least_quotient && (counted + row_.data) * row_.largest_inverse < 1.0 / least_quotient;
            half = Ops::select(in_range, half + (counted - sum_of_logarithms()), Real(NAN));
        }
        else
            half += sum_of_deviations<n_static>(row_, fit_.counted.n, n(), strength_, y_);
        for (int a = 0; a <= n(); ++a)
        {
            Real slope = gradient_[a];
            for (int b = 0; b <= n(); ++b)
                slope = Ops::multiply_add(b <= a ? hessian_[a][b] : hessian_[b][a], 0.5 * step_[b], slope);
            half = Ops::multiply_add(step_[a], slope, half);
        }
        return Ops::multiply_add(Real(2.0), half, Base::quadratic_chi2());
    }

    /// sum_i n_i ln q_i where the last visit to the bins was.
    NUSCAN_HD_INLINE Real sum_of_logarithms() const
    {
        if (row_.logs.simple)
        {
            Mask in_range = strength_ == strength_;
            Real const sum = detail::sum_of_logarithms(row_.logs, products_, in_range);
            if (Ops::all(in_range))
                return sum;
        }
        return sum_of_any_logarithms<n_static>(row_, n(), strength_, y_);
    }

    RowView const& row_;
    Real strength_;
    Real* products_;
    Real y_[capacity]; ///< coefficients of the shapes at the last visit to the bins
    Real lowest_;      ///< quotient there
    Real rate_;        ///< sum over the counted bins
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
        , strength_(monomials[1])
    {
    }

    /// Minimum of chi^2 in a fit with Poisson bins.
    /// \param guessed    true if \p unknowns hold values to begin with
    /// \param unknowns   [n_pulls + 1] pulls and, last, the signal in units of c; receives those of the minimum
    /// \param products   room for [fit.counted.n]
    /// \param left       receives the lanes without a result here: for the general minimisation
    NUSCAN_HD_INLINE Profile<static_pulls, Real> minimise(bool guessed, Real* unknowns, Real* products, Mask& left)
    {
        if (fit_.n_gaussian > 0)
            add_up_gaussian();
        RatesInMemory<Real> const none{nullptr};
        detail::RowMinimiser<static_pulls, Real> minimiser(fit_, row_, none, sums_, inverse_unit_, strength_, monomials_, products);
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
    Real strength_;
};

} // namespace nuscan
