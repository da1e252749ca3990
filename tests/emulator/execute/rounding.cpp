// Arithmetic with a rounding other than to nearest, and conversions. Built with -frounding-math; operands are volatile so that no
// operation leaves the stretch in which the rounding mode is set.

#include "execute/elementwise.hpp"
#include "execute/operations.hpp"

#include <cfenv>
#include <cstring>
#include <limits>

namespace emulator
{

namespace
{

using ptx::Type;

class RoundingMode
{
public:
    explicit RoundingMode(unsigned mode)
    {
        static constexpr std::array<int, 4> modes{FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
        std::fesetround(modes[mode]);
    }
    ~RoundingMode() { std::fesetround(FE_TONEAREST); }
    RoundingMode(RoundingMode const&) = delete;
    RoundingMode& operator=(RoundingMode const&) = delete;
};

template<auto operation, class T>
void rounded(Warp& warp, Instruction const& i, LaneMask lanes)
{
    RoundingMode const mode(i.rounding);
    for_each_lane(lanes, [&](unsigned lane) {
        T volatile const a = from_slot<T>(lanes_of(warp, i.source[0])[lane]);
        T volatile const b = from_slot<T>(lanes_of(warp, i.source[1])[lane]);
        T volatile const c = from_slot<T>(lanes_of(warp, i.source[2])[lane]);
        T volatile const result = operation(T{a}, T{b}, T{c});
        warp.registers[i.destination + lane] = to_slot<T>(T{result});
    });
}

template<auto operation>
std::optional<Operation> rounded_of(Type type, unsigned sources)
{
    Handler const handler = type == Type::f64 ? rounded<operation, double> : rounded<operation, float>;
    return Operation{{handler, handler}, sources};
}

constexpr auto sum = []<class T>(T a, T b, T) { return a + b; };
constexpr auto difference = []<class T>(T a, T b, T) { return a - b; };
constexpr auto product = []<class T>(T a, T b, T) { return a * b; };
constexpr auto fused = []<class T>(T a, T b, T c) { return std::fma(a, b, c); };
constexpr auto quotient = []<class T>(T a, T b, T) { return a / b; };
constexpr auto reciprocal = []<class T>(T a, T, T) { return T{1} / a; };
constexpr auto root = []<class T>(T a, T, T) { return std::sqrt(a); };

// --- conversions ------------------------------------------------------------------------------------------------------------------

template<class T>
T to_integral(T value, std::uint8_t rounding)
{
    switch (rounding)
    {
    case 1:
        return std::trunc(value);
    case 2:
        return std::floor(value);
    case 3:
        return std::ceil(value);
    default:
        return std::nearbyint(value);
    }
}

// Saturates; NaN becomes 0, or the smallest number of 64 bits, as on the device.
template<class To, class From>
To float_to_integer(From value, std::uint8_t rounding)
{
    using Limits = std::numeric_limits<To>;
    if (std::isnan(value))
    {
        return sizeof(To) == 8 ? static_cast<To>(std::uint64_t{1} << 63) : To{0};
    }
    // 2^digits is exact in both formats, the greatest integer may not be.
    double const beyond = std::ldexp(1.0, Limits::digits);
    auto const rounded_value = static_cast<double>(to_integral(value, rounding));
    if (rounded_value >= beyond)
    {
        return Limits::max();
    }
    if (rounded_value < static_cast<double>(Limits::min()))
    {
        return Limits::min();
    }
    return static_cast<To>(rounded_value);
}

template<class To, class From>
To integer_to_integer(From value, bool saturate)
{
    if (saturate)
    {
        using Limits = std::numeric_limits<To>;
        auto const exact = static_cast<Signed128>(value);
        return exact > Limits::max() ? Limits::max() : exact < Limits::min() ? Limits::min() : static_cast<To>(value);
    }
    return static_cast<To>(value);
}

template<class To, class From>
To convert(Instruction const& i, From value)
{
    if constexpr (std::is_integral_v<To> && std::is_integral_v<From>)
    {
        return integer_to_integer<To>(value, i.saturate);
    }
    else if constexpr (std::is_integral_v<To>)
    {
        return float_to_integer<To>(value, i.rounding);
    }
    else
    {
        To result = 0;
        if constexpr (std::is_same_v<To, From>)
        {
            result = i.variant != 0 ? to_integral(value, i.rounding) : value;
        }
        else
        {
            RoundingMode const mode(i.rounding);
            From volatile const from = value;
            To volatile const to = static_cast<To>(from);
            result = to;
        }
        return !i.saturate ? result : result > To{1} ? To{1} : result > To{0} ? result : To{0};
    }
}

// 8-bit integers live in wider registers, and a narrow signed result is extended there.
template<class To, class From>
void convert_lanes(Warp& warp, Instruction const& i, LaneMask lanes)
{
    std::uint64_t const* const from = warp.registers + i.source[0];
    std::uint64_t const mask = register_mask(i);
    for_each_lane(lanes, [&](unsigned lane) {
        To const result = convert<To>(i, from_slot<From>(from[lane]));
        if constexpr (std::is_integral_v<To>)
        {
            warp.registers[i.destination + lane] = static_cast<std::uint64_t>(static_cast<std::int64_t>(result)) & mask;
        }
        else
        {
            warp.registers[i.destination + lane] = to_slot<To>(result);
        }
    });
}

template<class To>
Handler conversion_to(Type from)
{
    switch (from)
    {
    case Type::u8:
    case Type::b8:
        return convert_lanes<To, std::uint8_t>;
    case Type::s8:
        return convert_lanes<To, std::int8_t>;
    case Type::u16:
    case Type::b16:
        return convert_lanes<To, std::uint16_t>;
    case Type::s16:
        return convert_lanes<To, std::int16_t>;
    case Type::u32:
    case Type::b32:
        return convert_lanes<To, std::uint32_t>;
    case Type::s32:
        return convert_lanes<To, std::int32_t>;
    case Type::u64:
    case Type::b64:
        return convert_lanes<To, std::uint64_t>;
    case Type::s64:
        return convert_lanes<To, std::int64_t>;
    case Type::f32:
        return convert_lanes<To, float>;
    case Type::f64:
        return convert_lanes<To, double>;
    default:
        return nullptr;
    }
}

Handler any_conversion(Type to, Type from)
{
    switch (to)
    {
    case Type::u8:
    case Type::b8:
        return conversion_to<std::uint8_t>(from);
    case Type::s8:
        return conversion_to<std::int8_t>(from);
    case Type::u16:
    case Type::b16:
        return conversion_to<std::uint16_t>(from);
    case Type::s16:
        return conversion_to<std::int16_t>(from);
    case Type::u32:
    case Type::b32:
        return conversion_to<std::uint32_t>(from);
    case Type::s32:
        return conversion_to<std::int32_t>(from);
    case Type::u64:
    case Type::b64:
        return conversion_to<std::uint64_t>(from);
    case Type::s64:
        return conversion_to<std::int64_t>(from);
    case Type::f32:
        return conversion_to<float>(from);
    case Type::f64:
        return conversion_to<double>(from);
    default:
        return nullptr;
    }
}

} // namespace

std::optional<Operation> rounded_arithmetic(std::string_view opcode, Type type)
{
    if (opcode == "add")
    {
        return rounded_of<sum>(type, 2);
    }
    if (opcode == "sub")
    {
        return rounded_of<difference>(type, 2);
    }
    if (opcode == "mul")
    {
        return rounded_of<product>(type, 2);
    }
    if (opcode == "fma" || opcode == "mad")
    {
        return rounded_of<fused>(type, 3);
    }
    if (opcode == "div")
    {
        return rounded_of<quotient>(type, 2);
    }
    if (opcode == "rcp")
    {
        return rounded_of<reciprocal>(type, 1);
    }
    return opcode == "sqrt" ? rounded_of<root>(type, 1) : std::nullopt;
}

Handlers any_conversion_handlers(Type to, Type from);
Handlers any_conversion_handlers(Type to, Type from)
{
    Handler const handler = any_conversion(to, from);
    return {handler, handler};
}

} // namespace emulator
