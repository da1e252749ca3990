#include "host/scan/parameters.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/support/error.hpp"
#include "host/support/text.hpp"
#include "nuscan/scan/parameter.hpp"

namespace nuscan
{

std::vector<std::string> parameter_names()
{
    std::vector<std::string> names;
    for (auto const& entry : parameter_catalogue)
        names.emplace_back(entry.info.name);
    return names;
}

int require_parameter(std::string_view name)
{
    int const parameter = find_parameter(name);
    if (parameter < 0)
        throw InputError(fmt::format("unknown parameter '{}'{}", name, suggestion(name, parameter_names())));
    return parameter;
}

void check_parameter_value(int parameter, double value)
{
    auto const& entry = parameter_info(parameter);
    if (!std::isfinite(value))
        throw InputError(fmt::format("{} = {} is not a finite number", entry.name, value));
    // The rate of a mediator falls as m^-4. Squared it has to stay a number, and no physics is out there.
    constexpr double heaviest = 1e30;
    if (entry.role == ParameterRole::mass && value > heaviest)
        throw InputError(
            fmt::format("{} = {} is above {:g} {}, the largest mass of a mediator that is computed; far below it limits "
                        "grow with the mass already",
                        entry.name, value, heaviest, entry.unit));
    if (entry.bound == ParameterBound::non_negative && value < 0.0)
        throw InputError(fmt::format("{} = {:g} is below its physical bound; it must be >= 0", entry.name, value));
    if (entry.bound == ParameterBound::positive && value <= 0.0)
        throw InputError(fmt::format("{} = {:g} is below its physical bound; it must be > 0 {}", entry.name, value, entry.unit));
}

} // namespace nuscan
