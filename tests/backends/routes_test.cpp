// The two routes to a rate share nodes and must agree to rounding.
#include <gtest/gtest.h>

#include "evaluate.hpp"
#include "host/backends/cpu.hpp"
#include "host/scan/self_check.hpp"
#include "random_points.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

struct Agreement
{
    std::size_t points = 0;
    std::size_t fallbacks = 0;
    double worst = 0.0;
    double largest_rate = 0.0;
};

void compare_routes(std::shared_ptr<Problem const> const& problem, Agreement& agreement)
{
    auto const factored = evaluate(*make_cpu_backend(problem, Route::factored, 2), *problem, {0, problem->size()});
    auto const direct = evaluate(*make_cpu_backend(problem, Route::direct, 2), *problem, {0, problem->size()});
    for (std::size_t i = 0; i < factored.chi2.size(); ++i)
    {
        double const deviation = check_deviation(factored.chi2[i], direct.chi2[i]);
        ASSERT_LT(deviation, tolerance::implementation) << factored.chi2[i] << " against " << direct.chi2[i];
        ASSERT_LE(direct.status[i], 0);
        ASSERT_LE(factored.status[i], 1);
        agreement.fallbacks += factored.status[i] == static_cast<std::uint8_t>(PointStatus::ok_direct);
        agreement.worst = std::max(agreement.worst, deviation);
        ++agreement.points;
    }
    for (double const rate : direct.rates)
        agreement.largest_rate = std::max(agreement.largest_rate, rate);
}

TEST(Routes, DirectAndFactoredAgreeEverywhere)
{
    RandomProblems problems(42);
    Agreement agreement;
    for (std::string const experiment : {"xenonnt_sr0", "lz_ws2022", "lz_ws2022_arxiv2208"})
        for (int p = 0; p < 80; ++p)
            compare_routes(problems.next(prepared({experiment}), 100), agreement);
    EXPECT_GE(agreement.points, 20000u);
    EXPECT_GT(agreement.largest_rate, 1e20); // of events or 1/(t yr) in a bin, where the SM has about 1
    std::printf("%zu points, largest rate %.1e: worst %.1e of 1 + chi2, %zu by the direct route\n", agreement.points,
                agreement.largest_rate, agreement.worst, agreement.fallbacks);
}

TEST(Routes, CancellingAmplitudesTakeTheDirectRoute)
{
    RandomProblems problems(6);
    Agreement agreement;
    for (auto const& experiments : all_experiment_sets)
        for (int p = 0; p < 10; ++p)
            compare_routes(problems.cancelling(prepared(experiments), 60), agreement);
    // A miss of a part in 10^4 and less falls below the limit: most of the draws.
    EXPECT_GT(agreement.fallbacks, agreement.points / 5);
    EXPECT_LT(agreement.fallbacks, agreement.points);
    std::printf("%zu points: worst %.1e of 1 + chi2, %zu by the direct route\n", agreement.points, agreement.worst,
                agreement.fallbacks);
}

TEST(Routes, JointFitsAgree)
{
    RandomProblems problems(9);
    Agreement agreement;
    for (int p = 0; p < 20; ++p)
        compare_routes(problems.next(prepared({"xenonnt_sr0", "lz_ws2022"}), 100), agreement);
    EXPECT_GE(agreement.points, 2000u);
}

} // namespace
} // namespace nuscan
