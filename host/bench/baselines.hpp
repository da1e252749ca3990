/// \file
/// The same chi^2 in Python: what a physicist would write with NumPy, and point by point with iminuit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/bench/stopwatch.hpp"
#include "host/scan/problem.hpp"

namespace nuscan::bench
{

/// Largest |delta chi^2|/(1 + chi^2) between a baseline and the CPU backend for which the baseline's time means anything: NumPy's
/// Newton steps converge to the same decrement; Minuit stops at a distance from the minimum that its own criterion sets.
inline constexpr double numpy_tolerance = 1e-8;
inline constexpr double iminuit_tolerance = 1e-6;

struct Baseline
{
    std::string name; ///< numpy or iminuit
    std::optional<double> points_per_s;
    double noise = 0.0;
    std::int64_t points = 0;
    double worst = 0.0;      ///< largest |delta chi^2|/(1 + chi^2)
    double iterations = 0.0; ///< mean number of steps of a point
    std::string version;     ///< of Python and the package
    std::string missing;     ///< what is not there, where there is no figure
    std::string error;       ///< what went wrong, where the figure is not to be trusted or absent
};

/// What the baselines get: templates, backgrounds, data and points of a problem, and chi^2 of the CPU backend at these, as JSON.
/// The problem must have one experiment, one mass axis in front and one coupling axis behind it.
std::string baseline_input(std::shared_ptr<Problem const> const& problem, Effort const& effort);

/// Runs a baseline on the text of baseline_input(). Whatever goes wrong is in the result.
Baseline run_baseline(std::string const& name, std::string const& input);

} // namespace nuscan::bench
