/// \file
/// Majorana transition magnetic moments: effective moment of a neutrino beam and of solar neutrinos.
#pragma once

#include <cmath>

#include "nuscan/core/complex.hpp"
#include "nuscan/core/constants.hpp"
#include "nuscan/physics/flavour.hpp"
#include "nuscan/physics/survival.hpp"

namespace nuscan
{

/// Lepton mixing matrix U_{alpha i}.
struct MixingMatrix
{
    Complex u[n_flavours][n_flavours];
};

/// U in the PDG parametrisation, with Dirac phase delta_CP and Majorana phases:
/// U = R23 U13(delta) R12 diag(1, exp(i alpha_21/2), exp(i alpha_31/2)).
NUSCAN_HD inline MixingMatrix mixing_matrix(OscillationParameters const& osc, double alpha21 = 0.0, double alpha31 = 0.0)
{
    double const s12 = std::sqrt(osc.sin2_theta12);
    double const c12 = std::sqrt(1.0 - osc.sin2_theta12);
    double const s13 = std::sqrt(osc.sin2_theta13);
    double const c13 = std::sqrt(1.0 - osc.sin2_theta13);
    double const s23 = std::sqrt(osc.sin2_theta23);
    double const c23 = std::sqrt(1.0 - osc.sin2_theta23);
    Complex const phase = Complex::unit(osc.delta_cp);
    Complex const real{1.0, 0.0};
    MixingMatrix m;
    m.u[0][0] = c12 * c13 * real;
    m.u[0][1] = s12 * c13 * real;
    m.u[0][2] = s13 * phase.conjugate();
    m.u[1][0] = -(s12 * c23) * real + -(c12 * s23 * s13) * phase;
    m.u[1][1] = c12 * c23 * real + -(s12 * s23 * s13) * phase;
    m.u[1][2] = s23 * c13 * real;
    m.u[2][0] = s12 * s23 * real + -(c12 * c23 * s13) * phase;
    m.u[2][1] = -(c12 * s23) * real + -(s12 * c23 * s13) * phase;
    m.u[2][2] = c23 * c13 * real;
    for (int a = 0; a < n_flavours; ++a)
    {
        m.u[a][1] = m.u[a][1] * Complex::unit(0.5 * alpha21);
        m.u[a][2] = m.u[a][2] * Complex::unit(0.5 * alpha31);
    }
    return m;
}

/// Antisymmetric matrix of moments in the mass basis, lambda = [[0, L3, -L2], [-L3, 0, L1], [L2, -L1, 0]] (L1 = lambda_23 and so on).
struct TransitionMoments
{
    Complex lambda[n_flavours]; ///< Lambda_1, Lambda_2, Lambda_3 [mu_B]

    NUSCAN_HD constexpr Complex element(int i, int j) const
    {
        if (i == j)
            return {};
        Complex const value = lambda[n_flavours - i - j];
        return (j - i + n_flavours) % n_flavours == 1 ? value : -value;
    }
};

/// Effective moment squared of flavour alpha after a baseline in vacuum (arXiv:2208.06415, Eq. 5):
///   mu_alpha^2(L, E) = sum_j | sum_i U*_{alpha i} exp(-i Dm2_i1 L/(2E)) lambda_ij |^2,   U instead of U* for antineutrinos.
///
/// \param baseline_km   L [km]
/// \param energy_mev    E [MeV]
/// \returns mu^2 in mu_B^2
NUSCAN_HD inline double effective_moment_squared(int flavour, double baseline_km, double energy_mev,
                                                 TransitionMoments const& moments, MixingMatrix const& mixing,
                                                 OscillationParameters const& osc, Constants const& constants,
                                                 bool antineutrino = false)
{
    double const cm_per_km = 1e5;
    double const hbar_c_ev_cm = constants.hbar_c / units::kev_per_ev;
    double const energy_ev = energy_mev * units::kev_per_mev / units::kev_per_ev;
    // Phase per eV^2 of mass splitting.
    double const phase = baseline_km * cm_per_km / (2.0 * energy_ev * hbar_c_ev_cm);
    double const splitting[n_flavours] = {0.0, osc.dm21_ev2, osc.dm31_ev2};
    double sum = 0.0;
    for (int j = 0; j < n_flavours; ++j)
    {
        Complex amplitude;
        for (int i = 0; i < n_flavours; ++i)
        {
            Complex const u = mixing.u[flavour][i];
            amplitude = amplitude
                        + (antineutrino ? u : u.conjugate()) * Complex::unit(-splitting[i] * phase) * moments.element(i, j);
        }
        sum += amplitude.norm();
    }
    return sum;
}

/// Phase-averaged effective moment squared for mass-state probabilities P_i: sum_i P_i sum_j |lambda_ij|^2.
NUSCAN_HD inline double averaged_moment_squared(double const* probability, TransitionMoments const& moments)
{
    double sum = 0.0;
    for (int i = 0; i < n_flavours; ++i)
        for (int j = 0; j < n_flavours; ++j)
            sum += probability[i] * moments.element(i, j).norm();
    return sum;
}

/// Effective moment squared of solar neutrinos (arXiv:2208.06415, Eq. 6), P = P_e1^{2nu}:
///   |L|^2 - c13^2 |L2|^2 + (c13^2 - 1)|L3|^2 + c13^2 P (|L2|^2 - |L1|^2).
NUSCAN_HD constexpr double solar_moment_squared(TransitionMoments const& moments, double p_e1, OscillationParameters const& osc)
{
    double const l1 = moments.lambda[0].norm();
    double const l2 = moments.lambda[1].norm();
    double const l3 = moments.lambda[2].norm();
    double const c13_squared = osc.cos2_theta13();
    return l1 + l2 + l3 - c13_squared * l2 + (c13_squared - 1.0) * l3 + c13_squared * p_e1 * (l2 - l1);
}

} // namespace nuscan
