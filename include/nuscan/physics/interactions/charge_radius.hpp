/// \file
/// Neutrino charge radius and anapole moment.
#pragma once

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/parameter_info.hpp"

namespace nuscan
{

/// Charge radius <r^2> and anapole moment a: shift g_V by (sqrt2 pi alpha/G_F) (<r^2> - 6 a)/3 (arXiv:2208.06415, Eq. 7 with
/// a = -<r^2>/6 as in its appendix; the a/18 printed in Eq. 7 contradicts that appendix). Strength: <r^2> - 6 a in cm^2.
struct ChargeRadius
{
    static constexpr char const* name = "charge_radius";
    static constexpr Channel channel = Channel::vector;
    static constexpr double radius_per_anapole = -6.0;
    static constexpr ParameterInfo parameters[] = {
        {"r2_e", "cm^2", R"(\langle r^2_{\nu_e} \rangle)", "charge radius squared of nu_e", ParameterRole::coupling,
         ParameterBound::none, ParameterGroup::none, 1, 1.0, species_weights::e},
        {"r2_mu", "cm^2", R"(\langle r^2_{\nu_\mu} \rangle)", "charge radius squared of nu_mu", ParameterRole::coupling,
         ParameterBound::none, ParameterGroup::none, 1, 1.0, species_weights::mu},
        {"r2_tau", "cm^2", R"(\langle r^2_{\nu_\tau} \rangle)", "charge radius squared of nu_tau", ParameterRole::coupling,
         ParameterBound::none, ParameterGroup::none, 1, 1.0, species_weights::tau},
        {"a_e", "cm^2", R"(a_{\nu_e})", "anapole moment of nu_e", ParameterRole::coupling, ParameterBound::none,
         ParameterGroup::none, 1, radius_per_anapole, species_weights::e},
        {"a_mu", "cm^2", R"(a_{\nu_\mu})", "anapole moment of nu_mu", ParameterRole::coupling, ParameterBound::none,
         ParameterGroup::none, 1, radius_per_anapole, species_weights::mu},
        {"a_tau", "cm^2", R"(a_{\nu_\tau})", "anapole moment of nu_tau", ParameterRole::coupling, ParameterBound::none,
         ParameterGroup::none, 1, radius_per_anapole, species_weights::tau},
    };

    /// Shift of g_V per cm^2; independent of the recoil.
    template<class Real>
    NUSCAN_HD static constexpr double amplitude(double /*recoil*/, Real /*mass*/, Constants const& constants)
    {
        double const photon = sqrt2 * pi * constants.alpha() / constants.fermi_constant; // keV^2
        return photon / (3.0 * constants.hbar_c_squared());
    }
};

} // namespace nuscan
