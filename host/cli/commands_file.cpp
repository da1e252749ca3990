// Commands on finished surfaces: info and validate.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "host/backends/reference.hpp"
#include "host/cli/cli.hpp"
#include "host/cli/surface_json.hpp"
#include "host/io/derived_results.hpp"
#include "host/io/file_replacement.hpp"
#include "host/io/surface_check.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/scan/self_check.hpp"
#include "host/support/error.hpp"
#include "host/support/sha256.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

/// What a journal tells of its unfinished scan.
void print_journal(std::string const& path, bool json)
{
    auto const found = Journal::inspect(path);
    if (!found)
        throw InputError(fmt::format("{}: {}", path,
                                     std::filesystem::file_size(path) == 0
                                         ? "is empty: the lock of a merge or a scan that was ended at once; it can be removed"
                                         : "is cut off inside its head: the scan had not begun"));
    JournalDescription const description = describe_journal(path, *found);
    std::string const continuation = continue_command(description, path);
    auto const& identity = description.identity;
    IndexRange const range = found->head.range;
    std::int64_t const done = found->next - range.begin;
    std::int64_t const size = parse_canonical(identity.configuration).size();
    auto const values = std::filesystem::path(path).replace_extension(".partial");
    std::error_code error;
    std::int64_t damaged_points = 0;
    for (JournalRecord const& record : found->records)
        damaged_points += record.known ? 0 : record.range.size();
    bool const missing = done > 0 && !std::filesystem::exists(values, error);
    if (json)
    {
        print_json({{"title", description.title},
                    {"complete", false},
                    {"points", size},
                    {"range", {range.begin, range.end}},
                    {"done", done},
                    {"damaged", found->damaged || damaged_points > 0},
                    {"damaged_points", damaged_points},
                    {"dropped_bytes", found->useless_bytes},
                    {"values_missing", missing},
                    {"continue", continuation.empty() ? Json() : Json(continuation)},
                    {"configuration_sha256", sha256(identity.configuration)},
                    {"data_sha256", identity.data_sha256},
                    {"backend", identity.backend},
                    {"route", identity.route},
                    {"start_utc", description.start_utc}});
        return;
    }
    fmt::print("title         {}\n", description.title);
    fmt::print("unfinished    {} of {} done ({:.1f}%), from {} on; begun {}\n", done, counted(range.size(), "point"),
               range.size() > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(range.size()) : 100.0, range.begin,
               description.start_utc);
    if (range.size() < size)
        fmt::print("shard         points [{}, {}) of {}\n", range.begin, range.end, size);
    if (found->damaged)
        fmt::print("DAMAGED       behind point {}: {} bytes there will be computed again\n", found->next, found->useless_bytes);
    if (damaged_points > 0)
        fmt::print("DAMAGED       records of {} in between, which will be computed again\n", counted(damaged_points, "point"));
    if (missing)
        fmt::print("MISSING       {}, which holds the values: all points will be computed again\n", values.string());
    fmt::print("computed by   {} ({} route)\n", identity.backend, identity.route);
    fmt::print("configuration {}\ndata files    {}\n", sha256(identity.configuration), identity.data_sha256.size());
    fmt::print("continue with {}\n", continuation.empty()
                                         ? "its own command, once it has the name that this gives it: " + description.command_line
                                         : continuation);
    if (continuation.find("mpirun ") != continuation.npos)
        fmt::print("              and the options of mpirun that it had; nuscan scan in place of mpirun ... nuscan-mpi scan does "
                   "it, too\n");
}

/// The journal that \p file is, or that tells of it because it is unfinished.
std::optional<std::string> journal_of(std::string const& file)
{
    std::error_code error;
    std::filesystem::path const path = file;
    if (path.extension() == ".partial" && std::filesystem::exists(journal_path(path.parent_path() / path.stem()), error))
        return journal_path(path.parent_path() / path.stem()).string();
    // A link may lead to what is not there yet.
    auto const written = std::filesystem::exists(file, error) ? path : link_target(path);
    if (!std::filesystem::exists(written, error) && std::filesystem::exists(journal_path(written), error))
        return journal_path(written).string();
    if (path.extension() == ".journal" && std::filesystem::is_regular_file(file, error))
        return file;
    return std::nullopt;
}

void print_info(SurfaceReader const& file, DerivedNames const& derived)
{
    auto const& meta = file.meta();
    auto const& layout = file.layout();
    fmt::print("title         {}\nexperiments   {}\n", meta.title, join(meta.experiments));
    for (auto const& axis : layout.axes)
        fmt::print("axis          {}{}  {:g} to {:g}, {}, {}\n", axis.name, axis.unit == "1" ? "" : fmt::format(" [{}]", axis.unit),
                   axis.values.front(), axis.values.back(), counted(static_cast<long long>(axis.values.size()), "point"),
                   axis.scale == AxisScale::log ? "log" : "linear");
    fmt::print("points        {} of {}{}{}\n", layout.range.size(), layout.size(),
               layout.range.size() < layout.size() ? fmt::format(", [{}, {}), shard {} of {}", layout.range.begin, layout.range.end,
                                                                 meta.shard_index, meta.shard_count)
                                                   : "",
               meta.failed ? "  FAILED its self-check" : "");
    std::string best;
    for (auto const& [name, value] : file.best_fit().parameters)
        best += fmt::format("  {} = {:.6g}", name, value);
    fmt::print("best fit      chi2 = {:.6f}{}\nSM            chi2 = {:.6f}\n", file.best_fit().chi2, best, file.null().chi2);
    fmt::print("status        {} not converged, {} not finite, {} by the direct route\n", meta.not_converged, meta.not_finite,
               meta.direct_fallback);
    fmt::print("self-check    {}, worst |delta chi2|/(1 + chi2) = {:.1e}, {} (bound {:.0e})\n",
               counted(meta.self_check.points, "point"), meta.self_check.worst, meta.self_check.passed ? "passed" : "FAILED",
               meta.self_check.tolerance);
    fmt::print("computed      {} to {} on {}, {} ({} route), {:.3g} points/s\n", meta.start_utc, meta.stop_utc, meta.host,
               meta.device, meta.route, meta.points_per_s);
    fmt::print("program       nuscan {}, commit {}{}, {}, CUDA {}\n", meta.version, meta.commit, meta.dirty ? " (modified)" : "",
               meta.compiler, meta.cuda);
    if (!meta.shards.empty())
        fmt::print("merged from   {}: {}{}\n", counted(static_cast<long long>(meta.shards.size()), "shard"),
                   meta.shards.front().file, meta.shards.size() > 1 ? " to " + meta.shards.back().file : "");
    fmt::print("command       {}\nconfiguration {}\ndata files    {}{}\n", meta.command_line, meta.configuration_sha256,
               meta.data_sha256.size(), meta.data_folder.empty() ? "" : " in " + meta.data_folder);
    for (auto const& [kind, names] :
         {std::pair{"profiles", derived.profiles}, std::pair{"limits", derived.limits}, std::pair{"contours", derived.contours}})
        if (!names.empty())
            fmt::print("{:<14}{}\n", kind, join(names, "; "));
}

/// Recomputes random points by the reference with the data at hand.
std::vector<std::string> check_points(SurfaceReader const& file, std::int64_t n, double& worst)
{
    std::vector<std::string> problems;
    auto const configuration = parse_canonical(file.meta().configuration_canonical);
    DataFolder data = DataFolder::find();
    Inputs inputs = load_inputs(data, configuration.inputs, configuration.experiments);
    if (data.hashes() != file.meta().data_sha256)
        problems.push_back("the data files at hand differ from those of the scan");
    auto const prepared = std::make_shared<Prepared const>(std::move(inputs));
    Problem const problem(prepared, configuration.axes, configuration.fixed);
    if (problem.size() != file.layout().size())
    {
        problems.push_back("the stored configuration does not belong to this grid");
        return problems;
    }
    ReferenceCalculation const reference(prepared->inputs());
    worst = 0.0;
    auto const range = file.layout().range;
    for (auto const offset : draw_points(range.size(), static_cast<std::size_t>(n), file.meta().stop_utc))
    {
        std::int64_t const index = range.begin + offset;
        double const chi2 = file.chi2({index, index + 1}).front();
        worst = std::max(worst, check_deviation(chi2, checked_point(index, reference.evaluate(problem.values(index)))));
    }
    if (worst > self_check_tolerance)
        problems.push_back(fmt::format("a recomputed point deviates by {:.1e} (bound {:.0e})", worst, self_check_tolerance));
    return problems;
}

} // namespace

void add_info(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("info", "Show what a surface file holds and how it was made");
    struct Options
    {
        std::string file;
        bool json = false;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("file", options->file, "Surface file (HDF5), or the journal of an unfinished scan")
        ->required()
        ->type_name("FILE");
    command->add_flag("--json", options->json, "Print JSON");
    command->footer("Of an unfinished scan, which has a journal, it shows how far that is and the command that continues it.\n"
                    "Example: nuscan info vector.h5\n"
                    "         nuscan info vector.h5.journal");
    command->callback([options] {
        if (auto const journal = journal_of(options->file))
        {
            print_journal(*journal, options->json);
            return;
        }
        SurfaceReader const file(options->file);
        auto const derived = derived_names(read_derived_results(options->file));
        if (options->json)
            print_json(info_json(file, derived));
        else
            print_info(file, derived);
    });
}

void add_validate(CLI::App& app, Program& program)
{
    auto* const command = app.add_subcommand("validate",
                                             "Check a surface file: every checksum, its record of itself, random points");
    struct Options
    {
        std::string file;
        long long points = 0;
        bool json = false;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("file", options->file, "Surface file (HDF5)")->required()->type_name("FILE");
    whole_number(command->add_option("--points", options->points, "Recompute this many random points by the reference"))
        ->capture_default_str();
    command->add_flag("--json", options->json, "Print JSON");
    command->footer("Example: nuscan validate vector.h5 --points 20");
    command->callback([options, &program] {
        constexpr long long most_points = 100000;
        if (options->points < 0 || options->points > most_points)
            throw InputError(fmt::format("--points {}: choose 0 to {}", options->points, most_points));
        SurfaceReader const file(options->file);
        read_derived_results(options->file); // with all checksums
        auto problems = check_contents(file);
        double worst = 0.0;
        if (options->points > 0)
        {
            auto const more = check_points(file, options->points, worst);
            problems.insert(problems.end(), more.begin(), more.end());
        }
        if (options->json)
            print_json({{"file", options->file}, {"valid", problems.empty()}, {"problems", problems}, {"worst_deviation", worst}});
        else
        {
            for (auto const& problem : problems)
                fmt::print("{}: {}\n", options->file, problem);
            if (problems.empty())
                fmt::print("{}: valid; {} read{}\n", options->file, counted(file.layout().range.size(), "point"),
                           options->points > 0
                               ? fmt::format(", {} recomputed, worst |delta chi2|/(1 + chi2) = {:.1e}", options->points, worst)
                               : "");
        }
        if (!problems.empty())
            program.exit_code = exit_failure;
    });
}

} // namespace nuscan::cli
