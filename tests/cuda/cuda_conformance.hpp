/// \file
/// What the CUDA backend must do on any device, real or emulated. One file of a program includes this and instantiates Conformance
/// with cuda_case.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "device_test.hpp"
#include "host/backends/backend.hpp"
#include "tests/backends/conformance.hpp"
#include "tests/support/toy_experiments.hpp"

namespace nuscan
{

inline BackendCase cuda_case(std::string const& name, Route route, int reference_points, bool slow)
{
    BackendCase result{name,
                       [=](std::shared_ptr<Problem const> problem) { return make_cuda_backend(std::move(problem), route, -1); },
                       reference_points, slow};
    result.before = before_device_test;
    return result;
}

class CudaBackendTest : public DeviceTest
{
protected:
    static Results on_cuda(std::shared_ptr<Problem const> const& problem, Route route, IndexRange range)
    {
        return evaluate(*make_cuda_backend(problem, route, -1), *problem, range);
    }
    static Results on_cuda(std::shared_ptr<Problem const> const& problem, Route route)
    {
        return on_cuda(problem, route, {0, problem->size()});
    }
    /// \param threads  0 for all cores
    static Results on_cpu(std::shared_ptr<Problem const> const& problem, Route route, int threads = 2)
    {
        return evaluate(*make_cpu_backend(problem, route, threads), *problem, {0, problem->size()});
    }
};

/// Points of the CUDA backend against those of the CPU. finish() has to be called.
class Comparison
{
public:
    void add(Results const& cuda, Results const& cpu)
    {
        ASSERT_EQ(cuda.chi2.size(), cpu.chi2.size());
        for (std::size_t i = 0; i < cuda.chi2.size(); ++i)
        {
            ++points_;
            direct_ += cpu.status[i] == static_cast<std::uint8_t>(PointStatus::ok_direct);
            double const deviation = check_deviation(cuda.chi2[i], cpu.chi2[i]);
            bool const other_status = cuda.status[i] != cpu.status[i];
            bool const other_route = other_status && is_good(cuda.status[i]) && is_good(cpu.status[i]);
            other_route_ += other_route;
            worst_ = std::max(worst_, deviation);
            if ((other_status && !other_route) || !(deviation < tolerance::implementation))
            {
                ++failed_;
                if (failed_ <= failures_shown)
                    ADD_FAILURE() << "chi2 " << cuda.chi2[i] << ", status " << int{cuda.status[i]} << " against " << cpu.chi2[i]
                                  << ", status " << int{cpu.status[i]};
            }
        }
    }

    std::size_t points() const { return points_; }
    /// Points that the CPU did by the direct route although the factored one was asked for.
    std::size_t direct() const { return direct_; }

    /// The verdict, for people and as properties of the test.
    void finish(std::string const& name) const
    {
        ::testing::Test::RecordProperty("points", std::to_string(points_));
        ::testing::Test::RecordProperty("failed", std::to_string(failed_));
        ::testing::Test::RecordProperty("by_the_direct_route", std::to_string(direct_));
        ::testing::Test::RecordProperty("other_route", std::to_string(other_route_));
        ::testing::Test::RecordProperty("worst", fmt::format("{:.3e}", worst_));
        std::printf("%s: %zu points, %zu by the direct route, worst %.1e of 1 + chi2\n", name.c_str(), points_, direct_, worst_);
        EXPECT_EQ(failed_, 0u);
        EXPECT_LE(static_cast<double>(other_route_), route_tolerance * static_cast<double>(points_));
    }

private:
    static constexpr std::size_t failures_shown = 10;
    /// Share of points that may take another route than on the CPU: how far terms cancel is known up to rounding only, and a point
    /// on the threshold may fall to either side.
    static constexpr double route_tolerance = 1e-4;

    static bool is_good(std::uint8_t status) { return status <= static_cast<std::uint8_t>(PointStatus::ok_direct); }

    std::size_t points_ = 0;
    std::size_t direct_ = 0;
    std::size_t other_route_ = 0;
    std::size_t failed_ = 0;
    double worst_ = 0.0;
};

TEST_F(CudaBackendTest, FactoredAgreesWithTheCpuForAllModels)
{
    RandomProblems problems(101);
    Comparison comparison;
    for (std::string const experiment : {"xenonnt_sr0", "lz_ws2022", "lz_ws2022_arxiv2208"})
        for (int p = 0; p < 40; ++p)
        {
            auto const problem = problems.next(prepared({experiment}), 40);
            comparison.add(on_cuda(problem, Route::factored), on_cpu(problem, Route::factored));
        }
    EXPECT_GE(comparison.points(), 4800u);
    comparison.finish("factored");
}

TEST_F(CudaBackendTest, DirectAgreesWithTheCpuForAllModels)
{
    RandomProblems problems(102);
    Comparison comparison;
    for (std::string const experiment : {"xenonnt_sr0", "lz_ws2022", "lz_ws2022_arxiv2208"})
        for (int p = 0; p < 20; ++p)
        {
            auto const problem = problems.next(prepared({experiment}), 40);
            comparison.add(on_cuda(problem, Route::direct), on_cpu(problem, Route::direct));
        }
    EXPECT_GE(comparison.points(), 2400u);
    comparison.finish("direct");
}

TEST_F(CudaBackendTest, CancellingAmplitudesAndJointFits)
{
    RandomProblems problems(103);
    Comparison comparison;
    for (auto const& experiments : all_experiment_sets)
        for (int p = 0; p < 4; ++p)
        {
            auto const problem = problems.cancelling(prepared(experiments), 12);
            comparison.add(on_cuda(problem, Route::factored), on_cpu(problem, Route::factored));
        }
    for (int p = 0; p < 4; ++p)
    {
        auto const problem = problems.next(prepared({"xenonnt_sr0", "lz_ws2022"}), 40);
        comparison.add(on_cuda(problem, Route::factored), on_cpu(problem, Route::factored));
    }
    EXPECT_GT(comparison.direct(), 10u);
    comparison.finish("cancelling and joint");
}

/// A grid whose mass runs first, in the middle or last; several blocks per mass.
inline std::shared_ptr<Problem const> mass_grid(int place, std::int64_t n_mass, std::int64_t n_first, std::int64_t n_second)
{
    std::vector<Axis> axes{make_axis("g_V", 1e-8, 1e-5, n_first, AxisScale::log), make_axis("r2_e", -1e-31, 1e-31, n_second)};
    axes.insert(axes.begin() + place, make_axis("m_V", 1e-4, 1e2, n_mass, AxisScale::log));
    return std::make_shared<Problem const>(prepared({"xenonnt_sr0"}), axes, FixedParameters{});
}

TEST_F(CudaBackendTest, AnyOrderOfAxes)
{
    Comparison comparison;
    for (int const place : {0, 1, 2})
        for (std::int64_t const n : {3, 150})
        {
            auto const problem = mass_grid(place, 3, n, 2);
            comparison.add(on_cuda(problem, Route::factored), on_cpu(problem, Route::factored));
        }
    comparison.finish("orders of axes");
}

/// Chunks, templates and repeated points in pieces: results are those of the whole.
inline std::vector<CudaSizes> small_sizes()
{
    std::vector<CudaSizes> all;
    for (auto const& [bank, chunk] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 64}, {3, 97}, {4, 1000}, {0, 97}})
    {
        CudaSizes sizes;
        sizes.factored_chunk = chunk;
        sizes.direct_chunk = 7;
        sizes.busy_factored = sizes.busy_direct = 1;
        sizes.bank = bank;
        all.push_back(sizes);
    }
    return all;
}

inline void expect_same(Results const& a, Results const& b)
{
    EXPECT_TRUE(same_bits(a.chi2, b.chi2));
    EXPECT_EQ(a.status, b.status);
    EXPECT_TRUE(same_bits(a.pulls, b.pulls));
    EXPECT_TRUE(same_bits(a.rates, b.rates));
}

TEST_F(CudaBackendTest, SizesOfTheWorkNeverChangeABit)
{
    for (int const place : {0, 1, 2})
    {
        auto const problem = mass_grid(place, 9, 40, 2);
        auto const whole = on_cuda(problem, Route::factored);
        for (auto const& sizes : small_sizes())
            expect_same(whole, evaluate(*make_cuda_backend(problem, Route::factored, -1, sizes), *problem, {0, problem->size()}));
    }
    RandomProblems problems(104);
    auto const cancelling = problems.cancelling(prepared({"lz_ws2022"}), 40);
    auto const whole = on_cuda(cancelling, Route::factored);
    EXPECT_GT(std::count(whole.status.begin(), whole.status.end(), static_cast<std::uint8_t>(PointStatus::ok_direct)), 7);
    expect_same(whole, evaluate(*make_cuda_backend(cancelling, Route::factored, -1, small_sizes().back()), *cancelling, {0, 40}));
    auto const direct = on_cuda(cancelling, Route::direct);
    expect_same(direct, evaluate(*make_cuda_backend(cancelling, Route::direct, -1, small_sizes().back()), *cancelling, {0, 40}));
}

/// How a range is divided must not choose between kernels that are compiled apart.
TEST_F(CudaBackendTest, FewCouplingsOfManyAreComputedAlike)
{
    auto const problem = mass_grid(0, 3, 60, 1);
    auto const whole = on_cuda(problem, Route::factored);
    auto const backend = make_cuda_backend(problem, Route::factored, -1);
    for (std::int64_t begin = 0; begin < problem->size(); begin += 9)
    {
        auto const part = evaluate(*backend, *problem, {begin, begin + 9});
        EXPECT_TRUE(same_bits(part.chi2, {whole.chi2.begin() + begin, whole.chi2.begin() + begin + 9}));
    }
}

TEST_F(CudaBackendTest, OutputsMayChangeBetweenCalls)
{
    auto const problem = mass_grid(0, 2, 40, 1);
    auto const whole = on_cuda(problem, Route::factored);
    auto const backend = make_cuda_backend(problem, Route::factored, -1);
    std::vector<double> chi2(static_cast<std::size_t>(problem->size()));
    std::vector<std::uint8_t> status(chi2.size());
    PointOutputs plain;
    plain.chi2 = chi2.data();
    plain.status = status.data();
    std::vector<double> pulls(whole.pulls.size());
    PointOutputs with_pulls = plain;
    with_pulls.pulls = pulls.data();
    for (int turn = 0; turn < 2; ++turn)
    {
        backend->evaluate({0, problem->size()}, plain);
        EXPECT_TRUE(same_bits(chi2, whole.chi2));
        backend->evaluate({0, problem->size()}, with_pulls);
        EXPECT_TRUE(same_bits(pulls, whole.pulls));
        expect_same(whole, evaluate(*backend, *problem, {0, problem->size()}));
    }
}

/// Far out in a huge grid whole blocks of one mass are at work.
TEST_F(CudaBackendTest, FarIndicesInBlocks)
{
    auto const grid = [](std::int64_t n) {
        return std::vector<Axis>{make_axis("m_V", 1e-3, 1.0, 3, AxisScale::log), make_axis("r2_e", -1e-30, 1e-30, n),
                                 make_axis("g_V", 1e-8, 1e-6, 100000, AxisScale::log)};
    };
    auto const huge = std::make_shared<Problem const>(prepared({"xenonnt_sr0"}), grid(100001), FixedParameters{});
    std::int64_t const last = huge->size();
    auto const far = on_cuda(huge, Route::factored, {last - 300, last});
    auto const cpu = evaluate(*make_cpu_backend(huge, Route::factored, 1), *huge, {last - 300, last});
    Comparison comparison;
    comparison.add(far, cpu);
    // Across a boundary of rows, and of masses: the box of such a range is far larger than itself.
    for (std::int64_t const middle : {std::int64_t{100000}, last / 3})
        comparison.add(on_cuda(huge, Route::factored, {middle - 40, middle + 40}),
                       evaluate(*make_cpu_backend(huge, Route::factored, 1), *huge, {middle - 40, middle + 40}));
    comparison.finish("far indices");
}

/// Templates and fit of 500 bins and four couplings take more shared memory than a block gets unasked.
inline std::shared_ptr<Problem const> wide_problem()
{
    test::ToyData const data;
    std::mt19937_64 generator(5);
    test::RandomToy toy;
    toy.name = "wide";
    toy.bins = 500;
    toy.events = 3.0;
    data.add(toy, generator);
    auto const wide = std::make_shared<Prepared const>(data.inputs({"wide"}));
    return std::make_shared<Problem const>(
        wide,
        std::vector<Axis>{make_axis("r2_e", -1e-31, 1e-31, 2), make_axis("r2_mu", -1e-31, 1e-31, 2),
                          make_axis("q_e", -1e-13, 1e-13, 2), make_axis("q_mu", -1e-13, 1e-13, 9)},
        FixedParameters{});
}

TEST_F(CudaBackendTest, TemplatesMayNeedMoreSharedMemoryThanIsGranted)
{
    auto const problem = wide_problem();
    EXPECT_GT(static_cast<std::size_t>(problem->view().layout.size()) * sizeof(double), std::size_t{48} << 10);
    Comparison comparison;
    comparison.add(on_cuda(problem, Route::factored), on_cpu(problem, Route::factored));
    comparison.finish("500 bins");
}

TEST_F(CudaBackendTest, PartsOfAGridAreThoseOfTheWhole)
{
    for (int const place : {0, 1, 2})
    {
        auto const problem = mass_grid(place, 5, 40, 3);
        auto const whole = on_cuda(problem, Route::factored);
        auto const backend = make_cuda_backend(problem, Route::factored, -1);
        for (std::int64_t begin = 0; begin < problem->size(); begin += 113)
        {
            IndexRange const range{begin, std::min<std::int64_t>(begin + 113, problem->size())};
            auto const part = evaluate(*backend, *problem, range);
            for (std::size_t i = 0; i < part.chi2.size(); ++i)
            {
                EXPECT_EQ(part.chi2[i], whole.chi2[i + static_cast<std::size_t>(begin)]);
                EXPECT_EQ(part.status[i], whole.status[i + static_cast<std::size_t>(begin)]);
            }
        }
    }
}

} // namespace nuscan
