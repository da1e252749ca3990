/// \file
/// Complex numbers that work in device code without CUDA headers.
#pragma once

#include <cmath>

#include "nuscan/core/macros.hpp"

namespace nuscan
{

struct Complex
{
    double re = 0.0;
    double im = 0.0;

    /// exp(i phase).
    NUSCAN_HD static Complex unit(double phase) { return {std::cos(phase), std::sin(phase)}; }
    NUSCAN_HD constexpr Complex conjugate() const { return {re, -im}; }
    /// |z|^2.
    NUSCAN_HD constexpr double norm() const { return re * re + im * im; }
};

NUSCAN_HD constexpr Complex operator+(Complex a, Complex b)
{
    return {a.re + b.re, a.im + b.im};
}

NUSCAN_HD constexpr Complex operator-(Complex a)
{
    return {-a.re, -a.im};
}

NUSCAN_HD constexpr Complex operator*(Complex a, Complex b)
{
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

NUSCAN_HD constexpr Complex operator*(double a, Complex b)
{
    return {a * b.re, a * b.im};
}

} // namespace nuscan
