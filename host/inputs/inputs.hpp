/// \file
/// Physics inputs as read from data/: raw tables, nothing computed yet. All energies in keV.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/inputs/table.hpp"
#include "nuscan/core/constants.hpp"
#include "nuscan/physics/survival.hpp"
#include "nuscan/stats/statistic.hpp"

namespace nuscan
{

/// A line of the solar spectrum.
struct NeutrinoLine
{
    double energy; ///< [keV]
    double flux;   ///< [cm^-2 s^-1]
};

/// One reaction of the Sun: a continuous spectrum or a set of lines, and where it burns.
struct SolarSource
{
    std::string name;
    double flux = 0.0;             ///< total [cm^-2 s^-1]
    double flux_uncertainty = 0.0; ///< fractional, 1 sigma
    /// Continuous spectrum, normalised to 1: linear between nodes, 0 beyond the last; (0, 0) is the first node.
    std::vector<double> energy;  ///< [keV]
    std::vector<double> density; ///< [1/keV]
    std::vector<NeutrinoLine> lines;
    /// Production per zone, parallel to SolarModel::electron_density; sums to 1.
    std::vector<double> zone_weight;
};

/// A standard solar model.
struct SolarModel
{
    std::string title;
    std::vector<double> electron_density; ///< per zone [N_A/cm^3]
    std::vector<SolarSource> sources;
};

/// Atomic shells of the target: the step function Z_eff.
struct AtomicShells
{
    std::vector<double> binding_energy; ///< ascending [keV]
    std::vector<double> electrons;
};

/// A piecewise linear function: linear between nodes, 0 below the first, constant beyond the last.
struct Curve
{
    std::vector<double> x;
    std::vector<double> y;
    double operator()(double at) const;
};

enum class EnergyScale
{
    true_recoil,
    reconstructed
};

enum class RateUnit
{
    events,
    per_tonne_year
};

/// One factor of the acceptance.
struct EfficiencyDefinition
{
    EnergyScale energy = EnergyScale::reconstructed;
    std::optional<Curve> table;
    /// plateau (1 + erf((E - threshold)/(sqrt2 width)))/2, used where there is no table.
    double plateau = 1.0;
    double threshold = 0.0;
    double width = 1.0;
    double operator()(double energy_kev) const;
};

/// Gaussian resolution: sigma/keV = constant + sqrt (E/keV)^0.5 + linear (E/keV).
struct ResolutionDefinition
{
    EnergyScale width_of = EnergyScale::reconstructed;
    double constant = 0.0;
    double sqrt = 0.0;
    double linear = 0.0;
    double operator()(double energy_kev) const;
};

struct PullDefinition
{
    std::string name;
    double sigma = 0.0;
};

/// One background component, per bin and in the experiment's rate unit.
struct BackgroundDefinition
{
    std::string name;
    std::vector<double> per_bin;
    /// Index in ExperimentDefinition::pulls, or -1 for none.
    int pull = -1;
    /// The SM signal is contained in it and has to be subtracted.
    bool contains_sm_signal = false;
};

/// An experiment as its folder describes it.
struct ExperimentDefinition
{
    std::string name;
    std::string title;
    std::string reference;
    std::string data_set;
    Statistic statistic = Statistic::poisson;
    RateUnit rate_unit = RateUnit::events;
    double exposure = 0.0;      ///< [t yr]
    std::vector<double> edges;  ///< bin edges in reconstructed energy [keV], ascending
    std::vector<double> counts; ///< observed events per bin
    long events_outside = 0;    ///< events of the table outside all bins
    ResolutionDefinition resolution;
    std::vector<EfficiencyDefinition> efficiencies;
    double cut_min = 0.0; ///< reconstructed energies outside [cut_min, cut_max] are not accepted [keV]
    double cut_max = 0.0;
    PullDefinition signal_pull;
    std::vector<PullDefinition> pulls; ///< background pulls
    std::vector<BackgroundDefinition> backgrounds;

    std::size_t bins() const { return counts.size(); }
};

/// Which inputs a run uses; part of the canonical configuration.
struct InputChoice
{
    std::string solar = "gs98";                   ///< gs98 or agss09met: data/solar/<name>.toml
    std::string oscillation = "desalas2020";      ///< desalas2020 or nufit52: data/solar/oscillation_<name>.toml
    std::string shells = "hf";                    ///< hf or hf_corrected: data/xenon/shells_<name>.txt
    std::string electrons = "step";               ///< step, or rrpa (SM only): bound-electron factors per flavour
    std::string transition_survival = "constant"; ///< P_e1 of the transition moments: constant, or adiabatic (per energy)
    /// Overrides by name: G_F [GeV^-2], alpha_inverse, m_e [keV], hbar_c [keV cm], s_W2, N_A, M_Xe, P_e1, K [keV^1/2].
    std::map<std::string, double> constants;
};

/// Everything that a scan problem is built from.
struct Inputs
{
    InputChoice choice;
    Constants constants;
    OscillationParameters oscillation;
    SolarModel solar;
    AtomicShells shells;
    /// Step-over-RRPA factor of (e, mu, tau); empty for the step function.
    std::vector<Curve> rrpa;
    std::vector<ExperimentDefinition> experiments;
};

/// Bins of all experiments: length of the rates of a point in outputs.
std::size_t rate_count(Inputs const& inputs);

/// The flux pull and all background pulls: length of the pulls of a point in outputs.
std::size_t pull_count(Inputs const& inputs);

/// Loads solar model, oscillation parameters, shells and the named experiments. Throws InputError (unknown names are answered
/// with the nearest valid one; two experiments with one data set are refused).
Inputs load_inputs(DataFolder& data, InputChoice const& choice, std::vector<std::string> const& experiments);

/// Names that InputChoice::constants accepts, with units, for messages and help.
std::map<std::string, std::string> constant_names();

} // namespace nuscan
