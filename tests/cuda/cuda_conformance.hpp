/// \file
/// What the CUDA backend must do on any device, real or emulated. One file of a program includes this and instantiates Conformance
/// with cuda_case.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "device_test.hpp"
#include "host/backends/backend.hpp"
#include "tests/backends/conformance.hpp"

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
