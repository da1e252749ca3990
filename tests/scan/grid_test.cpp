#include "nuscan/scan/grid.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/tolerance.hpp"

namespace nuscan::test
{
namespace
{

Axis axis(double min, double max, std::int64_t n, AxisScale scale)
{
    return {0, min, max, n, scale};
}

TEST(Axis, EndsAreExact)
{
    // Ends that exp(log()) and sums of steps miss.
    for (AxisScale const scale : {AxisScale::linear, AxisScale::log})
        for (auto const& [min, max] : {std::pair{1e-4, 1e3}, {0.1, 0.7}, {3e-300, 7e300}, {1e-13, 1.0000000000000002e-13}})
            for (std::int64_t const n : {2, 3, 10, 1000, 999983})
            {
                auto const a = axis(min, max, n, scale);
                EXPECT_EQ(a.value(0), min);
                EXPECT_EQ(a.value(n - 1), max);
            }
    EXPECT_EQ(axis(-160e-32, 160e-32, 3201, AxisScale::linear).value(0), -160e-32);
}

TEST(Axis, LinearNodesAreEvenlySpaced)
{
    auto const a = axis(-3.0, 5.0, 17, AxisScale::linear);
    for (std::int64_t i = 0; i < 17; ++i)
        EXPECT_NEAR(a.value(i), -3.0 + 0.5 * static_cast<double>(i), 8.0 * tolerance::rounding);
    EXPECT_EQ(axis(-1.0, 1.0, 3, AxisScale::linear).value(1), 0.0) << "the middle of a symmetric axis is 0";
}

TEST(Axis, LogNodesHaveEqualRatios)
{
    auto const a = axis(1e-4, 1e3, 1000, AxisScale::log);
    double const ratio = std::pow(10.0, 7.0 / 999.0);
    for (std::int64_t i = 1; i < a.n; ++i)
        EXPECT_TRUE(is_close(a.value(i) / a.value(i - 1), ratio, tolerance::rounding)) << i;
    auto const decades = axis(1e-4, 1e3, 8, AxisScale::log);
    for (std::int64_t i = 0; i < 8; ++i)
        EXPECT_TRUE(is_close(decades.value(i), std::pow(10.0, static_cast<double>(i - 4)), tolerance::rounding)) << i;
}

TEST(Axis, ValuesAscendAndAreTheNodes)
{
    for (AxisScale const scale : {AxisScale::linear, AxisScale::log})
    {
        auto const a = axis(2e-13, 4.4e-11, 12345, scale);
        auto const values = a.values();
        ASSERT_EQ(values.size(), 12345U);
        EXPECT_EQ(std::adjacent_find(values.begin(), values.end(), std::greater_equal<>{}), values.end());
        for (std::int64_t i = 0; i < a.n; ++i)
            ASSERT_EQ(values[static_cast<std::size_t>(i)], a.value(i));
    }
}

TEST(Axis, WideRangesDoNotOverflow)
{
    auto const a = axis(-1.5e308, 1.5e308, 5, AxisScale::linear);
    for (double const value : a.values())
        EXPECT_TRUE(std::isfinite(value));
}

TEST(Axis, OnePointIsItsMinimum)
{
    EXPECT_EQ(axis(0.25, 0.25, 1, AxisScale::log).values(), std::vector<double>{0.25});
    EXPECT_EQ(axis(0.0, 0.0, 1, AxisScale::linear).values(), std::vector<double>{0.0});
}

TEST(Axis, NodesThatCoincideAreFound)
{
    double const next = std::nextafter(1.0, 2.0);
    double const tiny = std::numeric_limits<double>::denorm_min();
    for (AxisScale const scale : {AxisScale::linear, AxisScale::log})
    {
        EXPECT_EQ(axis(1.0, next, 2, scale).first_coincidence(), -1) << "neighbours, but two numbers";
        EXPECT_GE(axis(1.0, next, 3, scale).first_coincidence(), 0);
        EXPECT_EQ(axis(1.0, 1.0, 1, scale).first_coincidence(), -1);
        EXPECT_GE(axis(1e-11, 1e-11 * (1.0 + 1e-14), 1000, scale).first_coincidence(), 0);
        EXPECT_EQ(axis(1e-11, 1e-11 * (1.0 + 1e-9), 1000, scale).first_coincidence(), -1);
        EXPECT_GE(axis(tiny, 10.0 * tiny, 20, scale).first_coincidence(), 0);
        EXPECT_EQ(axis(1e-300, 1e300, 100000000, scale).first_coincidence(), -1);
    }
    EXPECT_EQ(axis(-1e308, 1e308, 1000, AxisScale::linear).first_coincidence(), -1) << "the width overflows";
    EXPECT_EQ(axis(-tiny, tiny, 3, AxisScale::linear).first_coincidence(), -1);
    EXPECT_GE(axis(-tiny, tiny, 4, AxisScale::linear).first_coincidence(), 0);
    // What it says is what the nodes are.
    for (AxisScale const scale : {AxisScale::linear, AxisScale::log})
        for (double width = 1e-16; width < 1e-9; width *= 1.7)
            for (std::int64_t const n : {2, 3, 10, 500})
                for (double const min : {1e-200, 3e-13, 1.0, 7e200})
                {
                    Axis const narrow = axis(min, min * (1.0 + width), n, scale);
                    if (!(narrow.min < narrow.max))
                        continue;
                    auto const values = narrow.values();
                    bool ascending = true;
                    for (std::size_t i = 1; i < values.size(); ++i)
                        ascending = ascending && values[i - 1] < values[i];
                    EXPECT_EQ(narrow.first_coincidence() < 0, ascending) << min << " " << width << " " << n;
                }
}

TEST(ElementCount, IsEmptyBeyond64Bits)
{
    EXPECT_EQ(element_count({}), 1);
    EXPECT_EQ(element_count({7}), 7);
    EXPECT_EQ(element_count({2, 3, 5}), 30);
    EXPECT_EQ(element_count({4, 0, 5}), 0);
    std::int64_t const most = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(element_count({most, 1}), most);
    EXPECT_EQ(element_count({3037000499, 3037000499}), 9223372030926249001);
    EXPECT_FALSE(element_count({3037000500, 3037000500}));
    EXPECT_FALSE(element_count({2, most}));
    EXPECT_EQ(element_count(grid_shape({{0, 0.0, 1.0, 4}, {1, 0.0, 1.0, 6}})), 24);
}

TEST(GridView, IndicesRunInCOrder)
{
    GridView grid;
    grid.n_axes = 4;
    std::int64_t const shape[] = {2, 3, 1, 4};
    std::copy(std::begin(shape), std::end(shape), grid.shape);
    grid.size = 24;
    std::int64_t index = 0;
    for (std::int64_t i = 0; i < 2; ++i)
        for (std::int64_t j = 0; j < 3; ++j)
            for (std::int64_t k = 0; k < 4; ++k, ++index)
            {
                std::int64_t node[max_axes];
                grid.nodes(index, node);
                EXPECT_EQ(node[0], i);
                EXPECT_EQ(node[1], j);
                EXPECT_EQ(node[2], 0);
                EXPECT_EQ(node[3], k);
            }
}

TEST(GridView, IndicesBeyond32BitsAreRight)
{
    GridView grid;
    grid.n_axes = 3;
    std::int64_t const shape[] = {3000017, 2000003, 1000003};
    std::copy(std::begin(shape), std::end(shape), grid.shape);
    grid.size = shape[0] * shape[1] * shape[2];
    for (std::int64_t const index : {std::int64_t{2147483647}, std::int64_t{2147483648}, std::int64_t{4294967295},
                                     std::int64_t{4294967296}, std::int64_t{5000000000000000017}, grid.size - 1})
    {
        std::int64_t node[max_axes];
        grid.nodes(index, node);
        for (int a = 0; a < 3; ++a)
        {
            EXPECT_GE(node[a], 0) << index;
            EXPECT_LT(node[a], shape[a]) << index;
        }
        EXPECT_EQ((node[0] * shape[1] + node[1]) * shape[2] + node[2], index);
    }
    std::int64_t node[max_axes];
    grid.nodes(grid.size - 1, node);
    EXPECT_EQ(node[0], shape[0] - 1);
    EXPECT_EQ(node[1], shape[1] - 1);
    EXPECT_EQ(node[2], shape[2] - 1);
}

TEST(GridView, AdvanceGoesToTheNextPoint)
{
    for (bool const is_list : {false, true})
    {
        GridView grid;
        grid.n_axes = 4;
        grid.is_list = is_list;
        std::int64_t const shape[] = {2, 3, 1, 4};
        for (std::size_t a = 0; a < 4; ++a)
            grid.shape[a] = is_list ? 24 : shape[a];
        grid.size = 24;
        std::int64_t moved[max_axes] = {};
        for (std::int64_t index = 0; index + 1 < grid.size; ++index)
        {
            grid.advance(moved);
            std::int64_t node[max_axes];
            grid.nodes(index + 1, node);
            for (std::size_t a = 0; a < 4; ++a)
                ASSERT_EQ(moved[a], node[a]) << "axis " << a << " of point " << index + 1 << (is_list ? " of a list" : "");
        }
    }
}

TEST(GridView, APointOfAListHasItsIndexOnEveryAxis)
{
    GridView list;
    list.n_axes = 3;
    list.is_list = true;
    list.size = 7;
    for (auto& n : list.shape)
        n = 7;
    for (std::int64_t index = 0; index < 7; ++index)
    {
        std::int64_t node[max_axes];
        list.nodes(index, node);
        for (int a = 0; a < 3; ++a)
            EXPECT_EQ(node[a], index);
    }
}

} // namespace
} // namespace nuscan::test
