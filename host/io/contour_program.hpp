/// \file
/// Contours of stored planes, drawn by the Python module nuscan_plots.contours (contourpy).
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/io/derived_results.hpp"

namespace nuscan
{

/// Python, one of its packages or the module itself is not there. The message names what to install.
class NoContourProgram : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// Contours of a file's surface or of one of its profiles, over two axes.
///
/// Runs `python3 -m nuscan_plots.contours`: the interpreter is NUSCAN_PYTHON, else the first of python3 on PATH and /usr/bin/python3
/// that has the packages; the module comes from NUSCAN_PYTHON_DIR, else ../share/nuscan/python beside the binary, else the tools/ of
/// the source tree.
/// \param profile  name of the profile; empty for the surface itself
/// \param levels   chi^2 on the contours
/// \returns for each level its polylines, in the units of the axes
/// Throws NoContourProgram, or RunError with what the module said.
std::vector<std::vector<ContourPiece>> draw_contours(std::filesystem::path const& path, std::string const& profile,
                                                     std::vector<double> const& levels);

} // namespace nuscan
