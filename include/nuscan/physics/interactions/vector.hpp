/// \file
/// Light vector mediator.
#pragma once

#include "nuscan/physics/interactions/mediator.hpp"

namespace nuscan
{

/// Vector exchange: shifts g_V (arXiv:2208.06415, Eq. 9). Strength: y = g_V^2.
struct VectorMediator
{
    static constexpr char const* name = "vector";
    static constexpr Channel channel = Channel::vector;
    static constexpr ParameterInfo parameters[] = {
        mediator_coupling("g_V", "g_V", "vector mediator coupling sqrt(g_nu g_e)", 2),
        mediator_mass("m_V", "m_V", "vector mediator mass"),
    };

    /// Shift of g_V per unit y; \p recoil, \p mass in keV.
    template<class Real>
    NUSCAN_HD static constexpr Real amplitude(double recoil, Real mass, Constants const& constants)
    {
        return mediator_amplitude(recoil, mass, constants);
    }
};

} // namespace nuscan
