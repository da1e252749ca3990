/// \file
/// Tolerances of the tests, each with its reason. None is loosened without one.
#pragma once

#include <cmath>
#include <gtest/gtest.h>

namespace nuscan::tolerance
{

/// The same formula written another way: some ten roundings of double precision.
inline constexpr double rounding = 1e-13;
/// Sums of a few thousand terms of one sign in another order.
inline constexpr double summation = 1e-12;
/// Routes and backends that share quadrature nodes, in |delta chi^2| / (1 + chi^2).
inline constexpr double implementation = 1e-10;
/// Against the reference, whose nodes are its own, in |delta chi^2| / (1 + chi^2).
inline constexpr double discretisation = 1e-6;
/// Against Boost's adaptive quadrature at its default target.
inline constexpr double quadrature = 1e-9;
/// Half of the last printed digit of a number with four digits or more.
inline constexpr double printed = 1e-3;

} // namespace nuscan::tolerance

namespace nuscan
{

/// |actual - expected| <= tolerance * |expected|.
inline ::testing::AssertionResult is_close(double actual, double expected, double tolerance)
{
    if (std::fabs(actual - expected) <= tolerance * std::fabs(expected))
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << actual << " differs from " << expected << " by " << std::fabs(actual / expected - 1.0)
                                         << " relative, allowed " << tolerance;
}

/// |delta chi^2| <= tolerance * (1 + chi^2).
inline ::testing::AssertionResult chi2_agrees(double actual, double expected, double tolerance)
{
    double const deviation = std::fabs(actual - expected) / (1.0 + std::fabs(expected));
    if (deviation <= tolerance)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "chi2 " << actual << " differs from " << expected << " by " << deviation
                                         << " of 1 + chi2, allowed " << tolerance;
}

} // namespace nuscan
