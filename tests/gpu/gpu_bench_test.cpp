// The benchmark in the emulator: that it runs and what it prints. Its times mean nothing there.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.hpp"

namespace nuscan
{
namespace
{

using Json = nlohmann::json;

struct Run
{
    int exit_code;
    std::string out;
};

Run run_bench(std::string const& arguments)
{
    std::string const command = std::string("NUSCAN_DATA_DIR='") + NUSCAN_SOURCE_DATA_DIR + "' '" + GPU_BENCH_EMULATED + "' "
                                + arguments + " 2>&1";
    FILE* const pipe = popen(command.c_str(), "r");
    std::string out;
    std::array<char, 4096> buffer;
    while (std::size_t const n = std::fread(buffer.data(), 1, buffer.size(), pipe))
        out.append(buffer.data(), n);
    int const status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out};
}

std::string const tiny = "--points 512 --masses 4 --direct 40 --repeat 1 --bytes 65536 --fma 24";

TEST(GpuBench, PrintsEveryFigure)
{
    test::TempDir const temp;
    temp.write("counts.json", R"({"fp64": {"factored": {"lz_ws2022": 5000}}})");
    auto const run = run_bench(tiny + " --counts '" + (temp.path() / "counts.json").string() + "'");
    ASSERT_EQ(run.exit_code, 0) << run.out;
    Json const json = Json::parse(run.out, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << run.out;
    EXPECT_EQ(json["schema"], 1);
    EXPECT_GT(json["device"]["multiprocessors"], 0);
    EXPECT_TRUE(json["ceilings"]["fp64"]["results_are_right"]);
    EXPECT_TRUE(json["ceilings"]["memory"]["results_are_right"]);
    EXPECT_EQ(json["ceilings"]["memory"]["bytes"], 131072.0);

    std::set<std::string> kernels;
    for (auto const& kernel : json["kernels"])
    {
        std::string const experiment = kernel["experiment"];
        std::string const name = kernel["name"];
        EXPECT_TRUE(kernels.insert(name + " " + experiment).second);
        EXPECT_GT(kernel["units"], 0);
        EXPECT_EQ(kernel["unit"], name == "fold" ? "masses" : "points");
        EXPECT_GT(kernel["bytes_per_unit"], 8.0);
        EXPECT_TRUE(kernel["units_per_s"].is_number());
        EXPECT_TRUE(kernel["fraction_of_memory"].is_number());
        bool const is_counted = name == "factored" && experiment == "lz_ws2022";
        EXPECT_EQ(kernel["fp64_per_unit"].is_number(), is_counted) << kernel;
        EXPECT_EQ(kernel["fraction_of_fp64"].is_number(), is_counted) << kernel;
        if (is_counted)
        {
            double const expected = 5000.0 * kernel["units_per_s"].get<double>()
                                    / json["ceilings"]["fp64"]["instructions_per_s"].get<double>();
            EXPECT_DOUBLE_EQ(kernel["fraction_of_fp64"].get<double>(), expected);
        }
    }
    for (std::string const experiment : {"lz_ws2022", "xenonnt_sr0"})
        for (char const* const name : {"fold", "factored", "scattered", "direct", "chi2_from_rates"})
            EXPECT_TRUE(kernels.contains(name + (" " + experiment))) << name << " " << experiment;

    EXPECT_EQ(json["end_to_end"].size(), 4u);
    for (auto const& scan : json["end_to_end"])
    {
        EXPECT_EQ(scan["points"], scan["good_points"]);
        EXPECT_TRUE(scan["points_per_s"].is_number());
        EXPECT_TRUE(scan["points_per_s_again"].is_number());
    }
    std::set<std::string> reductions;
    for (auto const& reduction : json["reductions"])
        reductions.insert(reduction["name"]);
    EXPECT_EQ(reductions, (std::set<std::string>{"best_fit", "profile", "delta_chi2", "allowed"}));
}

TEST(GpuBench, ExplainsItself)
{
    auto const help = run_bench("--help");
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_NE(help.out.find("--points"), std::string::npos) << help.out;
    EXPECT_EQ(run_bench("--point 3").exit_code, 2);
    EXPECT_EQ(run_bench("--points 0").exit_code, 2);
    EXPECT_EQ(run_bench("--points").exit_code, 2);
}

TEST(GpuBench, NamesAMissingDevice)
{
    auto const run = run_bench("--device 3");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(run.out.find("no CUDA device 3"), std::string::npos) << run.out;
}

} // namespace
} // namespace nuscan
