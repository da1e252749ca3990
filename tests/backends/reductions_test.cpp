// Reductions of the host against loops written out, on any number of threads. Those of CUDA are compared with the host's elsewhere.
#include "host/backends/reductions.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace nuscan
{
namespace
{

constexpr double failed = std::numeric_limits<double>::quiet_NaN();

/// chi^2 with failed points and many equal values, of which the first must win.
std::vector<double> surface(std::int64_t n)
{
    std::mt19937 generator(2208);
    std::vector<double> chi2(static_cast<std::size_t>(n));
    for (double& value : chi2)
        value = generator() % 17 == 0 ? failed : static_cast<double>(generator() % 50) - 3.5;
    return chi2;
}

std::vector<std::uint64_t> bits(std::vector<double> const& values)
{
    std::vector<std::uint64_t> all;
    for (double const value : values)
        all.push_back(std::isnan(value) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(value));
    return all;
}

class HostReductions : public ::testing::TestWithParam<int>
{
protected:
    std::unique_ptr<Reductions> reductions_ = make_host_reductions(GetParam());
};

TEST_P(HostReductions, BestFitIsTheFirstOfTheLowest)
{
    for (std::int64_t const n : {1, 2, 3, 4, 5, 100, 4097, 20000})
    {
        auto const chi2 = surface(n);
        IndexedValue expected;
        for (std::int64_t i = 0; i < n; ++i)
            if (chi2[static_cast<std::size_t>(i)] < expected.value)
                expected = {chi2[static_cast<std::size_t>(i)], i};
        auto const found = reductions_->best_fit(chi2.data(), n);
        EXPECT_EQ(found.index, expected.index) << n;
        EXPECT_EQ(found.value, expected.value) << n;
    }
    std::vector<double> const nothing(100, failed);
    EXPECT_EQ(reductions_->best_fit(nothing.data(), 100).index, -1);
    EXPECT_EQ(reductions_->best_fit(nothing.data(), 0).index, -1);
}

TEST_P(HostReductions, ProfilesTakeTheFirstOfTheLowestNodes)
{
    for (AxisSplit const& split : {AxisSplit{1, 4000, 1}, AxisSplit{1, 7, 300}, AxisSplit{300, 7, 1}, AxisSplit{40, 33, 9},
                                   AxisSplit{5, 1, 6}, AxisSplit{1, 1, 1}})
    {
        auto const chi2 = surface(split.size());
        auto const segments = static_cast<std::size_t>(split.outer * split.inner);
        std::vector<double> expected(segments, failed);
        std::vector<std::int64_t> expected_node(segments, -1);
        for (std::int64_t segment = 0; segment < split.outer * split.inner; ++segment)
            for (std::int64_t k = 0; k < split.n; ++k)
            {
                auto const s = static_cast<std::size_t>(segment);
                double const value
                    = chi2[static_cast<std::size_t>((segment / split.inner * split.n + k) * split.inner + segment % split.inner)];
                if (expected_node[s] < 0 ? !std::isnan(value) : value < expected[s])
                {
                    expected[s] = value;
                    expected_node[s] = k;
                }
            }
        std::vector<double> minimum(segments, -99.0);
        std::vector<std::int64_t> node(segments, -99);
        reductions_->profile(chi2.data(), split, minimum.data(), node.data());
        EXPECT_EQ(bits(minimum), bits(expected));
        EXPECT_EQ(node, expected_node);
        std::vector<double> alone(segments, -99.0);
        reductions_->profile(chi2.data(), split, alone.data(), nullptr);
        EXPECT_EQ(bits(alone), bits(expected));
    }
}

TEST_P(HostReductions, DistancesMasksAndCounts)
{
    constexpr std::int64_t n = 20000;
    constexpr double lowest = 1.5;
    constexpr double threshold = 3.0; // some values lie on it
    auto const chi2 = surface(n);
    std::vector<double> expected;
    std::vector<std::uint8_t> expected_mask;
    std::int64_t expected_count = 0;
    for (double const value : chi2)
    {
        expected.push_back(value - lowest);
        expected_mask.push_back(value - lowest <= threshold ? 1 : 0);
        expected_count += expected_mask.back();
    }
    std::vector<double> delta(chi2.size());
    reductions_->delta_chi2(chi2.data(), n, lowest, delta.data());
    EXPECT_EQ(bits(delta), bits(expected));
    std::vector<std::uint8_t> mask(chi2.size(), 7);
    EXPECT_EQ(reductions_->allowed(chi2.data(), n, lowest, threshold, mask.data()), expected_count);
    EXPECT_EQ(mask, expected_mask);
}

INSTANTIATE_TEST_SUITE_P(Threads, HostReductions, ::testing::Values(1, 2, 3, 8));

} // namespace
} // namespace nuscan
