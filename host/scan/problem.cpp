#include "host/scan/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan
{

void check_parameter_set(std::vector<int> const& given, Inputs const& inputs)
{
    auto const is_given = [&given](int parameter) { return std::find(given.begin(), given.end(), parameter) != given.end(); };
    for (int const parameter : given)
    {
        auto const& entry = parameter_catalogue[static_cast<std::size_t>(parameter)];
        int const mass = mass_parameter(entry.interaction);
        if (mass < 0)
            continue;
        bool const is_mass = entry.info.role == ParameterRole::mass;
        bool partner = false;
        std::string partner_name = is_mass ? "" : parameter_info(mass).name;
        for (int other = 0; other < n_parameters; ++other)
        {
            auto const& candidate = parameter_catalogue[static_cast<std::size_t>(other)];
            if (candidate.interaction != entry.interaction || candidate.info.role == entry.info.role)
                continue;
            partner = partner || is_given(other);
            if (partner_name.empty())
                partner_name = candidate.info.name;
        }
        if (!partner)
            throw InputError(fmt::format("{} is given without {}: a mediator needs both its coupling and its mass", entry.info.name,
                                         partner_name));
    }

    int first_moment = -1;
    for (int const parameter : given)
    {
        auto const group = parameter_info(parameter).group;
        if (group == ParameterGroup::none)
            continue;
        if (first_moment >= 0 && parameter_info(first_moment).group != group)
            throw InputError(fmt::format("{} and {} describe the same magnetic moment in two ways; use one of mu_e/mu_mu/mu_tau, "
                                         "mu_universal, or Lambda_1/Lambda_2/Lambda_3",
                                         parameter_info(first_moment).name, parameter_info(parameter).name));
        first_moment = parameter;
    }

    if (!inputs.rrpa.empty() && !given.empty())
        throw InputError(fmt::format("electrons = \"rrpa\" is known for the SM only, but {} is given; use electrons = \"step\"",
                                     parameter_info(given.front()).name));
}

ParameterValues parameter_values(FixedParameters const& fixed)
{
    ParameterValues values;
    for (auto const& [parameter, value] : fixed)
        values[parameter] = value;
    return values;
}

ModelPoint model_point(ParameterValues const& values, OscillationParameters const& oscillation)
{
    ModelPoint point;
    for (int p = 0; p < n_parameters; ++p)
        apply_parameter(point, resolve_parameter(p, oscillation), values[p]);
    return point;
}

Problem::Problem(std::shared_ptr<Prepared const> prepared, std::vector<Axis> axes, FixedParameters fixed, bool fix_pulls)
    : prepared_(std::move(prepared))
    , axes_(std::move(axes))
    , fixed_(std::move(fixed))
{
    if (axes_.size() > max_axes)
        throw InputError(fmt::format("{} axes given; a scan takes at most {}", axes_.size(), max_axes));
    auto& grid = view_.grid;
    for (std::size_t a = 0; a < axes_.size(); ++a)
    {
        values_.push_back(axes_[a].values());
        parameters_.push_back(axes_[a].parameter);
        grid.shape[a] = axes_[a].n;
    }
    auto const size = element_count(grid_shape(axes_));
    if (!size)
        throw InputError("the number of points overflows 64 bits; use fewer points per axis");
    grid.size = *size;
    build(parameters_, fix_pulls);
}

Problem::Problem(std::shared_ptr<Prepared const> prepared, std::vector<int> parameters, std::vector<std::vector<double>> columns,
                 FixedParameters fixed, bool fix_pulls)
    : prepared_(std::move(prepared))
    , parameters_(std::move(parameters))
    , values_(std::move(columns))
    , fixed_(std::move(fixed))
{
    if (parameters_.empty() || parameters_.size() > max_axes || parameters_.size() != values_.size())
        throw InputError("a list of points needs one to four columns, one per parameter");
    auto& grid = view_.grid;
    grid.is_list = true;
    grid.size = static_cast<std::int64_t>(values_.front().size());
    for (std::size_t a = 0; a < values_.size(); ++a)
    {
        if (values_[a].size() != values_.front().size())
            throw InputError("the columns of a list of points differ in length");
        grid.shape[a] = grid.size;
    }
    build(parameters_, fix_pulls);
}

void Problem::build(std::vector<int> const& parameters, bool fix_pulls)
{
    auto const& inputs = prepared_->inputs();
    std::vector<int> given = parameters;
    for (auto const& [parameter, value] : fixed_)
    {
        check_parameter_value(parameter, value);
        if (std::find(parameters.begin(), parameters.end(), parameter) != parameters.end())
            throw InputError(fmt::format("{} is an axis and cannot be fixed at the same time", parameter_info(parameter).name));
        given.push_back(parameter);
    }
    for (std::size_t a = 0; a < parameters.size(); ++a)
        for (std::size_t b = 0; b < a; ++b)
            if (parameters[a] == parameters[b])
                throw InputError(fmt::format("axis {} is given twice", parameter_info(parameters[a]).name));
    check_parameter_set(given, inputs);

    auto& view = view_;
    view.grid.n_axes = static_cast<int>(parameters.size());
    view.constants = inputs.constants;
    view.base = model_point(parameter_values(fixed_), inputs.oscillation);
    StrengthDirection directions[max_variables];
    int n_variables = 0;
    for (int a = 0; a < view.grid.n_axes; ++a)
    {
        auto const index = static_cast<std::size_t>(a);
        view.grid.values[a] = values_[index].data();
        view.axis_map[a] = resolve_parameter(parameters[index], inputs.oscillation);
        if (view.axis_map[a].is_mass)
        {
            view.mass_axis[view.n_mass_axes++] = a;
            view.n_mass_combinations = view.grid.is_list ? view.grid.size : view.n_mass_combinations * view.grid.shape[a];
        }
        else
        {
            view.variable_axis[n_variables] = a;
            directions[n_variables++] = view.axis_map[a].direction;
        }
    }
    view.basis = make_monomial_basis(directions, n_variables);
    fit_ = std::make_unique<FitData>(prepared_->fit(fix_pulls));
    view.fit = fit_->view();
    view.layout = {view.basis.n_monomials, view.fit.n_slots, view.fit.n_pulls};
    view.n_experiments = static_cast<int>(prepared_->experiments().size());
    for (std::size_t e = 0; e < prepared_->experiments().size(); ++e)
        view.response[e] = prepared_->experiments()[e].response();
}

ParameterValues Problem::values(std::int64_t index) const
{
    ParameterValues values = parameter_values(fixed_);
    std::int64_t node[max_axes];
    view_.grid.nodes(index, node);
    for (int a = 0; a < view_.grid.n_axes; ++a)
        values[parameters_[static_cast<std::size_t>(a)]] = view_.grid.values[a][node[a]];
    return values;
}

} // namespace nuscan
