#include "host/stats/grid_curve.hpp"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "tests/support/tolerance.hpp"

namespace nuscan::test
{
namespace
{

/// Roots are found to 1e-13 of the coordinate; a cubic of values of order 10 rounds at 1e-14.
constexpr double exact = 1e-10;

CurveAxis linear_axis(double min, double max, std::int64_t n)
{
    return {Axis{-1, min, max, n, AxisScale::linear}.values(), AxisScale::linear};
}

CurveAxis coupling_axis(double min, double max, std::int64_t n)
{
    return {Axis{-1, min, max, n, AxisScale::log}.values(), AxisScale::log, true, true};
}

std::vector<double> at_nodes(CurveAxis const& axis, std::function<double(double)> const& chi2)
{
    std::vector<double> values;
    for (double const x : axis.values)
        values.push_back(chi2(x));
    return values;
}

void expect_crossing(double actual, double expected, double tolerance)
{
    EXPECT_TRUE(is_close(actual, expected, tolerance));
}

TEST(GridCurve, ParabolaIsExactBetweenNodes)
{
    auto const axis = linear_axis(-3.0, 5.0, 12);
    GridCurve const curve{axis, at_nodes(axis, [](double x) { return 7.0 + (x - 0.77) * (x - 0.77); }), 50.0};
    EXPECT_NEAR(curve.lowest(), 7.0, exact);
    auto const region = curve.allowed(curve.lowest(), 4.0);
    EXPECT_NEAR(region.best_fit, 0.77, 1e-4) << "the minimum of a parabola is known to the root of the precision";
    ASSERT_EQ(region.intervals.size(), 1U);
    expect_crossing(region.intervals[0].range.lo, 0.77 - 2.0, exact);
    expect_crossing(region.intervals[0].range.hi, 0.77 + 2.0, exact);
    EXPECT_EQ(region.intervals[0].lo_end, IntervalEnd::crossing);
    EXPECT_EQ(region.intervals[0].hi_end, IntervalEnd::crossing);
    EXPECT_FALSE(region.marginal);
    EXPECT_FALSE(region.zero_off_grid);
}

TEST(GridCurve, ErrorFallsWithTheFourthPowerOfTheStep)
{
    auto const chi2 = [](double x) { return std::cosh(x) - 1.0; };
    auto const error = [&](std::int64_t n) {
        auto const axis = linear_axis(-4.0, 4.0, n);
        return std::fabs(GridCurve{axis, at_nodes(axis, chi2), 0.0}.allowed(0.0, 2.70554).intervals.at(0).range.hi
                         - std::acosh(3.70554));
    };
    EXPECT_LT(error(81), 1e-4);
    EXPECT_LT(error(321) * 64.0, error(81)) << "a quarter of the step, at worst a 64th of the error";
}

TEST(GridCurve, LogAxisIsFollowedInItsLogarithm)
{
    // chi^2 of a coupling that enters as g^4.
    auto const axis = coupling_axis(1e-8, 1e-4, 200);
    auto const chi2 = [](double g) { return 5.0 + std::pow(g / 3e-7, 4); };
    GridCurve const curve{axis, at_nodes(axis, chi2), 5.0};
    auto const region = curve.allowed(curve.lowest(), 2.70554);
    ASSERT_EQ(region.intervals.size(), 1U);
    EXPECT_EQ(region.intervals[0].range.lo, 0.0);
    EXPECT_EQ(region.intervals[0].lo_end, IntervalEnd::physical_bound);
    // The step is 0.046 in ln g; a cubic leaves (4 step)^4 3 / 128 / 4 of it.
    expect_crossing(region.intervals[0].range.hi, 3e-7 * std::pow(2.70554, 0.25), 1e-5);
    EXPECT_EQ(region.best_fit, 0.0) << "chi^2 is flat at small couplings: the zero point stands for all";
}

TEST(GridCurve, PiecesStayApart)
{
    // Two minima of different depth with a hump of 3 between them.
    auto const axis = linear_axis(-2.0, 2.0, 101);
    auto const chi2 = [](double x) { return 3.0 * (x * x - 1.0) * (x * x - 1.0) + 0.1 * x; };
    GridCurve const curve{axis, at_nodes(axis, chi2), 3.0};
    auto const two = curve.allowed(curve.lowest(), 1.0);
    ASSERT_EQ(two.intervals.size(), 2U);
    EXPECT_LT(two.intervals[0].range.hi, 0.0);
    EXPECT_GT(two.intervals[1].range.lo, 0.0);
    EXPECT_FALSE(two.marginal);
    EXPECT_EQ(curve.allowed(curve.lowest(), 4.0).intervals.size(), 1U);
    double const hump = 3.0 - curve.lowest(); // at 0 nearly
    for (double const away : {-0.015, 0.015})
    {
        auto const region = curve.allowed(curve.lowest(), hump + away);
        EXPECT_TRUE(region.marginal) << away;
        EXPECT_EQ(region.intervals.size(), away < 0.0 ? 2U : 1U);
    }
    EXPECT_FALSE(curve.allowed(curve.lowest(), hump + 0.03).marginal);
}

TEST(GridCurve, DipBetweenTwoNodesIsFound)
{
    auto const axis = linear_axis(-10.0, 10.0, 21);
    auto const chi2 = [](double x) { return std::min(20.0, 40.0 * (x - 0.5) * (x - 0.5)); };
    // Both nodes beside the dip lie above the threshold.
    GridCurve const curve{axis, at_nodes(axis, chi2), NAN};
    auto const values = at_nodes(axis, chi2);
    EXPECT_LT(curve.lowest(), *std::min_element(values.begin(), values.end()) - 1.0);
    EXPECT_EQ(curve.allowed(curve.lowest(), 0.5).intervals.size(), 1U);
}

TEST(GridCurve, EndsOfTheGridAreToldFromBounds)
{
    auto const open = linear_axis(-1.0, 1.0, 11);
    auto const flat = at_nodes(open, [](double) { return 1.0; });
    auto const region = GridCurve{open, flat, 1.0}.allowed(1.0, 2.7);
    ASSERT_EQ(region.intervals.size(), 1U);
    EXPECT_EQ(region.intervals[0].range.lo, -1.0);
    EXPECT_EQ(region.intervals[0].range.hi, 1.0);
    EXPECT_EQ(region.intervals[0].lo_end, IntervalEnd::grid_edge);
    EXPECT_EQ(region.intervals[0].hi_end, IntervalEnd::grid_edge);

    CurveAxis bounded = linear_axis(0.0, 1.0, 11);
    bounded.bounded = bounded.has_zero = true;
    auto const at_zero = GridCurve{bounded, flat, 1.0}.allowed(1.0, 2.7);
    EXPECT_EQ(at_zero.intervals.at(0).lo_end, IntervalEnd::physical_bound);
    EXPECT_EQ(at_zero.intervals.at(0).range.lo, 0.0);
}

TEST(GridCurve, ZeroPointCountsWhereALogAxisCannotReach)
{
    auto const axis = coupling_axis(1e-8, 1e-5, 60);
    auto const rising = at_nodes(axis, [](double g) { return 3.0 + 1e14 * g * g; });
    // The zero point is far below all nodes: nothing of the grid is allowed, but 0 is.
    auto const hidden = GridCurve{axis, rising, -20.0}.allowed(-20.0, 2.7);
    EXPECT_TRUE(hidden.intervals.empty());
    EXPECT_TRUE(hidden.zero_off_grid);
    EXPECT_EQ(hidden.best_fit, 0.0);
    // It is excluded: then the lower end is not known, but it is not 0.
    auto const excluded = GridCurve{axis, rising, 30.0}.allowed(3.0, 2.7);
    EXPECT_EQ(excluded.intervals.at(0).lo_end, IntervalEnd::grid_edge);
    EXPECT_EQ(excluded.intervals.at(0).range.lo, 1e-8);
}

/// chi^2 of a magnetic moment in units of its limit: quartic, then the signal is profiled away. On a grid of any step a limit is right
/// or marked coarse, and then it is too weak rather than too strong.
TEST(GridCurve, CoarseGridsSaySo)
{
    auto const chi2 = [](double x) { return 40.0 + 2.70554 * std::pow(x, 4) / (1.0 + 0.01 * std::pow(x, 4)); };
    double const exact_limit = std::pow(1.0 / (1.0 - 0.01), 0.25);
    // Three ways to interpolate may be wrong alike where they cross.
    constexpr double right = 2.0 * coarse_end;
    int coarse = 0;
    for (std::int64_t n = 3; n <= 400; ++n)
        for (double const top : {4.0, 45.0})
        {
            auto axis = linear_axis(0.0, top, n);
            axis.bounded = axis.has_zero = true;
            GridCurve const curve{axis, at_nodes(axis, chi2), chi2(0.0)};
            auto const region = curve.allowed(curve.lowest(), 2.70554);
            ASSERT_EQ(region.intervals.size(), 1U) << n;
            double const limit = region.intervals[0].range.hi;
            if (region.coarse)
                EXPECT_GE(limit, exact_limit) << n << " nodes up to " << top;
            else
                EXPECT_NEAR(limit / exact_limit, 1.0, right) << n << " nodes up to " << top;
            coarse += region.coarse;
        }
    EXPECT_GT(coarse, 30);
    EXPECT_LT(coarse, 200);
}

TEST(GridCurve, MinimaBetweenFarNodesAreNotInvented)
{
    // A plateau, a narrow valley: a cubic through so few nodes overshoots.
    auto const axis = linear_axis(-10.0, 10.0, 6);
    auto const chi2 = at_nodes(axis, [](double x) { return 20.0 + 200.0 * (x - 1.1) * (x - 1.1) / (1.0 + (x - 1.1) * (x - 1.1)); });
    GridCurve const curve{axis, chi2, 500.0};
    EXPECT_GE(curve.lowest(), 20.0);
    EXPECT_TRUE(curve.allowed(curve.lowest(), 2.7).coarse);
}

TEST(GridCurve, ZeroOutsideAnUnboundedAxis)
{
    auto axis = linear_axis(8.0, 12.0, 300);
    axis.has_zero = true;
    auto const region = GridCurve{axis, at_nodes(axis, [](double x) { return 3.0 + x * x; }), 3.0}.allowed(3.0, 2.7);
    EXPECT_TRUE(region.intervals.empty());
    EXPECT_TRUE(region.zero_off_grid);
    auto below = linear_axis(-12.0, -8.0, 300);
    below.has_zero = true;
    EXPECT_TRUE((GridCurve{below, at_nodes(below, [](double x) { return 3.0 + x * x; }), 3.0}.allowed(3.0, 2.7).zero_off_grid));
    auto around = linear_axis(-12.0, 8.0, 300);
    around.has_zero = true;
    EXPECT_FALSE((GridCurve{around, at_nodes(around, [](double x) { return 3.0 + x * x; }), 3.0}.allowed(3.0, 2.7).zero_off_grid));
}

TEST(GridCurve, FailedNodesSplitIt)
{
    auto const axis = linear_axis(0.0, 10.0, 11);
    std::vector<double> chi2(11, 0.0);
    chi2[3] = chi2[4] = NAN;
    chi2[9] = 20.0;
    auto const region = GridCurve{axis, chi2, NAN}.allowed(0.0, 2.7);
    ASSERT_EQ(region.intervals.size(), 3U);
    EXPECT_EQ(region.intervals[0].range.hi, 2.0);
    EXPECT_EQ(region.intervals[0].hi_end, IntervalEnd::grid_edge);
    EXPECT_EQ(region.intervals[1].range.lo, 5.0);
    EXPECT_EQ(region.intervals[1].lo_end, IntervalEnd::grid_edge);
    EXPECT_EQ(region.intervals[1].hi_end, IntervalEnd::crossing);

    std::vector<double> const none(11, NAN);
    GridCurve const empty{axis, none, NAN};
    EXPECT_TRUE(std::isnan(empty.lowest()));
    EXPECT_TRUE(empty.allowed(0.0, 2.7).intervals.empty());
}

TEST(GridCurve, FewNodesWillDo)
{
    for (std::int64_t const n : {1, 2, 3})
    {
        CurveAxis const axis = n == 1 ? linear_axis(1.0, 1.0, 1) : linear_axis(1.0, 2.0, n);
        auto const region = GridCurve{axis, at_nodes(axis, [](double x) { return 4.0 * (x - 1.0); }), NAN}.allowed(0.0, 2.0);
        ASSERT_EQ(region.intervals.size(), 1U) << n;
        EXPECT_EQ(region.intervals[0].range.lo, 1.0);
        // Of two nodes nobody knows whether chi^2 rises evenly between them or as a parabola.
        EXPECT_EQ(region.coarse, n == 2);
        EXPECT_NEAR(region.intervals[0].range.hi, n == 1 ? 1.0 : n == 2 ? 2.0 : 1.5, exact);
    }
}

} // namespace
} // namespace nuscan::test
