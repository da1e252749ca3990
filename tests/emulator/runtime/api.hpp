#pragma once
// What the files of the runtime API share.

#include "runtime/state.hpp"

namespace emulator
{

// The stream of the current device that a handle means, nullptr if it is none of its.
Stream* stream_of(State& s, cudaStream_t handle);
// Gives work to a stream. What it returns breaks the device unless it is cudaSuccess.
cudaError_t enqueue(State& s, Stream& stream, std::function<cudaError_t()> work);

} // namespace emulator
