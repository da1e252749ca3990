// Thrust and CUB as nvcc compiles them: many instructions that no kernel of one's own has.

#include "device_test.hpp"

#include <cub/cub.cuh>
#include <thrust/device_vector.h>
#include <thrust/extrema.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/transform.h>

#include <algorithm>
#include <numeric>

namespace
{

constexpr int n = 9973;

struct Wave
{
    __host__ __device__ double operator()(int i) const { return static_cast<double>((i * 7919LL) % 10007) + 0.25; }
};

class LibrariesTest : public DeviceTest
{
protected:
    static std::vector<double> expected()
    {
        std::vector<double> values(n);
        for (int i = 0; i < n; ++i)
        {
            values[static_cast<std::size_t>(i)] = Wave{}(i);
        }
        return values;
    }
    static thrust::device_vector<double> wave()
    {
        thrust::device_vector<double> values(n);
        thrust::transform(thrust::counting_iterator<int>(0), thrust::counting_iterator<int>(n), values.begin(), Wave{});
        return values;
    }
    template<class T>
    static std::vector<T> on_host(thrust::device_vector<T> const& values)
    {
        std::vector<T> host(values.size());
        thrust::copy(values.begin(), values.end(), host.begin());
        return host;
    }
    // Calls a function of CUB twice: for the size of its memory, then to do its work.
    template<class Function>
    static void run_cub(Function&& function)
    {
        std::size_t bytes = 0;
        ASSERT_CUDA(function(nullptr, bytes));
        DeviceArray<char> const memory(bytes);
        ASSERT_CUDA(function(memory.get(), bytes));
        ASSERT_CUDA(cudaDeviceSynchronize()) << fault_text();
    }
};

TEST_F(LibrariesTest, ThrustTransform)
{
    EXPECT_EQ(on_host(wave()), expected());
}

TEST_F(LibrariesTest, ThrustReduceAndMinElement)
{
    std::vector<double> const host = expected();
    thrust::device_vector<double> const values = wave();
    EXPECT_DOUBLE_EQ(thrust::reduce(values.begin(), values.end(), 0.0), std::accumulate(host.begin(), host.end(), 0.0));
    EXPECT_EQ(thrust::min_element(values.begin(), values.end()) - values.begin(),
              std::min_element(host.begin(), host.end()) - host.begin());
}

TEST_F(LibrariesTest, ThrustSortByKeyAndScan)
{
    std::vector<double> host = expected();
    thrust::device_vector<double> keys = wave();
    thrust::device_vector<int> indices(n);
    thrust::sequence(indices.begin(), indices.end());
    thrust::sort_by_key(keys.begin(), keys.end(), indices.begin());
    std::vector<int> const order = on_host(indices);
    std::vector<double> const sorted = on_host(keys);
    for (std::size_t k = 0; k < sorted.size(); ++k)
    {
        EXPECT_EQ(sorted[k], host[static_cast<std::size_t>(order[k])]);
    }
    std::sort(host.begin(), host.end());
    EXPECT_EQ(sorted, host);
    std::vector<double> host_sums(host.size());
    std::partial_sum(host.begin(), host.end(), host_sums.begin());
    // Blocks of a scan wait for those before them, which in reversed order are still to come.
    for (auto const order : {emulator::Order::forward, emulator::Order::reversed})
    {
        emulator::Execution how;
        how.order = order;
        emulator::configure(how);
        thrust::device_vector<double> sums(n);
        thrust::inclusive_scan(keys.begin(), keys.end(), sums.begin());
        EXPECT_DOUBLE_EQ(on_host(sums).back(), host_sums.back());
    }
}

TEST_F(LibrariesTest, CubArgMin)
{
    std::vector<double> const host = expected();
    thrust::device_vector<double> const values = wave();
    DeviceArray<double> const least(1);
    DeviceArray<cuda::std::int64_t> const index(1);
    run_cub([&](void* memory, std::size_t& bytes) {
        return cub::DeviceReduce::ArgMin(memory, bytes, thrust::raw_pointer_cast(values.data()), least.get(), index.get(),
                                         cuda::std::int64_t{n});
    });
    auto const expected_place = std::min_element(host.begin(), host.end());
    EXPECT_EQ(index.values()[0], expected_place - host.begin());
    EXPECT_EQ(least.values()[0], *expected_place);
}

TEST_F(LibrariesTest, CubSegmentedArgMin)
{
    std::vector<double> const host = expected();
    thrust::device_vector<double> const values = wave();
    std::vector<int> const offsets{0, 1, 100, 3000, 3000, n};
    DeviceArray<int> const segments(offsets);
    constexpr int count = 5;
    using Found = cub::KeyValuePair<int, double>;
    DeviceArray<Found> const found(count);
    for (auto const order : {emulator::Order::forward, emulator::Order::reversed})
    {
        emulator::Execution how;
        how.order = order;
        emulator::configure(how);
        run_cub([&](void* memory, std::size_t& bytes) {
            return cub::DeviceSegmentedReduce::ArgMin(memory, bytes, thrust::raw_pointer_cast(values.data()), found.get(), count,
                                                      segments.get(), segments.get() + 1);
        });
        std::vector<Found> const results = found.values();
        for (std::size_t k = 0; k < count; ++k)
        {
            auto const begin = host.begin() + offsets[k];
            auto const end = host.begin() + offsets[k + 1];
            if (begin != end)
            {
                EXPECT_EQ(results[k].key, std::min_element(begin, end) - begin) << "segment " << k;
                EXPECT_EQ(results[k].value, *std::min_element(begin, end));
            }
        }
    }
}

__global__ void block_sums(double const* in, double* out)
{
    using Reduce = cub::BlockReduce<double, 128>;
    __shared__ typename Reduce::TempStorage storage;
    double const sum = Reduce(storage).Sum(in[blockIdx.x * 128 + threadIdx.x]);
    if (threadIdx.x == 0)
    {
        out[blockIdx.x] = sum;
    }
}

TEST_F(LibrariesTest, CubBlockReduce)
{
    thrust::device_vector<double> const values = wave();
    DeviceArray<double> const sums(4);
    block_sums<<<4, 128>>>(thrust::raw_pointer_cast(values.data()), sums.get());
    std::vector<double> const host = expected();
    std::vector<double> const results = sums.values();
    for (std::size_t b = 0; b < 4; ++b)
    {
        auto const begin = host.begin() + static_cast<std::ptrdiff_t>(128 * b);
        EXPECT_DOUBLE_EQ(results[b], std::accumulate(begin, begin + 128, 0.0));
    }
}

} // namespace
