/// \file
/// Host-device qualifier: the only place that knows which compiler is at work.
#pragma once

/// Marks a function that runs on the host and, when a CUDA compiler reads it, on the device as well.
#if defined(__CUDACC__)
#define NUSCAN_HD __host__ __device__
/// The same for functions whose local arrays must end in registers: a device compiler that calls instead of inlining would put them in
/// memory.
#define NUSCAN_HD_INLINE __host__ __device__ __forceinline__
#else
#define NUSCAN_HD
#define NUSCAN_HD_INLINE inline
#endif

/// Marks a function that is not merged into its callers: a loop that needs all registers gets them.
#define NUSCAN_NOINLINE [[gnu::noinline]]
