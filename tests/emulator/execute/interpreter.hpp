#pragma once
// One block: its warps step by step, its barriers.

#include "execute/warp.hpp"

namespace emulator
{

class BlockRunner
{
public:
    BlockRunner(Launch const& launch, Counters& counters);

    void begin(std::uint64_t number);
    // Runs until the block has ended (true) or has done this many steps more.
    bool run(std::uint64_t steps);

private:
    void set_specials();
    bool alive() const;
    bool blocked() const;
    void fail_if_deadlocked();
    void release_barrier();

    Launch const& launch_;
    Block block_;
    std::vector<std::uint32_t> warp_order_;
};

} // namespace emulator
