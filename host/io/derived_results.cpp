#include "host/io/derived_results.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include <fmt/format.h>
#include <hdf5_hl.h>

#include "host/io/file_replacement.hpp"
#include "host/io/hdf5_file.hpp"
#include "host/io/surface_file.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

using Dims = std::vector<std::int64_t>;

h5::Handle open_or_create_group(hid_t parent, std::string const& name)
{
    if (h5::exists(parent, name))
        return h5::open_group(parent, name);
    h5::Handle group = h5::create_group(parent, name);
    h5::write_attribute(group.id(), "NX_class", "NXcollection");
    return group;
}

h5::Handle replace_group(hid_t parent, std::string const& name, char const* nexus_class)
{
    h5::remove_child(parent, name);
    h5::Handle group = h5::create_group(parent, name);
    h5::write_attribute(group.id(), "NX_class", nexus_class);
    return group;
}

std::int64_t length(std::size_t n)
{
    return static_cast<std::int64_t>(n);
}

// --- profiles -------------------------------------------------------------------------------------------------------------------

Dims axis_lengths(hid_t axes, std::vector<std::string> const& names)
{
    Dims dims;
    for (std::string const& name : names)
    {
        Dims const found = h5::shape(h5::open_dataset(axes, name).id());
        if (found.size() != 1)
            throw h5::Error{fmt::format("'/axes/{}' has shape {}, not one axis", name, h5::shape_text(found))};
        dims.push_back(found[0]);
    }
    return dims;
}

void attach_axes(hid_t dataset, hid_t axes, std::vector<std::string> const& names)
{
    for (std::size_t a = 0; a < names.size(); ++a)
        h5::check(H5DSattach_scale(dataset, h5::open_dataset(axes, names[a]).id(), static_cast<unsigned>(a)),
                  "cannot attach a dimension scale");
}

void write_profile(hid_t root, ProfileRecord const& profile)
{
    h5::Handle const profiles = open_or_create_group(root, "profiles");
    if (h5::exists(profiles.id(), profile.name()))
        return; // the surface is finished: the result would be the same
    h5::Handle const axes = h5::open_group(root, "axes");
    h5::Handle const group = replace_group(profiles.id(), profile.name(), "NXdata");
    hid_t const id = group.id();
    h5::write_attribute(id, "signal", "chi2");
    h5::write_attribute(id, "axes", profile.axes);
    h5::write_attribute(id, "profiled_axes", profile.profiled_axes);
    h5::write_attribute(id, "chi2_min", profile.chi2_min);
    h5::write_attribute(id, "chi2_zero", profile.chi2_zero);
    for (std::size_t a = 0; a < profile.axes.size(); ++a)
    {
        std::string const& name = profile.axes[a];
        h5::write_attribute(id, name + "_indices", length(a));
        h5::check(H5Lcreate_hard(axes.id(), name.c_str(), id, name.c_str(), H5P_DEFAULT, H5P_DEFAULT), "cannot link axis " + name);
    }
    Dims const dims = axis_lengths(axes.id(), profile.axes);
    h5::Handle const chi2 = h5::write_array(id, "chi2", dims, profile.chi2.data());
    attach_axes(chi2.id(), axes.id(), profile.axes);
    h5::write_attribute(chi2.id(), "units", "1");
    h5::write_attribute(chi2.id(), "long_name", "chi^2, minimised over " + join(profile.profiled_axes));
    h5::Handle const index = open_or_create_group(id, "index");
    for (std::size_t p = 0; p < profile.profiled_axes.size(); ++p)
    {
        std::string const& name = profile.profiled_axes[p];
        h5::Handle const nodes = h5::write_array(index.id(), name, dims, profile.index[p].data());
        attach_axes(nodes.id(), axes.id(), profile.axes);
        h5::write_attribute(nodes.id(), "long_name", "node of the minimum on " + name + ", -1 where every point failed");
    }
}

ProfileRecord read_profile(h5::File const& file, hid_t profiles, std::string const& name)
{
    h5::Handle const group = h5::open_group(profiles, name);
    ProfileRecord profile;
    profile.axes = h5::read_strings(group.id(), "axes");
    profile.profiled_axes = h5::read_strings(group.id(), "profiled_axes");
    profile.chi2_min = h5::read_double(group.id(), "chi2_min");
    profile.chi2_zero = h5::read_double(group.id(), "chi2_zero");
    if (profile.name() != name || profile.axes.empty())
        throw h5::Error{fmt::format("'{}' says that it keeps {}", h5::object_name(group.id()), join(profile.axes))};
    Dims dims = axis_lengths(h5::open_group(file.id(), "axes").id(), profile.axes);
    profile.chi2 = h5::read_doubles(file, h5::open_dataset(group.id(), "chi2").id(), dims);
    h5::Handle const index = h5::open_group(group.id(), "index");
    for (std::string const& axis : profile.profiled_axes)
        profile.index.push_back(h5::read_integers(file, h5::open_dataset(index.id(), axis).id(), dims));
    return profile;
}

// --- limits ---------------------------------------------------------------------------------------------------------------------

/// What intervals, curves and contours have in common.
template<class Record>
void write_confidence(hid_t group, Record const& record)
{
    h5::write_attribute(group, "cl", record.cl);
    h5::write_attribute(group, "dof", std::int64_t{record.dof});
    h5::write_attribute(group, "threshold", record.threshold);
    h5::write_attribute(group, "profiled_axes", record.profiled_axes);
}

template<class Record>
void read_confidence(hid_t group, Record& record)
{
    record.cl = h5::read_double(group, "cl");
    record.dof = static_cast<int>(h5::read_int(group, "dof"));
    record.threshold = h5::read_double(group, "threshold");
    record.profiled_axes = h5::read_strings(group, "profiled_axes");
}

void describe(hid_t dataset, std::string const& unit, std::string const& long_name)
{
    h5::write_attribute(dataset, "units", unit);
    h5::write_attribute(dataset, "long_name", long_name);
}

void write_intervals(hid_t parent, IntervalRecord const& record)
{
    h5::Handle const group = replace_group(parent, record.parameter, "NXcollection");
    hid_t const id = group.id();
    h5::write_attribute(id, "kind", "intervals");
    h5::write_attribute(id, "parameter", record.parameter);
    h5::write_attribute(id, "unit", record.unit);
    write_confidence(id, record);
    h5::write_attribute(id, "chi2_min", record.region.chi2_min);
    h5::write_attribute(id, "best_fit", record.region.best_fit);
    h5::write_attribute(id, "marginal", record.region.marginal);
    h5::write_attribute(id, "coarse", record.region.coarse);
    h5::write_attribute(id, "zero_off_grid", record.region.zero_off_grid);
    std::vector<double> ends;
    std::vector<std::uint8_t> open;
    for (GridInterval const& interval : record.region.intervals)
    {
        ends.insert(ends.end(), {interval.range.lo, interval.range.hi});
        open.insert(open.end(), {static_cast<std::uint8_t>(interval.lo_end), static_cast<std::uint8_t>(interval.hi_end)});
    }
    Dims const dims{length(record.region.intervals.size()), 2};
    describe(h5::write_array(id, "intervals", dims, ends.data()).id(), record.unit, "allowed intervals of " + record.parameter);
    h5::Handle const flags = h5::write_array(id, "open", dims, open.data());
    h5::write_attribute(flags.id(), "flag_values", std::vector<std::uint8_t>{0, 1, 2});
    h5::write_attribute(flags.id(), "flag_meanings", "crossing edge_of_the_grid physical_bound");
}

IntervalEnd interval_end(std::uint8_t value, hid_t dataset)
{
    if (value > static_cast<std::uint8_t>(IntervalEnd::physical_bound))
        throw h5::Error{fmt::format("'{}' holds {}; valid: 0, 1, 2", h5::object_name(dataset), value)};
    return static_cast<IntervalEnd>(value);
}

IntervalRecord read_intervals(h5::File const& file, hid_t group)
{
    IntervalRecord record;
    record.parameter = h5::read_string(group, "parameter");
    record.unit = h5::read_string(group, "unit");
    read_confidence(group, record);
    record.region.chi2_min = h5::read_double(group, "chi2_min");
    record.region.best_fit = h5::read_double(group, "best_fit");
    record.region.marginal = h5::read_bool(group, "marginal");
    record.region.coarse = h5::read_bool(group, "coarse");
    record.region.zero_off_grid = h5::read_bool(group, "zero_off_grid");
    Dims dims{-1, 2};
    auto const ends = h5::read_doubles(file, h5::open_dataset(group, "intervals").id(), dims);
    h5::Handle const flags = h5::open_dataset(group, "open");
    auto const open = h5::read_bytes(file, flags.id(), dims);
    for (std::size_t i = 0; i + 1 < ends.size(); i += 2)
        record.region.intervals.push_back(
            {{ends[i], ends[i + 1]}, interval_end(open[i], flags.id()), interval_end(open[i + 1], flags.id())});
    return record;
}

void write_curve(hid_t parent, CurveRecord const& record)
{
    h5::Handle const group = replace_group(parent, record.parameter + "_" + record.definition, "NXdata");
    hid_t const id = group.id();
    h5::write_attribute(id, "signal", "upper");
    h5::write_attribute(id, "axes", std::vector<std::string>{"mass"});
    h5::write_attribute(id, "kind", "curve");
    h5::write_attribute(id, "parameter", record.parameter);
    h5::write_attribute(id, "mass", record.mass);
    h5::write_attribute(id, "unit", record.unit);
    h5::write_attribute(id, "mass_unit", record.mass_unit);
    h5::write_attribute(id, "definition", record.definition);
    write_confidence(id, record);

    std::size_t const n = record.masses.size();
    describe(h5::write_values(id, "mass", record.masses).id(), record.mass_unit, record.mass);
    describe(h5::write_values(id, "upper", record.upper).id(), record.unit, "upper limit on " + record.parameter);
    describe(h5::write_values(id, "chi2_min", record.chi2_min).id(), "1", "chi^2 that Delta chi^2 is counted from");
    h5::Handle const coarse = h5::write_array(id, "coarse", {length(n)}, record.coarse.data());
    h5::write_attribute(coarse.id(), "long_name", "1 where the nodes are too far apart for the limit");
    std::size_t most = 0;
    for (auto const& pieces : record.intervals)
        most = std::max(most, pieces.size());
    std::vector<double> ends(n * most * 2, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < record.intervals[i].size(); ++k)
        {
            ends[(i * most + k) * 2] = record.intervals[i][k].lo;
            ends[(i * most + k) * 2 + 1] = record.intervals[i][k].hi;
        }
    describe(h5::write_array(id, "intervals", {length(n), length(most), 2}, ends.data()).id(), record.unit,
             "allowed intervals of " + record.parameter + ", filled up with NaN");
}

CurveRecord read_curve(h5::File const& file, hid_t group)
{
    CurveRecord record;
    record.parameter = h5::read_string(group, "parameter");
    record.mass = h5::read_string(group, "mass");
    record.unit = h5::read_string(group, "unit");
    record.mass_unit = h5::read_string(group, "mass_unit");
    record.definition = h5::read_string(group, "definition");
    read_confidence(group, record);
    record.masses = h5::read_values(file, h5::open_dataset(group, "mass").id());
    Dims dims{length(record.masses.size())};
    record.upper = h5::read_doubles(file, h5::open_dataset(group, "upper").id(), dims);
    record.chi2_min = h5::read_doubles(file, h5::open_dataset(group, "chi2_min").id(), dims);
    record.coarse = h5::read_bytes(file, h5::open_dataset(group, "coarse").id(), dims);
    dims = {length(record.masses.size()), -1, 2};
    auto const ends = h5::read_doubles(file, h5::open_dataset(group, "intervals").id(), dims);
    auto const most = static_cast<std::size_t>(dims[1]);
    record.intervals.resize(record.masses.size());
    for (std::size_t i = 0; i < record.masses.size(); ++i)
        for (std::size_t k = 0; k < most; ++k)
            if (double const* const piece = &ends[(i * most + k) * 2]; !std::isnan(piece[0]))
                record.intervals[i].push_back({piece[0], piece[1]});
    return record;
}

void write_contour(hid_t parent, ContourRecord const& record)
{
    h5::Handle const group = replace_group(parent, cl_name(record.cl), "NXcollection");
    hid_t const id = group.id();
    h5::write_attribute(id, "axes", record.axes);
    write_confidence(id, record);
    h5::write_attribute(id, "level", record.level);
    h5::write_attribute(id, "chi2_min", record.chi2_min);
    for (std::size_t k = 0; k < record.pieces.size(); ++k)
    {
        auto const& points = record.pieces[k].points;
        double const* const first = points.empty() ? nullptr : points.front().data();
        h5::Handle const piece = h5::write_array(id, std::to_string(k), {length(points.size()), 2}, first);
        h5::write_attribute(piece.id(), "closed", record.pieces[k].closed);
    }
}

ContourRecord read_contour(h5::File const& file, hid_t group)
{
    ContourRecord record;
    record.axes = h5::read_strings(group, "axes");
    if (record.axes.size() != 2)
        throw h5::Error{fmt::format("'{}' lies over {} axes, not 2", h5::object_name(group), record.axes.size())};
    read_confidence(group, record);
    record.level = h5::read_double(group, "level");
    record.chi2_min = h5::read_double(group, "chi2_min");
    for (std::size_t k = 0; h5::exists(group, std::to_string(k)); ++k)
    {
        h5::Handle const dataset = h5::open_dataset(group, std::to_string(k));
        Dims dims{-1, 2};
        auto const values = h5::read_doubles(file, dataset.id(), dims);
        ContourPiece piece;
        piece.closed = h5::read_bool(dataset.id(), "closed");
        for (std::size_t i = 0; i + 1 < values.size(); i += 2)
            piece.points.push_back({values[i], values[i + 1]});
        record.pieces.push_back(std::move(piece));
    }
    return record;
}

void write_limits(hid_t parent, LimitRecords const& records)
{
    for (IntervalRecord const& record : records.intervals)
        write_intervals(open_or_create_group(open_or_create_group(parent, "limits").id(), cl_name(record.cl)).id(), record);
    for (CurveRecord const& record : records.curves)
        write_curve(open_or_create_group(open_or_create_group(parent, "limits").id(), cl_name(record.cl)).id(), record);
    for (ContourRecord const& record : records.contours)
        write_contour(open_or_create_group(parent, "contours").id(), record);
}

LimitRecords read_limits(h5::File const& file, hid_t parent, std::string profile)
{
    LimitRecords records;
    records.profile = std::move(profile);
    if (h5::exists(parent, "limits"))
    {
        h5::Handle const limits = h5::open_group(parent, "limits");
        for (std::string const& cl : h5::child_names(limits.id()))
        {
            h5::Handle const level = h5::open_group(limits.id(), cl);
            for (std::string const& name : h5::child_names(level.id()))
            {
                h5::Handle const group = h5::open_group(level.id(), name);
                std::string const kind = h5::read_string(group.id(), "kind");
                if (kind == "intervals")
                    records.intervals.push_back(read_intervals(file, group.id()));
                else if (kind == "curve") // a newer schema may have more
                    records.curves.push_back(read_curve(file, group.id()));
            }
        }
    }
    if (h5::exists(parent, "contours"))
    {
        h5::Handle const contours = h5::open_group(parent, "contours");
        for (std::string const& cl : h5::child_names(contours.id()))
            records.contours.push_back(read_contour(file, h5::open_group(contours.id(), cl).id()));
    }
    return records;
}

void raise_schema(hid_t root)
{
    if (h5::read_int(root, "schema_minor") >= schema_minor)
        return;
    h5::remove_attribute(root, "schema_minor");
    h5::write_attribute(root, "schema_minor", std::int64_t{schema_minor});
}

} // namespace

std::string ProfileRecord::name() const
{
    return join(axes, ",");
}

ProfileRecord const* DerivedResults::find_profile(std::string const& name) const
{
    for (ProfileRecord const& profile : profiles)
        if (profile.name() == name)
            return &profile;
    return nullptr;
}

std::string cl_name(double cl)
{
    return fmt::format("{}", cl);
}

DerivedResults read_derived_results(fs::path const& path)
{
    h5::QuietErrors const quiet;
    try
    {
        h5::File const file = h5::File::open(path);
        DerivedResults results;
        auto const add = [&results](LimitRecords records) {
            if (!records.intervals.empty() || !records.curves.empty() || !records.contours.empty())
                results.limits.push_back(std::move(records));
        };
        add(read_limits(file, file.id(), ""));
        if (h5::exists(file.id(), "profiles"))
        {
            h5::Handle const profiles = h5::open_group(file.id(), "profiles");
            for (std::string const& name : h5::child_names(profiles.id()))
            {
                results.profiles.push_back(read_profile(file, profiles.id(), name));
                add(read_limits(file, h5::open_group(profiles.id(), name).id(), name));
            }
        }
        return results;
    }
    catch (h5::Error const& e)
    {
        throw InputError{fmt::format("{}: {}", path.string(), e.what())};
    }
    catch (std::bad_alloc const&)
    {
        throw InputError{fmt::format("{}: does not fit into memory", path.string())};
    }
}

void store_derived_results(fs::path const& path, DerivedResults const& results)
{
    h5::QuietErrors const quiet;
    FileReplacement replacement{path};
    try
    {
        h5::File file = h5::File::open_to_change(replacement.copy());
        raise_schema(file.id());
        for (ProfileRecord const& profile : results.profiles)
            write_profile(file.id(), profile);
        for (LimitRecords const& records : results.limits)
        {
            if (records.profile.empty())
                write_limits(file.id(), records);
            else
                write_limits(h5::open_group(h5::open_group(file.id(), "profiles").id(), records.profile).id(), records);
            file.check_disk();
        }
        file.close();
    }
    catch (h5::Error const& e)
    {
        throw RunError{fmt::format("{}: {}; the file is as it was", path.string(), e.what())};
    }
    replacement.commit();
}

} // namespace nuscan
