#include "nuscan/physics/electroweak.hpp"

#include <gtest/gtest.h>

#include "nuscan/physics/kinematics.hpp"
#include "tests/physics/default_values.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// Eq. 1 as printed, in cm^2/keV.
double printed_cross_section(WeakCoupling g, double recoil, double energy)
{
    double const gf_cm = 1.1663787e-17 * 1.973269804e-8; // G_F hbar c [cm/keV]
    double const y = recoil / energy;
    return gf_cm * gf_cm * 510.99895 / (2.0 * pi)
           * (std::pow(g.vector + g.axial, 2) + std::pow(g.vector - g.axial, 2) * (1.0 - y) * (1.0 - y)
              - (g.vector * g.vector - g.axial * g.axial) * 510.99895 * recoil / (energy * energy));
}

TEST(Electroweak, CouplingsOfTheStandardModel)
{
    auto const e = sm_coupling(0, 0.23857);
    auto const mu = sm_coupling(1, 0.23857);
    EXPECT_DOUBLE_EQ(e.vector, 0.5 + 2.0 * 0.23857);
    EXPECT_DOUBLE_EQ(e.axial, 0.5);
    EXPECT_DOUBLE_EQ(mu.vector, -0.5 + 2.0 * 0.23857);
    EXPECT_DOUBLE_EQ(mu.axial, -0.5);
    EXPECT_DOUBLE_EQ(sm_coupling(2, 0.23857).vector, mu.vector);
}

TEST(Electroweak, EqualsEquationOne)
{
    for (int flavour = 0; flavour < n_flavours; ++flavour)
        for (double const energy : {50.0, 420.0, 862.0, 15000.0})
            for (double const fraction : {1e-4, 0.1, 0.9})
            {
                double const recoil = fraction * maximum_recoil_energy(energy, constants.electron_mass);
                auto const g = sm_coupling(flavour, constants.sin2_theta_w);
                EXPECT_TRUE(is_close(electroweak_form(g, g, recoil, constants)(energy), printed_cross_section(g, recoil, energy),
                                     tolerance::rounding));
            }
}

TEST(Electroweak, TotalCrossSectionAtHighEnergy)
{
    // sigma = 2 G_F^2 m_e E/pi (g_L^2 + g_R^2/3) for E >> m_e: 9.52e-45 cm^2 (E/MeV)
    // for nu_e at sin^2 theta_W = 0.2312.
    double const energy = 1e7; // 10 GeV in keV; corrections are of order m_e/E = 5e-5
    double const correction = 2e-4;
    auto const g = sm_coupling(0, 0.2312);
    double const maximum = maximum_recoil_energy(energy, constants.electron_mass);
    double total = 0.0;
    int const steps = 1000; // Simpson's rule is exact for a quadratic
    for (int i = 0; i <= steps; ++i)
    {
        double const weight = i == 0 || i == steps ? 1.0 : i % 2 == 1 ? 4.0 : 2.0;
        total += weight * electroweak_form(g, g, maximum * i / steps, constants)(energy) * maximum / (3.0 * steps);
    }
    double const left = 0.5 * (g.vector + g.axial);
    double const right = 0.5 * (g.vector - g.axial);
    double const gf_cm = constants.fermi_constant * constants.hbar_c;
    double const expected = 2.0 * gf_cm * gf_cm * constants.electron_mass * energy / pi * (left * left + right * right / 3.0);
    EXPECT_TRUE(is_close(total, expected, correction));
    EXPECT_NEAR(total / (energy * 1e-3), 9.52e-45, 0.02e-45);
}

TEST(Electroweak, AntineutrinosExchangeLeftAndRight)
{
    auto const nu = sm_coupling(0, constants.sin2_theta_w);
    auto const anti = sm_coupling(0, constants.sin2_theta_w, true);
    EXPECT_DOUBLE_EQ(anti.axial, -nu.axial);
    double const energy = 800.0;
    double const recoil = 100.0;
    EXPECT_TRUE(is_close(electroweak_form(anti, anti, recoil, constants)(energy), printed_cross_section(anti, recoil, energy),
                         tolerance::rounding));
    EXPECT_LT(electroweak_form(anti, anti, recoil, constants)(energy), electroweak_form(nu, nu, recoil, constants)(energy));
}

TEST(Electroweak, FormIsBilinearAndSymmetric)
{
    WeakCoupling const a{0.3, -1.2};
    WeakCoupling const b{-2.0, 0.7};
    double const x = 1.7;
    WeakCoupling const sum{a.vector + x * b.vector, a.axial + x * b.axial};
    auto const whole = electroweak_form(sum, sum, 3.0, constants);
    auto const aa = electroweak_form(a, a, 3.0, constants);
    auto const ab = electroweak_form(a, b, 3.0, constants);
    auto const ba = electroweak_form(b, a, 3.0, constants);
    auto const bb = electroweak_form(b, b, 3.0, constants);
    for (int k = 0; k < n_energy_powers; ++k)
    {
        EXPECT_DOUBLE_EQ(ab.c[k], ba.c[k]);
        EXPECT_NEAR(whole.c[k], aa.c[k] + 2.0 * x * ab.c[k] + x * x * bb.c[k],
                    tolerance::rounding * (std::fabs(aa.c[k]) + x * x * std::fabs(bb.c[k])));
    }
}

TEST(Electroweak, NeverNegativeInsideThePhaseSpace)
{
    for (double const vector : {-3.0, -0.5, 0.0, 1.0})
        for (double const axial : {-2.0, 0.0, 0.5})
            for (double const energy : {5.0, 300.0, 5000.0})
                for (double const fraction : {1e-6, 0.3, 0.7, 1.0})
                {
                    WeakCoupling const g{vector, axial};
                    double const recoil = fraction * maximum_recoil_energy(energy, constants.electron_mass);
                    double const scale = printed_cross_section({std::fabs(vector) + std::fabs(axial), 0.0}, 0.0, energy);
                    EXPECT_GE(electroweak_form(g, g, recoil, constants)(energy), -tolerance::rounding * scale);
                }
}

TEST(Kinematics, MinimumEnergyInvertsMaximumRecoil)
{
    for (double const energy : {2.0, 100.0, 862.0, 18000.0})
    {
        double const recoil = maximum_recoil_energy(energy, constants.electron_mass);
        EXPECT_TRUE(is_close(minimum_neutrino_energy(recoil, constants.electron_mass), energy, tolerance::rounding));
    }
    // Backscattering of the 7Be line: 2 x 861.3^2/(510.999 + 2 x 861.3) keV.
    EXPECT_NEAR(maximum_recoil_energy(861.3, constants.electron_mass), 664.25, 0.01);
}

} // namespace
} // namespace nuscan
