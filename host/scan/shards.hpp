/// \file
/// A scan cut into parts for several machines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/scan/identity.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan
{

/// Part \c index of \c count of a scan; index from 1.
struct Shard
{
    std::int64_t index = 1;
    std::int64_t count = 1;
    std::string reason; ///< where it comes from, if the command line left it to the batch system
};

/// Most shards of a scan.
inline constexpr std::int64_t most_shards = 1000000;

/// The shard that --shard asks for: "k/N"; "slurm", the task of a Slurm array, from SLURM_ARRAY_TASK_ID, _MIN, _MAX and _COUNT; "none",
/// the whole grid. Throws InputError on anything else, on k outside 1 to N, and for "slurm" outside an array and in one whose tasks are
/// not numbered from 0 or 1 without gaps: there the number of tasks is not the number of shards.
std::optional<Shard> parse_shard(std::string const& text);

/// What --shard is where it is not given: "slurm" in a task of a Slurm array, else "none".
std::string default_shard();

/// Points of a shard in a grid of that shape. All shards together are the grid, each about the same size; where shards are long they
/// begin with a chunk of the file, so that no chunk is stored twice. Throws InputError if there are fewer points than shards.
IndexRange shard_range(std::vector<std::int64_t> const& shape, Shard const& shard);

/// File of a shard: OUT.h5 becomes OUT.shard-003-of-064.h5, in as many digits as the count has, but at least three.
std::filesystem::path shard_path(std::filesystem::path const& output, Shard const& shard);

/// The words of a command line without the named options; those of \p with_value go together with their values.
std::vector<std::string> without_options(std::vector<std::string> const& words, std::vector<std::string> const& with_value,
                                         std::vector<std::string> const& flags);

/// The command line with the shard that it came to, in place of what it says of shards, if anything.
std::string with_shard(std::string const& command_line, Shard const& shard);

/// The command line of another shard of the same scan, from that of a first one.
/// \param output  name given to --output
std::string shard_command(std::string const& command_line, Shard const& shard, std::string const& output);

/// A command line to be given again, without --restart and behind a cd where it ran in another folder than this one that is still there.
std::string continue_command(std::string const& command_line, std::string const& folder);

/// A command line to be given again so that it writes \p file, which may have been moved since: then the output is named by its new place.
/// Empty where no output has that name, as for a shard under another name. \param suffix  of the file that is there in place of \p file
std::string command_that_writes(std::string const& command_line, std::string const& folder, std::filesystem::path const& file,
                                std::string const& suffix = {});

/// The command that continues the unfinished scan of \p journal, wherever that is now; empty as above.
std::string continue_command(JournalDescription const& description, std::filesystem::path const& journal);

/// The value that was given to --shard in a command line, or empty.
std::string shard_of_command(std::string const& command_line);

/// The value that was given to --output in a command line, or empty.
std::string output_of_command(std::string const& command_line);

} // namespace nuscan
