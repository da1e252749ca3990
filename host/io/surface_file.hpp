/// \file
/// The HDF5 file of a finished chi^2 surface: schema, writer and reader.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/support/error.hpp"
#include "nuscan/scan/backend.hpp"
#include "nuscan/scan/grid.hpp"

namespace nuscan
{

/// Schema of the file. A reader refuses another major version and accepts a newer minor one.
inline constexpr int schema_major = 1;
inline constexpr int schema_minor = 4;

/// Status of a point that a shard does not hold.
inline constexpr std::uint8_t status_not_computed = 255;

/// An axis as stored under /axes/<name>.
struct AxisRecord
{
    std::string name;
    std::string unit;
    std::string long_name;
    std::string label; ///< LaTeX
    AxisScale scale = AxisScale::linear;
    std::vector<double> values;
};

/// A single point, as stored under /best_fit and /null.
struct PointRecord
{
    std::int64_t index = -1;                  ///< flat index in the grid, -1 for the SM point
    std::map<std::string, double> parameters; ///< axes of the best fit; empty for the SM
    double chi2 = 0.0;
    std::map<std::string, double> pulls;
};

/// Points that the reference backend computed again.
struct SelfCheckRecord
{
    std::int64_t points = 0;
    double worst = 0.0;     ///< largest |delta chi^2| / (1 + chi^2)
    double tolerance = 0.0; ///< bound that it was held against
    bool passed = false;
};

/// Provenance, stored under /meta.
struct SurfaceMeta
{
    std::string title;
    std::vector<std::string> experiments;
    std::string configuration;                      ///< grid file, verbatim
    std::string configuration_canonical;            ///< canonical form (JSON)
    std::string configuration_sha256;               ///< of the canonical form
    std::map<std::string, std::string> data_sha256; ///< per data file
    std::string data_folder;                        ///< where they were; no part of what identifies a scan. Empty before schema 1.1
    std::string command_line;
    std::string version;
    std::string commit;
    bool dirty = false;
    std::string compiler;
    std::string cuda;
    std::string backend;
    std::string device;
    std::string route;
    int threads = 0;
    std::string host;
    std::string start_utc; ///< ISO 8601
    std::string stop_utc;
    double wall_time_s = 0.0;
    double compute_time_s = 0.0;
    double points_per_s = 0.0;
    bool failed = false;            ///< the self-check found a deviation above its tolerance
    std::int64_t not_converged = 0; ///< number of points with that status
    std::int64_t not_finite = 0;
    std::int64_t direct_fallback = 0;
    /// chi^2 where every scanned parameter is 0 and the fixed values are kept: it counts as a point of the scanned region.
    double chi2_zero = 0.0;
    IndexRange range; ///< flat indices that this file holds; a writer takes that of its layout
    SelfCheckRecord self_check;
    int results_version = 0;         ///< of the program that made it; 0 before schema 1.3
    std::string working_folder;      ///< that the command ran in; empty before schema 1.3
    std::int64_t shard_index = 0;    ///< k of shard k/N; 0 for a whole scan
    std::int64_t shard_count = 0;    ///< N
    std::string file;                ///< of a shard in a merged file: its name, relative to the merged file where it is virtual
    std::vector<SurfaceMeta> shards; ///< of a merged file: what each shard said of itself
};

/// Bins of one experiment, for /grid/rates.
struct RateRecord
{
    std::string experiment;
    std::string unit;
    std::vector<double> edges; ///< [keV]
};

/// What a surface consists of besides chi^2 and status.
struct SurfaceLayout
{
    std::vector<AxisRecord> axes;   ///< 1 to 4, C order
    std::vector<std::string> pulls; ///< names; stored as /grid/pulls/<name> if not empty
    std::vector<RateRecord> rates;  ///< stored as /grid/rates/<experiment> with a last dimension of bins, if not empty
    /// chi^2 where every scanned parameter is 0 and the fixed values are kept: it counts as a point of the scanned region.
    double chi2_zero = 0.0;
    IndexRange range; ///< flat range of points the file will hold; the whole grid unless it is a shard

    /// Points of the whole grid. Throws RunError if an int64 does not hold the number.
    std::int64_t size() const;
};

/// Part of a virtual surface: consecutive points that are in another file of the same grid.
struct SurfacePart
{
    std::string file; ///< absolute, or relative to the folder of the virtual surface
    IndexRange range; ///< follows that of the part before; all parts together are the grid
};

/// A chunk of a surface without pulls and rates as it is stored, with its checksums.
struct StoredChunk
{
    IndexRange range;
    std::vector<double> chi2;         ///< what is behind the points of the range: fill values up to a whole chunk, the checksum
    std::vector<std::uint8_t> status; ///< likewise

    /// chi^2 of the points.
    double const* chi2_values() const { return chi2.data(); }
    /// Status of the points, as many as the range has.
    std::uint8_t const* status_values() const { return status.data(); }
};

/// Points in a chunk of a grid of that shape, as chi^2 and status are stored.
std::int64_t surface_chunk_points(std::vector<std::int64_t> const& shape);
/// Flat index of the first point of the chunk that \p point lies in; chunks are contiguous.
std::int64_t surface_chunk_begin(std::vector<std::int64_t> const& shape, std::int64_t point);
/// Flat index behind the last point of that chunk.
std::int64_t surface_chunk_end(std::vector<std::int64_t> const& shape, std::int64_t point);

/// Bytes that a surface takes on the disk, and up to 1 MB more.
/// \param shape  of the grid  \param range  points that the file holds  \param n_pulls  number of pulls kept of each point
/// \param bins   of each experiment whose rates are kept
std::uint64_t surface_bytes(std::vector<std::int64_t> const& shape, IndexRange range, std::size_t n_pulls,
                            std::vector<std::int64_t> const& bins);

/// Writes a surface point after point in flat order. The file is complete and readable only after finish(); without it an
/// unfinished file is left behind, in which another writer of the same layout finds the points appended. Every value is written once,
/// where it stays: the places of all chunks follow from the layout. Memory: one chunk (about 1 MB) per dataset.
class SurfaceWriter
{
public:
    /// What a file of that name holds.
    enum class Existing
    {
        discard,
        keep, ///< for recover(): it was left by an unfinished writer of the same layout
    };

    /// Creates \p path (replacing it). Throws RunError on I/O failure, naming path and reason (disk full, permission).
    /// \param parts  for a virtual surface, to which nothing is appended: the files that hold its points
    explicit SurfaceWriter(std::filesystem::path const& path, SurfaceLayout layout, std::vector<SurfacePart> parts = {},
                           Existing existing = Existing::discard);
    ~SurfaceWriter();
    SurfaceWriter(SurfaceWriter const&) = delete;
    SurfaceWriter& operator=(SurfaceWriter const&) = delete;

    /// Appends the next \p n points of the range. \p pulls: n x n_pulls, point-major; \p rates: n x (all bins), point-major; null
    /// where the layout has none. They are brought into the file while the caller goes on, and the arrays are free. Throws RunError if
    /// the disk is full, which may show only later.
    void append(std::int64_t n, double const* chi2, std::uint8_t const* status, double const* pulls, double const* rates);

    /// Appends a chunk as it was stored in another file; only where the next point begins one. Nothing is computed.
    void append(StoredChunk const& chunk);

    /// Waits until all that was appended is in the file: a kill afterwards loses nothing of it. Throws RunError if the disk is full.
    void flush();

    /// Calls \p done, in another thread, once all that was appended so far is in the file, with the errno of what went wrong, 0 if nothing.
    /// It must not throw, nor use this object, which must not end before. Throws RunError if \p done is not going to be called.
    void when_written(std::function<void(int error)> done);

    /// What flush() throws for an errno. In any thread, whatever others do with this object.
    RunError write_error(int error) const;

    /// Reads points of the range as an unfinished writer left them; any bits for those that it did not append. Only what is appended here
    /// (again) is part of the surface. Throws RunError if the file cannot be read.
    /// \param values  receives as append() takes
    void recover(IndexRange range, PointOutputs const& values) const;

    /// Writes best fit, SM point and provenance, closes the file and waits until it is on the disk. chi2_min is that of
    /// \p best_fit. Throws RunError if anything could not be written.
    void finish(SurfaceMeta const& meta, PointRecord const& best_fit, PointRecord const& null);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Reads a surface file. Every problem (not HDF5, truncated, wrong schema, missing dataset, wrong type or shape, checksum) is an
/// InputError of one clear line naming the file.
class SurfaceReader
{
public:
    explicit SurfaceReader(std::filesystem::path const& path);
    ~SurfaceReader();
    SurfaceReader(SurfaceReader const&) = delete;
    SurfaceReader& operator=(SurfaceReader const&) = delete;

    SurfaceLayout const& layout() const;
    SurfaceMeta const& meta() const;
    PointRecord const& best_fit() const;
    PointRecord const& null() const;

    /// Values of flat range \p range, which must lie inside that of the file; the checksum of every chunk read is verified.
    std::vector<double> chi2(IndexRange range) const;
    std::vector<std::uint8_t> status(IndexRange range) const;
    std::vector<double> pull(std::string const& name, IndexRange range) const;
    /// Whether stored_chunk() can be used: no pulls, no rates, and chunks as this program writes them.
    bool has_stored_chunks() const;

    /// Whether its values are in other files.
    bool is_virtual() const;
    /// The chunk of those points, which must be one, as it is stored; its checksums are verified.
    void stored_chunk(IndexRange range, StoredChunk& chunk) const;
    /// Point-major, all bins of one experiment.
    std::vector<double> rates(std::string const& experiment, IndexRange range) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace nuscan
