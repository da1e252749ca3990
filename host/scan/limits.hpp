/// \file
/// One-dimensional limits of parameters on given inputs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/backends/backend.hpp"
#include "host/scan/problem.hpp"
#include "host/stats/intervals.hpp"

namespace nuscan
{

struct LimitOptions
{
    double cl = 0.90;
    int dof = 1;
    bool fix_pulls = false;
    Device device;
    Route route = Route::automatic;
    int threads = 0;
};

struct Limit
{
    int parameter = -1;
    AllowedRegion region;
    /// Largest relative change of a finite limit when all quadrature nodes are doubled; empty if not asked for.
    std::optional<double> convergence;
};

/// Parameters that `limits` takes where none is named: all moments, millicharges, charge radii and anapole moments.
std::vector<int> default_limit_parameters();

/// Allowed regions of \p parameters, each alone with \p fixed kept.
/// \param refined  the same inputs with doubled nodes, for the convergence figure; may be null
std::vector<Limit> find_limits(std::shared_ptr<Prepared const> const& prepared, std::shared_ptr<Prepared const> const& refined,
                               std::vector<int> const& parameters, FixedParameters const& fixed, LimitOptions const& options);

} // namespace nuscan
