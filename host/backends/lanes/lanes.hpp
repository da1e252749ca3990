/// \file
/// Vector registers as a number type of the formulas. For files that are compiled for one instruction set only.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <experimental/simd>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "nuscan/core/real.hpp"

namespace nuscan
{

/// As many doubles as a register of the instruction set holds.
using Lanes = std::experimental::native_simd<double>;

template<>
struct RealOps<Lanes>
{
    using Mask = Lanes::mask_type;
    static constexpr std::size_t size = Lanes::size();

    [[gnu::always_inline]] static Lanes select(Mask mask, Lanes yes, Lanes no)
    {
#if defined(__AVX512F__) && defined(__clang__)
        // Compiled by Clang, where() of libstdc++ takes the whole register or nothing of it (a gap that its simd_x86.h names).
        auto const bits = static_cast<__mmask8>(mask.__to_bitset().to_ulong());
        return static_cast<Lanes>(_mm512_mask_blend_pd(bits, static_cast<__m512d>(no), static_cast<__m512d>(yes)));
#else
        where(mask, no) = yes;
        return no;
#endif
    }
    [[gnu::always_inline]] static bool any(Mask mask)
    {
        return any_of(mask);
    }
    [[gnu::always_inline]] static bool all(Mask mask)
    {
        return all_of(mask);
    }
    [[gnu::always_inline]] static Lanes multiply_add(Lanes a, Lanes b, Lanes c)
    {
        // By intrinsics: which products a compiler contracts by itself may differ between instruction sets.
#if defined(__AVX512F__)
        return static_cast<Lanes>(_mm512_fmadd_pd(static_cast<__m512d>(a), static_cast<__m512d>(b), static_cast<__m512d>(c)));
#elif defined(__FMA__)
        return static_cast<Lanes>(_mm256_fmadd_pd(static_cast<__m256d>(a), static_cast<__m256d>(b), static_cast<__m256d>(c)));
#else
        return a * b + c;
#endif
    }
    [[gnu::always_inline]] static Lanes min(Lanes a, Lanes b)
    {
        // Without the library's care for NaN, this is one instruction.
#if defined(__AVX512F__)
        return static_cast<Lanes>(_mm512_min_pd(static_cast<__m512d>(a), static_cast<__m512d>(b)));
#elif defined(__AVX2__)
        return static_cast<Lanes>(_mm256_min_pd(static_cast<__m256d>(a), static_cast<__m256d>(b)));
#else
        return select(a < b, a, b);
#endif
    }
    [[gnu::always_inline]] static Lanes abs(Lanes x)
    {
        return std::experimental::abs(x);
    }
    [[gnu::always_inline]] static Lanes sqrt(Lanes x)
    {
        return std::experimental::sqrt(x);
    }
    [[gnu::always_inline]] static Mask is_finite(Lanes x)
    {
        return std::experimental::abs(x) < HUGE_VAL;
    }

    /// \p x = m 2^k with sqrt(1/2) <= m < sqrt(2), for positive normal numbers: adds k to \p exponent. \returns m
    [[gnu::always_inline]] static Lanes take_exponent(Lanes x, Lanes& exponent)
    {
        using Bits = std::experimental::rebind_simd_t<std::uint64_t, Lanes>;
        constexpr std::uint64_t sqrt_half = std::bit_cast<std::uint64_t>(0x1.6a09e667f3bcdp-1);
        constexpr std::uint64_t mantissa_mask = (std::uint64_t{1} << 52) - 1;
        constexpr std::uint64_t bias = 1024;
        // An integer below 2^52 in the low bits of 2^52 is added to it.
        constexpr double two_to_52 = 0x1p52;
        Bits const bits = std::bit_cast<Bits>(x) - sqrt_half;
        Bits const shifted = (bits + (bias << 52)) >> 52;
        exponent += std::bit_cast<Lanes>(shifted | std::bit_cast<std::uint64_t>(two_to_52)) - (two_to_52 + double{bias});
        return std::bit_cast<Lanes>((bits & mantissa_mask) + sqrt_half);
    }

    /// Natural logarithm to 1.5 units in the last place for positive normal numbers; NaN below, at infinity and for NaN.
    /// x = 2^k m with sqrt(1/2) <= m < sqrt(2); ln m = 2 atanh(f/(2 + f)) with f = m - 1, as an odd series in s = f/(2 + f):
    /// its terms are below 1e-17 from s^21 on. ln 2 is split so that k times its upper part is exact.
    [[gnu::always_inline]] static Lanes log(Lanes x)
    {
        Lanes k = 0.0;
        Lanes const mantissa = take_exponent(x, k);
        Lanes const f = mantissa - 1.0;
        Lanes const s = f / (2.0 + f);
        Lanes const z = s * s;
        Lanes series = 2.0 / 19.0;
        for (double const coefficient :
             {2.0 / 17.0, 2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0})
            series = multiply_add(series, z, Lanes(coefficient));
        // 2 s = f - f s: the leading term without the rounding error of s.
        Lanes const tail = multiply_add(s * z, series, multiply_add(k, Lanes(0x1.ef35793c7673p-45), -(f * s)));
        Lanes const value = multiply_add(k, Lanes(0x1.62e42fefa38p-1), f + tail);
        return select(x > 0.0 && x < HUGE_VAL, value, Lanes(NAN));
    }
};

} // namespace nuscan
