#pragma once
// The state of a launch, a block and a warp while a kernel runs. A register is 32 lanes of 64 bits; narrower values are kept with
// zeros above them. A predicate is a mask of lanes.

#include "decode/program.hpp"
#include "emulator.hpp"
#include "execute/address_space.hpp"
#include "execute/shared_races.hpp"

#include <atomic>
#include <bit>
#include <exception>

namespace emulator
{

struct Extent
{
    std::uint32_t x = 1;
    std::uint32_t y = 1;
    std::uint32_t z = 1;
    std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

// A kernel cannot go on. Carries what the runtime keeps for the program and for tests.
struct KernelFault : std::exception
{
    explicit KernelFault(Fault what) : fault(std::move(what)) {}
    char const* what() const noexcept override { return fault.text.c_str(); }
    Fault fault;
};

// Per instruction. Straight runs of instructions are counted by where they begin and end; sums along the code give the counts.
struct Counters
{
    explicit Counters(std::size_t instructions)
        : begin_warps(instructions + 1)
        , begin_lanes(instructions + 1)
        , guarded_off(instructions)
        , sectors(instructions)
        , ideal_sectors(instructions)
        , bank_conflicts(instructions)
    {
    }
    std::vector<std::int64_t> begin_warps; // + where a run begins, - behind its end
    std::vector<std::int64_t> begin_lanes;
    std::vector<std::int64_t> guarded_off; // lanes that a guard kept from an instruction
    std::vector<std::uint64_t> sectors;
    std::vector<std::uint64_t> ideal_sectors;
    std::vector<std::uint64_t> bank_conflicts;
    std::uint64_t divergent_steps = 0;

    void run(std::uint32_t begin, std::uint32_t end, LaneMask active)
    {
        auto const lanes = static_cast<std::int64_t>(std::popcount(active));
        begin_warps[begin] += 1;
        begin_warps[end] -= 1;
        begin_lanes[begin] += lanes;
        begin_lanes[end] -= lanes;
    }
};

struct Launch
{
    Kernel const& kernel;
    Extent grid;
    Extent block;
    std::uint64_t dynamic_shared_bytes = 0;
    std::vector<Allocation> allocations;  // sorted, as they were when the launch began
    AddressSpace const* memory = nullptr; // for messages
    std::vector<std::byte> parameters;
    Execution how;

    std::uint32_t threads() const { return static_cast<std::uint32_t>(block.count()); }
    bool highest_lane_first() const { return how.order == Order::reversed; }
};

struct Block;

struct alignas(64) Warp
{
    std::array<std::uint64_t, warp_size> enabled; // all ones for the lanes that run now
    std::array<std::uint32_t, warp_size> pc;
    std::uint64_t* registers = nullptr;
    LaneMask* predicates = nullptr;
    Block* block = nullptr;
    std::uint32_t index = 0;
    LaneMask live = 0;
    LaneMask at_barrier = 0;
    LaneMask at_warp_barrier = 0;
    std::uint32_t favoured = none; // a lane whose turn it is, after others have run for long
    std::uint32_t next_favoured = 0;

    std::uint32_t thread(unsigned lane) const { return index * warp_size + lane; }
};

struct Block
{
    Launch const* launch = nullptr;
    Counters* counters = nullptr;
    Extent id;
    std::vector<std::byte> shared;
    std::vector<std::byte> local;
    SharedRaces races;
    std::vector<std::uint64_t> registers;
    std::vector<LaneMask> predicates;
    std::vector<Warp> warps;
    std::vector<std::uint32_t> recent_allocation; // per instruction: where the last access went
    std::uint64_t steps = 0;

    std::byte* local_of(std::uint32_t thread) { return local.data() + thread * launch->kernel.local_bytes; }
};

[[noreturn]] void fail(Warp const& warp, Instruction const& instruction, unsigned lane, FaultKind kind, std::string const& message);

template<class Function>
void for_each_lane(LaneMask lanes, Function&& function)
{
    for (; lanes != 0; lanes &= lanes - 1)
    {
        function(static_cast<unsigned>(std::countr_zero(lanes)));
    }
}

// Lanes in the order in which colliding effects happen.
template<class Function>
void for_each_lane_in_order(Launch const& launch, LaneMask lanes, Function&& function)
{
    if (!launch.highest_lane_first())
    {
        for_each_lane(lanes, function);
        return;
    }
    while (lanes != 0)
    {
        unsigned const lane = 31U - static_cast<unsigned>(std::countl_zero(lanes));
        lanes &= ~(LaneMask{1} << lane);
        function(lane);
    }
}

inline bool has_lane(LaneMask lanes, unsigned lane)
{
    return (lanes >> lane & 1U) != 0;
}

inline void set_predicate(Warp& warp, std::uint32_t predicate, LaneMask lanes, LaneMask value)
{
    if (predicate != none)
    {
        LaneMask& p = warp.predicates[predicate];
        p = (p & ~lanes) | (value & lanes);
    }
}

// The bits that the destination can hold.
inline std::uint64_t register_mask(Instruction const& instruction)
{
    return instruction.register_bytes == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8U * instruction.register_bytes)) - 1;
}

inline LaneMask source_predicate(Warp const& warp, Instruction const& instruction)
{
    LaneMask const p = warp.predicates[instruction.source_predicate];
    return instruction.source_negated ? ~p : p;
}

} // namespace emulator
