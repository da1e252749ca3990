/// \file
/// Runs a scan: chunks, journal, self-check, output file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "host/backends/backend.hpp"
#include "host/inputs/table.hpp"
#include "host/io/journal.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/configuration.hpp"
#include "host/scan/identity.hpp"
#include "host/scan/problem.hpp"
#include "host/scan/shards.hpp"

namespace nuscan
{

/// State of a running scan, for people.
struct ScanProgress
{
    std::int64_t done = 0;
    std::int64_t total = 0;
    double points_per_s = 0.0;
    double remaining_s = 0.0;
};

/// What a scan is about to compute, for whoever computes it.
struct ScanWork
{
    std::shared_ptr<Problem const> problem;
    ScanIdentity identity;
    std::int64_t first = 0;  ///< first point that no earlier run has done
    std::int64_t chunk = 0;  ///< points that will be asked for at a time, from there on and in order
    std::size_t n_pulls = 0; ///< stored per point
    std::size_t n_rates = 0; ///< stored per point
};

struct ScanOptions
{
    std::filesystem::path output;
    std::optional<Shard> shard; ///< part of the grid to scan; \c output is the file of that part
    Device device;
    Route route = Route::automatic;
    int threads = 0;          ///< 0: all cores
    int workers = 0;          ///< processes that share the chunks, 0: this one computes them one after the other
    std::int64_t chunk = 0;   ///< points per chunk, 0: chosen; workers are handed smaller ones; never changes results
    bool restart = false;     ///< discard an existing output or journal, both before anything is computed
    std::string command_line; ///< for the record, in words quoted as by shell_quote()
    /// Called once every check of the input is passed, with what an interrupted run has left.
    std::function<void(JournalContents const&)> started;
    /// Called before, when the first damaged points of an interrupted run are to be computed again.
    std::function<void(IndexRange first)> mending;
    std::function<void(ScanProgress const&)> progress;
    std::function<bool()> interrupted; ///< asked after every chunk
    /// Makes what computes in place of the backend of \c device alone.
    std::function<std::unique_ptr<Backend>(ScanWork const&)> make_backend;
};

enum class ScanOutcome
{
    finished,         ///< the output file is there
    already_finished, ///< it was there before, made by the same configuration
    interrupted,      ///< the unfinished output holds what was done; the same command continues
    self_check_failed ///< the output file is there, marked failed
};

struct ScanResult
{
    ScanOutcome outcome = ScanOutcome::finished;
    IndexRange range;            ///< of the scan: the whole grid or a shard
    std::int64_t resumed_at = 0; ///< first point that no earlier run had done
    std::int64_t done = 0;       ///< number of points done in all
    SurfaceMeta meta;
    PointRecord best_fit;
    PointRecord null;
};

/// What a scan needs, before anything is computed.
struct ScanPlan
{
    IndexRange range;        ///< the whole grid or a shard
    std::int64_t points = 0; ///< in that range
    std::int64_t chunk = 0;
    std::int64_t chunks = 0;
    std::int64_t mass_combinations = 1;
    std::uint64_t file_bytes = 0;    ///< of the output
    std::uint64_t journal_bytes = 0; ///< of the journal beside it, removed at the end; roughly
    std::uint64_t memory_bytes = 0;
    double seconds = 0.0; ///< rough, from nominal costs per point
};

/// Refuses what names no file: nothing, or a folder. Throws InputError.
void require_file_name(std::filesystem::path const& output);

/// Name of the journal beside an output.
std::filesystem::path journal_path(std::filesystem::path const& output);
/// Name of the unfinished output, which holds the values of the chunks that the journal lists.
std::filesystem::path partial_path(std::filesystem::path const& output);

/// What a journal says of its scan. Throws InputError naming it.
JournalDescription describe_journal(std::filesystem::path const& journal, JournalContents const& contents);

/// What tells a scan of these points apart from others, once its inputs are loaded from \p data.
ScanIdentity scan_identity(std::string const& canonical, DataFolder const& data, ScanOptions const& options, IndexRange range);

/// Loads the inputs that a configuration names. Throws InputError, which names the grid file.
Inputs load_scan_inputs(ScanConfiguration const& configuration, DataFolder& data);

/// Checks a configuration against its inputs and sizes the scan. Throws InputError.
ScanPlan plan_scan(ScanConfiguration const& configuration, Inputs const& inputs, ScanOptions const& options);

/// Runs the scan. Throws InputError (bad configuration, unusable output path, output of another scan, not enough disk) before
/// anything is written, RunError on failure.
ScanResult run_scan(ScanConfiguration const& configuration, DataFolder& data, ScanOptions const& options);

} // namespace nuscan
