/// \file
/// The recoil spectrum dR/dT of one parameter point, and its derivatives with respect to interaction strengths.
#pragma once

#include "nuscan/physics/electroweak.hpp"
#include "nuscan/physics/interactions.hpp"

namespace nuscan
{

/// One parameter point in the form that the formulas take; \p Real for several points side by side.
template<class Real>
struct ModelPointOf
{
    /// Strength of each interaction on each species, in the interaction's own unit (mu^2, q, <r^2>, y, y^2).
    Real strength[n_interactions][n_species] = {};
    /// Mediator mass of each interaction [keV]; unused where there is no mediator.
    Real mass[n_interactions] = {};
    /// Bit i is set where interaction i has a non-zero strength (on any of several points).
    unsigned active = 0;

    NUSCAN_HD bool is_active(int interaction) const { return ((active >> interaction) & 1u) != 0; }
};
static_assert(n_interactions <= 32, "ModelPointOf::active has 32 bits");

using ModelPoint = ModelPointOf<double>;

/// A unit direction in the space of strengths: the interaction and the weights on the species.
struct StrengthDirection
{
    int interaction = 0;
    double weight[n_species] = {0.0, 0.0, 0.0, 0.0};
};

namespace detail
{

/// Adds up, at one recoil, the couplings of each flavour and the incoherent terms of a point.
template<class Real>
struct CollectPoint
{
    ModelPointOf<Real> const& point;
    Constants const& constants;
    double recoil;
    double const* moments;
    WeakCouplingOf<Real>* coupling;
    Real rate;

    template<class Interaction, int index>
    NUSCAN_HD void operator()()
    {
        using Ops = RealOps<Real>;
        if (!point.is_active(index))
            return;
        Real const* const strength = point.strength[index];
        if constexpr (Interaction::channel == Channel::incoherent)
        {
            auto const term = Interaction::cross_section(recoil, point.mass[index], constants);
            for (int s = 0; s < n_species; ++s)
                if (Ops::any(strength[s] != 0.0))
                    rate = Ops::multiply_add(strength[s], Real(term.dot(moments + s * n_energy_powers)), rate);
        }
        else
        {
            Real const unit = Interaction::amplitude(recoil, point.mass[index], constants);
            for (int f = 0; f < n_flavours; ++f)
            {
                if constexpr (Interaction::channel == Channel::vector)
                    coupling[f].vector = Ops::multiply_add(strength[f], unit, coupling[f].vector);
                else
                    coupling[f].axial = Ops::multiply_add(strength[f], unit, coupling[f].axial);
            }
        }
    }
};

/// Unit response of one strength direction at one recoil: couplings of each flavour, or the incoherent rate.
template<class Real>
struct CollectDirection
{
    StrengthDirection const& direction;
    ModelPointOf<Real> const& base;
    Constants const& constants;
    double recoil;
    double const* moments;
    WeakCouplingOf<Real>* coupling;
    Real rate;
    bool coherent;

    template<class Interaction, int index>
    NUSCAN_HD void operator()()
    {
        if (direction.interaction != index)
            return;
        if constexpr (Interaction::channel == Channel::incoherent)
        {
            auto const term = Interaction::cross_section(recoil, base.mass[index], constants);
            for (int s = 0; s < n_species; ++s)
                if (direction.weight[s] != 0.0)
                    rate += direction.weight[s] * term.dot(moments + s * n_energy_powers);
        }
        else
        {
            coherent = true;
            Real const unit = Interaction::amplitude(recoil, base.mass[index], constants);
            for (int f = 0; f < n_flavours; ++f)
            {
                if constexpr (Interaction::channel == Channel::vector)
                    coupling[f].vector = direction.weight[f] * unit;
                else
                    coupling[f].axial = direction.weight[f] * unit;
            }
        }
    }
};

} // namespace detail

/// Couplings (g_V, g_A) of the three flavours at recoil \p recoil [keV], SM and all amplitudes of the point, written to
/// \p coupling[n_flavours]; returns the incoherent part of sum_fk c_fk I_fk.
template<class Real>
NUSCAN_HD inline Real collect_point(ModelPointOf<Real> const& point, double recoil, double const* moments,
                                    Constants const& constants, WeakCouplingOf<Real>* coupling)
{
    for (int f = 0; f < n_flavours; ++f)
    {
        WeakCoupling const sm = sm_coupling(f, constants.sin2_theta_w);
        coupling[f] = {sm.vector, sm.axial};
    }
    detail::CollectPoint<Real> collect{point, constants, recoil, moments, coupling, 0.0};
    for_each_interaction(collect);
    return collect.rate;
}

/// dR/dT = sum_fk c_fk(T) I_fk(T) of a parameter point (arXiv:2208.06415, Eq. 12 with the energy integral done).
///
/// \param moments  I_sk at this recoil, n_moments values (index s * n_energy_powers + k), times the electron density
/// \returns the rate in the unit of `moments` times cm^2/keV, usually 1/(t yr keV)
template<class Real = double>
NUSCAN_HD inline Real recoil_rate(ModelPointOf<Real> const& point, double recoil, double const* moments, Constants const& constants)
{
    WeakCouplingOf<Real> coupling[n_flavours];
    Real rate = collect_point(point, recoil, moments, constants, coupling);
    for (int f = 0; f < n_flavours; ++f)
        rate += electroweak_form(coupling[f], coupling[f], recoil, constants).dot(moments + f * n_energy_powers);
    return rate;
}

/// Coefficient of z_a in dR/dT when strengths are base + sum_a z_a direction_a; arguments as in recoil_rate.
template<class Real>
NUSCAN_HD inline Real recoil_rate_linear(ModelPointOf<Real> const& base, StrengthDirection const& a, double recoil,
                                         double const* moments, Constants const& constants)
{
    WeakCouplingOf<Real> unit[n_flavours];
    detail::CollectDirection<Real> collect{a, base, constants, recoil, moments, unit, 0.0, false};
    for_each_interaction(collect);
    if (!collect.coherent)
        return collect.rate;
    WeakCouplingOf<Real> coupling[n_flavours];
    collect_point(base, recoil, moments, constants, coupling);
    Real rate = 0.0;
    for (int f = 0; f < n_flavours; ++f)
        rate += 2.0 * electroweak_form(coupling[f], unit[f], recoil, constants).dot(moments + f * n_energy_powers);
    return rate;
}

/// Coefficient of z_a z_b (each unordered pair once) in dR/dT; zero unless both directions are amplitudes.
template<class Real>
NUSCAN_HD inline Real recoil_rate_quadratic(ModelPointOf<Real> const& base, StrengthDirection const& a, StrengthDirection const& b,
                                            bool same, double recoil, double const* moments, Constants const& constants)
{
    WeakCouplingOf<Real> unit_a[n_flavours];
    WeakCouplingOf<Real> unit_b[n_flavours];
    detail::CollectDirection<Real> collect_a{a, base, constants, recoil, moments, unit_a, 0.0, false};
    detail::CollectDirection<Real> collect_b{b, base, constants, recoil, moments, unit_b, 0.0, false};
    for_each_interaction(collect_a);
    for_each_interaction(collect_b);
    if (!collect_a.coherent || !collect_b.coherent)
        return 0.0;
    Real rate = 0.0;
    for (int f = 0; f < n_flavours; ++f)
        rate += electroweak_form(unit_a[f], unit_b[f], recoil, constants).dot(moments + f * n_energy_powers);
    return same ? rate : 2.0 * rate;
}

} // namespace nuscan
