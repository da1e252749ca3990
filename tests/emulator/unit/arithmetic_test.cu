// Differential test of the interpreter: one __host__ __device__ function for each kind of operation runs natively and from its PTX, on
// thousands of inputs, and gives the same bits. Built without contraction of products and sums on either side.

#include "device_test.hpp"

#include <cuda/std/bit>
#include <cuda/std/complex>
#include <cuda/std/limits>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace
{

#define HD __host__ __device__

constexpr int inputs = 4000;

// The raw material of one input.
struct Sample
{
    std::uint64_t a, b;
    std::uint32_t c, d; // d is odd
    std::int32_t e, f;  // f is odd
    std::int64_t g, h;  // h is odd
    double x, y;        // in (-10, 10) and (0.01, 17)
    float u, v;
};

HD Sample sample(std::uint64_t seed)
{
    std::uint64_t s = seed * 0x9E3779B97F4A7C15ULL + 1;
    auto const next = [&] {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        return s;
    };
    for (int i = 0; i < 8; ++i)
    {
        next();
    }
    Sample r{};
    r.a = next();
    r.b = next();
    r.c = static_cast<std::uint32_t>(next());
    r.d = static_cast<std::uint32_t>(next()) | 1U;
    r.e = static_cast<std::int32_t>(next());
    r.f = static_cast<std::int32_t>(next()) | 1;
    r.g = static_cast<std::int64_t>(r.a);
    r.h = static_cast<std::int64_t>(r.b) | 1;
    r.x = 20.0 * (static_cast<double>(next() >> 11) / 9007199254740992.0) - 10.0;
    r.y = 0.01 + static_cast<double>(next() >> 40) * 1e-6;
    r.u = static_cast<float>(r.x);
    r.v = static_cast<float>(r.y);
    return r;
}

HD std::uint64_t bits(double d)
{
    std::uint64_t u = 0;
    memcpy(&u, &d, sizeof u);
    return u;
}
HD std::uint64_t bits(float d)
{
    std::uint32_t u = 0;
    memcpy(&u, &d, sizeof u);
    return u;
}
template<class T>
HD std::uint64_t bits(T value)
{
    return static_cast<std::uint64_t>(value);
}

template<class Operation>
__global__ void run(std::uint64_t* out)
{
    int const i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < inputs)
    {
        out[i] = Operation::of(sample(static_cast<std::uint64_t>(i)));
    }
}

class ArithmeticTest : public DeviceTest
{
protected:
    // No template, which would make a test of each kind costly to compile.
    static void expect_same_bits(void (*kernel)(std::uint64_t*), std::uint64_t (*on_host)(Sample const&))
    {
        DeviceArray<std::uint64_t> const out(inputs);
        constexpr unsigned block = 96;
        kernel<<<(inputs + block - 1) / block, block>>>(out.get());
        ASSERT_CUDA(cudaDeviceSynchronize()) << fault_text();
        std::vector<std::uint64_t> const values = out.values();
        int different = 0;
        for (std::size_t i = 0; i < inputs; ++i)
        {
            std::uint64_t const expected = on_host(sample(i));
            if (values[i] != expected && different++ < 3)
            {
                ADD_FAILURE() << "input " << i << ": " << std::hex << values[i] << " instead of " << expected;
            }
        }
        EXPECT_EQ(different, 0);
    }
};

#define SAME_BITS(name, expression)                                                                                                \
    struct name                                                                                                                    \
    {                                                                                                                              \
        HD static std::uint64_t of(Sample const& s)                                                                                \
        {                                                                                                                          \
            auto const [a, b, c, d, e, f, g, h, x, y, u, v] = s;                                                                   \
            (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h, (void)x, (void)y, (void)u, (void)v;            \
            return bits(expression);                                                                                               \
        }                                                                                                                          \
    };                                                                                                                             \
    TEST_F(ArithmeticTest, name)                                                                                                   \
    {                                                                                                                              \
        expect_same_bits(run<name>, name::of);                                                                                     \
    }

using i8 = std::int8_t;
using i16 = std::int16_t;
using i64 = std::int64_t;
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

SAME_BITS(Add64, a + b)
SAME_BITS(Multiply64, a* b)
SAME_BITS(DivideUnsigned64, a / (b | 1U))
SAME_BITS(RemainderUnsigned64, a % (b | 1U))
SAME_BITS(DivideSigned64, g / h)
SAME_BITS(RemainderSigned64, g % h)
SAME_BITS(DivideUnsigned32, c / d + c % d)
SAME_BITS(DivideSigned32, static_cast<u32>(e / f) + static_cast<u32>(e % f))
SAME_BITS(ShiftLeft64, a << (b & 63U))
SAME_BITS(ShiftRight64, a >> (b & 63U))
SAME_BITS(ShiftRightSigned64, g >> (b & 63U))
SAME_BITS(Rotate32, c << (d & 31U) | c >> (32U - (d & 31U)))
SAME_BITS(ShiftRightSigned32, static_cast<u32>(e >> (d & 31U)))
SAME_BITS(NarrowSigned, static_cast<i64>(static_cast<i8>(c)) * static_cast<i16>(d))
SAME_BITS(NarrowUnsigned,
          static_cast<u64>(static_cast<u8>(c)) * static_cast<u16>(d) + static_cast<u16>(static_cast<u16>(c) + static_cast<u16>(d)))
SAME_BITS(CountBits, cuda::std::popcount(a) + 100 * cuda::std::countl_zero(b) + 10000 * cuda::std::countr_zero(c | 16U))
SAME_BITS(HighHalfUnsigned, static_cast<u64>((unsigned __int128)(a)*b >> 64))
SAME_BITS(HighHalfSigned, static_cast<u64>((__int128)(g)*h >> 64))
SAME_BITS(Sum128, static_cast<u64>(((unsigned __int128)(a)*b + a) >> 64) ^ static_cast<u64>(((unsigned __int128)(a)-b) >> 64))
SAME_BITS(LogicOfThree, (c & d) ^ (~c & static_cast<u32>(e)) ^ (c | static_cast<u32>(f)))
SAME_BITS(MinMaxIntegers, (e < f ? e : f) + static_cast<i64>(g > h ? g : h) + (c < d ? c : d))
SAME_BITS(AbsoluteIntegers, static_cast<u64>(g < 0 ? 0 - static_cast<u64>(g) : static_cast<u64>(g))
                                + static_cast<u32>(e < 0 ? 0U - static_cast<u32>(e) : static_cast<u32>(e)))
SAME_BITS(MultiplyWide, static_cast<i64>(e) * f + static_cast<i64>(a))
SAME_BITS(AddDouble, x + y)
SAME_BITS(MultiplySubtractDouble, x* y - y)
SAME_BITS(DivideDouble, x / y)
SAME_BITS(ReciprocalDouble, 1.0 / x)
SAME_BITS(SquareRootDouble, sqrt(y))
SAME_BITS(FusedDouble, fma(x, y, -x))
SAME_BITS(FloorCeil, bits(floor(x)) ^ bits(ceil(y)))
SAME_BITS(TruncRint, bits(trunc(x)) ^ bits(rint(x)))
SAME_BITS(RoundDouble, bits(round(x)) ^ bits(nearbyint(y)))
SAME_BITS(MinMaxDouble, bits(fmin(x, y)) ^ bits(fmax(x, -y)))
SAME_BITS(MinMaxZeroAndNan, bits(fmin(x, x < 0 ? NAN : 1.0)) ^ bits(fmax(y, u > 0 ? NAN : 2.0)))
SAME_BITS(AbsCopysign, bits(fabs(x)) ^ bits(copysign(y, x)))
SAME_BITS(DoubleToSigned64, static_cast<i64>(x * 1e6))
SAME_BITS(DoubleToSigned32, static_cast<u32>(static_cast<std::int32_t>(x * 1e3)))
SAME_BITS(DoubleToUnsigned64, static_cast<u64>(y * 1e9))
SAME_BITS(DoubleToUnsigned32, static_cast<u32>(y * 1e6))
SAME_BITS(LrintDouble, static_cast<i64>(lrint(x)) + llrint(y))
SAME_BITS(Signed64ToDouble, static_cast<double>(g))
SAME_BITS(Unsigned64ToDouble, static_cast<double>(a))
SAME_BITS(Signed32ToDouble, static_cast<double>(e) + static_cast<double>(c))
SAME_BITS(Signed64ToFloat, static_cast<float>(g))
SAME_BITS(Unsigned32ToFloat, static_cast<float>(c))
SAME_BITS(DoubleToFloat, static_cast<float>(x))
SAME_BITS(FloatToDouble, static_cast<double>(u))
SAME_BITS(FloatToInteger, static_cast<u32>(static_cast<std::int32_t>(u * 100)) + static_cast<u32>(v))
SAME_BITS(MultiplyAddFloat, u* v + v)
SAME_BITS(DivideSqrtFloat, bits(u / v) ^ bits(sqrtf(v)))
SAME_BITS(FloorFloat, bits(floorf(u)) ^ bits(rintf(v)))

HD __noinline__ int collatz(int n)
{
    int k = 0;
    for (; n != 1 && k < 1000; ++k)
    {
        n = (n & 1) != 0 ? 3 * n + 1 : n / 2;
    }
    return k;
}
SAME_BITS(DivergentLoopInACall, collatz(static_cast<int>(c % 1000U) + 1))

HD __noinline__ double horner(double const* coefficients, int n, double x)
{
    double r = 0;
    for (int i = n - 1; i >= 0; --i)
    {
        r = fma(r, x, coefficients[i]);
    }
    return r;
}
HD double polynomial(double x, std::uint32_t c)
{
    double coefficients[6];
    for (int i = 0; i < 6; ++i)
    {
        coefficients[(static_cast<std::uint32_t>(i) * 5U + c) % 6U] = x + i;
    }
    return horner(coefficients, 6, 0.25);
}
SAME_BITS(LocalArrayInACall, polynomial(x, c))

HD int chosen(int x)
{
    switch (x)
    {
    case 0:
        return 7;
    case 1:
        return -3;
    case 2:
        return x * 5;
    case 3:
        return 11;
    case 4:
        return x ^ 21;
    case 5:
        return 2;
    case 6:
        return -x;
    case 7:
        return 99;
    default:
        return 1;
    }
}
SAME_BITS(Switch, static_cast<i64>(chosen(static_cast<int>(c % 9U))))
SAME_BITS(Comparisons, (x < y) + 2 * (x >= -y) + 4 * (x != x) + 8 * (u > v) + 16 * (e < f) + 32 * (c < d) + 64 * (g < h)
                           + 128 * (a < b) + 256 * (static_cast<i16>(c) < static_cast<i16>(d)))
SAME_BITS(ComparisonsWithNan, x < 0 ? cuda::std::numeric_limits<double>::quiet_NaN() > x ? 1.0 : 2.0 : 3.0)
SAME_BITS(Nextafter, nextafter(x, y))
SAME_BITS(Ldexp, ldexp(x, static_cast<int>(c % 40U) - 20))
SAME_BITS(Frexp, [](double value) {
    int exponent = 0;
    return bits(frexp(value, &exponent)) + static_cast<u64>(exponent);
}(x))
SAME_BITS(Fmod, fmod(x, y))
SAME_BITS(ComplexNorm, static_cast<double>(cuda::std::norm(cuda::std::complex<double>(x, y))))

// The device's own functions are not glibc's: both are right to an ulp or so.
struct MathFunction
{
    char const* name;
    double tolerance; // of the relative difference
};
constexpr double few_ulp = 5e-16;
constexpr double five_ulp = 1.2e-15; // what NVIDIA gives as the greatest error
constexpr double sum_of_several = 5e-13;
constexpr MathFunction functions[] = {
    {"exp", few_ulp},    {"log", few_ulp},  {"pow", few_ulp},   {"sin", few_ulp},   {"cos", few_ulp},        {"tan", few_ulp},
    {"atan2", few_ulp},  {"erf", few_ulp},  {"lgamma", 2e-15},  {"expm1", few_ulp}, {"log1p", few_ulp},      {"sinh", few_ulp},
    {"tgamma", few_ulp}, {"cbrt", few_ulp}, {"erfc", five_ulp}, {"hypot", few_ulp}, {"sum", sum_of_several},
};
constexpr int function_count = 17;

HD void evaluate(double x, double* out)
{
    double const y = fabs(x) + 1e-3;
    double const values[function_count] = {exp(x),
                                           log(y),
                                           pow(y, 0.37 * x),
                                           sin(50 * x),
                                           cos(1e6 * x),
                                           tan(x),
                                           atan2(x, y),
                                           erf(x),
                                           lgamma(y),
                                           expm1(x * 1e-3),
                                           log1p(y * 1e-3),
                                           sinh(x),
                                           tgamma(1 + 0.1 * y),
                                           cbrt(x),
                                           erfc(0.3 * x),
                                           hypot(x, y),
                                           exp(x) + log(y) * sin(x) / (1 + x * x)};
    for (int k = 0; k < function_count; ++k)
    {
        out[k] = values[k];
    }
}
__global__ void evaluate_all(double* out)
{
    int const i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < inputs)
    {
        evaluate(-8 + 16.0 * i / inputs, out + static_cast<std::size_t>(i) * function_count);
    }
}

TEST_F(ArithmeticTest, MathematicalFunctionsAgreeWithTheCLibrary)
{
    DeviceArray<double> const out(static_cast<std::size_t>(inputs) * function_count);
    evaluate_all<<<(inputs + 63) / 64, 64>>>(out.get());
    ASSERT_CUDA(cudaDeviceSynchronize()) << fault_text();
    std::vector<double> const values = out.values();
    for (int k = 0; k < function_count; ++k)
    {
        double worst = 0;
        for (int i = 0; i < inputs; ++i)
        {
            double expected[function_count];
            evaluate(-8 + 16.0 * i / inputs, expected);
            double const value = values[static_cast<std::size_t>(i * function_count + k)];
            // Beside the zeros of lgamma the absolute error counts.
            worst = std::fmax(worst, std::fabs(value - expected[k]) / std::fmax(std::fabs(expected[k]), 1e-2));
        }
        EXPECT_LT(worst, functions[k].tolerance) << functions[k].name;
    }
}

struct Rounded
{
    double up, down, zero, nearest, quotient_up, root_down, fused_zero;
    float to_float_up, to_float_down;
};
__global__ void round_all(Rounded* out, double a, double b)
{
    *out = {__dadd_ru(a, b), __dadd_rd(a, b),    __dadd_rz(a, b),      __dadd_rn(a, b),     __ddiv_ru(a, b),
            __dsqrt_rd(a),   __fma_rz(a, b, -a), __double2float_ru(a), __double2float_rd(a)};
}

TEST_F(ArithmeticTest, DirectedRounding)
{
    DeviceArray<Rounded> const out(1);
    round_all<<<1, 1>>>(out.get(), 1.0, 1e-20);
    ASSERT_CUDA(cudaDeviceSynchronize()) << fault_text();
    Rounded const r = out.values()[0];
    EXPECT_EQ(r.up, std::nextafter(1.0, 2.0));
    EXPECT_EQ(r.down, 1.0);
    EXPECT_EQ(r.zero, 1.0);
    EXPECT_EQ(r.nearest, 1.0);
    EXPECT_GE(r.quotient_up, 1e20);
    EXPECT_EQ(r.root_down, 1.0);
    EXPECT_EQ(r.fused_zero, std::nextafter(-1.0, 0.0));
    round_all<<<1, 1>>>(out.get(), 0.1, 3.0);
    Rounded const tenth = out.values()[0];
    EXPECT_GT(static_cast<double>(tenth.to_float_up), 0.1);
    EXPECT_LT(static_cast<double>(tenth.to_float_down), 0.1);
    EXPECT_EQ(std::nextafterf(tenth.to_float_down, 1.0F), tenth.to_float_up);
}

__global__ void saturate(std::int64_t* out, double nan, double big)
{
    out[0] = static_cast<int>(big);
    out[1] = static_cast<int>(-big);
    out[2] = static_cast<int>(nan);
    out[3] = static_cast<unsigned>(-big);
    out[4] = static_cast<std::int64_t>(big);
    out[5] = static_cast<int>(static_cast<float>(big));
    out[6] = static_cast<std::int64_t>(nan);
}

TEST_F(ArithmeticTest, ConversionsSaturate)
{
    DeviceArray<std::int64_t> const out(7);
    saturate<<<1, 1>>>(out.get(), NAN, 1e30);
    std::vector<std::int64_t> const expected{2147483647, -2147483648LL, 0, 0, INT64_MAX, 2147483647, INT64_MIN};
    EXPECT_EQ(out.values(), expected);
}

} // namespace
