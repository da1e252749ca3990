#include <gtest/gtest.h>

#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <numeric>

#include "host/backends/cpu.hpp"
#include "host/backends/reference.hpp"
#include "host/prepare/quadrature.hpp"
#include "host/prepare/solar_moments.hpp"
#include "nuscan/detector/response.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// An ideal counter of wide range: fold weights then tell the norm of the resolution.
ExperimentDefinition ideal_experiment(ResolutionDefinition const& resolution)
{
    ExperimentDefinition experiment;
    experiment.name = "ideal";
    experiment.rate_unit = RateUnit::events;
    experiment.exposure = 1.0;
    experiment.cut_max = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= 60; ++i)
        experiment.edges.push_back(i);
    experiment.counts.assign(60, 0.0);
    experiment.resolution = resolution;
    experiment.signal_pull = {"beta", 0.07};
    return experiment;
}

/// Norm of the kernel at each recoil node, from the sum over bins divided by that of a kernel whose norm is exactly 1 (width of the
/// true energy, same nodes).
std::vector<std::pair<double, double>> kernel_norms(ResolutionDefinition resolution)
{
    auto const base = prepared({"xenonnt_sr0"});
    resolution.width_of = EnergyScale::reconstructed;
    PreparedExperiment const reconstructed(ideal_experiment(resolution), base->inputs(), base->moments(), 1);
    resolution.width_of = EnergyScale::true_recoil;
    PreparedExperiment const exact(ideal_experiment(resolution), base->inputs(), base->moments(), 1);
    auto const sum_at = [](ResponseView const& view, int node) {
        return std::accumulate(view.fold + node * view.stride, view.fold + node * view.stride + view.n_bins, 0.0);
    };
    auto const a = reconstructed.response();
    auto const b = exact.response();
    std::vector<std::pair<double, double>> norms;
    for (int j = 0; j < std::min(a.n_nodes, b.n_nodes); ++j)
    {
        // Far from the ends of the bins nothing is lost; the node lists agree as far as the upper end differs.
        if (a.recoil[j] != b.recoil[j] || a.recoil[j] < 0.9 || a.recoil[j] > 30.0)
            continue;
        norms.emplace_back(a.recoil[j], sum_at(a, j) / sum_at(b, j));
    }
    return norms;
}

TEST(Folding, SquareRootWidthOfReconstructedEnergyIsNormalised)
{
    // K sqrt(E') is the one case where a width of E' still integrates to 1.
    ResolutionDefinition resolution;
    resolution.sqrt = 0.10;
    auto const norms = kernel_norms(resolution);
    ASSERT_GT(norms.size(), 50u);
    for (auto const& [recoil, norm] : norms)
        EXPECT_NEAR(norm, 1.0, 2e-10) << recoil; // quadrature with four nodes per half width
}

TEST(Folding, LinearTermChangesTheNormAsCalculated)
{
    // sigma = 0.310 sqrt(E') + 0.0037 E': 1.0008 at 1 keV; at any energy the integral done independently. 0.3 sqrt reaches negative
    // energies at 1 keV only through the kernel's tail, which ends at E' = 0 by itself.
    ResolutionDefinition resolution;
    resolution.sqrt = 0.310;
    resolution.linear = 0.0037;
    auto const norm_at = [&](double recoil) {
        double sum = 0.0;
        double const step = 0.05;
        for (double lo = 1e-9; lo < 60.0; lo += step)
            sum += boost::math::quadrature::gauss_kronrod<double, 31>::integrate(
                [&](double energy) { return gaussian_kernel(energy - recoil, resolution(energy)); }, lo, lo + step, 5, 1e-12);
        return sum;
    };
    EXPECT_NEAR(norm_at(1.0), 1.0008, 5e-5);
    auto const norms = kernel_norms(resolution);
    ASSERT_GT(norms.size(), 50u);
    for (std::size_t i = 0; i < norms.size(); i += norms.size() / 7)
    {
        // At low energies the kernel of the true width leaks below E' = 0.
        if (norms[i].first < 6.0)
            continue;
        EXPECT_NEAR(norms[i].second, norm_at(norms[i].first), tolerance::quadrature) << norms[i].first;
    }
}

TEST(Folding, RatesOfAnIdealDetectorAreTheSpectrum)
{
    // Without efficiency and with narrow resolution, bins well inside count the recoils in them.
    auto const base = prepared({"xenonnt_sr0"});
    ResolutionDefinition resolution;
    resolution.constant = 0.02;
    PreparedExperiment const narrow(ideal_experiment(resolution), base->inputs(), base->moments(), 1);
    auto const& constants = base->inputs().constants;
    auto const density = [&](double recoil) {
        double moments[n_moments];
        base->moments()(recoil, moments);
        return recoil_rate({}, recoil, moments, constants) * constants.atom_seconds_per_tonne_year()
               * effective_charge(base->inputs().shells, recoil);
    };
    for (int bin : {7, 12, 24}) // no shell edge nearby
    {
        double const expected = boost::math::quadrature::gauss_kronrod<double, 61>::integrate(density, bin, bin + 1.0, 5, 1e-10);
        // The slope of the spectrum and the smearing across both edges: sigma^2 dR'/dT, about 1e-4 x 1e-2.
        EXPECT_TRUE(is_close(narrow.sm_signal()[static_cast<std::size_t>(bin)], expected, 1e-5)) << bin;
    }
}

TEST(Folding, RefinementLeavesRatesAlone)
{
    for (auto const& set : all_experiment_sets)
    {
        auto const once = prepared(set);
        auto const twice = prepared(set, 2);
        for (std::size_t e = 0; e < set.size(); ++e)
        {
            auto const& a = once->experiments()[e].sm_signal();
            auto const& b = twice->experiments()[e].sm_signal();
            double const total = std::accumulate(b.begin(), b.end(), 0.0);
            for (std::size_t i = 0; i < a.size(); ++i)
                EXPECT_NEAR(a[i], b[i], tolerance::quadrature * total) << set[e] << " bin " << i;
        }
    }
}

TEST(Folding, BinsFromZeroLoseNothing)
{
    // The millicharge goes as 1/T^2: most of its recoils are near the lowest shell, and a constant width spreads them to E' = 0.
    Inputs inputs = prepared({"xenonnt_sr0"})->inputs();
    auto const set = [](double constant, double sqrt, EnergyScale width_of) {
        ResolutionDefinition resolution;
        resolution.constant = constant;
        resolution.sqrt = sqrt;
        resolution.width_of = width_of;
        return resolution;
    };
    int const charge = find_parameter("q_e");
    ParameterValues values;
    values[charge] = 1e-11;
    for (auto const& resolution : {set(0.21, 0.0, EnergyScale::reconstructed), set(0.21, 0.3, EnergyScale::reconstructed),
                                   set(0.01, 0.3, EnergyScale::reconstructed), set(0.21, 0.0, EnergyScale::true_recoil),
                                   set(0.0, 0.3, EnergyScale::true_recoil)})
    {
        auto experiment = ideal_experiment(resolution);
        experiment.edges.resize(7);
        experiment.counts.resize(6);
        inputs.experiments = {experiment};
        auto const rates = evaluate_point(Prepared(inputs), {{charge, 1e-11}}, false).rates[0];
        auto const expected = ReferenceCalculation(inputs).rates(0, values);
        for (std::size_t i = 0; i < expected.size(); ++i)
            EXPECT_TRUE(is_close(rates[i], expected[i], tolerance::quadrature))
                << resolution.constant << " " << resolution.sqrt << " bin " << i;
    }
}

TEST(Folding, EffectiveChargeCountsShells)
{
    auto const& shells = prepared({"xenonnt_sr0"})->inputs().shells;
    EXPECT_EQ(effective_charge(shells, 0.011), 0.0);
    EXPECT_EQ(effective_charge(shells, 0.5), 26.0);
    EXPECT_EQ(effective_charge(shells, 2.0), 44.0);
    EXPECT_EQ(effective_charge(shells, 10.0), 52.0);
    EXPECT_EQ(effective_charge(shells, 34.8), 54.0);
}

TEST(Quadrature, RulesAreExactForPolynomials)
{
    for (int const n : {4, 5, 8, 10})
    {
        auto const& rule = gauss_legendre(n);
        ASSERT_EQ(rule.node.size(), static_cast<std::size_t>(n));
        for (int power = 0; power < 2 * n; ++power)
        {
            double sum = 0.0;
            for (std::size_t i = 0; i < rule.node.size(); ++i)
                sum += rule.weight[i] * std::pow(rule.node[i], power);
            EXPECT_TRUE(is_close(sum, 1.0 / (power + 1), tolerance::rounding));
        }
    }
    EXPECT_THROW(gauss_legendre(7), std::invalid_argument);
}

TEST(Quadrature, PanelsKeepBreaksAndWidths)
{
    auto const ends = panel_ends(1.0, 10.0, {2.5, 2.5 + 1e-15, 7.0, 40.0, 0.5}, [](double x) { return 0.1 * x; });
    EXPECT_EQ(ends.front(), 1.0);
    EXPECT_EQ(ends.back(), 10.0);
    EXPECT_NE(std::find(ends.begin(), ends.end(), 2.5), ends.end());
    EXPECT_NE(std::find(ends.begin(), ends.end(), 7.0), ends.end());
    for (std::size_t i = 0; i + 1 < ends.size(); ++i)
    {
        EXPECT_GT(ends[i + 1], ends[i]);
        EXPECT_LE(ends[i + 1] - ends[i], 0.1 * ends[i] * (1.0 + 1e-9));
    }
}

} // namespace
} // namespace nuscan
