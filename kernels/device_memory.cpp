#include "kernels/device_memory.hpp"

#include <fmt/format.h>

namespace nuscan::cuda
{

void check(cudaError_t code, char const* action)
{
    if (code == cudaSuccess)
        return;
    auto const message = fmt::format("CUDA: {} failed: {} ({})", action, cudaGetErrorString(code), cudaGetErrorName(code));
    if (code == cudaErrorMemoryAllocation)
    {
        cudaGetLastError(); // this error does not stick to the device
        throw OutOfMemory(message);
    }
    throw RunError(message);
}

} // namespace nuscan::cuda
