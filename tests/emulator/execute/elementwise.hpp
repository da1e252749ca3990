#pragma once
// Makes handlers of operations that every lane does for itself. Loops run over all lanes so that the compiler can vectorise them;
// with a partial mask the result is blended into the lanes that take part.

#include "execute/warp.hpp"

#include <cmath>
#include <type_traits>

namespace emulator
{

__extension__ using Signed128 = __int128;
__extension__ using Unsigned128 = unsigned __int128;

template<class T>
T from_slot(std::uint64_t slot)
{
    if constexpr (std::is_same_v<T, double>)
    {
        return std::bit_cast<double>(slot);
    }
    else if constexpr (std::is_same_v<T, float>)
    {
        return std::bit_cast<float>(static_cast<std::uint32_t>(slot));
    }
    else
    {
        return static_cast<T>(slot);
    }
}

template<class T>
std::uint64_t to_slot(T value)
{
    if constexpr (std::is_same_v<T, double>)
    {
        return std::bit_cast<std::uint64_t>(value);
    }
    else if constexpr (std::is_same_v<T, float>)
    {
        return std::bit_cast<std::uint32_t>(value);
    }
    else
    {
        return static_cast<std::make_unsigned_t<T>>(value);
    }
}

// The lanes of a source; one that the operation does not have may be any register.
inline std::uint64_t const* lanes_of(Warp const& warp, std::uint32_t place)
{
    return warp.registers + (place == none ? 0 : place);
}

// function(lane) -> slot, for every lane; it must not fail for lanes that take no part.
template<class Function>
void write_all(std::uint64_t* destination, Function&& function)
{
#pragma GCC ivdep
    for (unsigned lane = 0; lane < warp_size; ++lane)
    {
        destination[lane] = function(lane);
    }
}

template<class Function>
void write_enabled(Warp const& warp, std::uint64_t* destination, Function&& function)
{
    std::uint64_t const* const enabled = warp.enabled.data();
#pragma GCC ivdep
    for (unsigned lane = 0; lane < warp_size; ++lane)
    {
        std::uint64_t const value = function(lane);
        destination[lane] = (value & enabled[lane]) | (destination[lane] & ~enabled[lane]);
    }
}

// `slots` makes of warp and instruction a function (lane) -> slot.
template<auto slots>
constexpr Handlers per_lane()
{
    return {
        [](Warp& warp, Instruction const& i, LaneMask) { write_all(warp.registers + i.destination, slots(warp, i)); },
        [](Warp& warp, Instruction const& i, LaneMask) { write_enabled(warp, warp.registers + i.destination, slots(warp, i)); }};
}

// operation(T, T, T) -> Result, all of up to three sources of type T.
template<auto operation, class T, class Result = T>
constexpr Handlers elementwise()
{
    return per_lane<[](Warp const& warp, Instruction const& i) {
        return [a = lanes_of(warp, i.source[0]), b = lanes_of(warp, i.source[1]), c = lanes_of(warp, i.source[2])](unsigned lane) {
            return to_slot<Result>(operation(from_slot<T>(a[lane]), from_slot<T>(b[lane]), from_slot<T>(c[lane])));
        };
    }>();
}

// The same for operations that are costly or that no vector unit knows: only lanes that take part.
template<auto operation, class T, class Result = T>
constexpr Handlers lane_by_lane()
{
    constexpr Handler handler = [](Warp& warp, Instruction const& i, LaneMask lanes) {
        std::uint64_t* const d = warp.registers + i.destination;
        std::uint64_t const* const a = lanes_of(warp, i.source[0]);
        std::uint64_t const* const b = lanes_of(warp, i.source[1]);
        std::uint64_t const* const c = lanes_of(warp, i.source[2]);
        for_each_lane(lanes, [&](unsigned lane) {
            d[lane] = to_slot<Result>(operation(from_slot<T>(a[lane]), from_slot<T>(b[lane]), from_slot<T>(c[lane])));
        });
    };
    return {handler, handler};
}

} // namespace emulator
