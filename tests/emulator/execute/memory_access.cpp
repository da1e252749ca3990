// Loads, stores and atomics. A warp's access is checked as a whole where all its lanes stay within one allocation, lane by lane where
// they do not.

#include "execute/elementwise.hpp"
#include "execute/operations.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace emulator
{

namespace
{

using ptx::Space;
using ptx::Type;

// Where the lanes of a warp want to read or write, `size` bytes each.
struct Request
{
    alignas(64) std::array<std::uint64_t, warp_size> address;
    LaneMask lanes;
    std::uint64_t size;
    std::uint64_t lowest;
    std::uint64_t highest;

    bool uniform() const { return lowest == highest; }
};

Request request_of(Warp const& warp, Instruction const& i, LaneMask lanes, std::uint64_t size)
{
    Request request;
    request.lanes = lanes;
    request.size = size;
    std::uint64_t const* const base = warp.registers + i.source[0];
    // Lanes that take no part repeat the first one that does, so that loops can run over all.
    std::uint64_t const first = base[std::countr_zero(lanes)];
    std::uint64_t lowest = ~std::uint64_t{0};
    std::uint64_t highest = 0;
    std::uint64_t bits = 0;
    auto const offset = static_cast<std::uint64_t>(i.offset);
    for (unsigned lane = 0; lane < warp_size; ++lane)
    {
        std::uint64_t const address = (lanes == all_lanes || has_lane(lanes, lane) ? base[lane] : first) + offset;
        request.address[lane] = address;
        lowest = std::min(lowest, address);
        highest = std::max(highest, address);
        bits |= address;
    }
    request.lowest = lowest;
    request.highest = highest;
    if ((bits & (size - 1)) != 0)
    {
        for_each_lane(lanes, [&](unsigned lane) {
            if (request.address[lane] % size != 0)
            {
                std::ostringstream text;
                text << "misaligned access of " << size << " bytes at 0x" << std::hex << request.address[lane];
                fail(warp, i, lane, FaultKind::misaligned, text.str());
            }
        });
    }
    return request;
}

[[noreturn]] void out_of_bounds(Warp const& warp, Instruction const& i, unsigned lane, std::uint64_t size, bool write,
                                std::string const& where)
{
    fail(warp, i, lane, FaultKind::out_of_bounds,
         std::string("out of bounds: ") + (write ? "write" : "read") + " of " + std::to_string(size) + " bytes at " + where);
}

// --- single lanes -----------------------------------------------------------------------------------------------------------------

void check_race(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t offset, std::uint64_t size, Access access)
{
    if (auto const conflict = warp.block->races.access(offset, size, warp.index, access))
    {
        fail(warp, i, lane, FaultKind::race,
             "race on shared memory at offset " + std::to_string(offset) + ": "
                 + (conflict->several ? std::string("several warps ") : "warp " + std::to_string(conflict->warp) + " ")
                 + (conflict->other == Access::read    ? "read"
                    : conflict->other == Access::write ? "wrote"
                                                       : "updated")
                 + " it since the last barrier");
    }
}

bool races_matter(Warp const& warp, Instruction const& i)
{
    return !i.unordered && warp.block->launch->how.check_races;
}

std::byte* shared_memory(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t offset, std::uint64_t size, Access access)
{
    Block& block = *warp.block;
    if (offset > block.shared.size() || size > block.shared.size() - offset)
    {
        out_of_bounds(warp, i, lane, size, access != Access::read,
                      "offset " + std::to_string(offset) + " of " + std::to_string(block.shared.size())
                          + " bytes of shared memory");
    }
    if (races_matter(warp, i))
    {
        check_race(warp, i, lane, offset, size, access);
    }
    return block.shared.data() + offset;
}

std::byte* local_memory(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t offset, std::uint64_t size, Access access)
{
    std::uint64_t const bytes = warp.block->launch->kernel.local_bytes;
    if (offset > bytes || size > bytes - offset)
    {
        out_of_bounds(warp, i, lane, size, access != Access::read,
                      "offset " + std::to_string(static_cast<std::int64_t>(offset)) + " of " + std::to_string(bytes)
                          + " bytes of local memory");
    }
    return warp.block->local_of(warp.thread(lane)) + offset;
}

std::byte* parameter_memory(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t address, std::uint64_t size,
                            Access access)
{
    Launch const& launch = *warp.block->launch;
    std::uint64_t const offset = address - window::parameter;
    if (offset > launch.kernel.parameter_bytes || size > launch.kernel.parameter_bytes - offset || access != Access::read)
    {
        out_of_bounds(warp, i, lane, size, access != Access::read,
                      "offset " + std::to_string(static_cast<std::int64_t>(offset)) + " of the kernel's parameters");
    }
    return const_cast<std::byte*>(launch.parameters.data()) + offset;
}

// The allocation that this instruction found last time is nearly always the right one.
Allocation const* allocation_of(Warp& warp, Instruction const& i, std::uint64_t address)
{
    Launch const& launch = *warp.block->launch;
    std::uint32_t& recent = warp.block->recent_allocation[static_cast<std::size_t>(&i - launch.kernel.code.data())];
    if (recent < launch.allocations.size() && launch.allocations[recent].contains(address, 1))
    {
        return &launch.allocations[recent];
    }
    Allocation const* const found = find_allocation(launch.allocations, address);
    if (found != nullptr)
    {
        recent = static_cast<std::uint32_t>(found - launch.allocations.data());
    }
    return found;
}

std::byte* global_memory(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t address, std::uint64_t size, Access access)
{
    Allocation const* const allocation = allocation_of(warp, i, address);
    if (allocation == nullptr || !allocation->contains(address, size))
    {
        Launch const& launch = *warp.block->launch;
        out_of_bounds(warp, i, lane, size, access != Access::read, launch.memory->explain(address));
    }
    return allocation->at(address);
}

std::byte* generic_memory(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t address, std::uint64_t size, Access access)
{
    switch (window::of(address))
    {
    case window::shared:
        return shared_memory(warp, i, lane, address - window::shared, size, access);
    case window::parameter:
        return parameter_memory(warp, i, lane, address, size, access);
    case window::local:
    {
        std::uint64_t const within = address - window::local;
        std::uint64_t const owner = within >> window::thread_shift;
        if (owner != warp.thread(lane))
        {
            out_of_bounds(warp, i, lane, size, access != Access::read, "local memory of another thread, " + std::to_string(owner));
        }
        return local_memory(warp, i, lane, within & 0xffffffffU, size, access);
    }
    default:
        return global_memory(warp, i, lane, address, size, access);
    }
}

std::byte* memory_of_lane(Warp& warp, Instruction const& i, unsigned lane, std::uint64_t address, std::uint64_t size, Access access)
{
    switch (i.space)
    {
    case Space::shared:
        return shared_memory(warp, i, lane, address, size, access);
    case Space::local:
        return local_memory(warp, i, lane, address, size, access);
    case Space::parameter:
        return parameter_memory(warp, i, lane, address, size, access);
    case Space::generic:
        return generic_memory(warp, i, lane, address, size, access);
    default:
        return global_memory(warp, i, lane, address, size, access);
    }
}

// --- whole warps ------------------------------------------------------------------------------------------------------------------

bool within(std::uint64_t bytes, std::uint64_t lowest, std::uint64_t highest, std::uint64_t size)
{
    return highest < bytes && size <= bytes - highest && lowest <= highest;
}

// Where address 0 would be, if every lane's address lies in one stretch of memory; what is found is checked. Lanes of local memory
// are `stride` apart.
struct Stretch
{
    std::uint64_t zero = 0; // an integer: it need not lie in any object
    std::uint64_t stride = 0;
    bool found = false;

    std::byte* at(unsigned lane, std::uint64_t address) const
    {
        return reinterpret_cast<std::byte*>(zero + stride * lane + address);
    }
};

std::uint64_t number_of(std::byte const* place)
{
    return reinterpret_cast<std::uint64_t>(place);
}

Stretch shared_stretch(Warp& warp, Instruction const& i, Request const& request, std::uint64_t base, Access access)
{
    Block& block = *warp.block;
    if (request.lowest < base || !within(block.shared.size(), request.lowest - base, request.highest - base, request.size))
    {
        return {};
    }
    if (races_matter(warp, i))
    {
        if (request.uniform())
        {
            check_race(warp, i, static_cast<unsigned>(std::countr_zero(request.lanes)), request.lowest - base, request.size,
                       access);
        }
        else
        {
            for_each_lane(request.lanes,
                          [&](unsigned lane) { check_race(warp, i, lane, request.address[lane] - base, request.size, access); });
        }
    }
    return {number_of(block.shared.data()) - base, 0, true};
}

Stretch global_stretch(Warp& warp, Instruction const& i, Request const& request)
{
    Allocation const* const allocation = allocation_of(warp, i, request.lowest);
    if (allocation == nullptr || !allocation->contains(request.highest, request.size))
    {
        return {};
    }
    return {number_of(allocation->backing) - allocation->begin, 0, true};
}

Stretch stretch_of(Warp& warp, Instruction const& i, Request const& request, Access access)
{
    Launch const& launch = *warp.block->launch;
    switch (i.space)
    {
    case Space::shared:
        return shared_stretch(warp, i, request, 0, access);
    case Space::local:
        return within(launch.kernel.local_bytes, request.lowest, request.highest, request.size)
                   ? Stretch{number_of(warp.block->local_of(warp.thread(0))), launch.kernel.local_bytes, true}
                   : Stretch{};
    case Space::parameter:
        return {};
    case Space::generic:
        if (window::of(request.lowest) != window::of(request.highest))
        {
            return {};
        }
        if (window::of(request.lowest) == window::shared)
        {
            return shared_stretch(warp, i, request, window::shared, access);
        }
        return window::of(request.lowest) == window::local || window::of(request.lowest) == window::parameter
                   ? Stretch{}
                   : global_stretch(warp, i, request);
    default:
        return global_stretch(warp, i, request);
    }
}

// --- traffic ----------------------------------------------------------------------------------------------------------------------

constexpr std::uint64_t sector_bytes = 32;
constexpr std::uint64_t bank_bytes = 4;
constexpr std::uint64_t banks = 32;

std::uint64_t sectors_of(Request const& request)
{
    std::uint64_t const first = request.lowest / sector_bytes;
    std::uint64_t const last = (request.highest + request.size - 1) / sector_bytes;
    if (last - first < 64)
    {
        std::uint64_t touched = 0;
        for (unsigned lane = 0; lane < warp_size; ++lane)
        {
            touched |= std::uint64_t{1} << (request.address[lane] / sector_bytes - first);
        }
        return static_cast<std::uint64_t>(std::popcount(touched)); // aligned accesses of up to 32 bytes stay in a sector
    }
    std::array<std::uint64_t, warp_size> sectors{};
    std::transform(request.address.begin(), request.address.end(), sectors.begin(),
                   [](std::uint64_t a) { return a / sector_bytes; });
    std::sort(sectors.begin(), sectors.end());
    return static_cast<std::uint64_t>(std::unique(sectors.begin(), sectors.end()) - sectors.begin());
}

// Extra cycles: how many different words the busiest bank has to serve, less one. Accesses of 8 and 16 bytes go by half and quarter
// warps.
std::uint64_t bank_conflicts_of(Request const& request)
{
    unsigned const lanes_at_once = request.size <= 4 ? warp_size : request.size == 8 ? warp_size / 2 : warp_size / 4;
    std::uint64_t extra = 0;
    for (unsigned begin = 0; begin < warp_size; begin += lanes_at_once)
    {
        auto const* const first = request.address.data() + begin;
        auto const [low, high] = std::minmax_element(first, first + lanes_at_once);
        if (*high - *low + request.size <= bank_bytes * banks)
        {
            continue; // words within one row of banks
        }
        std::array<std::uint64_t, warp_size * 4> words{};
        std::size_t count = 0;
        for (unsigned k = 0; k < lanes_at_once; ++k)
        {
            for (std::uint64_t byte = 0; byte < std::max(request.size, bank_bytes); byte += bank_bytes)
            {
                words[count++] = (first[k] + byte) / bank_bytes;
            }
        }
        auto* const end = words.data() + count;
        std::sort(words.data(), end);
        std::array<std::uint64_t, banks> load{};
        std::for_each(words.data(), std::unique(words.data(), end), [&](std::uint64_t word) { ++load[word % banks]; });
        extra += *std::max_element(load.begin(), load.end()) - 1;
    }
    return extra;
}

void count_traffic(Warp& warp, Instruction const& i, Request const& request)
{
    Counters& counters = *warp.block->counters;
    auto const at = static_cast<std::size_t>(&i - warp.block->launch->kernel.code.data());
    bool const generic_to_shared = i.space == Space::generic && window::of(request.lowest) == window::shared;
    if (i.space == Space::shared || generic_to_shared)
    {
        counters.bank_conflicts[at] += request.uniform() ? 0 : bank_conflicts_of(request);
    }
    else if (i.space == Space::global || (i.space == Space::generic && window::of(request.lowest) != window::local))
    {
        counters.sectors[at] += request.uniform() ? 1 : sectors_of(request);
        auto const bytes = static_cast<std::uint64_t>(std::popcount(request.lanes)) * request.size;
        counters.ideal_sectors[at] += request.uniform() ? 1 : (bytes + sector_bytes - 1) / sector_bytes;
    }
}

// --- loads and stores -------------------------------------------------------------------------------------------------------------

// Calls use(lane, pointer) for each lane, in the order in which effects on the same place count.
template<class Use>
void for_each_place(Warp& warp, Instruction const& i, Request const& request, Access access, Use&& use)
{
    Stretch const stretch = stretch_of(warp, i, request, access);
    if (access == Access::read && stretch.found)
    {
        for_each_lane(request.lanes, [&](unsigned lane) { use(lane, stretch.at(lane, request.address[lane])); });
        return;
    }
    for_each_lane_in_order(*warp.block->launch, request.lanes, [&](unsigned lane) {
        use(lane, stretch.found ? stretch.at(lane, request.address[lane])
                                : memory_of_lane(warp, i, lane, request.address[lane], request.size, access));
    });
}

template<class Element>
std::uint64_t read_element(std::byte const* place)
{
    Element value;
    std::memcpy(&value, place, sizeof(Element));
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
}

// Reads elements[k] of every lane into its register, extended and cut to the register's width.
template<class Element>
void load_elements(Warp& warp, Instruction const& i, LaneMask lanes)
{
    Request const request = request_of(warp, i, lanes, sizeof(Element) * i.count);
    count_traffic(warp, i, request);
    std::array<std::uint32_t, 4> registers{i.destination, none, none, none};
    if (i.count > 1)
    {
        registers = warp.block->launch->kernel.vectors[i.auxiliary];
    }
    std::uint64_t const mask = register_mask(i);
    if (request.uniform() && i.space != Space::local && !(i.space == Space::generic && window::of(request.lowest) == window::local))
    {
        auto const first = static_cast<unsigned>(std::countr_zero(lanes));
        std::byte const* const place = memory_of_lane(warp, i, first, request.lowest, request.size, Access::read);
        for (unsigned k = 0; k < i.count; ++k)
        {
            if (registers[k] == none)
            {
                continue;
            }
            std::uint64_t const value = read_element<Element>(place + k * sizeof(Element)) & mask;
            auto const same = [value](unsigned) { return value; };
            if (lanes == all_lanes)
            {
                write_all(warp.registers + registers[k], same);
            }
            else
            {
                write_enabled(warp, warp.registers + registers[k], same);
            }
        }
        return;
    }
    for_each_place(warp, i, request, Access::read, [&](unsigned lane, std::byte const* place) {
        for (unsigned k = 0; k < i.count; ++k)
        {
            if (registers[k] != none)
            {
                warp.registers[registers[k] + lane] = read_element<Element>(place + k * sizeof(Element)) & mask;
            }
        }
    });
}

template<class Element>
void store_elements(Warp& warp, Instruction const& i, LaneMask lanes)
{
    Request const request = request_of(warp, i, lanes, sizeof(Element) * i.count);
    count_traffic(warp, i, request);
    std::array<std::uint32_t, 4> registers{i.source[1], none, none, none};
    if (i.count > 1)
    {
        registers = warp.block->launch->kernel.vectors[i.auxiliary];
    }
    for_each_place(warp, i, request, Access::write, [&](unsigned lane, std::byte* place) {
        for (unsigned k = 0; k < i.count; ++k)
        {
            auto const value = static_cast<Element>(warp.registers[registers[k] + lane]);
            std::memcpy(place + k * sizeof(Element), &value, sizeof(Element));
        }
    });
}

void load(Warp& warp, Instruction const& i, LaneMask lanes)
{
    switch (size_of(i.type))
    {
    case 1:
        return (is_signed(i.type) ? load_elements<std::int8_t> : load_elements<std::uint8_t>)(warp, i, lanes);
    case 2:
        return (is_signed(i.type) ? load_elements<std::int16_t> : load_elements<std::uint16_t>)(warp, i, lanes);
    case 4:
        return (is_signed(i.type) ? load_elements<std::int32_t> : load_elements<std::uint32_t>)(warp, i, lanes);
    default:
        return load_elements<std::uint64_t>(warp, i, lanes);
    }
}

void store(Warp& warp, Instruction const& i, LaneMask lanes)
{
    switch (size_of(i.type))
    {
    case 1:
        return store_elements<std::uint8_t>(warp, i, lanes);
    case 2:
        return store_elements<std::uint16_t>(warp, i, lanes);
    case 4:
        return store_elements<std::uint32_t>(warp, i, lanes);
    default:
        return store_elements<std::uint64_t>(warp, i, lanes);
    }
}

// --- atomics ----------------------------------------------------------------------------------------------------------------------

template<class T>
T updated(AtomicOperation operation, T old, T value, T other)
{
    using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;
    switch (operation)
    {
    case AtomicOperation::add:
        return static_cast<T>(static_cast<Sum>(old) + static_cast<Sum>(value));
    case AtomicOperation::min:
        return value < old ? value : old;
    case AtomicOperation::max:
        return old < value ? value : old;
    case AtomicOperation::exchange:
        return value;
    case AtomicOperation::compare_and_swap:
        return to_slot<T>(old) == to_slot<T>(value) ? other : old;
    case AtomicOperation::increment:
        return old >= value ? T{0} : static_cast<T>(old + T{1});
    case AtomicOperation::decrement:
        return old == T{0} || old > value ? value : static_cast<T>(old - T{1});
    default:
        break;
    }
    if constexpr (std::is_integral_v<T>)
    {
        return operation == AtomicOperation::bit_and  ? static_cast<T>(old & value)
               : operation == AtomicOperation::bit_or ? static_cast<T>(old | value)
                                                      : static_cast<T>(old ^ value);
    }
    return old;
}

template<class T>
void atomic_update(Warp& warp, Instruction const& i, LaneMask lanes)
{
    Request const request = request_of(warp, i, lanes, sizeof(T));
    for_each_place(warp, i, request, Access::atomic, [&](unsigned lane, std::byte* place) {
        T const value = from_slot<T>(lanes_of(warp, i.source[1])[lane]);
        T const other = from_slot<T>(lanes_of(warp, i.source[2])[lane]);
        // Blocks may run on several host threads.
        std::atomic_ref<T> target(*reinterpret_cast<T*>(place));
        T old = target.load();
        while (!target.compare_exchange_weak(old, updated(static_cast<AtomicOperation>(i.operation), old, value, other)))
        {
        }
        if (i.destination != none)
        {
            warp.registers[i.destination + lane] = to_slot<T>(old);
        }
    });
}

// --- addresses --------------------------------------------------------------------------------------------------------------------

std::uint64_t window_of(Warp const& warp, Instruction const& i, unsigned lane)
{
    switch (i.space)
    {
    case Space::shared:
        return window::shared;
    case Space::local:
        return window::local + (std::uint64_t{warp.thread(lane)} << window::thread_shift);
    default:
        return 0; // global and constant addresses are generic ones; those of parameters carry their window already
    }
}

void is_space(Warp& warp, Instruction const& i, LaneMask lanes)
{
    LaneMask result = 0;
    for_each_lane(lanes, [&](unsigned lane) {
        std::uint64_t const belongs = window::of(warp.registers[i.source[0] + lane]);
        bool const other = belongs == window::shared || belongs == window::local || belongs == window::parameter;
        bool const yes = i.space == Space::shared      ? belongs == window::shared
                         : i.space == Space::local     ? belongs == window::local
                         : i.space == Space::parameter ? belongs == window::parameter
                                                       : !other;
        result |= yes ? LaneMask{1} << lane : 0U;
    });
    set_predicate(warp, i.predicate, lanes, result);
}

} // namespace

namespace handlers
{

Handlers const load = same(emulator::load);
Handlers const store = same(emulator::store);
Handlers const is_space = same(emulator::is_space);
Handlers const to_generic = per_lane<[](Warp const& warp, Instruction const& i) {
    return [&warp, &i, a = lanes_of(warp, i.source[0])](unsigned lane) { return a[lane] + window_of(warp, i, lane); };
}>();
Handlers const from_generic = per_lane<[](Warp const& warp, Instruction const& i) {
    return [&warp, &i, a = lanes_of(warp, i.source[0])](unsigned lane) { return a[lane] - window_of(warp, i, lane); };
}>();

Handlers atomic(Type type)
{
    switch (type)
    {
    case Type::f64:
        return same(atomic_update<double>);
    case Type::f32:
        return same(atomic_update<float>);
    case Type::s64:
        return same(atomic_update<std::int64_t>);
    case Type::u64:
    case Type::b64:
        return same(atomic_update<std::uint64_t>);
    case Type::s32:
        return same(atomic_update<std::int32_t>);
    case Type::u32:
    case Type::b32:
        return same(atomic_update<std::uint32_t>);
    default:
        return {};
    }
}

} // namespace handlers

} // namespace emulator
