#include "tests/fuzz/surfaces.hpp"

#include <array>
#include <cmath>
#include <fstream>
#include <iterator>

#include "host/cli/surface_json.hpp"
#include "host/io/derived_results.hpp"
#include "host/io/surface_check.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/configuration.hpp"
#include "host/support/sha256.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::fuzz
{

namespace
{

// 3 x 4 points.
constexpr std::int64_t points = 12;
constexpr std::int64_t middle = 5;

SurfaceLayout layout_of(IndexRange range)
{
    SurfaceLayout layout;
    layout.axes = {{"m_V", "MeV", "mass", "$m_V$", AxisScale::log, {0.1, 1.0, 10.0}},
                   {"g_V", "1", "coupling", "$g_V$", AxisScale::linear, {0.0, 1e-7, 2e-7, 3e-7}}};
    layout.range = range;
    layout.chi2_zero = 3.0;
    return layout;
}

SurfaceMeta meta_of(IndexRange range)
{
    SurfaceMeta meta;
    meta.title = "surface";
    meta.experiments = {"toy"};
    meta.configuration = "[scan]\nexperiments = [\"toy\"]\n";
    meta.configuration_canonical = "{\"results_version\":1}";
    meta.configuration_sha256 = sha256(meta.configuration_canonical);
    meta.data_sha256 = {{"solar/pp.txt", "0123"}};
    meta.data_folder = "data";
    meta.command_line = "nuscan scan grid.toml -o out.h5";
    meta.version = "0.1.0";
    meta.backend = "cpu";
    meta.route = "factored";
    meta.start_utc = "2026-01-01T00:00:00Z";
    meta.stop_utc = "2026-01-01T00:00:01Z";
    meta.chi2_zero = 3.0;
    meta.self_check = {4, 1e-9, 1e-6, true};
    meta.range = range;
    meta.shard_index = range.size() == points ? 0 : (range.begin == 0 ? 1 : 2);
    meta.shard_count = range.size() == points ? 0 : 2;
    return meta;
}

double chi2_at(std::int64_t i)
{
    return 2.0 + std::fabs(static_cast<double>(i) - 3.0);
}

PointRecord best_fit_of(IndexRange range)
{
    std::int64_t const index = range.begin <= 3 ? 3 : range.begin;
    return {index, {{"m_V", 0.1}, {"g_V", 3e-7}}, chi2_at(index), {{"beta", 0.1}}};
}

PointRecord null()
{
    return {-1, {}, 3.0, {{"beta", -0.2}}};
}

std::string bytes_of(std::filesystem::path const& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void write_points(std::filesystem::path const& path, IndexRange range, bool everything)
{
    SurfaceLayout layout = layout_of(range);
    constexpr std::int64_t bins = 2;
    if (everything)
    {
        layout.pulls = {"beta"};
        layout.rates = {{"toy", "events", {0.0, 1.0, 2.0}}};
    }
    SurfaceWriter writer{path, layout};
    for (std::int64_t i = range.begin; i < range.end; ++i)
    {
        double const chi2 = chi2_at(i);
        std::uint8_t const status = 0;
        double const pull = 0.1;
        std::array<double, bins> const rates = {1.0, 2.0};
        writer.append(1, &chi2, &status, &pull, rates.data());
    }
    writer.finish(meta_of(range), best_fit_of(range), null());
}

/// Everything that profile and limits store.
DerivedResults derived()
{
    DerivedResults results;
    ProfileRecord profile;
    profile.axes = {"g_V"};
    profile.profiled_axes = {"m_V"};
    profile.chi2_min = 2.0;
    profile.chi2_zero = 3.0;
    profile.chi2 = {1.0, NAN, 2.5, 3.5};
    profile.index = {{0, -1, 2, 1}};
    results.profiles.push_back(profile);

    LimitRecords own;
    CurveRecord curve;
    curve.parameter = "g_V";
    curve.mass = "m_V";
    curve.unit = "1";
    curve.mass_unit = "MeV";
    curve.cl = 0.9;
    curve.threshold = 2.7;
    curve.definition = "plane";
    curve.masses = {0.1, 1.0, 10.0};
    curve.upper = {1e-7, NAN, 2e-7};
    curve.intervals = {{{0.0, 1e-7}}, {}, {{0.0, 5e-8}, {1e-7, 2e-7}}};
    curve.chi2_min = {2.0, 2.0, 2.0};
    curve.coarse = {0, 0, 1};
    own.curves.push_back(curve);
    ContourRecord contour;
    contour.axes = {"m_V", "g_V"};
    contour.cl = 0.9;
    contour.threshold = 4.6;
    contour.pieces = {{true, {{0.1, 1e-7}, {1.0, 2e-7}, {0.1, 1e-7}}}, {false, {{0.1, 1e-7}, {1.0, 2e-7}}}};
    own.contours.push_back(contour);
    results.limits.push_back(own);

    LimitRecords of_profile;
    of_profile.profile = "g_V";
    IntervalRecord interval;
    interval.parameter = "g_V";
    interval.unit = "1";
    interval.cl = 0.9;
    interval.threshold = 2.7;
    interval.profiled_axes = {"m_V"};
    interval.region.intervals = {{{0.0, 1e-7}, IntervalEnd::physical_bound, IntervalEnd::crossing}};
    of_profile.intervals.push_back(interval);
    results.limits.push_back(of_profile);
    return results;
}

std::string make_surface(SurfaceKind kind)
{
    test::TempDir const folder;
    auto const path = folder.path() / "surface.h5";
    if (kind == SurfaceKind::shard)
    {
        write_points(path, {0, middle}, false);
        return bytes_of(path);
    }
    if (kind == SurfaceKind::whole)
    {
        write_points(path, {0, points}, true);
        store_derived_results(path, derived());
        return bytes_of(path);
    }
    SurfaceMeta meta = meta_of({0, points});
    std::vector<SurfacePart> parts;
    std::int64_t begin = 0;
    for (auto const& [file, end] : {std::pair{"first.h5", middle}, std::pair{"second.h5", points}})
    {
        meta.shards.push_back(meta_of({begin, end}));
        meta.shards.back().file = file;
        parts.push_back({file, {begin, end}});
        begin = end;
    }
    SurfaceWriter writer{path, layout_of({0, points}), parts};
    writer.append(0, nullptr, nullptr, nullptr, nullptr);
    writer.finish(meta, best_fit_of({0, points}), null());
    return bytes_of(path);
}

} // namespace

std::string const& surface_bytes(SurfaceKind kind)
{
    static std::array<std::string, 3> const bytes = {make_surface(SurfaceKind::whole), make_surface(SurfaceKind::shard),
                                                     make_surface(SurfaceKind::virtual_)};
    return bytes[static_cast<std::size_t>(kind)];
}

void read_surface(std::filesystem::path const& path)
{
    bool const is_surface = answers([&] {
        SurfaceReader const file{path};
        SurfaceLayout const& layout = file.layout();
        require(!layout.axes.empty() && layout.range.size() >= 0 && layout.range.end <= layout.size(), "a surface has a range");
        cli::DerivedNames names;
        answers([&] { names = cli::derived_names(read_derived_results(path)); });
        auto const json = cli::info_json(file, names);
        require(!json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).empty(), "there is JSON of every surface");
        answers([&] { check_contents(file); });
        constexpr std::int64_t block = 1 << 16;
        IndexRange const some{layout.range.begin, std::min(layout.range.begin + block, layout.range.end)};
        for (std::string const& name : layout.pulls)
            answers([&] { require(std::ssize(file.pull(name, some)) == some.size(), "a pull for each point"); });
        for (RateRecord const& rate : layout.rates)
            answers([&] {
                require(std::ssize(file.rates(rate.experiment, some)) == some.size() * (std::ssize(rate.edges) - 1),
                        "a rate for each point and bin");
            });
        answers([&] {
            if (!file.has_stored_chunks())
                return;
            std::vector<std::int64_t> shape;
            for (AxisRecord const& axis : layout.axes)
                shape.push_back(std::ssize(axis.values));
            StoredChunk chunk;
            for (std::int64_t at = some.begin; at < some.end; at = chunk.range.end)
            {
                file.stored_chunk({surface_chunk_begin(shape, at), surface_chunk_end(shape, at)}, chunk);
                require(std::ssize(chunk.chi2) > chunk.range.size(), "a chunk holds its points and a checksum");
            }
        });
        answers([&] { parse_canonical(file.meta().configuration_canonical).size(); });
    });
    // Where the checks of a surface end it early, what is derived has to be looked at all the same.
    if (!is_surface)
        answers([&] { read_derived_results(path); });
}

} // namespace nuscan::fuzz
