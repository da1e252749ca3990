#include "host/prepare/solar_moments.hpp"

#include <gtest/gtest.h>

#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <numeric>

#include "nuscan/physics/kinematics.hpp"
#include "nuscan/physics/survival.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

Prepared const& inputs()
{
    return *prepared({"xenonnt_sr0"});
}

std::size_t source_index(std::string const& name)
{
    auto const& sources = inputs().inputs().solar.sources;
    for (std::size_t s = 0; s < sources.size(); ++s)
        if (sources[s].name == name)
            return s;
    ADD_FAILURE() << "no source " << name;
    return 0;
}

TEST(SolarMoments, SurvivalProbabilitiesAreThePublishedOnes)
{
    auto const& moments = inputs().moments();
    double const digit = 5e-5; // half of the last digit given; 5e-4 where three digits are given
    EXPECT_NEAR(moments.p_ee(source_index("pp"), 300.0), 0.5365, digit);
    EXPECT_NEAR(moments.p_ee(source_index("pp"), 861.3), 0.5255, digit);
    EXPECT_NEAR(moments.p_ee(source_index("7Be"), 861.3), 0.520, 10 * digit);
    EXPECT_NEAR(moments.p_ee(source_index("8B"), 10000.0), 0.335, 10 * digit);
}

TEST(SolarMoments, ZoneAverageIsInterpolatedExactly)
{
    auto const& solar = inputs().inputs().solar;
    auto const& osc = inputs().inputs().oscillation;
    for (std::size_t s = 0; s < solar.sources.size(); ++s)
        for (double const energy : {1.0, 77.0, 861.3, 5000.0, 18000.0})
        {
            double sum = 0.0;
            for (std::size_t zone = 0; zone < solar.electron_density.size(); ++zone)
                sum += solar.sources[s].zone_weight[zone] * solar_p_e1(energy, solar.electron_density[zone], osc);
            EXPECT_NEAR(inputs().moments().p_e1(s, energy), sum, tolerance::summation) << solar.sources[s].name << " " << energy;
        }
}

TEST(SolarMoments, FlavoursSumToTheFlux)
{
    // At a recoil of 0.01 eV all but 2e-7 of the flux is above threshold (E_min = 51 eV); k = 0 sums the probabilities to 1.
    double moments[n_moments];
    inputs().moments()(1e-5, moments);
    double flux = 0.0;
    for (auto const& source : inputs().inputs().solar.sources)
        flux += source.flux;
    EXPECT_TRUE(is_close(moments[0] + moments[3] + moments[6], flux, 2e-5)); // spectra are normalised to 1e-5
}

TEST(SolarMoments, EqualAdaptiveQuadrature)
{
    auto const& data = inputs().inputs();
    double const electron_mass = data.constants.electron_mass;
    for (double const recoil : {0.05, 1.7, 12.0, 44.0})
    {
        double moments[n_moments];
        inputs().moments()(recoil, moments);
        double const minimum = minimum_neutrino_energy(recoil, electron_mass);
        double expected[n_energy_powers] = {};
        for (std::size_t s = 0; s < data.solar.sources.size(); ++s)
        {
            auto const& source = data.solar.sources[s];
            for (auto const& line : source.lines)
                if (line.energy > minimum)
                    for (int k = 0; k < n_energy_powers; ++k)
                        expected[k] += line.flux * inputs().moments().p_ee(s, line.energy) * std::pow(line.energy, -k);
            for (std::size_t i = 0; i + 1 < source.energy.size(); ++i)
            {
                double const lo = std::max(source.energy[i], minimum);
                double const hi = source.energy[i + 1];
                if (lo >= hi)
                    continue;
                for (int k = 0; k < n_energy_powers; ++k)
                    expected[k] += boost::math::quadrature::gauss_kronrod<double, 31>::integrate(
                        [&](double energy) {
                            double const t = (energy - source.energy[i]) / (hi - source.energy[i]);
                            double const density = (1.0 - t) * source.density[i] + t * source.density[i + 1];
                            return source.flux * density * inputs().moments().p_ee(s, energy) * std::pow(energy, -k);
                        },
                        lo, hi, 5, 1e-12);
            }
        }
        for (int k = 0; k < n_energy_powers; ++k)
            EXPECT_TRUE(is_close(moments[k], expected[k], tolerance::quadrature)) << "T = " << recoil << ", k = " << k;
    }
}

TEST(SolarMoments, LinesEndAtTheirLargestRecoil)
{
    // Crossing T_max of the 384.3 keV line of 7Be takes its flux away at once.
    auto const& data = inputs().inputs();
    double const edge = maximum_recoil_energy(384.3, data.constants.electron_mass);
    double below[n_moments];
    double above[n_moments];
    inputs().moments()(edge * (1.0 - 1e-9), below);
    inputs().moments()(edge * (1.0 + 1e-9), above);
    auto const s = source_index("7Be");
    double const line = data.solar.sources[s].lines.front().flux * inputs().moments().p_ee(s, 384.3);
    EXPECT_TRUE(is_close(below[0] - above[0], line, 1e-4)); // the continua change by 1e-9 of themselves
}

TEST(SolarMoments, AdiabaticTransitionSurvivalDiffersFromTheConstant)
{
    DataFolder folder = shipped_data();
    InputChoice choice;
    choice.transition_survival = "adiabatic";
    SolarMoments const adiabatic(load_inputs(folder, choice, {}), 1);
    double constant[n_moments];
    double by_energy[n_moments];
    inputs().moments()(2.0, constant);
    adiabatic(2.0, by_energy);
    double const flux = constant[0] + constant[3] + constant[6];
    EXPECT_TRUE(is_close(constant[9], 0.667 * flux, tolerance::summation));
    // pp and 7Be neutrinos: P_e1 close to cos^2 theta_12 = 0.682, slightly below.
    EXPECT_GT(by_energy[9] / flux, 0.64);
    EXPECT_LT(by_energy[9] / flux, 0.682);
}

} // namespace
} // namespace nuscan
