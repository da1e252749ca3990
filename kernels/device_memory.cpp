#include "kernels/device_memory.hpp"

#include <fmt/format.h>

namespace nuscan::cuda
{

namespace
{

double megabytes(std::size_t bytes)
{
    return static_cast<double>(bytes) * 1e-6;
}

} // namespace

void check(cudaError_t code, std::string const& action)
{
    if (code == cudaSuccess)
        return;
    auto const message = fmt::format("CUDA: {} failed: {} ({})", action, cudaGetErrorString(code), cudaGetErrorName(code));
    cudaGetLastError(); // or the next call that is asked would report it again
    if (code == cudaErrorMemoryAllocation)
        throw OutOfMemory(message);
    throw RunError(message);
}

void* reserve_device_memory(std::size_t bytes)
{
    void* memory = nullptr;
    cudaError_t const code = cudaMalloc(&memory, bytes);
    if (code == cudaSuccess)
        return memory;
    std::size_t free = 0;
    std::size_t total = 0;
    if (code == cudaErrorMemoryAllocation && cudaMemGetInfo(&free, &total) == cudaSuccess)
        check(code, fmt::format("reserving {:.3g} MB of device memory, with {:.3g} MB of {:.3g} MB free,", megabytes(bytes),
                                megabytes(free), megabytes(total)));
    check(code, fmt::format("reserving {:.3g} MB of device memory", megabytes(bytes)));
    return nullptr;
}

void* reserve_pinned_memory(std::size_t bytes)
{
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), fmt::format("reserving {:.3g} MB of pinned host memory", megabytes(bytes)));
    return memory;
}

void copy_to_device(void* to, void const* from, std::size_t bytes)
{
    check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copying to the device");
    // From pageable memory the call may return with data under way, and streams that wait for none would overtake them.
    check(cudaStreamSynchronize(nullptr), "copying to the device");
}

} // namespace nuscan::cuda
