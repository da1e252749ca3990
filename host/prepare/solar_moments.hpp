/// \file
/// The neutrino-energy integrals of the solar spectrum, done once for all models and points.
#pragma once

#include <vector>

#include "host/inputs/inputs.hpp"
#include "nuscan/physics/flavour.hpp"

namespace nuscan
{

/// Moment functions of the solar neutrino spectrum,
///
///   I_sk(T) = sum over sources of integral_{Emin(T)} dE Phi(E) P_s(E) E^-k     [cm^-2 s^-1 keV^-k]
///
/// with species s = P_ee, P_emu, P_etau, P_e1^{2nu}, k = 0, 1, 2, and Emin = (T + sqrt(T^2 + 2 m_e T))/2. Probabilities are averaged
/// over the production zones of each source; spectra are linear between their nodes; lines are exact.
class SolarMoments
{
public:
    /// \param refinement  multiplies the number of quadrature nodes per spectrum interval (1 or 2)
    SolarMoments(Inputs const& inputs, int refinement);

    /// Fills \p moments [n_moments] (index s * n_energy_powers + k) at recoil \p recoil [keV].
    void operator()(double recoil, double* moments) const;

    /// P_e1^{2nu} of source \p source averaged over its production zones, at \p energy [keV].
    double p_e1(std::size_t source, double energy) const;
    /// P_ee of source \p source, likewise.
    double p_ee(std::size_t source, double energy) const;

    /// Recoil energies at which the moments are not smooth: images 2E^2/(m_e + 2E) of spectrum nodes and lines, ascending [keV].
    std::vector<double> kinks() const;

private:
    struct Source
    {
        std::vector<double> energy;
        std::vector<double> flux_density; // [cm^-2 s^-1 keV^-1]
        std::vector<NeutrinoLine> lines;
        std::vector<double> chebyshev; // P_e1 on [0, maximum energy]
        double maximum_energy = 0.0;
        std::vector<double> cumulative; // integral from node i to the end, n_moments values per node
    };

    double p_e1(Source const& source, double energy) const;
    void add_at(Source const& source, double energy, double weight, double* moments) const;
    void add_interval(Source const& source, std::size_t interval, double from, double* moments) const;

    Constants constants_;
    OscillationParameters oscillation_;
    bool transition_constant_;
    int refinement_;
    std::vector<Source> sources_;
};

} // namespace nuscan
