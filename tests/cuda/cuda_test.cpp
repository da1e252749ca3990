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
    // Rates of every point take most memory. 1 MiB holds the problem, one mass's templates and chunks of some 1000 points.
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
    // Templates of 3000 masses take 8 MB; half of the free memory is less.
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
    emulator::restart({emulator::Driver::insufficient, {}});
    EXPECT_TRUE(cuda_devices(reason).empty());
    EXPECT_NE(reason.find("driver"), std::string::npos) << reason;
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
