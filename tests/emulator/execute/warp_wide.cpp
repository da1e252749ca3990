// Operations between the lanes of a warp: shuffles, votes, matches, reductions. The mask holds every lane that takes part.

#include "execute/operations.hpp"
#include "execute/warp.hpp"

#include <algorithm>

namespace emulator
{

namespace
{

using ptx::Type;

enum class Shuffle : std::uint8_t
{
    up,
    down,
    butterfly,
    index
};

void shuffle(Warp& warp, Instruction const& i, LaneMask lanes)
{
    std::array<std::uint64_t, warp_size> value{};
    LaneMask in_range = 0;
    for_each_lane(lanes, [&](unsigned lane) {
        auto const by = static_cast<std::uint32_t>(warp.registers[i.source[1] + lane]) & 31U;
        auto const control = static_cast<std::uint32_t>(warp.registers[i.source[2] + lane]);
        unsigned const clamp = control & 31U;
        unsigned const segment = control >> 8 & 31U;
        unsigned const lowest = lane & segment;
        unsigned const limit = lowest | (clamp & ~segment);
        unsigned from = 0;
        bool inside = false;
        switch (static_cast<Shuffle>(i.operation))
        {
        case Shuffle::up:
            inside = lane >= by && lane - by >= limit;
            from = lane - by;
            break;
        case Shuffle::down:
            from = lane + by;
            inside = from <= limit;
            break;
        case Shuffle::butterfly:
            from = lane ^ by;
            inside = from <= limit;
            break;
        case Shuffle::index:
            from = lowest | (by & ~segment);
            inside = from <= limit;
            break;
        }
        from = inside ? from : lane;
        if (!has_lane(lanes, from))
        {
            fail(warp, i, lane, FaultKind::warp_operation, "shuffle reads lane " + std::to_string(from) + ", which takes no part");
        }
        value[lane] = static_cast<std::uint32_t>(warp.registers[i.source[0] + from]);
        in_range |= inside ? LaneMask{1} << lane : 0U;
    });
    for_each_lane(lanes, [&](unsigned lane) { warp.registers[i.destination + lane] = value[lane]; });
    set_predicate(warp, i.predicate, lanes, in_range);
}

enum class Vote : std::uint8_t
{
    all,
    any,
    uniform,
    ballot
};

void vote(Warp& warp, Instruction const& i, LaneMask lanes)
{
    LaneMask const yes = source_predicate(warp, i) & lanes;
    bool result = false;
    switch (static_cast<Vote>(i.operation))
    {
    case Vote::all:
        result = yes == lanes;
        break;
    case Vote::any:
        result = yes != 0;
        break;
    case Vote::uniform:
        result = yes == lanes || yes == 0;
        break;
    case Vote::ballot:
        for_each_lane(lanes, [&](unsigned lane) { warp.registers[i.destination + lane] = yes; });
        return;
    }
    set_predicate(warp, i.predicate, lanes, result ? all_lanes : 0);
}

// Variant: all lanes have to agree (1), or each gets those that agree with it (0).
void match(Warp& warp, Instruction const& i, LaneMask lanes)
{
    std::array<LaneMask, warp_size> equal{};
    std::uint64_t const* const value = warp.registers + i.source[0];
    LaneMask agreed = 0;
    for_each_lane(lanes, [&](unsigned lane) {
        for_each_lane(lanes, [&](unsigned other) { equal[lane] |= value[lane] == value[other] ? LaneMask{1} << other : 0U; });
        if (i.variant != 0)
        {
            equal[lane] = equal[lane] == lanes ? lanes : 0;
        }
        agreed |= equal[lane] != 0 ? LaneMask{1} << lane : 0U;
    });
    for_each_lane(lanes, [&](unsigned lane) { warp.registers[i.destination + lane] = equal[lane]; });
    set_predicate(warp, i.predicate, lanes, agreed);
}

void reduce(Warp& warp, Instruction const& i, LaneMask lanes)
{
    auto const value = [&](unsigned lane) -> std::int64_t {
        auto const bits = static_cast<std::uint32_t>(warp.registers[i.source[0] + lane]);
        return i.type == Type::s32 ? std::int64_t{static_cast<std::int32_t>(bits)} : std::int64_t{bits};
    };
    auto const first = static_cast<unsigned>(std::countr_zero(lanes));
    std::int64_t result = value(first);
    for_each_lane(lanes & ~(LaneMask{1} << first), [&](unsigned lane) {
        std::int64_t const x = value(lane);
        switch (static_cast<AtomicOperation>(i.operation))
        {
        case AtomicOperation::add:
            result += x;
            break;
        case AtomicOperation::min:
            result = std::min(result, x);
            break;
        case AtomicOperation::max:
            result = std::max(result, x);
            break;
        case AtomicOperation::bit_and:
            result &= x;
            break;
        case AtomicOperation::bit_or:
            result |= x;
            break;
        default:
            result ^= x;
            break;
        }
    });
    for_each_lane(lanes, [&](unsigned lane) { warp.registers[i.destination + lane] = static_cast<std::uint32_t>(result); });
}

void active_mask(Warp& warp, Instruction const& i, LaneMask lanes)
{
    for_each_lane(lanes, [&](unsigned lane) { warp.registers[i.destination + lane] = lanes; });
}

void nothing(Warp&, Instruction const&, LaneMask) {}

void trap(Warp& warp, Instruction const& i, LaneMask lanes)
{
    fail(warp, i, static_cast<unsigned>(std::countr_zero(lanes)), FaultKind::trap, "trap");
}

} // namespace

namespace handlers
{

Handlers const shuffle = same(emulator::shuffle);
Handlers const vote = same(emulator::vote);
Handlers const match = same(emulator::match);
Handlers const reduce = same(emulator::reduce);
Handlers const active_mask = same(emulator::active_mask);
Handlers const nothing = same(emulator::nothing);
Handlers const trap = same(emulator::trap);

} // namespace handlers

} // namespace emulator
