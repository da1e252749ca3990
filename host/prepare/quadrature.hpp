/// \file
/// Gauss-Legendre rules and the division of a range into panels.
#pragma once

#include <functional>
#include <vector>

namespace nuscan
{

/// Nodes and weights on [0, 1].
struct QuadratureRule
{
    std::vector<double> node;
    std::vector<double> weight;
};

/// Gauss-Legendre rule with \p n nodes on [0, 1] (Boost.Math tables); n one of 4, 5, 8, 10. Throws std::invalid_argument otherwise.
QuadratureRule const& gauss_legendre(int n);

/// Ends of panels that cover [lo, hi]: every break inside is an end, and no panel is wider than \p width at its lower end.
/// Throws InputError where tens of thousands would be needed.
std::vector<double> panel_ends(double lo, double hi, std::vector<double> breaks, std::function<double(double)> const& width);

} // namespace nuscan
