/// \file
/// Reference calculation: chi^2 (Eqs. 14 and 15) and its minimum over the pulls (physics.md section 5).
#pragma once

#include <optional>
#include <vector>

#include "host/backends/reference_numerics.hpp"
#include "host/inputs/inputs.hpp"

namespace nuscan::reference
{

/// Error of a count: mean of the half-widths of the central 68.27% Poisson (Garwood) interval.
double garwood_error(double count);

/// chi^2 of one experiment as a function of the signal scale s = 1 + beta and the experiment's own pulls.
class ExperimentChi2
{
public:
    /// \param sm_rates  own Standard Model signal per bin
    /// \param accepts   whether a bin has acceptance; others take no part
    ExperimentChi2(ExperimentDefinition const& experiment, std::vector<double> const& sm_rates, std::vector<bool> accepts);

    std::size_t n_pulls() const { return pull_sigma_.size(); }
    std::size_t bins() const { return accepts_.size(); }

    /// chi^2 with the penalties of the own pulls, without that of beta; +inf where a bin with data has no positive prediction.
    double value(std::vector<double> const& rates, double scale, std::vector<double> const& pulls) const;
    /// Contributions of the bins, without penalties; dropped bins 0.
    std::vector<double> per_bin(std::vector<double> const& rates, double scale, std::vector<double> const& pulls) const;

    /// Adds the derivatives of value by the scale, in units of \p unit, and by the pulls; these are variable 0 and the variables
    /// from \p first_pull.
    void add_derivatives(std::vector<double> const& rates, double scale, std::vector<double> const& pulls, double unit,
                         std::size_t first_pull, Derivatives& sum) const;

    /// Smallest scale at which every bin with data has a prediction that is not negative, all pulls at 0: 0 or more, +inf where a bin
    /// has neither background nor signal.
    double least_scale(std::vector<double> const& rates) const;

    /// Change of the scale that matters by itself: 1/sqrt(sum (R_i/error_i)^2); infinite without signal.
    double typical_scale(std::vector<double> const& rates) const;

private:
    double background(std::size_t bin, std::vector<double> const& pulls) const;
    double bin_chi2(std::size_t bin, double prediction) const;
    /// Half the derivative of bin_chi2 by the prediction.
    double bin_half_slope(std::size_t bin, double prediction) const;
    /// Half the second derivative.
    double bin_half_curvature(std::size_t bin, double prediction) const;

    Statistic statistic_;
    double counts_per_rate_; ///< events per unit of the rate: Eq. 14 holds for counts
    std::vector<bool> accepts_;
    std::vector<double> observed_;
    std::vector<double> error_; ///< Eq. 15; for a Poisson statistic only to set the unit of the scale
    std::vector<double> fixed_background_;
    std::vector<std::vector<double>> pulled_background_; ///< [pull][bin]
    std::vector<double> pull_sigma_;
};

/// Minimum of the chi^2 of several experiments over the shared scale and all pulls.
struct ProfiledChi2
{
    double chi2 = 0.0;
    double scale = 1.0;
    std::vector<std::vector<double>> pulls; ///< [experiment]
    bool converged = false;
};

/// \param rates  [experiment][bin], finite
ProfiledChi2 profile_all(std::vector<ExperimentChi2> const& experiments, std::vector<std::vector<double>> const& rates,
                         double sigma_beta);

} // namespace nuscan::reference
