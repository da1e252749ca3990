#include "host/scan/profile.hpp"

#include <cmath>
#include <fstream>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/analytic_surface.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

class Profile : public testing::Test
{
protected:
    TempDir temp_;
    std::filesystem::path path_ = temp_.path() / "surface.h5";
};

/// Axes of different lengths, one of them a single node.
std::vector<AxisRecord> axes_of(std::size_t n)
{
    std::vector<AxisRecord> const all{test_axis("a", 0.0, 1.0, 5), test_axis("b", 0.0, 1.0, 7), test_axis("c", 2.0, 2.0, 1),
                                      test_axis("d", 1.0, 9.0, 4, AxisScale::log)};
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n)};
}

/// Values with many ties and failed points, all of one row among them.
double rough(Point const& point, std::mt19937_64& random)
{
    if (point[0] == 0.5 || random() % 5 == 0)
        return NAN;
    return static_cast<double>(random() % 6);
}

TEST_F(Profile, EqualsThePlainMinimumForEverySetOfAxes)
{
    for (std::size_t const n_axes : {2U, 3U, 4U})
    {
        std::mt19937_64 random{n_axes};
        auto const axes = axes_of(n_axes);
        std::vector<double> chi2;
        write_analytic_surface(path_, axes, 3.5, [&](Point const& point) {
            chi2.push_back(rough(point, random));
            return chi2.back();
        });
        SurfaceReader const surface{path_};
        std::vector<std::vector<std::string>> sets;
        for (unsigned set = 1; set + 1 < 1U << n_axes; ++set)
        {
            sets.emplace_back();
            for (std::size_t a = 0; a < n_axes; ++a)
                if ((set >> a & 1U) != 0)
                    sets.back().push_back(axes[a].name);
        }
        auto const profiles = profile_surface(surface, sets);
        ASSERT_EQ(profiles.size(), sets.size());
        for (std::size_t s = 0; s < sets.size(); ++s)
        {
            SCOPED_TRACE(profiles[s].name());
            EXPECT_EQ(profiles[s].axes, sets[s]);
            EXPECT_EQ(profiles[s].chi2_min, 0.0);
            EXPECT_EQ(profiles[s].chi2_zero, 3.5);
            // The first of the lowest points over each kept node, by brute force.
            std::map<std::vector<std::int64_t>, std::pair<double, std::vector<std::int64_t>>> lowest;
            for (std::size_t i = 0; i < chi2.size(); ++i)
            {
                std::vector<std::int64_t> nodes(n_axes);
                auto rest = static_cast<std::int64_t>(i);
                for (std::size_t a = n_axes; a-- > 0;)
                {
                    auto const n = static_cast<std::int64_t>(axes[a].values.size());
                    nodes[a] = rest % n;
                    rest /= n;
                }
                std::vector<std::int64_t> kept;
                std::vector<std::int64_t> others;
                for (std::size_t a = 0; a < n_axes; ++a)
                    (std::count(sets[s].begin(), sets[s].end(), axes[a].name) > 0 ? kept : others).push_back(nodes[a]);
                auto const entry = lowest.try_emplace(kept, NAN, std::vector<std::int64_t>(others.size(), -1)).first;
                if (!std::isnan(chi2[i]) && !(entry->second.first <= chi2[i]))
                    entry->second = {chi2[i], others};
            }
            ASSERT_EQ(profiles[s].chi2.size(), lowest.size());
            ASSERT_EQ(profiles[s].index.size(), n_axes - sets[s].size());
            std::size_t node = 0;
            for (auto const& [kept, expected] : lowest)
            {
                double const found = profiles[s].chi2[node];
                EXPECT_TRUE(found == expected.first || (std::isnan(found) && std::isnan(expected.first))) << node;
                for (std::size_t p = 0; p < profiles[s].index.size(); ++p)
                    EXPECT_EQ(profiles[s].index[p][node], expected.second[p]) << node;
                ++node;
            }
        }
    }
}

/// Largest resident memory so far [kB].
long peak_memory()
{
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:"))
            return std::stol(line.substr(6));
    return 0;
}

TEST_F(Profile, MemoryDoesNotGrowWithTheSurface)
{
#ifdef NUSCAN_SANITIZED
    GTEST_SKIP() << "a sanitizer takes memory of its own, in proportion to what is used";
#endif
    constexpr std::int64_t n = 200;
    write_analytic_surface(path_, {test_axis("a", 0, 1, n), test_axis("b", 0, 1, n), test_axis("c", 0, 1, n)}, 9.0,
                           [](Point const& point) { return point[0] + std::fabs(point[1] - point[2]); });
    SurfaceReader const surface{path_};
    surface.chi2({0, 1 << 20}); // buffers of HDF5, and a block
    long const before = peak_memory();
    auto const profiles = profile_surface(surface, {{"a", "b"}, {"b", "c"}, {"a", "c"}, {"b"}});
    // 64 MB of chi^2; the results take 40,000 nodes of 32 bytes, three times, and are held twice for a moment.
    EXPECT_LT(peak_memory() - before, 16000) << "kB more than a block takes";
    EXPECT_EQ(profiles[0].chi2[0], 0.0);
}

TEST_F(Profile, KeptAxesAreSortedAndChecked)
{
    SurfaceLayout layout;
    layout.axes = axes_of(3);
    layout.axes[1].name = "Lambda_1";
    EXPECT_EQ(kept_axes(layout, {"c", "a"}), (std::vector<std::string>{"a", "c"}));
    EXPECT_EQ(kept_axes(layout, {"c", "Lambda_1", "a"}).size(), 3U);
    expect_input_error([&] { kept_axes(layout, {"Lambda1"}); },
                       {"--keep Lambda1: no axis of this surface; did you mean 'Lambda_1'?"});
    expect_input_error([&] { kept_axes(layout, {"xyz"}); }, {"valid: a, Lambda_1, c"});
    expect_input_error([&] { kept_axes(layout, {"a", "a"}); }, {"--keep a: is given twice"});
    expect_input_error([&] { kept_axes(layout, {}); }, {"--keep: name an axis"});
}

TEST_F(Profile, OnlyWholeSurfacesWithGoodPointsWillDo)
{
    write_analytic_surface(path_, axes_of(2), 3.5, [](Point const&) { return NAN; });
    expect_input_error([&] { require_whole_surface(SurfaceReader{path_}, "x.h5"); }, {"x.h5: every point failed"});
    SurfaceLayout shard;
    shard.axes = axes_of(2);
    shard.range = {0, 3};
    SurfaceWriter writer{path_, shard};
    std::vector<double> const chi2(3, 1.0);
    std::vector<std::uint8_t> const status(3, 0);
    writer.append(3, chi2.data(), status.data(), nullptr, nullptr);
    PointRecord best_fit;
    best_fit.chi2 = 1.0;
    writer.finish({}, best_fit, {});
    expect_input_error([&] { require_whole_surface(SurfaceReader{path_}, "x.h5"); },
                       {"x.h5: holds points [0, 3) of 35 only; merge all shards first"});
}

} // namespace
} // namespace nuscan::test
