/// \file
/// Elastic neutrino-electron scattering through vector and axial-vector couplings (arXiv:2208.06415, Eq. 1).
#pragma once

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/energy_polynomial.hpp"

namespace nuscan
{

/// Couplings (g_V, g_A) of one flavour to the electron; everything that interferes with the SM shifts one of the two.
template<class Real>
struct WeakCouplingOf
{
    Real vector = 0.0;
    Real axial = 0.0;
};

using WeakCoupling = WeakCouplingOf<double>;

/// SM couplings: g_V = -1/2 + 2 s_W^2 + delta_fe, g_A = -1/2 + delta_fe; g_A changes sign for antineutrinos.
NUSCAN_HD_INLINE constexpr WeakCoupling sm_coupling(int flavour, double sin2_theta_w, bool antineutrino = false)
{
    double const charged_current = flavour == 0 ? 1.0 : 0.0;
    double const axial = -0.5 + charged_current;
    return {-0.5 + 2.0 * sin2_theta_w + charged_current, antineutrino ? -axial : axial};
}

/// Symmetric bilinear form B(a, b) of the electroweak cross section at recoil energy \p recoil [keV]:
///
///   B(a, a) = G_F^2 m_e/(2 pi) [ (gV+gA)^2 + (gV-gA)^2 (1-T/E)^2 - (gV^2-gA^2) m_e T/E^2 ]     (Eq. 1)
///
/// so that couplings gV = sum_n x_n a_n give sum_{nm} x_n x_m B(a_n, a_m). Result in cm^2/keV as a polynomial in 1/E.
template<class Real>
NUSCAN_HD constexpr EnergyPolynomialOf<Real> electroweak_form(WeakCouplingOf<Real> const& a, WeakCouplingOf<Real> const& b,
                                                              double recoil, Constants const& constants)
{
    double const norm = constants.fermi_constant * constants.fermi_constant * constants.electron_mass / (2.0 * pi)
                        * constants.hbar_c_squared();
    Real const left = (a.vector + a.axial) * (b.vector + b.axial);
    Real const right = (a.vector - a.axial) * (b.vector - b.axial);
    // gV^2 - gA^2 polarised: symmetric in a and b.
    Real const helicity = 0.5 * ((a.vector + a.axial) * (b.vector - b.axial) + (a.vector - a.axial) * (b.vector + b.axial));
    return {{norm * (left + right), -2.0 * norm * recoil * right,
             norm * recoil * (recoil * right - constants.electron_mass * helicity)}};
}

} // namespace nuscan
