/// \file
/// Light axial-vector mediator.
#pragma once

#include "nuscan/physics/interactions/mediator.hpp"

namespace nuscan
{

/// Axial-vector exchange: shifts g_A (arXiv:2208.06415, Eq. 10). Strength: y = g_A^2.
struct AxialVectorMediator
{
    static constexpr char const* name = "axial_vector";
    static constexpr Channel channel = Channel::axial;
    static constexpr ParameterInfo parameters[] = {
        mediator_coupling("g_A", "g_A", "axial-vector mediator coupling sqrt(g_nu g_e)", 2),
        mediator_mass("m_A", "m_A", "axial-vector mediator mass"),
    };

    /// Shift of g_A per unit y; \p recoil, \p mass in keV.
    template<class Real>
    NUSCAN_HD static constexpr Real amplitude(double recoil, Real mass, Constants const& constants)
    {
        return mediator_amplitude(recoil, mass, constants);
    }
};

} // namespace nuscan
