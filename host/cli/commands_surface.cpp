// What is derived from finished surfaces: profile, limits of a file, export.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>

#include "host/cli/cli.hpp"
#include "host/io/contour_program.hpp"
#include "host/io/derived_results.hpp"
#include "host/io/export_tables.hpp"
#include "host/scan/profile.hpp"
#include "host/scan/surface_limits.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

/// Masses of a curve that are printed; the file has all.
constexpr std::size_t most_printed = 25;

void warn_of_failed_scan(SurfaceReader const& surface, std::string const& path)
{
    if (surface.meta().failed)
        spdlog::warn("{} failed its self-check: do not trust what is derived from it", path);
}

/// A full disk or a limit of file sizes shows as an error of the write, not as the end of the program.
void ignore_size_limit_signal()
{
    std::signal(SIGXFSZ, SIG_IGN);
}

/// Draws the contours into \p results; the message if that failed, empty otherwise.
std::string draw_all(std::string const& path, std::vector<ContourTask> const& tasks, DerivedResults& results)
{
    for (std::size_t i = 0; i < tasks.size();)
    {
        // All levels of one plane at once.
        std::size_t end = i;
        std::vector<double> levels;
        for (; end < tasks.size() && tasks[end].profile == tasks[i].profile; ++end)
            levels.push_back(tasks[end].contour.level);
        std::vector<std::vector<ContourPiece>> drawn;
        try
        {
            drawn = draw_contours(path, tasks[i].profile, levels);
        }
        catch (NoContourProgram const& problem)
        {
            spdlog::warn("no contours: {}", problem.what());
            return {};
        }
        catch (RunError const& problem)
        {
            return problem.what();
        }
        auto records = std::find_if(results.limits.begin(), results.limits.end(),
                                    [&](LimitRecords const& limits) { return limits.profile == tasks[i].profile; });
        if (records == results.limits.end())
        {
            records = results.limits.insert(results.limits.end(), LimitRecords{});
            records->profile = tasks[i].profile;
        }
        for (std::size_t k = 0; i < end; ++i, ++k)
        {
            records->contours.push_back(tasks[i].contour);
            records->contours.back().pieces = std::move(drawn[k]);
        }
    }
    return {};
}

/// NaN, which JSON does not know, becomes null.
Json number_json(double value)
{
    return std::isfinite(value) ? Json(value) : Json();
}

template<class Record>
void add_confidence(Json& json, LimitRecords const& records, Record const& record)
{
    json["cl"] = record.cl;
    json["dof"] = record.dof;
    json["delta_chi2"] = record.threshold;
    json["profile"] = records.profile.empty() ? Json() : Json(records.profile);
    json["profiled_axes"] = record.profiled_axes;
}

Json intervals_json(LimitRecords const& records, IntervalRecord const& record)
{
    Json json{{"parameter", record.parameter}, {"unit", record.unit}};
    add_confidence(json, records, record);
    json["best_fit"] = record.region.best_fit;
    json["chi2_min"] = record.region.chi2_min;
    json["marginal"] = record.region.marginal;
    json["coarse"] = record.region.coarse;
    json["zero_off_grid"] = record.region.zero_off_grid;
    json["intervals"] = Json::array();
    json["open"] = Json::array();
    for (GridInterval const& interval : record.region.intervals)
    {
        json["intervals"].push_back({interval.range.lo, interval.range.hi});
        json["open"].push_back({static_cast<int>(interval.lo_end), static_cast<int>(interval.hi_end)});
    }
    return json;
}

Json curve_json(LimitRecords const& records, CurveRecord const& record)
{
    Json json{{"parameter", record.parameter},
              {"unit", record.unit},
              {"mass", record.mass},
              {"mass_unit", record.mass_unit},
              {"definition", record.definition}};
    add_confidence(json, records, record);
    json["masses"] = record.masses;
    json["upper"] = Json::array();
    json["intervals"] = Json::array();
    for (std::size_t i = 0; i < record.masses.size(); ++i)
    {
        json["upper"].push_back(number_json(record.upper[i]));
        Json pieces = Json::array();
        for (Interval const& piece : record.intervals[i])
            pieces.push_back({piece.lo, piece.hi});
        json["intervals"].push_back(std::move(pieces));
    }
    json["chi2_min"] = record.chi2_min;
    json["coarse"] = Json::array();
    for (std::uint8_t const coarse : record.coarse)
        json["coarse"].push_back(coarse != 0);
    return json;
}

Json contour_json(LimitRecords const& records, ContourRecord const& record)
{
    Json json{{"axes", record.axes}};
    add_confidence(json, records, record);
    json["chi2_min"] = record.chi2_min;
    json["level"] = record.level;
    json["pieces"] = Json::array();
    for (ContourPiece const& piece : record.pieces)
        json["pieces"].push_back({{"closed", piece.closed}, {"points", piece.points}});
    return json;
}

Json limits_json(std::string const& file, DerivedResults const& results)
{
    Json json{{"file", file}, {"limits", Json::array()}, {"curves", Json::array()}, {"contours", Json::array()}};
    for (LimitRecords const& records : results.limits)
    {
        for (IntervalRecord const& record : records.intervals)
            json["limits"].push_back(intervals_json(records, record));
        for (CurveRecord const& record : records.curves)
            json["curves"].push_back(curve_json(records, record));
        for (ContourRecord const& record : records.contours)
            json["contours"].push_back(contour_json(records, record));
    }
    return json;
}

/// "< 8.8e-12", "[-1e-13, 6e-13]"; an end that is only that of the grid carries a star.
std::string interval_text(GridInterval const& interval)
{
    auto const end_text = [](double value, IntervalEnd end) {
        return fmt::format("{:.4g}{}", value, end == IntervalEnd::grid_edge ? "*" : "");
    };
    if (interval.lo_end == IntervalEnd::physical_bound)
        return "< " + end_text(interval.range.hi, interval.hi_end);
    return fmt::format("[{}, {}]", end_text(interval.range.lo, interval.lo_end), end_text(interval.range.hi, interval.hi_end));
}

void print_intervals(DerivedResults const& results)
{
    bool heading = false;
    for (LimitRecords const& records : results.limits)
        for (IntervalRecord const& record : records.intervals)
        {
            if (!std::exchange(heading, true))
                fmt::print("{:<14}{:<6}{:>7}{:>5}{:>13}{:>11}  allowed\n", "parameter", "unit", "C.L.", "dof", "best fit",
                           "chi2 min");
            std::vector<std::string> pieces;
            if (record.region.zero_off_grid)
                pieces.emplace_back("0 (off the grid)");
            for (GridInterval const& interval : record.region.intervals)
                pieces.push_back(interval_text(interval));
            fmt::print("{:<14}{:<6}{:>7g}{:>5}{:>13.4g}{:>11.4f}  {}{}{}\n", record.parameter, record.unit, record.cl, record.dof,
                       record.region.best_fit, record.region.chi2_min,
                       pieces.empty() ? "nothing on the grid" : join(pieces, " and "), record.region.marginal ? "  (marginal)" : "",
                       record.region.coarse ? "  (coarse)" : "");
        }
}

std::string upper_text(double value)
{
    return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

/// Both definitions of a limit side by side, at evenly chosen masses.
void print_curves(LimitRecords const& records)
{
    for (std::size_t i = 0; i + 1 < records.curves.size(); i += 2)
    {
        CurveRecord const& per_mass = records.curves[i];
        CurveRecord const& plane = records.curves[i + 1];
        auto const unit = [](std::string const& name, std::string const& in) {
            return in == "1" ? name : fmt::format("{} [{}]", name, in);
        };
        fmt::print("\nupper limits on {} at {:g} C.L.\n{:>14}{:>20}{:>20}\n{:>14}{:>20}{:>20}\n",
                   unit(per_mass.parameter, per_mass.unit), per_mass.cl, unit(per_mass.mass, per_mass.mass_unit), "per mass",
                   "whole plane", "", fmt::format("(< {:.4g})", per_mass.threshold), fmt::format("(< {:.4g})", plane.threshold));
        std::size_t const n = per_mass.masses.size();
        std::size_t const printed = std::min(n, most_printed);
        for (std::size_t k = 0; k < printed; ++k)
        {
            std::size_t const row = printed > 1 ? k * (n - 1) / (printed - 1) : 0;
            fmt::print("{:>14.4g}{:>20}{:>20}\n", per_mass.masses[row], upper_text(per_mass.upper[row]),
                       upper_text(plane.upper[row]));
        }
        if (printed < n)
            fmt::print("{:>14}  {} of {} masses; the file and --json have all\n", "", printed, n);
    }
}

void print_limits(DerivedResults const& results)
{
    print_intervals(results);
    for (LimitRecords const& records : results.limits)
    {
        print_curves(records);
        for (ContourRecord const& record : records.contours)
        {
            std::size_t points = 0;
            std::size_t closed = 0;
            for (ContourPiece const& piece : record.pieces)
            {
                points += piece.points.size();
                closed += piece.closed;
            }
            fmt::print("\ncontour of {} and {} at {:g} C.L. (Delta chi^2 = {:.4g}): {}, {} of them closed, {}\n", record.axes[0],
                       record.axes[1], record.cl, record.threshold, counted(static_cast<long long>(record.pieces.size()), "piece"),
                       closed, counted(static_cast<long long>(points), "point"));
        }
    }
}

} // namespace

void SurfaceLimitsCommand::add_options(CLI::App& command)
{
    command.add_option("file", file, "Limits of this finished surface (HDF5) instead; they are stored in it")
        ->type_name("[OUT.h5]");
    command.add_option("--keep", keep, "Of a surface: axes to keep, one or two; the others are profiled over")->type_name("AXIS");
}

void SurfaceLimitsCommand::run(CLI::App const& command, std::vector<double> const& cls, bool json) const
{
    for (auto const* const option : command.get_options())
        if (option->count() > 0)
        {
            std::vector<std::string> const allowed{"file", "--keep", "--cl", "--dof", "--json"};
            if (std::find(allowed.begin(), allowed.end(), option->get_name()) == allowed.end())
                throw InputError(
                    fmt::format("{}: does not go with a surface file ({}), which has it fixed; scan again to change it",
                                option->get_name(), file));
        }
    SurfaceLimitOptions options;
    options.keep = keep;
    options.cls = cls;
    if (auto const* const dof = command.get_option("--dof"); dof->count() > 0)
        options.dof = dof->as<int>();
    ignore_size_limit_signal();

    SurfaceReader const surface(file);
    warn_of_failed_scan(surface, file);
    SurfaceLimits found = find_surface_limits(file, surface, read_derived_results(file), options);
    for (std::string const& warning : found.warnings)
        spdlog::warn("{}", warning);
    // The plane of a contour is read from the file.
    DerivedResults& results = found.results;
    if (!found.contours.empty() && !results.profiles.empty())
    {
        DerivedResults profiles;
        profiles.profiles = std::move(results.profiles);
        results.profiles.clear();
        store_derived_results(file, profiles);
    }
    std::string const failure = draw_all(file, found.contours, results);
    store_derived_results(file, results);
    if (json)
        print_json(limits_json(file, results));
    else
        print_limits(results);
    if (!failure.empty())
        throw RunError(failure);
}

void add_profile(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("profile", "Minimise a finished surface over axes; the result is stored in the file");
    struct Options
    {
        std::string file;
        std::vector<std::string> keep;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("file", options->file, "Surface file (HDF5)")->required()->type_name("OUT.h5");
    command->add_option("--keep", options->keep, "Axes to keep, in any order; chi^2 is minimised over all others")
        ->required()
        ->type_name("AXIS");
    command->footer(
        "/profiles/<kept axes> gets the least chi^2 at each node of the kept axes and where it lay. The file is read block by\n"
        "block: memory does not grow with the surface, only with the result (24 bytes and more a node). It is replaced in one\n"
        "step, by a copy, for which there must be room beside it.\n"
        "Example: nuscan profile lambda.h5 --keep Lambda_1 Lambda_2");
    command->callback([options] {
        ignore_size_limit_signal();
        SurfaceReader const surface(options->file);
        auto const keep = kept_axes(surface.layout(), options->keep);
        if (keep.size() == surface.layout().axes.size())
            throw InputError(fmt::format("--keep {}: these are all axes, nothing is left to minimise over; keep fewer",
                                         join(options->keep, " ")));
        require_whole_surface(surface, options->file);
        warn_of_failed_scan(surface, options->file);
        std::string const name = join(keep, ",");
        DerivedResults const stored = read_derived_results(options->file);
        if (stored.find_profile(name) != nullptr)
        {
            spdlog::info("{} holds /profiles/{} already", options->file, name);
            fmt::print("{}/profiles/{}\n", options->file, name);
            return;
        }
        DerivedResults results;
        results.profiles = profile_surface(surface, {keep});
        ProfileRecord const& profile = results.profiles.front();
        auto const failed = std::count_if(profile.chi2.begin(), profile.chi2.end(), [](double chi2) { return std::isnan(chi2); });
        if (static_cast<std::size_t>(failed) == profile.chi2.size())
            throw InputError(
                fmt::format("{}: no point has a chi^2, every one failed: there is nothing to minimise", options->file));
        if (failed > 0)
            spdlog::warn("{} of {} have no chi^2: every point over them failed", counted(failed, "node"), profile.chi2.size());
        store_derived_results(options->file, results);
        spdlog::info("minimised over {}", join(profile.profiled_axes));
        fmt::print("{}/profiles/{}\n", options->file, name);
    });
}

void add_export(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("export",
                                             "Write the limits, profiles and contours of a surface as CSV or for HEPData");
    struct Options
    {
        std::string file;
        std::string format;
        std::string folder;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("file", options->file, "Surface file (HDF5)")->required()->type_name("FILE");
    command->add_option("--format", options->format, "csv (a file for each result) or hepdata (a submission)")->required();
    command->add_option("-o,--output", options->folder, "Folder, created if it is not there")->required()->type_name("DIR");
    command->footer(
        "Exported is what profile and limits stored, and chi^2 itself of a surface over one axis; files of the same name are\n"
        "replaced.\n"
        "Example: nuscan export vector.h5 --format csv -o tables");
    command->callback([options] {
        std::vector<std::string> const formats{"csv", "hepdata"};
        if (std::find(formats.begin(), formats.end(), options->format) == formats.end())
            throw InputError(fmt::format("--format {}: unknown{}", options->format, suggestion(options->format, formats)));
        ignore_size_limit_signal();
        SurfaceReader const surface(options->file);
        warn_of_failed_scan(surface, options->file);
        DerivedResults const results = read_derived_results(options->file);
        SurfaceLayout const& layout = surface.layout();
        // Of one axis there is chi^2 itself to export.
        bool const curve = layout.axes.size() == 1 && layout.range.size() == layout.size();
        if (results.profiles.empty() && results.limits.empty() && !curve)
            throw InputError(fmt::format("{}: holds no profile, limit or contour yet; nuscan limits {} finds them", options->file,
                                         options->file));
        std::error_code error;
        std::filesystem::path const folder = options->folder;
        std::filesystem::create_directory(folder, error);
        if (!std::filesystem::is_directory(folder))
            throw InputError(fmt::format("--output {}: no folder, and none can be created: {}", options->folder,
                                         error ? error.message() : "a file of that name is there"));
        auto const exported = options->format == "csv" ? export_csv(surface, results, folder)
                                                       : export_hepdata(surface, results, folder);
        for (auto const& notice : exported.notices)
            spdlog::warn("{}", notice);
        for (auto const& path : exported.files)
        {
            constexpr std::uintmax_t most_bytes = 10485760; // of a file, says HEPData
            if (options->format == "hepdata" && std::filesystem::file_size(path) > most_bytes)
                spdlog::warn("{} is larger than 10 MB, which HEPData refuses; scan it with fewer nodes for them", path.string());
            fmt::print("{}\n", path.string());
        }
    });
}

} // namespace nuscan::cli
