/// \file
/// The scans that are timed: a model, an experiment, a route.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/bench/ceilings.hpp"
#include "host/bench/operation_count.hpp"
#include "host/bench/stopwatch.hpp"
#include "host/prepare/prepared.hpp"
#include "host/scan/problem.hpp"

namespace nuscan::bench
{

/// Axes of a scan, over the ranges of the grids that ship.
struct Model
{
    std::string name;       ///< the parameters, as in the header of a grid: "m_V g_V"
    std::vector<Axis> axes; ///< without numbers of nodes
    /// With that many points, as nearly as whole nodes allow, all axes alike.
    std::vector<Axis> with_points(std::int64_t points) const;
};

/// The model of the rows: a vector mediator, mass against coupling, as in grids/vector_*.toml.
Model vector_mediator();

/// One scan for every interaction, and some over several couplings.
std::vector<Model> all_models();

/// Inputs of one experiment, loaded and prepared.
std::shared_ptr<Prepared const> prepare(std::string const& experiment);

/// Time of a case in the compute phase: the backend's calls of a scan, chunk by chunk, with all templates there.
struct CaseSpeed
{
    std::int64_t points = 0;
    Timing timing; ///< of all points
    double points_per_s() const { return static_cast<double>(points) / timing.best(); }
    double templates_s = 0.0; ///< first call: threads started, templates folded, points evaluated; over a later one
    std::int64_t failed = 0;  ///< points without chi^2
};

/// Speeds of a case with several numbers of threads, repeats of all in turn. \returns one for each of \p threads
std::vector<CaseSpeed> measure_case(std::shared_ptr<Problem const> const& problem, Route route, std::vector<int> const& threads,
                                    Effort const& effort);

/// Seconds that a scan of the factored route would take for its points, templates included, if nothing were written or checked: all of
/// them in the scan's chunks.
double measure_points_alone(std::shared_ptr<Problem const> const& problem, int threads);

/// Bytes of a point that cross the memory at least: what is kept of it, and its share of templates, each read once.
double point_bytes(Problem const& problem, Route route);

/// Points per second of the reference backend, one thread. \param points  evenly distributed ones
CaseSpeed measure_reference(std::shared_ptr<Problem const> const& problem, std::int64_t points, Effort const& effort);

} // namespace nuscan::bench
