#include "host/stats/intervals.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/support/error.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// Roots are found to 1e-13 relative; a parabola's chi^2 limits what can be resolved.
constexpr double root = 1e-9;

TEST(DeltaChi2, StandardThresholds)
{
    EXPECT_NEAR(delta_chi2(0.90, 1), 2.70554, 5e-6);
    EXPECT_NEAR(delta_chi2(0.90, 2), 4.60517, 5e-6);
    EXPECT_NEAR(delta_chi2(0.6826894921370859, 1), 1.0, 1e-12);
}

TEST(AllowedRegion, ParabolaAtAnyScale)
{
    for (double const scale : {1e-32, 1e-12, 1.0, 1e6})
    {
        auto const curve = [scale](double x) { return 3.0 + std::pow(x / scale - 0.5, 2); };
        auto const region = find_allowed_region(curve, false, 1.0);
        ASSERT_EQ(region.intervals.size(), 1u);
        EXPECT_TRUE(is_close(region.intervals[0].lo, -0.5 * scale, root));
        EXPECT_TRUE(is_close(region.intervals[0].hi, 1.5 * scale, root));
        EXPECT_NEAR(region.chi2_min, 3.0, root);
        EXPECT_TRUE(is_close(region.best_fit, 0.5 * scale, 1e-6));
        EXPECT_FALSE(region.marginal);
    }
}

TEST(AllowedRegion, BoundedParameterStartsAtZero)
{
    auto const region = find_allowed_region([](double x) { return 10.0 + std::pow(x / 1e-11, 4); }, true, 2.0);
    ASSERT_EQ(region.intervals.size(), 1u);
    EXPECT_EQ(region.intervals[0].lo, 0.0);
    EXPECT_TRUE(is_close(region.intervals[0].hi, std::pow(2.0, 0.25) * 1e-11, root));
    EXPECT_EQ(region.best_fit, 0.0);
}

TEST(AllowedRegion, TwoPiecesAndExcludedZero)
{
    // Minima at -2 and 1 of equal depth, hump of height 5.06 at -0.5.
    auto const curve = [](double x) { return std::pow((x + 2.0) * (x - 1.0), 2); };
    auto const region = find_allowed_region(curve, false, 1.0);
    ASSERT_EQ(region.intervals.size(), 2u);
    double const inner = std::sqrt(1.25);
    double const outer = std::sqrt(3.25);
    EXPECT_TRUE(is_close(region.intervals[0].lo, -0.5 - outer, root));
    EXPECT_TRUE(is_close(region.intervals[0].hi, -0.5 - inner, root));
    EXPECT_TRUE(is_close(region.intervals[1].lo, -0.5 + inner, root));
    EXPECT_TRUE(is_close(region.intervals[1].hi, -0.5 + outer, root));
    EXPECT_FALSE(region.marginal);
}

TEST(AllowedRegion, HumpsNearTheThresholdAreMarginal)
{
    auto const curve = [](double x) { return std::pow((x + 2.0) * (x - 1.0), 2); };
    double const hump = std::pow(1.5, 4);
    auto const joined = find_allowed_region(curve, false, hump + 0.01);
    EXPECT_EQ(joined.intervals.size(), 1u);
    EXPECT_TRUE(joined.marginal);
    auto const parted = find_allowed_region(curve, false, hump - 0.01);
    EXPECT_EQ(parted.intervals.size(), 2u);
    EXPECT_TRUE(parted.marginal);
    EXPECT_FALSE(find_allowed_region(curve, false, hump + 0.03).marginal);
}

TEST(AllowedRegion, UnconstrainedParameterIsInfinite)
{
    auto const region = find_allowed_region([](double) { return 7.0; }, false, 1.0);
    ASSERT_EQ(region.intervals.size(), 1u);
    EXPECT_TRUE(std::isinf(region.intervals[0].lo));
    EXPECT_TRUE(std::isinf(region.intervals[0].hi));
}

TEST(AllowedRegion, FailedPointsAreLeftOut)
{
    auto const curve = [](double x) { return std::fabs(x) > 1e3 ? NAN : x * x; };
    auto const region = find_allowed_region(curve, false, 4.0);
    ASSERT_EQ(region.intervals.size(), 1u);
    EXPECT_TRUE(is_close(region.intervals[0].hi, 2.0, root));
    EXPECT_THROW(find_allowed_region([](double) { return NAN; }, false, 1.0), InputError);
}

TEST(AllowedRegion, IsFoundFarFromZero)
{
    // The same curve shifted by 10^8 of its width.
    auto const curve = [](double x) { return std::pow((x + 2.0) * (x - 1.0), 2); };
    double const shift = 1e8;
    double const root_distance = 1e-5; // roots are found to 1e-13 of x
    auto const region = find_allowed_region([&](double x) { return curve(x - shift); }, false, 1.0);
    ASSERT_EQ(region.intervals.size(), 2u);
    EXPECT_NEAR(region.intervals[0].lo - shift, -0.5 - std::sqrt(3.25), root_distance);
    EXPECT_NEAR(region.intervals[0].hi - shift, -0.5 - std::sqrt(1.25), root_distance);
    EXPECT_NEAR(region.intervals[1].hi - shift, -0.5 + std::sqrt(3.25), root_distance);
    EXPECT_NEAR(region.chi2_min, 0.0, 1e-10);
}

TEST(AllowedRegion, DecouplingBestFitIsInfinite)
{
    auto const region = find_allowed_region([](double x) { return 5.0 + 3.0 / (1.0 + x * x); }, true, 1.0);
    EXPECT_TRUE(std::isinf(region.best_fit));
    ASSERT_EQ(region.intervals.size(), 1u);
    EXPECT_TRUE(is_close(region.intervals[0].lo, std::sqrt(2.0), root));
}

TEST(AllowedRegion, CoarseSamplingFindsTheSameLimits)
{
    auto const curve = [](double x) { return 1.0 + std::pow(x / 1e-12 - 0.3, 2) * (1.0 + 0.1 * std::pow(x / 1e-12, 2)); };
    auto const fine = find_allowed_region(curve, false, 2.7);
    auto const coarse = find_allowed_region(curve, false, 2.7, coarse_sampling);
    EXPECT_TRUE(is_close(coarse.intervals[0].hi, fine.intervals[0].hi, root));
    EXPECT_TRUE(is_close(coarse.intervals[0].lo, fine.intervals[0].lo, root));
}

} // namespace
} // namespace nuscan
