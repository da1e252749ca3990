#include "execute/address_space.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>

namespace emulator
{

namespace
{

constexpr std::uint64_t alignment = 512; // more than the 256 bytes that cudaMalloc promises
constexpr int unwritten = 0xCB;

std::uint64_t round_up(std::uint64_t bytes)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

} // namespace

Allocation const* find_allocation(std::vector<Allocation> const& sorted, std::uint64_t address)
{
    auto const after = std::upper_bound(sorted.begin(), sorted.end(), address,
                                        [](std::uint64_t a, Allocation const& allocation) { return a < allocation.begin; });
    if (after == sorted.begin())
    {
        return nullptr;
    }
    Allocation const& candidate = *std::prev(after);
    return address < candidate.end ? &candidate : nullptr;
}

void AddressSpace::Free::operator()(std::byte* p) const
{
    std::free(p);
}

void AddressSpace::insert(Allocation const& allocation)
{
    auto const at = std::upper_bound(allocations_.begin(), allocations_.end(), allocation.begin,
                                     [](std::uint64_t a, Allocation const& other) { return a < other.begin; });
    allocations_.insert(at, allocation);
    bytes_in_use_ += allocation.kind == MemoryKind::device ? allocation.bytes() : 0;
}

Allocation const& AddressSpace::allocate(std::uint64_t bytes, MemoryKind kind)
{
    auto* const backing = static_cast<std::byte*>(std::aligned_alloc(alignment, round_up(std::max<std::uint64_t>(bytes, 1))));
    if (backing == nullptr)
    {
        throw std::bad_alloc();
    }
    std::memset(backing, kind == MemoryKind::variable ? 0 : unwritten, bytes);
    std::uint64_t const begin = next_;
    next_ += round_up(bytes) + gap;
    owned_.emplace_back(begin, backing);
    insert({begin, begin + bytes, backing, kind});
    return *find_allocation(allocations_, begin);
}

void AddressSpace::add_host(void* begin, std::uint64_t bytes)
{
    auto const address = reinterpret_cast<std::uint64_t>(begin);
    insert({address, address + bytes, static_cast<std::byte*>(begin), MemoryKind::host});
}

bool AddressSpace::release(std::uint64_t begin)
{
    auto const found = std::find_if(allocations_.begin(), allocations_.end(),
                                    [&](Allocation const& a) { return a.begin == begin; });
    if (found == allocations_.end())
    {
        return false;
    }
    bytes_in_use_ -= found->kind == MemoryKind::device ? found->bytes() : 0;
    freed_.push_back(*found);
    allocations_.erase(found);
    std::erase_if(owned_, [&](auto const& owned) { return owned.first == begin; });
    return true;
}

std::byte* AddressSpace::translate(std::uint64_t address, std::uint64_t size) const
{
    Allocation const* const found = find(address);
    return found != nullptr && found->contains(address, size) ? found->at(address) : nullptr;
}

std::string AddressSpace::explain(std::uint64_t address) const
{
    std::ostringstream text;
    text << "0x" << std::hex << address << std::dec;
    if (address < 4096)
    {
        text << ", a null pointer";
        return text.str();
    }
    for (Allocation const& freed : freed_)
    {
        if (freed.contains(address, 1) && find(address) == nullptr)
        {
            text << ", " << address - freed.begin << " bytes into freed memory of " << freed.bytes() << " bytes";
            return text.str();
        }
    }
    Allocation const* below = nullptr;
    Allocation const* above = nullptr;
    for (Allocation const& allocation : allocations_)
    {
        below = allocation.begin <= address ? &allocation : below;
        above = allocation.begin > address && above == nullptr ? &allocation : above;
    }
    std::uint64_t const behind = below != nullptr && address >= below->end ? address - below->end : gap;
    std::uint64_t const before = above != nullptr ? above->begin - address : gap;
    if (below != nullptr && address < below->end)
    {
        text << ", running over the end of an allocation of " << below->bytes() << " bytes";
    }
    else if (behind < before && behind < gap)
    {
        text << ", " << behind << " bytes behind the end of an allocation of " << below->bytes() << " bytes";
    }
    else if (before < gap)
    {
        text << ", " << before << " bytes before an allocation of " << above->bytes() << " bytes";
    }
    else
    {
        text << ", far from any allocation of this device";
    }
    return text.str();
}

} // namespace emulator
