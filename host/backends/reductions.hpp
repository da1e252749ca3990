/// \file
/// Reductions of surfaces on the host and on a CUDA device.
#pragma once

#include <cstdint>
#include <memory>

#include "nuscan/scan/reductions.hpp"

namespace nuscan
{

/// \param threads  0 for all cores
std::unique_ptr<Reductions> make_host_reductions(int threads = 0);

/// On CUDA device \p ordinal, with up to \p part values there at a time (the number never changes results). Throws NotCompiled in a
/// binary without CUDA.
std::unique_ptr<Reductions> make_cuda_reductions(int ordinal, std::int64_t part = std::int64_t{1} << 26);

} // namespace nuscan
