// Points side by side in vector registers, for every instruction set that this processor has.
#include "host/backends/lanes/lane_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <optional>
#include <random>

#include "evaluate.hpp"
#include "host/backends/cpu.hpp"
#include "host/scan/self_check.hpp"
#include "host/support/error.hpp"
#include "instruction_sets.hpp"
#include "random_points.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

class Lanes : public ::testing::TestWithParam<LaneKernels const*>
{
};

// Bound of the logarithm's documentation.
constexpr double log_ulps = 1.5;

TEST_P(Lanes, LogarithmIsThatOfTheLibrary)
{
    std::mt19937_64 generator(1);
    std::uniform_real_distribution<double> exponent(-300.0, 300.0);
    std::uniform_real_distribution<double> near(0.5, 2.0);
    std::vector<double> x;
    for (int i = 0; i < 100000; ++i)
        x.push_back(i % 2 == 0 ? std::pow(10.0, exponent(generator)) : near(generator));
    for (double const special : {1.0, std::nextafter(1.0, 0.0), std::nextafter(1.0, 2.0), std::numeric_limits<double>::min(),
                                 std::numeric_limits<double>::max(), std::sqrt(0.5), std::sqrt(2.0), 2.0})
        x.push_back(special);
    std::vector<double> result(x.size());
    GetParam()->log(x.data(), result.data(), static_cast<int>(x.size()));
    double worst = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i)
    {
        auto const exact = std::log(static_cast<long double>(x[i]));
        double const ulp = std::nextafter(std::fabs(static_cast<double>(exact)), HUGE_VAL) - std::fabs(static_cast<double>(exact));
        worst = std::max(worst, static_cast<double>(std::fabs(result[i] - exact)) / ulp);
    }
    std::printf("%s: worst error of ln %.2f ulp\n", GetParam()->name, worst);
    EXPECT_LT(worst, log_ulps);
}

TEST_P(Lanes, LogarithmOutsideItsDomainIsNan)
{
    double const inf = std::numeric_limits<double>::infinity();
    std::vector<double> const x{0.0, -0.0, -1.0, -1e-300, inf, -inf, std::numeric_limits<double>::quiet_NaN()};
    std::vector<double> result(x.size());
    GetParam()->log(x.data(), result.data(), static_cast<int>(x.size()));
    for (std::size_t i = 0; i < x.size(); ++i)
        EXPECT_TRUE(std::isnan(result[i])) << x[i];
}

TEST_P(Lanes, AgreeWithOnePointAtATime)
{
    ChosenSet const set(GetParam()->name);
    RandomProblems problems(17);
    double worst = 0.0;
    for (auto const& experiments : all_experiment_sets)
        for (Route const route : {Route::factored, Route::direct})
        {
            auto const problem = problems.next(prepared(experiments), 200);
            auto const results = evaluate(*make_cpu_backend(problem, route, 1), *problem, {0, problem->size()});
            std::vector<double> rates(static_cast<std::size_t>(problem->view().layout.n_slots));
            for (std::int64_t i = 0; i < problem->size(); ++i)
            {
                std::int64_t node[max_axes];
                problem->view().grid.nodes(i, node);
                point_rates_direct(problem->view(), node, rates.data());
                FitResult const single = profile_chi2(problem->view().fit, rates.data());
                auto const slot = static_cast<std::size_t>(i);
                EXPECT_EQ(single.status == PointStatus::ok, results.status[slot] <= 1);
                worst = std::max(worst, check_deviation(results.chi2[slot], single.chi2));
            }
        }
    std::printf("%s: worst %.1e of 1 + chi2\n", GetParam()->name, worst);
    EXPECT_LT(worst, tolerance::implementation);
}

/// The form that a device thread runs: rates added up whenever they are asked for, instead of a vector of them.
template<int static_monomials, int static_pulls>
Results by_computed_rates(Problem const& problem)
{
    auto const& view = problem.view();
    Results results;
    std::vector<double> templates(static_cast<std::size_t>(view.layout.size()));
    auto const block = [&](int index) { return templates[static_cast<std::size_t>(index)]; };
    for (std::int64_t i = 0; i < problem.size(); ++i)
    {
        std::int64_t node[max_axes];
        view.grid.nodes(i, node);
        fold_combination(view, mass_combination(view, node), templates.data());
        double monomials[max_monomials];
        for (int m = 0; m < view.layout.n_monomials; ++m)
            monomials[m] = point_monomial(view, m, node);
        FactoredPoints<static_monomials, static_pulls, double, decltype(block)> point(view.fit, view.fit.counted, view.layout,
                                                                                      block, monomials);
        Profile<static_pulls, double> result;
        bool accurate = false;
        if (!view.fit.has_poisson && !view.fit.fix_pulls)
            result = point.closed_form(accurate);
        if (!accurate)
        {
            ComputedRates<static_monomials, double, decltype(block)> const rates(view.layout, block, point.monomials());
            accurate = rates.accurate();
            result = point.by_bins(rates);
        }
        results.chi2.push_back(accurate ? result.chi2 : NAN);
    }
    return results;
}

TEST(DeviceForm, AgreesWithTheBackend)
{
    RandomProblems problems(31);
    std::size_t compared = 0;
    for (auto const& experiments : all_experiment_sets)
        for (int p = 0; p < 6; ++p)
        {
            auto const problem = p % 3 == 2 ? problems.cancelling(prepared(experiments), 20)
                                            : problems.next(prepared(experiments), 20);
            auto const expected = evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
            bool const one = problem->view().layout.n_monomials == 3;
            bool const two_pulls = problem->view().fit.n_pulls == 2;
            auto const results = one && two_pulls ? by_computed_rates<3, 2>(*problem) : by_computed_rates<-1, -1>(*problem);
            for (std::size_t i = 0; i < results.chi2.size(); ++i)
                if (expected.status[i] == static_cast<std::uint8_t>(PointStatus::ok))
                {
                    EXPECT_TRUE(chi2_agrees(results.chi2[i], expected.chi2[i], tolerance::implementation));
                    ++compared;
                }
                else
                {
                    EXPECT_TRUE(std::isnan(results.chi2[i])) << i;
                }
        }
    EXPECT_GT(compared, 100u);
}

TEST_P(Lanes, NeighboursNeverMatter)
{
    // Each point once among easy neighbours and once among those that overflow, cancel or need many steps.
    ChosenSet const set(GetParam()->name);
    for (auto const& experiments : all_experiment_sets)
    {
        std::vector<double> const easy{1e-12, 2e-12, 3e-12, 5e-12, 1e-11, 2e-11, 4e-11, 7e-11};
        std::vector<double> mixed;
        for (double const value : easy)
            mixed.insert(mixed.end(), {value, 1e300, 1e-3, 0.0, 1e-9});
        auto const list = [&](std::vector<double> const& values) {
            auto const problem = std::make_shared<Problem const>(prepared(experiments), std::vector<int>{find_parameter("mu_e")},
                                                                 std::vector<std::vector<double>>{values}, FixedParameters{});
            return evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
        };
        auto const plain = list(easy);
        auto const among = list(mixed);
        for (std::size_t i = 0; i < easy.size(); ++i)
        {
            EXPECT_EQ(plain.chi2[i], among.chi2[5 * i]);
            EXPECT_EQ(plain.status[i], among.status[5 * i]);
            EXPECT_EQ(among.status[5 * i + 1], static_cast<std::uint8_t>(PointStatus::not_finite));
            EXPECT_EQ(plain.pulls[i * plain.pulls.size() / easy.size()], among.pulls[5 * i * among.pulls.size() / mixed.size()]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Sets, Lanes, ::testing::ValuesIn(all_sets()), [](auto const& set) { return set.param->name; });

TEST(LaneSets, FusedSetsGiveTheSameBits)
{
    std::vector<LaneKernels const*> fused;
    for (auto const* set : all_sets())
        if (set->fused)
            fused.push_back(set);
    if (fused.size() < 2)
        GTEST_SKIP() << "nothing to compare: this processor has " << fused.size()
                     << " of the instruction sets with fused multiply-add (AVX2, AVX-512)";
    RandomProblems problems(23);
    for (auto const& experiments : all_experiment_sets)
    {
        auto const problem = problems.next(prepared(experiments), 300);
        std::vector<Results> results;
        for (auto const* set : fused)
        {
            ChosenSet const chosen(set->name);
            results.push_back(evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()}));
        }
        for (auto const& other : results)
            EXPECT_TRUE(same_bits(results.front().chi2, other.chi2));
    }
}

TEST(LaneSets, UnknownNameIsAnInputError)
{
    ChosenSet const set("mmx");
    EXPECT_THROW(choose_lane_kernels(), InputError);
}

} // namespace
} // namespace nuscan
