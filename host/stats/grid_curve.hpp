/// \file
/// Allowed regions from chi^2 values at the nodes of an axis.
#pragma once

#include <cstdint>
#include <vector>

#include "host/stats/intervals.hpp"
#include "nuscan/scan/grid.hpp"

namespace nuscan
{

/// What stands at an end of an allowed interval.
enum class IntervalEnd : std::uint8_t
{
    crossing = 0,      ///< chi^2 crosses the threshold
    grid_edge = 1,     ///< the nodes end, or the points beyond failed: the true end is not known
    physical_bound = 2 ///< the parameter's bound 0
};

/// An allowed stretch of an axis.
struct GridInterval
{
    Interval range;
    IntervalEnd lo_end = IntervalEnd::crossing;
    IntervalEnd hi_end = IntervalEnd::crossing;
};

/// Where chi^2 along an axis stays within a threshold of a reference.
struct GridRegion
{
    std::vector<GridInterval> intervals; ///< ascending and disjoint
    double best_fit = 0.0;               ///< where chi^2 is lowest; 0 where that is the point with all scanned parameters at 0
    double chi2_min = 0.0;               ///< the reference that the region was found with
    bool marginal = false;               ///< as in AllowedRegion; the ends of the grid count as edges
    /// Of a bounded axis: 0 is allowed, but the first node is not. Where that stretch ends is below the grid, and it is left out.
    bool ends_below_grid = false;
};

/// The axis that a GridCurve runs along.
struct CurveAxis
{
    std::vector<double> values; ///< ascending nodes, in the axis's unit
    AxisScale scale = AxisScale::linear;
    /// The parameter has the physical bound 0, where chi^2 is that of the point with all scanned parameters at 0 or below it.
    bool bounded = false;
    /// 0 is a value of the parameter that takes it out of play (a coupling, not a mass): a best fit may be there.
    bool has_zero = false;
};

/// chi^2 along one axis, from its values at the nodes.
///
/// Between nodes it is a cubic through the four nearest ones, in the axis's own coordinate (ln for a log axis), so that ends and minima
/// are found far better than to a step of the grid. Nodes without chi^2 (NaN) split the curve; nothing is interpolated across them.
class GridCurve
{
public:
    /// \param axis       at least one node; must outlive the curve
    /// \param chi2       [nodes]
    /// \param chi2_zero  at the point with all scanned parameters at 0: counts as a point of the curve, NaN if it has no value
    GridCurve(CurveAxis const& axis, std::vector<double> chi2, double chi2_zero);

    /// Lowest chi^2, between nodes and at the zero point too; NaN if there is none.
    double lowest() const { return lowest_; }

    /// The stretches with chi^2 - \p reference <= \p threshold.
    GridRegion allowed(double reference, double threshold) const;

private:
    /// A node or an extremum between nodes.
    struct Sample
    {
        double t; ///< coordinate of the axis: the value, or its ln
        double chi2;
        bool extremum;
    };

    double value(double t) const;
    double interpolate(std::size_t begin, std::size_t end, double t) const;
    void add_run(std::size_t begin, std::size_t end);
    void add_extremum(std::vector<Sample>& samples, std::size_t begin, std::size_t end, std::size_t node, double sign) const;

    struct Run
    {
        std::size_t begin; ///< nodes [begin, end), all with a chi^2
        std::size_t end;
        std::vector<Sample> samples; ///< ascending
    };

    CurveAxis const& axis_;
    std::vector<double> t_;
    std::vector<double> chi2_;
    double chi2_zero_;
    std::vector<Run> runs_;
    double lowest_;
    double lowest_at_ = 0.0;
};

} // namespace nuscan
