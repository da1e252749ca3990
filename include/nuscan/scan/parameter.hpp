/// \file
/// The catalogue of physics parameters, put together from the interactions, and the point they define.
#pragma once

#include <array>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "nuscan/physics/recoil_spectrum.hpp"
#include "nuscan/physics/survival.hpp"

namespace nuscan
{

/// Entry of the catalogue: a parameter and the interaction it belongs to.
struct CatalogueEntry
{
    ParameterInfo info;
    int interaction;
};

namespace detail
{

template<class... Ts>
constexpr int count_parameters(InteractionList<Ts...>)
{
    return (0 + ... + static_cast<int>(std::size(Ts::parameters)));
}

template<std::size_t N, class... Ts>
constexpr std::array<CatalogueEntry, N> make_catalogue(InteractionList<Ts...>)
{
    std::array<CatalogueEntry, N> catalogue{};
    std::size_t next = 0;
    int interaction = 0;
    auto append = [&](auto const& parameters) {
        for (auto const& info : parameters)
            catalogue[next++] = {info, interaction};
        ++interaction;
    };
    (append(Ts::parameters), ...);
    return catalogue;
}

} // namespace detail

inline constexpr int n_parameters = detail::count_parameters(Interactions{});

/// All parameters, in the order of the interactions.
inline constexpr std::array<CatalogueEntry, n_parameters> parameter_catalogue = detail::make_catalogue<std::size_t{n_parameters}>(
    Interactions{});

/// Description of a parameter of the catalogue.
constexpr ParameterInfo const& parameter_info(int parameter)
{
    return parameter_catalogue[static_cast<std::size_t>(parameter)].info;
}

/// Index of a parameter in the catalogue, -1 if there is none of that name.
constexpr int find_parameter(std::string_view name)
{
    for (int i = 0; i < n_parameters; ++i)
        if (name == parameter_info(i).name)
            return i;
    return -1;
}

/// Index of the mass parameter of an interaction, -1 if it has none.
constexpr int mass_parameter(int interaction)
{
    for (int i = 0; i < n_parameters; ++i)
    {
        auto const& entry = parameter_catalogue[static_cast<std::size_t>(i)];
        if (entry.interaction == interaction && entry.info.role == ParameterRole::mass)
            return i;
    }
    return -1;
}

/// Values of all parameters in their interface units, zero where not set.
struct ParameterValues
{
    double value[n_parameters] = {};

    double& operator[](int parameter) { return value[parameter]; }
    double operator[](int parameter) const { return value[parameter]; }
};

/// How one parameter enters a point, resolved for given oscillation parameters: a plain struct for device code.
struct ParameterMap
{
    StrengthDirection direction; ///< of a coupling, factor included
    int power = 1;               ///< strength = value^power
    bool is_mass = false;
};

/// Resolves a parameter: weights with cos^2(theta_13) filled in.
inline ParameterMap resolve_parameter(int parameter, OscillationParameters const& oscillation)
{
    auto const& entry = parameter_catalogue[static_cast<std::size_t>(parameter)];
    ParameterMap map;
    map.direction.interaction = entry.interaction;
    map.power = entry.info.power;
    map.is_mass = entry.info.role == ParameterRole::mass;
    for (int s = 0; s < n_species; ++s)
        map.direction.weight[s] = entry.info.factor
                                  * (entry.info.weights.constant[s]
                                     + oscillation.cos2_theta13() * entry.info.weights.cos2_theta13[s]);
    return map;
}

/// Strength z = value^power of a coupling (powers 1, 2, 4).
NUSCAN_HD inline double coupling_strength(double value, int power)
{
    double const square = value * value;
    return power == 1 ? value : power == 2 ? square : square * square;
}

/// Adds a parameter's value to a point: a coupling to the strengths of its interaction, a mass [MeV] as the mass.
NUSCAN_HD inline void apply_parameter(ModelPoint& point, ParameterMap const& map, double value)
{
    int const interaction = map.direction.interaction;
    if (map.is_mass)
    {
        point.mass[interaction] = value * units::kev_per_mev;
        return;
    }
    double const strength = coupling_strength(value, map.power);
    if (strength == 0.0)
        return;
    point.active |= 1u << interaction;
    for (int s = 0; s < n_species; ++s)
        if (map.direction.weight[s] != 0.0)
            point.strength[interaction][s] += strength * map.direction.weight[s];
}

} // namespace nuscan
