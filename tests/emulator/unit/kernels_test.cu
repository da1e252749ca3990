// What kernels are made of: warps, atomics, memory spaces, parameters, divergence; and what is reported about them.

#include "device_test.hpp"

#include <cmath>
#include <numeric>

namespace
{

using KernelsTest = DeviceTest;

// --- warps ------------------------------------------------------------------------------------------------------------------------

__global__ void warp_operations(unsigned* out)
{
    unsigned const lane = threadIdx.x & 31U;
    unsigned const ballot = __ballot_sync(~0U, lane % 3 == 0);
    unsigned const any = __any_sync(~0U, lane == 31) != 0 ? 1U : 0U;
    unsigned const all = __all_sync(~0U, lane < 31) != 0 ? 1U : 0U;
    unsigned const by_xor = __shfl_xor_sync(~0U, lane * lane, 5);
    unsigned const up = __shfl_up_sync(~0U, lane, 3, 8);
    unsigned const index = __shfl_sync(~0U, lane, 9, 16);
    unsigned match = 0;
    if (lane < 12)
    {
        match = __match_any_sync(0xfffU, lane / 4);
    }
    unsigned const sum = __reduce_add_sync(~0U, lane);
    int const least = __reduce_min_sync(~0U, 5 - static_cast<int>(lane));
    unsigned* const mine = out + threadIdx.x * 9;
    mine[0] = ballot;
    mine[1] = any;
    mine[2] = all;
    mine[3] = by_xor;
    mine[4] = up;
    mine[5] = index;
    mine[6] = match;
    mine[7] = sum;
    mine[8] = static_cast<unsigned>(least);
}

TEST_F(KernelsTest, WarpOperations)
{
    DeviceArray<unsigned> const out(64 * 9);
    warp_operations<<<1, 64>>>(out.get());
    ASSERT_CUDA(cudaDeviceSynchronize()) << fault_text();
    std::vector<unsigned> const values = out.values();
    for (unsigned t = 0; t < 64; ++t)
    {
        unsigned const lane = t & 31U;
        std::vector<unsigned> const expected{0x49249249U,
                                             1U,
                                             0U,
                                             (lane ^ 5U) * (lane ^ 5U),
                                             (lane & 7U) >= 3 ? lane - 3 : lane,
                                             (lane & 16U) | 9U,
                                             lane < 12 ? 0xfU << (lane / 4 * 4) : 0U,
                                             496U,
                                             static_cast<unsigned>(-26)};
        EXPECT_EQ(std::vector<unsigned>(values.begin() + t * 9, values.begin() + t * 9 + 9), expected) << "thread " << t;
    }
}

__global__ void barrier_reductions(int* out)
{
    int const odd = static_cast<int>(threadIdx.x & 1U);
    out[threadIdx.x * 3] = __syncthreads_count(odd);
    out[threadIdx.x * 3 + 1] = __syncthreads_and(odd);
    out[threadIdx.x * 3 + 2] = __syncthreads_or(odd);
}

TEST_F(KernelsTest, BarrierReductions)
{
    constexpr unsigned threads = 70;
    DeviceArray<int> const out(threads * 3);
    barrier_reductions<<<1, threads>>>(out.get());
    std::vector<int> const values = out.values();
    for (unsigned t = 0; t < threads; ++t)
    {
        EXPECT_EQ(values[t * 3], 35);
        EXPECT_EQ(values[t * 3 + 1], 0);
        EXPECT_NE(values[t * 3 + 2], 0);
    }
}

// --- atomics ----------------------------------------------------------------------------------------------------------------------

__global__ void atomics(double* sum, unsigned long long* total, int* most, unsigned* wrapping, int n)
{
    int const i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
    {
        atomicAdd(sum, 0.5 * i);
        atomicAdd(total, static_cast<unsigned long long>(i));
        atomicMax(most, (i * 7919) % 10007);
        atomicInc(wrapping, 9U);
    }
}

TEST_F(KernelsTest, Atomics)
{
    constexpr int n = 4000;
    DeviceArray<double> const sum(std::vector<double>{0});
    DeviceArray<unsigned long long> const total(std::vector<unsigned long long>{0});
    DeviceArray<int> const most(std::vector<int>{0});
    DeviceArray<unsigned> const wrapping(std::vector<unsigned>{0});
    atomics<<<20, 200>>>(sum.get(), total.get(), most.get(), wrapping.get(), n);
    int expected = 0;
    for (int i = 0; i < n; ++i)
    {
        expected = std::max(expected, (i * 7919) % 10007);
    }
    EXPECT_EQ(sum.values()[0], 0.25 * n * (n - 1));
    EXPECT_EQ(total.values()[0], static_cast<unsigned long long>(n) * (n - 1) / 2);
    EXPECT_EQ(most.values()[0], expected);
    EXPECT_EQ(wrapping.values()[0], 0U);
}

__global__ void spin_lock(int* lock, int* value)
{
    while (atomicCAS(lock, 0, 1) != 0)
    {
    }
    *value += 1;
    __threadfence();
    atomicExch(lock, 0);
}

TEST_F(KernelsTest, LanesThatWaitForEachOtherGoOn)
{
    DeviceArray<int> const lock(std::vector<int>{0});
    DeviceArray<int> const value(std::vector<int>{0});
    spin_lock<<<2, 32>>>(lock.get(), value.get());
    EXPECT_CUDA(cudaDeviceSynchronize()) << fault_text();
    EXPECT_EQ(value.values()[0], 64);
}

// --- memory spaces and parameters -------------------------------------------------------------------------------------------------

__constant__ double scale[3] = {1.0, 2.0, 4.0};
__device__ int counter = 5;
__device__ int* const counter_place = &counter;

__global__ void uses_variables(double* out)
{
    out[threadIdx.x] = scale[threadIdx.x % 3] * *counter_place;
    if (threadIdx.x == 0)
    {
        counter = 6;
    }
}

TEST_F(KernelsTest, VariablesOfModules)
{
    DeviceArray<double> const out(32);
    uses_variables<<<1, 32>>>(out.get());
    EXPECT_EQ(out.values()[4], 10.0);
    double const others[2] = {10.0, 20.0};
    ASSERT_CUDA(cudaMemcpyToSymbol(scale, others, sizeof others, sizeof(double)));
    EXPECT_EQ(cudaMemcpyToSymbol(scale, others, sizeof others, 2 * sizeof(double)), cudaErrorInvalidValue);
    int host_counter = 0;
    ASSERT_CUDA(cudaMemcpyFromSymbol(&host_counter, counter, sizeof host_counter));
    EXPECT_EQ(host_counter, 6);
    uses_variables<<<1, 32>>>(out.get());
    EXPECT_EQ(out.values()[4], 60.0);
    void* address = nullptr;
    ASSERT_CUDA(cudaGetSymbolAddress(&address, counter));
    ASSERT_CUDA(cudaMemset(address, 0, sizeof(int)));
    uses_variables<<<1, 32>>>(out.get());
    EXPECT_EQ(out.values()[4], 0.0);
    // A new process has the first values again.
    emulator::restart();
    DeviceArray<double> const again(32);
    uses_variables<<<1, 32>>>(again.get());
    EXPECT_EQ(again.values()[4], 10.0);
}

template<int n>
struct Large
{
    double values[n];
    int last;
};
template<int n>
__global__ void takes_large(double* out, Large<n> large, char end)
{
    int const i = static_cast<int>(threadIdx.x);
    out[i] = large.values[(i * 37) % n] + large.last + end;
}

template<int n>
void expect_large_parameter()
{
    Large<n> large{};
    std::iota(std::begin(large.values), std::end(large.values), 0.0);
    large.last = 1000;
    DeviceArray<double> const out(64);
    takes_large<n><<<1, 64>>>(out.get(), large, 'a');
    large.last = -1; // parameters are copied by the launch
    std::vector<double> const values = out.values();
    for (int i = 0; i < 64; ++i)
    {
        EXPECT_EQ(values[static_cast<std::size_t>(i)], (i * 37) % n + 1000 + 'a');
    }
}
TEST_F(KernelsTest, ParametersOf4Kilobytes)
{
    expect_large_parameter<508>();
}
TEST_F(KernelsTest, ParametersOf10Kilobytes)
{
    expect_large_parameter<1280>();
}
TEST_F(KernelsTest, ParametersOf32Kilobytes)
{
    expect_large_parameter<4090>();
}

extern __shared__ double dynamic[];
__global__ void uses_dynamic_shared_memory(double* out, int n)
{
    __shared__ double fixed[3];
    for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
    {
        dynamic[i] = i;
    }
    if (threadIdx.x < 3)
    {
        fixed[threadIdx.x] = -1.0;
    }
    __syncthreads();
    if (threadIdx.x == 0)
    {
        double sum = 0;
        for (int i = 0; i < n; ++i)
        {
            sum += dynamic[i];
        }
        *out = sum + fixed[0] + fixed[2];
    }
}

TEST_F(KernelsTest, DynamicSharedMemoryBeyond48KilobytesHasToBeAskedFor)
{
    DeviceArray<double> const out(1);
    constexpr int n = 8000;
    constexpr std::size_t bytes = n * sizeof(double);
    uses_dynamic_shared_memory<<<1, 64, bytes>>>(out.get(), n);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
    ASSERT_CUDA(cudaFuncSetAttribute(uses_dynamic_shared_memory, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    uses_dynamic_shared_memory<<<1, 64, bytes>>>(out.get(), n);
    EXPECT_CUDA(cudaGetLastError());
    EXPECT_EQ(out.values()[0], 0.5 * n * (n - 1) - 2);
    EXPECT_EQ(cudaFuncSetAttribute(uses_dynamic_shared_memory, cudaFuncAttributeMaxDynamicSharedMemorySize, 200000),
              cudaErrorInvalidValue);
}

// An index beyond 32 bits, in a grid of three dimensions.
__global__ void indexes_with_64_bits(unsigned char* out, std::uint64_t offset)
{
    std::uint64_t const block = blockIdx.x + std::uint64_t{gridDim.x} * (blockIdx.y + std::uint64_t{gridDim.y} * blockIdx.z);
    std::uint64_t const i = (block * blockDim.x + threadIdx.x) * 1'000'000'000ULL;
    out[(i - offset) / 1'000'000'000ULL] = static_cast<unsigned char>(1 + blockIdx.z);
}

TEST_F(KernelsTest, IndicesOf64Bits)
{
    DeviceArray<unsigned char> const out(2 * 3 * 4 * 8);
    indexes_with_64_bits<<<dim3(2, 3, 4), 8>>>(out.get(), 0);
    ASSERT_CUDA(cudaDeviceSynchronize()) << fault_text();
    std::vector<unsigned char> const values = out.values();
    EXPECT_EQ(values.front(), 1);
    EXPECT_EQ(values.back(), 4);
    EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0), 48 * (1 + 2 + 3 + 4));
}

__global__ void blocks_of_three_dimensions(unsigned* out)
{
    unsigned const i = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[i] = threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z;
}

TEST_F(KernelsTest, BlocksOfThreeDimensions)
{
    DeviceArray<unsigned> const out(3 * 5 * 7);
    blocks_of_three_dimensions<<<1, dim3(3, 5, 7)>>>(out.get());
    std::vector<unsigned> const values = out.values();
    EXPECT_EQ(values[2 + 3 * (4 + 5 * 6)], 642U);
    EXPECT_EQ(values[0], 0U);
}

// --- reports ----------------------------------------------------------------------------------------------------------------------

__global__ void strided(double const* in, double* out, int stride)
{
    out[threadIdx.x] = in[threadIdx.x * static_cast<unsigned>(stride)] * 3.0;
}

TEST_F(KernelsTest, ReportCountsInstructionsAndSectors)
{
    DeviceArray<double> const in(std::vector<double>(32 * 16, 1.0));
    DeviceArray<double> const out(32);
    strided<<<1, 32>>>(in.get(), out.get(), 1);
    ASSERT_CUDA(cudaDeviceSynchronize());
    emulator::KernelReport const near = emulator::report("strided");
    EXPECT_EQ(near.launches, 1U);
    EXPECT_EQ(near.threads, 32U);
    EXPECT_EQ(near.by_mnemonic.at("mul.f64").warps, 1U);
    EXPECT_EQ(near.by_mnemonic.at("mul.f64").lanes, 32U);
    EXPECT_EQ(near.fp64.warps, 1U);
    EXPECT_EQ(near.simd_efficiency(), 1.0);
    EXPECT_EQ(near.global_sectors, 16U);
    EXPECT_EQ(near.ideal_global_sectors, 16U);
    EXPECT_EQ(near.distinct_instructions, near.distinct_instructions_run + 1); // the end behind `ret`
    strided<<<1, 32>>>(in.get(), out.get(), 16);
    ASSERT_CUDA(cudaDeviceSynchronize());
    emulator::KernelReport const both = emulator::report("strided");
    EXPECT_EQ(both.launches, 2U);
    EXPECT_EQ(both.global_sectors, 16U + 32U + 8U);
    EXPECT_NE(emulator::to_text(both).find("mul.f64"), std::string::npos);
    emulator::reset_reports();
    EXPECT_TRUE(emulator::reports().empty());
    EXPECT_THROW(emulator::report("strided"), std::runtime_error);
}

__global__ void half_of_the_lanes(double* out)
{
    if (threadIdx.x % 2 == 0)
    {
        for (int i = 0; i < 100; ++i)
        {
            out[threadIdx.x] = sqrt(out[threadIdx.x] + i);
        }
    }
}

TEST_F(KernelsTest, ReportShowsDivergence)
{
    DeviceArray<double> const out(std::vector<double>(32, 1.0));
    half_of_the_lanes<<<1, 32>>>(out.get());
    ASSERT_CUDA(cudaDeviceSynchronize());
    emulator::KernelReport const report = emulator::report("half_of_the_lanes");
    EXPECT_NEAR(report.simd_efficiency(), 0.5, 0.05);
    EXPECT_EQ(report.by_mnemonic.at("sqrt.rn.f64").lanes, 1600U);
}

__global__ void transposes(float* out, int pitch)
{
    extern __shared__ float tile[];
    int const lane = static_cast<int>(threadIdx.x);
    for (int row = 0; row < 32; ++row)
    {
        tile[lane * pitch + row] = static_cast<float>(lane);
    }
    out[lane] = tile[lane * pitch];
}

TEST_F(KernelsTest, ReportShowsBankConflicts)
{
    DeviceArray<float> const out(32);
    transposes<<<1, 32, 32 * 33 * sizeof(float)>>>(out.get(), 33);
    ASSERT_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(emulator::report("transposes").shared_bank_conflicts, 0U);
    transposes<<<1, 32, 32 * 33 * sizeof(float)>>>(out.get(), 32);
    ASSERT_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(emulator::report("transposes").shared_bank_conflicts, 32U * 31U);
}

} // namespace
