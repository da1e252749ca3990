/// \file
/// What the light mediators share: propagator, parameter entries and normalisation.
#pragma once

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/energy_polynomial.hpp"
#include "nuscan/physics/parameter_info.hpp"

namespace nuscan
{

/// Denominator 2 m_e T + m^2 [keV^2] of a mediator of mass \p mass [keV] exchanged with an electron at rest.
template<class Real>
NUSCAN_HD constexpr Real mediator_propagator(double recoil, Real mass, Constants const& constants)
{
    return 2.0 * constants.electron_mass * recoil + mass * mass;
}

/// Shift of g_V or g_A per unit y = g_nu g_e: 1/(2 sqrt2 G_F (2 m_e T + m^2)) (arXiv:2208.06415, Eqs. 9-10; g^2 in this
/// normalisation is twice that of the chiral Lagrangian).
template<class Real>
NUSCAN_HD constexpr Real mediator_amplitude(double recoil, Real mass, Constants const& constants)
{
    return 1.0 / (2.0 * sqrt2 * constants.fermi_constant * mediator_propagator(recoil, mass, constants));
}

/// hbar^2c^2 m_e/(pi (2 m_e T + m^2)^2) [cm^2/keV]: the factor that the incoherent mediators have in common.
template<class Real>
NUSCAN_HD constexpr Real mediator_norm(double recoil, Real mass, Constants const& constants)
{
    Real const propagator = mediator_propagator(recoil, mass, constants);
    return constants.hbar_c_squared() * constants.electron_mass / (pi * propagator * propagator);
}

/// Entry of a coupling g_X = sqrt(g_nu g_e), the same for all flavours; \p power turns it into the strength: y = g^2 for an
/// amplitude, y^2 = g^4 for an incoherent term.
constexpr ParameterInfo mediator_coupling(char const* name, char const* label, char const* description, int power)
{
    return {name,
            "1",
            label,
            description,
            ParameterRole::coupling,
            ParameterBound::non_negative,
            ParameterGroup::none,
            power,
            1.0,
            species_weights::all_flavours};
}

/// Entry of a mediator mass m_X.
constexpr ParameterInfo mediator_mass(char const* name, char const* label, char const* description)
{
    return {name, "MeV", label, description, ParameterRole::mass, ParameterBound::positive};
}

} // namespace nuscan
