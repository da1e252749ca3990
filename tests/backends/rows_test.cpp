// Rows of a grid, where a point begins at the minima of its neighbours: the results are those of points that stand alone.
#include "host/backends/rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "evaluate.hpp"
#include "host/backends/cpu.hpp"
#include "host/backends/lanes/lane_kernels.hpp"
#include "host/backends/lanes/lanes.hpp"
#include "host/scan/self_check.hpp"
#include "instruction_sets.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"
#include "tests/support/toy_experiments.hpp"

namespace nuscan
{
namespace
{

/// A row stops at a squared Newton decrement of 1e-8 and takes that step: pulls are then good to 1e-8 of their errors; the pulls of
/// the general minimisation to 1e-6.
constexpr double pull_tolerance = 1e-5;

/// Products and sums round at the size of the data, 1e4 at most, by up to 3e-15 of it.
constexpr double sum_rounding = 3e-11;

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

/// Largest differences between the points of grids and the same points on their own.
struct Differences
{
    double chi2 = 0.0; ///< of 1 + chi^2
    double pull = 0.0; ///< of a pull's error

    void add(std::string const& what, Problem const& problem, Results const& results)
    {
        auto const& view = problem.view();
        std::vector<double> rates(static_cast<std::size_t>(view.layout.n_slots));
        auto const n_pulls = static_cast<std::size_t>(view.fit.n_pulls);
        for (std::int64_t i = 0; i < problem.size(); ++i)
        {
            std::int64_t node[max_axes];
            view.grid.nodes(i, node);
            point_rates_direct(view, node, rates.data());
            FitResult const single = profile_chi2(view.fit, rates.data());
            auto const slot = static_cast<std::size_t>(i);
            ASSERT_EQ(single.status == PointStatus::ok, results.status[slot] <= 1) << what << " point " << i;
            ASSERT_TRUE(chi2_agrees(results.chi2[slot], single.chi2, tolerance::implementation)) << what << " point " << i;
            chi2 = std::max(chi2, check_deviation(results.chi2[slot], single.chi2));
            double const* const pulls = results.pulls.data() + slot * (1 + n_pulls);
            pull = std::max(pull, std::fabs(pulls[0] + 1.0 - single.signal_scale) / view.fit.signal_sigma);
            for (std::size_t p = 0; p < n_pulls; ++p)
                pull = std::max(pull, std::fabs(pulls[1 + p] - single.pulls[p]) / view.fit.pull_sigma[p]);
        }
    }
};

TEST(Rows, PointsAreThoseThatStandAlone)
{
    Differences worst;
    for (auto const& experiments : fits)
        for (auto const& axes : grids())
        {
            auto const problem = problem_of(experiments, axes);
            ASSERT_TRUE(Rows{problem->view()}.any());
            auto const results = evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
            worst.add(experiments[0] + " " + parameter_info(axes.back().parameter).name, *problem, results);
        }
    std::printf("worst %.1e of 1 + chi2, pulls %.1e of their errors\n", worst.chi2, worst.pull);
    EXPECT_LT(worst.pull, pull_tolerance);
}

TEST(Rows, PointsOfAnyExperimentAreThoseThatStandAlone)
{
    // From bins that are mostly empty to a million events in each, with data that scatter and with the best possible ones; one bin and
    // sixty.
    std::mt19937_64 generator(3);
    test::ToyData const data;
    data.add({"gaussian", true, 20, 100.0, 2}, generator);
    Differences worst;
    int number = 0;
    for (double const events : {0.3, 10.0, 1e3, 1e4, 1e5, 1e6})
        for (int const bins : {1, 60})
            for (bool const scattered : {true, false})
            {
                int const pulls[] = {0, 1, 2, 3, max_pulls};
                test::RandomToy toy;
                toy.name = fmt::format("toy_{}", number);
                toy.events = events;
                toy.bins = bins;
                toy.pulls = pulls[number % 5];
                toy.scattered = scattered;
                data.add(toy, generator);
                std::vector<std::string> experiments{toy.name};
                if (number % 4 == 3 && toy.pulls < max_pulls - 2)
                    experiments.emplace_back("gaussian");
                auto const inputs = std::make_shared<Prepared const>(data.inputs(experiments));
                for (Axis const& axis : {make_axis("mu_e", 1e-13, 1e-9, 100, AxisScale::log), make_axis("q_e", -1e-11, 1e-11, 100)})
                {
                    auto const problem = std::make_shared<Problem const>(inputs, std::vector<Axis>{axis}, FixedParameters{});
                    auto const results = evaluate(*make_cpu_backend(problem, Route::factored, 1), *problem, {0, problem->size()});
                    worst.add(fmt::format("{} bins of {:g} events, {} pulls, scattered {}, {}", bins, events, toy.pulls, scattered,
                                          parameter_info(axis.parameter).name),
                              *problem, results);
                }
                ++number;
            }
    std::printf("worst %.1e of 1 + chi2, pulls %.1e of their errors\n", worst.chi2, worst.pull);
    EXPECT_LT(worst.pull, pull_tolerance);
    EXPECT_LT(worst.chi2, sum_rounding);
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

/// One row of a problem by the kernel alone: what it leaves to others shows in the status.
class OneRow
{
public:
    explicit OneRow(std::shared_ptr<Problem const> const& problem) : problem_(problem), view_(problem->view())
    {
        block_.resize(static_cast<std::size_t>(view_.layout.size()));
        fold_combination(view_, 0, block_.data());
    }

    /// A background in a counted bin that the signal does not reach. \param quotient  over the data
    void set_background(int counted_bin, double quotient)
    {
        CountedBins& counted = view_.fit.counted;
        auto const n_pulls = static_cast<std::size_t>(view_.fit.n_pulls);
        auto const k = static_cast<std::size_t>(counted_bin);
        base_.assign(counted.base, counted.base + counted.n);
        templates_.assign(counted.templates, counted.templates + static_cast<std::size_t>(counted.n) * n_pulls);
        base_[k] = quotient * counted.data[k];
        std::fill_n(templates_.begin() + static_cast<std::ptrdiff_t>(k * n_pulls), n_pulls, 0.0);
        counted.base = base_.data();
        counted.templates = templates_.data();
        dark_slot_ = counted.slot[k];
        for (int m = 0; m < view_.layout.n_monomials; ++m)
            block_[static_cast<std::size_t>(view_.layout.rate(m, dark_slot_))] = 0.0;
    }

    /// All data times \p factor.
    void scale_data(double factor)
    {
        CountedBins& counted = view_.fit.counted;
        for (int k = 0; k < counted.n; ++k)
        {
            data_.push_back(factor * counted.data[k]);
            inverse_.push_back(1.0 / data_.back());
        }
        counted.data = data_.data();
        counted.inverse = inverse_.data();
        view_.fit.concordance = std::max(1.0, std::sqrt(1.0 / *std::min_element(data_.begin(), data_.end())));
    }

    Results by_row(LaneKernels const& kernels, bool spanned)
    {
        Rows const rows{view_};
        RowMemory memory;
        std::int64_t const node[max_axes] = {};
        EXPECT_TRUE(rows.prepare(node, block_.data(), memory));
        spanned_ = memory.view.spanned;
        memory.view.spanned = spanned;
        Results results;
        auto const n = static_cast<std::size_t>(rows.length());
        results.chi2.resize(n);
        results.status.resize(n);
        std::vector<double> workspace(workspace_bytes(view_.layout) / sizeof(double) + workspace_alignment);
        void* aligned = workspace.data();
        std::size_t space = workspace.size() * sizeof(double);
        RowBatch batch;
        batch.fit = &view_.fit;
        batch.row = &memory.view;
        batch.n_points = static_cast<int>(n);
        batch.strengths = rows.strengths();
        batch.workspace = std::align(workspace_alignment, workspace_bytes(view_.layout), aligned, space);
        batch.outputs = {results.chi2.data(), results.status.data(), nullptr};
        kernels.row(batch);
        return results;
    }

    double single(std::int64_t point) const
    {
        std::vector<double> rates(static_cast<std::size_t>(view_.layout.n_slots));
        point_rates_direct(view_, &point, rates.data());
        if (dark_slot_ >= 0)
            rates[static_cast<std::size_t>(dark_slot_)] = 0.0;
        return profile_chi2(view_.fit, rates.data()).chi2;
    }

    /// What the last row was found to be.
    bool spanned() const { return spanned_; }

private:
    std::shared_ptr<Problem const> problem_;
    ProblemView view_;
    std::vector<double> block_;
    std::vector<double> base_;
    std::vector<double> templates_;
    std::vector<double> data_;
    std::vector<double> inverse_;
    int dark_slot_ = -1;
    bool spanned_ = false;
};

/// Scans by every instruction set: those with fused multiply-add give the same bits, the others round differently.
TEST(Rows, InstructionSetsAgree)
{
    double worst = 0.0;
    for (Route const route : {Route::factored, Route::direct})
        for (auto const& experiments : fits)
            for (auto const& axes : grids())
            {
                auto const problem = problem_of(experiments, axes);
                IndexRange const range{0, route == Route::direct ? std::min<std::int64_t>(problem->size(), 60) : problem->size()};
                std::optional<Results> first;
                std::optional<Results> fused;
                for (auto const* set : all_sets())
                {
                    SCOPED_TRACE(
                        fmt::format("{}, {}, {}", set->name, experiments.back(), parameter_info(axes.back().parameter).name));
                    ChosenSet const chosen(set->name);
                    auto const results = evaluate(*make_cpu_backend(problem, route, 1), *problem, range);
                    if (!first)
                        first = results;
                    ASSERT_EQ(results.status, first->status);
                    for (std::size_t i = 0; i < results.chi2.size(); ++i)
                        worst = std::max(worst, check_deviation(results.chi2[i], first->chi2[i]));
                    if (!set->fused)
                        continue;
                    if (!fused)
                        fused = results;
                    EXPECT_TRUE(same_bits(results.chi2, fused->chi2));
                    EXPECT_TRUE(same_bits(results.pulls, fused->pulls));
                    EXPECT_TRUE(same_bits(results.rates, fused->rates));
                }
            }
    std::printf("worst %.1e of 1 + chi2\n", worst);
    EXPECT_LT(worst, tolerance::summation);
}

TEST(Rows, BackgroundMadeOfThePullsTemplatesIsNoOtherFit)
{
    for (std::string const experiment : {"lz_ws2022", "lz_ws2022_arxiv2208"})
        for (auto const* set : all_sets())
        {
            OneRow row(problem_of({experiment}, {make_axis("mu_e", 0.0, 2e-11, 200)}));
            auto const fast = row.by_row(*set, true);
            EXPECT_TRUE(row.spanned());
            auto const plain = row.by_row(*set, false);
            for (std::size_t i = 0; i < fast.chi2.size(); ++i)
            {
                ASSERT_EQ(fast.status[i], static_cast<std::uint8_t>(PointStatus::ok)) << i;
                ASSERT_EQ(plain.status[i], static_cast<std::uint8_t>(PointStatus::ok)) << i;
                EXPECT_TRUE(chi2_agrees(fast.chi2[i], plain.chi2[i], tolerance::summation)) << set->name << i;
                EXPECT_TRUE(chi2_agrees(fast.chi2[i], row.single(static_cast<std::int64_t>(i)), tolerance::summation))
                    << set->name << i;
            }
        }
}

TEST(Rows, QuotientsFarFromOneAreRightOrLeftToTheGeneralMinimisation)
{
    for (auto const* set : all_sets())
        for (double const quotient : {1e-300, 1e-40, 0.5e-9, 2e-9, 1e-3, 1e3, 1e7, 2e9, 1e40, 1e300})
        {
            SCOPED_TRACE(fmt::format("{}, quotient {:g}", set->name, quotient));
            OneRow row(problem_of({"lz_ws2022"}, {make_axis("mu_e", 0.0, 1e-11, 64)}));
            row.set_background(7, quotient);
            auto const results = row.by_row(*set, false);
            EXPECT_FALSE(row.spanned());
            for (std::size_t i = 0; i < results.chi2.size(); ++i)
            {
                bool const left = results.status[i] == wants_general_route;
                EXPECT_TRUE(left || results.status[i] == static_cast<std::uint8_t>(PointStatus::ok)) << i;
                if (quotient < least_quotient)
                {
                    EXPECT_TRUE(left) << i;
                }
                else if (quotient < 1.0 / least_quotient)
                {
                    EXPECT_FALSE(left) << i;
                }
                if (!left)
                {
                    EXPECT_TRUE(chi2_agrees(results.chi2[i], row.single(static_cast<std::int64_t>(i)), tolerance::implementation))
                        << i;
                }
            }
        }
}

TEST(Rows, DataNeedNotBeWhole)
{
    for (auto const* set : all_sets())
        for (double const factor : {0.95, 1.07})
        {
            OneRow row(problem_of({"lz_ws2022"}, {make_axis("mu_e", 0.0, 1e-11, 64)}));
            row.scale_data(factor);
            auto const results = row.by_row(*set, true);
            int found = 0;
            for (std::size_t i = 0; i < results.chi2.size(); ++i)
                if (results.status[i] == static_cast<std::uint8_t>(PointStatus::ok))
                {
                    EXPECT_TRUE(chi2_agrees(results.chi2[i], row.single(static_cast<std::int64_t>(i)), tolerance::implementation))
                        << set->name << ", factor " << factor << ", point " << i;
                    ++found;
                }
            // The start is that of the data as they were: where it is too far off, points are left to others.
            EXPECT_GE(found, 48) << set->name << ", factor " << factor;
        }
}

/// Data of bins in falling order, and quotients in them.
struct Logarithms
{
    std::vector<double> data;
    std::vector<double> quotients;

    /// By one logarithm for each bin, and the sum of the magnitudes.
    std::pair<long double, double> plain() const
    {
        long double sum = 0.0;
        double size = 0.0;
        for (std::size_t k = 0; k < data.size(); ++k)
        {
            long double const term = data[k] * std::log(static_cast<long double>(quotients[k]));
            sum += term;
            size += data[k] + static_cast<double>(std::fabs(term));
        }
        return {sum, size};
    }
};

/// A product of n factors, its logarithm and n of their sum round a few times each.
double log_rounding(std::size_t bins)
{
    return 1e-16 * static_cast<double>(8 + bins);
}

/// All forms of the sum, with numbers and with registers.
template<class Real>
void expect_plain_sum(Logarithms const& given, bool expect_simple, bool expect_in_range)
{
    LogLevelTable const table(given.data);
    RowView row;
    row.logs = table.view();
    std::vector<double> bins;
    std::vector<Real> products;
    Real product = 1.0;
    for (std::size_t k = 0; k < given.data.size(); ++k)
    {
        bins.insert(bins.end(), {0.0, 0.0, 0.0, std::sqrt(given.data[k]), given.quotients[k]});
        product *= Real(given.quotients[k]);
        products.push_back(product);
    }
    row.bins = bins.data();
    auto const number = [](Real x) {
        if constexpr (std::is_same_v<Real, double>)
            return x;
        else
            return static_cast<double>(x[0]);
    };
    auto const [sum, size] = given.plain();
    double const allowed = log_rounding(given.data.size()) * size;
    Real const y[1] = {0.0};
    double const any = number(detail::sum_of_any_logarithms<-1, Real>(row, 0, Real(0.0), y));
    EXPECT_LE(std::fabs(static_cast<double>(any - sum)), allowed) << given.data.size() << " bins";
    EXPECT_EQ(row.logs.simple, expect_simple);
    if (!row.logs.simple)
        return;
    MaskOf<Real> in_range = Real(1.0) == Real(1.0);
    double const fast = number(detail::sum_of_logarithms(row.logs, products.data(), in_range));
    bool all = false;
    if constexpr (std::is_same_v<Real, double>)
        all = in_range;
    else
        all = RealOps<Real>::all(in_range);
    EXPECT_EQ(all, expect_in_range);
    if (all)
    {
        EXPECT_EQ(fast, any);
    }
}

Logarithms with_quotients(std::vector<double> data, double decades)
{
    std::mt19937_64 generator(data.size());
    std::uniform_real_distribution<double> exponent(-decades, decades);
    std::sort(data.rbegin(), data.rend());
    Logarithms result{std::move(data), {}};
    for (std::size_t k = 0; k < result.data.size(); ++k)
        result.quotients.push_back(std::pow(10.0, exponent(generator)));
    return result;
}

void expect_plain_sum(Logarithms const& given, bool simple, bool in_range)
{
    expect_plain_sum<double>(given, simple, in_range);
    expect_plain_sum<Lanes>(given, simple, in_range);
}

TEST(LogLevels, AreTheSumOfAllLogarithms)
{
    double const near = 0.3;
    expect_plain_sum(with_quotients({}, near), true, true);
    expect_plain_sum(with_quotients({3.0}, near), true, true);
    expect_plain_sum(with_quotients({9.0}, near), false, true);
    expect_plain_sum(with_quotients({5.0, 5.0, 4.0, 1.0, 1.0, 1.0}, near), true, true);
    expect_plain_sum(with_quotients(std::vector<double>(16, 1.0), near), true, true);
    expect_plain_sum(with_quotients(std::vector<double>(17, 1.0), near), false, true);
    expect_plain_sum(with_quotients(std::vector<double>(500, 2.0), near), false, true);
    expect_plain_sum(with_quotients({0.25, 1.5, 2.0, 2.75, 1e-3}, near), false, true);
    expect_plain_sum(with_quotients({1e6, 1e6 + 1, 1e6 + 9, 2e6, 3.0, 1e12}, near), false, true);
    std::vector<double> stairs;
    for (int n = 1; n <= 200; ++n)
        stairs.push_back(8.0 * n);
    expect_plain_sum(with_quotients(stairs, near), false, true); // more powers than one product holds
}

TEST(LogLevels, ProductsThatLeaveTheRangeAreNoticed)
{
    double const far = 9.0;
    // The largest and least quotients that a row keeps, in every order of a level.
    std::vector<double> const data(16, 1.0);
    for (double const quotient : {1e-9, 1e9})
        expect_plain_sum(Logarithms{data, std::vector<double>(data.size(), quotient)}, true, false);
    expect_plain_sum(Logarithms{{8.0}, {1e9}}, true, false);
    expect_plain_sum(Logarithms{{8.0}, {1e-8}}, true, true);
    std::vector<double> mixed;
    for (int n = 1; n <= 64; ++n)
        mixed.push_back((n + 3) / 4);
    for (double const sign : {-1.0, 1.0})
    {
        Logarithms given = with_quotients(mixed, far);
        for (std::size_t k = 0; k < given.quotients.size(); ++k)
            given.quotients[k] = std::pow(10.0, k < 32 ? sign * far : -sign * far);
        expect_plain_sum(given, true, false); // down to 0, or up to infinity, and back
    }
}

template<class Real>
class TakeExponent : public ::testing::Test
{
};
using Numbers = ::testing::Types<double, Lanes>;
TYPED_TEST_SUITE(TakeExponent, Numbers);

TYPED_TEST(TakeExponent, LeavesANumberBetweenTheRootsOfTwo)
{
    constexpr double low = 0x1.6a09e667f3bcdp-1; // sqrt(1/2), rounded up
    std::vector<double> numbers{1.0, 2.0, 0.5, std::numeric_limits<double>::min(), std::numeric_limits<double>::max()};
    for (double const scale : {0x1p-1021, 0x1p-1, 1.0, 2.0, 0x1p1022})
        for (double const x : {std::nextafter(low, 0.0), low, std::nextafter(low, 1.0), std::nextafter(1.0, 0.0)})
            numbers.push_back(scale * x);
    for (double const x : numbers)
    {
        TypeParam exponent = 3.0;
        TypeParam const rest = RealOps<TypeParam>::take_exponent(x, exponent);
        double m = 0.0;
        double k = 0.0;
        if constexpr (std::is_same_v<TypeParam, double>)
        {
            m = rest;
            k = exponent;
        }
        else
        {
            m = rest[0];
            k = exponent[0];
        }
        EXPECT_GE(m, low) << x;
        EXPECT_LT(m, 2.0 * low) << x;
        int const power = static_cast<int>(k) - 3;
        EXPECT_EQ(std::ldexp(m, power), x);
    }
}

TEST(ExtrapolationWeights, ContinuePolynomials)
{
    constexpr ExtrapolationWeights weights;
    for (int degree = 0; degree < row_block_size; ++degree)
        for (int i = 0; i < row_block_size; ++i)
        {
            double value = 0.0;
            double size = 0.0;
            for (int j = 0; j < row_block_size; ++j)
            {
                double const term = weights.of[j][i] * std::pow(j, degree);
                value += term;
                size += std::fabs(term);
            }
            EXPECT_NEAR(value, std::pow(row_block_size + i, degree), tolerance::rounding * size) << degree << " " << i;
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
