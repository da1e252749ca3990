/// \file
/// Physical constants as one plain struct, so that a run can replace any of them by name.
#pragma once

#include "nuscan/core/macros.hpp"

namespace nuscan
{

inline constexpr double pi = 3.14159265358979323846;
inline constexpr double sqrt2 = 1.41421356237309504880;

/// Natural units of the formulas: energies, masses in keV; cross sections in cm^2/keV.
namespace units
{
inline constexpr double kev_per_mev = 1e3;
inline constexpr double kev_per_ev = 1e-3;
inline constexpr double gram_per_tonne = 1e6;
inline constexpr double second_per_day = 86400.0;
} // namespace units

/// Constants that enter rates; the defaults are those of the published analysis.
struct Constants
{
    /// Fermi constant G_F [keV^-2]; 1.1663787e-5 GeV^-2 (PDG).
    double fermi_constant = 1.1663787e-17;
    /// Inverse fine-structure constant (CODATA 2018, rounded).
    double inverse_alpha = 137.035999;
    /// Electron mass [keV] (CODATA 2018).
    double electron_mass = 510.99895;
    /// hbar c [keV cm] (exact by the SI, rounded).
    double hbar_c = 1.973269804e-8;
    /// Weak mixing angle sin^2(theta_W) at low energy (PDG).
    double sin2_theta_w = 0.23857;
    /// Avogadro constant [1/mol] (exact).
    double avogadro = 6.02214076e23;
    /// Molar mass of natural xenon [g/mol].
    double molar_mass = 131.293;
    /// Length of the exposure's year [d].
    double days_per_year = 365.25;
    /// Two-flavour survival probability P_e1^{2nu} of the transition moments (Eq. 6).
    double transition_p_e1 = 0.667;

    /// (hbar c)^2 [keV^2 cm^2]: turns keV^-2 into cm^2.
    NUSCAN_HD constexpr double hbar_c_squared() const { return hbar_c * hbar_c; }
    NUSCAN_HD constexpr double alpha() const { return 1.0 / inverse_alpha; }
    /// Electrons per tonne and per unit of Z_eff, times the seconds of a year: N_A/M x 10^6 g x year [s/(t yr)].
    NUSCAN_HD constexpr double atom_seconds_per_tonne_year() const
    {
        return avogadro / molar_mass * units::gram_per_tonne * days_per_year * units::second_per_day;
    }
};

} // namespace nuscan
