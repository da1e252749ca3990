/// \file
/// Reference calculation: neutrino-electron cross sections, Eqs. 1-3 and 6-11 of arXiv:2208.06415 (physics.md sections 0-2).
#pragma once

#include <array>

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/survival.hpp"
#include "nuscan/scan/parameter.hpp"

namespace nuscan::reference
{

/// dsigma_f/dT of one physics point. Energies in keV, cross sections in cm^2/keV.
class CrossSection
{
public:
    /// \param adiabatic_transition  P_e1^{2nu} of Eq. 6 depends on the neutrino energy, instead of the constant P_e1
    CrossSection(Constants const& constants, OscillationParameters const& oscillation, ParameterValues const& values,
                 bool adiabatic_transition);

    /// dsigma_f/dT(T, E) as the paper writes it, without the part of transition_coefficients().
    double operator()(int flavour, double recoil, double energy) const;

    /// The same as the coefficients of E^-k, k = 0..2.
    std::array<double, 3> coefficients(int flavour, double recoil) const;

    /// Coefficients of P_e1^{2nu}(E) E^-k: the energy-dependent part of Eq. 6, for the beam as a whole. Zero unless adiabatic.
    std::array<double, 3> transition_coefficients(double recoil) const;

private:
    struct Couplings
    {
        double vector;
        double axial;
    };
    /// g_V and g_A of Eq. 2 with the shifts of Eqs. 7-9.
    Couplings couplings(int flavour, double recoil) const;
    /// y/(2 m_e T + m^2) [keV^-2]; 0 without coupling.
    double propagator(int coupling, int mass, double recoil) const;

    Constants constants_;
    ParameterValues values_;
    std::array<double, 3> moment_squared_{};      ///< mu_f^2 [mu_B^2]
    double transition_p_e1_moment_squared_ = 0.0; ///< factor of P_e1(E) in mu^2 [mu_B^2]
};

} // namespace nuscan::reference
