#include "nuscan/physics/interactions.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "nuscan/scan/parameter.hpp"
#include "tests/physics/default_values.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

TEST(MagneticMoment, ScaleIsTheClassicalElectronRadius)
{
    // pi alpha^2/m_e^2 = pi r_e^2, r_e = 2.8179403e-13 cm.
    double const radius = 2.8179403e-13;
    double const relative = 1e-6; // digits of the inputs
    double const recoil = 5.0;
    double const energy = 400.0;
    EXPECT_TRUE(is_close(MagneticMoment::cross_section(recoil, 0.0, constants)(energy),
                         pi * radius * radius * (1.0 / recoil - 1.0 / energy), relative));
}

TEST(MagneticMoment, VanishesWhereAllEnergyIsTransferred)
{
    EXPECT_NEAR(MagneticMoment::cross_section(300.0, 0.0, constants)(300.0), 0.0, 1e-40);
}

TEST(Millicharge, IsAMasslessVectorOfTheElectromagneticCoupling)
{
    // Photon exchange against y/(2 sqrt2 G_F 2 m_e T): y = -8 pi alpha q in the normalisation of the vector mediator.
    for (double const recoil : {0.02, 1.0, 25.0})
        EXPECT_TRUE(is_close(Millicharge::amplitude(recoil, 0.0, constants),
                             -8.0 * pi * constants.alpha() * VectorMediator::amplitude(recoil, 0.0, constants),
                             tolerance::rounding));
}

TEST(ChargeRadius, IsAHeavyVector)
{
    // y/(2 sqrt2 G_F m^2) = sqrt2 pi alpha r^2/(3 G_F) for y/m^2 = 4 pi alpha r^2/3.
    double const mass = 1e9;
    double const radius_squared = 1e-32 / constants.hbar_c_squared(); // keV^-2
    double const strength = 4.0 * pi * constants.alpha() * radius_squared / 3.0 * mass * mass;
    EXPECT_TRUE(is_close(1e-32 * ChargeRadius::amplitude(3.0, 0.0, constants),
                         strength * VectorMediator::amplitude(3.0, mass, constants), 1e-12)); // 2 m_e T/m^2 = 3e-15
}

TEST(ChargeRadius, AnapoleIsMinusASixthOfTheRadius)
{
    auto const radius = resolve_parameter(find_parameter("r2_mu"), {});
    auto const anapole = resolve_parameter(find_parameter("a_mu"), {});
    ModelPoint a;
    ModelPoint b;
    apply_parameter(a, radius, 6e-32);
    apply_parameter(b, anapole, -1e-32);
    EXPECT_DOUBLE_EQ(a.strength[radius.direction.interaction][1], b.strength[radius.direction.interaction][1]);
}

template<class Interaction>
double response(double recoil, double mass, double energy)
{
    if constexpr (Interaction::channel == Channel::incoherent)
        return Interaction::cross_section(recoil, mass, constants)(energy);
    else
        return Interaction::amplitude(recoil, mass, constants);
}

template<class Interaction>
class Mediator : public ::testing::Test
{
};
using Mediators = ::testing::Types<ScalarMediator, PseudoscalarMediator, VectorMediator, AxialVectorMediator, TensorMediator>;
TYPED_TEST_SUITE(Mediator, Mediators);

TYPED_TEST(Mediator, MasslessBelowTheMomentumTransfer)
{
    double const energy = 350.0;
    double const light = response<TypeParam>(2.0, 1e-3, energy);
    EXPECT_TRUE(is_close(light, response<TypeParam>(2.0, 0.0, energy), 1e-8)); // 2 m^2/(2 m_e T) = 1e-9
}

TYPED_TEST(Mediator, CouplingGrowsWithMassWhenHeavy)
{
    // g -> 10 g, m -> 10 m leaves the rate: y/m^2 in an amplitude, y^2/m^4 in an incoherent term.
    double const energy = 350.0;
    double const heavy = 1e7;
    double const power = TypeParam::channel == Channel::incoherent ? 4.0 : 2.0;
    EXPECT_TRUE(is_close(response<TypeParam>(2.0, 10.0 * heavy, energy) * std::pow(10.0, power),
                         response<TypeParam>(2.0, heavy, energy), 1e-9)); // 2 m_e T/m^2 = 2e-11
}

TYPED_TEST(Mediator, RegistersCouplingAndMass)
{
    ASSERT_EQ(std::size(TypeParam::parameters), 2u);
    EXPECT_EQ(TypeParam::parameters[0].role, ParameterRole::coupling);
    EXPECT_EQ(TypeParam::parameters[1].role, ParameterRole::mass);
    EXPECT_EQ(TypeParam::parameters[0].power, TypeParam::channel == Channel::incoherent ? 4 : 2);
    EXPECT_STREQ(TypeParam::parameters[1].unit, "MeV");
}

TEST(Mediators, EqualTheirEquations)
{
    double const me = 510.99895;
    double const recoil = 4.0;
    double const energy = 300.0;
    double const mass = 70.0;
    double const d = 2.0 * me * recoil + mass * mass;
    double const cm2 = 1.973269804e-8 * 1.973269804e-8;
    EXPECT_TRUE(is_close(response<ScalarMediator>(recoil, mass, energy),
                         me * me * recoil / (4.0 * pi * d * d * energy * energy) * cm2, tolerance::rounding));
    EXPECT_TRUE(is_close(response<PseudoscalarMediator>(recoil, mass, energy),
                         me * recoil * recoil / (8.0 * pi * d * d * energy * energy) * cm2, tolerance::rounding));
    double const y = recoil / energy;
    EXPECT_TRUE(
        is_close(response<TensorMediator>(recoil, mass, energy),
                 me / (pi * d * d) * (1.0 + 2.0 * (1.0 - y) + (1.0 - y) * (1.0 - y) - me * recoil / (energy * energy)) * cm2,
                 tolerance::rounding));
    EXPECT_TRUE(is_close(response<VectorMediator>(recoil, mass, energy), 1.0 / (2.0 * std::sqrt(2.0) * 1.1663787e-17 * d),
                         tolerance::rounding));
    EXPECT_DOUBLE_EQ(response<AxialVectorMediator>(recoil, mass, energy), response<VectorMediator>(recoil, mass, energy));
}

TEST(Catalogue, NamesAreUniqueAndComplete)
{
    std::set<std::string> names;
    for (auto const& entry : parameter_catalogue)
        EXPECT_TRUE(names.insert(entry.info.name).second) << entry.info.name;
    for (char const* name : {"mu_e",  "mu_mu", "mu_tau", "mu_universal", "Lambda_1", "Lambda_2", "Lambda_3", "q_e", "q_mu",
                             "q_tau", "r2_e",  "r2_mu",  "r2_tau",       "a_e",      "a_mu",     "a_tau",    "g_S", "g_P",
                             "g_V",   "g_A",   "g_T",    "m_S",          "m_P",      "m_V",      "m_A",      "m_T"})
        EXPECT_EQ(names.count(name), 1u) << name;
    EXPECT_EQ(find_parameter("no_such"), -1);
}

} // namespace
} // namespace nuscan
