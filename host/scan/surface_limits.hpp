/// \file
/// Limits of finished surfaces: intervals of single parameters, limits on couplings mass by mass, contours.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/io/derived_results.hpp"
#include "host/io/surface_file.hpp"

namespace nuscan
{

struct SurfaceLimitOptions
{
    std::vector<std::string> keep; ///< axes to keep, one or two; empty: what the surface offers
    std::vector<double> cls{0.90};
    std::optional<int> dof; ///< empty: 1 for intervals and per_mass curves, 2 for contours and plane curves
};

/// A contour still to be drawn: everything is set but its pieces.
struct ContourTask
{
    std::string profile; ///< the profile it lies in; empty for the surface itself
    ContourRecord contour;
};

/// What find_surface_limits() gives: results to store, and contours to draw in the file once the profiles are stored.
struct SurfaceLimits
{
    DerivedResults results; ///< profiles that the file lacked, intervals and curves
    std::vector<ContourTask> contours;
    std::vector<std::string> warnings; ///< one line each
};

/// Finds the limits of a surface; nothing is written. By kept axes (all of a surface with one or two, else --keep):
/// - one: where chi^2, profiled over the others, crosses the threshold;
/// - a mediator's coupling and its mass: the coupling's limit at each mass, by both definitions, and a contour;
/// - two others: a contour, and each axis alone;
/// - none kept of three or four: each axis alone.
/// \param stored  what the file holds already: its profiles are used
/// Throws InputError: unknown axis, three axes or more kept, a file that holds no whole surface.
SurfaceLimits find_surface_limits(std::filesystem::path const& path, SurfaceReader const& surface, DerivedResults const& stored,
                                  SurfaceLimitOptions const& options);

} // namespace nuscan
