/// \file
/// Light pseudoscalar mediator.
#pragma once

#include "nuscan/physics/interactions/mediator.hpp"

namespace nuscan
{

/// Pseudoscalar exchange (arXiv:2208.06415, Eq. 8). Strength: y^2 = g_P^4.
struct PseudoscalarMediator
{
    static constexpr char const* name = "pseudoscalar";
    static constexpr Channel channel = Channel::incoherent;
    static constexpr ParameterInfo parameters[] = {
        mediator_coupling("g_P", "g_P", "pseudoscalar mediator coupling sqrt(g_nu g_e)", 4),
        mediator_mass("m_P", "m_P", "pseudoscalar mediator mass"),
    };

    /// y^-2 dsigma/dT = m_e T^2/(8 pi (2 m_e T + m^2)^2 E^2); \p recoil, \p mass in keV.
    template<class Real>
    NUSCAN_HD static constexpr EnergyPolynomialOf<Real> cross_section(double recoil, Real mass, Constants const& constants)
    {
        return {{0.0, 0.0, mediator_norm(recoil, mass, constants) * recoil * recoil / 8.0}};
    }
};

} // namespace nuscan
