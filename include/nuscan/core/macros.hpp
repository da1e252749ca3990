/// \file
/// Host-device qualifier: the only place that knows which compiler is at work.
#pragma once

/// Marks a function that runs on the host and, when a CUDA compiler reads it, on the device as well.
#if defined(__CUDACC__)
#define NUSCAN_HD __host__ __device__
#else
#define NUSCAN_HD
#endif
