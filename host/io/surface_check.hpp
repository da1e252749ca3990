/// \file
/// Whether a surface file agrees with itself.
#pragma once

#include <string>
#include <vector>

#include "host/io/surface_file.hpp"

namespace nuscan
{

/// Reads every chi^2, status, pull and rate, which verifies every checksum, and compares them with what the file says of itself: best
/// fit, failed points, configuration and self-check. \returns one line for each problem. Throws InputError if the file is damaged.
std::vector<std::string> check_contents(SurfaceReader const& file);

} // namespace nuscan
