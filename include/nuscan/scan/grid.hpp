/// \file
/// Axes of a scan and the correspondence between a point's index and its coordinates.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "nuscan/core/macros.hpp"

namespace nuscan
{

inline constexpr int max_axes = 4;

enum class AxisScale
{
    linear,
    log
};

/// One axis: n values of a parameter from min to max, both included.
struct Axis
{
    int parameter = -1; ///< index in the catalogue
    double min = 0.0;   ///< in the parameter's interface unit
    double max = 0.0;
    std::int64_t n = 1;
    AxisScale scale = AxisScale::linear;

    /// Value of node \p i; the ends are exact.
    double value(std::int64_t i) const
    {
        if (i == 0)
            return min;
        if (i == n - 1)
            return max;
        double const t = static_cast<double>(i) / static_cast<double>(n - 1);
        if (scale == AxisScale::log)
            return std::exp((1.0 - t) * std::log(min) + t * std::log(max));
        return (1.0 - t) * min + t * max;
    }

    /// The first node whose successor is not above it, because the range is too narrow for so many numbers; -1 if there is none.
    std::int64_t first_coincidence() const
    {
        // Nodes many roundings apart need no look at each. A log axis rounds in the exponent, which may be hundreds, and below the
        // smallest normal number in the value.
        constexpr double roundings = 64.0;
        constexpr double rounding = std::numeric_limits<double>::epsilon();
        bool const is_log = scale == AxisScale::log;
        double const from = is_log ? std::log(min) : min;
        double const to = is_log ? std::log(max) : max;
        double const largest = std::max({std::fabs(from), std::fabs(to), is_log ? 1.0 : std::numeric_limits<double>::min()});
        bool const is_normal = !is_log || min >= std::numeric_limits<double>::min();
        if (n < 2)
            return -1;
        if (is_normal && to / static_cast<double>(n - 1) - from / static_cast<double>(n - 1) > roundings * rounding * largest)
            return -1;
        for (std::int64_t i = 0; i + 1 < n; ++i)
            if (!(value(i) < value(i + 1)))
                return i;
        return -1;
    }

    std::vector<double> values() const
    {
        std::vector<double> all;
        all.reserve(static_cast<std::size_t>(n));
        for (std::int64_t i = 0; i < n; ++i)
            all.push_back(value(i));
        return all;
    }
};

/// Number of elements of an array of this shape; empty if 64 bits do not hold it.
inline std::optional<std::int64_t> element_count(std::vector<std::int64_t> const& shape)
{
    std::int64_t count = 1;
    for (std::int64_t const n : shape)
    {
        if (n > 0 && count > std::numeric_limits<std::int64_t>::max() / n)
            return std::nullopt;
        count *= n;
    }
    return count;
}

/// Numbers of nodes of the axes.
inline std::vector<std::int64_t> grid_shape(std::vector<Axis> const& axes)
{
    std::vector<std::int64_t> shape;
    for (Axis const& axis : axes)
        shape.push_back(axis.n);
    return shape;
}

/// Points of a scan: a grid in C order (the last axis runs fastest), or a list of points.
struct GridView
{
    int n_axes = 0;
    bool is_list = false;
    std::int64_t size = 1;
    std::int64_t shape[max_axes] = {1, 1, 1, 1}; ///< of a list: the number of points in every entry
    double const* values[max_axes] = {};         ///< [shape[a]]

    /// Node number of point \p index on each axis.
    NUSCAN_HD void nodes(std::int64_t index, std::int64_t* node) const
    {
        for (int a = n_axes - 1; a >= 0; --a)
        {
            node[a] = is_list ? index : index % shape[a];
            if (!is_list)
                index /= shape[a];
        }
    }

    /// Index of the point at the given nodes.
    NUSCAN_HD std::int64_t index(std::int64_t const* node) const
    {
        if (is_list)
            return n_axes > 0 ? node[0] : 0;
        std::int64_t result = 0;
        for (int a = 0; a < n_axes; ++a)
            result = result * shape[a] + node[a];
        return result;
    }

    /// Moves node numbers on to the next point: cheaper than nodes(), which divides.
    NUSCAN_HD void advance(std::int64_t* node) const
    {
        for (int a = n_axes - 1; a >= 0; --a)
        {
            if (++node[a] < shape[a] && !is_list)
                return;
            if (!is_list)
                node[a] = 0;
        }
    }
};

} // namespace nuscan
