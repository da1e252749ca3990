// Kernels with a classic mistake each: it is found, named with kernel and PTX line, and becomes an error that sticks.

#include "device_test.hpp"

#undef NDEBUG // for the device, too
#include <cassert>
#include <cstdint>
#include <cstdio>

namespace
{

using emulator::FaultKind;

constexpr int threads = 128;

__global__ void correct(double* x, int n)
{
    __shared__ double s[threads];
    int const i = static_cast<int>(threadIdx.x);
    s[i] = i;
    __syncthreads();
    for (int o = threads / 2; o > 0; o /= 2)
    {
        if (i < o)
        {
            s[i] += s[i + o];
        }
        __syncthreads();
    }
    if (i == 0)
    {
        x[0] = s[0];
        printf("sum %g of %d|%s|%5.2f|%lld|%c|%%\n", s[0], n, "text", 0.5, -5000000000LL, 'z');
    }
}
__global__ void writes_behind_the_end(double* x)
{
    unsigned const i = blockIdx.x * blockDim.x + threadIdx.x;
    x[i] = i;
}
__global__ void reads_before_the_begin(double* x)
{
    x[threadIdx.x] = x[static_cast<long>(threadIdx.x) - 1];
}
__global__ void follows_null(double* x, double const* nothing)
{
    x[0] = *nothing;
}
__global__ void forgets_a_barrier(double* x)
{
    __shared__ double s[threads];
    s[threadIdx.x] = threadIdx.x;
    x[threadIdx.x] = s[threads - 1 - threadIdx.x];
}
__global__ void overwrites_what_others_still_read(double* x)
{
    __shared__ double s[threads];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    double const other = s[threads - 1 - threadIdx.x];
    s[threadIdx.x] = other;
    x[threadIdx.x] = other;
}
__global__ void reads_a_counter_too_early(unsigned* x)
{
    __shared__ unsigned count;
    if (threadIdx.x == 0)
    {
        count = 0;
    }
    __syncthreads();
    atomicAdd(&count, 1U);
    x[threadIdx.x] = count;
}
__global__ void barrier_for_some(double* x)
{
    if (threadIdx.x < 40)
    {
        __syncthreads();
    }
    x[threadIdx.x] = 1;
}
__global__ void barrier_after_return(double* x)
{
    if (threadIdx.x >= 64)
    {
        return;
    }
    __syncthreads();
    x[threadIdx.x] = 1;
}
__global__ void different_barriers(double* x)
{
    if (threadIdx.x < 64)
    {
        x[0] = 1;
        __syncthreads();
        x[1] = 1;
    }
    else
    {
        x[2] = 1;
        __syncthreads();
        x[3] = 2;
    }
}
__global__ void shuffles_with_absent_lanes(double* x)
{
    double v = threadIdx.x;
    if ((threadIdx.x & 1U) != 0)
    {
        v = __shfl_down_sync(0xffffffffU, v, 1);
    }
    x[threadIdx.x] = v;
}
__global__ void shuffles_without_itself(double* x)
{
    x[threadIdx.x] = __shfl_sync(0x1U, x[threadIdx.x], 0);
}
__global__ void behind_dynamic_shared_memory(double* x, int k)
{
    extern __shared__ double d[];
    d[threadIdx.x + k] = 1;
    __syncthreads();
    x[threadIdx.x] = d[threadIdx.x + k];
}
__global__ void behind_local_memory(double* x, int k)
{
    double a[4] = {x[0], x[1], x[2], x[3]};
    a[k] = 7;
    double sum = 0;
    for (int i = 0; i < 4; ++i)
    {
        sum += a[(i + k) % 4];
    }
    x[threadIdx.x] = sum;
}
__global__ void shares_local_memory(double** where, double* x)
{
    double mine[2] = {static_cast<double>(threadIdx.x), 1.0};
    if (threadIdx.x == 0)
    {
        *where = mine;
    }
    __syncthreads();
    x[threadIdx.x] = (*where)[threadIdx.x % 2];
}
__global__ void misaligned(char* x)
{
    *reinterpret_cast<double*>(x + 4 + 8 * threadIdx.x) = 1;
}
__global__ void misaligned_pair(double* x)
{
    double2 const two = *reinterpret_cast<double2*>(x + 1);
    x[0] = two.x + two.y;
}
__global__ void asserts(int const* x)
{
    assert(x[threadIdx.x] < 5);
}
__global__ void traps(int const* x)
{
    if (x[threadIdx.x] > 5)
    {
        __trap();
    }
}
__global__ void never_ends(int volatile* x)
{
    while (x[0] != 1)
    {
    }
}

__global__ void uses_what_is_not_supported(std::uint64_t* out)
{
    std::uint64_t policy = 0;
    asm volatile("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
    *out = policy;
}

class FaultsTest : public DeviceTest
{
protected:
    // The launch itself succeeds; waiting for it tells, and then every call does, until the device is reset.
    static void expect_fault(FaultKind kind, cudaError_t error, std::string const& kernel, std::string const& words)
    {
        EXPECT_CUDA(cudaGetLastError());
        EXPECT_EQ(cudaDeviceSynchronize(), error);
        auto const fault = emulator::last_fault();
        ASSERT_TRUE(fault);
        EXPECT_EQ(fault->kind, kind) << fault->text;
        EXPECT_EQ(fault->error, static_cast<int>(error));
        EXPECT_GT(fault->line, 10);
        EXPECT_NE(fault->kernel.find(kernel), std::string::npos) << fault->kernel;
        EXPECT_NE(fault->text.find(kernel), std::string::npos) << fault->text;
        EXPECT_NE(fault->text.find(words), std::string::npos) << fault->text;
        EXPECT_NE(fault->text.find("PTX line " + std::to_string(fault->line)), std::string::npos) << fault->text;
        void* p = nullptr;
        EXPECT_EQ(cudaGetLastError(), error);
        EXPECT_EQ(cudaGetLastError(), error);
        EXPECT_EQ(cudaMalloc(&p, 8), error);
        EXPECT_CUDA(cudaDeviceReset());
        EXPECT_CUDA(cudaMalloc(&p, 8));
        EXPECT_CUDA(cudaGetLastError());
    }
    void SetUp() override
    {
        DeviceTest::SetUp();
        ASSERT_CUDA(cudaMalloc(&x, threads * sizeof(double)));
        ASSERT_CUDA(cudaMemset(x, 0, threads * sizeof(double)));
    }
    double* x = nullptr; // the next restart frees it
};

TEST_F(FaultsTest, CorrectKernelPasses)
{
    ::testing::internal::CaptureStdout();
    correct<<<1, threads>>>(x, 7);
    EXPECT_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), "sum 8128 of 7|text| 0.50|-5000000000|z|%\n");
    double sum = 0;
    EXPECT_CUDA(cudaMemcpy(&sum, x, sizeof sum, cudaMemcpyDeviceToHost));
    EXPECT_EQ(sum, 8128);
    EXPECT_TRUE(emulator::faults().empty());
}
TEST_F(FaultsTest, WriteBehindTheEnd)
{
    writes_behind_the_end<<<2, threads>>>(x);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "writes_behind_the_end",
                 "0 bytes behind the end of an allocation of 1024");
}
TEST_F(FaultsTest, ReadBeforeTheBegin)
{
    reads_before_the_begin<<<1, threads>>>(x);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "reads_before_the_begin", "thread 0");
}
TEST_F(FaultsTest, NullPointer)
{
    follows_null<<<1, 1>>>(x, nullptr);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "follows_null", "null pointer");
}
TEST_F(FaultsTest, HostMemory)
{
    double const on_the_host = 1;
    follows_null<<<1, 1>>>(x, &on_the_host);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "follows_null", "far from any allocation");
}
TEST_F(FaultsTest, FreedMemory)
{
    double* gone = nullptr;
    ASSERT_CUDA(cudaMalloc(&gone, 80));
    ASSERT_CUDA(cudaFree(gone));
    follows_null<<<1, 1>>>(x, gone + 2);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "follows_null", "16 bytes into freed memory of 80 bytes");
}
TEST_F(FaultsTest, ForgottenBarrier)
{
    forgets_a_barrier<<<1, threads>>>(x);
    expect_fault(FaultKind::race, cudaErrorLaunchFailure, "forgets_a_barrier", "race on shared memory");
}
TEST_F(FaultsTest, WriteAfterRead)
{
    overwrites_what_others_still_read<<<1, threads>>>(x);
    expect_fault(FaultKind::race, cudaErrorLaunchFailure, "overwrites_what_others_still_read", "since the last barrier");
}
TEST_F(FaultsTest, ReadAmongAtomics)
{
    reads_a_counter_too_early<<<1, threads>>>(reinterpret_cast<unsigned*>(x));
    expect_fault(FaultKind::race, cudaErrorLaunchFailure, "reads_a_counter_too_early", "since the last barrier");
}
TEST_F(FaultsTest, RaceChecksCanBeSwitchedOff)
{
    emulator::Execution how;
    how.check_races = false;
    emulator::configure(how);
    forgets_a_barrier<<<1, threads>>>(x);
    EXPECT_CUDA(cudaDeviceSynchronize());
}
TEST_F(FaultsTest, BarrierForSome)
{
    barrier_for_some<<<1, threads>>>(x);
    expect_fault(FaultKind::barrier, cudaErrorLaunchFailure, "barrier_for_some", "40 of 128 threads");
}
TEST_F(FaultsTest, BarrierAfterReturn)
{
    barrier_after_return<<<1, threads>>>(x);
    expect_fault(FaultKind::barrier, cudaErrorLaunchFailure, "barrier_after_return", "64 of 128 threads");
}
TEST_F(FaultsTest, DifferentBarriers)
{
    different_barriers<<<1, threads>>>(x);
    expect_fault(FaultKind::barrier, cudaErrorLaunchFailure, "different_barriers", "different barriers");
}
TEST_F(FaultsTest, ShuffleWithAbsentLanes)
{
    shuffles_with_absent_lanes<<<1, 32>>>(x);
    expect_fault(FaultKind::deadlock, cudaErrorLaunchTimeout, "shuffles_with_absent_lanes", "never arrive");
}
TEST_F(FaultsTest, ShuffleWithoutItself)
{
    shuffles_without_itself<<<1, 32>>>(x);
    expect_fault(FaultKind::warp_operation, cudaErrorLaunchFailure, "shuffles_without_itself", "member mask");
}
TEST_F(FaultsTest, BehindDynamicSharedMemory)
{
    behind_dynamic_shared_memory<<<1, 64, 64 * sizeof(double)>>>(x, 3);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "behind_dynamic_shared_memory", "bytes of shared memory");
}
TEST_F(FaultsTest, BehindLocalMemory)
{
    behind_local_memory<<<1, 1>>>(x, 4);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "behind_local_memory", "bytes of local memory");
}
TEST_F(FaultsTest, LocalMemoryOfAnotherThread)
{
    DeviceArray<double*> where(1);
    shares_local_memory<<<1, 32>>>(where.get(), x);
    expect_fault(FaultKind::out_of_bounds, cudaErrorIllegalAddress, "shares_local_memory", "local memory of another thread");
}
TEST_F(FaultsTest, Misaligned)
{
    misaligned<<<1, 8>>>(reinterpret_cast<char*>(x));
    expect_fault(FaultKind::misaligned, cudaErrorMisalignedAddress, "misaligned", "misaligned access of 8 bytes");
}
TEST_F(FaultsTest, MisalignedPair)
{
    misaligned_pair<<<1, 1>>>(x);
    expect_fault(FaultKind::misaligned, cudaErrorMisalignedAddress, "misaligned_pair", "misaligned access of 16 bytes");
}
TEST_F(FaultsTest, FailedAssert)
{
    DeviceArray<int> const values(std::vector<int>{1, 2, 3, 9});
    asserts<<<1, 4>>>(values.get());
    expect_fault(FaultKind::assertion, cudaErrorAssert, "asserts", "x[threadIdx.x] < 5");
}
TEST_F(FaultsTest, Trap)
{
    DeviceArray<int> const values(std::vector<int>{1, 2, 3, 9});
    traps<<<1, 4>>>(values.get());
    expect_fault(FaultKind::trap, cudaErrorLaunchFailure, "traps", "thread 3");
}
TEST_F(FaultsTest, EndlessLoop)
{
    emulator::Execution how;
    how.instruction_limit = 1'000'000;
    emulator::configure(how);
    DeviceArray<int> const zero(std::vector<int>{0});
    never_ends<<<1, 32>>>(zero.get());
    expect_fault(FaultKind::deadlock, cudaErrorLaunchTimeout, "never_ends", "has not ended");
}
TEST_F(FaultsTest, UnsupportedInstructionIsRefusedByTheLaunch)
{
    uses_what_is_not_supported<<<1, 1>>>(reinterpret_cast<std::uint64_t*>(x));
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidPtx);
    EXPECT_CUDA(cudaGetLastError()); // does not stick: nothing ran
    auto const fault = emulator::last_fault();
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, FaultKind::unsupported);
    EXPECT_NE(fault->text.find("createpolicy.fractional"), std::string::npos) << fault->text;
    EXPECT_NE(fault->kernel.find("uses_what_is_not_supported"), std::string::npos) << fault->kernel;
}
TEST_F(FaultsTest, NothingRunsAfterAFault)
{
    writes_behind_the_end<<<2, threads>>>(x);
    correct<<<1, threads>>>(x, 1);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    EXPECT_EQ(emulator::faults().size(), 1U);
    EXPECT_EQ(emulator::reports().size(), 0U);
}

} // namespace
