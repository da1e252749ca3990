/// \file
/// Effective neutrino magnetic moments: of a flavour, universal, and Majorana transition moments.
#pragma once

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/energy_polynomial.hpp"
#include "nuscan/physics/parameter_info.hpp"

namespace nuscan
{

/// Electromagnetic scattering by a magnetic moment; flips helicity, so it adds incoherently (arXiv:2208.06415, Eq. 3).
/// Strength: mu^2 in mu_B^2. Transition moments act through Eq. 6 as one universal mu_eff^2, with P = P_e1^{2nu}:
///   mu_eff^2 = (1 - c13^2 P)|L1|^2 + (1 - c13^2 + c13^2 P)|L2|^2 + c13^2 |L3|^2.
struct MagneticMoment
{
    static constexpr char const* name = "magnetic_moment";
    static constexpr Channel channel = Channel::incoherent;
    static constexpr ParameterInfo parameters[] = {
        {"mu_e", "mu_B", R"(\mu_{\nu_e})", "effective magnetic moment of nu_e", ParameterRole::coupling,
         ParameterBound::non_negative, ParameterGroup::moment_flavoured, 2, 1.0, species_weights::e},
        {"mu_mu", "mu_B", R"(\mu_{\nu_\mu})", "effective magnetic moment of nu_mu", ParameterRole::coupling,
         ParameterBound::non_negative, ParameterGroup::moment_flavoured, 2, 1.0, species_weights::mu},
        {"mu_tau", "mu_B", R"(\mu_{\nu_\tau})", "effective magnetic moment of nu_tau", ParameterRole::coupling,
         ParameterBound::non_negative, ParameterGroup::moment_flavoured, 2, 1.0, species_weights::tau},
        {"mu_universal", "mu_B", R"(\mu_\nu)", "one effective magnetic moment for all flavours", ParameterRole::coupling,
         ParameterBound::non_negative, ParameterGroup::moment_universal, 2, 1.0, species_weights::all_flavours},
        {"Lambda_1",
         "mu_B",
         R"(|\Lambda_1|)",
         "modulus of the transition moment lambda_23",
         ParameterRole::coupling,
         ParameterBound::non_negative,
         ParameterGroup::moment_transition,
         2,
         1.0,
         {{1, 1, 1, 0}, {0, 0, 0, -1}}},
        {"Lambda_2",
         "mu_B",
         R"(|\Lambda_2|)",
         "modulus of the transition moment lambda_13",
         ParameterRole::coupling,
         ParameterBound::non_negative,
         ParameterGroup::moment_transition,
         2,
         1.0,
         {{1, 1, 1, 0}, {-1, -1, -1, 1}}},
        {"Lambda_3",
         "mu_B",
         R"(|\Lambda_3|)",
         "modulus of the transition moment lambda_12",
         ParameterRole::coupling,
         ParameterBound::non_negative,
         ParameterGroup::moment_transition,
         2,
         1.0,
         {{0, 0, 0, 0}, {1, 1, 1, 0}}},
    };

    /// pi alpha^2/m_e^2 (1/T - 1/E) per (mu/mu_B)^2; \p recoil in keV. The moment has no mediator mass.
    template<class Real>
    NUSCAN_HD static constexpr EnergyPolynomial cross_section(double recoil, Real /*mass*/, Constants const& constants)
    {
        double const ratio = constants.alpha() / constants.electron_mass;
        double const norm = pi * ratio * ratio * constants.hbar_c_squared();
        return {{norm / recoil, -norm, 0.0}};
    }
};

} // namespace nuscan
