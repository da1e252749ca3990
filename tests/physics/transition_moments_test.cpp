#include "nuscan/physics/transition_moments.hpp"

#include <gtest/gtest.h>

#include "nuscan/scan/parameter.hpp"
#include "tests/physics/default_values.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

TransitionMoments const generic{{{1.3e-11, 0.4e-11}, {-0.7e-11, 1.1e-11}, {0.2e-11, -0.9e-11}}};

double effective(int flavour, double baseline_km, double energy_mev, bool antineutrino = false)
{
    return effective_moment_squared(flavour, baseline_km, energy_mev, generic, mixing_matrix(osc, 0.3, 1.1), osc, constants,
                                    antineutrino);
}

TEST(MixingMatrix, IsUnitaryAndHasThePdgModuli)
{
    auto const m = mixing_matrix(osc, 0.8, -2.1);
    for (int a = 0; a < n_flavours; ++a)
        for (int b = 0; b < n_flavours; ++b)
        {
            Complex sum;
            for (int i = 0; i < n_flavours; ++i)
                sum = sum + m.u[a][i] * m.u[b][i].conjugate();
            EXPECT_NEAR(sum.re, a == b ? 1.0 : 0.0, tolerance::rounding);
            EXPECT_NEAR(sum.im, 0.0, tolerance::rounding);
        }
    EXPECT_NEAR(m.u[0][2].norm(), osc.sin2_theta13, tolerance::rounding);
    EXPECT_NEAR(m.u[0][1].norm(), osc.sin2_theta12 * (1.0 - osc.sin2_theta13), tolerance::rounding);
    EXPECT_NEAR(m.u[1][2].norm(), osc.sin2_theta23 * (1.0 - osc.sin2_theta13), tolerance::rounding);
}

TEST(TransitionMoments, MatrixIsAntisymmetricWithTheStatedOrder)
{
    TransitionMoments const real{{{1, 0}, {2, 0}, {3, 0}}};
    EXPECT_EQ(real.element(0, 1).re, 3);
    EXPECT_EQ(real.element(0, 2).re, -2);
    EXPECT_EQ(real.element(1, 2).re, 1);
    for (int i = 0; i < n_flavours; ++i)
        for (int j = 0; j < n_flavours; ++j)
            EXPECT_EQ(real.element(i, j).re, -real.element(j, i).re);
}

TEST(TransitionMoments, ZeroBaselineIsTheFlavourBasisMatrix)
{
    auto const m = mixing_matrix(osc, 0.3, 1.1);
    for (int flavour = 0; flavour < n_flavours; ++flavour)
    {
        double expected = 0.0;
        for (int j = 0; j < n_flavours; ++j)
        {
            Complex amplitude;
            for (int i = 0; i < n_flavours; ++i)
                amplitude = amplitude + m.u[flavour][i].conjugate() * generic.element(i, j);
            expected += amplitude.norm();
        }
        EXPECT_TRUE(is_close(effective(flavour, 0.0, 3.0), expected, tolerance::rounding));
    }
}

TEST(TransitionMoments, SumOverFlavoursDoesNotOscillate)
{
    double const at_zero = effective(0, 0.0, 3.0) + effective(1, 0.0, 3.0) + effective(2, 0.0, 3.0);
    double expected = 0.0;
    for (Complex const value : generic.lambda)
        expected += 2.0 * value.norm();
    EXPECT_TRUE(is_close(at_zero, expected, tolerance::rounding));
    EXPECT_TRUE(
        is_close(effective(0, 53.0, 3.0) + effective(1, 53.0, 3.0) + effective(2, 53.0, 3.0), expected, tolerance::rounding));
}

TEST(TransitionMoments, OscillatesWithTheStatedPhase)
{
    // lambda_13 alone: |U_e1|^2 ... interference of nu_1 and nu_3 only through j = 2; period L = 4 pi E/Dm2_31.
    TransitionMoments const one{{{0, 0}, {1e-11, 0}, {0, 0}}};
    TransitionMoments const two{{{1e-11, 0}, {0, 0}, {1e-11, 0}}};
    auto const m = mixing_matrix(osc);
    auto const at = [&](TransitionMoments const& moments, double km) {
        return effective_moment_squared(0, km, 3.0, moments, m, osc, constants);
    };
    // One moment connects each final state to a single initial one: no interference.
    EXPECT_TRUE(is_close(at(one, 10.0), at(one, 0.0), tolerance::rounding));
    // Lambda_1 and Lambda_3 share the final state nu_2, reached from nu_1 and nu_3: period 4 pi E hbar c/Dm2_31.
    double const period_km = 4.0 * pi * 3e6 * constants.hbar_c * 1e3 / osc.dm31_ev2 * 1e-5;
    EXPECT_NEAR(period_km, 2.4796 * 3.0 / (2.55e-3 * 1e3), 1e-3 * period_km); // L = 2.48 km E[MeV]/Dm2[1e-3 eV^2]
    EXPECT_TRUE(is_close(at(two, period_km), at(two, 0.0), 1e-9));
    EXPECT_GT(std::fabs(at(two, 0.5 * period_km) / at(two, 0.0) - 1.0), 0.01);
}

TEST(TransitionMoments, PhaseAverageGivesProbabilitiesOfMassStates)
{
    auto const m = mixing_matrix(osc, 0.3, 1.1);
    double const probability[n_flavours] = {m.u[0][0].norm(), m.u[0][1].norm(), m.u[0][2].norm()};
    // Average over many periods of both splittings at incommensurate steps.
    double average = 0.0;
    int const samples = 200000;
    for (int i = 0; i < samples; ++i)
        average += effective(0, 1.0 + 3.14159 * i, 3.0) / samples;
    EXPECT_TRUE(is_close(average, averaged_moment_squared(probability, generic), 1e-4)); // 1/samples times a few
}

TEST(TransitionMoments, SolarWeightsArePublishedOnes)
{
    // Eq. 6 with P = 0.667: 0.34767, 0.67433, 0.978.
    double const expected[n_flavours] = {0.34767, 0.67433, 0.978};
    for (int i = 0; i < n_flavours; ++i)
    {
        TransitionMoments unit{};
        unit.lambda[i] = {0.0, 1.0};
        EXPECT_NEAR(solar_moment_squared(unit, 0.667, osc), expected[i], 1e-5);
    }
}

TEST(TransitionMoments, SolarFormulaIsTheAverageWithSolarProbabilities)
{
    double const p = 0.61;
    double const c13 = osc.cos2_theta13();
    double const probability[n_flavours] = {c13 * p, c13 * (1.0 - p), 1.0 - c13};
    EXPECT_TRUE(
        is_close(averaged_moment_squared(probability, generic), solar_moment_squared(generic, p, osc), tolerance::rounding));
}

TEST(TransitionMoments, CatalogueWeightsAreThoseOfEquationSix)
{
    double const p = 0.5;
    char const* const names[n_flavours] = {"Lambda_1", "Lambda_2", "Lambda_3"};
    for (int i = 0; i < n_flavours; ++i)
    {
        auto const map = resolve_parameter(find_parameter(names[i]), osc);
        TransitionMoments unit{};
        unit.lambda[i] = {1.0, 0.0};
        for (int f = 0; f < n_flavours; ++f)
            EXPECT_NEAR(map.direction.weight[f] + p * map.direction.weight[species_p_e1], solar_moment_squared(unit, p, osc),
                        tolerance::rounding);
    }
}

TEST(TransitionMoments, AntineutrinosConjugateTheMixing)
{
    // Conjugate moments and antineutrinos with opposite phases of propagation: at L = 0 they are equal.
    TransitionMoments conjugate = generic;
    for (Complex& value : conjugate.lambda)
        value = value.conjugate();
    auto const m = mixing_matrix(osc, 0.3, 1.1);
    EXPECT_TRUE(is_close(effective_moment_squared(0, 0.0, 3.0, conjugate, m, osc, constants, true), effective(0, 0.0, 3.0),
                         tolerance::rounding));
    EXPECT_FALSE(is_close(effective(0, 0.0, 3.0, true), effective(0, 0.0, 3.0), 1e-3));
}

} // namespace
} // namespace nuscan
