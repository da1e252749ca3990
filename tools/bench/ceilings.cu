// Kernels that do nothing but reach a device's limits.
#include "ceilings.hpp"

#include <cmath>

#include "kernels/device_memory.hpp"

namespace nuscan::bench
{

namespace
{

/// Exact, with or without fused multiply-add.
__host__ __device__ double chain_start(std::int64_t thread, int chain)
{
    return 1.0 + static_cast<double>(thread % 1024) / 1024.0 + 0.125 * chain;
}

/// Factor and term are arguments, so that the compiler can shorten no chain; all chains end in the result, so that it can drop none.
__global__ void __launch_bounds__(fma_block) fma_kernel(std::int64_t steps, double factor, double term, double* out)
{
    std::int64_t const thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    double x[fma_chains];
#pragma unroll
    for (int c = 0; c < fma_chains; ++c)
        x[c] = chain_start(thread, c);
#pragma unroll 8
    for (std::int64_t i = 0; i < steps; ++i)
#pragma unroll
        for (int c = 0; c < fma_chains; ++c)
            x[c] = fma(x[c], factor, term);
    double sum = 0.0;
#pragma unroll
    for (int c = 0; c < fma_chains; ++c)
        sum += x[c];
    out[thread] = sum;
}

__global__ void copy_kernel(double2 const* __restrict__ from, double2* __restrict__ to, std::int64_t n)
{
    std::int64_t const stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
#pragma unroll 4
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride)
        to[i] = from[i];
}

} // namespace

void run_fma_chains(int blocks, std::int64_t steps, double factor, double term, double* out, cudaStream_t stream)
{
    fma_kernel<<<static_cast<unsigned>(blocks), fma_block, 0, stream>>>(steps, factor, term, out);
    cuda::check(cudaGetLastError(), "starting the chains of multiply-adds");
}

double fma_chains_on_host(std::int64_t thread, std::int64_t steps, double factor, double term)
{
    double sum = 0.0;
    for (int c = 0; c < fma_chains; ++c)
    {
        double x = chain_start(thread, c);
        for (std::int64_t i = 0; i < steps; ++i)
            x = std::fma(x, factor, term);
        sum += x;
    }
    return sum;
}

void run_copy(double const* from, double* to, std::int64_t n, int blocks, cudaStream_t stream)
{
    copy_kernel<<<static_cast<unsigned>(blocks), 256, 0, stream>>>(reinterpret_cast<double2 const*>(from),
                                                                   reinterpret_cast<double2*>(to), n / 2);
    cuda::check(cudaGetLastError(), "starting the copy");
}

} // namespace nuscan::bench
