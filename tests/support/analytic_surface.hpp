/// \file
/// Surface files of a function, for tests of what is derived from surfaces.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/io/surface_file.hpp"
#include "host/support/sha256.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan::test
{

/// n nodes from \p min to \p max; \p name may be that of a parameter, whose bound then counts.
inline AxisRecord test_axis(std::string const& name, double min, double max, std::int64_t n, AxisScale scale = AxisScale::linear)
{
    return {name, "1", name + " [1]", name, scale, Axis{-1, min, max, n, scale}.values()};
}

/// A point as a function sees it: one value for each axis.
using Point = std::vector<double>;

/// Writes the surface of \p chi2, NaN where that is, block by block.
inline void write_analytic_surface(std::filesystem::path const& path, std::vector<AxisRecord> const& axes, double chi2_zero,
                                   std::function<double(Point const&)> const& chi2)
{
    SurfaceLayout layout;
    layout.axes = axes;
    layout.range = {0, layout.size()};
    layout.chi2_zero = chi2_zero;
    SurfaceWriter writer{path, layout};
    PointRecord best_fit;
    best_fit.chi2 = NAN;
    SurfaceMeta meta;
    meta.title = "a function";
    meta.experiments = {"toy"};
    meta.configuration_canonical = "{}";
    meta.configuration_sha256 = sha256(meta.configuration_canonical);
    meta.version = "0.0.0";
    meta.chi2_zero = chi2_zero;
    meta.self_check = {1, 0.0, 1e-6, true};

    constexpr std::int64_t block = 4096;
    Point point(axes.size());
    for (std::int64_t begin = 0; begin < layout.range.end; begin += block)
    {
        std::vector<double> values;
        std::vector<std::uint8_t> status;
        for (std::int64_t i = begin; i < std::min(begin + block, layout.range.end); ++i)
        {
            std::int64_t rest = i;
            for (std::size_t a = axes.size(); a-- > 0;)
            {
                auto const n = static_cast<std::int64_t>(axes[a].values.size());
                point[a] = axes[a].values[static_cast<std::size_t>(rest % n)];
                rest /= n;
            }
            double const value = chi2(point);
            values.push_back(value);
            status.push_back(static_cast<std::uint8_t>(std::isnan(value) ? PointStatus::not_finite : PointStatus::ok));
            meta.not_finite += std::isnan(value);
            if (!std::isnan(value) && !(best_fit.chi2 <= value))
            {
                best_fit.chi2 = value;
                best_fit.index = i;
            }
        }
        writer.append(static_cast<std::int64_t>(values.size()), values.data(), status.data(), nullptr, nullptr);
    }
    PointRecord null;
    null.chi2 = chi2_zero;
    writer.finish(meta, best_fit, null);
}

} // namespace nuscan::test
