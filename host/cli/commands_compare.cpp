// Comparison of two surfaces: diff.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "host/cli/cli.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/identity.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

/// Backends and routes that share their nodes agree to this.
constexpr double default_tolerance = 1e-10;

/// What the points of two surfaces of the same axes have to say.
struct PointComparison
{
    IndexRange range; ///< points that both hold
    std::int64_t different = 0;
    std::int64_t above_tolerance = 0;
    std::int64_t status = 0; ///< points of different status
    std::int64_t one_finite = 0;
    double worst = 0.0; ///< |delta chi^2| / (1 + chi^2)
    std::int64_t worst_at = -1;
    std::int64_t first_status_at = -1;
};

/// What pulls or rates of two surfaces have to say.
struct ValueComparison
{
    std::string what;
    std::int64_t values = 0;
    std::int64_t different = 0;
    double worst = 0.0; ///< |delta| / (1 + |value|), infinite where one of the two is not finite
};

/// Names of the axes and their nodes; empty if they are the same.
std::vector<std::string> axis_differences(SurfaceLayout const& a, SurfaceLayout const& b, SideNames const& names)
{
    std::vector<std::string> found;
    auto const axis_names = [](SurfaceLayout const& layout) {
        std::vector<std::string> all;
        for (auto const& axis : layout.axes)
            all.push_back(axis.name);
        return all;
    };
    if (axis_names(a) != axis_names(b))
        return {fmt::format("axes {} {}, {} {}", join(axis_names(a)), names.first, join(axis_names(b)), names.second)};
    for (std::size_t i = 0; i < a.axes.size(); ++i)
    {
        auto const& one = a.axes[i];
        auto const& other = b.axes[i];
        if (one.values.size() != other.values.size())
            found.push_back(fmt::format("axis {}: n = {} {}, {} {}", one.name, one.values.size(), names.first, other.values.size(),
                                        names.second));
        else if (auto const [x, y] = std::mismatch(one.values.begin(), one.values.end(), other.values.begin());
                 x != one.values.end())
            found.push_back(fmt::format("axis {}: node {} is {} {}, {} {}", one.name, x - one.values.begin(), *x, names.first, *y,
                                        names.second));
    }
    return found;
}

/// |x - y| / (1 + |x|), infinite where one of the two is not finite; 0 only where both are the same, or no number.
double deviation(double x, double y)
{
    if (x == y || (std::isnan(x) && std::isnan(y)))
        return 0.0;
    return std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) / (1.0 + std::fabs(x)) : HUGE_VAL;
}

PointComparison compare_points(SurfaceReader const& a, SurfaceReader const& b, double tolerance)
{
    PointComparison all;
    IndexRange const& first = a.layout().range;
    IndexRange const& second = b.layout().range;
    all.range.begin = std::max(first.begin, second.begin);
    all.range.end = std::max(std::min(first.end, second.end), all.range.begin);
    for (std::int64_t begin = all.range.begin; begin < all.range.end; begin += points_at_a_time)
    {
        IndexRange const block{begin, std::min(begin + points_at_a_time, all.range.end)};
        auto const chi2_a = a.chi2(block);
        auto const chi2_b = b.chi2(block);
        auto const status_a = a.status(block);
        auto const status_b = b.status(block);
        for (std::size_t i = 0; i < chi2_a.size(); ++i)
        {
            std::int64_t const index = begin + static_cast<std::int64_t>(i);
            if (status_a[i] != status_b[i])
            {
                if (all.status++ == 0)
                    all.first_status_at = index;
            }
            double const deviates = deviation(chi2_a[i], chi2_b[i]);
            all.different += deviates > 0.0;
            all.one_finite += std::isinf(deviates);
            all.above_tolerance += deviates > tolerance;
            if (deviates > all.worst)
            {
                all.worst = deviates;
                all.worst_at = index;
            }
        }
    }
    return all;
}

/// Gives the values of a block of points.
using Values = std::function<std::vector<double>(IndexRange)>;

/// \param per_point  values of each point
ValueComparison compare_values(std::string what, IndexRange range, std::size_t per_point, Values const& a, Values const& b)
{
    ValueComparison all;
    all.what = std::move(what);
    auto const step = std::max<std::int64_t>(1, points_at_a_time / static_cast<std::int64_t>(per_point));
    for (std::int64_t begin = range.begin; begin < range.end; begin += step)
    {
        IndexRange const block{begin, std::min(begin + step, range.end)};
        auto const first = a(block);
        auto const second = b(block);
        all.values += static_cast<std::int64_t>(first.size());
        for (std::size_t i = 0; i < first.size(); ++i)
        {
            double const deviates = deviation(first[i], second[i]);
            all.different += deviates > 0.0;
            all.worst = std::max(all.worst, deviates);
        }
    }
    return all;
}

/// Pulls and rates that both hold, compared; what one holds alone goes into \p only.
std::vector<ValueComparison> compare_extras(SurfaceReader const& a, SurfaceReader const& b, IndexRange range,
                                            SideNames const& names, std::vector<std::string>& only)
{
    std::vector<ValueComparison> all;
    auto const pulls_of = [](SurfaceReader const& file) { return file.layout().pulls; };
    auto const rates_of = [](SurfaceReader const& file) {
        std::vector<std::string> experiments;
        for (RateRecord const& rate : file.layout().rates)
            experiments.push_back(rate.experiment);
        return experiments;
    };
    auto const compare = [&](char const* kind, auto const& names_of, auto const& values_of) {
        auto const first = names_of(a);
        auto const second = names_of(b);
        auto const holds = [](auto const& list, std::string const& name) {
            return std::find(list.begin(), list.end(), name) != list.end();
        };
        for (auto const& name : first)
            if (!holds(second, name))
                only.push_back(fmt::format("{} {} {} only", kind, name, names.first));
            else
            {
                auto const n = values_of(a, name, {range.begin, std::min(range.begin + 1, range.end)}).size();
                all.push_back(compare_values(
                    fmt::format("{} {}", kind, name), range, std::max<std::size_t>(n, 1),
                    [&](IndexRange block) { return values_of(a, name, block); },
                    [&](IndexRange block) { return values_of(b, name, block); }));
            }
        for (auto const& name : second)
            if (!holds(first, name))
                only.push_back(fmt::format("{} {} {} only", kind, name, names.second));
    };
    compare("pull", pulls_of,
            [](SurfaceReader const& file, std::string const& name, IndexRange block) { return file.pull(name, block); });
    compare("rates of", rates_of,
            [](SurfaceReader const& file, std::string const& name, IndexRange block) { return file.rates(name, block); });
    return all;
}

Json point_json(SurfaceLayout const& layout, std::int64_t index)
{
    return index < 0 ? Json(nullptr) : Json{{"index", index}, {"where", point_text(layout, index)}};
}

} // namespace

void add_diff(CLI::App& app, Program& program)
{
    auto* const command = app.add_subcommand("diff", "Compare two surfaces point by point");
    struct Options
    {
        std::string first;
        std::string second;
        double tolerance = default_tolerance;
        bool json = false;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("first", options->first, "Surface file (HDF5)")->required()->type_name("A.h5");
    command->add_option("second", options->second, "Surface file (HDF5)")->required()->type_name("B.h5");
    command->add_option("--tolerance", options->tolerance, "Largest |delta chi2|/(1 + chi2) that counts as the same")
        ->capture_default_str();
    command->add_flag("--json", options->json, "Print JSON");
    command->footer(
        "Exit code 0 if axes and chi2 of all points are the same within the tolerance and no status differs, else 1.\n"
        "Differences of configuration, data files, pulls and rates are named, but chi2 and status decide: where chi2 is\n"
        "flat, pulls move more than it does.\n"
        "Example: nuscan diff cpu.h5 gpu.h5\n"
        "         nuscan diff gs98.h5 agss09met.h5 --tolerance 0.1");
    command->callback([options, &program] {
        if (!(options->tolerance >= 0.0))
            throw InputError(fmt::format("--tolerance {}: must be 0 or more", options->tolerance));
        SurfaceReader const a(options->first);
        SurfaceReader const b(options->second);
        SideNames const names{"in " + options->first, "in " + options->second};
        auto differences = configuration_differences(a.meta().configuration_canonical, b.meta().configuration_canonical, names);
        for (auto const& one : data_differences(a.meta().data_sha256, b.meta().data_sha256, names))
            differences.push_back(one);
        for (auto const& [what, x, y] : {std::tuple{"backend", a.meta().backend, b.meta().backend},
                                         {"route", a.meta().route, b.meta().route},
                                         {"version", a.meta().version, b.meta().version}})
            if (x != y)
                differences.push_back(fmt::format("{} {} {}, {} {}", what, x, names.first, y, names.second));
        auto const axes = axis_differences(a.layout(), b.layout(), names);
        bool same = axes.empty();
        PointComparison points;
        std::vector<std::string> ranges;
        std::vector<std::string> only;
        std::vector<ValueComparison> extras;
        if (same)
        {
            points = compare_points(a, b, options->tolerance);
            extras = compare_extras(a, b, points.range, names, only);
            for (auto const& [name, range] : {std::pair{options->first, a.layout().range}, {options->second, b.layout().range}})
            {
                if (range.begin < points.range.begin)
                    ranges.push_back(
                        fmt::format("points [{}, {}) in {} only", range.begin, std::min(points.range.begin, range.end), name));
                if (range.end > std::max(points.range.end, range.begin))
                    ranges.push_back(
                        fmt::format("points [{}, {}) in {} only", std::max(points.range.end, range.begin), range.end, name));
            }
            same = ranges.empty() && points.above_tolerance == 0 && points.status == 0;
        }
        if (!same)
            program.exit_code = exit_failure;
        if (options->json)
        {
            Json values = Json::object();
            for (auto const& one : extras)
                values[one.what] = {{"values", one.values},
                                    {"different", one.different},
                                    {"worst", std::isfinite(one.worst) ? Json(one.worst) : Json(nullptr)}};
            print_json({{"same", same},
                        {"in_one_file", only},
                        {"pulls_and_rates", values},
                        {"tolerance", options->tolerance},
                        {"axes", axes},
                        {"configuration", differences},
                        {"ranges", ranges},
                        {"points", points.range.size()},
                        {"different", points.different},
                        {"above_tolerance", points.above_tolerance},
                        {"finite_in_one", points.one_finite},
                        {"status", points.status},
                        {"first_status", point_json(a.layout(), points.first_status_at)},
                        {"worst", std::isfinite(points.worst) ? Json(points.worst) : Json(nullptr)},
                        {"worst_at", point_json(a.layout(), points.worst_at)}});
            return;
        }
        for (auto const& group : {axes, differences, ranges, only})
            for (auto const& line : group)
                fmt::print("{}\n", line);
        if (!axes.empty())
        {
            fmt::print("different: the axes are not the same, points cannot be compared\n");
            return;
        }
        if (points.status > 0)
            fmt::print("status differs at {}, first at point {}: {}\n", counted(points.status, "point"), points.first_status_at,
                       point_text(a.layout(), points.first_status_at));
        if (points.one_finite > 0)
            fmt::print("chi2 is finite in one file only at {}\n", counted(points.one_finite, "point"));
        if (points.worst_at >= 0)
            fmt::print("worst |delta chi2|/(1 + chi2) = {:.3g} at point {}: {}\n", points.worst, points.worst_at,
                       point_text(a.layout(), points.worst_at));
        for (auto const& one : extras)
            if (one.different > 0)
                fmt::print("{}: {} of {} not bit-identical, worst |delta|/(1 + |value|) = {:.3g}\n", one.what, one.different,
                           one.values, one.worst);
        fmt::print("{}: {} compared, {} not bit-identical, {} above {:g}\n", same ? "same" : "different",
                   counted(points.range.size(), "point"), points.different, points.above_tolerance, options->tolerance);
    });
}

} // namespace nuscan::cli
