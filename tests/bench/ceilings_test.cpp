// Floors from given ceilings, the loops that measure ceilings, and the clock. No test looks at how fast anything is.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "host/backends/lanes/lane_kernels.hpp"
#include "host/bench/ceilings.hpp"
#include "host/bench/lanes/ceiling_kernels.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan::bench
{
namespace
{

Ceilings round_ceilings()
{
    Ceilings ceilings;
    ceilings.multiply_add_per_s = 10.0;
    ceilings.multiply_per_s = 10.0;
    ceilings.add_per_s = 10.0;
    ceilings.mixed_per_s = 10.0;
    ceilings.divide_per_s = 2.0;
    ceilings.sqrt_per_s = 1.0;
    ceilings.log_per_s = 0.5;
    ceilings.exp_per_s = 0.25;
    ceilings.read_bytes_per_s = 100.0;
    return ceilings;
}

TEST(PointFloor, ArithmeticAndLogarithmsAddAndTheLongestUnitCounts)
{
    PointOperations operations;
    operations.multiply_add = 20.0;
    operations.multiply = 5.0;
    operations.add = 5.0;
    operations.log = 2.0;
    operations.divide = 4.0;
    operations.sqrt = 1.0;
    auto const floor = point_floor(operations, 50.0, round_ceilings());
    EXPECT_DOUBLE_EQ(floor.arithmetic, 3.0);
    EXPECT_DOUBLE_EQ(floor.functions, 4.0);
    EXPECT_DOUBLE_EQ(floor.pipes, 7.0);
    EXPECT_DOUBLE_EQ(floor.divider, 3.0);
    EXPECT_DOUBLE_EQ(floor.memory, 0.5);
    EXPECT_DOUBLE_EQ(floor.total(), 7.0);
    EXPECT_STREQ(floor.bound_by(), "arithmetic and functions");
}

TEST(PointFloor, AdditionsBesideMultiplicationsAreNotAdded)
{
    PointOperations operations;
    operations.multiply = 10.0;
    operations.add = 10.0;
    auto ceilings = round_ceilings();
    EXPECT_DOUBLE_EQ(point_floor(operations, 0.0, ceilings).total(), 2.0);
    ceilings.mixed_per_s = 20.0; // units of their own
    EXPECT_DOUBLE_EQ(point_floor(operations, 0.0, ceilings).total(), 1.0);
}

TEST(PointFloor, LogarithmsBesideMultiplyAddsAsFarAsMeasured)
{
    PointOperations operations;
    operations.multiply_add = 40.0; // 4 s
    operations.log = 2.0;           // 4 s
    auto ceilings = round_ceilings();
    ceilings.log_beside_multiply_add = 0.75;
    EXPECT_DOUBLE_EQ(point_floor(operations, 0.0, ceilings).total(), 6.0);
    // Never below the longer of both.
    operations.log = 0.1;
    EXPECT_DOUBLE_EQ(point_floor(operations, 0.0, ceilings).total(), 4.0);
}

TEST(PointFloor, UnfusedMultiplyAddsAreTwoInstructions)
{
    PointOperations operations;
    operations.multiply_add = 10.0;
    auto ceilings = round_ceilings();
    ceilings.fused = false;
    ceilings.multiply_add_per_s = 5.0;
    EXPECT_DOUBLE_EQ(point_floor(operations, 0.0, ceilings).total(), 2.0);
}

TEST(PointFloor, NamesWhatBounds)
{
    PointOperations operations;
    operations.divide = 1.0;
    EXPECT_STREQ(point_floor(operations, 0.0, round_ceilings()).bound_by(), "divider");
    EXPECT_STREQ(point_floor(operations, 1000.0, round_ceilings()).bound_by(), "memory");
}

/// The sets that this processor can run.
std::vector<CeilingKernels const*> runnable()
{
    std::vector<CeilingKernels const*> all;
    LaneKernelList const list = available_lane_kernels();
    for (int i = 0; i < list.n; ++i)
    {
        std::string_view const name = list.kernels[i]->name;
        if (name == ceiling_kernels_baseline.name)
            all.push_back(&ceiling_kernels_baseline);
#ifdef NUSCAN_X86_LANES
        for (auto const* const kernels : {&ceiling_kernels_avx2, &ceiling_kernels_avx512})
            if (name == kernels->name)
                all.push_back(kernels);
#endif
    }
    return all;
}

TEST(CeilingKernels, EveryInstructionSetOfTheBackendHasOne)
{
    EXPECT_EQ(static_cast<int>(runnable().size()), available_lane_kernels().n);
}

TEST(CeilingKernels, ChainsTakeEveryStep)
{
    // Chains that leave out steps would measure nothing: from 1 + c/8, chains c = 0 to 11, x grows by b at each of 64 steps of a pass.
    for (auto const* const kernels : runnable())
    {
        SCOPED_TRACE(kernels->name);
        constexpr std::int64_t passes = 3;
        double const start = kernels->lanes * (12.0 + 66.0 * 0.125);
        double const b = 0.25; // exact in every sum
        double const steps = static_cast<double>(passes * kernels->chain_operations);
        EXPECT_EQ(kernels->add(passes, b), start + steps * b);
        EXPECT_EQ(kernels->multiply_add(passes, 1.0, b), start + steps * b);
        EXPECT_EQ(kernels->multiply(passes, 1.0), start);
        double const mixed_start = kernels->lanes * (14.0 + 91.0 * 0.125);
        double const mixed_steps = static_cast<double>(passes * kernels->mixed_operations) * (kernels->fused ? 1.0 : 6.0 / 14.0);
        EXPECT_NEAR(kernels->mixed(passes, 1.0, b), mixed_start + mixed_steps * b, 1e-9 * mixed_steps);
    }
}

TEST(CeilingKernels, ArraysGetTheirFunctions)
{
    alignas(64) double x[ceiling_array];
    alignas(64) double result[ceiling_array];
    for (int i = 0; i < ceiling_array; ++i)
        x[i] = 0.5 + 0.01 * i;
    for (auto const* const kernels : runnable())
    {
        SCOPED_TRACE(kernels->name);
        // Logarithms to 1.5 units in the last place; quotients and roots are exactly rounded.
        constexpr double log_tolerance = 4e-16;
        kernels->divide(2, x, result);
        for (int i = 0; i < ceiling_array; ++i)
            ASSERT_EQ(result[i], 1.0 / x[i]);
        kernels->sqrt(2, x, result);
        for (int i = 0; i < ceiling_array; ++i)
            ASSERT_EQ(result[i], std::sqrt(x[i]));
        kernels->log(2, x, result);
        for (int i = 0; i < ceiling_array; ++i)
            ASSERT_NEAR(result[i], std::log(x[i]), log_tolerance * (1.0 + std::fabs(std::log(x[i]))));
        result[0] = 0.0;
        kernels->log_and_multiply_add(1, x, result, 1.0, 0.25);
        ASSERT_NEAR(result[0], std::log(x[0]), log_tolerance * (1.0 + std::fabs(std::log(x[0]))));
    }
}

TEST(Ceilings, AllAreMeasuredAndBetterTakesTheLargest)
{
    Effort const effort{1, 1e-4};
    constexpr std::int64_t memory = std::int64_t{1} << 20;
    auto const ceilings = measure_ceilings(2, effort, memory);
    for (double const value :
         {ceilings.multiply_add_per_s, ceilings.multiply_per_s, ceilings.add_per_s, ceilings.mixed_per_s, ceilings.divide_per_s,
          ceilings.sqrt_per_s, ceilings.log_per_s, ceilings.exp_per_s, ceilings.bandwidth()})
        EXPECT_GT(value, 0.0);
    EXPECT_EQ(ceilings.threads, 2);
    EXPECT_EQ(ceilings.instruction_set, choose_lane_kernels().name);
    EXPECT_LE(ceilings.memory_bytes, memory);
    EXPECT_GT(ceilings.memory_bytes, memory / 2);
    EXPECT_GE(ceilings.log_per_s, ceilings.log_kernels_per_s);
    auto other = ceilings;
    other.divide_per_s *= 2.0;
    other.log_per_s *= 0.5;
    auto const best = better(ceilings, other);
    EXPECT_EQ(best.divide_per_s, other.divide_per_s);
    EXPECT_EQ(best.log_per_s, ceilings.log_per_s);
}

TEST(Timing, BestAndNoise)
{
    Timing const timing{{3.0, 2.0, 2.5}};
    EXPECT_EQ(timing.best(), 2.0);
    EXPECT_DOUBLE_EQ(timing.noise(), 0.25);
    EXPECT_DOUBLE_EQ((Timing{{2.0, 3.0}}).noise(), 0.25);
}

TEST(Timing, SecondsAreThoseOfOnePass)
{
    std::int64_t total = 0;
    auto const timing = measure({3, 0.02}, [&](std::int64_t passes) {
        total += passes;
        std::this_thread::sleep_for(std::chrono::milliseconds(2 * passes));
    });
    EXPECT_EQ(timing.seconds.size(), 3u);
    EXPECT_GT(total, 3);
    // Sleep is never shorter.
    EXPECT_GE(timing.best(), 2e-3);
}

} // namespace
} // namespace nuscan::bench
