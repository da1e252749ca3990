/// \file
/// Neutrino millicharge.
#pragma once

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/parameter_info.hpp"

namespace nuscan
{

/// Photon exchange of a neutrino of charge q: shifts g_V by -(sqrt2 pi alpha/G_F) q/(m_e T) (arXiv:2208.06415, Eq. 7).
/// Strength: q in units of the elementary charge.
struct Millicharge
{
    static constexpr char const* name = "millicharge";
    static constexpr Channel channel = Channel::vector;
    static constexpr ParameterInfo parameters[] = {
        {"q_e", "e", R"(q_{\nu_e})", "millicharge of nu_e", ParameterRole::coupling, ParameterBound::none, ParameterGroup::none, 1,
         1.0, species_weights::e},
        {"q_mu", "e", R"(q_{\nu_\mu})", "millicharge of nu_mu", ParameterRole::coupling, ParameterBound::none, ParameterGroup::none,
         1, 1.0, species_weights::mu},
        {"q_tau", "e", R"(q_{\nu_\tau})", "millicharge of nu_tau", ParameterRole::coupling, ParameterBound::none,
         ParameterGroup::none, 1, 1.0, species_weights::tau},
    };

    /// Shift of g_V per unit charge at \p recoil [keV].
    template<class Real>
    NUSCAN_HD static constexpr double amplitude(double recoil, Real /*mass*/, Constants const& constants)
    {
        double const photon = sqrt2 * pi * constants.alpha() / constants.fermi_constant; // keV^2
        return -photon / (constants.electron_mass * recoil);
    }
};

} // namespace nuscan
