/// \file
/// What `info` tells of a surface file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/io/derived_results.hpp"
#include "host/io/surface_file.hpp"

namespace nuscan::cli
{

/// Names of what profile and limits stored: "r2_e", "r2_e at 0.9".
struct DerivedNames
{
    std::vector<std::string> profiles;
    std::vector<std::string> limits;
    std::vector<std::string> contours;
};

DerivedNames derived_names(DerivedResults const& results);

/// The JSON of `info`: provenance, completeness, best fit, self-check. Texts are what the file holds and may be no UTF-8.
nlohmann::ordered_json info_json(SurfaceReader const& file, DerivedNames const& derived);

} // namespace nuscan::cli
