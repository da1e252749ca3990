#include "execute/interpreter.hpp"

#include "execute/launch.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <sstream>

namespace emulator
{

namespace
{

// Lanes that have run this long by themselves may be waiting for others of their warp: those get a turn.
constexpr std::uint64_t turn_of_group = 1 << 14;
constexpr int unwritten_shared = 0xEB;

// The lanes of a warp that stand at one instruction. The group that is furthest behind runs first, so that lanes which took different
// ways meet again as early as they can.
struct Group
{
    std::uint32_t pc = none;
    LaneMask lanes = 0;
    std::uint32_t next_pc = none; // of the lanes ahead
};

Group choose_group(Warp& warp, LaneMask ready)
{
    Group group;
    for_each_lane(ready, [&](unsigned lane) { group.pc = std::min(group.pc, warp.pc[lane]); });
    if (warp.favoured != none)
    {
        LaneMask const from_favoured = ready & (all_lanes << warp.favoured);
        group.pc = warp.pc[static_cast<unsigned>(std::countr_zero(from_favoured != 0 ? from_favoured : ready))];
        warp.favoured = none;
    }
    for_each_lane(ready, [&](unsigned lane) {
        if (warp.pc[lane] == group.pc)
        {
            group.lanes |= LaneMask{1} << lane;
        }
        else if (warp.pc[lane] > group.pc)
        {
            group.next_pc = std::min(group.next_pc, warp.pc[lane]);
        }
    });
    return group;
}

void enable(Warp& warp, LaneMask lanes)
{
    for (unsigned lane = 0; lane < warp_size; ++lane)
    {
        warp.enabled[lane] = 0 - std::uint64_t{lanes >> lane & 1U};
    }
}

void set_pc(Warp& warp, LaneMask lanes, std::uint32_t pc)
{
    for_each_lane(lanes, [&](unsigned lane) { warp.pc[lane] = pc; });
}

LaneMask guarded(Warp const& warp, Instruction const& i, LaneMask lanes)
{
    if (i.guard == none)
    {
        return lanes;
    }
    LaneMask const p = warp.predicates[i.guard];
    return lanes & (i.guard_negated ? ~p : p);
}

void execute(Warp& warp, Instruction const& i, LaneMask lanes)
{
    if (lanes == all_lanes)
    {
        i.run.all(warp, i, lanes);
        return;
    }
    enable(warp, lanes);
    i.run.some(warp, i, lanes);
}

// Waits until every live lane of the member mask is here. Returns the lanes that carry the operation out now, 0 to wait.
LaneMask arrive_warp_wide(Warp& warp, Instruction const& i, LaneMask lanes, std::uint32_t pc)
{
    LaneMask members = 0;
    for_each_lane(lanes, [&](unsigned lane) {
        auto const mask = static_cast<LaneMask>(warp.registers[i.source[3] + lane]);
        if (!has_lane(mask, lane))
        {
            fail(warp, i, lane, FaultKind::warp_operation, "a lane is not in the member mask that it gives");
        }
        members |= mask;
    });
    LaneMask here = lanes;
    for_each_lane(warp.at_warp_barrier & warp.live, [&](unsigned lane) { here |= warp.pc[lane] == pc ? LaneMask{1} << lane : 0U; });
    return (members & warp.live & ~here) != 0 ? 0 : here;
}

std::uint32_t branch_target(Warp const& warp, Instruction const& i, unsigned lane)
{
    auto const& table = warp.block->launch->kernel.branch_tables[i.auxiliary];
    std::uint64_t const index = warp.registers[i.source[0] + lane];
    if (index >= table.size())
    {
        fail(warp, i, lane, FaultKind::out_of_bounds,
             "branch number " + std::to_string(index) + " of " + std::to_string(table.size()));
    }
    return table[index];
}

// Runs the plain steps [begin, end).
void run_straight(Warp& warp, Instruction const* code, std::uint32_t begin, std::uint32_t end, LaneMask lanes)
{
    if (lanes == all_lanes)
    {
        for (std::uint32_t pc = begin; pc < end; ++pc)
        {
            code[pc].run.all(warp, code[pc], lanes);
        }
        return;
    }
    enable(warp, lanes);
    for (std::uint32_t pc = begin; pc < end; ++pc)
    {
        code[pc].run.some(warp, code[pc], lanes);
    }
}

// Runs one group until it splits, waits, ends, reaches lanes ahead of it, or has had its turn.
void run_group(Warp& warp, Group group, std::uint64_t until)
{
    Kernel const& kernel = warp.block->launch->kernel;
    Instruction const* const code = kernel.code.data();
    Counters& counters = *warp.block->counters;
    std::uint32_t pc = group.pc;
    LaneMask lanes = group.lanes;
    bool const alone = lanes == (warp.live & ~warp.at_barrier & ~warp.at_warp_barrier);
    std::uint64_t const enough = alone ? until : std::min(until, warp.block->steps + turn_of_group);
    for (;;)
    {
        std::uint32_t const straight_end = std::min(kernel.straight_end[pc], group.next_pc);
        if (pc < straight_end)
        {
            counters.run(pc, straight_end, lanes);
            warp.block->steps += straight_end - pc;
            run_straight(warp, code, pc, straight_end, lanes);
            pc = straight_end;
        }
        if (pc >= group.next_pc || warp.block->steps > enough)
        {
            if (pc < group.next_pc && !alone)
            {
                warp.favoured = warp.next_favoured++ % warp_size;
            }
            set_pc(warp, lanes, pc);
            return;
        }
        Instruction const& i = code[pc];
        LaneMask const active = guarded(warp, i, lanes);
        counters.run(pc, pc + 1, lanes);
        counters.guarded_off[pc] += std::popcount(lanes) - std::popcount(active);
        ++warp.block->steps;
        switch (i.flow)
        {
        case Flow::straight:
            if (active != 0)
            {
                execute(warp, i, active);
            }
            ++pc;
            break;
        case Flow::branch:
            if (active == lanes)
            {
                pc = i.auxiliary;
            }
            else if (active == 0)
            {
                ++pc;
            }
            else
            {
                set_pc(warp, active, i.auxiliary);
                set_pc(warp, lanes & ~active, pc + 1);
                return;
            }
            // Backwards or far ahead: the lanes ahead may now be behind.
            if (!alone && pc >= group.next_pc)
            {
                set_pc(warp, lanes, pc);
                return;
            }
            break;
        case Flow::indexed_branch:
            set_pc(warp, lanes & ~active, pc + 1);
            for_each_lane(active, [&](unsigned lane) { warp.pc[lane] = branch_target(warp, i, lane); });
            return;
        case Flow::exit:
            warp.live &= ~active;
            lanes &= ~active;
            if (lanes == 0)
            {
                return;
            }
            ++pc;
            break;
        case Flow::block_barrier:
            if (active == 0)
            {
                ++pc;
                break;
            }
            if (active != lanes)
            {
                fail(warp, i, static_cast<unsigned>(std::countr_zero(active)), FaultKind::barrier,
                     "barrier under a condition that differs within the warp");
            }
            warp.at_barrier |= lanes;
            set_pc(warp, lanes, pc + 1);
            return;
        case Flow::warp_wide:
        {
            if (active == 0)
            {
                ++pc;
                break;
            }
            LaneMask const here = arrive_warp_wide(warp, i, active, pc);
            set_pc(warp, lanes & ~active, pc + 1);
            if (here == 0)
            {
                warp.at_warp_barrier |= active;
                set_pc(warp, active, pc);
                return;
            }
            execute(warp, i, here);
            warp.at_warp_barrier &= ~here;
            set_pc(warp, here, pc + 1);
            if (here != lanes)
            {
                return;
            }
            ++pc;
            break;
        }
        }
    }
}

// Runs a warp until all its lanes have ended or wait, or the block has done enough.
void run_warp(Warp& warp, std::uint64_t until)
{
    while (warp.block->steps < until)
    {
        LaneMask const ready = warp.live & ~warp.at_barrier & ~warp.at_warp_barrier;
        if (ready == 0)
        {
            return;
        }
        Group const group = choose_group(warp, ready);
        warp.block->counters->divergent_steps += group.lanes == ready ? 0 : 1;
        run_group(warp, group, until);
    }
}

} // namespace

[[noreturn]] void fail(Warp const& warp, Instruction const& instruction, unsigned lane, FaultKind kind, std::string const& message)
{
    Kernel const& kernel = warp.block->launch->kernel;
    Origin const& origin = kernel.origin[static_cast<std::size_t>(&instruction - kernel.code.data())];
    Fault fault;
    fault.kind = kind;
    fault.kernel = demangled(kernel.name);
    fault.line = origin.line;
    std::ostringstream text;
    Extent const& id = warp.block->id;
    text << message << "; in " << fault.kernel << ", PTX line " << origin.line << " (" << kernel.mnemonics[origin.mnemonic]
         << "), block (" << id.x << ", " << id.y << ", " << id.z << "), thread " << warp.thread(lane);
    fault.text = text.str();
    throw KernelFault(std::move(fault));
}

BlockRunner::BlockRunner(Launch const& launch, Counters& counters) : launch_(launch)
{
    Kernel const& kernel = launch.kernel;
    std::uint32_t const warps = (launch.threads() + warp_size - 1) / warp_size;
    block_.launch = &launch;
    block_.counters = &counters;
    block_.shared.resize(kernel.static_shared_bytes + launch.dynamic_shared_bytes);
    block_.local.resize(kernel.local_bytes * warps * warp_size);
    block_.races.resize(launch.how.check_races ? block_.shared.size() : 0);
    // Aligned for vector loads.
    std::uint64_t const padding = 8;
    block_.registers.resize(std::uint64_t{kernel.registers} * warp_size * warps + padding);
    block_.predicates.resize(std::uint64_t{kernel.predicates} * warps);
    block_.recent_allocation.resize(kernel.code.size());
    block_.warps.resize(warps);
    auto const misaligned = reinterpret_cast<std::uint64_t>(block_.registers.data()) / sizeof(std::uint64_t) % padding;
    std::uint64_t* const registers = block_.registers.data() + (padding - misaligned) % padding;
    for (std::uint32_t w = 0; w < warps; ++w)
    {
        Warp& warp = block_.warps[w];
        warp.index = w;
        warp.registers = registers + std::uint64_t{w} * kernel.registers * warp_size;
        warp.predicates = block_.predicates.data() + std::uint64_t{w} * kernel.predicates;
        for (auto const& [place, value] : kernel.constants)
        {
            std::fill_n(warp.registers + place, warp_size, value);
        }
    }
    warp_order_.resize(warps);
}

void BlockRunner::begin(std::uint64_t number)
{
    Extent const& grid = launch_.grid;
    block_.id = {static_cast<std::uint32_t>(number % grid.x), static_cast<std::uint32_t>(number / grid.x % grid.y),
                 static_cast<std::uint32_t>(number / grid.x / grid.y)};
    block_.steps = 0;
    block_.races.next_phase();
    std::fill(block_.shared.begin(), block_.shared.end(), std::byte{unwritten_shared});
    for (Warp& warp : block_.warps)
    {
        warp.block = &block_;
        std::uint32_t const threads = launch_.threads() - warp.index * warp_size;
        warp.live = threads >= warp_size ? all_lanes : (LaneMask{1} << threads) - 1;
        warp.at_barrier = 0;
        warp.at_warp_barrier = 0;
        warp.favoured = none;
        warp.pc.fill(0);
    }
    set_specials();
    std::iota(warp_order_.begin(), warp_order_.end(), 0U);
    if (launch_.how.order == Order::reversed)
    {
        std::reverse(warp_order_.begin(), warp_order_.end());
    }
    else if (launch_.how.order == Order::shuffled)
    {
        std::shuffle(warp_order_.begin(), warp_order_.end(), std::mt19937_64(launch_.how.seed + number));
    }
}

void BlockRunner::set_specials()
{
    Extent const& size = launch_.block;
    Extent const& grid = launch_.grid;
    auto const value = [&](Special special, std::uint32_t lane, std::uint32_t thread) -> std::uint64_t {
        std::uint64_t const bit = std::uint64_t{1} << lane;
        switch (special)
        {
        case Special::tid_x:
            return thread % size.x;
        case Special::tid_y:
            return thread / size.x % size.y;
        case Special::tid_z:
            return thread / size.x / size.y;
        case Special::ntid_x:
            return size.x;
        case Special::ntid_y:
            return size.y;
        case Special::ntid_z:
            return size.z;
        case Special::ctaid_x:
            return block_.id.x;
        case Special::ctaid_y:
            return block_.id.y;
        case Special::ctaid_z:
            return block_.id.z;
        case Special::nctaid_x:
            return grid.x;
        case Special::nctaid_y:
            return grid.y;
        case Special::nctaid_z:
            return grid.z;
        case Special::laneid:
            return lane;
        case Special::warpid:
            return thread / warp_size;
        case Special::lanemask_lt:
            return bit - 1;
        case Special::lanemask_le:
            return 2 * bit - 1;
        case Special::lanemask_gt:
            return all_lanes & ~(2 * bit - 1);
        case Special::lanemask_ge:
            return all_lanes & ~(bit - 1);
        case Special::lanemask_eq:
            return bit;
        case Special::nwarpid:
            return block_.warps.size();
        case Special::dynamic_smem_size:
            return launch_.dynamic_shared_bytes;
        case Special::total_smem_size:
            return block_.shared.size();
        case Special::one:
            return 1;
        default:
            return 0;
        }
    };
    for (Warp& warp : block_.warps)
    {
        for (auto const& [place, special] : launch_.kernel.specials)
        {
            for (std::uint32_t lane = 0; lane < warp_size; ++lane)
            {
                warp.registers[place + lane] = value(special, lane, warp.thread(lane));
            }
        }
    }
}

bool BlockRunner::alive() const
{
    return std::any_of(block_.warps.begin(), block_.warps.end(), [](Warp const& w) { return w.live != 0; });
}

bool BlockRunner::blocked() const
{
    return std::all_of(block_.warps.begin(), block_.warps.end(),
                       [](Warp const& w) { return (w.live & ~w.at_barrier & ~w.at_warp_barrier) == 0; });
}

bool BlockRunner::run(std::uint64_t steps)
{
    // Each warp gets its share before the next one starts, so that no warp that spins keeps the others from running.
    std::uint64_t const end = block_.steps + steps;
    std::uint64_t const share = std::max<std::uint64_t>(steps / block_.warps.size(), turn_of_group);
    while (block_.steps < end)
    {
        for (std::uint32_t const w : warp_order_)
        {
            run_warp(block_.warps[w], block_.steps + share);
        }
        if (!alive())
        {
            return true;
        }
        if (blocked())
        {
            fail_if_deadlocked();
            release_barrier();
        }
    }
    if (block_.steps > launch_.how.instruction_limit)
    {
        auto const running = std::find_if(block_.warps.begin(), block_.warps.end(),
                                          [](Warp const& w) { return (w.live & ~w.at_barrier & ~w.at_warp_barrier) != 0; });
        Warp const& warp = running == block_.warps.end() ? block_.warps.front() : *running;
        auto const lane = static_cast<unsigned>(std::countr_zero(warp.live));
        fail(warp, launch_.kernel.code[warp.pc[lane]], lane, FaultKind::deadlock,
             "the block has not ended after " + std::to_string(block_.steps) + " steps");
    }
    return false;
}

void BlockRunner::fail_if_deadlocked()
{
    for (Warp const& warp : block_.warps)
    {
        if (LaneMask const waiting = warp.at_warp_barrier & warp.live; waiting != 0)
        {
            auto const lane = static_cast<unsigned>(std::countr_zero(waiting));
            fail(warp, launch_.kernel.code[warp.pc[lane]], lane, FaultKind::deadlock,
                 "deadlock: lanes of the member mask never arrive");
        }
    }
}

// Every live thread waits at a barrier: checks that it is the same one for all threads of the block, combines what bar.red gathers,
// and lets them go.
void BlockRunner::release_barrier()
{
    std::vector<Instruction> const& code = launch_.kernel.code;
    std::uint32_t const threads = launch_.threads();
    std::uint32_t where = none;
    std::uint32_t arrived = 0;
    std::uint32_t yes = 0;
    for (Warp const& warp : block_.warps)
    {
        for_each_lane(warp.at_barrier & warp.live, [&](unsigned lane) {
            std::uint32_t const at = warp.pc[lane] - 1;
            Instruction const& i = code[at];
            where = where == none ? at : where;
            if (at != where)
            {
                fail(warp, i, lane, FaultKind::barrier, "threads of one block wait at different barriers");
            }
            std::uint64_t const part = i.source[1] == none ? threads : warp.registers[i.source[1] + lane];
            if (part != (threads + warp_size - 1) / warp_size * warp_size && part != threads)
            {
                fail(warp, i, lane, FaultKind::unsupported, "a barrier for a part of the block is not supported");
            }
            ++arrived;
            yes += i.variant != 0 && has_lane(source_predicate(warp, i), lane) ? 1U : 0U;
        });
    }
    for (Warp& warp : block_.warps)
    {
        if (warp.at_barrier == 0)
        {
            continue;
        }
        Instruction const& i = code[where];
        auto const lane = static_cast<unsigned>(std::countr_zero(warp.at_barrier));
        if (arrived != threads)
        {
            fail(warp, i, lane, FaultKind::barrier,
                 "barrier reached by " + std::to_string(arrived) + " of " + std::to_string(threads)
                     + " threads, the others have ended");
        }
        if (i.variant == 3)
        {
            for_each_lane(warp.at_barrier, [&](unsigned l) { warp.registers[i.destination + l] = yes; });
        }
        else if (i.variant != 0)
        {
            set_predicate(warp, i.predicate, warp.at_barrier, (i.variant == 1 ? yes == arrived : yes != 0) ? all_lanes : 0);
        }
        warp.at_barrier = 0;
    }
    block_.races.next_phase();
}

} // namespace emulator
