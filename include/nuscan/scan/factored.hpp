/// \file
/// The factored route: at fixed masses a bin's rate is a polynomial of degree 2 in the scanned strengths.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "nuscan/detector/experiment.hpp"
#include "nuscan/stats/chi2.hpp"

namespace nuscan
{

/// Largest number of scanned couplings (one per axis at most).
inline constexpr int max_variables = 4;
inline constexpr int max_monomials = 1 + max_variables + max_variables * (max_variables + 1) / 2;

/// Above this ratio of sum |terms| to |sum| the factored route loses too many digits and a point takes the direct one.
inline constexpr double cancellation_limit = 1e4;
/// Status inside a backend of a point that has to take it; no such status leaves a backend.
inline constexpr std::uint8_t wants_direct_route = 255;
/// Bound on the rounding error of the closed form of Gaussian data, relative to 1 + chi^2; beyond it bins are added up one by one.
inline constexpr double closed_form_tolerance = 1e-11;

/// The monomials 1, z_a, z_a z_b that a scan needs; incoherent strengths have no products. As constructed: the constant alone.
struct MonomialBasis
{
    int n_variables = 0;
    int n_monomials = 1;
    StrengthDirection direction[max_variables];
    int first[max_monomials] = {-1};  ///< variable of a linear or quadratic monomial, -1 for the constant
    int second[max_monomials] = {-1}; ///< second variable of a quadratic one, else -1
};

/// True for interactions that enter as amplitudes.
struct IsCoherent
{
    int interaction;
    bool result = false;

    template<class Interaction, int index>
    NUSCAN_HD void operator()()
    {
        if (interaction == index)
            result = Interaction::channel != Channel::incoherent;
    }
};

NUSCAN_HD inline bool is_coherent(int interaction)
{
    IsCoherent query{interaction};
    for_each_interaction(query);
    return query.result;
}

/// Basis for the given strength directions: constant, linear terms, then products of amplitudes.
inline MonomialBasis make_monomial_basis(StrengthDirection const* directions, int n_variables)
{
    MonomialBasis basis;
    basis.n_variables = n_variables;
    auto append = [&basis](int first, int second) {
        basis.first[basis.n_monomials] = first;
        basis.second[basis.n_monomials] = second;
        ++basis.n_monomials;
    };
    for (int a = 0; a < n_variables; ++a)
    {
        basis.direction[a] = directions[a];
        append(a, -1);
    }
    for (int a = 0; a < n_variables; ++a)
        for (int b = a; b < n_variables; ++b)
            if (is_coherent(directions[a].interaction) && is_coherent(directions[b].interaction))
                append(a, b);
    return basis;
}

/// Coefficient of monomial \p m in dR/dT at one node; \p base holds all strengths that are not scanned, and all masses.
template<class Real>
NUSCAN_HD inline Real monomial_density(MonomialBasis const& basis, int m, ModelPointOf<Real> const& base, double recoil,
                                       double const* moments, Constants const& constants)
{
    if (basis.first[m] < 0)
        return recoil_rate(base, recoil, moments, constants);
    if (basis.second[m] < 0)
        return recoil_rate_linear(base, basis.direction[basis.first[m]], recoil, moments, constants);
    return recoil_rate_quadratic(base, basis.direction[basis.first[m]], basis.direction[basis.second[m]],
                                 basis.first[m] == basis.second[m], recoil, moments, constants);
}

/// What is kept for one combination of masses, in one block of numbers: the templates T_m of every monomial, and the sums over bins
/// that a fit wants of them, so that a point costs no loop over bins where sums are enough.
struct FactoredLayout
{
    int n_monomials = 1;
    int n_slots = 0;
    int n_pulls = 0;

    /// Template of monomial \p m in slot \p slot, in the rate unit.
    NUSCAN_HD int rate(int m, int slot) const { return m * n_slots + slot; }
    /// Sum over the used bins.
    NUSCAN_HD int total(int m) const { return n_monomials * n_slots + m; }
    /// Sum over the empty Poisson bins.
    NUSCAN_HD int empty(int m) const { return n_monomials * (n_slots + 1) + m; }
    /// sum_i w_i (base_i - n_i) T_mi of the form `FitView::start`.
    NUSCAN_HD int residual(int m) const { return n_monomials * (n_slots + 2) + m; }
    /// sqrt(sum_i w_i T_mi^2).
    NUSCAN_HD int norm(int m) const { return n_monomials * (n_slots + 3) + m; }
    /// sum_i w_i t_pi T_mi.
    NUSCAN_HD int pull(int p, int m) const { return n_monomials * (n_slots + 4 + p) + m; }
    /// sum_i w_i T_ai T_bi for b <= a; twice that for b < a.
    NUSCAN_HD int square(int a, int b) const { return n_monomials * (n_slots + 4 + n_pulls) + a * (a + 1) / 2 + b; }
    NUSCAN_HD int size() const { return square(n_monomials, 0); }
};

/// Folds the templates of one experiment. \param templates  [n_monomials][row], overwritten in the first `stride` of each row
template<class Real>
NUSCAN_HD inline void fold_templates(ResponseView const& response, MonomialBasis const& basis, ModelPointOf<Real> const& base,
                                     Constants const& constants, int row, Real* templates)
{
    for (int m = 0; m < basis.n_monomials; ++m)
        for (int i = 0; i < response.stride; ++i)
            templates[m * row + i] = 0.0;
    for (int j = 0; j < response.n_nodes; ++j)
    {
        double const* const moments = response.moments + static_cast<long>(j) * n_moments;
        for (int m = 0; m < basis.n_monomials; ++m)
            fold_node(response, j, monomial_density(basis, m, base, response.recoil[j], moments, constants), templates + m * row);
    }
}

/// Number \p k of a block, one of those behind the templates, from the templates: each is a sum over bins of its own.
template<class Real>
NUSCAN_HD inline Real template_sum(FitView const& fit, FactoredLayout const& layout, Real const* block, int k)
{
    int const n_slots = layout.n_slots;
    if (k >= layout.square(0, 0))
    {
        int a = 0;
        while (layout.square(a + 1, 0) <= k)
            ++a;
        int const b = k - layout.square(a, 0);
        Real const* const first = block + layout.rate(a, 0);
        Real const* const second = block + layout.rate(b, 0);
        Real sum = 0.0;
        for (int i = 0; i < n_slots; ++i)
            sum += fit.start.weight[i] * first[i] * second[i];
        return a == b ? sum : 2.0 * sum;
    }
    int const m = k % layout.n_monomials;
    int const kind = k / layout.n_monomials - n_slots;
    Real const* const rates = block + layout.rate(m, 0);
    if (k == layout.norm(m))
    {
        Real sum = 0.0;
        for (int i = 0; i < n_slots; ++i)
            sum += fit.start.weight[i] * rates[i] * rates[i];
        return RealOps<Real>::sqrt(sum);
    }
    double const* const factor = k == layout.total(m)      ? fit.used
                                 : k == layout.empty(m)    ? fit.empty
                                 : k == layout.residual(m) ? fit.start.residual
                                                           : fit.start.weighted + (kind - 4) * n_slots;
    Real sum = 0.0;
    for (int i = 0; i < n_slots; ++i)
        sum += factor[i] * rates[i];
    return sum;
}

/// Fills in the sums of a block whose templates are there.
template<class Real>
NUSCAN_HD inline void add_up_templates(FitView const& fit, FactoredLayout const& layout, Real* block)
{
    for (int k = layout.total(0); k < layout.size(); ++k)
        block[k] = template_sum(fit, layout, block, k);
}

/// Sum of the terms v_m T_mi of one bin in the order of the monomials, and of their magnitudes.
template<class Real>
struct RateTerms
{
    Real sum;
    Real magnitude;

    /// False where the terms cancel so far that the direct route is needed.
    NUSCAN_HD_INLINE MaskOf<Real> accurate() const { return magnitude <= cancellation_limit * RealOps<Real>::abs(sum); }
};

/// \param block  called with an index of the block  \param monomials  [n_monomials]
template<class Real, class Block>
NUSCAN_HD_INLINE RateTerms<Real> add_terms(FactoredLayout const& layout, Block const& block, Real const* monomials, int n_monomials,
                                           int slot)
{
    using Ops = RealOps<Real>;
    Real const first = monomials[0] * block(layout.rate(0, slot));
    RateTerms<Real> terms{first, Ops::abs(first)};
    for (int m = 1; m < n_monomials; ++m)
    {
        Real const term = monomials[m] * block(layout.rate(m, slot));
        terms.sum += term;
        terms.magnitude += Ops::abs(term);
    }
    return terms;
}

/// Rates r_i = sum_m v_m T_mi with the monomials v in units of c, added up whenever a bin is asked for: for threads with few
/// registers and no room for a vector of rates. \p Block is called with an index of the block.
template<int static_monomials, class Real, class Block>
class ComputedRates
{
public:
    NUSCAN_HD_INLINE ComputedRates(FactoredLayout const& layout, Block const& block, Real const* monomials)
        : layout_(layout)
        , block_(block)
        , monomials_(monomials)
    {
    }

    NUSCAN_HD_INLINE Real operator()(int slot) const
    {
        Real sum = monomials_[0] * block_(layout_.rate(0, slot));
        for (int m = 1; m < n_monomials(); ++m)
            sum = RealOps<Real>::multiply_add(monomials_[m], Real(block_(layout_.rate(m, slot))), sum);
        return sum;
    }

    /// False where the terms of any bin cancel so far that the direct route is needed.
    NUSCAN_HD_INLINE MaskOf<Real> accurate() const
    {
        MaskOf<Real> good = monomials_[0] == monomials_[0];
        for (int slot = 0; slot < layout_.n_slots; ++slot)
            good = good && add_terms(layout_, block_, monomials_, n_monomials(), slot).accurate();
        return good;
    }

    NUSCAN_HD_INLINE int n_monomials() const { return static_monomials < 0 ? layout_.n_monomials : static_monomials; }

private:
    FactoredLayout const& layout_;
    Block const& block_;
    Real const* monomials_;
};

/// Rates that lie in memory.
template<class Real>
struct RatesInMemory
{
    Real const* rates;
    NUSCAN_HD Real operator()(int slot) const { return rates[slot]; }
};

/// The rates of ComputedRates, added up once into \p rates [n_slots].
/// \returns false where the terms of any bin cancel so far that the direct route is needed
template<int static_monomials, class Real, class Block>
NUSCAN_HD inline MaskOf<Real> store_rates(FactoredLayout const& layout, Block const& block, Real const* monomials, Real* rates)
{
    int const n = static_monomials < 0 ? layout.n_monomials : static_monomials;
    MaskOf<Real> accurate = monomials[0] == monomials[0];
    for (int slot = 0; slot < layout.n_slots; ++slot)
    {
        auto const terms = add_terms(layout, block, monomials, n, slot);
        rates[slot] = terms.sum;
        accurate = accurate && terms.accurate();
    }
    return accurate;
}

/// Points by the factored route, side by side, that share what \p block says (a function of the block's index).
template<int static_monomials, int static_pulls, class Real, class Block>
class FactoredPoints
{
public:
    using Ops = RealOps<Real>;
    using Mask = MaskOf<Real>;
    using Sums = SignalSums<static_pulls, Real>;
    static constexpr auto capacity = static_cast<std::size_t>(static_monomials < 0 ? max_monomials : static_monomials);

    /// \param counted    `fit.counted`, or a copy of it in faster memory
    /// \param monomials  [n_monomials]
    NUSCAN_HD_INLINE FactoredPoints(FitView const& fit, CountedBins const& counted, FactoredLayout const& layout,
                                    Block const& block, Real const* monomials)
        : fit_(fit)
        , counted_(counted)
        , layout_(layout)
        , block_(block)
    {
        Real total = 0.0;
        for (int m = 0; m < n_monomials(); ++m)
            total = Ops::multiply_add(monomials[m], Real(block(layout.total(m))), total);
        finite_ = Ops::is_finite(total);
        inverse_unit_ = 1.0 / signal_scale_unit(fit, total);
        for (int m = 0; m < n_monomials(); ++m)
            monomials_[m] = monomials[m] * inverse_unit_;
        add_up();
    }

    /// In units of c.
    NUSCAN_HD_INLINE Real const* monomials() const { return monomials_; }

    /// Minimum of chi^2 where all data are Gaussian: chi^2 is a quadratic form in the unknowns and in the monomials, so that sums
    /// over bins are all it takes. Cancellation is judged by the norm over bins: single bins that do not matter may cancel further.
    /// \param accurate  receives the lanes whose rounding error is bounded by closed_form_tolerance
    NUSCAN_HD_INLINE Profile<static_pulls, Real> closed_form(Mask& accurate) const
    {
        RatesInMemory<Real> const none{nullptr};
        detail::Minimiser<static_pulls, Real, RatesInMemory<Real>> minimiser(fit_, counted_, none, sums_, inverse_unit_);
        minimiser.start();
        Profile<static_pulls, Real> result;
        result.chi2 = minimiser.quadratic_chi2();
        result.signal_scale = minimiser.signal_scale();
        result.iterations = 0;
        // Size of the terms that cancel in chi^2, by the Cauchy-Schwarz inequality, and how far those of the signal cancel.
        Real signal_size = 0.0;
        for (int m = 0; m < n_monomials(); ++m)
            signal_size = Ops::multiply_add(Ops::abs(monomials_[m]), Real(block_(layout_.norm(m))), signal_size);
        Real size = Ops::multiply_add(minimiser.value(minimiser.n_pulls()), signal_size, Real(std::sqrt(fit_.gaussian.constant)));
        for (int p = 0; p < minimiser.n_pulls(); ++p)
        {
            result.pulls[p] = minimiser.value(p);
            size += Ops::abs(result.pulls[p]) * std::sqrt(fit_.gaussian.hessian[p * minimiser.n_pulls() + p]);
        }
        double const rounding = 1.1e-16 * layout_.n_slots;
        accurate = size * size * rounding <= closed_form_tolerance * (1.0 + result.chi2)
                   && signal_size * signal_size <= cancellation_limit * cancellation_limit * sums_.start.square;
        result.finite = finite_ && Ops::is_finite(result.chi2);
        result.converged = result.finite;
        return result;
    }

    /// Minimum of chi^2 from rates in every bin.
    template<class Rates>
    NUSCAN_HD_INLINE Profile<static_pulls, Real> by_bins(Rates const& rates)
    {
        // Sums of monomials would square the cancellation between them.
        detail::clear(n_pulls(), sums_.gaussian);
        for (int k = 0; k < fit_.n_gaussian; ++k)
        {
            int const slot = fit_.gaussian_slot[k];
            detail::add_quadratic(fit_.gaussian, fit_.n_slots, n_pulls(), slot, rates(slot), sums_.gaussian);
        }
        if (!fit_.has_poisson)
            sums_.start = sums_.gaussian;
        return profile(fit_, counted_, rates, sums_, inverse_unit_, finite_);
    }

protected:
    NUSCAN_HD_INLINE int n_monomials() const { return static_monomials < 0 ? layout_.n_monomials : static_monomials; }
    NUSCAN_HD_INLINE int n_pulls() const { return static_pulls < 0 ? fit_.n_pulls : static_pulls; }

    NUSCAN_HD_INLINE void add_up()
    {
        sums_.empty = 0.0;
        detail::clear(n_pulls(), sums_.start);
        for (int a = 0; a < n_monomials(); ++a)
        {
            sums_.empty = Ops::multiply_add(monomials_[a], Real(block_(layout_.empty(a))), sums_.empty);
            sums_.start.residual = Ops::multiply_add(monomials_[a], Real(block_(layout_.residual(a))), sums_.start.residual);
            for (int p = 0; p < n_pulls(); ++p)
                sums_.start.pull[p] = Ops::multiply_add(monomials_[a], Real(block_(layout_.pull(p, a))), sums_.start.pull[p]);
            Real row = 0.0;
            for (int b = 0; b <= a; ++b)
                row = Ops::multiply_add(monomials_[b], Real(block_(layout_.square(a, b))), row);
            sums_.start.square = Ops::multiply_add(monomials_[a], row, sums_.start.square);
        }
        detail::clear(n_pulls(), sums_.gaussian);
        if (fit_.has_poisson)
            return;
        // One by one: as a whole they would be copied in memory, and what is read back there at once has to be waited for.
        sums_.gaussian.residual = sums_.start.residual;
        sums_.gaussian.square = sums_.start.square;
        for (int p = 0; p < n_pulls(); ++p)
            sums_.gaussian.pull[p] = sums_.start.pull[p];
    }

    FitView const& fit_;
    CountedBins const& counted_;
    FactoredLayout const& layout_;
    Block const& block_;
    Mask finite_;
    Real inverse_unit_;
    Real monomials_[capacity];
    Sums sums_;
};

} // namespace nuscan
