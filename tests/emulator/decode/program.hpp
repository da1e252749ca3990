#pragma once
// A kernel as the interpreter runs it: every name resolved to a register, a constant or an address, every operation to a function.

#include "ptx/module.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace emulator
{

using LaneMask = std::uint32_t; // bit l: lane l takes part
constexpr unsigned warp_size = 32;
constexpr LaneMask all_lanes = ~LaneMask{0};
constexpr std::uint32_t none = ~std::uint32_t{0};

struct Warp;
struct Instruction;
using Handler = void (*)(Warp&, Instruction const&, LaneMask);

// What carries an instruction out. `all` may assume a full mask; `some` gets the mask and, spread over lanes, Warp::enabled.
struct Handlers
{
    Handler all = nullptr;
    Handler some = nullptr;
};

constexpr Handlers same(Handler handler)
{
    return {handler, handler};
}

enum class Flow : std::uint8_t
{
    straight,
    branch,
    indexed_branch,
    exit,
    block_barrier,
    warp_wide
};

enum class AtomicOperation : std::uint8_t
{
    add,
    min,
    max,
    bit_and,
    bit_or,
    bit_xor,
    exchange,
    compare_and_swap,
    increment,
    decrement
};

// A register is known by its number in the decoder, by the place of its first lane in the register file afterwards. Predicates are
// lane masks in a file of their own.
struct Instruction
{
    Handlers run;
    std::uint32_t destination = none; // register
    std::array<std::uint32_t, 4> source{none, none, none, none};
    std::uint32_t predicate = none; // written
    std::uint32_t second_predicate = none;
    std::uint32_t source_predicate = none;
    std::uint32_t guard = none;
    std::uint32_t auxiliary
        = 0; // target of a branch, number of a branch table or of a register vector, state space slots of a call
    std::int64_t offset = 0;
    Flow flow = Flow::straight;
    ptx::Space space = ptx::Space::generic;
    ptx::Type type = ptx::Type::none;
    ptx::Type source_type = ptx::Type::none; // of a conversion
    std::uint8_t operation = 0;              // kind within one opcode
    std::uint8_t variant = 0;                // modifier within one opcode
    std::uint8_t rounding = 0;               // 0 nearest, 1 to zero, 2 down, 3 up
    std::uint8_t count = 1;                  // elements of a vector
    std::uint8_t register_bytes = 8;         // of the destination of a load
    bool guard_negated = false;
    bool source_negated = false; // of source_predicate
    bool saturate = false;
    bool unordered = false;      // relaxed or stronger access: synchronises, so no race
    bool vector_written = false; // the registers of vector `auxiliary` are written
    bool vector_read = false;
};

// Where an instruction comes from, for messages and reports.
struct Origin
{
    int line = 0;
    std::uint32_t mnemonic = 0;        // into Kernel::mnemonics
    std::vector<std::uint32_t> folded; // mnemonics of moves of constants before it that cost nothing here
};

enum class Special : std::uint8_t
{
    tid_x,
    tid_y,
    tid_z,
    ntid_x,
    ntid_y,
    ntid_z,
    ctaid_x,
    ctaid_y,
    ctaid_z,
    nctaid_x,
    nctaid_y,
    nctaid_z,
    laneid,
    warpid,
    lanemask_lt,
    lanemask_le,
    lanemask_gt,
    lanemask_ge,
    lanemask_eq,
    nwarpid,
    dynamic_smem_size,
    total_smem_size,
    zero,  // smid, gridid
    one,   // nsmid
    clock, // read by an instruction of its own
};

struct ParameterPlace
{
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};

struct Kernel
{
    std::string name; // mangled
    std::vector<Instruction> code;
    std::vector<Origin> origin;
    // The first instruction at or after this one that is no plain step: guarded, branching or waiting.
    std::vector<std::uint32_t> straight_end;
    std::vector<std::string> mnemonics;
    std::vector<std::array<std::uint32_t, 4>> vectors;
    std::vector<std::vector<std::uint32_t>> branch_tables;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> constants; // register, value
    std::vector<std::pair<std::uint32_t, Special>> specials;
    std::vector<ParameterPlace> parameters;
    std::uint64_t parameter_bytes = 0;
    std::uint64_t static_shared_bytes = 0;
    std::uint64_t local_bytes = 0; // of one thread
    std::uint32_t registers = 0;
    std::uint32_t registers_alive = 0; // the most at once, constants not counted
    std::uint32_t predicates = 0;
    std::uint32_t max_threads = 0; // 0: no bound given
};

} // namespace emulator
