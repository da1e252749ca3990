/// \file
/// An experiment as device code sees it: recoil nodes, neutrino moments and the folding matrix.
#pragma once

#include "nuscan/core/macros.hpp"
#include "nuscan/physics/recoil_spectrum.hpp"

namespace nuscan
{

/// Views on the prepared tables of one experiment. A bin's signal is R_i = sum_j fold[j][i] dR/dT(T_j).
struct ResponseView
{
    int n_nodes = 0;
    int n_bins = 0;
    /// Distance of one node's row in `fold`: n_bins rounded up, the padding is 0.
    int stride = 0;
    double const* recoil = nullptr;  ///< [n_nodes] recoil energies T_j [keV]
    double const* moments = nullptr; ///< [n_nodes][n_moments] electron density times I_sk(T_j)
    double const* fold = nullptr;    ///< [n_nodes][stride] quadrature weight, resolution, efficiency, exposure
    int const* first_bin = nullptr;  ///< [n_nodes] first bin of the node's non-zero band
    int const* last_bin = nullptr;   ///< [n_nodes] one past its last bin
};

/// Adds the contribution of one node to the rates: rates[i] += fold[node][i] * density, in bin order.
template<class Real>
NUSCAN_HD inline void fold_node(ResponseView const& response, int node, Real density, Real* rates)
{
    double const* const row = response.fold + static_cast<long>(node) * response.stride;
    int const last = response.last_bin[node];
    for (int i = response.first_bin[node]; i < last; ++i)
        rates[i] = RealOps<Real>::multiply_add(Real(row[i]), density, rates[i]);
}

/// Signal of a point in every bin by the direct route: the spectrum at every node, folded (arXiv:2208.06415, Eq. 13).
/// \param rates  [stride], overwritten; in the experiment's rate unit
template<class Real>
NUSCAN_HD inline void direct_rates(ResponseView const& response, ModelPointOf<Real> const& point, Constants const& constants,
                                   Real* rates)
{
    for (int i = 0; i < response.stride; ++i)
        rates[i] = 0.0;
    for (int j = 0; j < response.n_nodes; ++j)
    {
        double const* const moments = response.moments + static_cast<long>(j) * n_moments;
        fold_node(response, j, recoil_rate(point, response.recoil[j], moments, constants), rates);
    }
}

} // namespace nuscan
