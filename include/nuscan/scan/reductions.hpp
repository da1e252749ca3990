/// \file
/// What a finished surface is boiled down to: its lowest point, profiles over axes, distances from the minimum.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>

#include "nuscan/core/macros.hpp"

namespace nuscan
{

/// A value and where it stands.
struct IndexedValue
{
    double value = HUGE_VAL;
    std::int64_t index = -1;
};

/// The lower of two values; of equal ones that with the smaller index, so that the answer depends on no order of work. NaN (failed
/// points) never wins.
struct LowerValue
{
    NUSCAN_HD IndexedValue operator()(IndexedValue const& a, IndexedValue const& b) const
    {
        if (b.index < 0)
            return a;
        if (a.index < 0)
            return b;
        return b.value < a.value || (b.value == a.value && b.index < a.index) ? b : a;
    }
};

/// Value number \p index as an operand of LowerValue: NaN is no value at all.
NUSCAN_HD inline IndexedValue indexed_value(double value, std::int64_t index)
{
    return value == value ? IndexedValue{value, index} : IndexedValue{};
}

/// A surface seen as outer x n x inner values in C order, with the axis of n values singled out.
struct AxisSplit
{
    std::int64_t outer = 1;
    std::int64_t n = 1;
    std::int64_t inner = 1;
    NUSCAN_HD std::int64_t size() const { return outer * n * inner; }
    /// Index of value \p k along the axis of segment \p segment (of outer x inner).
    NUSCAN_HD std::int64_t index(std::int64_t segment, std::int64_t k) const
    {
        return (segment / inner * n + k) * inner + segment % inner;
    }
};

/// Reductions of chi^2 surfaces in host memory. Every implementation gives exactly the same numbers: they only compare and subtract.
class Reductions
{
public:
    virtual ~Reductions() = default;

    /// Lowest of \p n values and its index, the smallest one of several; index -1 if all are NaN.
    virtual IndexedValue best_fit(double const* chi2, std::int64_t n) = 0;

    /// Minimum over the axis singled out. \param minimum  [outer][inner], NaN where all values are
    /// \param where  [outer][inner] node on the axis, -1 where all values are NaN; may be null
    virtual void profile(double const* chi2, AxisSplit const& split, double* minimum, std::int64_t* where) = 0;

    /// chi^2 - \p chi2_min of \p n points. \param delta  [n]
    virtual void delta_chi2(double const* chi2, std::int64_t n, double chi2_min, double* delta) = 0;

    /// Allowed points: 1 where chi^2 - \p chi2_min <= \p threshold, else 0 (NaN too). \param mask  [n]
    /// \returns how many are allowed
    virtual std::int64_t allowed(double const* chi2, std::int64_t n, double chi2_min, double threshold, std::uint8_t* mask) = 0;
};

} // namespace nuscan
