#include "host/scan/orchestrator.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <nuscan_version.hpp>
#include <optional>

#include "host/io/file_replacement.hpp"
#include "host/io/journal.hpp"
#include "host/scan/chunk_queue.hpp"
#include "host/scan/scan_output.hpp"
#include "host/scan/self_check.hpp"
#include "host/support/clock.hpp"
#include "host/support/error.hpp"
#include "host/support/sha256.hpp"
#include "nuscan/scan/reductions.hpp"

namespace nuscan
{

namespace
{

/// Points per chunk: some tens of milliseconds of work, so that an interruption loses little and progress moves.
constexpr std::int64_t factored_chunk = 1 << 18;
constexpr std::int64_t direct_chunk = 1 << 14;
constexpr std::int64_t reference_chunk = 1 << 6;
/// A device works a call off in four parts at least, so that copies overlap with kernels: four of its own chunks (`CudaSizes`).
constexpr std::int64_t cuda_factored_chunk = 4 * CudaSizes{}.factored_chunk;
constexpr std::int64_t cuda_direct_chunk = 4 * CudaSizes{}.direct_chunk;
/// Unless its outputs are large: hundreds of rates per point would take gigabytes of the host, and as much again of pinned memory.
constexpr std::uint64_t cuda_chunk_bytes = std::uint64_t{256} << 20;

/// Of a chunk in the sense of --chunk, those that several workers are handed: as many as one of them may hold, and the two that are collected
/// and written. So a kill of all costs a chunk for each worker at most, where a chunk has so many points.
constexpr std::int64_t pieces_of_a_chunk = ChunkQueue::chunks_under_way + 2;
/// Chunks of a scan for each of several workers at least, where there are points enough.
constexpr std::int64_t chunks_per_worker = 16;
/// Bytes of a chunk that is passed between workers: some of each worker's wait in memory for those before them.
constexpr std::uint64_t passed_bytes = 16 << 20;

/// What a journal says of its scan, roughly: grid file and hashes of the data.
constexpr std::uint64_t journal_head_bytes = 16 << 10;

/// Nominal cost of a point on one thread [s], for the estimate of `plan` only.
constexpr double factored_poisson_cost = 2.5e-7;
constexpr double factored_gaussian_cost = 3e-8;
constexpr double direct_cost = 6e-6;
constexpr double reference_cost = 2.5e-4;
/// Folding the templates of one mass combination, per experiment [s].
constexpr double template_cost = 1.5e-4;

/// \param point_bytes  outputs of a point
std::int64_t default_chunk(Device const& device, Route route, std::uint64_t point_bytes)
{
    bool const direct = route == Route::direct;
    switch (device.kind)
    {
    case DeviceKind::reference:
        return reference_chunk;
    case DeviceKind::cuda:
        return std::min(direct ? cuda_direct_chunk : cuda_factored_chunk,
                        static_cast<std::int64_t>(cuda_chunk_bytes / point_bytes));
    default:
        return direct ? direct_chunk : factored_chunk;
    }
}

std::string utc_now()
{
    auto const now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

std::string host_name()
{
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string current_folder()
{
    std::error_code error;
    auto const folder = std::filesystem::current_path(error);
    return error ? "" : folder.string();
}

std::filesystem::path sibling(std::filesystem::path const& output, char const* suffix)
{
    return output.string() + suffix;
}

/// The folder of the output must exist, and the name must be usable.
void check_output_name(std::filesystem::path const& output)
{
    require_file_name(output);
    // Of the two names used, the longer; the system objects to one too long or in a folder it may not look into.
    std::error_code error;
    auto const longest = std::filesystem::status(sibling(output, ".journal"), error);
    if (longest.type() == std::filesystem::file_type::none)
        throw InputError(fmt::format("{}: cannot be written: {}; choose another name or folder", output.string(), error.message()));
    auto const folder = output.has_parent_path() ? output.parent_path() : std::filesystem::path(".");
    if (!std::filesystem::is_directory(folder))
        throw InputError(fmt::format("{}: the folder {} does not exist; create it first", output.string(), folder.string()));
    // Checked with --restart too: the output would be renamed over it.
    if (std::filesystem::exists(output) && !std::filesystem::is_regular_file(output))
        throw InputError(fmt::format("{}: is not a regular file; name another output", output.string()));
    // A link of that name would be followed, and what it leads to overwritten.
    for (auto const& path : {sibling(output, ".journal"), sibling(output, ".partial")})
    {
        auto const type = std::filesystem::symlink_status(path, error).type();
        if (type != std::filesystem::file_type::not_found && type != std::filesystem::file_type::regular)
            throw InputError(fmt::format("{}: is no file, but the scan writes there first; choose another output", path.string()));
    }
}

/// The folder of the output must take files.
void check_output_folder(std::filesystem::path const& output)
{
    auto const folder = output.has_parent_path() ? output.parent_path() : std::filesystem::path(".");
    if (access(folder.c_str(), W_OK | X_OK) != 0)
        throw InputError(fmt::format("{}: the folder {} is not writable; choose another one", output.string(), folder.string()));
}

/// What a file takes of the disk, holes left out; 0 if there is none.
std::uint64_t bytes_on_disk(std::filesystem::path const& path)
{
    constexpr std::uint64_t block = 512; // of st_blocks, whatever the file system
    struct stat found = {};
    return stat(path.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * block : 0;
}

void check_disk(std::filesystem::path const& output, std::uint64_t bytes)
{
    auto const folder = output.has_parent_path() ? output.parent_path() : std::filesystem::path(".");
    auto const space = std::filesystem::space(folder);
    if (space.available < bytes)
        throw InputError(fmt::format(
            "{}: not enough disk: the scan needs {:.3g} GB beside what is there, {} has {:.3g} GB free; use "
            "fewer points or another disk",
            output.string(), static_cast<double>(bytes) * 1e-9, folder.string(), static_cast<double>(space.available) * 1e-9));
}

/// Puts the grid file in front of what is wrong with its contents.
template<class Action>
auto naming_grid_file(ScanConfiguration const& configuration, Action&& action)
{
    try
    {
        return action();
    }
    catch (InputError const& problem)
    {
        if (configuration.path.empty())
            throw;
        throw InputError(fmt::format("{}: {}", configuration.path.string(), problem.what()));
    }
}

/// The finished output of another scan is never replaced unasked.
void require_same_scan(SurfaceReader const& existing, std::string const& name, ScanIdentity const& identity)
{
    auto const& meta = existing.meta();
    SideNames const sides;
    if (meta.configuration_canonical != identity.configuration)
        throw InputError(
            fmt::format("{}: holds another scan: {}; choose another name or use --restart", name,
                        differences_text(configuration_differences(meta.configuration_canonical, identity.configuration, sides))));
    if (meta.data_sha256 != identity.data_sha256)
        throw InputError(fmt::format("{}: holds the same scan of other data files: {}; choose another name or use --restart", name,
                                     differences_text(data_differences(meta.data_sha256, identity.data_sha256, sides))));
    IndexRange const held = existing.layout().range;
    if (held.begin != identity.range.begin || held.end != identity.range.end)
        throw InputError(
            fmt::format("{}: holds points [{}, {}) of the same scan, not [{}, {}); choose another name or use --restart", name,
                        held.begin, held.end, identity.range.begin, identity.range.end));
}

/// A kill between the last two steps of a scan leaves the journal beside the finished output; a merge that finishes an interrupted scan
/// leaves the values, too.
void remove_stale_journal(std::filesystem::path const& journal, std::filesystem::path const& partial, ScanIdentity const& identity)
{
    if (!std::filesystem::exists(journal))
        return;
    try
    {
        FileLock lock;
        auto const contents = lock.acquire(journal) ? Journal::inspect(journal) : std::nullopt;
        if (contents && identity_differences(parse_description(contents->head.description).identity, identity, {}).empty())
        {
            std::filesystem::remove(partial);
            std::filesystem::remove(journal);
        }
    }
    catch (std::exception const&) // not ours: it stays
    {
    }
}

SurfaceLayout surface_layout(Problem const& problem, ScanConfiguration const& configuration, IndexRange range)
{
    SurfaceLayout layout;
    for (std::size_t a = 0; a < problem.axes().size(); ++a)
    {
        Axis const& axis = problem.axes()[a];
        auto const& info = parameter_info(axis.parameter);
        // Viewers show long_name as it is: with the unit.
        layout.axes.push_back({info.name, info.unit, fmt::format("{} [{}]", info.description, info.unit), info.label, axis.scale,
                               problem.axis_values()[a]});
    }
    if (configuration.output_pulls)
        layout.pulls = problem.prepared().pull_names();
    if (configuration.output_rates)
        for (auto const& experiment : problem.prepared().experiments())
            layout.rates.push_back({experiment.definition().name,
                                    experiment.definition().rate_unit == RateUnit::events ? "events" : "1/(t yr)",
                                    experiment.definition().edges});
    layout.range = range;
    return layout;
}

std::map<std::string, double> named_pulls(Problem const& problem, PointEvaluation const& evaluation)
{
    std::map<std::string, double> pulls;
    auto const names = problem.prepared().pull_names();
    for (std::size_t p = 0; p < names.size(); ++p)
        pulls[names[p]] = evaluation.pulls[p];
    return pulls;
}

} // namespace

void require_file_name(std::filesystem::path const& output)
{
    if (output.empty())
        throw InputError("--output: the name of the output file is empty");
    std::error_code error;
    if (!output.has_filename() || std::filesystem::is_directory(output, error))
        throw InputError(
            fmt::format("{}: is a folder; name a file, for example {}", output.string(), (output / "scan.h5").string()));
}

std::filesystem::path journal_path(std::filesystem::path const& output)
{
    return sibling(output, ".journal");
}

std::filesystem::path partial_path(std::filesystem::path const& output)
{
    return sibling(output, ".partial");
}

JournalDescription describe_journal(std::filesystem::path const& journal, JournalContents const& contents)
{
    try
    {
        return parse_description(contents.head.description);
    }
    catch (InputError const& problem)
    {
        throw InputError(fmt::format("{}: {}", journal.string(), problem.what()));
    }
}

ScanIdentity scan_identity(std::string const& canonical, DataFolder const& data, ScanOptions const& options, IndexRange range)
{
    char const* const backend = options.device.kind == DeviceKind::reference ? "reference"
                                : options.device.kind == DeviceKind::cuda    ? "cuda"
                                                                             : "cpu";
    return {canonical, data.hashes(), backend, route_name(options.route), range};
}

Inputs load_scan_inputs(ScanConfiguration const& configuration, DataFolder& data)
{
    return naming_grid_file(configuration, [&] { return load_inputs(data, configuration.inputs, configuration.experiments); });
}

ScanPlan plan_scan(ScanConfiguration const& configuration, Inputs const& inputs, ScanOptions const& options)
{
    std::vector<int> given;
    for (Axis const& axis : configuration.axes)
        given.push_back(axis.parameter);
    for (auto const& [parameter, value] : configuration.fixed)
        given.push_back(parameter);
    naming_grid_file(configuration, [&] {
        require_fit_size(inputs);
        check_parameter_set(given, inputs);
    });

    ScanPlan plan;
    plan.range = {0, configuration.size()};
    std::vector<std::int64_t> shape;
    for (Axis const& axis : configuration.axes)
        shape.push_back(axis.n);
    if (options.shard)
        plan.range = shard_range(shape, *options.shard);
    plan.points = plan.range.size();
    int variables = 0;
    for (Axis const& axis : configuration.axes)
    {
        if (parameter_info(axis.parameter).role == ParameterRole::mass)
            plan.mass_combinations *= axis.n;
        else
            ++variables;
    }
    bool const direct = options.route == Route::direct;
    bool const reference = options.device.kind == DeviceKind::reference;
    std::size_t const pulls = configuration.output_pulls ? pull_count(inputs) : 0;
    std::size_t const rates = configuration.output_rates ? rate_count(inputs) : 0;
    plan.chunk = options.chunk > 0 ? options.chunk : default_chunk(options.device, options.route, Chunk::bytes(1, pulls, rates));
    // Whole chunks of the file, where some of them fit: one in parts is put together in memory first. A device has chunks of its own;
    // what workers get are parts of such a chunk, so that the bound on what a kill costs is the same one.
    std::int64_t const stored = surface_chunk_points(shape);
    if (options.chunk == 0 && options.device.kind != DeviceKind::cuda && plan.chunk > stored)
        plan.chunk -= plan.chunk % stored;
    // A device's own chunks are what it is to be given.
    if (options.workers > 0 && (options.chunk > 0 || options.device.kind != DeviceKind::cuda))
        plan.chunk = std::max<std::int64_t>(plan.chunk / pieces_of_a_chunk, 1);
    if (options.workers > 1 && options.chunk == 0)
    {
        // Several chunks for each worker, so that a slow one holds nobody up.
        auto const share = plan.points / (chunks_per_worker * options.workers);
        auto const light = static_cast<std::int64_t>(passed_bytes / Chunk::bytes(1, pulls, rates));
        plan.chunk = std::clamp<std::int64_t>(std::min(share, light), 1, plan.chunk);
    }
    plan.chunk = std::min(plan.chunk, plan.points);
    plan.chunks = (plan.points + plan.chunk - 1) / plan.chunk;

    std::vector<std::int64_t> bins;
    if (configuration.output_rates)
        for (auto const& experiment : inputs.experiments)
            bins.push_back(static_cast<std::int64_t>(experiment.bins()));
    plan.file_bytes = surface_bytes(shape, plan.range, pulls, bins);
    plan.journal_bytes = static_cast<std::uint64_t>(plan.chunks) * Journal::record_bytes() + journal_head_bytes;

    double cost = 0.0;
    std::uint64_t template_bytes = 0;
    auto const monomials = static_cast<std::uint64_t>(1 + variables + variables * (variables + 1) / 2);
    for (auto const& experiment : inputs.experiments)
    {
        cost += reference                                    ? reference_cost
                : direct                                     ? direct_cost
                : experiment.statistic == Statistic::poisson ? factored_poisson_cost
                                                             : factored_gaussian_cost;
        template_bytes += monomials * (experiment.bins() + 7) * sizeof(double);
    }
    int const threads = resolve_threads(options.threads);
    plan.seconds = static_cast<double>(plan.points) * cost / threads;
    if (!direct && !reference)
        plan.seconds += static_cast<double>(plan.mass_combinations) * template_cost * static_cast<double>(inputs.experiments.size())
                        / threads;
    // A shard has its share of the masses where the mass runs slowest, and all of them else.
    if (options.shard && parameter_info(configuration.axes.front().parameter).role == ParameterRole::mass)
        plan.mass_combinations = (plan.mass_combinations + options.shard->count - 1) / options.shard->count;
    auto const row = static_cast<std::uint64_t>(configuration.size() / configuration.axes.front().n);
    std::uint64_t nodes = 0;
    for (Axis const& axis : configuration.axes)
        nodes += static_cast<std::uint64_t>(axis.n);
    // Program and inputs, the axes twice, one chunk, one slab of the output, the templates (bounded by half a GiB).
    plan.memory_bytes = (std::uint64_t{40} << 20) + 2 * sizeof(double) * nodes + Chunk::bytes(plan.chunk, pulls, rates)
                        + 2 * Chunk::bytes(static_cast<std::int64_t>(std::max<std::uint64_t>(row, 1 << 17)), pulls, rates)
                        + std::min(template_bytes * static_cast<std::uint64_t>(plan.mass_combinations), std::uint64_t{512} << 20);
    if (options.device.kind == DeviceKind::cuda)
    {
        // Two pinned buffers per device, each for one chunk of the device's part.
        std::int64_t const part = (plan.chunk + options.device.count - 1) / options.device.count;
        plan.memory_bytes += 2 * static_cast<std::uint64_t>(options.device.count)
                             * Chunk::bytes(CudaSizes{}.chunk(direct, part), pulls, rates);
    }
    return plan;
}

ScanResult run_scan(ScanConfiguration const& configuration, DataFolder& data, ScanOptions const& options)
{
    auto const start = Clock::now();
    ScanResult result;
    SurfaceMeta& meta = result.meta;
    meta.start_utc = utc_now();

    std::error_code ignored;
    auto const output_file = link_target(options.output);
    if (!configuration.path.empty() && std::filesystem::equivalent(configuration.path, output_file, ignored))
        throw InputError(fmt::format("{}: output and grid file are the same file; name another output", output_file.string()));
    check_output_name(output_file);
    auto const journal_file = journal_path(output_file);
    auto const partial = partial_path(output_file);

    std::string const canonical = canonical_form(configuration);
    std::string const hash = sha256(canonical);
    Inputs inputs = load_scan_inputs(configuration, data);
    ScanPlan const plan = plan_scan(configuration, inputs, options);
    ScanIdentity const identity = scan_identity(canonical, data, options, plan.range);
    result.range = plan.range;

    auto const finished_before = [&] {
        if (options.restart || !std::filesystem::exists(output_file))
            return false;
        std::optional<SurfaceReader> existing;
        try
        {
            existing.emplace(output_file);
        }
        catch (InputError const& problem)
        {
            throw InputError(fmt::format("{} (--restart would replace it)", problem.what()));
        }
        require_same_scan(*existing, output_file.string(), identity);
        remove_stale_journal(journal_file, partial, identity);
        result.outcome = ScanOutcome::already_finished;
        result.meta = existing->meta();
        result.best_fit = existing->best_fit();
        result.null = existing->null();
        return true;
    };
    if (finished_before())
        return result;

    check_output_folder(output_file);
    // What is there of this scan is written over, and what it replaces is removed first.
    std::uint64_t const already = bytes_on_disk(partial) + (options.restart ? bytes_on_disk(output_file) : 0);
    std::uint64_t const needed = plan.file_bytes + plan.journal_bytes;
    check_disk(output_file, needed > already ? needed - already : 0);

    auto const prepared = std::make_shared<Prepared const>(std::move(inputs));
    auto const problem = std::make_shared<Problem const>(prepared, configuration.axes, configuration.fixed);
    std::size_t const n_pulls = configuration.output_pulls ? pull_count(prepared->inputs()) : 0;
    std::size_t const n_rates = configuration.output_rates ? rate_count(prepared->inputs()) : 0;
    JournalDescription const description{identity,         configuration.title, options.command_line,
                                         current_folder(), meta.start_utc,      options.device.instruction_set};
    Journal journal(journal_file, {description_text(description), n_pulls, n_rates, plan.range}, options.restart,
                    [&identity](std::string const& found) {
                        auto const other = parse_description(found).identity;
                        return differences_text(identity_differences(other, identity, {"in the journal", "now"}));
                    });
    try
    {
        // Now that the output is locked: another process may have finished it meanwhile.
        if (finished_before())
        {
            journal.remove();
            return result;
        }
        if (!options.restart && journal.is_new() && bytes_on_disk(partial) > 0)
            throw InputError(fmt::format("{}: is in the way: no journal says what it holds; remove it, name another output, or use "
                                         "--restart to discard it",
                                         partial.string()));
    }
    catch (InputError const&)
    {
        if (journal.is_new())
            journal.remove();
        throw;
    }
    meta.device = options.device.description;
    if (!journal.is_new())
    {
        JournalDescription const begun = parse_description(journal.contents().head.description);
        meta.start_utc = begun.start_utc;
        if (!begun.instruction_set.empty() && begun.instruction_set != options.device.instruction_set)
            meta.device += fmt::format(", begun with {}", begun.instruction_set);
    }
    // Whatever goes wrong from here on leaves the journal and the unfinished surface, which the same command continues.
    SurfaceWriter writer(partial, surface_layout(*problem, configuration, plan.range), {},
                         journal.contents().records.empty() ? SurfaceWriter::Existing::discard : SurfaceWriter::Existing::keep);
    // Not later: if this run is interrupted, one without --restart finds its journal alone and continues.
    if (options.restart)
        std::filesystem::remove(output_file);
    SelfCheck self_check(problem, plan.range, hash);
    // The best fit is found on this way to the disk and not on a device: chunks of an earlier run pass by too, and a comparison costs
    // nothing beside the copy.
    std::unique_ptr<Backend> mending;
    ScanOutput output(journal, writer, self_check.indices(), [&](IndexRange range, PointOutputs const& outputs) {
        if (options.interrupted && options.interrupted())
            return false;
        if (!mending)
        {
            mending = make_backend(options.device, problem, options.route, options.threads);
            if (options.mending)
                options.mending(range);
        }
        mending->evaluate(range, outputs);
        return true;
    });
    mending.reset();
    if (output.interrupted())
    {
        result.done = journal.next() - plan.range.begin;
        result.outcome = ScanOutcome::interrupted;
        return result;
    }
    result.resumed_at = journal.next();
    if (options.started)
        options.started(journal.contents());

    // --- compute ---------------------------------------------------------------------------------------------------------------
    auto const backend = options.make_backend
                             ? options.make_backend({problem, identity, journal.next(), plan.chunk, n_pulls, n_rates})
                             : make_backend(options.device, problem, options.route, options.threads);
    // One chunk is computed while another is written, so that a kill can cost two of them. At most one per thread is to be lost: one thread
    // waits for the output.
    bool const waits = options.device.kind != DeviceKind::cuda && !options.make_backend && resolve_threads(options.threads) == 1;
    auto const compute_start = Clock::now();
    std::int64_t next = result.resumed_at;
    auto const computed = [&] { return static_cast<double>(next - result.resumed_at); };
    while (next < plan.range.end)
    {
        Chunk& chunk = output.chunk();
        chunk.begin = next;
        chunk.resize(std::min(plan.chunk, plan.range.end - next), n_pulls, n_rates);
        next += chunk.size();
        backend->evaluate({chunk.begin, next}, chunk.outputs());
        output.put();
        if (waits)
            output.finish();
        result.done = next - plan.range.begin;
        if (options.progress)
        {
            double const speed = computed() / seconds_since(compute_start);
            options.progress({result.done, plan.points, speed, static_cast<double>(plan.points - result.done) / speed});
        }
        if (options.interrupted && options.interrupted() && next < plan.range.end)
        {
            output.finish();
            result.outcome = ScanOutcome::interrupted;
            return result;
        }
    }
    meta.compute_time_s = seconds_since(compute_start);
    meta.points_per_s = computed() / meta.compute_time_s;
    auto const checked = self_check.finish(meta.compute_time_s);

    // --- output ----------------------------------------------------------------------------------------------------------------
    output.finish();
    Findings const& findings = output.findings();
    meta.not_converged = findings.not_converged;
    meta.not_finite = findings.not_finite;
    meta.direct_fallback = findings.direct_fallback;
    meta.self_check.tolerance = self_check_tolerance;
    for (CheckedPoint const& point : checked)
        meta.self_check.worst = std::max(meta.self_check.worst, check_deviation(output.watched_chi2().at(point.index), point));
    meta.self_check.points = static_cast<std::int64_t>(checked.size());
    meta.self_check.passed = meta.self_check.worst <= self_check_tolerance;
    meta.failed = !meta.self_check.passed;

    auto const sm = evaluate_point(*prepared, {}, false);
    result.null.chi2 = sm.fit.chi2;
    result.null.pulls = named_pulls(*problem, sm);
    meta.chi2_zero = evaluate_point(*prepared, configuration.fixed, false).fit.chi2;
    result.best_fit.index = findings.best.index;
    result.best_fit.chi2 = findings.best.index >= 0 ? findings.best.value : std::numeric_limits<double>::quiet_NaN();
    if (findings.best.index >= 0)
    {
        FixedParameters point = configuration.fixed;
        auto const values = problem->values(findings.best.index);
        for (Axis const& axis : configuration.axes)
        {
            point[axis.parameter] = values[axis.parameter];
            result.best_fit.parameters[parameter_info(axis.parameter).name] = values[axis.parameter];
        }
        result.best_fit.pulls = named_pulls(*problem, evaluate_point(*prepared, point, false));
    }

    meta.title = configuration.title;
    meta.experiments = configuration.experiments;
    meta.configuration = configuration.text;
    meta.configuration_canonical = canonical;
    meta.configuration_sha256 = hash;
    meta.data_sha256 = data.hashes();
    meta.data_folder = data.root().string();
    meta.command_line = options.command_line;
    meta.version = build::version;
    meta.commit = build::commit;
    meta.dirty = build::dirty;
    meta.compiler = build::compiler;
    meta.cuda = build::cuda;
    meta.backend = backend->name();
    meta.route = options.device.kind == DeviceKind::reference ? "reference" : route_name(options.route);
    meta.threads = resolve_threads(options.threads);
    meta.host = host_name();
    meta.stop_utc = utc_now();
    meta.wall_time_s = seconds_since(start);
    meta.range = plan.range;
    meta.results_version = results_version;
    meta.working_folder = description.folder;
    if (options.shard)
    {
        meta.shard_index = options.shard->index;
        meta.shard_count = options.shard->count;
    }
    try
    {
        writer.finish(meta, result.best_fit, result.null);
        rename_durably(partial, output_file);
    }
    catch (RunError const& failure)
    {
        throw RunError(fmt::format("{}; all points are computed: once that is mended, the same command finishes", failure.what()));
    }
    journal.remove();
    result.outcome = meta.failed ? ScanOutcome::self_check_failed : ScanOutcome::finished;
    return result;
}

} // namespace nuscan
