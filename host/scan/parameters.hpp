/// \file
/// Parameters by name and value, as users give them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nuscan
{

/// Names of all parameters, in catalogue order.
std::vector<std::string> parameter_names();

/// Index of a parameter; an unknown name throws InputError with the nearest one.
int require_parameter(std::string_view name);

/// Throws InputError if \p value is not finite or below the physical bound of the parameter.
void check_parameter_value(int parameter, double value);

/// Fixed parameters by catalogue index, in the order given.
using FixedParameters = std::map<int, double>;

} // namespace nuscan
