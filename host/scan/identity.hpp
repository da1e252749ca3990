/// \file
/// What makes two scans the same, and what tells them apart.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nuscan/scan/backend.hpp"

namespace nuscan
{

/// Everything that the numbers of a running scan depend on.
struct ScanIdentity
{
    std::string configuration;                      ///< canonical form, which holds the results version
    std::map<std::string, std::string> data_sha256; ///< of every file read, by its path in the data folder
    std::string backend;
    std::string route;
    IndexRange range; ///< points of the scan: the whole grid or a shard
};

/// How a difference tells the two sides apart: "n = 400 in the journal, 500 now".
struct SideNames
{
    std::string first = "in the file";
    std::string second = "now";
};

/// Differences of two canonical configurations, each one naming its item: results version, experiments, axes, fixed values, inputs,
/// constants, output. Empty if there are none.
std::vector<std::string> configuration_differences(std::string const& first, std::string const& second, SideNames const& names);

/// Data files of which the two have not the same contents, each named with what is the matter.
std::vector<std::string> data_differences(std::map<std::string, std::string> const& first,
                                          std::map<std::string, std::string> const& second, SideNames const& names);

/// All differences of two scans.
std::vector<std::string> identity_differences(ScanIdentity const& first, ScanIdentity const& second, SideNames const& names);

/// The differences in one line: the first ones, and how many more there are.
std::string differences_text(std::vector<std::string> const& differences);

/// What a journal keeps of its scan: the identity, and what its user wants to know.
struct JournalDescription
{
    ScanIdentity identity;
    std::string title;
    std::string command_line; ///< that began the scan
    std::string folder;       ///< that it ran in
    std::string start_utc;
    std::string instruction_set
        = {}; ///< that the CPU began it with; empty for other devices, and in journals before there was this entry
};

/// As one JSON text.
std::string description_text(JournalDescription const& description);
/// From that text. Throws InputError if it is none.
JournalDescription parse_description(std::string const& text);

} // namespace nuscan
