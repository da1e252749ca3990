/// \file
/// What a device can do at best: fused multiply-adds in double precision and copies in its memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace nuscan::bench
{

/// Independent chains of fused multiply-adds in a thread: enough to fill the pipeline.
inline constexpr int fma_chains = 8;
inline constexpr int fma_block = 256;
inline constexpr double fma_factor = 0.999999;
inline constexpr double fma_term = 1e-7;

/// Every thread of \p blocks blocks runs its chains for \p steps steps: blocks * fma_block * fma_chains * steps operations.
/// \param out  [blocks * fma_block] sum of a thread's chains
void run_fma_chains(int blocks, std::int64_t steps, double factor, double term, double* out, cudaStream_t stream);

/// What a thread of run_fma_chains has to find, computed on the host with the same bits.
double fma_chains_on_host(std::int64_t thread, std::int64_t steps, double factor, double term);

/// Copies \p n doubles (an even number), each read and written once.
void run_copy(double const* from, double* to, std::int64_t n, int blocks, cudaStream_t stream);

} // namespace nuscan::bench
