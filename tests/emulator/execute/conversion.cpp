// cvt: the frequent conversions as vector loops; all others one lane at a time.

#include "execute/elementwise.hpp"
#include "execute/operations.hpp"

namespace emulator
{

// In rounding.cpp: any conversion, with any rounding.
Handlers any_conversion_handlers(ptx::Type to, ptx::Type from);

namespace
{

using ptx::Type;

template<class To, class From>
constexpr Handlers direct()
{
    return elementwise<[](From a, From, From) { return static_cast<To>(a); }, From, To>();
}

// -> s32 of a double, saturating; NaN -> 0.
template<auto to_integral>
constexpr auto to_s32 = [](double a, double, double) {
    double const integral = to_integral(a);
    double const below = integral > 2147483647.0 ? 2147483647.0 : integral;
    double const within = below < -2147483648.0 ? -2147483648.0 : below;
    return static_cast<std::int32_t>(a == a ? within : 0.0);
};
constexpr auto nearest = [](double a) { return std::nearbyint(a); };
constexpr auto to_zero = [](double a) { return std::trunc(a); };

} // namespace

Handlers conversion(Type to, Type from, std::uint8_t rounding, bool to_integral_value, bool saturate)
{
    auto const is = [&](Type t, Type f) { return to == t && from == f; };
    if (!saturate && rounding == 0 && !to_integral_value)
    {
        if (is(Type::f64, Type::s32))
        {
            return direct<double, std::int32_t>();
        }
        if (is(Type::f64, Type::u32))
        {
            return direct<double, std::uint32_t>();
        }
        if (is(Type::f64, Type::f32))
        {
            return direct<double, float>();
        }
        if (is(Type::f32, Type::f64))
        {
            return direct<float, double>();
        }
        if (is(Type::u64, Type::u32))
        {
            return direct<std::uint64_t, std::uint32_t>();
        }
        if (is(Type::s64, Type::s32))
        {
            return direct<std::int64_t, std::int32_t>();
        }
    }
    if (!saturate && is(Type::s32, Type::f64))
    {
        if (rounding == 0 && to_integral_value)
        {
            return elementwise<to_s32<nearest>, double, std::int32_t>();
        }
        if (rounding == 1)
        {
            return elementwise<to_s32<to_zero>, double, std::int32_t>();
        }
    }
    return any_conversion_handlers(to, from);
}

} // namespace emulator
