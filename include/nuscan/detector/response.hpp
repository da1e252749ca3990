/// \file
/// Energy resolution of a detector.
#pragma once

#include <cmath>

#include "nuscan/core/constants.hpp"
#include "nuscan/core/macros.hpp"

namespace nuscan
{

/// Distance from the peak, in widths, beyond which the Gaussian is below 1e-16 of its peak and left out: sqrt(2 ln 1e16).
inline constexpr double gaussian_cutoff = 8.583864105157389;

/// Density of reconstructed energy at distance \p distance [keV] from the recoil energy, width \p sigma [keV], in 1/keV; 0 beyond
/// the cut-off. Which energy the width belongs to is the caller's choice (arXiv:2208.06415, Eq. 13, takes the reconstructed one).
NUSCAN_HD inline double gaussian_kernel(double distance, double sigma)
{
    double const z = distance / sigma;
    if (!(std::fabs(z) < gaussian_cutoff))
        return 0.0;
    return std::exp(-0.5 * z * z) / (std::sqrt(2.0 * pi) * sigma);
}

} // namespace nuscan
