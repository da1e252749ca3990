#include "host/scan/merge.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <nuscan_version.hpp>
#include <set>

#include "host/io/file_replacement.hpp"
#include "host/io/journal.hpp"
#include "host/scan/findings.hpp"
#include "host/scan/identity.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/scan/shards.hpp"
#include "host/support/error.hpp"
#include "host/support/open_files.hpp"
#include "host/support/text.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

/// Bytes read at a time.
constexpr std::int64_t block_bytes = 16 << 20;
/// Two machines may differ in the last digit of a node of a logarithmic axis.
constexpr double node_rounding = 1e-14;

struct OpenShard
{
    fs::path path;
    std::unique_ptr<SurfaceReader> surface;

    IndexRange range() const { return surface->layout().range; }
};

/// What is no file, or may not be read, says nothing about the values.
void require_readable(fs::path const& path)
{
    std::error_code error;
    auto const type = fs::status(path, error).type();
    if (type == fs::file_type::not_found)
        throw InputError(fmt::format(
            "{}: there is no such file{}", path.string(),
            fs::exists(path.string() + ".journal", error) ? "; its scan is unfinished: nuscan info says how to continue" : ""));
    if (type != fs::file_type::regular && type != fs::file_type::none && type != fs::file_type::unknown)
        throw InputError(fmt::format("{}: not a regular file, so no shard", path.string()));
    int const descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        throw RunError(
            fmt::format("{}: cannot be read: {}; once that is mended, merge again", path.string(), std::strerror(errno)));
    ::close(descriptor);
}

void require_same_axes(OpenShard const& first, OpenShard const& other)
{
    auto const& a = first.surface->layout();
    auto const& b = other.surface->layout();
    auto const refuse = [&](std::string const& what) {
        throw InputError(fmt::format("{} and {} do not belong together: {}", first.path.string(), other.path.string(), what));
    };
    if (a.axes.size() != b.axes.size())
        refuse("another number of axes");
    for (std::size_t i = 0; i < a.axes.size(); ++i)
    {
        if (a.axes[i].name != b.axes[i].name || a.axes[i].values.size() != b.axes[i].values.size())
            refuse(fmt::format("axis {} differs", a.axes[i].name));
        for (std::size_t k = 0; k < a.axes[i].values.size(); ++k)
            if (std::fabs(a.axes[i].values[k] - b.axes[i].values[k]) > node_rounding * std::fabs(a.axes[i].values[k]))
                refuse(fmt::format("axis {}: node {} is {} and {}", a.axes[i].name, k, a.axes[i].values[k], b.axes[i].values[k]));
    }
    if (a.pulls != b.pulls || a.rates.size() != b.rates.size())
        refuse("not the same pulls and rates are stored");
}

void require_same_scan(OpenShard const& first, OpenShard const& other)
{
    auto const& a = first.surface->meta();
    auto const& b = other.surface->meta();
    SideNames const names{"in " + first.path.filename().string(), "in " + other.path.filename().string()};
    auto differences = configuration_differences(a.configuration_canonical, b.configuration_canonical, names);
    if (differences.empty())
        differences = data_differences(a.data_sha256, b.data_sha256, names);
    if (!differences.empty())
        throw InputError(fmt::format("{} and {} are not shards of one scan: {}; merge those of one scan only", first.path.string(),
                                     other.path.string(), differences_text(differences)));
    require_same_axes(first, other);
}

/// Ends a merge between two blocks.
struct Interrupted
{
};

/// Reads one shard block by block, which verifies its checksums, and passes the values on. Throws
/// InputError where it is damaged or contradicts itself, RunError of the writer.
class ShardReader
{
public:
    ShardReader(OpenShard const& shard, SurfaceWriter* writer, std::function<bool()> const& interrupted)
        : shard_(shard)
        , writer_(writer)
        , layout_(shard.surface->layout())
        , interrupted_(interrupted)
    {
        per_point_ = static_cast<std::int64_t>(sizeof(double) * (1 + layout_.pulls.size())) + 1;
        for (RateRecord const& rate : layout_.rates)
        {
            bins_ += rate.edges.size() - 1;
            per_point_ += static_cast<std::int64_t>(sizeof(double) * (rate.edges.size() - 1));
        }
    }

    void read(Findings& findings)
    {
        IndexRange const range = shard_.range();
        std::vector<std::int64_t> shape;
        for (AxisRecord const& axis : layout_.axes)
            shape.push_back(static_cast<std::int64_t>(axis.values.size()));
        std::int64_t const block = std::max<std::int64_t>(block_bytes / per_point_, 1);
        Findings own;
        bool const plain = shard_.surface->has_stored_chunks();
        StoredChunk chunk;
        for (std::int64_t begin = range.begin; begin < range.end;)
        {
            if (interrupted_ && interrupted_())
                throw Interrupted{};
            // Chunk by chunk, so that none is read twice.
            std::int64_t const chunk_end = surface_chunk_end(shape, begin);
            bool const whole = surface_chunk_begin(shape, begin) == begin && chunk_end <= range.end;
            std::int64_t end = std::min(chunk_end, range.end);
            if (plain && whole)
            {
                // As it is stored: the checksum is verified, but need not be computed again.
                shard_.surface->stored_chunk({begin, end}, chunk);
                count({begin, end}, chunk.chi2_values(), chunk.status_values());
                if (writer_)
                    writer_->append(chunk);
            }
            else
            {
                end = std::min(end, begin + block);
                take({begin, end});
            }
            own.add(own_block_);
            begin = end;
        }
        findings.add(own);
        auto const& meta = shard_.surface->meta();
        if (own.not_converged != meta.not_converged || own.not_finite != meta.not_finite
            || own.direct_fallback != meta.direct_fallback)
            bad("its counts of failed points are not those of its values");
        auto const& best = shard_.surface->best_fit();
        if (best.index != own.best.index || (best.index >= 0 && best.chi2 != own.best.value))
            bad("its best fit is not that of its values");
    }

private:
    [[noreturn]] void bad(std::string const& what) const { throw InputError(fmt::format("{}: {}", shard_.path.string(), what)); }

    /// Best point and failures of some points, into own_block_.
    void count(IndexRange range, double const* chi2, std::uint8_t const* status)
    {
        own_block_ = findings_of(range.begin, range.size(), chi2, status);
        if (own_block_.never_computed >= 0)
            bad(fmt::format("point {} was never computed", own_block_.never_computed));
    }

    void take(IndexRange range)
    {
        SurfaceReader const& surface = *shard_.surface;
        auto const n = static_cast<std::size_t>(range.size());
        auto const chi2 = surface.chi2(range);
        auto const status = surface.status(range);
        count(range, chi2.data(), status.data());
        std::vector<double> pulls(n * layout_.pulls.size());
        for (std::size_t p = 0; p < layout_.pulls.size(); ++p)
        {
            auto const values = surface.pull(layout_.pulls[p], range);
            for (std::size_t i = 0; i < n; ++i)
                pulls[i * layout_.pulls.size() + p] = values[i];
        }
        std::vector<double> rates(n * bins_);
        std::size_t first = 0;
        for (RateRecord const& rate : layout_.rates)
        {
            std::size_t const bins = rate.edges.size() - 1;
            auto const values = surface.rates(rate.experiment, range);
            for (std::size_t i = 0; i < n; ++i)
                std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * bins), bins,
                            rates.begin() + static_cast<std::ptrdiff_t>(i * bins_ + first));
            first += bins;
        }
        if (writer_)
            writer_->append(range.size(), chi2.data(), status.data(), pulls.empty() ? nullptr : pulls.data(),
                            rates.empty() ? nullptr : rates.data());
    }

    OpenShard const& shard_;
    SurfaceWriter* writer_;
    SurfaceLayout const& layout_;
    std::function<bool()> const& interrupted_;
    std::size_t bins_ = 0;
    std::int64_t per_point_ = 0;
    Findings own_block_;
};

/// The command that makes a damaged file anew, where it is now.
std::string command_again(OpenShard const& damaged)
{
    SurfaceMeta const& meta = damaged.surface->meta();
    std::string const output = output_of_command(meta.command_line);
    if (output.empty())
        return "";
    std::string const command = command_that_writes(
        meta.shard_count > 0 ? shard_command(meta.command_line, {meta.shard_index, meta.shard_count, {}}, output)
                             : meta.command_line,
        meta.working_folder, damaged.path);
    bool const by_merge = !meta.shards.empty();
    return command.empty() ? "" : command + (by_merge ? " --replace" : " --restart");
}

/// The command that continues an unfinished scan, or nothing where there is none.
std::string command_begun(fs::path const& journal)
{
    try
    {
        std::error_code error;
        auto const found = fs::is_regular_file(journal, error) ? Journal::inspect(journal) : std::nullopt;
        return found ? continue_command(describe_journal(journal, *found), journal) : "";
    }
    catch (InputError const&) // no journal, or a damaged one
    {
        return "";
    }
}

/// The command for every shard that is missing, from that of one that is there. \param damaged  that could not even be opened
std::vector<std::string> missing_commands(std::vector<OpenShard> const& shards, std::vector<IndexRange> const& holes,
                                          std::vector<DamagedShard> const& damaged)
{
    std::vector<std::string> commands;
    auto const& meta = shards.front().surface->meta();
    std::string output = meta.command_line.empty() ? "" : output_of_command(meta.command_line);
    if (meta.shard_count < 1 || output.empty())
        return commands;
    std::vector<std::int64_t> shape;
    for (AxisRecord const& axis : shards.front().surface->layout().axes)
        shape.push_back(static_cast<std::int64_t>(axis.values.size()));
    for (std::int64_t k = 1; k <= meta.shard_count; ++k)
    {
        Shard const shard{k, meta.shard_count, {}};
        IndexRange const range = shard_range(shape, shard);
        if (std::any_of(holes.begin(), holes.end(),
                        [&](IndexRange const& hole) { return hole.begin < range.end && range.begin < hole.end; }))
        {
            auto const name = shard_path(output, shard).filename();
            bool const there = std::any_of(damaged.begin(), damaged.end(),
                                           [&](DamagedShard const& bad) { return bad.path.filename() == name; });
            // One that was begun continues with its own command, which may have had other options.
            auto const begun = command_begun(journal_path(link_target(fs::path(meta.working_folder) / shard_path(output, shard))));
            commands.push_back(!begun.empty()
                                   ? begun
                                   : continue_command(shard_command(meta.command_line, shard, output), meta.working_folder)
                                         + (there ? " --restart" : ""));
        }
    }
    return commands;
}

/// "a" where all are the same, else "a, b".
template<class Member>
std::string joined_values(std::vector<OpenShard> const& shards, Member member)
{
    std::vector<std::string> values;
    for (OpenShard const& shard : shards)
    {
        std::string const& value = shard.surface->meta().*member;
        if (std::find(values.begin(), values.end(), value) == values.end())
            values.push_back(value);
    }
    return join(values);
}

SurfaceMeta merged_meta(std::vector<OpenShard> const& shards, MergeOptions const& options)
{
    SurfaceMeta meta = shards.front().surface->meta();
    meta.shards.clear();
    meta.shard_index = meta.shard_count = 0;
    meta.command_line = options.command_line;
    std::error_code error;
    meta.working_folder = fs::current_path(error).string();
    // The program that merges; those that computed are kept with the shards.
    meta.version = build::version;
    meta.commit = build::commit;
    meta.dirty = build::dirty;
    meta.compiler = build::compiler;
    meta.cuda = build::cuda;
    meta.backend = joined_values(shards, &SurfaceMeta::backend);
    meta.device = joined_values(shards, &SurfaceMeta::device);
    meta.route = joined_values(shards, &SurfaceMeta::route);
    meta.host = joined_values(shards, &SurfaceMeta::host);
    meta.wall_time_s = meta.compute_time_s = 0.0;
    meta.failed = false;
    double const tolerance = meta.self_check.tolerance;
    meta.self_check = {0, 0.0, tolerance, true};
    fs::path const folder = fs::absolute(options.output).parent_path();
    double computed = 0.0;
    for (OpenShard const& shard : shards)
    {
        SurfaceMeta const& one = shard.surface->meta();
        meta.start_utc = std::min(meta.start_utc, one.start_utc);
        meta.stop_utc = std::max(meta.stop_utc, one.stop_utc);
        meta.wall_time_s += one.wall_time_s;
        meta.compute_time_s += one.compute_time_s;
        computed += one.points_per_s * one.compute_time_s;
        meta.threads = std::max(meta.threads, one.threads);
        meta.failed = meta.failed || one.failed;
        meta.self_check.points += one.self_check.points;
        meta.self_check.worst = std::max(meta.self_check.worst, one.self_check.worst);
        meta.self_check.tolerance = std::max(meta.self_check.tolerance, one.self_check.tolerance);
        meta.self_check.passed = meta.self_check.passed && one.self_check.passed;
        meta.shards.push_back(one);
        meta.shards.back().shards.clear();
        meta.shards.back().file = fs::proximate(fs::absolute(shard.path), folder, error).string();
    }
    meta.points_per_s = meta.compute_time_s > 0.0 ? computed / meta.compute_time_s : 0.0;
    return meta;
}

/// Keeps scans and other merges away from the output. What they lock is the journal of a scan; one that holds something belongs to an
/// interrupted scan and stays.
class OutputLock
{
public:
    explicit OutputLock(fs::path const& output) : path_(journal_path(output))
    {
        std::error_code error;
        auto const type = fs::symlink_status(path_, error).type();
        if (type != fs::file_type::not_found && type != fs::file_type::regular)
            throw InputError(fmt::format("{}: is no file, but what locks the output; name another output", path_.string()));
        if (!lock_.acquire(path_))
            throw InputError(fmt::format("{}: another scan or merge is writing this output; wait for it or name another output",
                                         output.string()));
    }
    ~OutputLock()
    {
        std::error_code error;
        if (fs::file_size(path_, error) == 0 && !error)
            fs::remove(path_, error);
    }
    OutputLock(OutputLock const&) = delete;
    OutputLock& operator=(OutputLock const&) = delete;

private:
    fs::path path_;
    FileLock lock_;
};

void check_output_folder(fs::path const& output)
{
    if (output.empty())
        throw InputError("--output: the name of the output file is empty");
    std::error_code error;
    auto const folder = output.has_parent_path() ? output.parent_path() : fs::path(".");
    if (!fs::is_directory(folder, error))
        throw InputError(fmt::format("{}: the folder {} does not exist; create it first", output.string(), folder.string()));
}

/// What a merge writes before it has its name must be nothing that somebody wants to keep.
void check_work_file(fs::path const& partial, std::vector<fs::path> const& shards)
{
    std::error_code error;
    auto const type = fs::symlink_status(partial, error).type();
    bool taken = type != fs::file_type::not_found && type != fs::file_type::regular;
    for (fs::path const& shard : shards)
        taken = taken || fs::equivalent(shard, partial, error);
    if (taken)
        throw InputError(
            fmt::format("{}: is in the way of the merge, which writes there first; name another output", partial.string()));
}

void check_output(MergeOptions const& options)
{
    std::string const name = options.output.string();
    std::error_code error;
    for (fs::path const& shard : options.shards)
        if (fs::equivalent(shard, options.output, error))
            throw InputError(fmt::format("{}: is a shard to merge; name another output", name));
    auto const type = fs::status(options.output, error).type();
    if (type != fs::file_type::not_found && type != fs::file_type::regular)
        throw InputError(fmt::format("{}: is not a regular file; name another output", name));
    if (type == fs::file_type::regular && !options.replace)
        throw InputError(fmt::format("{}: is there already; name another output or use --replace", name));
}

} // namespace

MergeResult merge_surfaces(MergeOptions const& given)
{
    if (given.shards.empty())
        throw InputError("merge: no shards are named");
    MergeOptions options = given;
    options.output = link_target(given.output);
    check_output_folder(options.output);
    // Before looking for an output, which another merge may just be finishing.
    OutputLock const lock(options.output);
    check_output(options);
    allow_open_files(options.shards.size()); // all stay open until they are merged
    MergeResult result;
    std::vector<OpenShard> shards;
    for (fs::path const& path : options.shards)
    {
        require_readable(path);
        try
        {
            shards.push_back({path, std::make_unique<SurfaceReader>(path)});
        }
        catch (InputError const& problem)
        {
            result.damaged.push_back({path, problem.what()});
            continue;
        }
        require_same_scan(shards.front(), shards.back());
        if (options.as_virtual && shards.back().surface->is_virtual())
            throw InputError(
                fmt::format("{}: keeps its values in other files, and cannot be part of another virtual surface; name its "
                            "shards instead, or leave out --virtual",
                            path.string()));
    }
    if (shards.empty())
        return result;
    std::stable_sort(shards.begin(), shards.end(), [](OpenShard const& a, OpenShard const& b) {
        return a.range().begin != b.range().begin ? a.range().begin < b.range().begin : a.range().end > b.range().end;
    });

    std::int64_t const size = shards.front().surface->layout().size();
    std::int64_t covered = 0;
    std::string last;
    std::vector<SurfacePart> parts;
    fs::path const folder = fs::absolute(options.output).parent_path();
    for (OpenShard const& shard : shards)
    {
        IndexRange const range = shard.range();
        if (range.begin > covered)
            result.holes.push_back({covered, range.begin});
        if (range.begin < covered && range.size() > 0)
            result.overlaps.push_back({{range.begin, std::min(range.end, covered)}, last, shard.path.string()});
        if (range.end > covered)
        {
            std::error_code error;
            parts.push_back({fs::proximate(fs::absolute(shard.path), folder, error).string(), range});
            last = shard.path.string();
        }
        covered = std::max(covered, range.end);
    }
    if (covered < size)
        result.holes.push_back({covered, size});
    for (char const* const what : {"backend", "route"})
    {
        auto const values = joined_values(shards, *what == 'b' ? &SurfaceMeta::backend : &SurfaceMeta::route);
        if (values.find(", ") != values.npos)
            result.notes.push_back(fmt::format("the shards were computed with more than one {}: {}", what, values));
    }
    if (!result.holes.empty())
        result.commands = missing_commands(shards, result.holes, result.damaged);

    // --- values ----------------------------------------------------------------------------------------------------------------
    SurfaceLayout layout = shards.front().surface->layout();
    layout.range = {0, size};
    // Not the name that a scan uses: an interrupted one keeps its values there.
    fs::path const partial = options.output.string() + ".merging";
    check_work_file(partial, options.shards);
    Findings findings;
    try
    {
        std::unique_ptr<SurfaceWriter> writer;
        if (result.complete())
            writer = std::make_unique<SurfaceWriter>(partial, layout, options.as_virtual ? parts : std::vector<SurfacePart>{});
        for (OpenShard const& shard : shards)
            try
            {
                ShardReader(shard, options.as_virtual || !result.complete() ? nullptr : writer.get(), options.interrupted)
                    .read(findings);
            }
            catch (InputError const& problem)
            {
                result.damaged.push_back({shard.path, problem.what()});
                if (auto const command = command_again(shard); !command.empty())
                    result.commands.push_back(command);
            }
        if (!result.complete())
        {
            writer.reset();
            std::error_code ignored;
            fs::remove(partial, ignored);
            return result;
        }
        SurfaceMeta& meta = result.meta;
        meta = merged_meta(shards, options);
        meta.range = layout.range;
        meta.not_converged = findings.not_converged;
        meta.not_finite = findings.not_finite;
        meta.direct_fallback = findings.direct_fallback;
        result.null = shards.front().surface->null();
        result.best_fit.chi2 = std::numeric_limits<double>::quiet_NaN();
        for (OpenShard const& shard : shards)
            if (findings.best.index >= 0 && shard.surface->best_fit().index == findings.best.index)
            {
                result.best_fit = shard.surface->best_fit();
                break;
            }
        writer->finish(meta, result.best_fit, result.null);
    }
    catch (Interrupted const&)
    {
        std::error_code ignored;
        fs::remove(partial, ignored);
        result.interrupted = true;
        return result;
    }
    catch (...)
    {
        std::error_code ignored;
        fs::remove(partial, ignored);
        throw;
    }
    rename_durably(partial, options.output);
    return result;
}

} // namespace nuscan
