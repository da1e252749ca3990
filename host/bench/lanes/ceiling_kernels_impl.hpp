/// \file
/// Body of the files that are compiled once per instruction set; the rules of lane_kernels_impl.hpp hold here as well.
#pragma once

#include <cstddef>

#include "host/backends/lanes/lanes.hpp"
#include "host/bench/lanes/ceiling_kernels.hpp"

namespace nuscan::bench
{
namespace
{

using Ops = RealOps<Lanes>;
constexpr int n_lanes = static_cast<int>(Lanes::size());
#if defined(__AVX512F__) || defined(__FMA__)
constexpr bool lanes_are_fused = true;
#else
constexpr bool lanes_are_fused = false;
#endif

/// Enough for two pipelines of four cycles' latency, and with two constants within 16 registers.
constexpr std::size_t n_chains = 12;
/// Of both kinds, where each has two pipelines of its own, of four and of three cycles.
constexpr std::size_t mixed_multiplications = 8;
constexpr std::size_t mixed_additions = 6;
/// Steps of each chain in a pass.
constexpr int chain_steps = 64;

/// What lies in memory may have changed and may be read: nothing is carried over from one pass to the next.
[[gnu::always_inline]] inline void new_pass()
{
    asm volatile("" ::: "memory");
}

[[gnu::always_inline]] inline Lanes load(double const* x)
{
    return Lanes(x, std::experimental::element_aligned);
}

[[gnu::always_inline]] inline void store(Lanes value, double* to)
{
    value.copy_to(to, std::experimental::element_aligned);
}

template<std::size_t n>
[[gnu::always_inline]] inline void start_chains(Lanes (&x)[n])
{
    for (std::size_t c = 0; c < n; ++c)
        x[c] = Lanes(1.0 + 0.125 * static_cast<double>(c));
}

template<std::size_t n>
[[gnu::always_inline]] inline double end_chains(Lanes (&x)[n])
{
    Lanes sum = 0.0;
    for (std::size_t c = 0; c < n; ++c)
        sum += x[c];
    double total = 0.0;
    for (std::size_t l = 0; l < Lanes::size(); ++l)
        total += sum[l];
    return total;
}

/// \p step changes chain number c.
template<std::size_t chains, class Step>
[[gnu::always_inline]] inline double run_chains(std::int64_t passes, Step const& step)
{
    Lanes x[chains];
    start_chains(x);
    for (std::int64_t pass = 0; pass < passes; ++pass)
    {
        for (int i = 0; i < chain_steps; ++i)
        {
#pragma GCC unroll 16
            for (std::size_t c = 0; c < chains; ++c)
                step(x[c], c);
        }
        new_pass();
    }
    return end_chains(x);
}

double multiply_add_chains(std::int64_t passes, double a, double b)
{
    Lanes const factor = a;
    Lanes const term = b;
    return run_chains<n_chains>(passes, [&](Lanes& x, std::size_t) { x = Ops::multiply_add(x, factor, term); });
}

double multiply_chains(std::int64_t passes, double a)
{
    Lanes const factor = a;
    return run_chains<n_chains>(passes, [&](Lanes& x, std::size_t) { x = x * factor; });
}

double add_chains(std::int64_t passes, double b)
{
    Lanes const term = b;
    return run_chains<n_chains>(passes, [&](Lanes& x, std::size_t) { x = x + term; });
}

double mixed_chains(std::int64_t passes, double a, double b)
{
    Lanes const factor = a;
    Lanes const term = b;
    return run_chains<mixed_multiplications + mixed_additions>(passes, [&](Lanes& x, std::size_t c) {
        if (c >= mixed_multiplications)
            x = x + term;
        else if constexpr (lanes_are_fused)
            x = Ops::multiply_add(x, factor, term);
        else
            x = x * factor;
    });
}

/// \p map on every register of the array.
template<class Map>
[[gnu::always_inline]] inline void run_array(std::int64_t passes, double const* x, double* result, Map const& map)
{
    for (std::int64_t pass = 0; pass < passes; ++pass)
    {
        for (int i = 0; i < ceiling_array; i += n_lanes)
            store(map(load(x + i)), result + i);
        new_pass();
    }
}

void divide_array(std::int64_t passes, double const* x, double* result)
{
    run_array(passes, x, result, [](Lanes value) { return 1.0 / value; });
}

void sqrt_array(std::int64_t passes, double const* x, double* result)
{
    run_array(passes, x, result, [](Lanes value) { return Ops::sqrt(value); });
}

void log_array(std::int64_t passes, double const* x, double* result)
{
    run_array(passes, x, result, [](Lanes value) { return Ops::log(value); });
}

double log_and_multiply_add_array(std::int64_t passes, double const* x, double* result, double a, double b)
{
    Lanes const factor = a;
    Lanes const term = b;
    Lanes chain[8];
    start_chains(chain);
    for (std::int64_t pass = 0; pass < passes; ++pass)
    {
        for (int i = 0; i < ceiling_array; i += n_lanes)
        {
            store(Ops::log(load(x + i)), result + i);
#pragma GCC unroll 32
            for (std::size_t k = 0; k < log_mix; ++k)
                chain[k % 8] = Ops::multiply_add(chain[k % 8], factor, term);
        }
        new_pass();
    }
    return end_chains(chain);
}

#if defined(__x86_64__)
#if defined(__AVX512F__)
using NativeRegister = __m512d;
#define NUSCAN_LIBMVEC(function) "_ZGVeN8v_" #function
#elif defined(__AVX2__)
using NativeRegister = __m256d;
#define NUSCAN_LIBMVEC(function) "_ZGVdN4v_" #function
#else
using NativeRegister = __m128d;
#define NUSCAN_LIBMVEC(function) "_ZGVbN2v_" #function
#endif

void function_array(std::int64_t passes, double const* x, double* result, void* function)
{
    auto const map = reinterpret_cast<NativeRegister (*)(NativeRegister)>(function);
    run_array(passes, x, result, [map](Lanes value) { return Lanes(map(static_cast<NativeRegister>(value))); });
}
#else
#define NUSCAN_LIBMVEC(function) nullptr
constexpr void (*function_array)(std::int64_t, double const*, double*, void*) = nullptr;
#endif

double read_array(double const* x, std::int64_t n)
{
    Lanes sum[8];
    for (auto& s : sum)
        s = 0.0;
    constexpr std::int64_t step = 8 * n_lanes;
    for (std::int64_t i = 0; i + step <= n; i += step)
        for (std::size_t k = 0; k < 8; ++k)
            sum[k] += load(x + i + static_cast<std::int64_t>(k) * n_lanes);
    return end_chains(sum);
}

void write_array(double* x, double a, std::int64_t n)
{
    Lanes const value = a;
    for (std::int64_t i = 0; i + n_lanes <= n; i += n_lanes)
        store(value, x + i);
    new_pass();
}

void triad_array(double* x, double const* y, double const* z, double a, std::int64_t n)
{
    Lanes const factor = a;
    for (std::int64_t i = 0; i + n_lanes <= n; i += n_lanes)
        store(Ops::multiply_add(factor, load(z + i), load(y + i)), x + i);
    new_pass();
}

constexpr CeilingKernels make_ceiling_kernels(char const* name)
{
    CeilingKernels kernels{};
    kernels.name = name;
    kernels.lanes = n_lanes;
    kernels.fused = lanes_are_fused;
    kernels.multiply_add = multiply_add_chains;
    kernels.multiply = multiply_chains;
    kernels.add = add_chains;
    kernels.mixed = mixed_chains;
    kernels.chain_operations = std::int64_t{n_chains} * chain_steps * n_lanes;
    kernels.mixed_operations = std::int64_t{mixed_multiplications + mixed_additions} * chain_steps * n_lanes;
    kernels.divide = divide_array;
    kernels.sqrt = sqrt_array;
    kernels.log = log_array;
    kernels.log_and_multiply_add = log_and_multiply_add_array;
    kernels.by_function = function_array;
    kernels.vector_log = NUSCAN_LIBMVEC(log);
    kernels.vector_exp = NUSCAN_LIBMVEC(exp);
    kernels.read = read_array;
    kernels.write = write_array;
    kernels.triad = triad_array;
    return kernels;
}

} // namespace
} // namespace nuscan::bench
