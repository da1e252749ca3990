/// \file
/// Two-body kinematics of a massless neutrino on an electron at rest.
#pragma once

#include <cmath>

#include "nuscan/core/macros.hpp"

namespace nuscan
{

/// Smallest neutrino energy that gives recoil T: E_min = (T + sqrt(T^2 + 2 m_e T))/2. All in keV.
NUSCAN_HD inline double minimum_neutrino_energy(double recoil, double electron_mass)
{
    return 0.5 * (recoil + std::sqrt(recoil * (recoil + 2.0 * electron_mass)));
}

/// Largest recoil of neutrino energy E: T_max = 2 E^2/(m_e + 2 E). All in keV.
NUSCAN_HD inline double maximum_recoil_energy(double energy, double electron_mass)
{
    return 2.0 * energy * energy / (electron_mass + 2.0 * energy);
}

} // namespace nuscan
