// The CUDA backend in the emulator: its real kernels, compiled to PTX, on the CPU.
#include <gtest/gtest.h>

#include <memory>

#include "emulator.hpp"
#include "cuda_conformance.hpp"
#include "host/support/error.hpp"
#include "kernels/point_kernels.hpp"

namespace nuscan
{
namespace
{

INSTANTIATE_TEST_SUITE_P(Cuda, Conformance,
                         ::testing::Values(cuda_case("factored", Route::factored, 40, false),
                                           cuda_case("direct", Route::direct, 20, true)),
                         [](auto const& backend) { return backend.param.name; });

TEST_F(CudaBackendTest, OrderOfBlocksNeverChangesABit)
{
    auto const problem = mass_grid(0, 3, 70, 3);
    auto const forward = on_cuda(problem, Route::factored);
    auto const direct = on_cuda(problem, Route::direct, {0, 20});
    for (auto const order : {emulator::Order::reversed, emulator::Order::shuffled})
    {
        emulator::Execution execution;
        execution.order = order;
        execution.seed = 5;
        emulator::configure(execution);
        EXPECT_TRUE(same_bits(forward.chi2, on_cuda(problem, Route::factored).chi2));
        EXPECT_TRUE(same_bits(direct.chi2, on_cuda(problem, Route::direct, {0, 20}).chi2));
    }
}

/// Streams that wait for none may run in any order: what one must wait for, it is made to wait for.
TEST_F(CudaBackendTest, OrderOfStreamsNeverChangesABit)
{
    RandomProblems problems(105);
    auto const problem = mass_grid(1, 9, 40, 2);
    auto const cancelling = problems.cancelling(prepared({"lz_ws2022"}), 40);
    auto const whole = on_cuda(problem, Route::factored);
    auto const direct = on_cuda(cancelling, Route::direct);
    auto const repeated = on_cuda(cancelling, Route::factored);
    emulator::Execution execution;
    execution.streams = emulator::Streams::others_first;
    emulator::configure(execution);
    for (auto const& sizes : small_sizes())
        expect_same(whole, evaluate(*make_cuda_backend(problem, Route::factored, -1, sizes), *problem, {0, problem->size()}));
    expect_same(direct, evaluate(*make_cuda_backend(cancelling, Route::direct, -1, small_sizes().back()), *cancelling, {0, 40}));
    expect_same(repeated,
                evaluate(*make_cuda_backend(cancelling, Route::factored, -1, small_sizes().back()), *cancelling, {0, 40}));
}

/// Bits of kernels that are compiled apart may differ on hardware, whatever they do here.
TEST_F(CudaBackendTest, WhichKernelIsAMatterOfTheProblemNotOfTheRange)
{
    auto const ran = [](char const* kernel) {
        try
        {
            return emulator::report(kernel).launches > 0;
        }
        catch (std::exception const&)
        {
            return false; // of a kernel that never ran there is no report
        }
    };
    on_cuda(mass_grid(0, 3, 60, 1), Route::factored, {5, 14});
    EXPECT_TRUE(ran("factored_kernel"));
    EXPECT_FALSE(ran("scattered_kernel"));
    on_cuda(mass_grid(0, 3, 10, 1), Route::factored);
    EXPECT_TRUE(ran("scattered_kernel"));
}

TEST_F(CudaBackendTest, LittleSharedMemoryMeansTemplatesInGlobalMemory)
{
    auto const problem = wide_problem();
    emulator::Device device;
    device.shared_per_block = std::size_t{48} << 10;
    emulator::restart({emulator::Driver::present, {device}});
    Comparison comparison;
    comparison.add(on_cuda(problem, Route::factored), on_cpu(problem, Route::factored));
    comparison.finish("templates in global memory");
    EXPECT_GT(emulator::report("scattered_kernel").launches, 0u);
}

TEST_F(CudaBackendTest, OneOfSeveralDevicesThatFailsIsNotOverlooked)
{
    auto const problem = mass_grid(0, 4, 60, 2);
    for (int n = 1; n <= 3; ++n)
    {
        emulator::restart({emulator::Driver::present, std::vector<emulator::Device>(2)});
        auto const backend = make_cuda_backend(problem, Route::factored, -1);
        emulator::fail_call("cudaMemcpyAsync", 700, n); // cudaErrorIllegalAddress
        EXPECT_THROW(evaluate(*backend, *problem, {0, problem->size()}), RunError) << n;
    }
    emulator::restart();
}

/// The arrays of a call that failed are gone by the next one.
TEST_F(CudaBackendTest, AfterAFailureTheNextCallWritesWhatItIsAskedFor)
{
    auto const problem = mass_grid(0, 4, 60, 2);
    auto const whole = on_cuda(problem, Route::factored);
    auto const backend = make_cuda_backend(problem, Route::factored, -1);
    // Room on both sides for all points of the failed call.
    constexpr std::size_t first = 600;
    std::vector<double> chi2(2 * first, -1.0);
    std::vector<std::uint8_t> status(chi2.size(), 77);
    PointOutputs outputs;
    outputs.chi2 = chi2.data() + first;
    outputs.status = status.data() + first;
    // The same outputs as later, or there would be new memory for them.
    std::vector<double> all_chi2(whole.chi2.size());
    std::vector<std::uint8_t> all_status(whole.chi2.size());
    PointOutputs all;
    all.chi2 = all_chi2.data();
    all.status = all_status.data();
    backend->evaluate({0, problem->size()}, all);
    emulator::fail_call("cudaMemcpyAsync", 999, 2); // cudaErrorUnknown
    EXPECT_THROW(backend->evaluate({0, problem->size()}, all), RunError);
    backend->evaluate({200, 210}, outputs);
    for (std::size_t i = 0; i < chi2.size(); ++i)
    {
        bool const asked_for = i >= first && i < first + 10;
        EXPECT_EQ(chi2[i], asked_for ? whole.chi2[200 + i - first] : -1.0) << i;
        EXPECT_EQ(status[i] == 77, !asked_for) << i;
    }
}

/// Memory may be gone at any allocation, and when a kernel starts: the runtime takes local memory then. A smaller chunk leaves room.
TEST_F(CudaBackendTest, MemoryThatIsShortOnceCostsNoResult)
{
    RandomProblems problems(107);
    // One mass: its templates cannot be less.
    auto const problem = std::make_shared<Problem const>(
        prepared({"lz_ws2022"}), std::vector<Axis>{make_axis("r2_e", -1e-31, 1e-31, 300)}, FixedParameters{});
    auto const cancelling = problems.cancelling(prepared({"lz_ws2022"}), 40);
    CudaSizes sizes;
    sizes.smallest_chunk = 8;
    auto const expect_none_lost = [&](std::shared_ptr<Problem const> const& wanted, Route route) {
        emulator::restart(); // or a failure that was not reached would meet this
        auto const plenty = on_cuda(wanted, route);
        // Both buffers take five arrays each; templates and points done again take the next.
        for (auto const& [call, most] :
             {std::pair{"cudaMalloc", 13}, std::pair{"cudaMallocHost", 8}, std::pair{"cudaLaunchKernel", 4}})
            for (int n = 1; n <= most; ++n)
            {
                SCOPED_TRACE(fmt::format("{} number {}", call, n));
                emulator::restart();
                auto const backend = make_cuda_backend(wanted, route, -1, sizes);
                emulator::fail_call(call, 2, n); // cudaErrorMemoryAllocation
                expect_same(plenty, evaluate(*backend, *wanted, {0, wanted->size()}));
            }
    };
    expect_none_lost(problem, Route::factored);
    expect_none_lost(cancelling, Route::factored);
    expect_none_lost(cancelling, Route::direct);
    emulator::restart();
    auto const backend = make_cuda_backend(problem, Route::factored, -1);
    for (int n = 0; n < 100; ++n)
        emulator::fail_call("cudaLaunchKernel", 2);
    try
    {
        evaluate(*backend, *problem, {0, problem->size()});
        ADD_FAILURE() << "computed without a kernel";
    }
    catch (RunError const& refused)
    {
        EXPECT_NE(std::string(refused.what()).find("300 points leaves"), std::string::npos) << refused.what();
        EXPECT_NE(std::string(refused.what()).find("--device cpu"), std::string::npos) << refused.what();
    }
    emulator::restart();
}

TEST_F(CudaBackendTest, RepeatedPointsFitIntoWhatMemoryThereIs)
{
    RandomProblems problems(106);
    auto const problem = problems.cancelling(prepared({"lz_ws2022"}), 400);
    auto const plenty = on_cuda(problem, Route::factored);
    bool failed = false;
    std::size_t smallest = 0;
    // From what suffices downwards: a result is right or there is none, and then the message says what was needed.
    for (std::size_t bytes = 2000000; bytes > 100000 && !failed; bytes -= 50000)
    {
        emulator::Device device;
        device.memory_bytes = bytes;
        emulator::restart({emulator::Driver::present, {device}});
        try
        {
            CudaSizes sizes;
            sizes.smallest_chunk = 64;
            expect_same(plenty, evaluate(*make_cuda_backend(problem, Route::factored, -1, sizes), *problem, {0, problem->size()}));
            smallest = bytes;
        }
        catch (RunError const& refused)
        {
            failed = true;
            EXPECT_NE(std::string(refused.what()).find("MB free"), std::string::npos) << refused.what();
            EXPECT_NE(std::string(refused.what()).find("--device cpu"), std::string::npos) << refused.what();
        }
    }
    EXPECT_TRUE(failed);
    EXPECT_LT(smallest, 2000000u);
}

TEST_F(CudaBackendTest, ADeviceThatCannotBeUsedIsPassedOverOrExplained)
{
    std::string reason;
    auto const busy_first = [] {
        emulator::restart({emulator::Driver::present, std::vector<emulator::Device>(2)});
        emulator::fail_call("cudaSetDevice", 46); // cudaErrorDevicesUnavailable
    };
    busy_first();
    auto const all = find_cuda_devices(reason);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_NE(all[0].problem.find("cudaErrorDevicesUnavailable"), std::string::npos) << all[0].problem;
    EXPECT_EQ(all[1].problem, "");
    busy_first();
    EXPECT_EQ(choose_device("cuda", 1).description, all[1].description);
    emulator::restart({emulator::Driver::present, std::vector<emulator::Device>(2)});
    EXPECT_EQ(choose_device("cuda:1", 1).description, all[1].description);
    busy_first();
    try
    {
        choose_device("cuda:0", 1);
        ADD_FAILURE() << "chosen although it is busy";
    }
    catch (RunError const& refused)
    {
        EXPECT_NE(std::string(refused.what()).find("cudaErrorDevicesUnavailable"), std::string::npos) << refused.what();
    }
    emulator::restart({emulator::Driver::present, std::vector<emulator::Device>(2)});
    EXPECT_NE(choose_device("auto", 1).description.find("2 devices"), std::string::npos);
    EXPECT_THROW(choose_device("cuda:2", 1), InputError);
    EXPECT_THROW(choose_device("cuda:18446744073709551615", 1), InputError);
    emulator::restart();
}

TEST_F(CudaBackendTest, AnyNumberOfDevicesGivesTheSameBits)
{
    auto const problem = mass_grid(0, 4, 60, 2);
    auto const one = on_cuda(problem, Route::factored);
    for (std::size_t const n : {2u, 3u})
    {
        emulator::restart({emulator::Driver::present, std::vector<emulator::Device>(n)});
        std::string reason;
        EXPECT_EQ(cuda_devices(reason).size(), n);
        EXPECT_TRUE(same_bits(one.chi2, on_cuda(problem, Route::factored).chi2));
        EXPECT_TRUE(same_bits(one.pulls, on_cuda(problem, Route::factored).pulls));
    }
    // Fewer points than devices.
    EXPECT_EQ(on_cuda(problem, Route::factored, {7, 8}).chi2.front(), one.chi2[7]);
}

TEST_F(CudaBackendTest, LittleMemoryMeansSmallerChunks)
{
    // Rates of every point take most memory. 2 MiB hold the problem, templates and chunks of some 1000 points.
    auto const problem = std::make_shared<Problem const>(
        prepared({"lz_ws2022"}),
        std::vector<Axis>{make_axis("m_V", 1e-3, 10.0, 2, AxisScale::log), make_axis("g_V", 1e-8, 1e-6, 2500, AxisScale::log)},
        FixedParameters{});
    auto const plenty = on_cuda(problem, Route::factored);
    emulator::Device device;
    device.memory_bytes = std::size_t{2} << 20;
    emulator::restart({emulator::Driver::present, {device}});
    auto const little = on_cuda(problem, Route::factored);
    EXPECT_TRUE(same_bits(plenty.chi2, little.chi2));
    EXPECT_TRUE(same_bits(plenty.rates, little.rates));
}

TEST_F(CudaBackendTest, TooLittleMemorySaysWhatItNeeded)
{
    auto const problem = mass_grid(0, 2, 2000, 2);
    emulator::Device device;
    device.memory_bytes = std::size_t{300} << 10;
    emulator::restart({emulator::Driver::present, {device}});
    try
    {
        on_cuda(problem, Route::factored);
        FAIL() << "worked with 300 KiB";
    }
    catch (RunError const& problem_found)
    {
        std::string const text = problem_found.what();
        EXPECT_NE(text.find("1024 points"), std::string::npos) << text;
        EXPECT_NE(text.find("--device cpu"), std::string::npos) << text;
    }
}

TEST_F(CudaBackendTest, ManyMassesAreWorkedOffInParts)
{
    // Templates of 1200 masses take more than half of the free memory.
    auto const problem = std::make_shared<Problem const>(
        prepared({"xenonnt_sr0"}),
        std::vector<Axis>{make_axis("g_V", 1e-8, 1e-6, 2, AxisScale::log), make_axis("m_V", 1e-3, 10.0, 1200, AxisScale::log)},
        FixedParameters{});
    auto const cpu = on_cpu(problem, Route::factored);
    emulator::Device device;
    device.memory_bytes = std::size_t{2} << 20;
    emulator::restart({emulator::Driver::present, {device}});
    Comparison comparison;
    comparison.add(on_cuda(problem, Route::factored), cpu);
    comparison.finish("many masses");
}

TEST_F(CudaBackendTest, AFailedCallIsAnErrorWithItsName)
{
    auto const problem = mass_grid(0, 2, 40, 2);
    for (char const* const call : {"cudaMemcpyAsync", "cudaStreamSynchronize", "cudaMallocHost", "cudaStreamCreate"})
    {
        emulator::restart();
        emulator::fail_call(call, 700); // cudaErrorIllegalAddress
        try
        {
            on_cuda(problem, Route::factored);
            ADD_FAILURE() << call << " failed unseen";
        }
        catch (RunError const& problem_found)
        {
            EXPECT_NE(std::string(problem_found.what()).find("cudaErrorIllegalAddress"), std::string::npos) << problem_found.what();
        }
    }
    emulator::restart();
}

TEST_F(CudaBackendTest, MissingDriversAndDevicesAreExplained)
{
    std::string reason;
    emulator::restart({emulator::Driver::missing, {}});
    EXPECT_TRUE(cuda_devices(reason).empty());
    EXPECT_NE(reason.find("no NVIDIA driver"), std::string::npos) << reason;
    emulator::restart({emulator::Driver::too_old, {}});
    EXPECT_TRUE(cuda_devices(reason).empty());
    EXPECT_NE(reason.find("too old: it supports CUDA 12.4"), std::string::npos) << reason;
    emulator::restart({emulator::Driver::no_device, {}});
    EXPECT_TRUE(cuda_devices(reason).empty());
    EXPECT_NE(reason.find("no device"), std::string::npos) << reason;
    auto const problem = mass_grid(0, 2, 2, 2);
    EXPECT_THROW(make_cuda_backend(problem, Route::factored, -1), RunError);
    EXPECT_THROW(choose_device("cuda", 1), RunError);
    EXPECT_EQ(choose_device("auto", 1).kind, DeviceKind::cpu);
    emulator::restart();
    EXPECT_EQ(choose_device("auto", 1).kind, DeviceKind::cuda);
    EXPECT_EQ(choose_device("cuda:0", 1).ordinal, 0);
    EXPECT_THROW(choose_device("cuda:1", 1), InputError);
}

TEST(CombinationBox, HoldsEveryPointOfARange)
{
    for (int const place : {0, 1, 2})
    {
        auto const problem = mass_grid(place, 4, 5, 3);
        auto const& view = problem->view();
        for (std::int64_t begin = 0; begin < problem->size(); begin += 7)
            for (std::int64_t end = begin + 1; end <= problem->size(); end += 11)
            {
                auto const box = cuda::combination_box(view, {begin, end});
                for (std::int64_t i = begin; i < end; ++i)
                {
                    std::int64_t node[max_axes];
                    view.grid.nodes(i, node);
                    auto const mass = mass_combination(view, node);
                    auto const coupling = coupling_combination(view, node);
                    ASSERT_TRUE(mass >= box.first_mass && mass <= box.last_mass);
                    ASSERT_TRUE(coupling >= box.first_coupling && coupling <= box.last_coupling);
                    std::int64_t back[max_axes];
                    combined_nodes(view, mass, coupling, back);
                    ASSERT_EQ(view.grid.index(back), i);
                }
            }
    }
}

} // namespace
} // namespace nuscan
