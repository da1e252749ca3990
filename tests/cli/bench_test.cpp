// nuscan bench: the shape of its JSON, what it does without Python, and its errors. No test looks at how fast anything is.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/support/run_program.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

/// As little as can be measured.
Arguments short_bench(Arguments const& more)
{
    Arguments all{"bench", "--json", "--quick", "--repeats", "1", "--min-time", "0"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

Json const* find_row(Json const& rows, std::string const& name, int threads)
{
    for (auto const& row : rows)
        if (row["case"] == name && row["threads"] == threads)
            return &row;
    return nullptr;
}

/// A file that is run in place of Python.
void write_program(std::filesystem::path const& path, std::string const& text)
{
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

TEST(Bench, RowsHaveTheDocumentedShape)
{
    auto const json = run_json(short_bench({"--experiment", "lz_ws2022", "--part", "rows"}));
    for (char const* const key : {"fma_gflops", "div_per_s", "log_per_s", "exp_per_s", "sqrt_per_s", "bandwidth_gb_s"})
    {
        ASSERT_TRUE(json["ceilings"][key].is_number()) << key;
        EXPECT_GT(json["ceilings"][key].get<double>(), 0.0) << key;
    }
    EXPECT_EQ(json["ceilings_by_threads"].size(), 2u);
    EXPECT_EQ(json["rows"].size(), 4u);
    for (char const* const route : {"factored", "direct"})
        for (int const threads : {1, 2})
        {
            auto const* const row = find_row(json["rows"], std::string("lz_ws2022/") + route, threads);
            ASSERT_NE(row, nullptr) << route << " " << threads;
            EXPECT_GT((*row)["points_per_s"].get<double>(), 0.0);
            EXPECT_GT((*row)["roofline_fraction"].get<double>(), 0.0);
            EXPECT_TRUE((*row)["ratio_to_numpy"].is_null()); // no baselines were asked for
            EXPECT_DOUBLE_EQ((*row)["ratio_to_one_thread"].get<double>(),
                             (*row)["points_per_s"].get<double>()
                                 / (*find_row(json["rows"], std::string("lz_ws2022/") + route, 1))["points_per_s"].get<double>());
            EXPECT_EQ((*row)["failed_points"], 0);
            for (char const* const operation : {"fma", "mul", "add", "div", "sqrt", "log", "exp", "compare"})
                EXPECT_TRUE((*row)["operations_per_point"][operation].is_number()) << operation;
        }
    EXPECT_TRUE(json["models"].empty());
    EXPECT_TRUE(json["scans"].empty());
}

TEST(Bench, BaselinesAndRatioToNumpy)
{
    auto const json = run_json(short_bench({"--experiment", "xenonnt_sr0", "--part", "rows", "baselines", "--threads", "1"}));
    auto const* const reference = find_row(json["rows"], "xenonnt_sr0/reference", 1);
    ASSERT_NE(reference, nullptr);
    EXPECT_GT((*reference)["points_per_s"].get<double>(), 0.0);
    EXPECT_TRUE((*reference)["roofline_fraction"].is_null());
    auto const* const numpy = find_row(json["rows"], "xenonnt_sr0/numpy", 1);
    if (numpy == nullptr)
        GTEST_SKIP() << "no NumPy: " << json["warnings"];
    auto const* const factored = find_row(json["rows"], "xenonnt_sr0/factored", 1);
    EXPECT_DOUBLE_EQ((*factored)["ratio_to_numpy"].get<double>(),
                     (*factored)["points_per_s"].get<double>() / (*numpy)["points_per_s"].get<double>());
    EXPECT_EQ((*numpy)["ratio_to_numpy"], 1.0);
}

TEST(Bench, ModelsOfEveryInteraction)
{
    auto const json = run_json(short_bench({"--experiment", "xenonnt_sr0", "--part", "models", "--threads", "1"}));
    std::set<std::string> models;
    for (auto const& row : json["models"])
        models.insert(row["model"].get<std::string>());
    EXPECT_EQ(models, (std::set<std::string>{"mu_universal", "mu_e mu_mu", "Lambda_1 Lambda_2 Lambda_3", "q_e q_mu", "r2_e r2_mu",
                                             "m_S g_S", "m_P g_P", "m_V g_V", "m_A g_A", "m_T g_T"}));
    EXPECT_EQ(json["models"].size(), 20u); // by both routes
}

TEST(Bench, WholeScansAreSplitIntoPhases)
{
    TempDir const temp;
    auto const json = run_json(short_bench({"--experiment", "xenonnt_sr0", "--part", "scans", "--threads", "1", "--points", "2500",
                                            "--folder", temp.path().string()}));
    ASSERT_EQ(json["scans"].size(), 1u);
    auto const& scan = json["scans"][0];
    EXPECT_EQ(scan["points"], 2500);
    double sum = 0.0;
    for (char const* const phase : {"start_s", "set_up_s", "compute_s", "write_s"})
    {
        EXPECT_GT(scan[phase].get<double>(), 0.0) << phase;
        sum += scan[phase].get<double>();
    }
    EXPECT_DOUBLE_EQ(scan["total_s"].get<double>(), sum);
    EXPECT_GT(scan["points_alone_s"], 0.0);
    double const checked = scan["checked_alone_s"].get<double>();
    EXPECT_DOUBLE_EQ(scan["check_adds"], checked / scan["points_alone_s"].get<double>() - 1.0);
    double const written = scan["compute_s"].get<double>() + scan["write_s"].get<double>();
    EXPECT_DOUBLE_EQ(scan["output_adds"], written / checked - 1.0);
    EXPECT_DOUBLE_EQ(scan["output_gb_s"].get<double>(), 1e-9 * scan["file_bytes"].get<double>() / written);
    EXPECT_GT(json["ceilings"]["disk_gb_s"].get<double>(), 0.0);
    EXPECT_TRUE(std::filesystem::is_empty(temp.path())) << "files were left behind";
}

/// Runs rows and baselines of one experiment with something wrong with Python; ratios are null and a warning says why.
void expect_no_numpy(RunOptions options, std::string const& reason)
{
    auto const run = run_nuscan(short_bench({"--experiment", "xenonnt_sr0", "--part", "rows", "baselines", "--threads", "1"}),
                                std::move(options));
    ASSERT_EQ(run.exit_code, 0) << run;
    auto const json = Json::parse(run.out);
    for (auto const& row : json["rows"])
        EXPECT_TRUE(row["ratio_to_numpy"].is_null()) << row;
    EXPECT_EQ(find_row(json["rows"], "xenonnt_sr0/numpy", 1), nullptr);
    EXPECT_NE(find_row(json["rows"], "xenonnt_sr0/reference", 1), nullptr);
    EXPECT_TRUE(run.said("warning: numpy: not measured, ratio_to_numpy is null: ")) << run;
    EXPECT_TRUE(run.said(reason)) << run;
    EXPECT_NE(json["warnings"].dump().find("ratio_to_numpy is null"), std::string::npos);
}

TEST(Bench, WithoutPythonRatiosAreNull)
{
    RunOptions options;
    options.environment["NUSCAN_PYTHON"] = "/nowhere/python3";
    expect_no_numpy(std::move(options), "/nowhere/python3: No such file or directory");
}

TEST(Bench, WithoutNumpyRatiosAreNull)
{
    TempDir const temp;
    auto const python = temp.path() / "python3";
    write_program(python, "#!/bin/sh\necho \"No module named 'numpy'\" >&2\nexit 3\n");
    RunOptions options;
    options.environment["NUSCAN_PYTHON"] = python.string();
    expect_no_numpy(std::move(options), "No module named 'numpy'");
}

TEST(Bench, FolderOfTheBaselinesCanBeNamed)
{
    TempDir const temp;
    RunOptions options;
    options.environment["NUSCAN_BENCH_DIR"] = temp.path().string();
    expect_no_numpy(std::move(options), "NUSCAN_BENCH_DIR: " + temp.path().string() + ": no baselines.py in it");
}

TEST(Bench, BaselineThatFailsIsAnErrorRow)
{
    TempDir const temp;
    auto const python = temp.path() / "python3";
    write_program(python, "#!/bin/sh\necho broken >&2\nexit 1\n");
    RunOptions options;
    options.environment["NUSCAN_PYTHON"] = python.string();
    auto const run = run_nuscan(short_bench({"--experiment", "xenonnt_sr0", "--part", "baselines", "--threads", "1"}), options);
    EXPECT_EQ(run.exit_code, 1) << run;
    auto const json = Json::parse(run.out);
    auto const* const row = find_row(json["rows"], "xenonnt_sr0/numpy", 1);
    ASSERT_NE(row, nullptr) << run;
    EXPECT_TRUE((*row)["points_per_s"].is_null());
    EXPECT_NE((*row)["error"].get<std::string>().find("broken"), std::string::npos);
}

TEST(Bench, TableForPeople)
{
    auto const run = run_nuscan(
        {"bench", "--quick", "--repeats", "1", "--min-time", "0", "-e", "xenonnt_sr0", "--part", "rows", "--threads", "1"});
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_NE(run.out.find("ceilings"), std::string::npos) << run;
    EXPECT_NE(run.out.find("xenonnt_sr0/factored"), std::string::npos) << run;
}

TEST(Bench, ErrorsOfItsOptions)
{
    struct Case
    {
        Arguments arguments;
        std::string message;
    };
    for (auto const& [arguments, message] :
         std::vector<Case>{{{"--part", "row"}, "--part row: there is no such part; did you mean 'rows'"},
                           {{"--repeats", "0"}, "--repeats 0: must be 1 to 1000"},
                           {{"--min-time", "-1"}, "--min-time -1: must be 0 to 60 seconds"},
                           {{"--min-time", "nan"}, "--min-time nan: must be 0 to 60 seconds"},
                           {{"--points", "3"}, "--points 3: must be 4 to 1e10"},
                           {{"--threads", "1", "0"}, "--threads 0: the number of threads must be 1 to 4096"},
                           {{"--folder", "/nowhere"}, "--folder /nowhere: is no folder"},
                           {{"--folder", "/proc"}, "/proc: no folder can be made in it"},
                           {{"--threads", "1", "2", "1"}, "--threads 1: is given twice"},
                           {{"-e", "lz_ws2022", "-e", "lz_ws2022"}, "--experiment lz_ws2022: is given twice"},
                           {{"--experiment", "lz_ws2023"}, "lz_ws2022"}})
    {
        Arguments all{"bench"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        auto const run = run_nuscan(all);
        EXPECT_EQ(run.exit_code, 2) << run;
        EXPECT_TRUE(run.said(message)) << run;
        EXPECT_EQ(run.out, "") << run;
    }
}

} // namespace
} // namespace nuscan::test
