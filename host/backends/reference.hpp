/// \file
/// The reference calculation: slow, obvious and independent of the code it checks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/inputs/inputs.hpp"
#include "nuscan/scan/backend.hpp"
#include "nuscan/scan/parameter.hpp"

namespace nuscan
{

/// Defines what is correct. It shares with the other backends the input tables, the parameter names and nothing else:
/// neutrino-energy integrals per source and flavour and recoil integrals per bin are done straight from the equations with
/// Boost.Math quadrature on its own nodes, rates are summed without templates, and the pulls are found by a generic minimiser.
/// Set-up takes about a second, a point about 0.25 ms.
class ReferenceCalculation
{
public:
    struct Options
    {
        bool fix_pulls = false; ///< all pulls at 0
    };

    struct Result
    {
        double chi2 = 0.0;
        PointStatus status = PointStatus::ok;
        std::vector<double> pulls;                  ///< beta, then every experiment's own pulls in order
        std::vector<std::vector<double>> rates;     ///< [experiment][bin] signal before pulls, in the rate unit
        std::vector<std::vector<double>> chi2_bins; ///< [experiment][bin] without penalties; dropped bins 0
    };

    explicit ReferenceCalculation(Inputs const& inputs);
    ReferenceCalculation(Inputs const& inputs, Options options);
    ~ReferenceCalculation();
    ReferenceCalculation(ReferenceCalculation&&) noexcept;
    ReferenceCalculation& operator=(ReferenceCalculation&&) noexcept;

    /// chi^2 of a point. Thread-safe.
    Result evaluate(ParameterValues const& values) const;

    /// Signal per bin of experiment \p experiment, before pulls, in its rate unit.
    std::vector<double> rates(int experiment, ParameterValues const& values) const;

    /// Solar energy integral: sum over sources of integral_{Emin(T)} Phi(E) P_s(E) E^-k dE [cm^-2 s^-1 keV^-k] as tabulated
    /// (interpolated at \p recoil [keV]); species 0..2 = e, mu, tau; 3 = P_e1^{2nu}.
    double energy_integral(int species, int power, double recoil) const;

    /// Survival probability P_ee averaged over the production zones of a source (index into SolarModel::sources); energy in keV.
    double p_ee(int source, double energy) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace nuscan
