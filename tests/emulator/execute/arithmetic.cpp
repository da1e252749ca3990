#include "execute/elementwise.hpp"
#include "execute/operations.hpp"

#include <algorithm>
#include <limits>

namespace emulator
{

namespace
{

using ptx::Type;

template<class T>
using Unsigned = std::make_unsigned_t<T>;

// Arithmetic of the width of T, modulo 2^n. Narrow types are promoted to int, so results are cut explicitly.
template<class T>
constexpr T wrap(std::uint64_t value)
{
    return static_cast<T>(static_cast<Unsigned<T>>(value));
}
template<class T>
constexpr std::uint64_t wide(T value)
{
    return static_cast<Unsigned<T>>(value);
}
template<class T>
using Double = std::conditional_t<std::is_signed_v<T>, Signed128, Unsigned128>;

constexpr auto add = []<class T>(T a, T b, T) { return wrap<T>(wide(a) + wide(b)); };
constexpr auto subtract = []<class T>(T a, T b, T) { return wrap<T>(wide(a) - wide(b)); };
constexpr auto multiply = []<class T>(T a, T b, T) { return wrap<T>(wide(a) * wide(b)); };
constexpr auto multiply_add = []<class T>(T a, T b, T c) { return wrap<T>(wide(a) * wide(b) + wide(c)); };
constexpr auto multiply_high = []<class T>(T a, T b, T) {
    return static_cast<T>(static_cast<Double<T>>(a) * static_cast<Double<T>>(b) >> (8 * sizeof(T)));
};
constexpr auto multiply_add_high = []<class T>(T a, T b, T c) {
    return wrap<T>(wide(static_cast<T>(static_cast<Double<T>>(a) * static_cast<Double<T>>(b) >> (8 * sizeof(T)))) + wide(c));
};
// What the machine code of a division by 0 gives: all ones, and the dividend as remainder.
constexpr auto divide = []<class T>(T a, T b, T) {
    if (b == 0)
    {
        return static_cast<T>(~T{0});
    }
    if constexpr (std::is_signed_v<T>)
    {
        if (b == -1)
        {
            return wrap<T>(0 - wide(a));
        }
    }
    return static_cast<T>(a / b);
};
constexpr auto remainder = []<class T>(T a, T b, T) {
    if (b == 0)
    {
        return a;
    }
    if constexpr (std::is_signed_v<T>)
    {
        if (b == -1)
        {
            return T{0};
        }
    }
    return static_cast<T>(a % b);
};
constexpr auto minimum = []<class T>(T a, T b, T) { return b < a ? b : a; };
constexpr auto maximum = []<class T>(T a, T b, T) { return a < b ? b : a; };
constexpr auto bit_and = []<class T>(T a, T b, T) { return static_cast<T>(a & b); };
constexpr auto bit_or = []<class T>(T a, T b, T) { return static_cast<T>(a | b); };
constexpr auto bit_xor = []<class T>(T a, T b, T) { return static_cast<T>(a ^ b); };
constexpr auto bit_not = []<class T>(T a, T, T) { return static_cast<T>(~a); };
constexpr auto is_zero = []<class T>(T a, T, T) { return static_cast<T>(a == 0 ? 1 : 0); };
constexpr auto negate = []<class T>(T a, T, T) { return wrap<T>(0 - wide(a)); };
constexpr auto absolute = []<class T>(T a, T, T) { return a < 0 ? wrap<T>(0 - wide(a)) : a; };
constexpr auto absolute_difference = []<class T>(T a, T b, T c) {
    return wrap<T>(wide(c) + (a < b ? wide(b) - wide(a) : wide(a) - wide(b)));
};

// The count of a shift is a 32-bit value; those beyond the width shift everything out.
template<class T>
constexpr std::uint64_t shift_limit = 8 * sizeof(T);
constexpr auto shift_left = []<class T>(T a, std::uint64_t by) { return by >= shift_limit<T> ? T{0} : wrap<T>(wide(a) << by); };
constexpr auto shift_right = []<class T>(T a, std::uint64_t by) {
    return static_cast<T>(a >> std::min<std::uint64_t>(by, shift_limit<T> - 1) >> (by >= shift_limit<T> ? 1 : 0));
};

template<auto operation, class T>
constexpr Handlers shift()
{
    return per_lane<[](Warp const& warp, Instruction const& i) {
        return [a = lanes_of(warp, i.source[0]), b = lanes_of(warp, i.source[1])](unsigned lane) {
            return to_slot<T>(operation(from_slot<T>(a[lane]), b[lane] & 0xffffffffU));
        };
    }>();
}

// T x T -> a result of twice the width, plus a third operand of that width.
template<class T, class Wide, bool with_sum>
constexpr Handlers multiply_wide()
{
    return per_lane<[](Warp const& warp, Instruction const& i) {
        return [a = lanes_of(warp, i.source[0]), b = lanes_of(warp, i.source[1]), c = lanes_of(warp, i.source[2])](unsigned lane) {
            auto const product = static_cast<Wide>(static_cast<Wide>(from_slot<T>(a[lane]))
                                                   * static_cast<Wide>(from_slot<T>(b[lane])));
            return to_slot<Wide>(wrap<Wide>(wide(product) + (with_sum ? c[lane] : 0)));
        };
    }>();
}

template<bool with_sum>
std::optional<Handlers> multiply_wide_of(Type type)
{
    switch (type)
    {
    case Type::s32:
        return multiply_wide<std::int32_t, std::int64_t, with_sum>();
    case Type::u32:
        return multiply_wide<std::uint32_t, std::uint64_t, with_sum>();
    case Type::s16:
        return multiply_wide<std::int16_t, std::int32_t, with_sum>();
    case Type::u16:
        return multiply_wide<std::uint16_t, std::uint32_t, with_sum>();
    default:
        return std::nullopt;
    }
}

// --- floating point ---------------------------------------------------------------------------------------------------------------

constexpr auto f_add = []<class T>(T a, T b, T) { return a + b; };
constexpr auto f_subtract = []<class T>(T a, T b, T) { return a - b; };
constexpr auto f_multiply = []<class T>(T a, T b, T) { return a * b; };
constexpr auto f_fused = []<class T>(T a, T b, T c) { return std::fma(a, b, c); };
constexpr auto f_divide = []<class T>(T a, T b, T) { return a / b; };
constexpr auto f_sqrt = []<class T>(T a, T, T) { return std::sqrt(a); };
constexpr auto f_reciprocal = []<class T>(T a, T, T) { return T{1} / a; };
constexpr auto f_reciprocal_sqrt = []<class T>(T a, T, T) { return T{1} / std::sqrt(a); };
constexpr auto f_negate = []<class T>(T a, T, T) { return -a; };
constexpr auto f_absolute = []<class T>(T a, T, T) { return std::fabs(a); };
// A number wins over NaN; -0 is less than +0.
template<class T>
using BitsOf = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
constexpr auto f_minimum = []<class T>(T a, T b, T) {
    T const equal = std::bit_cast<T>(static_cast<BitsOf<T>>(std::bit_cast<BitsOf<T>>(a) | std::bit_cast<BitsOf<T>>(b)));
    return a < b ? a : b < a ? b : a == b ? equal : a != a ? b : a;
};
constexpr auto f_maximum = []<class T>(T a, T b, T) {
    T const equal = std::bit_cast<T>(static_cast<BitsOf<T>>(std::bit_cast<BitsOf<T>>(a) & std::bit_cast<BitsOf<T>>(b)));
    return a > b ? a : b > a ? b : a == b ? equal : a != a ? b : a;
};
constexpr auto f_exp2 = []<class T>(T a, T, T) { return std::exp2(a); };
constexpr auto f_log2 = []<class T>(T a, T, T) { return std::log2(a); };
constexpr auto f_sin = []<class T>(T a, T, T) { return std::sin(a); };
constexpr auto f_cos = []<class T>(T a, T, T) { return std::cos(a); };
constexpr auto f_tanh = []<class T>(T a, T, T) { return std::tanh(a); };
constexpr auto f_copysign = []<class T>(T a, T b, T) { return std::copysign(b, a); };

// rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 work on the upper half of a double and leave zeros below.
constexpr double upper_half(double x)
{
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & 0xffffffff00000000U);
}
constexpr auto reciprocal_upper_half = [](double a, double, double) { return upper_half(1.0 / upper_half(a)); };
constexpr auto reciprocal_sqrt_upper_half = [](double a, double, double) { return upper_half(1.0 / std::sqrt(upper_half(a))); };

// .ftz: subnormal numbers count as zero, going in and coming out.
inline float flush(float x)
{
    return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0F, x) : x;
}
template<auto operation>
constexpr auto flushed = [](float a, float b, float c) { return flush(operation(flush(a), flush(b), flush(c))); };

template<auto operation>
Handlers floating(Mnemonic& mnemonic, Type type)
{
    if (type == Type::f64)
    {
        return elementwise<operation, double>();
    }
    return mnemonic.has("ftz") ? elementwise<flushed<operation>, float>() : elementwise<operation, float>();
}

template<auto operation>
Handlers transcendental(Mnemonic& mnemonic)
{
    return mnemonic.has("ftz") ? lane_by_lane<flushed<operation>, float>() : lane_by_lane<operation, float>();
}

// --- selection by type ------------------------------------------------------------------------------------------------------------

template<auto operation>
std::optional<Handlers> integral(Type type)
{
    switch (type)
    {
    case Type::u16:
    case Type::b16:
        return elementwise<operation, std::uint16_t>();
    case Type::s16:
        return elementwise<operation, std::int16_t>();
    case Type::u32:
    case Type::b32:
        return elementwise<operation, std::uint32_t>();
    case Type::s32:
        return elementwise<operation, std::int32_t>();
    case Type::u64:
    case Type::b64:
        return elementwise<operation, std::uint64_t>();
    case Type::s64:
        return elementwise<operation, std::int64_t>();
    default:
        return std::nullopt;
    }
}

template<auto operation>
std::optional<Handlers> integral_by_lane(Type type)
{
    switch (type)
    {
    case Type::u16:
        return lane_by_lane<operation, std::uint16_t>();
    case Type::s16:
        return lane_by_lane<operation, std::int16_t>();
    case Type::u32:
        return lane_by_lane<operation, std::uint32_t>();
    case Type::s32:
        return lane_by_lane<operation, std::int32_t>();
    case Type::u64:
        return lane_by_lane<operation, std::uint64_t>();
    case Type::s64:
        return lane_by_lane<operation, std::int64_t>();
    default:
        return std::nullopt;
    }
}

template<auto integer_operation, auto floating_operation>
std::optional<Handlers> either(Mnemonic& mnemonic)
{
    Type const type = mnemonic.type();
    if (is_floating(type))
    {
        return floating<floating_operation>(mnemonic, type);
    }
    return integral<integer_operation>(type);
}

// Operations on bits of 32- or 64-bit values.
template<auto operation>
std::optional<Handlers> bits(Type type)
{
    switch (type)
    {
    case Type::b32:
    case Type::u32:
        return lane_by_lane<operation, std::uint32_t>();
    case Type::s32:
        return lane_by_lane<operation, std::int32_t>();
    case Type::b64:
    case Type::u64:
        return lane_by_lane<operation, std::uint64_t>();
    case Type::s64:
        return lane_by_lane<operation, std::int64_t>();
    default:
        return std::nullopt;
    }
}

constexpr auto population = []<class T>(T a, T, T) { return static_cast<T>(std::popcount(static_cast<Unsigned<T>>(a))); };
constexpr auto leading_zeros = []<class T>(T a, T, T) { return static_cast<T>(std::countl_zero(static_cast<Unsigned<T>>(a))); };
constexpr auto reverse = []<class T>(T a, T, T) {
    Unsigned<T> reversed = 0;
    for (unsigned bit = 0; bit < 8 * sizeof(T); ++bit)
    {
        reversed = static_cast<Unsigned<T>>(reversed << 1 | (wide(a) >> bit & 1));
    }
    return static_cast<T>(reversed);
};
// The most significant bit that differs from the sign.
template<bool as_shift>
constexpr auto find_bit = []<class T>(T a, T, T) {
    auto value = static_cast<Unsigned<T>>(a);
    if constexpr (std::is_signed_v<T>)
    {
        value = a < 0 ? static_cast<Unsigned<T>>(~value) : value;
    }
    auto const zeros = static_cast<std::uint32_t>(std::countl_zero(value));
    return value == 0 ? ~std::uint32_t{0} : as_shift ? zeros : static_cast<std::uint32_t>(8 * sizeof(T)) - 1 - zeros;
};
constexpr auto bit_field_extract = []<class T>(T a, T position, T length) {
    constexpr std::uint64_t width = 8 * sizeof(T);
    std::uint64_t const begin = wide(position) & 255;
    std::uint64_t const size = wide(length) & 255;
    if (size == 0)
    {
        return T{0};
    }
    std::uint64_t field = begin >= width ? 0 : wide(a) >> begin;
    if (size < 64)
    {
        std::uint64_t const mask = (std::uint64_t{1} << size) - 1;
        field &= mask;
        if (std::is_signed_v<T> && (wide(a) >> std::min(begin + size - 1, width - 1) & 1) != 0)
        {
            // The sign fills the field from where the value ends, and everything above it.
            std::uint64_t const valid = begin >= width ? 0 : std::min(size, width - begin);
            field |= valid == 0 ? ~std::uint64_t{0} : ~std::uint64_t{0} << (valid - 1) << 1;
        }
    }
    return wrap<T>(field);
};
template<bool left, bool wrapping>
constexpr auto funnel_shift = [](std::uint32_t low, std::uint32_t high, std::uint32_t count) {
    std::uint64_t const value = std::uint64_t{high} << 32 | low;
    std::uint32_t const by = wrapping ? count & 31U : std::min(count, 32U);
    return static_cast<std::uint32_t>(left ? value << by >> 32 : value >> by);
};
constexpr auto permute_bytes = [](std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
    std::uint64_t const bytes = std::uint64_t{b} << 32 | a;
    std::uint32_t result = 0;
    for (unsigned k = 0; k < 4; ++k)
    {
        std::uint32_t const choice = selector >> (4 * k) & 15U;
        auto byte = static_cast<std::uint32_t>(bytes >> (8 * (choice & 7U)) & 255U);
        byte = (choice & 8U) == 0 ? byte : (byte & 128U) == 0 ? 0U : 255U;
        result |= byte << (8 * k);
    }
    return result;
};

std::optional<Operation> with(std::optional<Handlers> handlers, unsigned sources)
{
    return handlers ? std::optional(Operation{*handlers, sources}) : std::nullopt;
}

template<bool with_sum>
std::optional<Operation> product(Mnemonic& mnemonic)
{
    Type const type = mnemonic.type();
    constexpr unsigned sources = with_sum ? 3 : 2;
    if (is_floating(type))
    {
        return with(with_sum ? floating<f_fused>(mnemonic, type) : floating<f_multiply>(mnemonic, type), sources);
    }
    if (mnemonic.has("wide"))
    {
        return with(multiply_wide_of<with_sum>(type), sources);
    }
    if (mnemonic.has("hi"))
    {
        return with(with_sum ? integral_by_lane<multiply_add_high>(type) : integral_by_lane<multiply_high>(type), sources);
    }
    mnemonic.has("lo");
    return with(with_sum ? integral<multiply_add>(type) : integral<multiply>(type), sources);
}

template<auto operation>
std::optional<Operation> shift_of(Type type)
{
    switch (type)
    {
    case Type::b16:
    case Type::u16:
        return Operation{shift<operation, std::uint16_t>(), 2};
    case Type::s16:
        return Operation{shift<operation, std::int16_t>(), 2};
    case Type::b32:
    case Type::u32:
        return Operation{shift<operation, std::uint32_t>(), 2};
    case Type::s32:
        return Operation{shift<operation, std::int32_t>(), 2};
    case Type::b64:
    case Type::u64:
        return Operation{shift<operation, std::uint64_t>(), 2};
    case Type::s64:
        return Operation{shift<operation, std::int64_t>(), 2};
    default:
        return std::nullopt;
    }
}

std::optional<Operation> find_bit_of(Mnemonic& mnemonic)
{
    bool const as_shift = mnemonic.has("shiftamt");
    auto const choose = [&]<class T>(T) {
        return as_shift ? lane_by_lane<find_bit<true>, T, std::uint32_t>() : lane_by_lane<find_bit<false>, T, std::uint32_t>();
    };
    switch (mnemonic.type())
    {
    case Type::u32:
        return Operation{choose(std::uint32_t{}), 1};
    case Type::s32:
        return Operation{choose(std::int32_t{}), 1};
    case Type::u64:
        return Operation{choose(std::uint64_t{}), 1};
    case Type::s64:
        return Operation{choose(std::int64_t{}), 1};
    default:
        return std::nullopt;
    }
}

std::optional<Operation> funnel_shift_of(Mnemonic& mnemonic)
{
    bool const left = mnemonic.has("l");
    bool const right = mnemonic.has("r");
    bool const wrapping = mnemonic.has("wrap");
    mnemonic.has("clamp");
    using U = std::uint32_t;
    if (left == right)
    {
        return std::nullopt;
    }
    return Operation{left ? (wrapping ? elementwise<funnel_shift<true, true>, U>() : elementwise<funnel_shift<true, false>, U>())
                          : (wrapping ? elementwise<funnel_shift<false, true>, U>() : elementwise<funnel_shift<false, false>, U>()),
                     3};
}

// The functions of one floating-point argument, most of them approximations on the device and exact to an ulp here.
std::optional<Operation> floating_function(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    Type const type = mnemonic.type();
    if (!is_floating(type))
    {
        return std::nullopt;
    }
    bool const approximate = mnemonic.has("approx");
    if (op == "sqrt")
    {
        return Operation{floating<f_sqrt>(mnemonic, type), 1};
    }
    if (op == "rcp" || op == "rsqrt")
    {
        if (type == Type::f64 && approximate && mnemonic.has("ftz"))
        {
            return Operation{
                op == "rcp" ? elementwise<reciprocal_upper_half, double>() : elementwise<reciprocal_sqrt_upper_half, double>(), 1};
        }
        return Operation{op == "rcp" ? floating<f_reciprocal>(mnemonic, type) : floating<f_reciprocal_sqrt>(mnemonic, type), 1};
    }
    if (type != Type::f32)
    {
        return std::nullopt;
    }
    if (op == "ex2")
    {
        return Operation{transcendental<f_exp2>(mnemonic), 1};
    }
    if (op == "lg2")
    {
        return Operation{transcendental<f_log2>(mnemonic), 1};
    }
    if (op == "sin")
    {
        return Operation{transcendental<f_sin>(mnemonic), 1};
    }
    if (op == "cos")
    {
        return Operation{transcendental<f_cos>(mnemonic), 1};
    }
    return op == "tanh" ? std::optional(Operation{transcendental<f_tanh>(mnemonic), 1}) : std::nullopt;
}

std::optional<Operation> bit_operation(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    Type const type = mnemonic.type();
    if (op == "and")
    {
        return with(integral<bit_and>(type), 2);
    }
    if (op == "or")
    {
        return with(integral<bit_or>(type), 2);
    }
    if (op == "xor")
    {
        return with(integral<bit_xor>(type), 2);
    }
    if (op == "not")
    {
        return with(integral<bit_not>(type), 1);
    }
    if (op == "cnot")
    {
        return with(integral<is_zero>(type), 1);
    }
    if (op == "shl")
    {
        return shift_of<shift_left>(type);
    }
    if (op == "shr")
    {
        return shift_of<shift_right>(type);
    }
    if (op == "shf")
    {
        return funnel_shift_of(mnemonic);
    }
    if (op == "prmt" && type == Type::b32)
    {
        return Operation{lane_by_lane<permute_bytes, std::uint32_t>(), 3};
    }
    if (op == "popc")
    {
        return with(bits<population>(type), 1);
    }
    if (op == "clz")
    {
        return with(bits<leading_zeros>(type), 1);
    }
    if (op == "brev")
    {
        return with(bits<reverse>(type), 1);
    }
    if (op == "bfe")
    {
        return with(bits<bit_field_extract>(type), 3);
    }
    return op == "bfind" ? find_bit_of(mnemonic) : std::nullopt;
}

} // namespace

std::optional<Operation> arithmetic(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    Type const type = mnemonic.type();
    if (is_floating(type) && mnemonic.rounding() != 0)
    {
        return rounded_arithmetic(op, type);
    }
    if (op == "add")
    {
        return with(either<add, f_add>(mnemonic), 2);
    }
    if (op == "sub")
    {
        return with(either<subtract, f_subtract>(mnemonic), 2);
    }
    if (op == "mul")
    {
        return product<false>(mnemonic);
    }
    if (op == "mad" || (op == "fma" && is_floating(type)))
    {
        return product<true>(mnemonic);
    }
    if (op == "div")
    {
        mnemonic.ignore({"full", "approx"});
        return is_floating(type) ? with(floating<f_divide>(mnemonic, type), 2) : with(integral_by_lane<divide>(type), 2);
    }
    if (op == "rem")
    {
        return with(integral_by_lane<remainder>(type), 2);
    }
    if (op == "min")
    {
        return with(either<minimum, f_minimum>(mnemonic), 2);
    }
    if (op == "max")
    {
        return with(either<maximum, f_maximum>(mnemonic), 2);
    }
    if (op == "neg")
    {
        return with(either<negate, f_negate>(mnemonic), 1);
    }
    if (op == "abs")
    {
        return with(either<absolute, f_absolute>(mnemonic), 1);
    }
    if (op == "sad")
    {
        return with(integral<absolute_difference>(type), 3);
    }
    if (op == "copysign")
    {
        return is_floating(type) ? with(floating<f_copysign>(mnemonic, type), 2) : std::nullopt;
    }
    if (auto const operation = bit_operation(mnemonic))
    {
        return operation;
    }
    return floating_function(mnemonic);
}

// --- with the carry flag ----------------------------------------------------------------------------------------------------------

namespace
{

enum class CarryOperation : std::uint8_t
{
    sum,
    difference,
    product_low,
    product_high
};

// The flag is predicate source_predicate; variant: bit 0 takes it in, bit 1 sets it.
template<class T>
void with_carry(Warp& warp, Instruction const& i, LaneMask lanes)
{
    using Big = Unsigned128;
    constexpr unsigned width = 8 * sizeof(T);
    LaneMask const carry = warp.predicates[i.source_predicate];
    LaneMask carry_out = 0;
    std::uint64_t* const d = warp.registers + i.destination;
    for_each_lane(lanes, [&](unsigned lane) {
        Big const a = from_slot<T>(warp.registers[i.source[0] + lane]);
        Big const b = from_slot<T>(warp.registers[i.source[1] + lane]);
        Big const c = i.source[2] == none ? 0 : from_slot<T>(warp.registers[i.source[2] + lane]);
        Big const in = (i.variant & 1U) != 0 && has_lane(carry, lane) ? 1 : 0;
        Big result = 0;
        switch (static_cast<CarryOperation>(i.operation))
        {
        case CarryOperation::sum:
            result = a + b + in;
            break;
        case CarryOperation::difference:
            result = a - b - in;
            break;
        case CarryOperation::product_low:
            result = static_cast<T>(a * b) + c + in;
            break;
        case CarryOperation::product_high:
            result = static_cast<T>(a * b >> width) + c + in;
            break;
        }
        d[lane] = static_cast<T>(result);
        carry_out |= static_cast<LaneMask>(result >> width & 1) << lane;
    });
    if ((i.variant & 2U) != 0)
    {
        set_predicate(warp, i.source_predicate, lanes, carry_out);
    }
}

} // namespace

std::optional<Operation> carry_arithmetic(Mnemonic& mnemonic, Instruction& instruction)
{
    std::string_view const op = mnemonic.opcode();
    bool const carry_in = op == "addc" || op == "subc" || op == "madc";
    bool const carry_out = mnemonic.has("cc");
    if (!carry_in && !carry_out)
    {
        return std::nullopt;
    }
    bool const high = mnemonic.has("hi");
    mnemonic.has("lo");
    Type const type = mnemonic.type();
    if (is_floating(type) || size_of(type) < 4 || (high && is_signed(type)))
    {
        return std::nullopt;
    }
    CarryOperation const operation = op.starts_with("add")   ? CarryOperation::sum
                                     : op.starts_with("sub") ? CarryOperation::difference
                                     : high                  ? CarryOperation::product_high
                                                             : CarryOperation::product_low;
    instruction.operation = static_cast<std::uint8_t>(operation);
    instruction.variant = static_cast<std::uint8_t>((carry_in ? 1U : 0U) | (carry_out ? 2U : 0U));
    Handler const handler = size_of(type) == 8 ? with_carry<std::uint64_t> : with_carry<std::uint32_t>;
    return Operation{{handler, handler}, op.starts_with("mad") ? 3U : 2U};
}

// --- moves, selection and what has operands of its own ----------------------------------------------------------------------------

namespace
{

constexpr auto copy_32 = [](std::uint32_t a, std::uint32_t, std::uint32_t) { return a; };
constexpr auto copy_16 = [](std::uint16_t a, std::uint16_t, std::uint16_t) { return a; };
constexpr auto copy_64 = [](std::uint64_t a, std::uint64_t, std::uint64_t) { return a; };

std::uint64_t low_bits(unsigned bits)
{
    return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

// {a, b} -> one value of I.type
void pack(Warp& warp, Instruction const& i, LaneMask lanes)
{
    auto const& elements = warp.block->launch->kernel.vectors[i.auxiliary];
    unsigned const bits = 8 * size_of(i.type) / i.count;
    std::uint64_t* const d = warp.registers + i.destination;
    if (i.count == 2 && lanes == all_lanes)
    {
        std::uint64_t const* const low = warp.registers + elements[0];
        std::uint64_t const* const high = warp.registers + elements[1];
        write_all(d, [=](unsigned lane) { return low[lane] | high[lane] << bits; });
        return;
    }
    for_each_lane(lanes, [&](unsigned lane) {
        std::uint64_t value = 0;
        for (unsigned k = 0; k < i.count; ++k)
        {
            value |= (warp.registers[elements[k] + lane] & low_bits(bits)) << (k * bits);
        }
        d[lane] = value;
    });
}

// one value -> {a, b}, where either may be discarded
void unpack(Warp& warp, Instruction const& i, LaneMask lanes)
{
    auto const& elements = warp.block->launch->kernel.vectors[i.auxiliary];
    unsigned const bits = 8 * size_of(i.type) / i.count;
    std::uint64_t const* value = warp.registers + i.source[0];
    // The source may be the place of an element, too.
    std::array<std::uint64_t, warp_size> kept;
    if (std::find(elements.begin(), elements.end(), i.source[0]) != elements.end())
    {
        std::copy_n(value, warp_size, kept.begin());
        value = kept.data();
    }
    for (unsigned k = 0; k < i.count; ++k)
    {
        if (elements[k] == none)
        {
            continue;
        }
        std::uint64_t* const d = warp.registers + elements[k];
        auto const part = [value, shift = k * bits, mask = low_bits(bits)](unsigned lane) { return value[lane] >> shift & mask; };
        if (lanes == all_lanes)
        {
            write_all(d, part);
        }
        else
        {
            write_enabled(warp, d, part);
        }
    }
}

template<class T>
void bit_field_insert(Warp& warp, Instruction const& i, LaneMask lanes)
{
    constexpr unsigned width = 8 * sizeof(T);
    for_each_lane(lanes, [&](unsigned lane) {
        auto const source = [&](unsigned k) { return warp.registers[i.source[k] + lane]; };
        std::uint64_t into = source(1);
        std::uint64_t const begin = source(2) & 255;
        std::uint64_t const size = source(3) & 255;
        if (begin < width && size > 0)
        {
            std::uint64_t const mask = low_bits(static_cast<unsigned>(size)) << begin;
            into = (into & ~mask) | (source(0) << begin & mask);
        }
        warp.registers[i.destination + lane] = static_cast<T>(into);
    });
}

enum class Property : std::uint8_t
{
    finite,
    infinite,
    number,
    not_a_number,
    normal,
    subnormal
};

template<class T>
void test_property_of(Warp& warp, Instruction const& i, LaneMask lanes)
{
    LaneMask result = 0;
    for_each_lane(lanes, [&](unsigned lane) {
        T const x = from_slot<T>(warp.registers[i.source[0] + lane]);
        bool yes = false;
        switch (static_cast<Property>(i.operation))
        {
        case Property::finite:
            yes = std::isfinite(x);
            break;
        case Property::infinite:
            yes = std::isinf(x);
            break;
        case Property::number:
            yes = !std::isnan(x);
            break;
        case Property::not_a_number:
            yes = std::isnan(x);
            break;
        case Property::normal:
            yes = std::isnormal(x);
            break;
        case Property::subnormal:
            yes = std::fpclassify(x) == FP_SUBNORMAL;
            break;
        }
        result |= yes ? LaneMask{1} << lane : 0U;
    });
    set_predicate(warp, i.predicate, lanes, result);
}

void test_property(Warp& warp, Instruction const& i, LaneMask lanes)
{
    (i.type == Type::f64 ? test_property_of<double> : test_property_of<float>)(warp, i, lanes);
}

void read_clock(Warp& warp, Instruction const& i, LaneMask lanes)
{
    for_each_lane(lanes, [&](unsigned lane) { warp.registers[i.destination + lane] = warp.block->steps; });
}

// The predicates of source[0] and source[1] are given as source_predicate and auxiliary.
template<auto operation>
void on_predicates(Warp& warp, Instruction const& i, LaneMask lanes)
{
    LaneMask const b = i.auxiliary == none ? 0 : warp.predicates[i.auxiliary];
    set_predicate(warp, i.predicate, lanes, operation(source_predicate(warp, i), b));
}

} // namespace

namespace handlers
{

Handlers const move = elementwise<copy_64, std::uint64_t>();
Handlers const move_32 = elementwise<copy_32, std::uint32_t>();
Handlers const move_16 = elementwise<copy_16, std::uint16_t>();
Handlers const pack = same(emulator::pack);
Handlers const unpack = same(emulator::unpack);
Handlers const select = per_lane<[](Warp const& warp, Instruction const& i) {
    return [a = lanes_of(warp, i.source[0]), b = lanes_of(warp, i.source[1]), p = source_predicate(warp, i)](unsigned lane) {
        std::uint64_t const chosen = 0 - static_cast<std::uint64_t>(p >> lane & 1U);
        return (a[lane] & chosen) | (b[lane] & ~chosen);
    };
}>();
// Truth table in `operation`: bit 4a + 2b + c.
Handlers const logic_3 = per_lane<[](Warp const& warp, Instruction const& i) {
    return [a = lanes_of(warp, i.source[0]), b = lanes_of(warp, i.source[1]), c = lanes_of(warp, i.source[2]),
            table = unsigned{i.operation}](unsigned lane) {
        std::uint64_t result = 0;
        for (unsigned k = 0; k < 8; ++k)
        {
            std::uint64_t const term = ((k & 4U) != 0 ? a[lane] : ~a[lane]) & ((k & 2U) != 0 ? b[lane] : ~b[lane])
                                       & ((k & 1U) != 0 ? c[lane] : ~c[lane]);
            result |= (table >> k & 1U) != 0 ? term : 0;
        }
        return result & 0xffffffffU;
    };
}>();
Handlers const test_property = same(emulator::test_property);
Handlers const bit_field_insert_32 = same(bit_field_insert<std::uint32_t>);
Handlers const bit_field_insert_64 = same(bit_field_insert<std::uint64_t>);
Handlers const clock = same(read_clock);
Handlers const predicate_and = same(on_predicates<[](LaneMask a, LaneMask b) { return a & b; }>);
Handlers const predicate_or = same(on_predicates<[](LaneMask a, LaneMask b) { return a | b; }>);
Handlers const predicate_xor = same(on_predicates<[](LaneMask a, LaneMask b) { return a ^ b; }>);
Handlers const predicate_not = same(on_predicates<[](LaneMask a, LaneMask) { return ~a; }>);
Handlers const predicate_move = same(on_predicates<[](LaneMask a, LaneMask) { return a; }>);

} // namespace handlers

} // namespace emulator
