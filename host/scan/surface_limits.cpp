#include "host/scan/surface_limits.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "host/scan/problem.hpp"
#include "host/scan/profile.hpp"
#include "host/stats/grid_curve.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan
{

namespace
{

using Names = std::vector<std::string>;

/// What chi^2 may fall over the outermost tenth of an axis before its minimum counts as lying beyond the grid. Less moves an end at 90%
/// C.L. by 0.2% at most, and a mediator that decouples has a long flat valley that ends nowhere.
constexpr double edge_fall = 0.01;
constexpr double edge_share = 0.1;

AxisRecord const& axis_of(SurfaceLayout const& layout, std::string const& name)
{
    return *std::find_if(layout.axes.begin(), layout.axes.end(), [&](AxisRecord const& axis) { return axis.name == name; });
}

CurveAxis curve_axis(AxisRecord const& axis)
{
    CurveAxis curve{axis.values, axis.scale};
    if (int const parameter = find_parameter(axis.name); parameter >= 0)
    {
        curve.has_zero = parameter_info(parameter).role == ParameterRole::coupling;
        curve.bounded = curve.has_zero && parameter_info(parameter).bound != ParameterBound::none;
    }
    return curve;
}

/// Which of two axes is the mass that belongs to the other, a coupling: 0 or 1, -1 if neither.
int mass_axis(SurfaceLayout const& layout, Names const& axes)
{
    for (int m : {0, 1})
    {
        int const mass = find_parameter(axis_of(layout, axes[static_cast<std::size_t>(m)]).name);
        int const coupling = find_parameter(axis_of(layout, axes[static_cast<std::size_t>(1 - m)]).name);
        if (mass >= 0 && coupling >= 0 && parameter_info(coupling).role == ParameterRole::coupling
            && mass_parameter(parameter_catalogue[static_cast<std::size_t>(coupling)].interaction) == mass)
            return m;
    }
    return -1;
}

/// chi^2 over one or two axes: the surface itself or a profile of it.
struct Slice
{
    std::string profile; ///< name, empty for the surface itself
    Names axes;
    Names profiled_axes;
    std::vector<double> chi2;
};

/// Limits of the slices of one surface.
class LimitFinder
{
public:
    LimitFinder(SurfaceReader const& surface, SurfaceLimitOptions const& options)
        : layout_(surface.layout())
        , options_(options)
        , reference_(reference_chi2(surface))
        , chi2_zero_(surface.meta().chi2_zero)
    {
    }

    void find(Slice const& slice)
    {
        LimitRecords records;
        records.profile = slice.profile;
        auto const failed = std::count_if(slice.chi2.begin(), slice.chi2.end(), [](double chi2) { return !std::isfinite(chi2); });
        if (static_cast<std::size_t>(failed) == slice.chi2.size())
            throw InputError(
                fmt::format("{}: no point of it has a chi^2, every one failed: there is nothing to find; nuscan info and "
                            "nuscan validate show more",
                            join(slice.axes, ",")));
        if (failed > 0)
            warn(fmt::format("{}: {} of {} without chi^2: regions end beside them", join(slice.axes, ","), counted(failed, "point"),
                             slice.chi2.size()));
        warn_of_edges(slice);
        for (double const cl : options_.cls)
        {
            if (slice.axes.size() == 1)
                records.intervals.push_back(find_intervals(slice, cl));
            else
            {
                if (int const m = mass_axis(layout_, slice.axes); m >= 0)
                    for (char const* const definition : {"per_mass", "plane"})
                        records.curves.push_back(find_curve(slice, static_cast<std::size_t>(m), definition, cl));
                // A single mass makes no plane.
                if (std::all_of(slice.axes.begin(), slice.axes.end(),
                                [&](std::string const& name) { return axis_of(layout_, name).values.size() > 1; }))
                    found_.contours.push_back({slice.profile, contour(slice, cl)});
            }
        }
        if (!records.intervals.empty() || !records.curves.empty())
            found_.results.limits.push_back(std::move(records));
    }

    void add_profile(ProfileRecord profile) { found_.results.profiles.push_back(std::move(profile)); }
    SurfaceLimits finish() { return std::move(found_); }

private:
    /// A record with what is common to all kinds.
    template<class Record>
    Record begin(Slice const& slice, double cl, int default_dof) const
    {
        Record record;
        record.cl = cl;
        record.dof = options_.dof.value_or(default_dof);
        record.threshold = delta_chi2(cl, record.dof);
        record.profiled_axes = slice.profiled_axes;
        return record;
    }

    /// A minimum at the edge of the grid is none.
    void warn_of_edges(Slice const& slice)
    {
        std::size_t stride = slice.chi2.size();
        for (std::string const& name : slice.axes)
        {
            AxisRecord const& axis = axis_of(layout_, name);
            CurveAxis const along = curve_axis(axis);
            std::size_t const n = axis.values.size();
            stride /= n;
            if (n < 2)
                continue;
            std::vector<double> least(n, NAN);
            for (std::size_t i = 0; i < slice.chi2.size(); ++i)
                least[i / stride % n] = std::fmin(least[i / stride % n], slice.chi2[i]);
            double lowest = chi2_zero_;
            for (double const chi2 : least)
                lowest = std::fmin(lowest, chi2);
            auto const t = [&](std::size_t node) {
                return axis.scale == AxisScale::log ? std::log(axis.values[node]) : axis.values[node];
            };
            for (bool const upper : {false, true})
            {
                std::size_t const edge = upper ? n - 1 : 0;
                bool const physical = along.bounded && axis.values[edge] == 0.0;
                if (physical || !(least[edge] <= lowest) || chi2_zero_ <= lowest)
                    continue;
                // From this node to the edge.
                std::size_t inner = edge;
                do
                    inner = upper ? inner - 1 : inner + 1;
                while (inner > 0 && inner + 1 < n && std::fabs(t(inner) - t(edge)) < edge_share * (t(n - 1) - t(0)));
                if (least[inner] - least[edge] > edge_fall)
                    warn(fmt::format(
                        "{}: chi^2 is least at the edge of the grid, {:g}, and falls towards it: its minimum lies beyond, "
                        "and limits count from a value that is too high; let the axis reach further",
                        name, axis.values[edge]));
            }
        }
    }

    IntervalRecord find_intervals(Slice const& slice, double cl)
    {
        AxisRecord const& axis = axis_of(layout_, slice.axes.front());
        auto record = begin<IntervalRecord>(slice, cl, 1);
        record.parameter = axis.name;
        record.unit = axis.unit;
        CurveAxis const along = curve_axis(axis);
        GridCurve const curve(along, slice.chi2, chi2_zero_);
        record.region = curve.allowed(curve.lowest(), record.threshold);
        for (GridInterval const& interval : record.region.intervals)
            if (interval.lo_end == IntervalEnd::grid_edge || interval.hi_end == IntervalEnd::grid_edge)
            {
                warn(fmt::format("{}: an allowed interval ends only with the grid (marked *), not at Delta chi^2 = {:.4g}; a wider "
                                 "axis would show its end",
                                 axis.name, record.threshold));
                break;
            }
        if (record.region.zero_off_grid)
            warn(
                fmt::format("{}: 0 is allowed but lies off the grid, and the node next to it, {:g}, is not: the limit lies between "
                            "them; let the axis begin nearer to 0",
                            axis.name, axis.values.front() > 0.0 ? axis.values.front() : axis.values.back()));
        if (record.region.coarse)
            warn(fmt::format("{} at {:g} C.L.: the nodes are too far apart to find an end to {:g}%, it is put at the next excluded "
                             "node; use more nodes or a narrower axis",
                             axis.name, cl, 100.0 * coarse_end));
        return record;
    }

    CurveRecord find_curve(Slice const& slice, std::size_t m, std::string const& definition, double cl)
    {
        AxisRecord const& mass = axis_of(layout_, slice.axes[m]);
        AxisRecord const& coupling = axis_of(layout_, slice.axes[1 - m]);
        bool const per_mass = definition == "per_mass";
        auto record = begin<CurveRecord>(slice, cl, per_mass ? 1 : 2);
        record.parameter = coupling.name;
        record.unit = coupling.unit;
        record.mass = mass.name;
        record.mass_unit = mass.unit;
        record.definition = definition;
        record.masses = mass.values;
        CurveAxis const along = curve_axis(coupling);
        std::size_t const n = coupling.values.size();
        std::size_t const n_masses = mass.values.size();
        std::size_t unreached = 0;
        std::size_t coarse = 0;
        for (std::size_t i = 0; i < n_masses; ++i)
        {
            std::vector<double> chi2(n);
            for (std::size_t k = 0; k < n; ++k)
                chi2[k] = slice.chi2[m == 0 ? i * n + k : k * n_masses + i];
            GridCurve const curve(along, std::move(chi2), chi2_zero_);
            auto const region = curve.allowed(per_mass ? curve.lowest() : reference_, record.threshold);
            bool const reached = !region.intervals.empty() && region.intervals.back().hi_end == IntervalEnd::crossing;
            unreached += !reached;
            coarse += region.coarse;
            record.coarse.push_back(region.coarse);
            record.upper.push_back(reached ? region.intervals.back().range.hi : NAN);
            record.chi2_min.push_back(region.chi2_min);
            auto& pieces = record.intervals.emplace_back();
            for (GridInterval const& interval : region.intervals)
                pieces.push_back(interval.range);
        }
        if (unreached > 0)
            warn(fmt::format(
                "{} ({}, {:g} C.L.): no upper limit at {} of {}: the axis of {} ends too early or begins too late there",
                coupling.name, definition, cl, counted(static_cast<long long>(unreached), "mass value"), n_masses, coupling.name));
        if (coarse > 0)
            warn(fmt::format("{} ({}, {:g} C.L.): at {} of {} the nodes of {} are too far apart for {:g}%, limits are put at the "
                             "next excluded node; use more nodes or a narrower axis",
                             coupling.name, definition, cl, counted(static_cast<long long>(coarse), "mass value"), n_masses,
                             coupling.name, 100.0 * coarse_end));
        return record;
    }

    ContourRecord contour(Slice const& slice, double cl)
    {
        auto record = begin<ContourRecord>(slice, cl, 2);
        record.axes = slice.axes;
        record.chi2_min = reference_;
        record.level = reference_ + record.threshold;
        auto const is_allowed = [&](double chi2) { return !std::isfinite(chi2) || chi2 <= record.level; };
        auto const is_excluded = [&](double chi2) { return !std::isfinite(chi2) || chi2 > record.level; };
        for (bool const excluded : {false, true})
            if (excluded ? std::all_of(slice.chi2.begin(), slice.chi2.end(), is_excluded)
                         : std::all_of(slice.chi2.begin(), slice.chi2.end(), is_allowed))
                warn(fmt::format("{} at {:g} C.L.: the whole plane is {}, there is no contour in it", join(slice.axes, ","), cl,
                                 excluded ? "excluded" : "allowed"));
        return record;
    }

    void warn(std::string text)
    {
        auto& all = found_.warnings;
        if (std::find(all.begin(), all.end(), text) == all.end())
            all.push_back(std::move(text));
    }

    SurfaceLayout const& layout_;
    SurfaceLimitOptions const& options_;
    double reference_;
    double chi2_zero_;
    SurfaceLimits found_;
};

/// The sets of axes that have limits of their own.
std::vector<Names> slices_of(SurfaceLayout const& layout, SurfaceLimitOptions const& options)
{
    Names all;
    for (AxisRecord const& axis : layout.axes)
        all.push_back(axis.name);
    Names const kept = options.keep.empty() ? all : kept_axes(layout, options.keep);
    if (kept.size() > 2 && !options.keep.empty())
        throw InputError(fmt::format("--keep {}: limits are those of one or two axes; keep fewer", join(options.keep, " ")));
    std::vector<Names> slices;
    if (kept.size() <= 2)
        slices.push_back(kept);
    if (kept.size() > 2 || (kept.size() == 2 && mass_axis(layout, kept) < 0))
        for (std::string const& name : kept)
            slices.push_back({name});
    return slices;
}

} // namespace

SurfaceLimits find_surface_limits(std::filesystem::path const& path, SurfaceReader const& surface, DerivedResults const& stored,
                                  SurfaceLimitOptions const& options)
{
    require_whole_surface(surface, path.string());
    SurfaceLayout const& layout = surface.layout();
    auto const slices = slices_of(layout, options);

    std::vector<Names> lacking;
    for (Names const& axes : slices)
        if (axes.size() < layout.axes.size() && stored.find_profile(join(axes, ",")) == nullptr)
            lacking.push_back(axes);
    std::vector<ProfileRecord> computed;
    if (!lacking.empty())
        computed = profile_surface(surface, lacking);

    LimitFinder finder(surface, options);
    for (Names const& axes : slices)
    {
        if (axes.size() == layout.axes.size())
        {
            finder.find({"", axes, {}, surface.chi2(layout.range)});
            continue;
        }
        std::string const name = join(axes, ",");
        ProfileRecord const* profile = stored.find_profile(name);
        for (ProfileRecord const& record : computed)
            if (record.name() == name)
                profile = &record;
        finder.find({name, axes, profile->profiled_axes, profile->chi2});
    }
    for (ProfileRecord& record : computed)
        finder.add_profile(std::move(record));
    return finder.finish();
}

} // namespace nuscan
