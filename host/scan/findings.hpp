/// \file
/// What is noted of the results of points while they pass by: the best one and how many failed.
#pragma once

#include <cstdint>

#include "nuscan/scan/reductions.hpp"

namespace nuscan
{

/// Of some points of a surface.
struct Findings
{
    IndexedValue best;                ///< lowest chi^2, of equal ones that with the smallest index
    std::int64_t not_converged = 0;   ///< number of points with that status
    std::int64_t not_finite = 0;      ///< number of points with that status
    std::int64_t direct_fallback = 0; ///< number of points with status ok_direct
    std::int64_t never_computed = -1; ///< first point with any other status, -1 for none

    /// Adds what was found of others.
    void add(Findings const& others);
};

/// Findings of \p n points from index \p begin on. Costs little beside copying them.
Findings findings_of(std::int64_t begin, std::int64_t n, double const* chi2, std::uint8_t const* status);

} // namespace nuscan
