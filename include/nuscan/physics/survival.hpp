/// \file
/// Solar electron-neutrino survival probability: two flavours with theta_13, adiabatic, matter effects at the production point.
#pragma once

#include <cmath>

#include "nuscan/core/constants.hpp"
#include "nuscan/core/macros.hpp"

namespace nuscan
{

/// Oscillation parameters; the defaults are the normal-ordering best fit of de Salas et al., arXiv:2006.11237.
struct OscillationParameters
{
    double sin2_theta12 = 0.318;
    double sin2_theta13 = 0.02200;
    double sin2_theta23 = 0.574;
    double dm21_ev2 = 7.50e-5;   ///< Delta m^2_21 [eV^2]
    double dm31_ev2 = 2.55e-3;   ///< Delta m^2_31 [eV^2]
    double delta_cp = 1.08 * pi; ///< Dirac phase [rad]

    NUSCAN_HD constexpr double cos2_theta13() const { return 1.0 - sin2_theta13; }
};

/// sqrt2 G_F N_A/cm^3 in eV: the matter potential of one mole of electrons per cm^3.
inline constexpr double matter_potential_ev = 7.632e-14;

/// Two-flavour P_e1^{2nu} = (1 + cos 2 theta_12^M)/2: weight of nu_1 in a nu_e born at electron density n_e, with
///   cos 2th_M = (cos2th12 - b)/sqrt((cos2th12 - b)^2 + sin^2 2th12),   b = 2 sqrt2 G_F c13^2 n_e E/dm21.
///
/// \param energy            neutrino energy [keV]
/// \param electron_density  at the production point [N_A/cm^3]
NUSCAN_HD inline double solar_p_e1(double energy, double electron_density, OscillationParameters const& osc)
{
    double const cos_2theta12 = 1.0 - 2.0 * osc.sin2_theta12;
    double const sin2_2theta12 = 4.0 * osc.sin2_theta12 * (1.0 - osc.sin2_theta12);
    double const energy_ev = energy / units::kev_per_ev;
    double const b = 2.0 * matter_potential_ev * electron_density * energy_ev * osc.cos2_theta13() / osc.dm21_ev2;
    double const difference = cos_2theta12 - b;
    return 0.5 * (1.0 + difference / std::sqrt(difference * difference + sin2_2theta12));
}

/// Survival probability of a solar nu_e: P_ee = c13^4 P2 + s13^4, P2 = (1 + cos2th_M cos2th_12)/2, from P_e1^{2nu}.
NUSCAN_HD constexpr double solar_p_ee(double p_e1, OscillationParameters const& osc)
{
    double const cos_2theta12 = 1.0 - 2.0 * osc.sin2_theta12;
    double const p2 = 0.5 * (1.0 + (2.0 * p_e1 - 1.0) * cos_2theta12);
    double const c13_squared = osc.cos2_theta13();
    return c13_squared * c13_squared * p2 + osc.sin2_theta13 * osc.sin2_theta13;
}

/// P_emu = (1 - P_ee) cos^2 theta_23.
NUSCAN_HD constexpr double solar_p_emu(double p_ee, OscillationParameters const& osc)
{
    return (1.0 - p_ee) * (1.0 - osc.sin2_theta23);
}

/// P_etau = (1 - P_ee) sin^2 theta_23.
NUSCAN_HD constexpr double solar_p_etau(double p_ee, OscillationParameters const& osc)
{
    return (1.0 - p_ee) * osc.sin2_theta23;
}

} // namespace nuscan
