// The Python baselines compute the same chi^2, and say so when they do not.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/bench/baselines.hpp"
#include "host/bench/cases.hpp"
#include "host/support/process.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::bench
{
namespace
{

using Json = nlohmann::json;

constexpr Effort once{1, 0.0};

std::shared_ptr<Problem const> small_problem(char const* experiment)
{
    auto axes = vector_mediator().axes;
    axes[0].n = 5;
    axes[1].n = 40;
    return std::make_shared<Problem const>(prepared({experiment}), axes, FixedParameters{});
}

class NumpyBaseline : public testing::TestWithParam<char const*>
{
};

TEST_P(NumpyBaseline, AgreesWithTheBackend)
{
    auto const problem = small_problem(GetParam());
    auto const baseline = run_baseline("numpy", baseline_input(problem, once));
    if (!baseline.missing.empty())
        GTEST_SKIP() << baseline.missing;
    ASSERT_EQ(baseline.error, "");
    EXPECT_EQ(baseline.points, problem->size());
    EXPECT_LE(baseline.worst, numpy_tolerance);
    EXPECT_GT(baseline.points_per_s.value(), 0.0);
    EXPECT_GE(baseline.iterations, 1.0);
}

INSTANTIATE_TEST_SUITE_P(Experiments, NumpyBaseline, testing::Values("lz_ws2022", "lz_ws2022_arxiv2208", "xenonnt_sr0"));

TEST(Baselines, OtherChi2IsAnError)
{
    auto input = Json::parse(baseline_input(small_problem("lz_ws2022"), once));
    // Just above the tolerance, at one point of 200.
    double const chi2 = input["chi2"][17].get<double>();
    input["chi2"][17] = chi2 + 2.0 * numpy_tolerance * (1.0 + chi2);
    auto const baseline = run_baseline("numpy", input.dump());
    if (!baseline.missing.empty())
        GTEST_SKIP() << baseline.missing;
    EXPECT_FALSE(baseline.points_per_s.has_value());
    EXPECT_NE(baseline.error.find("chi^2 differs from that of nuscan by"), std::string::npos) << baseline.error;
}

TEST(Baselines, InputThatIsNoneIsAnErrorNotAMissingPackage)
{
    auto const baseline = run_baseline("numpy", "{}");
    if (!baseline.missing.empty())
        GTEST_SKIP() << baseline.missing;
    EXPECT_NE(baseline.error.find("baselines.py numpy failed"), std::string::npos) << baseline.error;
    EXPECT_FALSE(baseline.points_per_s.has_value());
}

} // namespace
} // namespace nuscan::bench
