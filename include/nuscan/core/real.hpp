/// \file
/// What a numeric type must offer beyond arithmetic, so that one formula serves a device thread, a CPU core and the lanes of a
/// vector register.
#pragma once

#include <cmath>

#include "nuscan/core/macros.hpp"

namespace nuscan
{

/// Operations on `Real`: a number, or several that go through the same steps side by side. Control flow is written with masks: a
/// loop goes on while any lane wants it, and lanes that are done keep their values by `select`.
template<class Real>
struct RealOps;

template<>
struct RealOps<double>
{
    using Mask = bool;

    NUSCAN_HD static double select(bool mask, double yes, double no) { return mask ? yes : no; }
    NUSCAN_HD static bool any(bool mask) { return mask; }
    /// a b + c, rounded once where the hardware does that at no cost.
    NUSCAN_HD static constexpr double multiply_add(double a, double b, double c) { return a * b + c; }
    /// The smaller one; \p b if \p a is NaN.
    NUSCAN_HD static double min(double a, double b) { return a < b ? a : b; }
    NUSCAN_HD static double abs(double x) { return std::fabs(x); }
    NUSCAN_HD static double sqrt(double x) { return std::sqrt(x); }
    NUSCAN_HD static double log(double x) { return std::log(x); }
    /// \p x = m 2^k with sqrt(1/2) <= m < sqrt(2), for positive normal numbers: adds k to \p exponent. \returns m
    NUSCAN_HD static double take_exponent(double x, double& exponent)
    {
        constexpr double sqrt_half = 0x1.6a09e667f3bcdp-1;
        int k = 0;
        double const mantissa = std::frexp(x, &k); // in [1/2, 1)
        bool const low = mantissa < sqrt_half;
        exponent += low ? k - 1 : k;
        return low ? 2.0 * mantissa : mantissa;
    }
    NUSCAN_HD static bool is_finite(double x) { return std::isfinite(x); }
};

template<class Real>
using MaskOf = typename RealOps<Real>::Mask;

} // namespace nuscan
