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
    /// Flux pull at the best fit: at -1 no neutrino arrives, and the limit says nothing about them.
    double flux_pull = 0.0;
    bool signal_is_off() const { return flux_pull <= -1.0 + smallest_flux; }

    /// Part of the predicted flux below which the signal counts as switched off: with the uncertainties of solar models a fit that
    /// goes there is more than ten standard deviations from its prediction.
    static constexpr double smallest_flux = 1e-3;

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
