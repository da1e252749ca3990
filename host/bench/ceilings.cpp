#include "host/bench/ceilings.hpp"

#include <dlfcn.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string_view>

#include "host/backends/lanes/lane_kernels.hpp"
#include "host/bench/lanes/ceiling_kernels.hpp"
#include "host/support/clock.hpp"

namespace nuscan::bench
{

namespace
{

/// Factor and term whose fixed point, 1, is near the chains' start: all numbers stay normal.
constexpr double chain_factor = 0.999999;
constexpr double chain_term = 1e-6;
/// Factor of chains that only multiply: so near 1 that no number of steps that could be waited for leaves the range of doubles.
constexpr double neutral_factor = 1.0 - 0x1p-50;

CeilingKernels const& chosen_kernels()
{
    std::string_view const name = choose_lane_kernels().name;
#ifdef NUSCAN_X86_LANES
    for (auto const* kernels : {&ceiling_kernels_avx2, &ceiling_kernels_avx512})
        if (name == kernels->name)
            return *kernels;
#endif
    static_cast<void>(name);
    return ceiling_kernels_baseline;
}

/// A function of libmvec, which nothing else needs; null where there is none.
void* vector_function(char const* name)
{
    static void* const library = dlopen("libmvec.so.1", RTLD_NOW | RTLD_LOCAL);
    return library == nullptr || name == nullptr ? nullptr : dlsym(library, name);
}

/// Arrays of one thread.
struct ThreadArrays
{
    alignas(64) double x[ceiling_array];
    alignas(64) double result[ceiling_array];

    ThreadArrays()
    {
        // 0.6 to 1.8, no number with a short mantissa: dividers and roots take their full time.
        for (int i = 0; i < ceiling_array; ++i)
            x[i] = 0.6 + 1.2 * (static_cast<double>(i) + 0.1234567) / ceiling_array;
        std::memset(result, 0, sizeof result);
    }
};

class Measurement
{
public:
    Measurement(int threads, Effort const& effort) : threads_(threads), effort_(effort) {}

    /// Passes of \p work per second, all threads together; it gets a number of passes and the arrays of its thread. Threads start
    /// together and each has its own clock: one that has to wait for a core does not make the others slower than they are, so that a
    /// busy machine gives no ceiling below what can be reached.
    template<class Work>
    double passes_per_s(Work const& work)
    {
        Timing timing = measure(effort_, [&](std::int64_t passes) {
            ThreadArrays arrays;
            work(passes, arrays);
        });
        if (threads_ > 1)
        {
            auto const passes = std::max<std::int64_t>(1, std::llround(effort_.min_time / timing.best()));
            timing.seconds.clear();
            for (int repeat = 0; repeat < effort_.repeats; ++repeat)
            {
                double per_s = 0.0;
#pragma omp parallel num_threads(threads_) reduction(+ : per_s)
                {
                    ThreadArrays arrays;
#pragma omp barrier
                    auto const start = Clock::now();
                    work(passes, arrays);
                    per_s += static_cast<double>(passes) / seconds_since(start);
                }
                timing.seconds.push_back(1.0 / per_s);
            }
        }
        noise_ = std::max(noise_, timing.noise());
        return 1.0 / timing.best();
    }

    double noise() const
    {
        return noise_;
    }

private:
    int threads_;
    Effort effort_;
    double noise_ = 0.0;
};

void c_exp(std::int64_t passes, double const* x, double* result)
{
    for (std::int64_t pass = 0; pass < passes; ++pass)
    {
        for (int i = 0; i < ceiling_array; ++i)
            result[i] = std::exp(x[i]);
        asm volatile("" ::: "memory");
    }
}

void measure_memory(Ceilings& ceilings, CeilingKernels const& kernels, Measurement& measurement, std::int64_t memory_bytes)
{
    // Whole cache lines for every thread.
    constexpr std::int64_t line = 64 / sizeof(double);
    std::int64_t const n = std::max<std::int64_t>(line, memory_bytes / (3 * static_cast<std::int64_t>(sizeof(double)))
                                                            / ceilings.threads / line * line);
    auto const all = static_cast<std::size_t>(3 * n * ceilings.threads);
    // Every thread touches its own part first.
    std::unique_ptr<double[]> const memory(new double[all]);
#pragma omp parallel num_threads(ceilings.threads)
    {
        double* const own = memory.get() + 3 * n * omp_get_thread_num();
        std::fill(own, own + 3 * n, 1.0);
    }
    ceilings.memory_bytes = static_cast<std::int64_t>(all * sizeof(double));
    double const bytes = static_cast<double>(n) * sizeof(double);
    auto const own = [&] { return memory.get() + 3 * n * omp_get_thread_num(); };
    // All three arrays are read or written, one after the other.
    ceilings.read_bytes_per_s = 3.0 * bytes * measurement.passes_per_s([&](std::int64_t passes, ThreadArrays& arrays) {
        for (std::int64_t pass = 0; pass < passes; ++pass)
            arrays.result[0] += kernels.read(own(), 3 * n);
    });
    ceilings.write_bytes_per_s = 3.0 * bytes * measurement.passes_per_s([&](std::int64_t passes, ThreadArrays&) {
        for (std::int64_t pass = 0; pass < passes; ++pass)
            kernels.write(own(), 1.5, 3 * n);
    });
    ceilings.triad_bytes_per_s = 3.0 * bytes * measurement.passes_per_s([&](std::int64_t passes, ThreadArrays&) {
        for (std::int64_t pass = 0; pass < passes; ++pass)
            kernels.triad(own(), own() + n, own() + 2 * n, 0.5, n);
    });
}

} // namespace

double Ceilings::bandwidth() const
{
    return std::max({read_bytes_per_s, write_bytes_per_s, triad_bytes_per_s});
}

Ceilings measure_ceilings(int threads, Effort const& effort, std::int64_t memory_bytes)
{
    CeilingKernels const& kernels = chosen_kernels();
    Ceilings ceilings;
    ceilings.instruction_set = kernels.name;
    ceilings.threads = threads;
    ceilings.fused = kernels.fused;
    Measurement measurement(threads, effort);
    auto const chains = [&](std::int64_t operations, auto const& run) {
        return static_cast<double>(operations)
               * measurement.passes_per_s([&](std::int64_t passes, ThreadArrays& arrays) { arrays.result[0] += run(passes); });
    };
    auto const array = [&](auto const& run) {
        return ceiling_array
               * measurement.passes_per_s([&](std::int64_t passes, ThreadArrays& arrays) { run(passes, arrays.x, arrays.result); });
    };
    ceilings.multiply_add_per_s = chains(kernels.chain_operations,
                                         [&](std::int64_t n) { return kernels.multiply_add(n, chain_factor, chain_term); });
    ceilings.multiply_per_s = chains(kernels.chain_operations, [&](std::int64_t n) { return kernels.multiply(n, neutral_factor); });
    ceilings.add_per_s = chains(kernels.chain_operations, [&](std::int64_t n) { return kernels.add(n, chain_term); });
    ceilings.mixed_per_s = chains(kernels.mixed_operations,
                                  [&](std::int64_t n) { return kernels.mixed(n, chain_factor, chain_term); });
    ceilings.divide_per_s = array(kernels.divide);
    ceilings.sqrt_per_s = array(kernels.sqrt);

    ceilings.log_kernels_per_s = array(kernels.log);
    double const mixed_time = 1.0 / array([&](std::int64_t n, double const* x, double* result) {
                                  result[0] += kernels.log_and_multiply_add(n, x, result, chain_factor, chain_term);
                              });
    double const sum = 1.0 / ceilings.log_kernels_per_s + log_mix / ceilings.multiply_add_per_s;
    ceilings.log_beside_multiply_add = std::clamp(mixed_time / sum, 0.5, 1.0);

    auto const by_libmvec = [&](char const* name) {
        void* const function = vector_function(name);
        return function == nullptr
                   ? 0.0
                   : array([&](std::int64_t n, double const* x, double* result) { kernels.by_function(n, x, result, function); });
    };
    ceilings.log_per_s = std::max(ceilings.log_kernels_per_s, by_libmvec(kernels.vector_log));
    ceilings.exp_per_s = std::max(by_libmvec(kernels.vector_exp), array(c_exp));

    measure_memory(ceilings, kernels, measurement, memory_bytes);
    ceilings.noise = measurement.noise();
    return ceilings;
}

Ceilings better(Ceilings const& a, Ceilings const& b)
{
    Ceilings best = a;
    for (double Ceilings::*const member :
         {&Ceilings::multiply_add_per_s, &Ceilings::multiply_per_s, &Ceilings::add_per_s, &Ceilings::mixed_per_s,
          &Ceilings::divide_per_s, &Ceilings::sqrt_per_s, &Ceilings::log_per_s, &Ceilings::log_kernels_per_s, &Ceilings::exp_per_s,
          &Ceilings::read_bytes_per_s, &Ceilings::write_bytes_per_s, &Ceilings::triad_bytes_per_s})
        best.*member = std::max(a.*member, b.*member);
    best.log_beside_multiply_add = std::min(a.log_beside_multiply_add, b.log_beside_multiply_add);
    best.noise = std::max(a.noise, b.noise);
    return best;
}

std::int64_t stream_bytes()
{
    constexpr std::int64_t least = std::int64_t{32} << 20;
    constexpr std::int64_t most = std::int64_t{256} << 20;
    std::int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return 3 * std::clamp(4 * cache, least, most);
}

double Floor::total() const
{
    return std::max({pipes, divider, memory});
}

char const* Floor::bound_by() const
{
    return pipes >= divider && pipes >= memory ? "arithmetic and functions" : divider >= memory ? "divider" : "memory";
}

Floor point_floor(PointOperations const& operations, double bytes, Ceilings const& ceilings)
{
    double multiply = operations.multiply_add + operations.multiply;
    double add = operations.add;
    double multiply_per_s = std::max(ceilings.multiply_per_s, ceilings.multiply_add_per_s);
    if (!ceilings.fused)
    {
        add += operations.multiply_add;
        multiply_per_s = ceilings.multiply_per_s;
    }
    // Additions may have units of their own.
    double const any_per_s = std::max({ceilings.mixed_per_s, ceilings.add_per_s, multiply_per_s});
    Floor floor;
    floor.arithmetic = std::max({multiply / multiply_per_s, add / ceilings.add_per_s, (multiply + add) / any_per_s});
    floor.functions = operations.log / ceilings.log_per_s + operations.exp / ceilings.exp_per_s;
    floor.divider = operations.divide / ceilings.divide_per_s + operations.sqrt / ceilings.sqrt_per_s;
    floor.memory = bytes / ceilings.bandwidth();
    floor.pipes = std::max(
        {floor.arithmetic, floor.functions, ceilings.log_beside_multiply_add * (floor.arithmetic + floor.functions)});
    return floor;
}

} // namespace nuscan::bench
