/// \file
/// Derived results as tables: CSV files, or a submission to HEPData.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/io/derived_results.hpp"
#include "host/io/surface_file.hpp"

namespace nuscan
{

/// What an export wrote.
struct ExportedTables
{
    std::vector<std::filesystem::path> files;
    std::vector<std::string> notices; ///< results that made no table, one line each
};

/// Writes the profiles, limits, curves and contours of a surface into \p folder as CSV, one file each: comment lines that say what it
/// is and where it comes from, a line of column names with units, numbers that read back the same (nan where there is none). A contour
/// is one file; column `piece` counts its polylines. Of a whole surface over one axis chi^2 itself is a table, too.
/// Throws RunError (disk full), naming the file; InputError if there is nothing to write.
ExportedTables export_csv(SurfaceReader const& surface, DerivedResults const& results, std::filesystem::path const& folder);

/// The same as a submission to HEPData (schema 1.1): submission.yaml and one YAML file for each table, each polyline of a contour
/// being one, whose qualifier `closed` says whether it is. HEPData knows no table without rows: a parameter without any allowed
/// interval is left out and named in the notices.
/// Throws RunError (disk full), naming the file; InputError if there is nothing to write.
ExportedTables export_hepdata(SurfaceReader const& surface, DerivedResults const& results, std::filesystem::path const& folder);

} // namespace nuscan
