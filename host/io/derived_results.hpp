/// \file
/// What is derived from a finished surface and stored with it: profiles, limits and contours (/profiles, /limits, /contours).
///
/// The file under its final name is complete at every moment: changes go to a copy beside it, which takes its place at the end.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/stats/grid_curve.hpp"

namespace nuscan
{

/// chi^2 minimised over some axes: /profiles/<name>.
struct ProfileRecord
{
    std::vector<std::string> axes;          ///< kept, in the order of the grid
    std::vector<std::string> profiled_axes; ///< minimised over, in the order of the grid
    double chi2_min = 0.0;                  ///< reference of the whole surface
    double chi2_zero = 0.0;
    std::vector<double> chi2;                     ///< over the kept axes, C order; NaN where every point failed
    std::vector<std::vector<std::int64_t>> index; ///< for each profiled axis the node of the minimum, -1 where every point failed

    /// Name of its group: the kept axes joined by commas.
    std::string name() const;
};

/// Allowed intervals of one parameter: /limits/<cl>/<parameter>.
struct IntervalRecord
{
    std::string parameter;
    std::string unit;
    double cl = 0.0;
    int dof = 1;
    double threshold = 0.0; ///< Delta chi^2 of cl and dof
    std::vector<std::string> profiled_axes;
    GridRegion region;
};

/// Limits on a mediator's coupling, mass by mass: /limits/<cl>/<g>_<definition>.
struct CurveRecord
{
    std::string parameter; ///< the coupling
    std::string mass;      ///< name of the mass parameter
    std::string unit;
    std::string mass_unit;
    double cl = 0.0;
    int dof = 1;
    double threshold = 0.0;
    std::string definition; ///< "per_mass": against the minimum at each mass; "plane": against that of the whole plane
    std::vector<std::string> profiled_axes;
    std::vector<double> masses;
    std::vector<double> upper;                    ///< [masses] NaN where the grid ends before it is reached, or all is excluded
    std::vector<std::vector<Interval>> intervals; ///< [masses] allowed pieces
    std::vector<double> chi2_min;                 ///< [masses] reference used
    std::vector<std::uint8_t> coarse;             ///< [masses] 1 where the nodes are too far apart, as in GridRegion
};

/// A polyline of a contour.
struct ContourPiece
{
    bool closed = false; ///< else it ends at the edge of the plane or at failed points
    std::vector<std::array<double, 2>> points;
};

/// A contour in a plane: /contours/<cl>.
struct ContourRecord
{
    std::vector<std::string> axes; ///< x, y
    double cl = 0.0;
    int dof = 2;
    double threshold = 0.0;
    double level = 0.0; ///< chi^2 on the contour
    double chi2_min = 0.0;
    std::vector<std::string> profiled_axes;
    std::vector<ContourPiece> pieces;
};

/// Limits and contours of a surface or of one of its profiles.
struct LimitRecords
{
    std::string profile; ///< name of the profile; empty for the surface itself
    std::vector<IntervalRecord> intervals;
    std::vector<CurveRecord> curves;
    std::vector<ContourRecord> contours;
};

/// Everything derived that a file holds.
struct DerivedResults
{
    std::vector<ProfileRecord> profiles;
    std::vector<LimitRecords> limits; ///< of the surface first, then of the profiles; entries without records are left out

    ProfileRecord const* find_profile(std::string const& name) const;
};

/// Name of the group of a confidence level: "0.9".
std::string cl_name(double cl);

/// Reads everything, checksums verified. Throws InputError, one line that names file and place.
DerivedResults read_derived_results(std::filesystem::path const& path);

/// Adds \p results to a finished surface file, in place of records of the same name; profiles that are there already stay.
/// Whatever happens, the file under its name is either the old or the new one, whole.
/// Throws InputError if the folder takes no files, RunError if the disk is full or another nuscan is changing the file.
void store_derived_results(std::filesystem::path const& path, DerivedResults const& results);

} // namespace nuscan
