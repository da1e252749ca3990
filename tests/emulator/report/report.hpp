#pragma once
// Counts of what launches did, gathered by kernel.

#include "execute/warp.hpp"

namespace emulator
{

void record_launch(Launch const& launch, Counters const& counters);

} // namespace emulator
