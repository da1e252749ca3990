/// \file
/// Everything that is computed once before points are evaluated: recoil nodes, moments, folding matrices, backgrounds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/inputs/inputs.hpp"
#include "host/prepare/fit_data.hpp"
#include "nuscan/detector/experiment.hpp"
#include "nuscan/stats/chi2.hpp"

namespace nuscan
{

class SolarMoments;

/// Z_eff(T): electrons whose binding energy is below the recoil energy \p recoil [keV].
double effective_charge(AtomicShells const& shells, double recoil);

/// One experiment ready for evaluation; owns the arrays that the views point to.
class PreparedExperiment
{
public:
    PreparedExperiment(ExperimentDefinition definition, Inputs const& inputs, SolarMoments const& moments, int refinement);

    ExperimentDefinition const& definition() const { return definition_; }
    ResponseView response() const;
    LikelihoodView likelihood() const;

    /// Background per bin at pulls 0 and signal of the SM, in the rate unit.
    std::vector<double> const& background() const { return base_; }
    std::vector<double> const& sm_signal() const { return sm_signal_; }
    /// Observed data in the rate unit.
    std::vector<double> const& observed() const { return observed_; }
    /// Bins with acceptance take part in chi^2.
    std::vector<unsigned char> const& used() const { return used_; }

private:
    void build_response(Inputs const& inputs, SolarMoments const& moments, int refinement);
    void build_likelihood(Constants const& constants);

    ExperimentDefinition definition_;
    int stride_ = 0;
    std::vector<double> recoil_;
    std::vector<double> moments_;
    std::vector<double> fold_;
    std::vector<int> first_bin_;
    std::vector<int> last_bin_;

    std::vector<double> sm_signal_;
    std::vector<double> observed_;
    std::vector<double> base_;
    std::vector<double> weight_;
    std::vector<double> pull_templates_;
    std::vector<double> pull_sigma_;
    std::vector<unsigned char> used_;
    std::vector<double> fit_observed_;
    std::vector<double> fit_used_;
    double sm_total_ = 0.0;
};

/// Throws InputError where a fit cannot hold that many experiments or background pulls.
void require_fit_size(Inputs const& inputs);

/// Inputs turned into what backends evaluate. Shared by every problem on the same inputs.
class Prepared
{
public:
    /// \param refinement  1, or 2 for twice the nodes in T, E and E' (the convergence test of limits)
    explicit Prepared(Inputs inputs, int refinement = 1);
    ~Prepared();

    Inputs const& inputs() const { return inputs_; }
    std::vector<PreparedExperiment> const& experiments() const { return experiments_; }
    SolarMoments const& moments() const { return *moments_; }
    FitData fit(bool fix_pulls = false) const;

    /// Names of the pulls: the flux pull, then each experiment's own (prefixed by the experiment where names repeat).
    std::vector<std::string> pull_names() const;

private:
    Inputs inputs_;
    std::unique_ptr<SolarMoments> moments_;
    std::vector<PreparedExperiment> experiments_;
};

/// Mean of the two half-widths of the central 68.27% (1 sigma) Poisson interval of Garwood for \p counts observed events.
double garwood_half_width(double counts);

} // namespace nuscan
