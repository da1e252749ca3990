/// \file
/// What a physics parameter is: its name, unit and bound, and how it enters the rate of its interaction.
#pragma once

#include "nuscan/core/macros.hpp"
#include "nuscan/physics/flavour.hpp"

namespace nuscan
{

enum class ParameterRole
{
    coupling, ///< enters through its strength
    mass      ///< mediator mass: changes the shape of the spectrum
};

enum class ParameterBound
{
    none,
    non_negative,
    positive
};

/// Description of a coupling that excludes another description of the same thing (mu_f, mu_universal, Lambda_i).
enum class ParameterGroup
{
    none,
    moment_flavoured,
    moment_universal,
    moment_transition
};

/// Weights of a coupling's strength on the four species; cos^2(theta_13) enters those of the transition moments.
struct SpeciesWeights
{
    double constant[n_species] = {0.0, 0.0, 0.0, 0.0};
    double cos2_theta13[n_species] = {0.0, 0.0, 0.0, 0.0};
};

namespace species_weights
{
inline constexpr SpeciesWeights e{{1, 0, 0, 0}, {}};
inline constexpr SpeciesWeights mu{{0, 1, 0, 0}, {}};
inline constexpr SpeciesWeights tau{{0, 0, 1, 0}, {}};
inline constexpr SpeciesWeights all_flavours{{1, 1, 1, 0}, {}};
} // namespace species_weights

/// One physics parameter. Its strength z = factor * value^power adds linearly to the strengths of the
/// interaction, weighted per species.
struct ParameterInfo
{
    char const* name;        ///< canonical name, as on the command line
    char const* unit;        ///< unit at every interface
    char const* label;       ///< LaTeX label
    char const* description; ///< one line for people
    ParameterRole role = ParameterRole::coupling;
    ParameterBound bound = ParameterBound::none;
    ParameterGroup group = ParameterGroup::none;
    int power = 1;
    double factor = 1.0;
    SpeciesWeights weights = {};
};

/// How the strength of an interaction enters the cross section.
enum class Channel
{
    vector,    ///< shifts g_V: interferes with the SM, with itself quadratic
    axial,     ///< shifts g_A
    incoherent ///< adds to the cross section, linear in its strength
};

} // namespace nuscan
