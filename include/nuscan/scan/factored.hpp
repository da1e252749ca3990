/// \file
/// The factored route: at fixed masses a bin's rate is a polynomial of degree 2 in the scanned strengths.
#pragma once

#include <cmath>

#include "nuscan/detector/experiment.hpp"

namespace nuscan
{

/// Largest number of scanned couplings (one per axis at most).
inline constexpr int max_variables = 4;
inline constexpr int max_monomials = 1 + max_variables + max_variables * (max_variables + 1) / 2;

/// Above this ratio of sum |terms| to |sum| the factored route loses too many digits and a point takes the direct one.
inline constexpr double cancellation_limit = 1e4;

/// The monomials 1, z_a, z_a z_b that a scan needs; incoherent strengths have no products.
struct MonomialBasis
{
    int n_variables = 0;
    int n_monomials = 1;
    StrengthDirection direction[max_variables];
    int first[max_monomials] = {};  ///< variable of a linear or quadratic monomial, -1 for the constant
    int second[max_monomials] = {}; ///< second variable of a quadratic one, else -1
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
    basis.first[0] = basis.second[0] = -1;
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

/// Value of every monomial at strengths \p z [n_variables].
NUSCAN_HD inline void evaluate_monomials(MonomialBasis const& basis, double const* z, double* values)
{
    for (int m = 0; m < basis.n_monomials; ++m)
    {
        double const first = basis.first[m] < 0 ? 1.0 : z[basis.first[m]];
        values[m] = basis.second[m] < 0 ? first : first * z[basis.second[m]];
    }
}

/// Coefficient of monomial \p m in dR/dT at one node; \p base holds all strengths that are not scanned, and all masses.
NUSCAN_HD inline double monomial_density(MonomialBasis const& basis, int m, ModelPoint const& base, double recoil,
                                         double const* moments, Constants const& constants)
{
    if (basis.first[m] < 0)
        return recoil_rate(base, recoil, moments, constants);
    if (basis.second[m] < 0)
        return recoil_rate_linear(base, basis.direction[basis.first[m]], recoil, moments, constants);
    return recoil_rate_quadratic(base, basis.direction[basis.first[m]], basis.direction[basis.second[m]],
                                 basis.first[m] == basis.second[m], recoil, moments, constants);
}

/// Folds the templates of one mass combination. \param templates  [n_monomials][stride], overwritten
NUSCAN_HD inline void fold_templates(ResponseView const& response, MonomialBasis const& basis, ModelPoint const& base,
                                     Constants const& constants, double* templates)
{
    for (int i = 0; i < basis.n_monomials * response.stride; ++i)
        templates[i] = 0.0;
    for (int j = 0; j < response.n_nodes; ++j)
    {
        double const* const moments = response.moments + static_cast<long>(j) * n_moments;
        for (int m = 0; m < basis.n_monomials; ++m)
            fold_node(response, j, monomial_density(basis, m, base, response.recoil[j], moments, constants),
                      templates + m * response.stride);
    }
}

/// Signal in every bin from templates: rates[i] = sum_m values[m] templates[m][i], summed in the order of the monomials.
/// \returns false where the terms cancel so far that the direct route is needed (cancellation_limit in any bin)
NUSCAN_HD inline bool factored_rates(double const* templates, double const* values, int n_monomials, int stride, double* rates)
{
    bool accurate = true;
    for (int i = 0; i < stride; ++i)
    {
        double sum = 0.0;
        double magnitude = 0.0;
        for (int m = 0; m < n_monomials; ++m)
        {
            double const term = values[m] * templates[m * stride + i];
            sum += term;
            magnitude += std::fabs(term);
        }
        rates[i] = sum;
        accurate = accurate && !(magnitude > cancellation_limit * std::fabs(sum));
    }
    return accurate;
}

} // namespace nuscan
