/// \file
/// A number that counts what is done to it: the formulas, run with it in place of a vector register, say what a point costs.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nuscan/core/real.hpp"

namespace nuscan::bench
{

/// Operations on values that differ from point to point. What all points side by side share is computed once for all of them and is
/// not counted.
struct OperationCounts
{
    std::int64_t multiply_add = 0;
    std::int64_t multiply = 0;
    std::int64_t add = 0; ///< and subtract
    std::int64_t divide = 0;
    std::int64_t sqrt = 0;
    std::int64_t log = 0;
    std::int64_t exp = 0;
    /// Comparisons, selections by a mask, magnitudes: cheap, on units of their own or beside the others, in no ceiling.
    std::int64_t compare = 0;

    OperationCounts& operator+=(OperationCounts const& other)
    {
        multiply_add += other.multiply_add;
        multiply += other.multiply;
        add += other.add;
        divide += other.divide;
        sqrt += other.sqrt;
        log += other.log;
        exp += other.exp;
        compare += other.compare;
        return *this;
    }
    friend OperationCounts operator-(OperationCounts const& a, OperationCounts const& b)
    {
        return {a.multiply_add - b.multiply_add,
                a.multiply - b.multiply,
                a.add - b.add,
                a.divide - b.divide,
                a.sqrt - b.sqrt,
                a.log - b.log,
                a.exp - b.exp,
                a.compare - b.compare};
    }
};

/// Everything counted in this thread so far.
inline thread_local OperationCounts operation_counts;

/// Result of a comparison of counted numbers: the mask of one lane.
struct CountedMask
{
    bool value = false;

    CountedMask() = default;
    explicit CountedMask(bool given) : value(given) {}
    bool operator[](std::size_t /*lane*/) const { return value; }
    friend CountedMask operator&&(CountedMask a, CountedMask b) { return CountedMask(a.value && b.value); }
    friend CountedMask operator||(CountedMask a, CountedMask b) { return CountedMask(a.value || b.value); }
    friend CountedMask operator!(CountedMask a) { return CountedMask(!a.value); }
};

/// A vector register of one lane. A change of sign is not counted: it goes into the multiply-add that follows.
class Counted
{
public:
    using mask_type = CountedMask;

    Counted() = default;
    Counted(double value) : value_(value) {}
    /// The value that \p generator gives for lane 0.
    template<class Generator>
    requires std::invocable<Generator const&, std::integral_constant<std::size_t, 0>>
    explicit Counted(Generator const& generator) : value_(generator(std::integral_constant<std::size_t, 0>{})) {}

    /// Loads and stores, as of any register; they are not counted.
    template<class Alignment>
    Counted(double const* values, Alignment) : value_(*values)
    {
    }
    template<class Alignment>
    void copy_to(double* values, Alignment) const
    {
        *values = value_;
    }

    static constexpr std::size_t size() { return 1; }
    double value() const { return value_; }
    double operator[](std::size_t /*lane*/) const { return value_; }

    friend Counted operator-(Counted a) { return -a.value_; }
    friend Counted operator+(Counted a, Counted b)
    {
        ++operation_counts.add;
        return a.value_ + b.value_;
    }
    friend Counted operator-(Counted a, Counted b)
    {
        ++operation_counts.add;
        return a.value_ - b.value_;
    }
    friend Counted operator*(Counted a, Counted b)
    {
        ++operation_counts.multiply;
        return a.value_ * b.value_;
    }
    friend Counted operator/(Counted a, Counted b)
    {
        ++operation_counts.divide;
        return a.value_ / b.value_;
    }
    Counted& operator+=(Counted other) { return *this = *this + other; }
    Counted& operator-=(Counted other) { return *this = *this - other; }
    Counted& operator*=(Counted other) { return *this = *this * other; }
    Counted& operator/=(Counted other) { return *this = *this / other; }

    friend CountedMask operator<(Counted a, Counted b) { return compared(a.value_ < b.value_); }
    friend CountedMask operator>(Counted a, Counted b) { return compared(a.value_ > b.value_); }
    friend CountedMask operator<=(Counted a, Counted b) { return compared(a.value_ <= b.value_); }
    friend CountedMask operator>=(Counted a, Counted b) { return compared(a.value_ >= b.value_); }
    friend CountedMask operator==(Counted a, Counted b) { return compared(a.value_ == b.value_); }
    friend CountedMask operator!=(Counted a, Counted b) { return compared(a.value_ != b.value_); }

private:
    static CountedMask compared(bool result)
    {
        ++operation_counts.compare;
        return CountedMask(result);
    }

    double value_ = 0.0;
};

} // namespace nuscan::bench

namespace nuscan
{

template<>
struct RealOps<bench::Counted>
{
    using Real = bench::Counted;
    using Mask = bench::CountedMask;
    static constexpr std::size_t size = 1;

    static Real select(Mask mask, Real yes, Real no)
    {
        ++bench::operation_counts.compare;
        return mask.value ? yes : no;
    }
    static Real min(Real a, Real b)
    {
        ++bench::operation_counts.compare;
        return a.value() < b.value() ? a : b;
    }
    static bool any(Mask mask) { return mask.value; }
    static bool all(Mask mask) { return mask.value; }
    static Real multiply_add(Real a, Real b, Real c)
    {
        ++bench::operation_counts.multiply_add;
        return std::fma(a.value(), b.value(), c.value());
    }
    static Real abs(Real x)
    {
        ++bench::operation_counts.compare;
        return std::fabs(x.value());
    }
    static Real sqrt(Real x)
    {
        ++bench::operation_counts.sqrt;
        return std::sqrt(x.value());
    }
    static Mask is_finite(Real x)
    {
        ++bench::operation_counts.compare;
        return Mask(std::isfinite(x.value()));
    }
    /// On the units for integers, all but the last addition.
    static Real take_exponent(Real x, Real& exponent)
    {
        double k = exponent.value();
        double const mantissa = RealOps<double>::take_exponent(x.value(), k);
        ++bench::operation_counts.compare;
        ++bench::operation_counts.add;
        exponent = k;
        return mantissa;
    }
    static Real log(Real x)
    {
        ++bench::operation_counts.log;
        return std::log(x.value());
    }
};

} // namespace nuscan
