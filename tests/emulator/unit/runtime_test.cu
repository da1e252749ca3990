// The stand-in for the CUDA runtime: devices, memory, streams, events, errors.

#include "device_test.hpp"

#include <cstring>
#include <numeric>
#include <thread>

namespace
{

using emulator::Driver;
using emulator::Machine;

__global__ void add_one(int* x, int n)
{
    int const i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
    {
        x[i] += 1;
    }
}
__global__ void __launch_bounds__(128) bounded(int* x)
{
    __shared__ int s[128];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = s[127 - threadIdx.x];
}
__global__ void write_far(int* x)
{
    x[1 << 20] = 1;
}

class RuntimeTest : public DeviceTest
{
protected:
    static void set_streams(emulator::Streams streams)
    {
        emulator::Execution how;
        how.streams = streams;
        emulator::configure(how);
    }
    static Machine machine(std::size_t devices, std::size_t bytes = 1 << 20)
    {
        Machine m;
        m.devices.assign(devices, {});
        for (auto& device : m.devices)
        {
            device.memory_bytes = bytes;
        }
        return m;
    }
};

// --- devices ----------------------------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, OneDeviceByDefault)
{
    int count = 0;
    ASSERT_CUDA(cudaGetDeviceCount(&count));
    EXPECT_EQ(count, 1);
    cudaDeviceProp properties{};
    ASSERT_CUDA(cudaGetDeviceProperties(&properties, 0));
    EXPECT_EQ(properties.major, 8);
    EXPECT_EQ(properties.warpSize, 32);
    EXPECT_EQ(properties.totalGlobalMem, std::size_t{256} << 20);
    EXPECT_NE(std::strlen(properties.name), 0U);
    int value = 0;
    ASSERT_CUDA(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    EXPECT_EQ(value, properties.multiProcessorCount);
    int version = 0;
    ASSERT_CUDA(cudaDriverGetVersion(&version));
    EXPECT_GE(version, 13000);
    ASSERT_CUDA(cudaRuntimeGetVersion(&version));
    EXPECT_GE(version, 13000);
    EXPECT_EQ(cudaGetDeviceProperties(&properties, 1), cudaErrorInvalidDevice);
    EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
}

TEST_F(RuntimeTest, MissingDriver)
{
    Machine m;
    m.driver = Driver::missing;
    emulator::restart(m);
    int count = -1;
    void* p = nullptr;
    int version = -1;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(cudaMalloc(&p, 8), cudaErrorInsufficientDriver);
    EXPECT_CUDA(cudaDriverGetVersion(&version));
    EXPECT_EQ(version, 0);
    add_one<<<1, 1>>>(nullptr, 0);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInsufficientDriver);
}

TEST_F(RuntimeTest, TooOldADriver)
{
    Machine m;
    m.driver = Driver::too_old;
    emulator::restart(m);
    int count = -1;
    int version = -1;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    EXPECT_CUDA(cudaDriverGetVersion(&version));
    EXPECT_GT(version, 0);
    EXPECT_LT(version, CUDART_VERSION);
}

TEST_F(RuntimeTest, NoDevice)
{
    Machine m;
    m.driver = Driver::no_device;
    emulator::restart(m);
    int count = -1;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    EXPECT_STREQ(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorNoDevice), "no CUDA-capable device is detected");
}

TEST_F(RuntimeTest, SeveralDevicesHaveMemoryOfTheirOwn)
{
    emulator::restart(machine(3));
    int count = 0;
    ASSERT_CUDA(cudaGetDeviceCount(&count));
    EXPECT_EQ(count, 3);
    std::vector<int*> arrays(3);
    for (int d = 0; d < 3; ++d)
    {
        ASSERT_CUDA(cudaSetDevice(d));
        ASSERT_CUDA(cudaMalloc(&arrays[static_cast<std::size_t>(d)], 400));
        ASSERT_CUDA(cudaMemset(arrays[static_cast<std::size_t>(d)], 0, 400));
        add_one<<<1, 100>>>(arrays[static_cast<std::size_t>(d)], 100);
        ASSERT_CUDA(cudaDeviceSynchronize());
        int current = -1;
        ASSERT_CUDA(cudaGetDevice(&current));
        EXPECT_EQ(current, d);
        cudaPointerAttributes attributes{};
        ASSERT_CUDA(cudaPointerGetAttributes(&attributes, arrays[static_cast<std::size_t>(d)]));
        EXPECT_EQ(attributes.device, d);
        EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
    }
    // Device 2 cannot reach the memory of device 0; the others go on.
    add_one<<<1, 100>>>(arrays[0], 100);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    ASSERT_CUDA(cudaSetDevice(0));
    EXPECT_CUDA(cudaDeviceSynchronize());
    int value = 0;
    EXPECT_CUDA(cudaMemcpy(&value, arrays[0] + 99, sizeof value, cudaMemcpyDeviceToHost));
    EXPECT_EQ(value, 1);
    EXPECT_EQ(cudaSetDevice(2), cudaErrorIllegalAddress);
}

TEST_F(RuntimeTest, HostThreadsHaveACurrentDeviceEach)
{
    emulator::restart(machine(4));
    std::vector<int> seen(4, -1);
    std::vector<int> results(4, 0);
    std::vector<std::thread> threads;
    for (int d = 0; d < 4; ++d)
    {
        threads.emplace_back([&seen, &results, d] {
            int* x = nullptr;
            cudaSetDevice(d);
            cudaMalloc(&x, 4000);
            cudaMemset(x, 0, 4000);
            for (int k = 0; k <= d; ++k)
            {
                add_one<<<10, 100>>>(x, 1000);
            }
            cudaMemcpy(&results[static_cast<std::size_t>(d)], x + 999, sizeof(int), cudaMemcpyDeviceToHost);
            cudaGetDevice(&seen[static_cast<std::size_t>(d)]);
        });
    }
    for (auto& thread : threads)
    {
        thread.join();
    }
    EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3}));
    EXPECT_EQ(results, (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(RuntimeTest, StreamsBelongToADevice)
{
    emulator::restart(machine(2));
    cudaStream_t stream = nullptr;
    ASSERT_CUDA(cudaStreamCreate(&stream));
    ASSERT_CUDA(cudaSetDevice(1));
    int* x = nullptr;
    ASSERT_CUDA(cudaMalloc(&x, 4));
    add_one<<<1, 1, 0, stream>>>(x, 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
}

// --- memory -----------------------------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, MemoryIsLimited)
{
    emulator::restart(machine(2, 1000));
    void* first = nullptr;
    void* second = &first;
    ASSERT_CUDA(cudaMalloc(&first, 600));
    EXPECT_EQ(cudaMalloc(&second, 600), cudaErrorMemoryAllocation);
    EXPECT_EQ(second, nullptr);
    EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
    EXPECT_CUDA(cudaGetLastError()); // does not stick
    std::size_t free = 0;
    std::size_t total = 0;
    ASSERT_CUDA(cudaMemGetInfo(&free, &total));
    EXPECT_EQ(free, 400U);
    EXPECT_EQ(total, 1000U);
    EXPECT_EQ(emulator::resources().device_bytes, 600U);
    ASSERT_CUDA(cudaFree(first));
    EXPECT_CUDA(cudaMalloc(&second, 600));
    ASSERT_CUDA(cudaSetDevice(1));
    EXPECT_CUDA(cudaMalloc(&first, 1000));
    EXPECT_CUDA(cudaFree(nullptr));
    EXPECT_CUDA(cudaFree(second));
    EXPECT_EQ(cudaFree(second), cudaErrorInvalidValue);
}

TEST_F(RuntimeTest, CopiesAreChecked)
{
    DeviceArray<int> const x(std::vector<int>(10, 3));
    std::vector<int> host(20);
    EXPECT_EQ(cudaMemcpy(host.data(), x.get(), 11 * sizeof(int), cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(host.data(), host.data() + 10, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(x.get(), host.data(), 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemset(host.data(), 0, 4), cudaErrorInvalidValue);
    EXPECT_CUDA(cudaMemcpy(host.data(), x.get() + 5, 5 * sizeof(int), cudaMemcpyDefault));
    EXPECT_EQ(host[4], 3);
    DeviceArray<int> const y(10);
    EXPECT_CUDA(cudaMemcpy(y.get(), x.get(), 10 * sizeof(int), cudaMemcpyDeviceToDevice));
    EXPECT_EQ(y.values(), std::vector<int>(10, 3));
}

TEST_F(RuntimeTest, NewMemoryIsNotZero)
{
    DeviceArray<int> const x(4);
    EXPECT_NE(x.values()[3], 0);
}

TEST_F(RuntimeTest, PinnedMemory)
{
    int* pinned = nullptr;
    ASSERT_CUDA(cudaMallocHost(&pinned, 100 * sizeof(int)));
    EXPECT_EQ(emulator::resources().pinned_bytes, 400U);
    std::iota(pinned, pinned + 100, 0);
    add_one<<<1, 100>>>(pinned, 100); // kernels reach it
    ASSERT_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(pinned[99], 100);
    cudaPointerAttributes attributes{};
    ASSERT_CUDA(cudaPointerGetAttributes(&attributes, pinned + 7));
    EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
    EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue);
    EXPECT_CUDA(cudaFreeHost(pinned));
    std::vector<int> own(100, 1);
    ASSERT_CUDA(cudaHostRegister(own.data(), 400, cudaHostRegisterDefault));
    add_one<<<1, 100>>>(own.data(), 100);
    ASSERT_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(own[99], 2);
    EXPECT_CUDA(cudaHostUnregister(own.data()));
    EXPECT_EQ(emulator::resources().pinned_bytes, 0U);
}

// --- streams and events -----------------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, WorkIsDoneWhenItIsWaitedFor)
{
    cudaStream_t stream = nullptr;
    int* pinned = nullptr;
    ASSERT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSERT_CUDA(cudaMallocHost(&pinned, sizeof(int)));
    DeviceArray<int> const x(std::vector<int>{41});
    *pinned = -1;
    add_one<<<1, 1, 0, stream>>>(x.get(), 1);
    ASSERT_CUDA(cudaMemcpyAsync(pinned, x.get(), sizeof(int), cudaMemcpyDeviceToHost, stream));
    EXPECT_EQ(*pinned, -1); // who looks too early sees that
    EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
    ASSERT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(*pinned, 42);
    EXPECT_CUDA(cudaStreamQuery(stream));
    EXPECT_CUDA(cudaGetLastError()); // "not ready" is no error to remember
    EXPECT_CUDA(cudaStreamDestroy(stream));
    EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(emulator::resources().streams, 0U);
    EXPECT_CUDA(cudaFreeHost(pinned));
}

TEST_F(RuntimeTest, EagerStreamsDoItAtOnce)
{
    set_streams(emulator::Streams::eager);
    cudaStream_t stream = nullptr;
    int* pinned = nullptr;
    ASSERT_CUDA(cudaStreamCreate(&stream));
    ASSERT_CUDA(cudaMallocHost(&pinned, sizeof(int)));
    DeviceArray<int> const x(std::vector<int>{41});
    add_one<<<1, 1, 0, stream>>>(x.get(), 1);
    ASSERT_CUDA(cudaMemcpyAsync(pinned, x.get(), sizeof(int), cudaMemcpyDeviceToHost, stream));
    EXPECT_EQ(*pinned, 42);
}

TEST_F(RuntimeTest, PinnedSourceIsReadLatePageableSourceAtOnce)
{
    cudaStream_t stream = nullptr;
    int* pinned = nullptr;
    ASSERT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSERT_CUDA(cudaMallocHost(&pinned, sizeof(int)));
    DeviceArray<int> const x(2);
    int pageable = 1;
    *pinned = 1;
    ASSERT_CUDA(cudaMemcpyAsync(x.get(), pinned, sizeof(int), cudaMemcpyHostToDevice, stream));
    ASSERT_CUDA(cudaMemcpyAsync(x.get() + 1, &pageable, sizeof(int), cudaMemcpyHostToDevice, stream));
    *pinned = 2; // the mistake that this finds
    pageable = 2;
    ASSERT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(x.values(), (std::vector<int>{2, 1}));
}

// cudaMemcpy from pageable memory may return before the data are on the device: only the default stream knows when they are.
TEST_F(RuntimeTest, PageableCopiesAreOnTheDeviceOnceTheDefaultStreamIsThere)
{
    cudaStream_t independent = nullptr;
    ASSERT_CUDA(cudaStreamCreateWithFlags(&independent, cudaStreamNonBlocking));
    for (bool const wait : {false, true})
    {
        DeviceArray<int> const x(std::vector<int>{0, 0});
        ASSERT_CUDA(cudaDeviceSynchronize());
        int const host = 7;
        ASSERT_CUDA(cudaMemcpy(x.get(), &host, sizeof(int), cudaMemcpyHostToDevice));
        if (wait)
        {
            ASSERT_CUDA(cudaStreamSynchronize(nullptr));
        }
        ASSERT_CUDA(cudaMemcpyAsync(x.get() + 1, x.get(), sizeof(int), cudaMemcpyDeviceToDevice, independent));
        ASSERT_CUDA(cudaStreamSynchronize(independent));
        EXPECT_EQ(x.values(), (std::vector<int>{7, wait ? 7 : 0}));
    }
}

TEST_F(RuntimeTest, OtherStreamsMayBeFirst)
{
    for (bool const others_first : {false, true})
    {
        set_streams(others_first ? emulator::Streams::others_first : emulator::Streams::deferred);
        cudaStream_t first = nullptr;
        cudaStream_t second = nullptr;
        ASSERT_CUDA(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
        ASSERT_CUDA(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
        DeviceArray<int> const x(std::vector<int>{1, 0});
        ASSERT_CUDA(cudaDeviceSynchronize());
        add_one<<<1, 1, 0, first>>>(x.get(), 1);
        ASSERT_CUDA(cudaMemcpyAsync(x.get() + 1, x.get(), sizeof(int), cudaMemcpyDeviceToDevice, second)); // does not wait
        ASSERT_CUDA(cudaStreamSynchronize(first));
        ASSERT_CUDA(cudaStreamSynchronize(second));
        EXPECT_EQ(x.values(), (std::vector<int>{2, others_first ? 1 : 2}));
    }
}

TEST_F(RuntimeTest, DefaultStreamWaitsForOthersUnlessTheyDoNot)
{
    cudaStream_t blocking = nullptr;
    cudaStream_t independent = nullptr;
    ASSERT_CUDA(cudaStreamCreate(&blocking));
    ASSERT_CUDA(cudaStreamCreateWithFlags(&independent, cudaStreamNonBlocking));
    DeviceArray<int> const x(std::vector<int>{0, 0});
    add_one<<<1, 1, 0, blocking>>>(x.get(), 1);
    add_one<<<1, 1, 0, independent>>>(x.get() + 1, 1);
    EXPECT_EQ(x.values(), (std::vector<int>{1, 0})); // cudaMemcpy uses the default stream
    ASSERT_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(x.values(), (std::vector<int>{1, 1}));
}

TEST_F(RuntimeTest, EventsOrderStreams)
{
    cudaStream_t first = nullptr;
    cudaStream_t second = nullptr;
    cudaEvent_t event = nullptr;
    ASSERT_CUDA(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    ASSERT_CUDA(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    ASSERT_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    DeviceArray<int> const x(std::vector<int>{0});
    DeviceArray<int> const y(std::vector<int>{0});
    EXPECT_CUDA(cudaEventQuery(event)); // never recorded
    add_one<<<1, 1, 0, first>>>(x.get(), 1);
    ASSERT_CUDA(cudaEventRecord(event, first));
    add_one<<<1, 1, 0, first>>>(x.get(), 1);
    ASSERT_CUDA(cudaStreamWaitEvent(second, event, 0));
    ASSERT_CUDA(cudaMemcpyAsync(y.get(), x.get(), sizeof(int), cudaMemcpyDeviceToDevice, second));
    ASSERT_CUDA(cudaStreamSynchronize(second));
    EXPECT_EQ(y.values()[0], 1); // what came before the event, and no more
    EXPECT_CUDA(cudaEventSynchronize(event));
    EXPECT_CUDA(cudaEventQuery(event));
    EXPECT_CUDA(cudaEventDestroy(event));
    EXPECT_EQ(emulator::resources().events, 0U);
}

TEST_F(RuntimeTest, EventsMeasureTime)
{
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    ASSERT_CUDA(cudaEventCreate(&begin));
    ASSERT_CUDA(cudaEventCreate(&end));
    float milliseconds = -1;
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
    DeviceArray<int> const x(std::vector<int>(1000, 0));
    ASSERT_CUDA(cudaEventRecord(begin));
    add_one<<<10, 100>>>(x.get(), 1000);
    ASSERT_CUDA(cudaEventRecord(end));
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorNotReady);
    ASSERT_CUDA(cudaEventSynchronize(end));
    ASSERT_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    EXPECT_GT(milliseconds, 0);
}

TEST_F(RuntimeTest, AskingComesToAnEnd)
{
    cudaEvent_t event = nullptr;
    ASSERT_CUDA(cudaEventCreate(&event));
    DeviceArray<int> const x(std::vector<int>{0});
    add_one<<<1, 1>>>(x.get(), 1);
    ASSERT_CUDA(cudaEventRecord(event));
    int asked = 0;
    while (cudaEventQuery(event) == cudaErrorNotReady)
    {
        ++asked;
    }
    EXPECT_GT(asked, 0);
}

TEST_F(RuntimeTest, MemoryInStreamOrder)
{
    cudaStream_t stream = nullptr;
    ASSERT_CUDA(cudaStreamCreate(&stream));
    int* x = nullptr;
    ASSERT_CUDA(cudaMallocAsync(&x, 400, stream));
    ASSERT_CUDA(cudaMemsetAsync(x, 0, 400, stream));
    add_one<<<1, 100, 0, stream>>>(x, 100);
    int value = 0;
    ASSERT_CUDA(cudaMemcpyAsync(&value, x + 99, sizeof value, cudaMemcpyDeviceToHost, stream));
    EXPECT_EQ(value, 1); // pageable memory: the call waits
    ASSERT_CUDA(cudaFreeAsync(x, stream));
    EXPECT_EQ(emulator::resources().device_bytes, 400U);
    ASSERT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(emulator::resources().device_bytes, 0U);
}

TEST_F(RuntimeTest, HostFunctionsRunInOrder)
{
    cudaStream_t stream = nullptr;
    ASSERT_CUDA(cudaStreamCreate(&stream));
    int calls = 0;
    ASSERT_CUDA(cudaLaunchHostFunc(
        stream, [](void* data) { ++*static_cast<int*>(data); }, &calls));
    EXPECT_EQ(calls, 0);
    ASSERT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(calls, 1);
}

// --- launches and errors ----------------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, LaunchesAreChecked)
{
    DeviceArray<int> const x(std::vector<int>(2048, 0));
    add_one<<<1, 1025>>>(x.get(), 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    add_one<<<0, 32>>>(x.get(), 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    add_one<<<dim3(1, 65536), 32>>>(x.get(), 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    bounded<<<1, 129>>>(x.get());
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    bounded<<<1, 128>>>(x.get());
    EXPECT_CUDA(cudaGetLastError());
    EXPECT_CUDA(cudaDeviceSynchronize());
    EXPECT_CUDA(cudaDeviceReset());
}

TEST_F(RuntimeTest, KernelsTellAboutThemselves)
{
    cudaFuncAttributes attributes{};
    ASSERT_CUDA(cudaFuncGetAttributes(&attributes, bounded));
    EXPECT_EQ(attributes.maxThreadsPerBlock, 128);
    EXPECT_EQ(attributes.sharedSizeBytes, 512U);
    EXPECT_GT(attributes.numRegs, 0);
    int blocks = 0;
    ASSERT_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, bounded, 128, 0));
    EXPECT_EQ(blocks, 16); // 2048 threads
    ASSERT_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, bounded, 128, 40 << 10));
    EXPECT_EQ(blocks, 3); // 164 KiB
    int grid = 0;
    int block = 0;
    ASSERT_CUDA(cudaOccupancyMaxPotentialBlockSize(&grid, &block, add_one));
    EXPECT_GT(block, 0);
    EXPECT_GT(grid, 0);
}

TEST_F(RuntimeTest, FaultsStick)
{
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;
    ASSERT_CUDA(cudaStreamCreate(&stream));
    ASSERT_CUDA(cudaEventCreate(&event));
    DeviceArray<int> const x(1);
    write_far<<<1, 1, 0, stream>>>(x.get());
    EXPECT_CUDA(cudaGetLastError()); // not known yet
    ASSERT_CUDA(cudaEventRecord(event, stream));
    EXPECT_EQ(cudaEventSynchronize(event), cudaErrorIllegalAddress);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
    EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
    add_one<<<1, 1>>>(x.get(), 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
    EXPECT_NE(fault_text().find("write_far"), std::string::npos);
}

TEST_F(RuntimeTest, CallsFailAsPlanned)
{
    emulator::fail_call("cudaMemcpy", cudaErrorUnknown, 2);
    DeviceArray<int> const x(1);
    int value = 0;
    EXPECT_CUDA(cudaMemcpy(&value, x.get(), sizeof value, cudaMemcpyDeviceToHost));
    EXPECT_EQ(cudaMemcpy(&value, x.get(), sizeof value, cudaMemcpyDeviceToHost), cudaErrorUnknown);
    EXPECT_EQ(cudaGetLastError(), cudaErrorUnknown);
    EXPECT_CUDA(cudaMemcpy(&value, x.get(), sizeof value, cudaMemcpyDeviceToHost));
}

using RuntimeDeathTest = RuntimeTest;
TEST_F(RuntimeDeathTest, HostCannotFollowADevicePointer)
{
    DeviceArray<int> const x(std::vector<int>{1});
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            int volatile* const p = x.get();
            std::printf("%d\n", *p);
        },
        "");
}

} // namespace
