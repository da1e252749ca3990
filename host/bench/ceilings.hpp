/// \file
/// What the machine can do at best, measured with the instructions that the CPU backend uses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/bench/operation_count.hpp"
#include "host/bench/stopwatch.hpp"

namespace nuscan::bench
{

/// Throughputs of \p threads threads together [1/s], each operation alone and with nothing to wait for.
struct Ceilings
{
    std::string instruction_set; ///< as in LaneKernels
    int threads = 1;
    bool fused = true;               ///< multiply-add is one instruction
    double multiply_add_per_s = 0.0; ///< two instructions each where it is not
    double multiply_per_s = 0.0;
    double add_per_s = 0.0;
    /// Multiply-adds (multiplications where they are not fused) and additions, counted together: above `multiply_add_per_s` where a
    /// processor has units of their own for additions.
    double mixed_per_s = 0.0;
    double divide_per_s = 0.0;
    double sqrt_per_s = 0.0;
    double log_per_s = 0.0; ///< of the faster one: that of the kernels, that of libmvec
    double log_kernels_per_s = 0.0;
    double exp_per_s = 0.0; ///< of libmvec, else of the C library
    /// Time of logarithms and multiply-adds mixed, over the sum of both alone: 1 if they use the same units all the time.
    double log_beside_multiply_add = 1.0;
    double read_bytes_per_s = 0.0;
    double write_bytes_per_s = 0.0;
    double triad_bytes_per_s = 0.0; ///< x = y + a z, 24 bytes an element
    std::int64_t memory_bytes = 0;  ///< of the arrays, all threads together
    double noise = 0.0;             ///< largest of all

    double bandwidth() const;
};

/// Measures. \param memory_bytes  of all arrays together, several times the last cache
Ceilings measure_ceilings(int threads, Effort const& effort, std::int64_t memory_bytes);

/// The better of two measurements of the same ceilings.
Ceilings better(Ceilings const& a, Ceilings const& b);

/// Memory for `measure_ceilings`: four times the last cache in each of the three arrays, as in STREAM.
std::int64_t stream_bytes();

/// Least time of a point by each kind of unit, which can all work at the same time [s].
struct Floor
{
    double arithmetic = 0.0; ///< multiply, add, multiply-add
    double functions = 0.0;  ///< logarithms, exponentials
    double divider = 0.0;    ///< quotients and roots share one unit
    double memory = 0.0;
    /// Arithmetic and functions, which run in the same units as far as `Ceilings::log_beside_multiply_add` says.
    double pipes = 0.0;

    double total() const;
    /// What the longest belongs to: "arithmetic and functions", "divider" or "memory".
    char const* bound_by() const;
};

/// The floor of a point of \p operations that moves \p bytes through the memory.
///
/// A bound must hold for every program that does these operations. Units that can work at the same time are therefore not added: the
/// longest counts. Added are operations of one unit: quotients and roots; logarithms and multiply-adds in the measure in which a
/// mixture of both was found to take the sum of their times.
Floor point_floor(PointOperations const& operations, double bytes, Ceilings const& ceilings);

} // namespace nuscan::bench
