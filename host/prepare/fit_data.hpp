/// \file
/// Likelihoods of several experiments put together for the minimisation.
#pragma once

#include <vector>

#include "nuscan/stats/fit.hpp"

namespace nuscan
{

/// Owns what a FitView points to. Nothing refers to the likelihoods it was made from.
class FitData
{
public:
    /// \param signal_sigma  of the flux pull that all experiments share
    FitData(std::vector<LikelihoodView> const& experiments, double signal_sigma, bool fix_pulls = false);

    FitView view() const;

private:
    struct Bins
    {
        std::vector<int> slot;
        std::vector<double> data, inverse, weight, base, templates;
    };
    struct Quadratic
    {
        double constant = 0.0;
        std::vector<double> weight, residual, weighted, gradient, hessian;
        QuadraticView view() const;
    };

    void add_to(Bins& bins, LikelihoodView const& experiment, int bin, int slot, int first_pull) const;
    Quadratic make_quadratic(std::vector<LikelihoodView> const& experiments, bool gaussian_only) const;

    FitView scalars_;
    std::vector<double> used_;
    std::vector<double> pull_sigma_;
    std::vector<double> empty_;
    std::vector<double> empty_templates_;
    Bins counted_;
    Bins gaussian_bins_;
    Quadratic gaussian_;
    Quadratic start_;
};

} // namespace nuscan
