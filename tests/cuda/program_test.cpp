// The whole program on emulated devices: scans with --device cuda, as a user would run them.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/io/surface_file.hpp"
#include "host/scan/self_check.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/scan_runs.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

class CudaProgram : public ::testing::Test
{
protected:
    CudaProgram()
    {
        std::ofstream(folder_.path() / "grid.toml") << "[scan]\ntitle = \"test\"\nexperiments = [\"lz_ws2022\", \"xenonnt_sr0\"]\n"
                                                       "[axes]\nm_V = { min = 1e-3, max = 1.0, n = 6, scale = \"log\" }\n"
                                                       "g_V = { min = 1e-8, max = 1e-5, n = 200, scale = \"log\" }\n"
                                                       "[output]\npulls = true\n";
    }

    test::RunOptions emulated(std::string const& devices = "1") const
    {
        test::RunOptions options;
        options.program = NUSCAN_EMULATED_BINARY;
        options.folder = folder_.path();
        options.environment["NUSCAN_EMULATOR_DEVICES"] = devices;
        return options;
    }

    static std::vector<double> chi2(std::filesystem::path const& file)
    {
        SurfaceReader const surface(file);
        return surface.chi2({0, 1200});
    }

    test::TempDir folder_;
};

TEST_F(CudaProgram, ScansAsTheCpuDoes)
{
    auto const cuda = test::run_nuscan({"scan", "grid.toml", "-o", "cuda.h5", "--device", "cuda"}, emulated());
    ASSERT_EQ(cuda.exit_code, 0) << cuda;
    auto const cpu = test::run_nuscan({"scan", "grid.toml", "-o", "cpu.h5", "--device", "cpu"}, emulated());
    ASSERT_EQ(cpu.exit_code, 0) << cpu;
    auto const a = chi2(folder_.path() / "cuda.h5");
    auto const b = chi2(folder_.path() / "cpu.h5");
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_LT(check_deviation(a[i], b[i]), tolerance::implementation);
    SurfaceReader const surface(folder_.path() / "cuda.h5");
    EXPECT_EQ(surface.meta().backend, "cuda");
    EXPECT_EQ(surface.best_fit().parameters, SurfaceReader(folder_.path() / "cpu.h5").best_fit().parameters);
    auto const validated = test::run_nuscan({"validate", "cuda.h5", "--points", "10"}, emulated());
    EXPECT_EQ(validated.exit_code, 0) << validated;
}

TEST_F(CudaProgram, DevicesAndChunksDoNotShow)
{
    ASSERT_EQ(test::run_nuscan({"scan", "grid.toml", "-o", "one.h5", "--device", "cuda"}, emulated()).exit_code, 0);
    auto const several = test::run_nuscan({"scan", "grid.toml", "-o", "three.h5", "--device", "cuda", "--chunk", "77"},
                                          emulated("3"));
    ASSERT_EQ(several.exit_code, 0) << several;
    EXPECT_EQ(chi2(folder_.path() / "one.h5"), chi2(folder_.path() / "three.h5"));
}

TEST_F(CudaProgram, ShardsMergedAreTheWholeScan)
{
    ASSERT_EQ(test::run_nuscan({"scan", "grid.toml", "-o", "whole.h5", "--device", "cuda"}, emulated()).exit_code, 0);
    test::Arguments merge{"merge", "-o", "merged.h5"};
    for (int k = 1; k <= 3; ++k)
    {
        // On other devices each, in other chunks.
        auto const shard = test::run_nuscan({"scan", "grid.toml", "-o", "part.h5", "--device", "cuda", "--shard",
                                             std::to_string(k) + "/3", "--chunk", std::to_string(60 + k)},
                                            emulated(std::to_string(k)));
        ASSERT_EQ(shard.exit_code, 0) << shard;
        merge.push_back("part.shard-00" + std::to_string(k) + "-of-003.h5");
    }
    auto const merged = test::run_nuscan(merge, emulated());
    ASSERT_EQ(merged.exit_code, 0) << merged;
    SurfaceReader const whole(folder_.path() / "whole.h5");
    SurfaceReader const surface(folder_.path() / "merged.h5");
    EXPECT_EQ(test::SurfaceBits{surface}, test::SurfaceBits{whole}) << "chi^2, status and pulls";
    EXPECT_EQ(surface.meta().backend, "cuda");
    EXPECT_EQ(surface.best_fit().index, whole.best_fit().index);
    EXPECT_EQ(surface.best_fit().pulls, whole.best_fit().pulls);
}

TEST_F(CudaProgram, AutoTakesADeviceAndListShowsAll)
{
    auto const scan = test::run_nuscan({"scan", "grid.toml", "-o", "auto.h5"}, emulated());
    EXPECT_EQ(scan.exit_code, 0) << scan;
    EXPECT_NE(scan.err.find("cuda:0"), std::string::npos) << scan;
    auto const list = test::run_nuscan({"list", "devices"}, emulated("2"));
    EXPECT_NE(list.out.find("cuda:1"), std::string::npos) << list;
    EXPECT_EQ(test::run_nuscan({"scan", "grid.toml", "-o", "no.h5", "--device", "cuda:2"}, emulated("2")).exit_code, 2);
}

/// A point with cancellations in a joint fit, by all of `chi2` and `spectrum`.
TEST_F(CudaProgram, SinglePointsAreThoseOfTheCpu)
{
    auto const on = [&](std::string const& device, std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"--json", "--device", device});
        auto const run = test::run_nuscan(arguments, emulated());
        EXPECT_EQ(run.exit_code, 0) << run;
        return nlohmann::json::parse(run.out);
    };
    for (std::string const route : {"factored", "direct"})
    {
        std::vector<std::string> const point{"chi2",  "-e",       "xenonnt_sr0", "lz_ws2022",   "--set",   "g_V=3e-7",
                                             "--set", "m_V=0.05", "--set",       "r2_e=-1e-30", "--route", route};
        auto const cuda = on("cuda", point);
        auto const cpu = on("cpu", point);
        EXPECT_LT(check_deviation(cuda.at("chi2"), cpu.at("chi2")), tolerance::implementation);
        EXPECT_EQ(cuda.at("status"), "ok");
        ASSERT_EQ(cuda.at("pulls").size(), cpu.at("pulls").size());
        for (auto const& [name, pull] : cpu.at("pulls").items())
            EXPECT_NEAR(cuda.at("pulls").at(name), pull, tolerance::implementation) << name;
        for (auto const& [experiment, bins] : cpu.at("per_bin").items())
            for (std::size_t i = 0; i < bins.size(); ++i)
                EXPECT_LT(check_deviation(cuda.at("per_bin").at(experiment).at(i), bins.at(i)), tolerance::implementation);
    }
    std::vector<std::string> const spectrum{"spectrum", "-e", "lz_ws2022", "--set", "q_e=5e-13"};
    auto const cuda = on("cuda", spectrum);
    auto const cpu = on("cpu", spectrum);
    for (std::size_t i = 0; i < cpu.at("bins").size(); ++i)
        EXPECT_LT(check_deviation(cuda.at("bins").at(i).at("signal"), cpu.at("bins").at(i).at("signal")),
                  tolerance::implementation);
}

TEST_F(CudaProgram, LimitsAreThoseOfTheCpu)
{
    auto const on = [&](std::string const& device) {
        auto const run = test::run_nuscan({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--json", "--device", device}, emulated());
        EXPECT_EQ(run.exit_code, 0) << run;
        return nlohmann::json::parse(run.out).at("limits").at(0).at("intervals").at(0).at(1).get<double>();
    };
    // Where chi^2 deviates by its tolerance, a limit moves by that over the slope, some chi^2 per limit.
    EXPECT_NEAR(on("cuda") / on("cpu"), 1.0, 10.0 * tolerance::implementation);
}

/// Starting a device takes longer than a point: only who asks for it gets it.
TEST_F(CudaProgram, SinglePointsStayOnTheHostUnasked)
{
    auto const run = test::run_nuscan({"-v", "chi2", "-e", "xenonnt_sr0"}, emulated());
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_NE(run.err.find("device auto: cpu"), std::string::npos) << run;
}

} // namespace
} // namespace nuscan
