/// \file
/// What a scan is: the grid file, the options that change it, and its canonical form.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/inputs/inputs.hpp"
#include "host/scan/parameters.hpp"
#include "nuscan/scan/grid.hpp"
#include "nuscan/scan/parameter.hpp"

namespace nuscan
{

/// Raised whenever a change of the program changes the numbers of a surface: then no older journal is continued and no older shard
/// merged. Part of the canonical form.
inline constexpr int results_version = 4;

/// Everything that determines the numbers of a surface, besides the data files and the program itself.
struct ScanConfiguration
{
    std::string title;
    std::vector<std::string> experiments;
    std::vector<Axis> axes;
    FixedParameters fixed;
    InputChoice inputs;
    bool output_pulls = false;
    bool output_rates = false;

    std::filesystem::path path; ///< of the grid file
    std::string text;           ///< the grid file, verbatim

    /// Points of the grid. Throws InputError on overflow of 64 bits.
    std::int64_t size() const;
};

/// Largest number of nodes of one axis: its values are kept in memory, twice while the output is written.
inline constexpr long long max_axis_nodes = 100000000;

/// Reads and checks a grid file. Throws InputError naming file, line and key.
ScanConfiguration read_configuration(std::filesystem::path const& path);

/// Sets fixed values given on the command line: adds or replaces [fixed] ones, refuses axes.
void apply_settings(ScanConfiguration& configuration, FixedParameters const& settings);

/// Leaves at most \p nodes nodes on every axis, over the same ranges: a coarse look at a fine grid. Throws InputError if \p nodes is
/// below 2, which no range has room for.
void limit_nodes(ScanConfiguration& configuration, long long nodes);

/// Canonical form: one JSON text in which everything that does not change the surface (comments, order of [fixed], number formats,
/// title) is gone.
std::string canonical_form(ScanConfiguration const& configuration);

/// The configuration of a canonical form (without title, path and text). Throws InputError if it is not one.
ScanConfiguration parse_canonical(std::string const& canonical);

/// A setting "P=V" of the command line. Throws InputError (unknown parameter, malformed or unphysical value).
std::pair<int, double> parse_setting(std::string const& text);

/// All settings; the same parameter twice is an InputError.
FixedParameters parse_settings(std::vector<std::string> const& texts);

} // namespace nuscan
