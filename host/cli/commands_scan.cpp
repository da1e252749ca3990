// Commands on grids: plan and scan.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nuscan_version.hpp>
#include <optional>
#include <string_view>

#include "host/cli/cli.hpp"
#include "host/cli/slurm_script.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

volatile std::sig_atomic_t signalled = 0;

void request_stop(int)
{
    signalled = 1;
}

std::string duration_text(double seconds)
{
    if (seconds < 60.0)
        return fmt::format("{:.1f} s", seconds);
    auto const whole = static_cast<long long>(seconds);
    if (whole < 3600)
        return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string size_text(std::uint64_t bytes)
{
    auto const value = static_cast<double>(bytes);
    return bytes < 1000000      ? fmt::format("{:.1f} kB", value * 1e-3)
           : bytes < 1000000000 ? fmt::format("{:.1f} MB", value * 1e-6)
                                : fmt::format("{:.2f} GB", value * 1e-9);
}

/// Progress on standard error: one line renewed on a terminal, a plain line every ten seconds elsewhere.
class ProgressPrinter
{
public:
    void operator()(ScanProgress const& progress)
    {
        auto const now = std::chrono::steady_clock::now();
        bool const last = progress.done == progress.total;
        auto const interval = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
        if (now - printed_ < interval && !(last && terminal_))
            return;
        printed_ = now;
        double const percent = 100.0 * static_cast<double>(progress.done) / static_cast<double>(progress.total);
        auto const text = fmt::format("{:5.1f}%  {} of {} points  {:.3g} points/s  ETA {}", percent, progress.done, progress.total,
                                      progress.points_per_s, duration_text(progress.remaining_s));
        if (terminal_)
            fmt::print(stderr, "\r{:<78}{}", text, last ? "\n" : "");
        else
            fmt::print(stderr, "{}\n", text);
        std::fflush(stderr);
    }

private:
    bool terminal_ = isatty(STDERR_FILENO) == 1;
    std::chrono::steady_clock::time_point printed_ = std::chrono::steady_clock::now();
};

/// Failed points that are listed by index and values, of each kind.
constexpr std::size_t most_listed = 5;

/// The first points of a surface that have \p status.
std::vector<std::int64_t> first_points(SurfaceReader const& surface, PointStatus status)
{
    std::vector<std::int64_t> found;
    IndexRange const range = surface.layout().range;
    for (std::int64_t begin = range.begin; begin < range.end; begin += points_at_a_time)
    {
        auto const block = surface.status({begin, std::min(begin + points_at_a_time, range.end)});
        for (std::size_t i = 0; i < block.size(); ++i)
            if (block[i] == static_cast<std::uint8_t>(status))
            {
                found.push_back(begin + static_cast<std::int64_t>(i));
                if (found.size() == most_listed)
                    return found;
            }
    }
    return found;
}

struct GridOptions : CommonOptions
{
    std::string grid;
    std::string output;
    std::optional<long long> nodes;
    std::optional<long long> chunk;
    std::optional<std::string> shard;
    bool restart = false;

    ScanConfiguration configuration() const
    {
        auto configuration = read_configuration(grid);
        if (!experiments.empty())
            configuration.experiments = experiments;
        if (nodes)
            limit_nodes(configuration, *nodes);
        apply_settings(configuration, parse_settings(settings));
        apply_inputs(configuration.inputs);
        return configuration;
    }

    ScanOptions scan_options() const { return scan_options(chosen_device()); }

    ScanOptions scan_options(Device const& chosen) const
    {
        ScanOptions scan;
        if (chunk && *chunk < 1)
            throw InputError(fmt::format("--chunk {}: a chunk has at least one point", *chunk));
        scan.chunk = chunk.value_or(0);
        scan.threads = thread_count();
        scan.device = chosen;
        scan.route = parse_route(route);
        if (shard)
            scan.shard = parse_shard(*shard);
        return scan;
    }
};

char const* const scan_shard_help
    = "Part k of N of the grid, k from 1; slurm: the part of this task of a Slurm array of tasks 1 to N,\n"
      "the default in one; none: the whole grid, the default elsewhere";
char const* const plan_shard_help
    = "Part k of N of the grid, k from 1, or slurm: this task's part in a Slurm array of tasks 1 to N";

/// \param shard_help  what --shard takes
void add_grid_options(CLI::App& command, GridOptions& options, std::string const& shard_help)
{
    command.add_option("grid", options.grid, "Grid file (TOML)")->required()->type_name("GRID.toml");
    command
        .add_option("-e,--experiment", options.experiments, "Experiments in place of those of the grid file; give them after it")
        ->type_name("NAME");
    whole_number(command.add_option("--nodes", options.nodes, "At most N nodes on each axis, same ranges: a coarse look"))
        ->type_name("N");
    options.add_settings(command, "Add or replace a [fixed] value");
    options.add_device(command);
    whole_number(command.add_option("--chunk", options.chunk, "Points per chunk (default: chosen; never changes results)"));
    command.add_option("--shard", options.shard, shard_help)->type_name("k/N");
    options.add_inputs(command);
    // One value each time they are given: the word after it may be the grid file.
    for (char const* const repeated : {"--set", "--constant"})
        command.get_option(repeated)->allow_extra_args(false);
}

/// The number of shards that take about this long by the estimate, if none is asked for.
constexpr double shard_seconds = 3600.0;
constexpr std::int64_t most_chosen_shards = 1000;

struct SlurmOptions
{
    bool wanted = false;
    std::optional<long long> shards;
    std::string site;
};

void add_slurm_options(CLI::App& command, SlurmOptions& options, GridOptions& grid)
{
    auto const group = "Slurm";
    command.add_flag("--slurm", options.wanted, "Print an sbatch script that scans the grid as an array of shards")->group(group);
    whole_number(
        command.add_option("--shards", options.shards, "Shards of that array (default: about an hour each by the estimate)"))
        ->type_name("N")
        ->group(group);
    command
        .add_option(
            "--site", options.site,
            "Settings of the cluster (TOML; default ~/.config/nuscan/slurm.toml, if it is there): partition, account, qos,\n"
            "time, memory, cpus_per_task, tasks_at_a_time, nuscan (program); lists: modules, setup (lines), sbatch (options)")
        ->type_name("FILE")
        ->group(group);
    command.add_option("-o,--output", grid.output, "Output of the scan; shards are named after it (default: the grid's name)")
        ->type_name("OUT.h5")
        ->group(group);
}

/// The program that runs, by its full path.
std::string own_path()
{
    std::error_code error;
    auto const path = std::filesystem::read_symlink("/proc/self/exe", error);
    return error ? "nuscan" : path.string();
}

/// The device that the tasks ask for, which this machine, where jobs are submitted, need not have.
Device device_of_tasks(GridOptions const& grid)
{
    std::string const cuda = "cuda";
    bool const compiled = std::string_view(build::cuda) != "none";
    if (grid.device != cuda || !compiled)
        return grid.chosen_device();
    Device device;
    device.kind = DeviceKind::cuda;
    device.description = "one GPU";
    return device;
}

void print_slurm_script(GridOptions const& grid, SlurmOptions const& options, ScanConfiguration const& configuration,
                        Inputs const& inputs, std::string const& command_line)
{
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(configuration.path, ignored))
        throw InputError(fmt::format("{}: is not a regular file; the tasks of a Slurm array read the grid from one",
                                     configuration.path.string()));
    SlurmJob job;
    auto const site = options.site.empty() ? default_slurm_site() : std::filesystem::path(options.site);
    if (!options.site.empty() || std::filesystem::exists(site, ignored))
    {
        job.site = read_slurm_site(site);
        spdlog::info("settings of the cluster from {}", site.string());
    }
    else
        spdlog::info("no settings of the cluster: there is no {}; --site names another file", site.string());
    ScanOptions scan = grid.scan_options(device_of_tasks(grid));
    // The time of a task on its own processors, not on those of this machine.
    if (scan.threads == 0)
        scan.threads = static_cast<int>(job.site.cpus_per_task);
    scan.shard.reset();
    ScanPlan const plan = plan_scan(configuration, inputs, scan);
    auto const chosen = static_cast<std::int64_t>(std::ceil(std::min(plan.seconds / shard_seconds, 1.0 * most_chosen_shards)));
    job.shards = options.shards.value_or(std::clamp<std::int64_t>(chosen, 1, plan.points));
    if (job.shards < 1 || job.shards > most_shards)
        throw InputError(fmt::format("--shards {}: must be 1 to {}", job.shards, most_shards));
    scan.shard = Shard{1, job.shards, {}};
    job.memory_bytes = plan_scan(configuration, inputs, scan).memory_bytes;
    job.title = configuration.title;
    job.output = grid.output.empty() ? std::filesystem::path(grid.grid).stem().string() + ".h5" : grid.output;
    require_file_name(job.output);
    if (job.output.find('\n') != job.output.npos)
        throw InputError("--output: a name of several lines does not go into a script; choose another one");
    job.folder = std::filesystem::current_path().string();
    job.gpu = scan.device.kind == DeviceKind::cuda;
    if (!job.gpu && grid.device == "auto" && std::string_view(build::cuda) != "none")
        spdlog::info("there is no GPU here, and the script asks for none; with --device cuda each task gets one");
    job.threads = grid.threads.has_value();
    job.scan = without_options(shell_words(command_line), {"--shards", "--shard", "--site", "-o", "--output"}, {"--slurm"});
    *std::find(job.scan.begin() + 1, job.scan.end(), "plan") = "scan";
    job.scan.front() = job.site.nuscan.empty() ? own_path() : job.site.nuscan;
    fmt::print("{}", slurm_script(job));
}

} // namespace

void catch_signals()
{
    struct sigaction action = {};
    action.sa_handler = request_stop;
    for (int const signal : {SIGINT, SIGTERM, SIGUSR1})
        sigaction(signal, &action, nullptr);
    // A full disk or a file-size limit shows as an error of the write, not as the end of the program.
    std::signal(SIGXFSZ, SIG_IGN);
}

bool stop_requested()
{
    return signalled != 0;
}

std::string point_text(SurfaceLayout const& layout, std::int64_t index)
{
    std::vector<std::string> values(layout.axes.size());
    for (std::size_t a = layout.axes.size(); a-- > 0;)
    {
        auto const& axis = layout.axes[a];
        auto const n = static_cast<std::int64_t>(axis.values.size());
        values[a] = fmt::format("{} = {}", axis.name, value_text(axis.values[static_cast<std::size_t>(index % n)], axis.unit));
        index /= n;
    }
    return join(values);
}

bool report_failed_points(std::string const& output, SurfaceMeta const& meta)
{
    std::int64_t const failed = meta.not_converged + meta.not_finite;
    if (failed == 0)
        return false;
    SurfaceReader const surface(output);
    auto const report = [&surface](PointStatus status, std::int64_t count, char const* what) {
        if (count == 0)
            return;
        spdlog::error("{} {} (status {}, chi2 NaN)", counted(count, "point"), what, static_cast<int>(status));
        auto const listed = first_points(surface, status);
        for (std::int64_t const index : listed)
            spdlog::error("  point {}: {}", index, point_text(surface.layout(), index));
        if (auto const rest = count - static_cast<std::int64_t>(listed.size()); rest > 0)
            spdlog::error("  and {} more", rest);
    };
    report(PointStatus::not_converged, meta.not_converged, "without convergence of the pulls");
    report(PointStatus::not_finite, meta.not_finite,
           "not finite: couplings overflow, or a bin with data has no positive prediction");
    spdlog::error("{} is complete but for {} of {}", output, failed, counted(surface.layout().range.size(), "point"));
    return true;
}

void add_plan(CLI::App& app, Program& program)
{
    auto* const command = app.add_subcommand("plan", "Check a grid file and size its scan; computes nothing");
    auto const options = std::make_shared<GridOptions>();
    auto const slurm = std::make_shared<SlurmOptions>();
    add_grid_options(*command, *options, plan_shard_help);
    add_slurm_options(*command, *slurm, *options);
    options->add_json(*command);
    command->footer("Example: nuscan plan grids/vector_xenonnt_sr0.toml\n"
                    "         nuscan plan grids/vector_xenonnt_sr0.toml --experiment lz_ws2022 --nodes 200\n"
                    "         nuscan plan grids/vector_xenonnt_sr0.toml --slurm --shards 64 -o vector.h5 > vector.sbatch");
    command->callback([options, slurm, command, &program] {
        auto const configuration = options->configuration();
        DataFolder data = DataFolder::find();
        Inputs const inputs = load_scan_inputs(configuration, data);
        if (slurm->wanted && options->json)
            throw InputError("--slurm prints a script, --json a plan; choose one");
        if (!slurm->wanted && (slurm->shards || !slurm->site.empty() || !options->output.empty()))
            throw InputError("--shards, --site and --output belong to --slurm; add it or leave them out");
        if (slurm->wanted)
        {
            print_slurm_script(*options, *slurm, configuration, inputs, command_line_of(program, *command));
            return;
        }
        ScanOptions const scan = options->scan_options();
        ScanPlan const plan = plan_scan(configuration, inputs, scan);
        if (options->json)
        {
            Json axes = Json::array();
            for (Axis const& axis : configuration.axes)
                axes.push_back({{"parameter", parameter_info(axis.parameter).name},
                                {"unit", parameter_info(axis.parameter).unit},
                                {"min", axis.min},
                                {"max", axis.max},
                                {"n", axis.n},
                                {"scale", axis.scale == AxisScale::log ? "log" : "linear"}});
            print_json({{"title", configuration.title},
                        {"experiments", configuration.experiments},
                        {"axes", axes},
                        {"points", plan.points},
                        {"chunk", plan.chunk},
                        {"chunks", plan.chunks},
                        {"mass_combinations", plan.mass_combinations},
                        {"memory_bytes", plan.memory_bytes},
                        {"file_bytes", plan.file_bytes},
                        {"journal_bytes", plan.journal_bytes},
                        {"device", scan.device.description},
                        {"seconds_estimate", plan.seconds}});
            return;
        }
        fmt::print("{}\n", configuration.title);
        for (Axis const& axis : configuration.axes)
            fmt::print("  {:<13}{:g} to {}, {}, {}\n", parameter_info(axis.parameter).name, axis.min,
                       value_text(axis.max, parameter_info(axis.parameter).unit), counted(axis.n, "point"),
                       axis.scale == AxisScale::log ? "log" : "linear");
        for (auto const& [parameter, value] : configuration.fixed)
            fmt::print("  {:<13}fixed at {}\n", parameter_info(parameter).name, value_text(value, parameter_info(parameter).unit));
        fmt::print("points        {} in {}\nmemory        {}\ndisk          {}\n"
                   "time          about {} on {}\n",
                   plan.points, counted(plan.chunks, "chunk"), size_text(plan.memory_bytes), size_text(plan.file_bytes),
                   duration_text(plan.seconds),
                   scan.device.kind == DeviceKind::cuda
                       ? fmt::format("{} without {}, whose speed is not known",
                                     counted(resolve_threads(scan.threads), "CPU thread"), scan.device.description)
                       : scan.device.description);
    });
}

void add_scan(CLI::App& app, Program& program)
{
    auto* const command = app.add_subcommand("scan", "Compute the chi^2 surface of a grid and write it to HDF5");
    auto const options = std::make_shared<GridOptions>();
    add_grid_options(*command, *options, scan_shard_help);
    command->add_option("-o,--output", options->output, "Output file (HDF5)")->required()->type_name("OUT.h5");
    command->add_flag("--restart", options->restart, "Discard an existing output or an interrupted scan");
    command->footer(
        "An interrupted scan continues when the same command is given again; --restart discards it. --shard 3/64 scans one part\n"
        "of 64 and writes OUT.shard-003-of-064.h5; nuscan merge puts the parts together. A task of a Slurm array scans its part\n"
        "unless --shard none is given. Where points fail, the file is complete and has NaN there; they are listed, and the exit\n"
        "code is 1.\n"
        "Example: nuscan scan grids/vector_xenonnt_sr0.toml -o vector.h5\n"
        "         nuscan scan grids/vector_xenonnt_sr0.toml --experiment lz_ws2022 --nodes 200 -o coarse.h5\n"
        "         nuscan scan grids/vector_xenonnt_sr0.toml -o vector.h5 --shard 3/64");
    command->callback([options, command, &program] {
        catch_signals();
        auto const configuration = options->configuration();
        if (program.team)
            program.team->settle(options->device, options->threads);
        if (!options->shard)
            options->shard = default_shard();
        ScanOptions scan = options->scan_options();
        if (program.team && !program.team->leads())
        {
            DataFolder data = DataFolder::find();
            program.exit_code = program.team->work(configuration, data, scan);
            return;
        }
        require_file_name(options->output);
        scan.output = scan.shard ? shard_path(options->output, *scan.shard) : std::filesystem::path(options->output);
        std::string const output = scan.output.string();
        scan.restart = options->restart;
        // What is recorded continues this scan in any environment.
        bool const left_to_environment = scan.shard && !scan.shard->reason.empty();
        scan.command_line = command_line_of(program, *command);
        if (left_to_environment)
            scan.command_line = with_shard(scan.command_line, *scan.shard);
        ProgressPrinter printer;
        bool const show_progress = spdlog::should_log(spdlog::level::info);
        scan.progress = [&](ScanProgress const& progress) {
            if (show_progress)
                printer(progress);
        };
        scan.interrupted = stop_requested;
        if (program.team)
            program.team->lead(scan);
        DataFolder data = DataFolder::find();
        scan.mending = [&](IndexRange first) {
            spdlog::warn(
                "{}: points [{}, {}) are damaged; they, and any others that are, are computed again before the scan goes on",
                partial_path(output).string(), first.begin, first.end);
        };
        scan.started = [&](JournalContents const& journal) {
            IndexRange const range = journal.head.range;
            spdlog::info("{}: {} on {}{}", configuration.title, counted(range.size(), "point"), scan.device.description,
                         scan.device.reason.empty() ? "" : fmt::format(" (auto: {})", scan.device.reason));
            if (scan.shard)
                spdlog::info("shard {} of {}{}: points [{}, {}) of {}, into {}", scan.shard->index, scan.shard->count,
                             scan.shard->reason.empty() ? ""
                                                        : fmt::format(" ({}; --shard none: the whole grid)", scan.shard->reason),
                             range.begin, range.end, configuration.size(), output);
            spdlog::info("data from {}", data.root().string());
            if (journal.damaged)
                spdlog::warn(
                    "{}: damaged behind point {} (checksum): the {} bytes there are dropped, and their points computed again",
                    journal_path(output).string(), journal.next, journal.useless_bytes);
            long long told = 0;
            for (MendedPoints const& mended : journal.mended)
                if (constexpr long long most = 20; told++ < most)
                    spdlog::warn("{}: points [{}, {}) are computed again: {}", partial_path(output).string(), mended.range.begin,
                                 mended.range.end, mended.reason);
                else if (told == std::ssize(journal.mended))
                    spdlog::warn("{}: and {} are computed again", partial_path(output).string(),
                                 counted(told - most, "more range"));
            if (journal.lost_points > 0)
                spdlog::warn("{}: not what {} says from point {} on (checksum): {} to be computed again",
                             partial_path(output).string(), journal_path(output).string(), journal.next,
                             counted(journal.lost_points, "point"));
            if (journal.next > range.begin)
            {
                spdlog::info("continued at point {} of an interrupted scan", journal.next);
                std::string const begun = parse_description(journal.head.description).instruction_set;
                if (!begun.empty() && begun != scan.device.instruction_set)
                    spdlog::warn(
                        "begun with {} instructions, continued with {}: the values of both differ by rounding (about 1e-15 of "
                        "chi^2); NUSCAN_SIMD={} keeps to the first, where the processor has them",
                        begun, scan.device.instruction_set, begun);
            }
        };
        ScanResult const result = run_scan(configuration, data, scan);
        auto const& meta = result.meta;
        switch (result.outcome)
        {
        case ScanOutcome::already_finished:
            spdlog::info(
                "{} is finished already, made by the same configuration on {} (backend {}, route {}); --restart computes it "
                "anew",
                output, meta.stop_utc, meta.backend, meta.route);
            if (meta.failed)
            {
                spdlog::error("{} failed its self-check; --restart computes it anew", output);
                program.exit_code = exit_failure;
            }
            if (report_failed_points(output, meta))
                program.exit_code = exit_failure;
            return;
        case ScanOutcome::interrupted:
            spdlog::warn("interrupted after {} of {} points; the same command {}", result.done, result.range.size(),
                         options->restart ? "without --restart continues" : "continues, --restart begins anew");
            program.exit_code = exit_incomplete;
            return;
        case ScanOutcome::finished:
        case ScanOutcome::self_check_failed:
            break;
        }
        spdlog::info("computed in {} ({:.3g} points/s), written in all after {}", duration_text(meta.compute_time_s),
                     meta.points_per_s, duration_text(meta.wall_time_s));
        std::string best;
        for (auto const& [name, value] : result.best_fit.parameters)
            best += fmt::format(", {} = {:.6g}", name, value);
        spdlog::info("chi2 min = {:.6f}{}; chi2 SM = {:.6f}", result.best_fit.chi2, best, result.null.chi2);
        if (meta.direct_fallback > 0)
            spdlog::info("{} took the direct route: amplitudes cancel", counted(meta.direct_fallback, "point"));
        spdlog::info("self-check: {} recomputed by the reference, worst |delta chi2|/(1 + chi2) = {:.1e}",
                     counted(meta.self_check.points, "point"), meta.self_check.worst);
        if (result.outcome == ScanOutcome::self_check_failed)
        {
            spdlog::error("the self-check failed: {}; {} is kept and marked failed",
                          std::isfinite(meta.self_check.worst)
                              ? fmt::format("the deviation is above {:.0e}", meta.self_check.tolerance)
                              : "at a point only one of scan and reference found chi^2",
                          output);
            program.exit_code = exit_failure;
        }
        if (report_failed_points(output, meta))
            program.exit_code = exit_failure;
        fmt::print("{}\n", output);
    });
}

} // namespace nuscan::cli
