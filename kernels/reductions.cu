// Reductions of surfaces by CUB and Thrust. The only file that includes their device headers: they take long to compile.
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_segmented_reduce.cuh>
#include <thrust/execution_policy.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/reduce.h>
#include <thrust/system_error.h>
#include <thrust/transform.h>

#include <algorithm>
#include <new>
#include <vector>

#include "host/backends/reductions.hpp"
#include "kernels/device_memory.hpp"

namespace nuscan
{

namespace cuda
{

namespace
{

struct Indexed
{
    double const* values;
    std::int64_t offset;
    __host__ __device__ IndexedValue operator()(std::int64_t i) const { return indexed_value(values[i], offset + i); }
};

/// Value number i of the segments one after the other.
struct AlongAxis
{
    double const* values;
    AxisSplit split;
    __host__ __device__ IndexedValue operator()(std::int64_t i) const
    {
        std::int64_t const k = i % split.n;
        return indexed_value(values[split.index(i / split.n, k)], k);
    }
};

struct SegmentBegin
{
    std::int64_t n;
    __host__ __device__ std::int64_t operator()(std::int64_t segment) const { return segment * n; }
};

struct Difference
{
    double minimum;
    __host__ __device__ double operator()(double value) const { return value - minimum; }
};

struct IsAllowed
{
    double minimum;
    double threshold;
    __host__ __device__ std::uint8_t operator()(double value) const { return value - minimum <= threshold ? 1 : 0; }
};

/// Thrust reports what CUDA refuses in its own way.
template<class Function>
auto with_thrust(Function const& function, char const* action)
{
    try
    {
        return function();
    }
    catch (std::bad_alloc const&)
    {
        check(cudaErrorMemoryAllocation, action);
    }
    catch (thrust::system_error const& error)
    {
        check(static_cast<cudaError_t>(error.code().value()), action);
    }
    throw RunError(action);
}

/// Calls a CUB function for the size of its temporary memory, then for the work.
template<class Function>
void with_temporary(Function const& function, char const* action)
{
    std::size_t bytes = 0;
    check(function(nullptr, bytes), action);
    DeviceArray<unsigned char> const temporary(std::max<std::size_t>(bytes, 1));
    check(function(temporary.data(), bytes), action);
}

template<class T>
void fetch(T* to, DeviceArray<T> const& from, std::int64_t n)
{
    check(cudaMemcpy(to, from.data(), static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyDeviceToHost), "copying results");
}

class CudaReductions : public Reductions
{
public:
    CudaReductions(int ordinal, std::int64_t part) : ordinal_(ordinal), part_(part) {}

    IndexedValue best_fit(double const* chi2, std::int64_t n) override
    {
        check(cudaSetDevice(ordinal_), "choosing the device");
        IndexedValue best;
        for (std::int64_t begin = 0; begin < n; begin += part_)
        {
            std::int64_t const size = std::min(part_, n - begin);
            DeviceArray<double> const values(chi2 + begin, static_cast<std::size_t>(size));
            DeviceArray<IndexedValue> const result(1);
            auto const input = thrust::make_transform_iterator(thrust::make_counting_iterator<std::int64_t>(0),
                                                               Indexed{values.data(), begin});
            with_temporary(
                [&](void* temporary, std::size_t& bytes) {
                    return cub::DeviceReduce::Reduce(temporary, bytes, input, result.data(), size, LowerValue{}, IndexedValue{});
                },
                "the arg-min of a surface");
            IndexedValue part;
            fetch(&part, result, 1);
            best = LowerValue{}(best, part);
        }
        return best;
    }

    void profile(double const* chi2, AxisSplit const& split, double* minimum, std::int64_t* where) override
    {
        check(cudaSetDevice(ordinal_), "choosing the device");
        // Whole outer slabs at a time; a single one may exceed the part.
        std::int64_t const slab = split.n * split.inner;
        std::int64_t const slabs = std::max<std::int64_t>(1, part_ / std::max<std::int64_t>(1, slab));
        for (std::int64_t begin = 0; begin < split.outer; begin += slabs)
        {
            AxisSplit const slabs_here{std::min(slabs, split.outer - begin), split.n, split.inner};
            std::int64_t const segments = slabs_here.outer * slabs_here.inner;
            DeviceArray<double> const values(chi2 + begin * slab, static_cast<std::size_t>(slabs_here.size()));
            DeviceArray<IndexedValue> const results(static_cast<std::size_t>(segments));
            auto const input = thrust::make_transform_iterator(thrust::make_counting_iterator<std::int64_t>(0),
                                                               AlongAxis{values.data(), slabs_here});
            auto const offsets = thrust::make_transform_iterator(thrust::make_counting_iterator<std::int64_t>(0),
                                                                 SegmentBegin{slabs_here.n});
            with_temporary(
                [&](void* temporary, std::size_t& bytes) {
                    return cub::DeviceSegmentedReduce::Reduce(temporary, bytes, input, results.data(), segments, offsets,
                                                              offsets + 1, LowerValue{}, IndexedValue{});
                },
                "the arg-min along an axis");
            std::vector<IndexedValue> host(static_cast<std::size_t>(segments));
            fetch(host.data(), results, segments);
            for (std::int64_t s = 0; s < segments; ++s)
            {
                IndexedValue const& found = host[static_cast<std::size_t>(s)];
                minimum[begin * split.inner + s] = found.index < 0 ? NAN : found.value;
                if (where != nullptr)
                    where[begin * split.inner + s] = found.index;
            }
        }
    }

    void delta_chi2(double const* chi2, std::int64_t n, double chi2_min, double* delta) override
    {
        check(cudaSetDevice(ordinal_), "choosing the device");
        for (std::int64_t begin = 0; begin < n; begin += part_)
        {
            std::int64_t const size = std::min(part_, n - begin);
            DeviceArray<double> const values(chi2 + begin, static_cast<std::size_t>(size));
            with_thrust(
                [&] {
                    return thrust::transform(thrust::device, values.data(), values.data() + size, values.data(),
                                             Difference{chi2_min});
                },
                "the distances of a surface from its minimum");
            fetch(delta + begin, values, size);
        }
    }

    std::int64_t allowed(double const* chi2, std::int64_t n, double chi2_min, double threshold, std::uint8_t* mask) override
    {
        check(cudaSetDevice(ordinal_), "choosing the device");
        std::int64_t count = 0;
        for (std::int64_t begin = 0; begin < n; begin += part_)
        {
            std::int64_t const size = std::min(part_, n - begin);
            DeviceArray<double> const values(chi2 + begin, static_cast<std::size_t>(size));
            DeviceArray<std::uint8_t> const result(static_cast<std::size_t>(size));
            count += with_thrust(
                [&] {
                    thrust::transform(thrust::device, values.data(), values.data() + size, result.data(),
                                      IsAllowed{chi2_min, threshold});
                    return thrust::reduce(thrust::device, result.data(), result.data() + size, std::int64_t{0});
                },
                "counting allowed points");
            fetch(mask + begin, result, size);
        }
        return count;
    }

private:
    int ordinal_;
    std::int64_t part_; ///< values on the device at a time
};

} // namespace

} // namespace cuda

std::unique_ptr<Reductions> make_cuda_reductions(int ordinal, std::int64_t part)
{
    return std::make_unique<cuda::CudaReductions>(ordinal, part);
}

} // namespace nuscan
