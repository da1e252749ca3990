/// \file
/// Reductions of surfaces on the host and on a CUDA device.
#pragma once

#include <memory>

#include "nuscan/scan/reductions.hpp"

namespace nuscan
{

/// \param threads  0 for all cores
std::unique_ptr<Reductions> make_host_reductions(int threads = 0);

/// On CUDA device \p ordinal. Throws NotCompiled in a binary without CUDA.
std::unique_ptr<Reductions> make_cuda_reductions(int ordinal);

} // namespace nuscan
