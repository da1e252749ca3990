#include "conformance.hpp"

#include "host/backends/backend.hpp"
#include "host/support/error.hpp"

namespace nuscan
{
namespace
{

BackendCase cpu_case(std::string const& name, Route route, int threads, int reference_points)
{
    return {name, [=](std::shared_ptr<Problem const> problem) { return make_cpu_backend(std::move(problem), route, threads); },
            reference_points};
}

INSTANTIATE_TEST_SUITE_P(Backends, Conformance,
                         ::testing::Values(cpu_case("cpu_factored", Route::factored, 2, 160),
                                           cpu_case("cpu_direct", Route::direct, 2, 40),
                                           BackendCase{"reference",
                                                       [](std::shared_ptr<Problem const> problem) {
                                                           Device device;
                                                           device.kind = DeviceKind::reference;
                                                           return make_backend(device, std::move(problem), Route::automatic, 2);
                                                       },
                                                       20, true}),
                         [](auto const& backend) { return backend.param.name; });

TEST(CpuBackend, ThreadsNeverChangeABit)
{
    RandomProblems problems(3);
    for (auto const& experiments : all_experiment_sets)
        for (Route const route : {Route::factored, Route::direct})
        {
            auto const problem = problems.next(prepared(experiments), 700);
            auto const one = evaluate(*make_cpu_backend(problem, route, 1), *problem, {0, problem->size()});
            for (int const threads : {2, 3, 8})
            {
                auto const several = evaluate(*make_cpu_backend(problem, route, threads), *problem, {0, problem->size()});
                EXPECT_TRUE(same_bits(one.chi2, several.chi2));
                EXPECT_TRUE(same_bits(one.pulls, several.pulls));
                EXPECT_EQ(one.status, several.status);
            }
        }
}

TEST(CpuBackend, ManyMassCombinationsAreWorkedOffInBlocks)
{
    // More combinations than templates are kept: the same points as from a small problem.
    std::vector<Axis> axes{make_axis("m_V", 1e-3, 1.0, 1000, AxisScale::log), make_axis("m_A", 1e-3, 1.0, 1000, AxisScale::log),
                           make_axis("g_V", 1e-7, 1e-6, 2, AxisScale::log), make_axis("g_A", 1e-7, 1e-6, 2, AxisScale::log)};
    auto const big = std::make_shared<Problem const>(prepared({"lz_ws2022"}), axes, FixedParameters{});
    std::int64_t const begin = 123456;
    auto const results = evaluate(*make_cpu_backend(big, Route::factored, 2), *big, {begin, begin + 40});
    auto const direct = evaluate(*make_cpu_backend(big, Route::direct, 2), *big, {begin, begin + 40});
    for (std::size_t i = 0; i < 40; ++i)
        EXPECT_TRUE(chi2_agrees(results.chi2[i], direct.chi2[i], tolerance::implementation));
}

TEST(CpuBackend, DeviceNamesAreUnderstood)
{
    EXPECT_EQ(choose_device("cpu", 3).kind, DeviceKind::cpu);
    EXPECT_EQ(choose_device("reference", 1).kind, DeviceKind::reference);
    EXPECT_THROW(choose_device("gpu", 1), InputError);
    EXPECT_FALSE(choose_device("auto", 1).reason.empty());
}

} // namespace
} // namespace nuscan
