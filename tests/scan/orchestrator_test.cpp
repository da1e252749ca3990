#include "host/scan/orchestrator.hpp"

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "host/scan/chunk_queue.hpp"
#include "host/io/hdf5_file.hpp"
#include "host/io/journal.hpp"
#include "host/scan/self_check.hpp"
#include "host/support/error.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/scan_runs.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tolerance.hpp"
#include "tests/support/toy_experiments.hpp"

namespace nuscan::test
{
namespace
{

constexpr double infinite = std::numeric_limits<double>::infinity();
double const nan = std::numeric_limits<double>::quiet_NaN();

// --- the self-check -----------------------------------------------------------------------------------------------------------------

TEST(SelfCheckPoints, AreTheSameForTheSameSeed)
{
    EXPECT_EQ(draw_points(1000000, 64, "a seed"), draw_points(1000000, 64, "a seed"));
    EXPECT_NE(draw_points(1000000, 64, "a seed"), draw_points(1000000, 64, "another seed"));
    // Fewer points are the first of many.
    auto const many = draw_points(1000000, 64, "a seed");
    EXPECT_EQ(draw_points(1000000, 5, "a seed"), std::vector<std::int64_t>(many.begin(), many.begin() + 5));
}

TEST(SelfCheckPoints, AreDistinctAndInRange)
{
    for (std::int64_t const size : {std::int64_t{65}, std::int64_t{100}, std::int64_t{1200}, std::int64_t{9000000000000000000}})
    {
        auto const points = draw_points(size, 64, std::to_string(size));
        EXPECT_EQ(points.size(), 64U);
        EXPECT_EQ(std::set<std::int64_t>(points.begin(), points.end()).size(), 64U) << size;
        for (auto const point : points)
        {
            EXPECT_GE(point, 0);
            EXPECT_LT(point, size);
        }
    }
}

TEST(SelfCheckPoints, CoverTheGrid)
{
    // Each tenth of the grid gets its share: 1000 +- 5 sigma.
    std::vector<int> share(10, 0);
    for (auto const point : draw_points(1000000, 10000, "cover"))
        ++share[static_cast<std::size_t>(point / 100000)];
    for (int const n : share)
        EXPECT_NEAR(n, 1000, 150);
}

TEST(SelfCheckPoints, AreAllPointsOfASmallGrid)
{
    EXPECT_EQ(draw_points(1, 64, "x"), std::vector<std::int64_t>{0});
    EXPECT_EQ(draw_points(5, 64, "x"), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(draw_points(64, 64, "x").size(), 64U);
    EXPECT_TRUE(draw_points(10, 0, "x").empty());
}

TEST(SelfCheckDeviation, IsRelativeToOnePlusChi2)
{
    EXPECT_EQ(check_deviation(10.0, 10.0), 0.0);
    EXPECT_TRUE(is_close(check_deviation(9.0 + 1e-3, 9.0), 1e-4, 1e-9));
    EXPECT_TRUE(is_close(check_deviation(9.0 - 1e-3, 9.0), 1e-4, 1e-9));
    EXPECT_EQ(check_deviation(0.5, 0.0), 0.5);
}

TEST(SelfCheckDeviation, IsInfiniteWhereOnlyOneIsFinite)
{
    for (double const bad : {nan, infinite, -infinite})
    {
        EXPECT_EQ(check_deviation(bad, 1.0), infinite);
        EXPECT_EQ(check_deviation(1.0, bad), infinite);
        EXPECT_EQ(check_deviation(bad, nan), 0.0) << "both agree that there is no value";
    }
}

TEST(SelfCheckDeviation, IsInfiniteNoMoreWhereRatesOverflow)
{
    CheckedPoint const small{0, 1.0, false};
    CheckedPoint const huge{0, 1.0, true};
    EXPECT_EQ(check_deviation(nan, small), infinite);
    EXPECT_EQ(check_deviation(nan, huge), 0.0);
    EXPECT_EQ(check_deviation(1.0, CheckedPoint{0, nan, true}), 0.0);
    EXPECT_EQ(check_deviation(2.0, huge), 0.5) << "two values are compared all the same";
}

TEST(SelfCheckRun, FindsAtLeastFourPointsInOrder)
{
    auto const problem = std::make_shared<Problem const>(
        prepared({"xenonnt_sr0"}), std::vector<Axis>{{find_parameter("mu_e"), 0.0, 2e-11, 100, AxisScale::linear}},
        FixedParameters{});
    SelfCheck check(problem, {0, problem->size()}, "seed");
    auto const points = check.finish(0.0);
    ASSERT_EQ(points.size(), 4U) << "no time was spent, hence the fewest";
    auto drawn = draw_points(100, 64, "seed");
    drawn.resize(4);
    std::sort(drawn.begin(), drawn.end());
    for (std::size_t i = 0; i < 4; ++i)
    {
        EXPECT_EQ(points[i].index, drawn[i]);
        double const mu = 2e-11 * static_cast<double>(points[i].index) / 99.0;
        double const expected = evaluate_point(problem->prepared(), {{find_parameter("mu_e"), mu}}, false).fit.chi2;
        EXPECT_LE(check_deviation(expected, points[i].chi2), self_check_tolerance);
    }
}

TEST(SelfCheckRun, TakesMorePointsWhenThereWasTime)
{
    auto const problem = std::make_shared<Problem const>(
        prepared({"xenonnt_sr0"}), std::vector<Axis>{{find_parameter("mu_e"), 0.0, 2e-11, 100, AxisScale::linear}},
        FixedParameters{});
    SelfCheck check(problem, {0, problem->size()}, "seed");
    EXPECT_EQ(check.finish(1e6).size(), 64U) << "as many as there are at most";
}

// --- the plan -----------------------------------------------------------------------------------------------------------------------

ScanConfiguration configuration(std::vector<Axis> axes)
{
    ScanConfiguration configuration;
    configuration.path = "grid.toml";
    configuration.experiments = {"xenonnt_sr0", "lz_ws2022"};
    configuration.axes = std::move(axes);
    return configuration;
}

Inputs const& inputs()
{
    return prepared({"xenonnt_sr0", "lz_ws2022"})->inputs();
}

Axis axis(char const* name, double min, double max, std::int64_t n)
{
    return {find_parameter(name), min, max, n, AxisScale::linear};
}

std::vector<Axis> const plane{axis("m_V", 0.1, 1.0, 1000), axis("g_V", 0.0, 1e-6, 1000)};

TEST(Plan, CountsPointsChunksAndMasses)
{
    ScanOptions options;
    options.threads = 1;
    options.chunk = 300000;
    auto const plan = plan_scan(configuration(plane), inputs(), options);
    EXPECT_EQ(plan.points, 1000000);
    EXPECT_EQ(plan.chunk, 300000);
    EXPECT_EQ(plan.chunks, 4);
    EXPECT_EQ(plan.mass_combinations, 1000);
    auto const two = plan_scan(configuration({axis("m_V", 0.1, 1.0, 20), axis("g_V", 0.0, 1e-6, 10), axis("m_S", 0.1, 1.0, 30),
                                              axis("g_S", 0.0, 1e-6, 10)}),
                               inputs(), options);
    EXPECT_EQ(two.mass_combinations, 600);
    EXPECT_EQ(plan_scan(configuration({axis("mu_e", 0.0, 1e-11, 50)}), inputs(), options).mass_combinations, 1);
}

TEST(Plan, ChunksOfItsOwnChoiceCoverThePoints)
{
    for (Route const route : {Route::automatic, Route::direct, Route::factored})
        for (DeviceKind const kind : {DeviceKind::cpu, DeviceKind::reference, DeviceKind::cuda})
            for (std::int64_t const n : {1, 2, 63, 64, 65, 1000})
            {
                ScanOptions options;
                options.threads = 1;
                options.route = route;
                options.device.kind = kind;
                auto const plan = plan_scan(configuration({axis("m_V", 0.1, n > 1 ? 1.0 : 0.1, n), plane[1]}), inputs(), options);
                EXPECT_GE(plan.chunk, 1);
                EXPECT_GE(plan.chunks * plan.chunk, plan.points);
                EXPECT_LT((plan.chunks - 1) * plan.chunk, plan.points);
            }
}

TEST(Plan, AChunkIsWholeChunksOfTheFile)
{
    ScanOptions options;
    options.threads = 1;
    for (std::int64_t const n : {1000, 9999, 100000})
    {
        auto const wanted = configuration({axis("m_V", 0.1, 1.0, n), axis("g_V", 0.0, 1e-6, n)});
        auto const chunk = plan_scan(wanted, inputs(), options).chunk;
        EXPECT_GT(chunk, 100000) << n;
        EXPECT_EQ(chunk % surface_chunk_points({n, n}), 0) << n;
    }
}

/// What workers were handed and is not yet recorded: what the queue lets be under way, what is collected for the output, and what is
/// written.
TEST(Plan, AKillOfAllWorkersCostsAChunkForEachAtMost)
{
    for (std::int64_t const given : {0, 5, 100, 123457})
        for (Route const route : {Route::factored, Route::direct})
            for (int const workers : {1, 2, 3, 64})
            {
                auto const wanted = configuration({axis("m_V", 0.1, 1.0, 10000), axis("g_V", 0.0, 1e-6, 10000)});
                ScanOptions options;
                options.route = route;
                options.chunk = given;
                auto const alone = plan_scan(wanted, inputs(), options).chunk;
                options.workers = workers;
                auto const piece = plan_scan(wanted, inputs(), options).chunk;
                EXPECT_LE((ChunkQueue::chunks_under_way * workers + 2) * piece, alone * workers)
                    << given << " points a chunk, " << workers << " workers";
                EXPECT_GT(8 * piece, alone) << "no smaller than that asks for";
            }
}

TEST(Plan, AChunkKeepsADeviceBusy)
{
    auto const chunk = [](Route route) {
        ScanOptions options;
        options.device.kind = DeviceKind::cuda;
        options.route = route;
        return plan_scan(configuration({axis("m_V", 0.1, 1.0, 10000), axis("g_V", 0.0, 1e-6, 10000)}), inputs(), options).chunk;
    };
    CudaSizes const sizes;
    EXPECT_GE(chunk(Route::factored), 4 * sizes.factored_chunk) << "four parts a call, so that copies overlap";
    EXPECT_GE(chunk(Route::direct), 4 * sizes.direct_chunk);
}

/// With all rates stored, a chunk and its pinned buffers stay far from what a job is given.
TEST(Plan, AChunkOfADeviceWithLargeOutputsIsSmallerAndItsBuffersCount)
{
    auto wanted = configuration({axis("m_V", 0.1, 1.0, 10000), axis("g_V", 0.0, 1e-6, 10000)});
    wanted.output_rates = true;
    ScanOptions options;
    options.device.kind = DeviceKind::cuda;
    std::uint64_t const point = 9 + (30 + 51) * sizeof(double);
    auto const one = plan_scan(wanted, inputs(), options);
    EXPECT_LE(static_cast<std::uint64_t>(one.chunk) * point, std::uint64_t{256} << 20);
    EXPECT_GE(one.chunk, 4 * CudaSizes{}.busy_factored) << "four parts a call, each enough for a device";
    EXPECT_LT(one.memory_bytes, std::uint64_t{2} << 30);
    options.device.count = 4;
    auto const four = plan_scan(wanted, inputs(), options);
    std::int64_t const lane = CudaSizes{}.chunk(false, one.chunk);
    std::int64_t const lane_of_four = CudaSizes{}.chunk(false, (one.chunk + 3) / 4);
    EXPECT_EQ(four.memory_bytes - one.memory_bytes, static_cast<std::uint64_t>(8 * lane_of_four - 2 * lane) * point);
}

TEST(Plan, BytesAreThoseOfTheOutputs)
{
    ScanOptions options;
    options.threads = 1;
    auto wanted = configuration(plane);
    auto const bare = plan_scan(wanted, inputs(), options);
    // Of the file; the journal comes on top.
    auto const bytes = [&](std::size_t pulls, std::vector<std::int64_t> const& bins) {
        return surface_bytes({wanted.axes[0].n, wanted.axes[1].n}, {0, wanted.size()}, pulls, bins);
    };
    EXPECT_EQ(bare.file_bytes, bytes(0, {}));
    EXPECT_GT(bare.file_bytes, 9000000U);
    EXPECT_LT(bare.journal_bytes, 100000U);
    wanted.output_pulls = true;
    EXPECT_EQ(plan_scan(wanted, inputs(), options).file_bytes, bytes(3, {})) << "beta, alpha, delta";
    wanted.output_rates = true;
    EXPECT_EQ(plan_scan(wanted, inputs(), options).file_bytes, bytes(3, {30, 51}));
}

TEST(Plan, TimeGrowsWithTheWorkAndShrinksWithThreads)
{
    auto const seconds = [](Route route, DeviceKind kind, int threads) {
        ScanOptions options;
        options.route = route;
        options.device.kind = kind;
        options.threads = threads;
        return plan_scan(configuration(plane), inputs(), options).seconds;
    };
    EXPECT_GT(seconds(Route::factored, DeviceKind::cpu, 1), 0.0);
    EXPECT_GT(seconds(Route::direct, DeviceKind::cpu, 1), seconds(Route::factored, DeviceKind::cpu, 1));
    EXPECT_GT(seconds(Route::direct, DeviceKind::reference, 1), seconds(Route::direct, DeviceKind::cpu, 1));
    EXPECT_TRUE(is_close(seconds(Route::direct, DeviceKind::cpu, 4), 0.25 * seconds(Route::direct, DeviceKind::cpu, 1),
                         tolerance::rounding));
}

TEST(Plan, HugeGridsAreSizedInTheirFullLength)
{
    ScanOptions options;
    options.threads = 1;
    auto const plan = plan_scan(configuration({axis("m_V", 0.1, 1.0, 2000000000), axis("g_V", 0.0, 1e-6, 100000000)}), inputs(),
                                options);
    EXPECT_EQ(plan.points, 200000000000000000);
    EXPECT_GT(plan.file_bytes, 1800000000000000000U);
    EXPECT_GT(plan.chunks, 0);
    EXPECT_GT(plan.journal_bytes, static_cast<std::uint64_t>(plan.chunks) * Journal::record_bytes());
}

TEST(Plan, MemoryHoldsTheAxes)
{
    ScanOptions options;
    options.threads = 1;
    auto const memory = [&](std::int64_t n) {
        return plan_scan(configuration({axis("mu_e", 0.0, 1e-11, n)}), inputs(), options).memory_bytes;
    };
    EXPECT_GE(memory(100000000), memory(100000) + 1600000000U - 1600000U) << "the problem has them, and so has the output";
}

TEST(Plan, ParametersThatDoNotGoTogetherAreRefusedByFile)
{
    expect_input_error([] { plan_scan(configuration({plane[1]}), inputs(), {}); }, {"grid.toml: g_V is given without m_V"});
    auto mixed = configuration({axis("mu_e", 0.0, 1e-11, 3)});
    mixed.fixed[find_parameter("Lambda_1")] = 1e-11;
    expect_input_error([&] { plan_scan(mixed, inputs(), {}); }, {"grid.toml: mu_e and Lambda_1", "in two ways"});
}

TEST(Plan, FitHasRoomForSixteenPullsAndEightExperiments)
{
    ToyData const data;
    for (int i = 0; i < 9; ++i)
        data.add({"toy_" + std::to_string(i), false, false, i == 0 ? 9 : i == 1 ? 8 : i == 2 ? 7 : 0});
    auto const pulls = configuration({axis("mu_e", 0.0, 1e-11, 3)});
    EXPECT_EQ(plan_scan(pulls, data.inputs({"toy_0", "toy_2"}), {}).points, 3);
    expect_input_error(
        [&] {
            plan_scan(pulls, data.inputs({"toy_0", "toy_1"}), {});
        },
        {"grid.toml: 17 background pulls in all; at most 16 can be fitted"});
    expect_input_error(
        [&] {
            Prepared(data.inputs({"toy_0", "toy_1"}));
        },
        {"17 background pulls in all; at most 16 can be fitted"});
    std::vector<std::string> names{"toy_2"};
    for (int i = 3; i < 9; ++i)
        names.push_back("toy_" + std::to_string(i));
    names.push_back("toy_0");
    EXPECT_EQ(plan_scan(pulls, data.inputs(names), {}).points, 3);
    names.back() = "toy_1";
    names.push_back("toy_0");
    expect_input_error([&] { plan_scan(pulls, data.inputs(names), {}); }, {"grid.toml: 9 experiments given; a fit takes 1 to 8"});
}

// --- the run ------------------------------------------------------------------------------------------------------------------------

TEST(RunScan, CallsBackAndCanBeInterruptedAfterEveryChunk)
{
    TempDir const temp;
    auto wanted = configuration({axis("mu_e", 0.0, 1e-11, 10)});
    wanted.experiments = {"xenonnt_sr0"};
    ScanOptions options;
    options.output = temp.path() / "out.h5";
    options.threads = 1;
    options.chunk = 3;
    int started = 0;
    std::vector<std::int64_t> progress;
    options.started = [&](JournalContents const&) { ++started; };
    options.progress = [&](ScanProgress const& state) {
        progress.push_back(state.done);
        EXPECT_EQ(state.total, 10);
        EXPECT_GT(state.points_per_s, 0.0);
        EXPECT_GE(state.remaining_s, 0.0);
    };
    options.interrupted = [] { return true; };
    auto data = shipped_data();
    std::int64_t const expected[] = {3, 6, 9};
    for (std::size_t i = 0; i < 3; ++i)
    {
        auto const result = run_scan(wanted, data, options);
        EXPECT_EQ(result.outcome, ScanOutcome::interrupted);
        EXPECT_EQ(result.done, expected[i]);
        EXPECT_EQ(result.resumed_at, i == 0 ? 0 : expected[i - 1]);
        EXPECT_FALSE(std::filesystem::exists(options.output));
    }
    // An interruption after the last chunk comes too late to matter.
    auto const result = run_scan(wanted, data, options);
    EXPECT_EQ(result.outcome, ScanOutcome::finished);
    EXPECT_EQ(result.resumed_at, 9);
    EXPECT_EQ(result.done, 10);
    EXPECT_EQ(progress, (std::vector<std::int64_t>{3, 6, 9, 10}));
    EXPECT_EQ(started, 4);
    EXPECT_EQ(run_scan(wanted, data, options).outcome, ScanOutcome::already_finished);
    EXPECT_EQ(started, 4) << "nothing is started when all is there";
}

/// Mending may take as long as the scan itself.
TEST(RunScan, CanBeInterruptedWhileDamagedPointsAreComputedAgain)
{
    TempDir const temp;
    auto wanted = configuration({axis("mu_e", 0.0, 1e-11, 100)});
    wanted.experiments = {"xenonnt_sr0"};
    ScanOptions options;
    options.output = temp.path() / "out.h5";
    options.threads = 1;
    options.chunk = 10;
    auto data = shipped_data();
    options.interrupted = [chunks = 0]() mutable { return ++chunks == 8; };
    ASSERT_EQ(run_scan(wanted, data, options).done, 80);
    // Everything but the last chunk is damaged, which then is not simply left to the scan.
    {
        std::fstream values(temp.path() / "out.h5.partial", std::ios::binary | std::ios::in | std::ios::out);
        values.seekp(static_cast<std::streamoff>(h5::File::reserved_begin));
        values << std::string(70 * sizeof(double), '\0');
    }
    int mending = 0;
    options.mending = [&](IndexRange first) {
        ++mending;
        EXPECT_EQ(first.begin % 10, 0);
    };
    options.interrupted = [asked = 0]() mutable { return ++asked == 3; };
    auto const stopped = run_scan(wanted, data, options);
    EXPECT_EQ(stopped.outcome, ScanOutcome::interrupted);
    EXPECT_EQ(mending, 1);
    EXPECT_FALSE(std::filesystem::exists(options.output));
    options.interrupted = nullptr;
    auto const result = run_scan(wanted, data, options);
    EXPECT_EQ(result.outcome, ScanOutcome::finished);
    EXPECT_EQ(mending, 2);
    ScanOptions undisturbed;
    undisturbed.output = temp.path() / "whole.h5";
    run_scan(wanted, data, undisturbed);
    EXPECT_EQ(SurfaceBits{SurfaceReader(options.output)}, SurfaceBits{SurfaceReader(undisturbed.output)});
}

/// A kill then costs one thread one chunk, the one it computes.
TEST(RunScan, OneThreadWaitsUntilItsChunkIsRecorded)
{
    TempDir const temp;
    auto wanted = configuration({axis("mu_e", 0.0, 1e-11, 200)});
    wanted.experiments = {"xenonnt_sr0"};
    ScanOptions options;
    options.output = temp.path() / "out.h5";
    options.threads = 1;
    options.chunk = 1;
    options.progress = [&](ScanProgress const& state) { EXPECT_EQ(points_listed(temp.path() / "out.h5.journal"), state.done); };
    auto data = shipped_data();
    EXPECT_EQ(run_scan(wanted, data, options).outcome, ScanOutcome::finished);
}

/// One is computed while another is written: a kill costs two chunks, however many threads there are.
TEST(RunScan, SeveralThreadsHaveOneFinishedChunkUnrecordedAtMost)
{
    TempDir const temp;
    auto wanted = configuration({axis("mu_e", 0.0, 1e-11, 2000)});
    wanted.experiments = {"xenonnt_sr0"};
    ScanOptions options;
    options.output = temp.path() / "out.h5";
    options.threads = 2;
    options.chunk = 10;
    int unrecorded = 0;
    options.progress = [&](ScanProgress const& state) {
        auto const listed = points_listed(temp.path() / "out.h5.journal");
        EXPECT_GE(listed, state.done - options.chunk);
        unrecorded += listed < state.done;
    };
    auto data = shipped_data();
    EXPECT_EQ(run_scan(wanted, data, options).outcome, ScanOutcome::finished);
    EXPECT_GT(unrecorded, 0) << "then nothing is written beside the computation";
}

/// Points whose rates are at the end of what numbers can be fail, but are no reason to doubt all others.
TEST(RunScan, CouplingsThatOverflowDoNotFailTheSelfCheck)
{
    auto data = shipped_data();
    for (std::string const experiment : {"xenonnt_sr0", "lz_ws2022"})
        for (Route const route : {Route::factored, Route::direct})
        {
            TempDir const temp;
            // From the largest rates that all calculations add up to the smallest that none does.
            auto wanted = configuration({axis("m_V", 1e-3, 1.1e-3, 2), axis("g_V", 1e67, 1e71, 32)});
            for (auto& one : wanted.axes)
                one.scale = AxisScale::log;
            wanted.experiments = {experiment};
            ScanOptions options;
            options.output = temp.path() / "out.h5";
            options.threads = 1;
            // So long that most points are checked, all of them on any usual machine.
            options.progress = [](ScanProgress const&) { std::this_thread::sleep_for(std::chrono::milliseconds(500)); };
            options.route = route;
            auto const result = run_scan(wanted, data, options);
            EXPECT_EQ(result.outcome, ScanOutcome::finished) << experiment << " " << route_name(route);
            EXPECT_GT(result.meta.not_finite, 0);
            EXPECT_LT(result.meta.not_finite, 64);
            EXPECT_GE(result.meta.self_check.points, 16);
        }
}

TEST(RunScan, TheSameDataInAnotherPlaceContinueIt)
{
    TempDir const temp;
    auto wanted = configuration({axis("mu_e", 0.0, 1e-11, 10)});
    wanted.experiments = {"xenonnt_sr0"};
    ScanOptions options;
    options.output = temp.path() / "out.h5";
    options.threads = 1;
    options.chunk = 6;
    options.interrupted = [] { return true; };
    auto data = shipped_data();
    EXPECT_EQ(run_scan(wanted, data, options).outcome, ScanOutcome::interrupted);
    std::filesystem::copy(NUSCAN_SOURCE_DATA_DIR, temp.path() / "data", std::filesystem::copy_options::recursive);
    DataFolder copy(temp.path() / "data");
    auto const result = run_scan(wanted, copy, options);
    EXPECT_EQ(result.outcome, ScanOutcome::finished);
    EXPECT_EQ(result.resumed_at, 6);
    // The record names the place all the same; the surface is that of either.
    EXPECT_EQ(SurfaceReader(options.output).meta().data_folder, (temp.path() / "data").string());
    EXPECT_EQ(run_scan(wanted, data, options).outcome, ScanOutcome::already_finished);
}

TEST(RunScan, NothingIsWrittenWhenTheInputIsRefused)
{
    TempDir const temp;
    auto wanted = configuration({plane[1]});
    ScanOptions options;
    options.output = temp.path() / "out.h5";
    auto data = shipped_data();
    expect_input_error([&] { run_scan(wanted, data, options); }, {"g_V is given without m_V"});
    wanted = configuration(plane);
    wanted.experiments = {"nothing"};
    expect_input_error([&] { run_scan(wanted, data, options); }, {"grid.toml: unknown experiment 'nothing'"});
    EXPECT_TRUE(std::filesystem::is_empty(temp.path()));
}

} // namespace
} // namespace nuscan::test
