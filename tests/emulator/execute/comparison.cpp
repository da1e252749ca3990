// setp: comparisons, whose result is a lane mask.

#include "execute/elementwise.hpp"
#include "execute/operations.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace emulator
{

namespace
{

using ptx::Type;

enum Relation : std::uint8_t
{
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    equal_or_nan,
    not_equal_or_nan,
    less_or_nan,
    less_equal_or_nan,
    greater_or_nan,
    greater_equal_or_nan,
    both_numbers,
    any_nan,
    relations
};

// all-ones or zero per lane -> mask
LaneMask to_mask(std::array<std::uint64_t, warp_size> const& flags)
{
    LaneMask mask = 0;
#if defined(__AVX__)
    for (unsigned lane = 0; lane < warp_size; lane += 4)
    {
        __m256d const four = _mm256_castsi256_pd(_mm256_loadu_si256(reinterpret_cast<__m256i const*>(&flags[lane])));
        mask |= static_cast<LaneMask>(_mm256_movemask_pd(four)) << lane;
    }
#else
    for (unsigned lane = 0; lane < warp_size; ++lane)
    {
        mask |= static_cast<LaneMask>(flags[lane] & 1) << lane;
    }
#endif
    return mask;
}

template<Relation relation, class T>
bool holds(T a, T b)
{
    bool const ordered = a == a && b == b;
    switch (relation)
    {
    case equal:
        return a == b;
    case not_equal:
        return ordered && a != b;
    case less:
        return a < b;
    case less_equal:
        return a <= b;
    case greater:
        return a > b;
    case greater_equal:
        return a >= b;
    case equal_or_nan:
        return !ordered || a == b;
    case not_equal_or_nan:
        return a != b;
    case less_or_nan:
        return !(a >= b);
    case less_equal_or_nan:
        return !(a > b);
    case greater_or_nan:
        return !(a <= b);
    case greater_equal_or_nan:
        return !(a < b);
    case both_numbers:
        return ordered;
    default:
        return !ordered;
    }
}

// Variant: how source_predicate is combined with both results (0 not at all, 1 and, 2 or, 3 xor).
template<Relation relation, class T>
void compare(Warp& warp, Instruction const& i, LaneMask lanes)
{
    alignas(64) std::array<std::uint64_t, warp_size> flags;
    std::uint64_t const* const a = warp.registers + i.source[0];
    std::uint64_t const* const b = warp.registers + i.source[1];
    write_all(flags.data(), [=](unsigned lane) {
        return holds<relation>(from_slot<T>(a[lane]), from_slot<T>(b[lane])) ? ~std::uint64_t{0} : std::uint64_t{0};
    });
    LaneMask const first = to_mask(flags);
    LaneMask const other = i.variant == 0 ? 0 : source_predicate(warp, i);
    auto const combine = [&](LaneMask result) {
        return i.variant == 0 ? result : i.variant == 1 ? result & other : i.variant == 2 ? result | other : result ^ other;
    };
    set_predicate(warp, i.predicate, lanes, combine(first));
    set_predicate(warp, i.second_predicate, lanes, combine(~first));
}

template<class T, std::size_t... relation>
Handler comparison_of(std::uint8_t which, std::index_sequence<relation...>)
{
    static constexpr std::array<Handler, sizeof...(relation)> table{compare<static_cast<Relation>(relation), T>...};
    return table[which];
}

template<class T>
Handlers handlers_of(std::uint8_t which)
{
    constexpr std::size_t count = std::is_floating_point_v<T> ? std::size_t{relations} : std::size_t{equal_or_nan};
    Handler const handler = which < count ? comparison_of<T>(which, std::make_index_sequence<count>{}) : nullptr;
    return {handler, handler};
}

} // namespace

Handlers comparison(std::uint8_t operation, Type type)
{
    switch (type)
    {
    case Type::f64:
        return handlers_of<double>(operation);
    case Type::f32:
        return handlers_of<float>(operation);
    case Type::s64:
        return handlers_of<std::int64_t>(operation);
    case Type::u64:
    case Type::b64:
        return handlers_of<std::uint64_t>(operation);
    case Type::s32:
        return handlers_of<std::int32_t>(operation);
    case Type::u32:
    case Type::b32:
        return handlers_of<std::uint32_t>(operation);
    case Type::s16:
        return handlers_of<std::int16_t>(operation);
    case Type::u16:
    case Type::b16:
        return handlers_of<std::uint16_t>(operation);
    default:
        return {};
    }
}

std::optional<std::uint8_t> comparison_named(Mnemonic& mnemonic, Type type)
{
    // The names of unsigned integers are others: lower, lower or same, higher, higher or same.
    int relation = mnemonic.choose({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"},
                                   -1);
    if (relation < 0 && !is_floating(type))
    {
        relation = mnemonic.choose({"", "", "lo", "ls", "hi", "hs"}, -1);
    }
    return relation < 0 ? std::nullopt : std::optional(static_cast<std::uint8_t>(relation));
}

} // namespace emulator
