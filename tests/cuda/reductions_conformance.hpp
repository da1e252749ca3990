/// \file
/// Reductions of surfaces: CUB and Thrust on a device against the host, and the host against loops written out. One file of a program
/// includes this.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "device_test.hpp"
#include "host/backends/reductions.hpp"

namespace nuscan
{

inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Values with many equal ones and some NaN.
inline std::vector<double> surface(std::size_t n, unsigned seed)
{
    std::mt19937 generator(seed);
    std::vector<double> chi2(n);
    for (double& value : chi2)
        value = generator() % 17 == 0 ? nan : static_cast<double>(generator() % 50);
    return chi2;
}

class CudaReductions : public DeviceTest
{
protected:
    std::unique_ptr<Reductions> host_ = make_host_reductions(2);
    std::unique_ptr<Reductions> cuda_ = make_cuda_reductions(0);
    /// With little on the device at a time.
    std::unique_ptr<Reductions> parts_ = make_cuda_reductions(0, 100);
};

TEST_F(CudaReductions, BestFitIsTheFirstOfTheLowest)
{
    for (std::size_t const n : {1u, 2u, 31u, 32u, 33u, 255u, 256u, 257u, 5000u})
    {
        auto chi2 = surface(n, static_cast<unsigned>(n));
        IndexedValue expected;
        for (std::size_t i = 0; i < n; ++i)
            if (chi2[i] < expected.value)
                expected = {chi2[i], static_cast<std::int64_t>(i)};
        for (auto* reductions : {host_.get(), cuda_.get(), parts_.get()})
        {
            auto const found = reductions->best_fit(chi2.data(), static_cast<std::int64_t>(n));
            EXPECT_EQ(found.index, expected.index) << n;
            EXPECT_EQ(found.value, expected.value) << n;
        }
    }
}

TEST_F(CudaReductions, BestFitOfNothingHasNoIndex)
{
    std::vector<double> const all_failed(100, nan);
    for (auto* reductions : {host_.get(), cuda_.get(), parts_.get()})
    {
        EXPECT_EQ(reductions->best_fit(all_failed.data(), 100).index, -1);
        EXPECT_EQ(reductions->best_fit(all_failed.data(), 0).index, -1);
    }
}

TEST_F(CudaReductions, ProfilesOverEveryAxis)
{
    for (AxisSplit const& split :
         {AxisSplit{1, 40, 1}, AxisSplit{1, 7, 30}, AxisSplit{30, 7, 1}, AxisSplit{4, 33, 9}, AxisSplit{5, 1, 6}})
    {
        auto const chi2 = surface(static_cast<std::size_t>(split.size()), 3);
        auto const segments = static_cast<std::size_t>(split.outer * split.inner);
        std::vector<double> expected(segments, nan);
        std::vector<std::int64_t> where(segments, -1);
        for (std::int64_t o = 0; o < split.outer; ++o)
            for (std::int64_t i = 0; i < split.inner; ++i)
                for (std::int64_t k = 0; k < split.n; ++k)
                {
                    double const value = chi2[static_cast<std::size_t>((o * split.n + k) * split.inner + i)];
                    auto const s = static_cast<std::size_t>(o * split.inner + i);
                    if (value == value && !(expected[s] <= value))
                    {
                        expected[s] = value;
                        where[s] = k;
                    }
                }
        for (auto* reductions : {host_.get(), cuda_.get(), parts_.get()})
        {
            std::vector<double> minimum(segments);
            std::vector<std::int64_t> node(segments);
            reductions->profile(chi2.data(), split, minimum.data(), node.data());
            EXPECT_EQ(node, where);
            for (std::size_t s = 0; s < segments; ++s)
                EXPECT_TRUE(minimum[s] == expected[s] || (std::isnan(minimum[s]) && std::isnan(expected[s])));
        }
    }
}

TEST_F(CudaReductions, DistancesMasksAndCounts)
{
    auto const chi2 = surface(3000, 9);
    std::vector<double> host(3000);
    host_->delta_chi2(chi2.data(), 3000, 1.5, host.data());
    std::vector<std::uint8_t> host_mask(3000);
    auto const n = host_->allowed(chi2.data(), 3000, 1.5, 4.605, host_mask.data());
    EXPECT_GT(n, 0);
    EXPECT_LT(n, 3000);
    for (auto* reductions : {cuda_.get(), parts_.get()})
    {
        std::vector<double> cuda(3000);
        reductions->delta_chi2(chi2.data(), 3000, 1.5, cuda.data());
        for (std::size_t i = 0; i < 3000; ++i)
            EXPECT_TRUE(host[i] == cuda[i] || (std::isnan(host[i]) && std::isnan(cuda[i])));
        std::vector<std::uint8_t> cuda_mask(3000);
        EXPECT_EQ(n, reductions->allowed(chi2.data(), 3000, 1.5, 4.605, cuda_mask.data()));
        EXPECT_EQ(host_mask, cuda_mask);
    }
}

} // namespace nuscan
