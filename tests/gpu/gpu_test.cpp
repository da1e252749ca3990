// The CUDA backend against the CPU on random points of every model, and reductions of larger surfaces. NUSCAN_GPU_POINTS sets how many
// points of each model and route.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "host/support/error.hpp"
#include "tests/cuda/cuda_conformance.hpp"
#include "tests/cuda/reductions_conformance.hpp"

namespace nuscan
{
namespace
{

INSTANTIATE_TEST_SUITE_P(Gpu, Conformance,
                         ::testing::Values(cuda_case("factored", Route::factored, 160, false),
                                           cuda_case("direct", Route::direct, 40, false)),
                         [](auto const& backend) { return backend.param.name; });

/// Points of each model and route.
std::int64_t points_wanted()
{
    char const* const text = std::getenv("NUSCAN_GPU_POINTS");
    if (text == nullptr)
        return 20000;
    std::string_view const digits(text);
    std::int64_t points = 0;
    auto const [end, code] = std::from_chars(digits.begin(), digits.end(), points);
    if (code != std::errc() || end != digits.end() || points < 1)
        throw std::invalid_argument(fmt::format("NUSCAN_GPU_POINTS must be a positive whole number, not '{}'", text));
    return points;
}

struct CollectNames
{
    std::vector<std::string> names;
    template<class Interaction, int index>
    void operator()()
    {
        names.push_back(Interaction::name);
    }
};

std::vector<std::string> model_names()
{
    CollectNames collect;
    for_each_interaction(collect);
    return collect.names;
}

class AgainstTheCpu : public CudaBackendTest, public ::testing::WithParamInterface<std::tuple<int, Route>>
{
};

TEST_P(AgainstTheCpu, RandomPoints)
{
    auto const [interaction, route] = GetParam();
    std::int64_t const wanted = points_wanted();
    // Many problems, so that fixed parameters and masses vary too; large ones where there are many points, for the device's sake. The
    // smallest grids still have a warp's worth of couplings per mass.
    auto const per_problem = static_cast<int>(std::clamp<std::int64_t>(wanted / 150, 128, 8192));
    std::vector<std::string> const experiments{"xenonnt_sr0", "lz_ws2022", "lz_ws2022_arxiv2208"};
    RandomProblems problems(300 + static_cast<unsigned>(interaction));
    Comparison comparison;
    for (std::size_t turn = 0; static_cast<std::int64_t>(comparison.points()) < wanted || turn < 2 * experiments.size(); ++turn)
    {
        auto const inputs = prepared({experiments[turn % experiments.size()]});
        // Lists have templates of their own for each point; in grids points share them, and blocks of threads share masses.
        bool const is_list = turn / experiments.size() % 2 == 0;
        auto const problem = is_list ? problems.next(inputs, per_problem, interaction)
                                     : problems.grid(inputs, per_problem, interaction);
        comparison.add(on_cuda(problem, route), on_cpu(problem, route, 0));
    }
    comparison.finish(fmt::format("{}, {}", model_names()[static_cast<std::size_t>(interaction)], route_name(route)));
}

INSTANTIATE_TEST_SUITE_P(Models, AgainstTheCpu,
                         ::testing::Combine(::testing::Range(0, n_interactions), ::testing::Values(Route::factored, Route::direct)),
                         [](auto const& test) {
                             return model_names()[static_cast<std::size_t>(std::get<0>(test.param))] + "_"
                                    + route_name(std::get<1>(test.param));
                         });

TEST_F(CudaBackendTest, EveryDeviceGivesTheSameBits)
{
    std::string reason;
    auto const devices = cuda_devices(reason);
    if (devices.size() < 2)
        GTEST_SKIP() << "there is one device only";
    auto const problem = mass_grid(0, 40, 600, 5);
    auto const all = on_cuda(problem, Route::factored);
    for (auto const& device : devices)
    {
        SCOPED_TRACE(device.description);
        auto const one = evaluate(*make_cuda_backend(problem, Route::factored, device.ordinal), *problem, {0, problem->size()});
        EXPECT_TRUE(same_bits(all.chi2, one.chi2));
        EXPECT_TRUE(same_bits(all.pulls, one.pulls));
        EXPECT_TRUE(same_bits(all.rates, one.rates));
    }
}

TEST_F(CudaReductions, LargeSurfaces)
{
    AxisSplit const split{points_wanted() >= 20000 ? 37 : 3, 211, 127};
    auto const n = split.size();
    auto const chi2 = surface(static_cast<std::size_t>(n), 12);
    auto const best = host_->best_fit(chi2.data(), n);
    EXPECT_EQ(cuda_->best_fit(chi2.data(), n).index, best.index);
    auto const segments = static_cast<std::size_t>(split.outer * split.inner);
    std::vector<double> minimum[2];
    std::vector<std::int64_t> where[2];
    std::vector<std::uint8_t> mask[2];
    std::int64_t allowed[2];
    int which = 0;
    for (auto* reductions : {host_.get(), cuda_.get()})
    {
        minimum[which].resize(segments);
        where[which].resize(segments);
        mask[which].resize(chi2.size());
        reductions->profile(chi2.data(), split, minimum[which].data(), where[which].data());
        allowed[which] = reductions->allowed(chi2.data(), n, best.value, 4.605, mask[which].data());
        ++which;
    }
    EXPECT_EQ(where[0], where[1]);
    EXPECT_EQ(minimum[0], minimum[1]); // with 211 values a segment no minimum is NaN
    EXPECT_EQ(mask[0], mask[1]);
    EXPECT_EQ(allowed[0], allowed[1]);
}

} // namespace
} // namespace nuscan
