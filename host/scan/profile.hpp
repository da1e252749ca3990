/// \file
/// Profiles of finished surfaces: chi^2 minimised over some axes.
#pragma once

#include <string>
#include <vector>

#include "host/io/derived_results.hpp"
#include "host/io/surface_file.hpp"

namespace nuscan
{

/// Axes to keep, brought into the order of the grid. Throws InputError: an axis that the surface lacks (with the nearest one), one
/// named twice, none.
std::vector<std::string> kept_axes(SurfaceLayout const& layout, std::vector<std::string> const& names);

/// Throws InputError unless the file holds a whole surface with at least one good point, which profiles and limits need.
void require_whole_surface(SurfaceReader const& surface, std::string const& path);

/// chi^2 at the reference that Delta chi^2 counts from: the lowest point of the grid or the one with all scanned parameters at 0.
double reference_chi2(SurfaceReader const& surface);

/// Minimises over the axes that are not kept. Of equal values the first in the order of the grid counts; failed points (NaN) never win.
///
/// The file is read once, block by block, whatever the number of profiles. Memory: a block, and 24 bytes and more for each node of
/// the results. The same bits for any block size.
/// \param keep  for each profile the axes to keep, as kept_axes() gives them; at least one axis is left to minimise over
/// \returns one record for each
std::vector<ProfileRecord> profile_surface(SurfaceReader const& surface, std::vector<std::vector<std::string>> const& keep);

} // namespace nuscan
