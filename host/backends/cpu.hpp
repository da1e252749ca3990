/// \file
/// The CPU backend: the same functions as the device, run by threads that share tiles of points.
#pragma once

#include <memory>

#include "host/scan/problem.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan
{

/// \param threads  0 for all cores
std::unique_ptr<Backend> make_cpu_backend(std::shared_ptr<Problem const> problem, Route route, int threads = 0);

/// One point in full, by the functions of the CPU backend.
struct PointEvaluation
{
    FitResult fit;
    std::vector<double> pulls;                  ///< beta, then the experiments' own pulls
    std::vector<std::vector<double>> rates;     ///< [experiment][bin], before pulls, in the rate unit
    std::vector<std::vector<double>> chi2_bins; ///< [experiment][bin], without penalties
};

/// The direct and the factored route coincide for a single point: the only monomial is the constant.
PointEvaluation evaluate_point(Prepared const& prepared, FixedParameters const& fixed, bool fix_pulls);

/// The fit of given rates.
/// \param rates  [experiment][bin] signal before pulls, in the rate unit of the experiment
PointEvaluation evaluate_rates(Prepared const& prepared, std::vector<std::vector<double>> rates, bool fix_pulls);

/// chi^2 along one parameter at fixed others, with the templates folded once. Thread-safe.
class Chi2Line
{
public:
    Chi2Line(std::shared_ptr<Prepared const> prepared, int parameter, FixedParameters const& fixed, Route route, bool fix_pulls);
    /// chi^2 at \p value; NaN where the point fails.
    double operator()(double value) const;

private:
    std::shared_ptr<Problem const> problem_;
    bool direct_ = false;
    std::vector<double> templates_;
};

} // namespace nuscan
