/// \file
/// Puts the shards of a scan together.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/io/surface_file.hpp"

namespace nuscan
{

struct MergeOptions
{
    std::vector<std::filesystem::path> shards; ///< in any order
    std::filesystem::path output;
    bool as_virtual = false;           ///< leave the values in the shards
    bool replace = false;              ///< an existing output
    std::string command_line;          ///< for the record
    std::function<bool()> interrupted; ///< asked between blocks; true ends the merge, and nothing is written
};

/// Points that two shards hold.
struct Overlap
{
    IndexRange range;
    std::string first;
    std::string second;
};

/// One whose checksums, or what it says of itself, are not those of its values.
struct DamagedShard
{
    std::filesystem::path path;
    std::string problem; ///< with the path
};

struct MergeResult
{
    std::vector<DamagedShard> damaged;
    std::vector<IndexRange> holes;     ///< points that no shard holds
    std::vector<Overlap> overlaps;     ///< points that two hold
    std::vector<std::string> commands; ///< that compute what is missing or damaged, as far as the shards tell
    std::vector<std::string> notes;    ///< differences between shards that do not forbid to merge them
    bool interrupted = false;          ///< then nothing else is told

    /// Whether there is one shard for each point, and nothing wrong with any; else nothing was written.
    bool complete() const { return damaged.empty() && holes.empty() && overlaps.empty(); }

    // Of the merged surface:
    SurfaceMeta meta;
    PointRecord best_fit;
    PointRecord null;
};

/// Verifies every shard (each value is read, and with it every checksum) and writes one surface of them.
///
/// The values are those of the shards, bit by bit. Failed points are counted and the best fit is found anew; points and times of the
/// self-checks are added, the worst deviation counts; what each shard said of itself is kept.
///
/// While it runs it holds the lock that a scan with the same output would hold: the file of the journal beside the output.
///
/// Throws InputError if another scan or merge is writing the output, if shards are no surfaces of the same scan (another configuration,
/// results version or data, with the item named) or the output cannot be used, RunError if a file cannot be read or written.
MergeResult merge_surfaces(MergeOptions const& options);

} // namespace nuscan
