/// \file
/// Light tensor mediator.
#pragma once

#include "nuscan/physics/interactions/mediator.hpp"

namespace nuscan
{

/// Tensor exchange (arXiv:2208.06415, Eq. 11). Strength: y^2 = g_T^4.
struct TensorMediator
{
    static constexpr char const* name = "tensor";
    static constexpr Channel channel = Channel::incoherent;
    static constexpr ParameterInfo parameters[] = {
        mediator_coupling("g_T", "g_T", "tensor mediator coupling sqrt(g_nu g_e)", 4),
        mediator_mass("m_T", "m_T", "tensor mediator mass"),
    };

    /// y^-2 dsigma/dT = m_e/(pi (2 m_e T + m^2)^2) [1 + 2(1-T/E) + (1-T/E)^2 - m_e T/E^2]; \p recoil, \p mass in keV.
    template<class Real>
    NUSCAN_HD static constexpr EnergyPolynomialOf<Real> cross_section(double recoil, Real mass, Constants const& constants)
    {
        Real const norm = mediator_norm(recoil, mass, constants);
        return {{4.0 * norm, -4.0 * norm * recoil, norm * recoil * (recoil - constants.electron_mass)}};
    }
};

} // namespace nuscan
