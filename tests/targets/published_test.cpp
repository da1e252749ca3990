// The numbers that a faithful code reaches (data/published), and the checks on them.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "host/scan/limits.hpp"
#include "host/support/toml_reader.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// "Reached" values are met to these; half a unit of their last printed digit comes on top (r2_e: 9.3 stands for 9.25 to 9.35).
constexpr double xenonnt_tolerance = 0.005;
constexpr double lz_tolerance = 0.01;
/// Doubling all nodes may move a limit by at most this.
constexpr double convergence_bound = 1e-4;

LimitOptions options()
{
    LimitOptions limit_options;
    limit_options.device = choose_device("cpu", 1);
    return limit_options;
}

AllowedRegion region_of(std::vector<std::string> const& experiments, char const* parameter, FixedParameters const& fixed = {})
{
    return find_limits(prepared(experiments), nullptr, {find_parameter(parameter)}, fixed, options()).front().region;
}

/// Half a unit of the last digit of a number printed with \p digits significant digits.
double half_digit(double value, int digits)
{
    return 0.5 * std::pow(10.0, std::floor(std::log10(std::fabs(value))) + 1 - digits);
}

class Published : public ::testing::TestWithParam<std::string>
{
};

TEST_P(Published, LimitsAreReached)
{
    std::string const experiment = GetParam();
    double const tolerance = experiment == "xenonnt_sr0" ? xenonnt_tolerance : lz_tolerance;
    DataFolder data = shipped_data();
    auto const file = TomlReader::parse(data.read("published/paper_table1.toml"), "paper_table1.toml");
    int compared = 0;
    for (auto const& limit : file.tables("limit"))
    {
        if (limit.string("experiment") != experiment)
            continue;
        auto const region = region_of({experiment}, limit.string("parameter").c_str());
        ASSERT_EQ(region.intervals.size(), 1u) << limit.string("parameter");
        auto const compare = [&](double reached, char const* key) {
            double const expected = limit.number(key);
            // Values have two to four digits; a number below 10 in its unit is printed with one decimal: two digits.
            EXPECT_NEAR(reached, expected, tolerance * std::fabs(expected) + half_digit(expected, 3)) << limit.string("parameter");
        };
        compare(region.intervals[0].hi, "expected_upper");
        if (limit.has("expected_lower"))
            compare(region.intervals[0].lo, "expected_lower");
        else
            EXPECT_EQ(region.intervals[0].lo, 0.0);
        ++compared;
    }
    EXPECT_GE(compared, 13);
}

TEST_P(Published, LimitsAreConverged)
{
    auto const limits = find_limits(prepared({GetParam()}), prepared({GetParam()}, 2), default_limit_parameters(), {}, options());
    ASSERT_EQ(limits.size(), 16u);
    for (auto const& limit : limits)
        EXPECT_LT(*limit.convergence, convergence_bound) << limit.parameter;
}

TEST_P(Published, AnapoleLimitsFollowFromTheChargeRadius)
{
    for (char const* flavour : {"e", "mu", "tau"})
    {
        auto const radius = region_of({GetParam()}, (std::string("r2_") + flavour).c_str());
        auto const anapole = region_of({GetParam()}, (std::string("a_") + flavour).c_str());
        EXPECT_TRUE(is_close(anapole.intervals[0].hi, -radius.intervals[0].lo / 6.0, tolerance::quadrature));
        EXPECT_TRUE(is_close(anapole.intervals[0].lo, -radius.intervals[0].hi / 6.0, tolerance::quadrature));
    }
}

TEST_P(Published, TransitionLimitsFollowFromTheUniversalMoment)
{
    // Eq. 6 with constant P_e1: Lambda_i = mu_universal / sqrt(weight_i).
    double const universal = region_of({GetParam()}, "mu_universal").intervals[0].hi;
    double const p = 0.667;
    double const c13 = 1.0 - 0.02200;
    double const weight[] = {1.0 - c13 * p, 1.0 - c13 + c13 * p, c13};
    char const* const names[] = {"Lambda_1", "Lambda_2", "Lambda_3"};
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(
            is_close(region_of({GetParam()}, names[i]).intervals[0].hi, universal / std::sqrt(weight[i]), tolerance::quadrature));
}

INSTANTIATE_TEST_SUITE_P(Experiments, Published, ::testing::Values("xenonnt_sr0", "lz_ws2022", "lz_ws2022_arxiv2208"),
                         [](auto const& experiment) { return experiment.param; });

double total_signal(std::string const& experiment)
{
    auto const& signal = prepared({experiment})->experiments().front().sm_signal();
    return std::accumulate(signal.begin(), signal.end(), 0.0);
}

PointEvaluation point(std::vector<std::string> const& experiments, char const* parameter = nullptr, double value = 0.0)
{
    FixedParameters fixed;
    if (parameter != nullptr)
        fixed[find_parameter(parameter)] = value;
    return evaluate_point(*prepared(experiments), fixed, false);
}

TEST(PublishedChecks, XenonntStandardModel)
{
    double const expected[] = {0.0, 1.104, 2.071, 2.143, 2.227, 2.404};
    auto const& signal = prepared({"xenonnt_sr0"})->experiments().front().sm_signal();
    for (std::size_t i = 0; i < 6; ++i)
        EXPECT_NEAR(signal[i], expected[i], 5e-4);
    EXPECT_NEAR(total_signal("xenonnt_sr0"), 68.84, 5e-3);
    EXPECT_NEAR(point({"xenonnt_sr0"}).fit.chi2, 17.756, 5e-4);
    // The bin below the cut is listed and takes no part.
    EXPECT_EQ(prepared({"xenonnt_sr0"})->experiments().front().used()[0], 0);
}

TEST(PublishedChecks, LzStandardModel)
{
    auto const own = point({"lz_ws2022"});
    EXPECT_NEAR(total_signal("lz_ws2022"), 32.81, 5e-3);
    EXPECT_NEAR(own.fit.chi2, 44.78, 5e-3);
    double const pulls[] = {-0.001, 0.014, -0.443}; // beta, alpha, delta
    for (std::size_t p = 0; p < 3; ++p)
        EXPECT_NEAR(own.pulls[p], pulls[p], 5e-4);
    EXPECT_EQ(prepared({"lz_ws2022"})->pull_names(), (std::vector<std::string>{"beta", "alpha", "delta"}));
    EXPECT_NEAR(total_signal("lz_ws2022_arxiv2208"), 31.67, 5e-3);
    EXPECT_NEAR(point({"lz_ws2022_arxiv2208"}).fit.chi2, 44.70, 5e-3);
}

TEST(PublishedChecks, JointFit)
{
    auto const joint = point({"xenonnt_sr0", "lz_ws2022"});
    EXPECT_NEAR(joint.fit.chi2, 62.533, 1e-3);
    EXPECT_NEAR(joint.pulls[0], -0.0104, 5e-5);
    EXPECT_NEAR(region_of({"xenonnt_sr0", "lz_ws2022"}, "mu_e").intervals[0].hi, 0.842e-11, 0.0005e-11);
    // A combination brings little: better than XENONnT alone by less than 6%.
    double const alone = region_of({"xenonnt_sr0"}, "mu_e").intervals[0].hi;
    EXPECT_LT(region_of({"xenonnt_sr0", "lz_ws2022"}, "mu_e").intervals[0].hi, alone);
    EXPECT_GT(region_of({"xenonnt_sr0", "lz_ws2022"}, "mu_e").intervals[0].hi, 0.94 * alone);
}

TEST(PublishedChecks, HugeCouplingsProfileTheSignalAway)
{
    EXPECT_NEAR(point({"xenonnt_sr0"}, "q_e", 1e-10).fit.chi2, 229.717, 5e-4);
    // 249.39455 with every background scaled to its expected norm: on the edge of the printed digit.
    EXPECT_NEAR(point({"lz_ws2022"}, "q_e", 1e-9).fit.chi2, 249.394, 1e-3);
    EXPECT_NEAR(point({"lz_ws2022_arxiv2208"}, "q_e", 1e-9).fit.chi2, 249.394, 1e-3);
}

TEST(PublishedChecks, ChargeRadiusHasTwoMinima)
{
    auto const& inputs = prepared({"xenonnt_sr0"});
    auto const parameter = find_parameter("r2_e");
    auto one_sigma = options();
    one_sigma.cl = 0.6826894921370859;
    auto const region = find_limits(inputs, nullptr, {parameter}, {}, one_sigma).front().region;
    ASSERT_EQ(region.intervals.size(), 2u);
    // Printed edges are multiples of 0.2e-32.
    double const digit = 0.1e-32 * (1.0 + tolerance::printed);
    EXPECT_NEAR(region.intervals[0].lo, -86.8e-32, digit);
    EXPECT_NEAR(region.intervals[0].hi, -66.4e-32, digit);
    EXPECT_NEAR(region.intervals[1].lo, -20.2e-32, digit);
    EXPECT_NEAR(region.intervals[1].hi, 3.6e-32, digit);
    EXPECT_NEAR(region.best_fit, -6.4e-32, 0.05e-32);

    auto const ninety = region_of({"xenonnt_sr0"}, "r2_e");
    EXPECT_EQ(ninety.intervals.size(), 1u);
    EXPECT_TRUE(ninety.marginal);
    Chi2Line const line(inputs, parameter, {}, Route::factored, false);
    EXPECT_NEAR(line(-43e-32) - ninety.chi2_min, 2.699, 5e-4);
}

TEST(PublishedChecks, FixedValuesShiftTheRegionExactly)
{
    // a_e and r2_e act as r2 - 6a: a large fixed r2_e moves the allowed a_e, double minimum and all.
    auto const plain = region_of({"xenonnt_sr0"}, "a_e");
    for (double const radius : {1e-29, 1e-27, 2e-26})
    {
        auto const shifted = region_of({"xenonnt_sr0"}, "a_e", {{find_parameter("r2_e"), radius}});
        EXPECT_NEAR(shifted.chi2_min, plain.chi2_min, 1e-7);
        EXPECT_TRUE(shifted.marginal) << radius;
        ASSERT_EQ(shifted.intervals.size(), 1u);
        double const rounding_of_shift = 1e-12 * radius + 1e-8 * 1e-31;
        EXPECT_NEAR(shifted.intervals[0].lo - radius / 6.0, plain.intervals[0].lo, rounding_of_shift);
        EXPECT_NEAR(shifted.intervals[0].hi - radius / 6.0, plain.intervals[0].hi, rounding_of_shift);
    }
}

TEST(PublishedChecks, OnlyR2eIsMarginal)
{
    for (auto const& set : all_experiment_sets)
        for (auto const& limit : find_limits(prepared(set), nullptr, default_limit_parameters(), {}, options()))
        {
            std::string const name = parameter_info(limit.parameter).name;
            EXPECT_EQ(limit.region.marginal, set == std::vector<std::string>{"xenonnt_sr0"} && (name == "r2_e" || name == "a_e"))
                << set.front() << " " << name;
        }
}

TEST(PublishedChecks, VectorCouplingWithZeroExcluded)
{
    auto const region = region_of({"xenonnt_sr0"}, "g_V", {{find_parameter("m_V"), 0.05}, {find_parameter("r2_e"), -1e-30}});
    ASSERT_EQ(region.intervals.size(), 1u);
    EXPECT_NEAR(region.intervals[0].lo, 1.95e-7, 0.006e-7);
    EXPECT_NEAR(region.intervals[0].hi, 5.11e-7, 0.006e-7);
}

TEST(PublishedChecks, MediatorsOrderAndScale)
{
    // Tensor strongest, pseudoscalar weakest; flat below 10 keV, then g proportional to m; XENONnT better than LZ.
    auto const limit = [](std::string const& experiment, std::string const& type, double mass) {
        return region_of({experiment}, ("g_" + type).c_str(), {{find_parameter("m_" + type), mass}}).intervals.back().hi;
    };
    for (std::string const experiment : {"xenonnt_sr0", "lz_ws2022_arxiv2208"})
    {
        for (std::string const type : {"S", "P", "V", "A", "T"})
        {
            EXPECT_LE(limit(experiment, "T", 0.01), limit(experiment, type, 0.01));
            EXPECT_GE(limit(experiment, "P", 0.01), limit(experiment, type, 0.01));
            EXPECT_TRUE(is_close(limit(experiment, type, 1e-4), limit(experiment, type, 1e-3), 0.02));
            EXPECT_TRUE(is_close(limit(experiment, type, 100.0), 10.0 * limit(experiment, type, 10.0), 1e-3));
        }
    }
    for (std::string const type : {"S", "P", "V", "A", "T"})
        for (double const mass : {1e-4, 0.05, 10.0})
            EXPECT_LT(limit("xenonnt_sr0", type, mass), limit("lz_ws2022_arxiv2208", type, mass));
}

} // namespace
} // namespace nuscan
