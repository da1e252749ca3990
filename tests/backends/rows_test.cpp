// Rows of a grid, where a point begins at the minima of its neighbours: the results are those of points that stand alone.
#include "host/backends/rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "evaluate.hpp"
#include "host/backends/cpu.hpp"
#include "host/scan/self_check.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// A row stops at a squared Newton decrement of 1e-8 and takes that step: pulls are then good to 1e-8 of their errors; the pulls of
/// the general minimisation to 1e-6.
constexpr double pull_tolerance = 1e-5;

std::vector<std::vector<std::string>> const fits{
    {"lz_ws2022"}, {"lz_ws2022_arxiv2208"}, {"xenonnt_sr0"}, {"xenonnt_sr0", "lz_ws2022"}};

/// Grids whose last axis is a coupling: weak and overwhelming, both signs, with and without interference, after masses and after
/// other couplings, tiles and blocks that do not fit.
std::vector<std::vector<Axis>> grids()
{
    auto const log = AxisScale::log;
    return {
        {make_axis("mu_e", 0.0, 1e-10, 300)},
        {make_axis("mu_universal", 1e-13, 1e-3, 700, log)},
        {make_axis("q_e", -1e-11, 1e-11, 523)},
        {make_axis("r2_mu", -1e-28, 1e-28, 97)},
        {make_axis("m_V", 1e-4, 1e3, 5, log), make_axis("g_V", 1e-8, 1e-1, 300, log)},
        {make_axis("m_A", 1e-3, 1e2, 4, log), make_axis("g_A", -1e-5, 1e-5, 41)},
        {make_axis("m_S", 1e-3, 1e2, 4, log), make_axis("g_S", 1e-7, 1e2, 130, log)},
        {make_axis("q_mu", -2e-12, 2e-12, 9), make_axis("q_e", -2e-12, 2e-12, 33)},
        {make_axis("Lambda_1", 0.0, 1e-10, 4), make_axis("Lambda_2", 0.0, 1e-10, 5), make_axis("Lambda_3", 0.0, 1e-9, 64)},
        {make_axis("g_V", 1e-8, 1e-5, 3, log), make_axis("m_V", 1e-2, 1e2, 3, log), make_axis("m_S", 1e-2, 1e2, 2, log),
         make_axis("g_S", 1e-8, 1e-4, 20, log)},
    };
}

std::shared_ptr<Problem const> problem_of(std::vector<std::string> const& experiments, std::vector<Axis> const& axes)
{
    return std::make_shared<Problem const>(prepared(experiments), axes, FixedParameters{});
}

TEST(Rows, PointsAreThoseThatStandAlone)
{
    double worst = 0.0;
    double worst_pull = 0.0;
    for (auto const& experiments : fits)
        for (auto const& axes : grids())
        {
            auto const problem = problem_of(experiments, axes);
            ASSERT_TRUE(Rows{problem->view()}.any());
            auto const results = evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
            auto const& view = problem->view();
            std::vector<double> rates(static_cast<std::size_t>(view.layout.n_slots));
            auto const n_pulls = static_cast<std::size_t>(view.fit.n_pulls);
            for (std::int64_t i = 0; i < problem->size(); ++i)
            {
                std::int64_t node[max_axes];
                view.grid.nodes(i, node);
                point_rates_direct(view, node, rates.data());
                FitResult const single = profile_chi2(view.fit, rates.data());
                auto const slot = static_cast<std::size_t>(i);
                ASSERT_EQ(single.status == PointStatus::ok, results.status[slot] <= 1) << experiments[0] << " point " << i;
                ASSERT_TRUE(chi2_agrees(results.chi2[slot], single.chi2, tolerance::implementation))
                    << experiments[0] << " point " << i << " of " << parameter_info(axes.back().parameter).name << ": "
                    << results.chi2[slot] << " " << single.chi2;
                worst = std::max(worst, check_deviation(results.chi2[slot], single.chi2));
                double const* const pulls = results.pulls.data() + slot * (1 + n_pulls);
                worst_pull = std::max(worst_pull, std::fabs(pulls[0] + 1.0 - single.signal_scale) / view.fit.signal_sigma);
                for (std::size_t p = 0; p < n_pulls; ++p)
                    worst_pull = std::max(worst_pull, std::fabs(pulls[1 + p] - single.pulls[p]) / view.fit.pull_sigma[p]);
            }
        }
    std::printf("worst %.1e of 1 + chi2, pulls %.1e of their errors\n", worst, worst_pull);
    EXPECT_LT(worst_pull, pull_tolerance);
}

TEST(Rows, ChunksAndThreadsNeverMatter)
{
    for (auto const& experiments : fits)
        for (auto const& axes : grids())
        {
            auto const problem = problem_of(experiments, axes);
            auto const whole = evaluate(*make_cpu_backend(problem, Route::factored, 2), *problem, {0, problem->size()});
            for (std::int64_t const chunk : {1, 37, 129, 300})
            {
                if (chunk == 1 && problem->size() > 100)
                    continue;
                auto const backend = make_cpu_backend(problem, Route::factored, 1);
                Results parts;
                for (std::int64_t begin = 0; begin < problem->size(); begin += chunk)
                {
                    auto const part = evaluate(*backend, *problem, {begin, std::min(begin + chunk, problem->size())});
                    parts.chi2.insert(parts.chi2.end(), part.chi2.begin(), part.chi2.end());
                    parts.status.insert(parts.status.end(), part.status.begin(), part.status.end());
                    parts.pulls.insert(parts.pulls.end(), part.pulls.begin(), part.pulls.end());
                    parts.rates.insert(parts.rates.end(), part.rates.begin(), part.rates.end());
                }
                EXPECT_TRUE(same_bits(whole.chi2, parts.chi2)) << chunk;
                EXPECT_EQ(whole.status, parts.status) << chunk;
                EXPECT_TRUE(same_bits(whole.pulls, parts.pulls)) << chunk;
                EXPECT_TRUE(same_bits(whole.rates, parts.rates)) << chunk;
            }
        }
}

TEST(Rows, PointsWithoutResultDoNotStopTheirNeighbours)
{
    // Rates overflow towards the end of the row.
    for (auto const& experiments : fits)
    {
        auto const problem = problem_of(experiments, {make_axis("mu_e", 1e-12, 1e300, 400, AxisScale::log)});
        auto const results = evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
        EXPECT_EQ(results.status.front(), static_cast<std::uint8_t>(PointStatus::ok));
        EXPECT_EQ(results.status.back(), static_cast<std::uint8_t>(PointStatus::not_finite));
        for (std::size_t i = 0; i < results.status.size(); ++i)
            EXPECT_EQ(std::isnan(results.chi2[i]), results.status[i] > 1) << i;
    }
}

TEST(Rows, CancellingPointsTakeTheDirectRoute)
{
    // The anapole moment takes a large charge radius back (r^2 - 6 a is what counts), up to a part of the size of the SM: terms are 1e8
    // times their sum all over the row.
    constexpr double radius = 1e-26;
    constexpr double range = 1e-4;
    for (auto const& experiments : fits)
    {
        auto const problem = std::make_shared<Problem const>(
            prepared(experiments), std::vector<Axis>{make_axis("a_e", radius / 6 * (1.0 - range), radius / 6 * (1.0 + range), 129)},
            FixedParameters{{find_parameter("r2_e"), radius}});
        auto const results = evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
        auto const expected = evaluate(*make_cpu_backend(problem, Route::direct, 1), *problem, {0, problem->size()});
        EXPECT_GT(std::count(results.status.begin(), results.status.end(), static_cast<std::uint8_t>(PointStatus::ok_direct)), 120);
        for (std::size_t i = 0; i < results.chi2.size(); ++i)
            EXPECT_TRUE(chi2_agrees(results.chi2[i], expected.chi2[i], tolerance::implementation)) << i;
    }
}

TEST(Rows, LogarithmsAddUpToTheData)
{
    for (auto const& experiments : fits)
    {
        auto const problem = problem_of(experiments, {make_axis("mu_e", 0.0, 1e-11, 64)});
        auto const& view = problem->view();
        std::vector<double> block(static_cast<std::size_t>(view.layout.size()));
        fold_combination(view, 0, block.data());
        RowMemory memory;
        Rows const rows{view};
        std::int64_t const node[max_axes] = {};
        ASSERT_TRUE(rows.prepare(node, block.data(), memory));
        if (!view.fit.has_poisson)
            continue;
        std::vector<double> sum(static_cast<std::size_t>(view.fit.counted.n), 0.0);
        auto const& logs = memory.view.logs;
        for (int g = 0; g < logs.n; ++g)
        {
            EXPECT_LE(logs.first[g + 1] - logs.first[g], max_log_factors);
            for (int j = logs.first[g]; j < logs.first[g + 1]; ++j)
                sum[static_cast<std::size_t>(logs.bin[j])] += logs.weight[g];
        }
        for (std::size_t k = 0; k < sum.size(); ++k)
            EXPECT_EQ(sum[k], view.fit.counted.data[k]);
    }
}

TEST(Rows, OnlyCouplingsOnTheLastAxisMakeRows)
{
    auto const any = [](std::vector<Axis> const& axes) {
        auto const problem = problem_of({"lz_ws2022"}, axes);
        return Rows{problem->view()}.any();
    };
    EXPECT_TRUE(any({make_axis("m_V", 0.1, 1.0, 3), make_axis("g_V", 1e-8, 1e-6, 16)}));
    EXPECT_FALSE(any({make_axis("g_V", 1e-8, 1e-6, 16), make_axis("m_V", 0.1, 1.0, 30)}));
    EXPECT_FALSE(any({make_axis("mu_e", 0.0, 1e-11, 5)})) << "not worth it";
}

} // namespace
} // namespace nuscan
