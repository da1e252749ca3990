/// \file
/// Loops that do nothing but reach a core's limits, compiled once per instruction set beside the kernels of the CPU backend.
#pragma once

#include <cstdint>

namespace nuscan::bench
{

/// Numbers that an array loop of the ceilings works on: in the first-level cache together with its results.
inline constexpr int ceiling_array = 512;

/// Loops of one instruction set. Those of chains run \p passes times over registers that are independent of each other, those of arrays
/// \p passes times over `ceiling_array` numbers: every operation has its operands, nothing waits. All return or store what they find, so
/// that no compiler can leave anything out.
struct CeilingKernels
{
    char const* name; ///< as in LaneKernels
    int lanes;        ///< doubles in a register
    bool fused;       ///< multiply-add is one instruction

    /// Chains of x = x a + b; each pass is `chain_operations` of them. Returns their sum.
    double (*multiply_add)(std::int64_t passes, double a, double b);
    double (*multiply)(std::int64_t passes, double a);
    double (*add)(std::int64_t passes, double b);
    /// Multiply-adds (multiplications where they are not fused) and additions, chains of both side by side.
    double (*mixed)(std::int64_t passes, double a, double b);
    std::int64_t chain_operations; ///< of a pass of the first three, in numbers, not registers
    std::int64_t mixed_operations; ///< of the last one

    /// result[i] = f(x[i]).
    void (*divide)(std::int64_t passes, double const* x, double* result);
    void (*sqrt)(std::int64_t passes, double const* x, double* result);
    /// By the logarithm of the kernels.
    void (*log)(std::int64_t passes, double const* x, double* result);
    /// The same, with `log_mix` chained multiply-adds to every logarithm.
    double (*log_and_multiply_add)(std::int64_t passes, double const* x, double* result, double a, double b);
    /// By a function of registers, as libmvec has them for this instruction set; null where there is no such library.
    void (*by_function)(std::int64_t passes, double const* x, double* result, void* function);
    char const* vector_log; ///< what the logarithm and the exponential are called there
    char const* vector_exp;

    /// Memory, in arrays of \p n numbers: sum, x[i] = a, x[i] = y[i] + a z[i].
    double (*read)(double const* x, std::int64_t n);
    void (*write)(double* x, double a, std::int64_t n);
    void (*triad)(double* x, double const* y, double const* z, double a, std::int64_t n);
};

/// Multiply-adds to each logarithm in the mixture: they take about as long.
inline constexpr int log_mix = 24;

extern CeilingKernels const ceiling_kernels_baseline;
#ifdef NUSCAN_X86_LANES
extern CeilingKernels const ceiling_kernels_avx2;
extern CeilingKernels const ceiling_kernels_avx512;
#endif

} // namespace nuscan::bench
