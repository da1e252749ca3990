/// \file
/// One-dimensional allowed regions from a chi^2 curve.
#pragma once

#include <functional>
#include <limits>
#include <vector>

namespace nuscan
{

/// An allowed stretch of a parameter. Infinite ends mean: allowed as far as the curve is defined.
struct Interval
{
    double lo;
    double hi;
};

/// Allowed region at Delta chi^2 <= threshold against the minimum.
struct AllowedRegion
{
    std::vector<Interval> intervals; ///< ascending and disjoint
    double best_fit = 0.0;           ///< infinite where chi^2 falls to its lowest value only far out (decoupling)
    double chi2_min = 0.0;
    double lowest_at = 0.0; ///< where the curve was seen lowest: best_fit where that is finite, else a value far out
    /// An edge, gap or hump of Delta chi^2 comes within marginal_distance of the threshold: the number of pieces hangs on a hair.
    bool marginal = false;
};

/// Distance in Delta chi^2 within which a region counts as marginal.
inline constexpr double marginal_distance = 0.02;

/// How densely a curve is sampled before minima and crossings are refined.
struct Sampling
{
    int per_decade = 24;
    int even = 1000; ///< over the range where the curve is below the threshold
};

/// For curves that cost milliseconds a point.
inline constexpr Sampling coarse_sampling{4, 60};

/// Delta chi^2 of a confidence level \p cl for \p dof parameters: quantile of the chi^2 distribution.
double delta_chi2(double cl, int dof);

/// chi^2 at a list of parameter values, in order; NaN where it is not defined. Lists, so that a backend computes them side by side.
using Chi2Curve = std::function<std::vector<double>(std::vector<double> const&)>;

/// Finds every stretch of the parameter where chi^2 - chi^2_min <= threshold.
///
/// No scale is assumed: the parameter is sampled over eighty decades on both sides of 0, then evenly where the curve is low; minima
/// and maxima are refined, crossings found by root finding to 1e-12 relative.
///
/// \param chi2          the curve; NaN where it is not defined (such points are left out)
/// \param non_negative  the parameter has a lower bound 0
/// Throws InputError if chi^2 is not finite at 0.
AllowedRegion find_allowed_region(Chi2Curve const& chi2, bool non_negative, double threshold, Sampling const& sampling = {});

/// The same for a curve that takes one value at a time.
AllowedRegion find_allowed_region(std::function<double(double)> const& chi2, bool non_negative, double threshold,
                                  Sampling const& sampling = {});

} // namespace nuscan
