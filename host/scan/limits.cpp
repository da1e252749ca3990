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
    ReferenceLine(ReferenceCalculation const& calculation, int parameter, FixedParameters const& fixed, int threads)
        : calculation_(calculation)
        , parameter_(parameter)
        , values_(parameter_values(fixed))
        , threads_(resolve_threads(threads))
    {
    }

    std::vector<double> operator()(std::vector<double> const& values)
    {
        std::vector<double> results(values.size());
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads_)
        for (std::size_t i = 0; i < values.size(); ++i)
        {
            // Nothing is written to the map meanwhile.
            auto const known = seen_.find(values[i]);
            results[i] = known != seen_.end() ? known->second : evaluate(values[i]);
        }
        for (std::size_t i = 0; i < values.size(); ++i)
            seen_[values[i]] = results[i];
        return results;
    }

private:
    double evaluate(double value) const
    {
        ParameterValues values = values_;
        values[parameter_] = value;
        return calculation_.evaluate(values).chi2;
    }

    ReferenceCalculation const& calculation_;
    int parameter_;
    ParameterValues values_;
    int threads_;
    std::map<double, double> seen_;
};

/// Any backend along one parameter, as lists of points.
class BackendLine
{
public:
    BackendLine(std::shared_ptr<Prepared const> prepared, int parameter, FixedParameters fixed, LimitOptions options)
        : prepared_(std::move(prepared))
        , parameter_(parameter)
        , fixed_(std::move(fixed))
        , options_(std::move(options))
    {
        fixed_.erase(parameter);
    }

    std::vector<double> operator()(std::vector<double> const& values) const
    {
        auto const problem = std::make_shared<Problem const>(prepared_, std::vector<int>{parameter_},
                                                             std::vector<std::vector<double>>{values}, fixed_, options_.fix_pulls);
        auto const backend = make_backend(options_.device, problem, options_.route, options_.threads);
        std::vector<double> chi2(values.size());
        std::vector<std::uint8_t> status(values.size());
        PointOutputs outputs;
        outputs.chi2 = chi2.data();
        outputs.status = status.data();
        backend->evaluate({0, problem->size()}, outputs);
        return chi2;
    }

private:
    std::shared_ptr<Prepared const> prepared_;
    int parameter_;
    FixedParameters fixed_;
    LimitOptions options_;
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

    auto const find = [&](std::shared_ptr<Prepared const> const& inputs, int parameter, bool bounded) {
        if (options.device.kind == DeviceKind::cuda)
            return find_allowed_region(Chi2Curve(BackendLine(inputs, parameter, fixed, options)), bounded, threshold);
        return find_allowed_region(Chi2Line(inputs, parameter, fixed, options.route, options.fix_pulls), bounded, threshold);
    };

    std::vector<Limit> limits;
    for (int const parameter : parameters)
    {
        Limit limit;
        limit.parameter = parameter;
        std::vector<int> given{parameter};
        for (auto const& [other, value] : fixed)
            given.push_back(other);
        check_parameter_set(given, prepared->inputs());
        bool const bounded = parameter_info(parameter).bound != ParameterBound::none;
        if (reference)
            limit.region = find_allowed_region(Chi2Curve(ReferenceLine(*reference, parameter, fixed, options.threads)), bounded,
                                               threshold, coarse_sampling);
        else
            limit.region = find(prepared, parameter, bounded);
        if (refined)
            limit.convergence = relative_change(limit.region, find(refined, parameter, bounded));
        FixedParameters best = fixed;
        best[parameter] = limit.region.lowest_at;
        limit.flux_pull = reference ? reference->evaluate(parameter_values(best)).pulls.front()
                                    : evaluate_point(*prepared, best, options.fix_pulls).pulls.front();
        limits.push_back(limit);
    }
    return limits;
}

} // namespace nuscan
