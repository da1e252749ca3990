// The number that counts, and the counts of the kernels against what their formulas say.
#include <utility>

#include <gtest/gtest.h>

#include "host/bench/cases.hpp"
#include "host/bench/counted.hpp"
#include "host/bench/operation_count.hpp"
#include "tests/support/real_inputs.hpp"

namespace nuscan::bench
{
namespace
{

using Ops = RealOps<Counted>;

template<class Work>
OperationCounts count(Work&& work)
{
    OperationCounts const before = operation_counts;
    work();
    return operation_counts - before;
}

/// A formula of a numeric type, as those of the physics are.
template<class Real>
Real formula(Real x, Real y)
{
    Real const product = x * y;
    Real const sum = RealOps<Real>::multiply_add(x, y, 2.0 * product + 1.0);
    return RealOps<Real>::select(sum > 0.0, RealOps<Real>::log(sum) / RealOps<Real>::sqrt(y), -sum);
}

TEST(Counted, EveryOperationIsCountedInItsClass)
{
    Counted result;
    auto const counts = count([&] { result = formula<Counted>(3.0, 4.0); });
    EXPECT_EQ(counts.multiply_add, 1);
    EXPECT_EQ(counts.multiply, 2);
    EXPECT_EQ(counts.add, 1);
    EXPECT_EQ(counts.divide, 1);
    EXPECT_EQ(counts.sqrt, 1);
    EXPECT_EQ(counts.log, 1);
    EXPECT_EQ(counts.exp, 0);
    EXPECT_EQ(counts.compare, 2); // the comparison and the selection
    // Exact here: all intermediate numbers are small integers.
    EXPECT_EQ(result.value(), formula<double>(3.0, 4.0));
}

TEST(Counted, CompoundAssignmentIsTheOperation)
{
    Counted x = 2.0;
    auto const counts = count([&] {
        x += 1.0;
        x -= 2.0;
        x *= 3.0;
        x /= 4.0;
    });
    EXPECT_EQ(counts.add, 2);
    EXPECT_EQ(counts.multiply, 1);
    EXPECT_EQ(counts.divide, 1);
    EXPECT_EQ(x.value(), 0.75);
}

std::shared_ptr<Problem const> vector_problem(char const* experiment)
{
    return std::make_shared<Problem const>(prepared({experiment}), vector_mediator().with_points(40000), FixedParameters{});
}

TEST(OperationCount, PoissonPointHasALogarithmPerCountedBinAndARootPerNewtonStep)
{
    // The mass runs fastest: points stand alone.
    auto axes = vector_mediator().with_points(40000);
    std::swap(axes.front(), axes.back());
    Problem const problem(prepared({"lz_ws2022"}), axes, FixedParameters{});
    auto const counts = count_operations(problem, Route::factored, 8, 64);
    EXPECT_EQ(counts.points, 8 * 64);
    EXPECT_EQ(counts.log, problem.view().fit.counted.n);
    // A step looks at every counted bin with a quotient; the Gaussian start, the factorisations and the penalties have a few more.
    double const bins = problem.view().fit.counted.n;
    EXPECT_GE(counts.sqrt, 1.0);
    EXPECT_GT(counts.divide, counts.sqrt * bins);
    EXPECT_LT(counts.divide, counts.sqrt * (bins + 10.0) + 10.0);
    EXPECT_EQ(counts.exp, 0.0);
    EXPECT_EQ(counts.direct_fallback, 0.0);
}

TEST(OperationCount, PointsOfARowShareLogarithmsAndGoOnFromTheirNeighbours)
{
    auto const problem = vector_problem("lz_ws2022");
    auto const counts = count_operations(*problem, Route::factored, 8, 64);
    double const bins = problem->view().fit.counted.n;
    EXPECT_GE(counts.points, 8 * 64) << "whole tiles";
    EXPECT_GE(counts.log, 1.0);
    EXPECT_LT(counts.log, bins / 3.0);
    // Steps: all but the last have a root. What the polynomial through eight neighbours leaves is one, and now and then a second; the first
    // points of each of these short rows have no neighbours.
    double const steps = counts.sqrt + 1.0;
    EXPECT_LT(steps, 1.5);
    EXPECT_GT(counts.divide, steps * bins);
    EXPECT_LT(counts.divide, steps * (bins + 10.0) + 10.0);
    EXPECT_EQ(counts.exp, 0.0);
}

/// Where a row's tile begins, its first points have no neighbour to begin at, and the minimum of the quadratic form may be far from theirs.
/// No point is left to the general minimisation, which takes a logarithm for each bin, however fine or coarse the row.
TEST(OperationCount, NoPointOfARowIsLeftToTheGeneralMinimisation)
{
    for (char const* const experiment : {"lz_ws2022", "lz_ws2022_arxiv2208"})
        for (std::int64_t const couplings : {250, 1000, 10000})
        {
            auto axes = vector_mediator().axes;
            axes[0].n = 4;
            axes[1].n = couplings;
            Problem const problem(prepared({experiment}), axes, FixedParameters{});
            auto const counts = count_operations(problem, Route::factored, 40, 64);
            EXPECT_EQ(counts.log, 1.0) << experiment << ", rows of " << couplings;
        }
}

TEST(OperationCount, GaussianPointCostsNoLoopOverBins)
{
    auto const problem = vector_problem("xenonnt_sr0");
    auto const counts = count_operations(*problem, Route::factored, 8, 64);
    EXPECT_EQ(counts.log, 0.0);
    EXPECT_LT(counts.flops(), 5.0 * problem->view().fit.n_slots);
}

TEST(OperationCount, DirectRouteFoldsEveryNode)
{
    auto const problem = vector_problem("xenonnt_sr0");
    auto const counts = count_operations(*problem, Route::direct, 2, 4);
    auto const& response = problem->view().response[0];
    double band = 0.0;
    for (int j = 0; j < response.n_nodes; ++j)
        band += response.last_bin[j] - response.first_bin[j];
    EXPECT_EQ(counts.points, 8);
    EXPECT_GT(counts.multiply_add, band);
    // The mediator's propagator is a quotient at every node.
    EXPECT_GE(counts.divide, response.n_nodes);
}

} // namespace
} // namespace nuscan::bench
