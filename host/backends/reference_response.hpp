/// \file
/// Reference calculation: what an experiment makes of a recoil spectrum (Eqs. 12 and 13; physics.md sections 3 and 4).
#pragma once

#include <vector>

#include "host/inputs/inputs.hpp"

namespace nuscan::reference
{

/// Linear between nodes, 0 below the first, constant beyond the last.
double curve_value(Curve const& curve, double x);
/// Efficiency factor: table, or plateau (1 + erf((E - threshold)/(sqrt2 width)))/2.
double efficiency_value(EfficiencyDefinition const& efficiency, double energy);
/// Product of the efficiencies on one energy scale.
double total_efficiency(ExperimentDefinition const& experiment, EnergyScale scale, double energy);
/// sigma(E) [keV].
double resolution_width(ResolutionDefinition const& resolution, double energy);
/// Gaussian G(E', T) [1/keV] with width sigma(E') or sigma(T).
double resolution_kernel(ResolutionDefinition const& resolution, double reconstructed, double recoil);
/// Z_eff(T): electrons with a binding energy below T.
double electrons_below(AtomicShells const& shells, double recoil);
/// N_A/M x mass x time: what turns Z_eff dsigma/dT x flux [1/(s keV)] into the experiment's rate unit.
double exposure_factor(ExperimentDefinition const& experiment, Constants const& constants);

/// Folds a recoil spectrum into the bins of an experiment.
///
///   R_i = exposure integral_{bin i} dE' eff_rec(E') integral dT G(E', T) eff_true(T) Z_eff(T) S(T)
///
/// Everything but S depends on the experiment alone: it is integrated over E' once, at the nodes of the integral over T.
class Response
{
public:
    /// Half-width of the part of the Gaussian that is kept: exp(-9^2/2) = 3e-18 of the peak.
    static constexpr double n_sigma = 9.0;

    /// \param kinks  recoils at which the spectrum may have kinks or steps
    Response(ExperimentDefinition const& experiment, AtomicShells const& shells, Constants const& constants,
             std::vector<double> const& kinks);

    /// Recoils at which fold() needs the spectrum [keV].
    std::vector<double> const& recoils() const { return recoils_; }

    /// Rates per bin from S(T) = sum_f integral dE Phi P_f dsigma_f/dT at recoils() [1/(s keV)].
    std::vector<double> fold(std::vector<double> const& spectrum) const;

    /// Whether any recoil can be seen in a bin.
    bool accepts(std::size_t bin) const { return !kernel_[bin].weight.empty(); }

    std::size_t reconstructed_nodes() const { return reconstructed_nodes_; }

private:
    /// Kernel of a bin, quadrature weight included, at recoils_[first + j]; zeros at both ends left out.
    struct BinKernel
    {
        std::size_t first = 0;
        std::vector<double> weight;
    };

    std::vector<double> recoils_;
    std::vector<BinKernel> kernel_;
    std::size_t reconstructed_nodes_ = 0;
};

} // namespace nuscan::reference
