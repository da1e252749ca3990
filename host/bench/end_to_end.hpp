/// \file
/// A whole scan from the start of the program to the file on the disk, and what the disk can do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "host/bench/cases.hpp"

namespace nuscan::bench
{

/// Seconds of the phases of a scan.
struct EndToEnd
{
    std::int64_t points = 0;
    double start = 0.0;   ///< of the program, until its main function is done with the options: that of `nuscan --version`
    double set_up = 0.0;  ///< inputs, folding matrices, moments, backgrounds; the journal opened
    double compute = 0.0; ///< all points, templates included, while a thread writes chunks
    double write = 0.0;   ///< waiting for the self-check, output file written and renamed
    double total() const { return start + set_up + compute + write; }
    double points_alone = 0.0;  ///< its points computed once more, and nothing written or checked
    double checked_alone = 0.0; ///< the same beside the scan's self-check, and nothing written
    double noise = 0.0;         ///< of the total, as in Timing
    std::uint64_t file_bytes = 0;
};

/// Runs the scan of a model by the factored route on the CPU, and after each time its points without output; of several repeats the
/// shortest of each counts.
/// \param folder  where it writes
EndToEnd measure_scan(std::string const& experiment, std::vector<Axis> const& axes, int threads, int repeats,
                      std::filesystem::path const& folder);

/// Bytes per second of one file of about \p bytes written in order and brought to the disk: through the page cache or past it, whichever is
/// faster.
double measure_disk(std::filesystem::path const& folder, std::int64_t bytes, int repeats);

} // namespace nuscan::bench
