/// \file
/// A prepared scan problem as plain views, and what a backend does with one point of it.
#pragma once

#include "nuscan/detector/experiment.hpp"
#include "nuscan/scan/factored.hpp"
#include "nuscan/scan/grid.hpp"
#include "nuscan/scan/parameter.hpp"
#include "nuscan/stats/chi2.hpp"

namespace nuscan
{

/// Everything needed to evaluate any point: axes, model and experiments. Trivially copyable; owns nothing.
struct ProblemView
{
    GridView grid;
    Constants constants;
    ParameterMap axis_map[max_axes];
    /// Strengths and masses that are fixed.
    ModelPoint base;
    /// Axis behind each variable of the basis, and the power that turns its value into a strength.
    MonomialBasis basis;
    int variable_axis[max_variables] = {};
    /// Axes that are masses; the points of one combination of masses share their templates.
    int n_mass_axes = 0;
    int mass_axis[max_axes] = {};
    std::int64_t n_mass_combinations = 1;

    int n_experiments = 0;
    ResponseView response[max_experiments];
    FitView fit;
    FactoredLayout layout;
};

/// Bins of all experiments, without padding.
NUSCAN_HD inline std::int64_t bin_count(ProblemView const& problem)
{
    std::int64_t bins = 0;
    for (int e = 0; e < problem.n_experiments; ++e)
        bins += problem.response[e].n_bins;
    return bins;
}

/// Pulls of a point in outputs: the flux pull and those of the experiments.
NUSCAN_HD inline std::int64_t pull_count(ProblemView const& problem)
{
    return 1 + problem.fit.n_pulls;
}

/// Number of the mass combination that the nodes of a point belong to.
NUSCAN_HD inline std::int64_t mass_combination(ProblemView const& problem, std::int64_t const* node)
{
    std::int64_t combination = 0;
    for (int k = 0; k < problem.n_mass_axes; ++k)
    {
        int const a = problem.mass_axis[k];
        // In a list every point is a combination of its own.
        combination = problem.grid.is_list ? node[a] : combination * problem.grid.shape[a] + node[a];
    }
    return combination;
}

/// Number of the coupling combination that the nodes of a point belong to: C order over the axes that are no masses.
NUSCAN_HD inline std::int64_t coupling_combination(ProblemView const& problem, std::int64_t const* node)
{
    std::int64_t combination = 0;
    for (int v = 0; v < problem.basis.n_variables; ++v)
    {
        int const a = problem.variable_axis[v];
        combination = problem.grid.is_list ? node[a] : combination * problem.grid.shape[a] + node[a];
    }
    return combination;
}

/// Nodes of the grid point of mass combination \p mass and coupling combination \p coupling. Not for lists.
NUSCAN_HD inline void combined_nodes(ProblemView const& problem, std::int64_t mass, std::int64_t coupling, std::int64_t* node)
{
    for (int k = problem.n_mass_axes - 1; k >= 0; --k)
    {
        std::int64_t const n = problem.grid.shape[problem.mass_axis[k]];
        node[problem.mass_axis[k]] = mass % n;
        mass /= n;
    }
    for (int v = problem.basis.n_variables - 1; v >= 0; --v)
    {
        std::int64_t const n = problem.grid.shape[problem.variable_axis[v]];
        node[problem.variable_axis[v]] = coupling % n;
        coupling /= n;
    }
}

/// Fixed strengths and the masses of a combination: the base that templates are folded on.
NUSCAN_HD inline ModelPoint combination_base(ProblemView const& problem, std::int64_t combination)
{
    ModelPoint base = problem.base;
    for (int k = problem.n_mass_axes - 1; k >= 0; --k)
    {
        int const a = problem.mass_axis[k];
        std::int64_t const node = problem.grid.is_list ? combination : combination % problem.grid.shape[a];
        if (!problem.grid.is_list)
            combination /= problem.grid.shape[a];
        apply_parameter(base, problem.axis_map[a], problem.grid.values[a][node]);
    }
    return base;
}

/// The complete point at the given nodes.
NUSCAN_HD inline ModelPoint point_at(ProblemView const& problem, std::int64_t const* node)
{
    ModelPoint point = problem.base;
    for (int a = 0; a < problem.grid.n_axes; ++a)
        apply_parameter(point, problem.axis_map[a], problem.grid.values[a][node[a]]);
    return point;
}

/// Folds the templates of all experiments for one mass combination. \param block  [layout.size()]
NUSCAN_HD inline void fold_combination(ProblemView const& problem, std::int64_t combination, double* block)
{
    ModelPoint const base = combination_base(problem, combination);
    int slot = 0;
    for (int e = 0; e < problem.n_experiments; ++e)
    {
        fold_templates(problem.response[e], problem.basis, base, problem.constants, problem.layout.n_slots, block + slot);
        slot += problem.response[e].stride;
    }
    add_up_templates(problem.fit, problem.layout, block);
}

/// Rates of a point by the direct route. \param rates  [layout.n_slots]
NUSCAN_HD inline void point_rates_direct(ProblemView const& problem, std::int64_t const* node, double* rates)
{
    ModelPoint const point = point_at(problem, node);
    for (int e = 0; e < problem.n_experiments; ++e)
    {
        direct_rates(problem.response[e], point, problem.constants, rates);
        rates += problem.response[e].stride;
    }
}

/// Value of monomial \p m at a point: 1, z_a or z_a z_b.
NUSCAN_HD inline double point_monomial(ProblemView const& problem, int m, std::int64_t const* node)
{
    double value = 1.0;
    for (int const variable : {problem.basis.first[m], problem.basis.second[m]})
        if (variable >= 0)
        {
            int const a = problem.variable_axis[variable];
            value *= coupling_strength(problem.grid.values[a][node[a]], problem.axis_map[a].power);
        }
    return value;
}

} // namespace nuscan
