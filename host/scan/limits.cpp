#include "host/scan/limits.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "host/backends/reference.hpp"
#include "host/support/error.hpp"

namespace nuscan
{

namespace
{

/// Largest relative change between two finite ends; infinite where the pieces differ in number.
double relative_change(AllowedRegion const& a, AllowedRegion const& b)
{
    if (a.intervals.size() != b.intervals.size())
        return INFINITY;
    double worst = 0.0;
    auto const compare = [&worst](double x, double y) {
        if (std::isfinite(x) && std::isfinite(y) && x != 0.0)
            worst = std::max(worst, std::fabs(y / x - 1.0));
    };
    for (std::size_t i = 0; i < a.intervals.size(); ++i)
    {
        compare(a.intervals[i].lo, b.intervals[i].lo);
        compare(a.intervals[i].hi, b.intervals[i].hi);
    }
    return worst;
}

/// The reference along one parameter; values seen are kept, since a point costs milliseconds.
class ReferenceLine
{
public:
    ReferenceLine(ReferenceCalculation const& calculation, int parameter, FixedParameters const& fixed)
        : calculation_(calculation)
        , parameter_(parameter)
        , values_(parameter_values(fixed))
    {
    }

    double operator()(double value)
    {
        auto const known = seen_.find(value);
        if (known != seen_.end())
            return known->second;
        ParameterValues values = values_;
        values[parameter_] = value;
        return seen_[value] = calculation_.evaluate(values).chi2;
    }

private:
    ReferenceCalculation const& calculation_;
    int parameter_;
    ParameterValues values_;
    std::map<double, double> seen_;
};

} // namespace

std::vector<int> default_limit_parameters()
{
    std::vector<int> parameters;
    for (int p = 0; p < n_parameters; ++p)
        if (mass_parameter(parameter_catalogue[static_cast<std::size_t>(p)].interaction) < 0)
            parameters.push_back(p);
    return parameters;
}

std::vector<Limit> find_limits(std::shared_ptr<Prepared const> const& prepared, std::shared_ptr<Prepared const> const& refined,
                               std::vector<int> const& parameters, FixedParameters const& fixed, LimitOptions const& options)
{
    double const threshold = delta_chi2(options.cl, options.dof);
    std::unique_ptr<ReferenceCalculation> reference;
    if (options.device.kind == DeviceKind::reference)
        reference = std::make_unique<ReferenceCalculation>(prepared->inputs(), ReferenceCalculation::Options{options.fix_pulls});
    else if (options.device.kind == DeviceKind::cuda)
        throw InputError("limits are found on the host; use --device cpu or reference");

    std::vector<Limit> limits;
    for (int const parameter : parameters)
    {
        Limit limit;
        limit.parameter = parameter;
        bool const bounded = parameter_info(parameter).bound != ParameterBound::none;
        // Building the line also checks that parameter and fixed values go together.
        Chi2Line const line(prepared, parameter, fixed, options.route, options.fix_pulls);
        if (reference)
            limit.region = find_allowed_region(ReferenceLine(*reference, parameter, fixed), bounded, threshold, coarse_sampling);
        else
            limit.region = find_allowed_region(line, bounded, threshold);
        if (refined)
        {
            Chi2Line const refined_line(refined, parameter, fixed, options.route, options.fix_pulls);
            limit.convergence = relative_change(limit.region, find_allowed_region(refined_line, bounded, threshold));
        }
        FixedParameters best = fixed;
        best[parameter] = limit.region.lowest_at;
        limit.flux_pull = reference ? reference->evaluate(parameter_values(best)).pulls.front()
                                    : evaluate_point(*prepared, best, options.fix_pulls).pulls.front();
        limits.push_back(limit);
    }
    return limits;
}

} // namespace nuscan
