/// \file
/// What every backend must do, whatever it runs on. A backend's test file includes this and instantiates the suite with a factory.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>

#include "evaluate.hpp"
#include "host/backends/cpu.hpp"
#include "host/backends/reference.hpp"
#include "host/scan/self_check.hpp"
#include "random_points.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"
#include "tests/support/toy_experiments.hpp"

namespace nuscan
{

struct BackendCase
{
    std::string name;
    std::function<std::unique_ptr<Backend>(std::shared_ptr<Problem const>)> make;
    /// Points compared with the reference per experiment set.
    int reference_points = 40;
    /// A backend of milliseconds a point takes small sizes only.
    bool slow = false;
    /// Bound against the reference.
    double tolerance = tolerance::discretisation;
    /// Called before each test, if anything is to be done; may skip it or fail it.
    std::function<void()> before = nullptr;
};

/// Its name in lists of tests.
inline void PrintTo(BackendCase const& backend, std::ostream* stream)
{
    *stream << backend.name;
}

class Conformance : public ::testing::TestWithParam<BackendCase>
{
protected:
    void SetUp() override
    {
        if (GetParam().before)
            GetParam().before();
    }

    static std::shared_ptr<Problem const> vector_grid(std::vector<std::string> const& experiments, std::int64_t n_mass,
                                                      std::int64_t n_coupling)
    {
        return std::make_shared<Problem const>(prepared(experiments),
                                               std::vector<Axis>{make_axis("m_V", 1e-4, 1e3, n_mass, AxisScale::log),
                                                                 make_axis("g_V", 1e-8, 1e-2, n_coupling, AxisScale::log)},
                                               FixedParameters{});
    }

    /// Compares about \p points random points, among them some where amplitudes cancel.
    void compare_with_reference(std::shared_ptr<Prepared const> const& prepared, RandomProblems& problems, int points)
    {
        ReferenceCalculation const reference(prepared->inputs());
        int const per_problem = 5;
        for (int p = 0; p < points / per_problem; ++p)
        {
            auto const problem = p % 8 == 7 ? problems.cancelling(prepared, per_problem) : problems.next(prepared, per_problem);
            auto const results = evaluate(*GetParam().make(problem), *problem, {0, problem->size()});
            std::size_t const n_pulls = results.pulls.size() / results.chi2.size();
            for (std::int64_t i = 0; i < problem->size(); ++i)
            {
                auto const slot = static_cast<std::size_t>(i);
                auto const expected = reference.evaluate(problem->values(i));
                double const deviation = check_deviation(results.chi2[slot], expected.chi2);
                EXPECT_LT(deviation, GetParam().tolerance)
                    << "point " << i << " of problem " << p << ": " << results.chi2[slot] << " against " << expected.chi2;
                EXPECT_EQ(n_pulls, expected.pulls.size());
                EXPECT_TRUE(std::isfinite(results.chi2[slot]));
                EXPECT_EQ(expected.status, PointStatus::ok);
                deviations_.push_back(deviation);
            }
        }
    }

    void report_deviations()
    {
        std::sort(deviations_.begin(), deviations_.end());
        RecordProperty("points", static_cast<int>(deviations_.size()));
        RecordProperty("worst", std::to_string(deviations_.back()));
        std::printf("%zu points against the reference: median %.1e, 90%% %.1e, worst %.1e of 1 + chi2\n", deviations_.size(),
                    deviations_[deviations_.size() / 2], deviations_[deviations_.size() * 9 / 10], deviations_.back());
    }

private:
    std::vector<double> deviations_;
};

TEST_P(Conformance, EmptyRangeWritesNothing)
{
    auto const problem = vector_grid({"xenonnt_sr0"}, 3, 4);
    auto const results = evaluate(*GetParam().make(problem), *problem, {5, 5});
    EXPECT_TRUE(results.chi2.empty());
}

TEST_P(Conformance, AnySizeGivesTheSamePoints)
{
    // Sizes around warps, tiles and blocks; each point's result is that of the whole grid.
    bool first = true;
    for (auto const& experiments : all_experiment_sets)
    {
        std::vector<std::int64_t> sizes{1, 31, 32, 33};
        if (!GetParam().slow)
            sizes.insert(sizes.end(), {127, 128, 129, 255, 256, 257});
        else if (first)
            sizes.insert(sizes.end(), {127, 128, 129});
        auto const problem = vector_grid(experiments, 4, !GetParam().slow ? 130 : first ? 36 : 12);
        first = false;
        auto const whole = evaluate(*GetParam().make(problem), *problem, {0, problem->size()});
        auto const backend = GetParam().make(problem);
        for (std::int64_t const size : sizes)
            for (std::int64_t const begin : {std::int64_t{0}, std::int64_t{13}, problem->size() - size})
            {
                auto const part = evaluate(*backend, *problem, {begin, begin + size});
                for (std::int64_t i = 0; i < size; ++i)
                {
                    auto const slot = static_cast<std::size_t>(i);
                    ASSERT_EQ(part.chi2[slot], whole.chi2[slot + static_cast<std::size_t>(begin)]);
                    ASSERT_EQ(part.status[slot], whole.status[slot + static_cast<std::size_t>(begin)]);
                }
            }
    }
}

TEST_P(Conformance, RepeatsItselfBitForBit)
{
    RandomProblems problems(11);
    for (auto const& experiments : all_experiment_sets)
    {
        auto const problem = problems.next(prepared(experiments), 60);
        auto const first = evaluate(*GetParam().make(problem), *problem, {0, problem->size()});
        auto const again = evaluate(*GetParam().make(problem), *problem, {0, problem->size()});
        EXPECT_TRUE(same_bits(first.chi2, again.chi2));
        EXPECT_TRUE(same_bits(first.pulls, again.pulls));
        EXPECT_TRUE(same_bits(first.rates, again.rates));
    }
}

TEST_P(Conformance, MassMayRunFastOrSlow)
{
    auto const slow = std::make_shared<Problem const>(
        prepared({"lz_ws2022"}),
        std::vector<Axis>{make_axis("m_S", 1e-3, 10.0, 5, AxisScale::log), make_axis("g_S", 1e-8, 1e-5, 7, AxisScale::log)},
        FixedParameters{});
    auto const fast = std::make_shared<Problem const>(
        prepared({"lz_ws2022"}),
        std::vector<Axis>{make_axis("g_S", 1e-8, 1e-5, 7, AxisScale::log), make_axis("m_S", 1e-3, 10.0, 5, AxisScale::log)},
        FixedParameters{});
    auto const a = evaluate(*GetParam().make(slow), *slow, {0, 35});
    auto const b = evaluate(*GetParam().make(fast), *fast, {0, 35});
    for (std::size_t m = 0; m < 5; ++m)
        for (std::size_t g = 0; g < 7; ++g)
            EXPECT_EQ(a.chi2[m * 7 + g], b.chi2[g * 5 + m]);
}

TEST_P(Conformance, FarIndicesOfHugeGridsAreReached)
{
    // 10^12 points, of which three are asked for.
    auto const problem = std::make_shared<Problem const>(prepared({"xenonnt_sr0"}),
                                                         std::vector<Axis>{make_axis("r2_e", -1e-30, 1e-30, 10000),
                                                                           make_axis("r2_mu", -1e-30, 1e-30, 10000),
                                                                           make_axis("r2_tau", -1e-30, 1e-30, 10000)},
                                                         FixedParameters{});
    std::int64_t const far = problem->size() - 3;
    auto const results = evaluate(*GetParam().make(problem), *problem, {far, far + 3});
    for (std::int64_t i = 0; i < 3; ++i)
    {
        FixedParameters point;
        auto const values = problem->values(far + i);
        for (Axis const& axis : problem->axes())
            point[axis.parameter] = values[axis.parameter];
        double const expected = evaluate_point(problem->prepared(), point, false).fit.chi2;
        EXPECT_TRUE(chi2_agrees(results.chi2[static_cast<std::size_t>(i)], expected, GetParam().tolerance));
    }
}

TEST_P(Conformance, FailedPointsHaveNoPullsAndTheRatesThatWereComputed)
{
    // Rates go with mu^2 and overflow from about 10^145 mu_B on; with the pulls fixed a Gaussian chi^2, their square, from 10^70 on.
    std::vector<double> const moments{1e-12, 1e100, 1e140, 1e150, 1e300, 1e-11};
    for (auto const& experiments : all_experiment_sets)
        for (bool const fix_pulls : {false, true})
        {
            auto const problem = std::make_shared<Problem const>(prepared(experiments), std::vector<int>{find_parameter("mu_e")},
                                                                 std::vector<std::vector<double>>{moments}, FixedParameters{},
                                                                 fix_pulls);
            auto const results = evaluate(*GetParam().make(problem), *problem, {0, problem->size()});
            ReferenceCalculation::Options options;
            options.fix_pulls = fix_pulls;
            ReferenceCalculation const reference(problem->prepared().inputs(), options);
            std::size_t const n_pulls = results.pulls.size() / moments.size();
            std::size_t const n_rates = results.rates.size() / moments.size();
            bool const gaussian = experiments.front() == "xenonnt_sr0";
            for (std::size_t i = 0; i < moments.size(); ++i)
            {
                SCOPED_TRACE(
                    fmt::format("{}, mu_e = {:g} mu_B, pulls {}", experiments.front(), moments[i], fix_pulls ? "fixed" : "free"));
                bool const fails = moments[i] > (fix_pulls && gaussian ? 1e80 : 1e145);
                EXPECT_EQ(results.status[i], static_cast<std::uint8_t>(fails ? PointStatus::not_finite : PointStatus::ok));
                EXPECT_EQ(std::isnan(results.chi2[i]), fails);
                for (std::size_t p = 0; p < n_pulls; ++p)
                    EXPECT_EQ(std::isnan(results.pulls[i * n_pulls + p]), fails) << p; // beta first
                auto const expected = reference.evaluate(problem->values(static_cast<std::int64_t>(i)));
                EXPECT_EQ(results.status[i], static_cast<std::uint8_t>(expected.status));
                std::vector<double> rates;
                for (auto const& of_experiment : expected.rates)
                    rates.insert(rates.end(), of_experiment.begin(), of_experiment.end());
                ASSERT_EQ(n_rates, rates.size());
                auto const all_finite = [](auto begin, auto end) {
                    return std::all_of(begin, end, [](double rate) { return std::isfinite(rate); });
                };
                auto const own = results.rates.begin() + static_cast<std::ptrdiff_t>(i * n_rates);
                EXPECT_EQ(all_finite(own, own + static_cast<std::ptrdiff_t>(n_rates)), all_finite(rates.begin(), rates.end()));
                for (std::size_t b = 0; b < n_rates; ++b)
                    if (std::isfinite(own[static_cast<std::ptrdiff_t>(b)]) && std::isfinite(rates[b]))
                    {
                        EXPECT_TRUE(is_close(own[static_cast<std::ptrdiff_t>(b)], rates[b], tolerance::discretisation))
                            << "bin " << b;
                    }
            }
        }
}

TEST_P(Conformance, AgreesWithTheReference)
{
    RandomProblems problems(2208);
    for (auto const& experiments : all_experiment_sets)
        compare_with_reference(prepared(experiments), problems, GetParam().reference_points);
    report_deviations();
}

TEST_P(Conformance, AgreesWithTheReferenceOnExperimentsOfOtherKinds)
{
    test::ToyData const data;
    data.add({"toy_poisson", false, true, 5});
    data.add({"toy_gaussian", true, true, 4});
    data.add({"toy_crowded", false, false, max_pulls});
    data.add({"toy_plain", true, false, 0});
    RandomProblems problems(71);
    for (auto const& experiments : std::vector<std::vector<std::string>>{
             {"toy_poisson"}, {"toy_gaussian"}, {"toy_crowded"}, {"toy_plain"}, {"toy_gaussian", "toy_poisson", "toy_plain"}})
    {
        SCOPED_TRACE(experiments.front());
        compare_with_reference(std::make_shared<Prepared const>(data.inputs(experiments)), problems,
                               GetParam().reference_points / 4);
    }
    report_deviations();
}

TEST_P(Conformance, AgreesWithTheReferenceOnRandomExperiments)
{
    // Each column of kinds goes through its own cycle: many events, many pulls, narrow and wide ones, one bin and sixty.
    double const events[] = {1e4, 1e5, 1e6, 1e7};
    int const pulls[] = {1, 3, 8, 5, 2};
    double const sigmas[] = {0.01, 0.1, 1.0};
    int const bins[] = {4, 60, 1, 20, 8, 2, 30};
    int const toys = 36;
    int const compared = std::min(toys, GetParam().reference_points / 4);
    std::mt19937_64 generator(20);
    RandomProblems problems(5);
    test::ToyData const data;
    for (int i = 0; i < toys; ++i)
    {
        test::RandomToy toy;
        toy.name = fmt::format("toy_{}", i);
        toy.events = events[i % 4];
        toy.pulls = pulls[i % 5];
        toy.pull_sigma = sigmas[i % 3];
        toy.bins = bins[i % 7];
        std::vector<std::string> experiments{toy.name};
        switch (i % 6)
        {
        case 0:
            toy.from_zero = true;
            break;
        case 1:
            if (i % 12 == 1)
                toy.empty = true;
            else
                toy.events = toy.pulls = 0;
            break;
        case 2:
            data.add({fmt::format("joined_{}", i), true, bins[(i + 2) % 7], events[(i + 1) % 4], 3, sigmas[(i + 1) % 3]},
                     generator);
            experiments.push_back(fmt::format("joined_{}", i));
            break;
        default:
            break;
        }
        data.add(toy, generator);
        // A backend that is compared at fewer points takes every so many.
        if (i * compared / toys == (i + 1) * compared / toys)
            continue;
        SCOPED_TRACE(
            fmt::format("toy {}: {} bins, {:g} events, {} pulls of {}", i, toy.bins, toy.events, toy.pulls, toy.pull_sigma));
        compare_with_reference(std::make_shared<Prepared const>(data.inputs(experiments)), problems, 5);
    }
    report_deviations();
}

TEST_P(Conformance, AgreesWithTheReferenceWhereABackgroundIsBelowItsSignal)
{
    test::ToyData const data;
    RandomProblems problems(9);
    for (double const part : {0.99, 0.9, 0.3})
    {
        std::string const name = fmt::format("part_{}", std::lround(100.0 * part));
        SCOPED_TRACE(name);
        data.add_with_signal(name, {10.0, 10.0, 20.0, part * 24.6, part * 38.0});
        compare_with_reference(std::make_shared<Prepared const>(data.inputs({name})), problems, GetParam().reference_points / 4);
    }
    report_deviations();
}

TEST_P(Conformance, RatesAndPullsAreThoseOfThePoint)
{
    for (auto const& experiments : all_experiment_sets)
    {
        auto const problem = vector_grid(experiments, 2, 20);
        auto const results = evaluate(*GetParam().make(problem), *problem, {0, problem->size()});
        std::size_t const n_pulls = problem->prepared().pull_names().size();
        std::size_t const bins = results.rates.size() / results.chi2.size();
        for (std::size_t i = 0; i < results.chi2.size(); i += 7)
        {
            FixedParameters point;
            auto const values = problem->values(static_cast<std::int64_t>(i));
            for (Axis const& axis : problem->axes())
                point[axis.parameter] = values[axis.parameter];
            auto const expected = evaluate_point(problem->prepared(), point, false);
            for (std::size_t p = 0; p < n_pulls; ++p)
                EXPECT_NEAR(results.pulls[i * n_pulls + p], expected.pulls[p], 1e-5); // the minimum is flat
            std::size_t bin = 0;
            for (auto const& rates : expected.rates)
                for (double const rate : rates)
                    EXPECT_NEAR(results.rates[i * bins + bin++], rate, 1e-8 * (1.0 + rate)); // against the reference's nodes too
        }
    }
}

} // namespace nuscan
