#pragma once
// What device code may touch through global and generic addresses. Device addresses are no host addresses: they are not canonical on
// any CPU, so a host program that follows a device pointer faults, as it does with a real device. An address is never given out twice
// and gaps lie between allocations, so reads behind an array and reads of freed memory are found, not answered.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace emulator
{

// The top 16 bits of an address tell what it belongs to.
namespace window
{
constexpr unsigned shift = 48;
constexpr std::uint64_t parameter = std::uint64_t{0x00C0} << shift;
constexpr std::uint64_t device = std::uint64_t{0x00D0} << shift;
constexpr std::uint64_t shared = std::uint64_t{0x00E0} << shift;
constexpr std::uint64_t local = std::uint64_t{0x00F0} << shift;
constexpr unsigned thread_shift = 32; // local memory: the thread's number within its block, then the offset
constexpr std::uint64_t of(std::uint64_t address)
{
    return address >> shift << shift;
}
} // namespace window

enum class MemoryKind : std::uint8_t
{
    device,
    host,
    variable
};

struct Allocation
{
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::byte* backing = nullptr;
    MemoryKind kind = MemoryKind::device;

    std::uint64_t bytes() const { return end - begin; }
    bool contains(std::uint64_t address, std::uint64_t size) const
    {
        return address >= begin && address < end && size <= end - address;
    }
    std::byte* at(std::uint64_t address) const { return backing + (address - begin); }
};

// The allocation that holds the address, of a list sorted by address.
Allocation const* find_allocation(std::vector<Allocation> const& sorted, std::uint64_t address);

// The memory of one device, and the host memory that it can reach.
class AddressSpace
{
public:
    explicit AddressSpace(int device) : next_(window::device + (static_cast<std::uint64_t>(device) << 44) + first_address) {}

    // New memory, filled with a pattern that shows up in results where it is read before it was written.
    Allocation const& allocate(std::uint64_t bytes, MemoryKind kind);
    // Host memory, reachable at its own address.
    void add_host(void* begin, std::uint64_t bytes);
    // False if nothing begins there.
    bool release(std::uint64_t begin);

    Allocation const* find(std::uint64_t address) const { return find_allocation(allocations_, address); }
    // The bytes on the host that stand behind [address, address + size), nullptr if there are none.
    std::byte* translate(std::uint64_t address, std::uint64_t size) const;
    std::vector<Allocation> const& allocations() const { return allocations_; }
    std::uint64_t bytes_in_use() const { return bytes_in_use_; } // device memory but for variables

    // Why an access fails: "16 bytes behind the end of an allocation of 800 bytes".
    std::string explain(std::uint64_t address) const;

private:
    static constexpr std::uint64_t first_address = std::uint64_t{1} << 32;
    static constexpr std::uint64_t gap = std::uint64_t{1} << 20;

    struct Free
    {
        void operator()(std::byte* p) const;
    };
    void insert(Allocation const& allocation);

    std::uint64_t next_;
    std::vector<Allocation> allocations_; // sorted
    std::vector<std::pair<std::uint64_t, std::unique_ptr<std::byte[], Free>>> owned_;
    std::vector<Allocation> freed_;
    std::uint64_t bytes_in_use_ = 0;
};

} // namespace emulator
