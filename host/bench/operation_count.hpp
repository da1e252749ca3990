/// \file
/// What a point costs, counted: the kernels of the CPU backend run with a number that counts.
#pragma once

#include <cstdint>
#include <memory>

#include "host/bench/counted.hpp"
#include "host/scan/problem.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan::bench
{

/// Operations of one point, averaged over points.
struct PointOperations
{
    std::int64_t points = 0; ///< that were counted
    double multiply_add = 0.0;
    double multiply = 0.0;
    double add = 0.0;
    double divide = 0.0;
    double sqrt = 0.0; ///< one in every Newton step, but in rows not in the last one
    double log = 0.0;
    double exp = 0.0;
    double compare = 0.0;
    double direct_fallback = 0.0; ///< share of points that the factored route left to the direct one

    /// Floating-point operations, two in a multiply-add; a logarithm, a root, a quotient count one each.
    double flops() const { return 2.0 * multiply_add + multiply + add + divide + sqrt + log + exp; }
};

/// Counts the operations of points of a problem by a route, in the kernels that the CPU backend runs, one point after the other: a
/// register is as slow as the slowest of its points, which is no work that had to be done. Templates are taken as given.
/// \param tiles      pieces of the grid, evenly distributed ...
/// \param tile_size  ... of that many consecutive points each
PointOperations count_operations(Problem const& problem, Route route, std::int64_t tiles, std::int64_t tile_size);

} // namespace nuscan::bench
