/// \file
/// Puts the shards of a scan together.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/io/surface_file.hpp"

namespace nuscan
{

struct MergeOptions
{
    std::vector<std::filesystem::path> shards; ///< in any order
    std::filesystem::path output;
    bool as_virtual = false;  ///< leave the values in the shards
    bool replace = false;     ///< an existing output
    std::string command_line; ///< for the record
};

/// Points that two shards hold.
struct Overlap
{
    IndexRange range;
    std::string first;
    std::string second;
};

struct MergeResult
{
    std::vector<IndexRange> holes;             ///< points that no shard holds; then nothing is written
    std::vector<Overlap> overlaps;             ///< the values of the first are taken
    std::vector<std::string> missing_commands; ///< that compute the holes
    std::vector<std::string> notes;            ///< differences between shards that do not forbid to merge them
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
/// results version or data, with the item named) or the output cannot be used, RunError naming the shard that is damaged or contradicts itself, and if writing fails.
MergeResult merge_surfaces(MergeOptions const& options);

} // namespace nuscan
