#include "nuscan/physics/survival.hpp"

#include <gtest/gtest.h>

#include "tests/physics/default_values.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

TEST(Survival, ProbabilitiesSumToOne)
{
    for (double const energy : {10.0, 300.0, 862.0, 10000.0})
        for (double const density : {0.0, 50.0, 100.0})
        {
            double const p_ee = solar_p_ee(solar_p_e1(energy, density, osc), osc);
            EXPECT_NEAR(p_ee + solar_p_emu(p_ee, osc) + solar_p_etau(p_ee, osc), 1.0, 4e-16); // a few roundings of 1
            EXPECT_GT(p_ee, 0.0);
            EXPECT_LT(p_ee, 1.0);
        }
}

TEST(Survival, VacuumLimit)
{
    // Without matter P2 = 1 - sin^2(2 theta_12)/2 at any energy.
    double const sin2_2theta = 4.0 * osc.sin2_theta12 * (1.0 - osc.sin2_theta12);
    double const c13 = 1.0 - osc.sin2_theta13;
    double const expected = c13 * c13 * (1.0 - 0.5 * sin2_2theta) + osc.sin2_theta13 * osc.sin2_theta13;
    EXPECT_TRUE(is_close(solar_p_ee(solar_p_e1(500.0, 0.0, osc), osc), expected, tolerance::rounding));
    EXPECT_TRUE(is_close(solar_p_ee(solar_p_e1(1e-3, 100.0, osc), osc), expected, 1e-6)); // b = 2e-7 at 1 eV
    EXPECT_TRUE(is_close(solar_p_e1(500.0, 0.0, osc), 1.0 - osc.sin2_theta12, tolerance::rounding));
}

TEST(Survival, MatterDominatedLimit)
{
    // In dense matter nu_e is nu_2: P_e1 -> 0, P2 -> sin^2(theta_12).
    double const dense = 1e9;
    EXPECT_NEAR(solar_p_e1(10000.0, dense, osc), 0.0, 1e-12);
    double const c13 = 1.0 - osc.sin2_theta13;
    EXPECT_NEAR(solar_p_ee(solar_p_e1(10000.0, dense, osc), osc),
                c13 * c13 * osc.sin2_theta12 + osc.sin2_theta13 * osc.sin2_theta13, 1e-12);
}

TEST(Survival, ResonanceIsHalfMixed)
{
    // At b = cos 2 theta_12 the matter angle is 45 degrees.
    double const cos_2theta = 1.0 - 2.0 * osc.sin2_theta12;
    double const density = 100.0;
    double const energy_ev = cos_2theta * osc.dm21_ev2 / (2.0 * 7.632e-14 * density * (1.0 - osc.sin2_theta13));
    EXPECT_NEAR(solar_p_e1(energy_ev * 1e-3, density, osc), 0.5, tolerance::rounding);
}

TEST(Survival, FallsWithEnergyAndDensity)
{
    EXPECT_GT(solar_p_e1(300.0, 60.0, osc), solar_p_e1(900.0, 60.0, osc));
    EXPECT_GT(solar_p_e1(300.0, 60.0, osc), solar_p_e1(300.0, 90.0, osc));
}

} // namespace
} // namespace nuscan
