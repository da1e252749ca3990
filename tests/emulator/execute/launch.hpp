#pragma once
// Runs a launch: all blocks of a grid, spread over host threads, in the order asked for.

#include "execute/warp.hpp"

namespace emulator
{

// Throws KernelFault.
Counters run_launch(Launch const& launch);

// The name as it was written, where it is mangled.
std::string demangled(std::string const& name);

} // namespace emulator
