/// \file
/// A batch script that runs a scan as an array of shards under Slurm.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nuscan::cli
{

/// What is particular to a cluster. Keys of the site file have the names of the members.
struct SlurmSite
{
    std::string partition;
    std::string account;
    std::string qos;
    std::string time = "04:00:00"; ///< of one task; a scan that needs more is continued by requeueing
    std::string memory;            ///< as sbatch --mem takes it; empty: from the size of the scan
    std::string nuscan;            ///< the program; empty: the one that runs
    long long cpus_per_task = 8;
    long long tasks_at_a_time = 0;    ///< of the array, 0: no limit
    std::vector<std::string> modules; ///< to load
    std::vector<std::string> setup;   ///< shell lines before the scan
    std::vector<std::string> sbatch;  ///< more options of sbatch, "--constraint=a100"
};

/// Reads a site file (TOML). Throws InputError.
SlurmSite read_slurm_site(std::filesystem::path const& path);

/// ~/.config/nuscan/slurm.toml, or in the folder that XDG_CONFIG_HOME names.
std::filesystem::path default_slurm_site();

/// One array job.
struct SlurmJob
{
    SlurmSite site;
    std::string title;
    std::vector<std::string> scan; ///< words of the scan command, without --shard and --output
    std::string output;
    std::string folder; ///< to run in
    std::int64_t shards = 1;
    bool gpu = false;     ///< one for each task
    bool threads = false; ///< whether the command sets their number itself
    std::uint64_t memory_bytes = 0;
};

/// The script, ready for sbatch.
std::string slurm_script(SlurmJob const& job);

} // namespace nuscan::cli
