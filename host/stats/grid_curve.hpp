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
    /// 0 is allowed, but it lies off the grid and the node next to it is not allowed: where that stretch ends is not known, and it is
    /// left out.
    bool zero_off_grid = false;
    /// The nodes are too far apart for a minimum or an end: two ways to interpolate differ by more than coarse_end or coarse_minimum.
    /// Such an end is put at the next excluded node, never inside: a limit may be too weak, not too strong. Minima are those of the nodes.
    bool coarse = false;
};

/// Difference of two interpolations beyond which an end counts as not found, relative to its distance from the best fit.
inline constexpr double coarse_end = 0.01;
/// The same for a minimum, in chi^2: it moves an end at 90% C.L. by a percent.
inline constexpr double coarse_minimum = 0.05;

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
/// are found far better than to a step of the grid. Where chi^2 changes too much from node to node for that, the region is marked coarse:
/// an end then lies at the next excluded node. Nodes without chi^2 (NaN) split the curve; nothing is interpolated across them.
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
        bool coarse = false; ///< an extremum that the nodes are too far apart for
    };

    double value(double t) const;
    /// First node of the run [\p begin, \p end) behind \p t.
    std::size_t node_above(std::size_t begin, std::size_t end, double t) const;
    double interpolate(std::size_t begin, std::size_t end, double t) const;
    /// Through \p n nodes from number \p from on (Lagrange).
    double polynomial(std::size_t from, std::size_t n, double t) const;
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
