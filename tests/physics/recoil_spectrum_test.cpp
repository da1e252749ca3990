#include "nuscan/physics/recoil_spectrum.hpp"

#include <gtest/gtest.h>

#include <random>

#include "nuscan/scan/factored.hpp"
#include "nuscan/scan/parameter.hpp"
#include "tests/physics/default_values.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// Moments of a made-up spectrum, of realistic sizes: flux ~ 1e10, E ~ 300 keV.
constexpr double moments[n_moments] = {3e10, 1.1e8, 4.2e5, 1.5e10, 5.1e7, 2.2e5, 1.9e10, 6.8e7, 2.9e5, 3.5e10, 1.3e8, 5.0e5};
constexpr double recoil = 2.5;

ModelPoint point_of(std::initializer_list<std::pair<char const*, double>> settings)
{
    ModelPoint point;
    for (auto const& [name, value] : settings)
        apply_parameter(point, resolve_parameter(find_parameter(name), osc), value);
    return point;
}

double rate(std::initializer_list<std::pair<char const*, double>> settings)
{
    return recoil_rate(point_of(settings), recoil, moments, constants);
}

double const sm = rate({});

TEST(RecoilSpectrum, StandardModelIsTheSumOverFlavours)
{
    double sum = 0.0;
    for (int f = 0; f < n_flavours; ++f)
    {
        auto const g = sm_coupling(f, constants.sin2_theta_w);
        auto const form = electroweak_form(g, g, recoil, constants);
        for (int k = 0; k < n_energy_powers; ++k)
            sum += form.c[k] * moments[f * n_energy_powers + k];
    }
    EXPECT_TRUE(is_close(sm, sum, tolerance::rounding));
}

TEST(RecoilSpectrum, UniversalMomentIsTheSumOfFlavouredOnes)
{
    double const universal = rate({{"mu_universal", 2e-11}}) - sm;
    double const summed = rate({{"mu_e", 2e-11}}) + rate({{"mu_mu", 2e-11}}) + rate({{"mu_tau", 2e-11}}) - 3.0 * sm;
    EXPECT_TRUE(is_close(universal, summed, tolerance::summation));
    EXPECT_TRUE(is_close(rate({{"mu_e", 2e-11}, {"mu_mu", 2e-11}, {"mu_tau", 2e-11}}), rate({{"mu_universal", 2e-11}}),
                         tolerance::rounding));
}

TEST(RecoilSpectrum, TransitionMomentsUseTheSurvivalSpecies)
{
    // With the P_e1 moments equal to P times the flavour sum, Lambda_i act as sqrt(weight) of a universal moment (Eq. 6).
    double constant_p[n_moments];
    double const p = 0.667;
    for (int m = 0; m < n_moments; ++m)
        constant_p[m] = moments[m];
    for (int k = 0; k < n_energy_powers; ++k)
        constant_p[species_p_e1 * n_energy_powers + k] = p
                                                         * (moments[k] + moments[n_energy_powers + k]
                                                            + moments[2 * n_energy_powers + k]);
    double const expected[n_flavours] = {0.34767, 0.67433, 0.978};
    char const* const names[n_flavours] = {"Lambda_1", "Lambda_2", "Lambda_3"};
    double const base = recoil_rate({}, recoil, constant_p, constants);
    double const universal = recoil_rate(point_of({{"mu_universal", 1e-10}}), recoil, constant_p, constants) - base;
    for (int i = 0; i < n_flavours; ++i)
        EXPECT_NEAR((recoil_rate(point_of({{names[i], 1e-10}}), recoil, constant_p, constants) - base) / universal, expected[i],
                    1e-5); // printed digits of the weights
}

TEST(RecoilSpectrum, ChargeRadiusAndAnapoleAddAsRadiusMinusSixAnapole)
{
    EXPECT_TRUE(is_close(rate({{"r2_tau", 3e-31}, {"a_tau", 5e-32}}), sm, tolerance::summation)); // 3e-31 - 6 x 5e-32 = 0
    EXPECT_TRUE(is_close(rate({{"a_e", 1e-32}}), rate({{"r2_e", -6e-32}}), tolerance::rounding));
}

TEST(RecoilSpectrum, DecouplesToTheStandardModel)
{
    for (char const* letter : {"S", "P", "V", "A", "T"})
    {
        std::string const g = std::string("g_") + letter;
        std::string const m = std::string("m_") + letter;
        EXPECT_DOUBLE_EQ(rate({{g.c_str(), 0.0}, {m.c_str(), 1.0}}), sm);
        EXPECT_TRUE(is_close(rate({{g.c_str(), 1e-6}, {m.c_str(), 1e6}}), sm, 1e-9)); // y/(G_F m^2) = 1e-13
    }
}

TEST(RecoilSpectrum, AmplitudesInterfereWithTheStandardModel)
{
    // A positive vector amplitude lowers the rate of nu_mu (g_V < 0) and raises that of nu_e: linear in y at small couplings.
    double const small = rate({{"g_V", 1e-8}, {"m_V", 1.0}}) - sm;
    double const twice = rate({{"g_V", std::sqrt(2.0) * 1e-8}, {"m_V", 1.0}}) - sm;
    EXPECT_TRUE(is_close(twice, 2.0 * small, 1e-3));
    // The scalar does not interfere: y^2 only.
    double const scalar = rate({{"g_S", 1e-5}, {"m_S", 1.0}}) - sm;
    double const scalar_twice = rate({{"g_S", std::pow(2.0, 0.25) * 1e-5}, {"m_S", 1.0}}) - sm;
    EXPECT_TRUE(is_close(scalar_twice, 2.0 * scalar, tolerance::quadrature));
}

TEST(RecoilSpectrum, IsThePolynomialOfItsTemplates)
{
    std::mt19937_64 generator(20220815);
    std::uniform_real_distribution<double> unit(-1.0, 1.0);
    auto const base = point_of({{"m_V", 0.3}, {"m_A", 0.01}, {"g_S", 3e-6}, {"m_S", 0.1}, {"mu_tau", 1e-11}, {"r2_mu", 2e-31}});
    char const* const names[max_variables] = {"q_e", "r2_e", "g_V", "mu_e"};
    double const scales[max_variables] = {1e-12, 1e-30, 3e-6, 3e-11};
    StrengthDirection directions[max_variables];
    ParameterMap maps[max_variables];
    for (int v = 0; v < max_variables; ++v)
    {
        maps[v] = resolve_parameter(find_parameter(names[v]), osc);
        directions[v] = maps[v].direction;
    }
    auto const basis = make_monomial_basis(directions, max_variables);
    EXPECT_EQ(basis.n_monomials, 1 + 4 + 6); // products among q_e, r2_e and g_V only
    for (int trial = 0; trial < 100; ++trial)
    {
        ModelPoint point = base;
        double strength[max_variables];
        for (int v = 0; v < max_variables; ++v)
        {
            double const value = maps[v].power == 1 ? scales[v] * unit(generator) : scales[v] * std::fabs(unit(generator));
            apply_parameter(point, maps[v], value);
            strength[v] = coupling_strength(value, maps[v].power);
        }
        double sum = 0.0;
        double magnitude = 0.0;
        for (int m = 0; m < basis.n_monomials; ++m)
        {
            double term = monomial_density(basis, m, base, recoil, moments, constants);
            for (int const variable : {basis.first[m], basis.second[m]})
                term *= variable < 0 ? 1.0 : strength[variable];
            sum += term;
            magnitude += std::fabs(term);
        }
        EXPECT_NEAR(sum, recoil_rate(point, recoil, moments, constants), tolerance::rounding * magnitude);
    }
}

} // namespace
} // namespace nuscan
