/// \file
/// Light scalar mediator.
#pragma once

#include "nuscan/physics/interactions/mediator.hpp"

namespace nuscan
{

/// Scalar exchange (arXiv:2208.06415, Eq. 8). Strength: y^2 = g_S^4.
struct ScalarMediator
{
    static constexpr char const* name = "scalar";
    static constexpr Channel channel = Channel::incoherent;
    static constexpr ParameterInfo parameters[] = {
        mediator_coupling("g_S", "g_S", "scalar mediator coupling sqrt(g_nu g_e)", 4),
        mediator_mass("m_S", "m_S", "scalar mediator mass"),
    };

    /// y^-2 dsigma/dT = m_e^2 T/(4 pi (2 m_e T + m^2)^2 E^2); \p recoil, \p mass in keV.
    template<class Real>
    NUSCAN_HD static constexpr EnergyPolynomialOf<Real> cross_section(double recoil, Real mass, Constants const& constants)
    {
        return {{0.0, 0.0, mediator_norm(recoil, mass, constants) * constants.electron_mass * recoil / 4.0}};
    }
};

} // namespace nuscan
