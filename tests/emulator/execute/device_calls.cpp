// What device code calls outside itself: printf and the failure of an assert. Their arguments lie in local memory, at the offsets
// source[0..] (slots of the call).

#include "execute/operations.hpp"
#include "execute/warp.hpp"

#include <cstdio>
#include <cstring>

namespace emulator
{

namespace
{

std::uint64_t call_argument(Warp& warp, unsigned lane, std::uint64_t slot, unsigned bytes = 8)
{
    std::uint64_t value = 0;
    std::memcpy(&value, warp.block->local_of(warp.thread(lane)) + slot, bytes);
    return value;
}

// A text in device memory, up to its end or to the end of the memory that holds it.
std::string device_text(Warp const& warp, std::uint64_t address)
{
    Allocation const* const allocation = find_allocation(warp.block->launch->allocations, address);
    if (allocation == nullptr)
    {
        return "(no text)";
    }
    auto const* const begin = reinterpret_cast<char const*>(allocation->at(address));
    return {begin, strnlen(begin, allocation->end - address)};
}

// Formats one argument by a conversion such as "%-8.3lf", whose length modifiers have been taken out.
std::string formatted(Warp const& warp, std::string specification, char conversion, std::uint64_t bits, bool is_wide)
{
    std::array<char, 512> buffer{};
    auto const print = [&](auto value) {
// The format comes from the kernel.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        std::snprintf(buffer.data(), buffer.size(), specification.c_str(), value);
#pragma GCC diagnostic pop
    };
    switch (conversion)
    {
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
        specification += conversion;
        print(std::bit_cast<double>(bits));
        break;
    case 's':
        specification += conversion;
        print(device_text(warp, bits).c_str());
        break;
    case 'p':
        specification += conversion;
        print(reinterpret_cast<void*>(bits));
        break;
    case 'c':
        specification += conversion;
        print(static_cast<int>(bits));
        break;
    case 'd':
    case 'i':
        specification += "ll";
        specification += conversion;
        print(is_wide ? static_cast<long long>(bits) : static_cast<long long>(static_cast<std::int32_t>(bits)));
        break;
    default:
        specification += "ll";
        specification += conversion;
        print(static_cast<unsigned long long>(bits));
        break;
    }
    return buffer.data();
}

std::string formatted_line(Warp& warp, unsigned lane, std::string const& format, std::uint64_t arguments)
{
    std::string line;
    std::uint64_t slot = arguments;
    for (std::size_t at = 0; at < format.size(); ++at)
    {
        if (format[at] != '%')
        {
            line += format[at];
            continue;
        }
        std::string specification = "%";
        bool is_wide = false;
        for (++at; at < format.size() && std::strchr("diouxXeEfFgGaAcsp%", format[at]) == nullptr; ++at)
        {
            bool const length = std::strchr("lhzjt", format[at]) != nullptr;
            is_wide = is_wide || format[at] == 'l' || format[at] == 'z' || format[at] == 'j' || format[at] == 't';
            specification += length ? std::string() : std::string(1, format[at]);
        }
        if (at >= format.size() || format[at] == '%')
        {
            line += '%';
            continue;
        }
        is_wide = is_wide || std::strchr("eEfFgGaAsp", format[at]) != nullptr;
        unsigned const bytes = is_wide ? 8 : 4;
        slot = (slot + bytes - 1) / bytes * bytes;
        line += formatted(warp, specification, format[at], call_argument(warp, lane, slot, bytes), is_wide);
        slot += bytes;
    }
    return line;
}

void device_printf(Warp& warp, Instruction const& i, LaneMask lanes)
{
    for_each_lane_in_order(*warp.block->launch, lanes, [&](unsigned lane) {
        std::string const format = device_text(warp, call_argument(warp, lane, static_cast<std::uint64_t>(i.offset)));
        // The address of the arguments is a generic one of this thread's local memory.
        std::uint64_t const arguments = call_argument(warp, lane, i.auxiliary) & 0xffffffffU;
        std::fputs(formatted_line(warp, lane, format, arguments).c_str(), stdout);
    });
}

void device_assert(Warp& warp, Instruction const& i, LaneMask lanes)
{
    auto const lane = static_cast<unsigned>(std::countr_zero(lanes));
    fail(warp, i, lane, FaultKind::assertion,
         "assert failed: " + device_text(warp, call_argument(warp, lane, static_cast<std::uint64_t>(i.offset))));
}

} // namespace

namespace handlers
{

Handlers const device_printf = same(emulator::device_printf);
Handlers const device_assert = same(emulator::device_assert);

} // namespace handlers

} // namespace emulator
