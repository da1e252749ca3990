// Bad input: exit code 2, one line that says where and what, nothing written. And input that looks bad but is not.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "host/backends/backend.hpp"
#include "host/io/surface_file.hpp"
#include "host/support/input_file.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tolerance.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

std::string read_text(fs::path const& file)
{
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// Contents of every file below a folder.
std::map<std::string, std::string> contents(fs::path const& folder)
{
    std::map<std::string, std::string> files;
    for (auto const& entry : fs::recursive_directory_iterator{folder})
        files[entry.path().string()] = entry.is_regular_file() ? read_text(entry.path()) : "";
    return files;
}

/// Expects a refusal of one line with every part in it.
void expect_refusal(RunResult const& run, std::vector<std::string> const& parts, int exit_code = 2)
{
    EXPECT_EQ(run.exit_code, exit_code) << run;
    EXPECT_EQ(run.out, "") << run;
    EXPECT_TRUE(run.err.starts_with("nuscan: ")) << run;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run;
    EXPECT_TRUE(run.err.ends_with('\n')) << run;
    for (auto const& part : parts)
        EXPECT_TRUE(run.said(part)) << "without: " << part << "\n" << run;
}

/// Runs nuscan in a folder, expecting a refusal that leaves the folder as it was.
void expect_refused_untouched(TempDir const& temp, Arguments const& arguments, std::vector<std::string> const& parts,
                              RunOptions options = {}, int exit_code = 2)
{
    options.folder = temp.path();
    auto const before = contents(temp.path());
    expect_refusal(run_nuscan(arguments, options), parts, exit_code);
    auto const after = contents(temp.path());
    for (auto const& [file, text] : after)
    {
        ASSERT_TRUE(before.contains(file)) << file << " was left behind";
        EXPECT_EQ(text, before.at(file)) << file << " was changed";
    }
    EXPECT_EQ(after.size(), before.size()) << "a file was removed";
}

// --- grid files ---------------------------------------------------------------------------------------------------------------------

struct GridCase
{
    char const* name;
    std::string text;
    std::vector<std::string> message;
};

void PrintTo(GridCase const& grid, std::ostream* out)
{
    *out << grid.name;
}

// Lines 1 to 3; the axes begin in line 4.
std::string const scan_section = "[scan]\nexperiments = [\"xenonnt_sr0\"]\n";
std::string const header = scan_section + "[axes]\n";
// Four lines; what follows begins in line 5.
std::string const good_grid = header + "mu_e = { min = 0.0, max = 1e-11, n = 3 }\n";

std::string with_axis(std::string const& axis)
{
    return header + axis + "\n";
}

std::vector<GridCase> grid_cases()
{
    std::string const most = "{ min = 0.0, max = 1.0, n = 100000000 }\n";
    return {
        // the file
        {"EmptyFile", "", {"grid.toml: the grid file is empty"}},
        {"BlankFile", " \r\n\n\t", {"grid.toml: the grid file is empty"}},
        {"ByteOrderMarkAlone", "\xEF\xBB\xBF", {"grid.toml: the grid file is empty"}},
        {"CommentsAlone", "# nothing\n", {"grid.toml: there is no [scan] section"}},
        {"SyntaxError", "[scan]\nexperiments = [\"xenonnt_sr0\"\n[axes]\n", {"grid.toml:", "not valid TOML"}},
        {"BinaryFile", std::string("\x89HDF\r\n\x1a\n\0\0\0", 11), {"grid.toml:1: not valid TOML"}},
        // sections and keys
        {"NoScanSection", "[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n", {"grid.toml: there is no [scan] section"}},
        {"NoAxesSection", scan_section, {"grid.toml: there are no axes", "mu_e = {"}},
        {"NoAxes", header, {"grid.toml: there are no axes"}},
        {"UnknownSection", good_grid + "[fixd]\nq_e = 0.0\n", {"grid.toml:5: key 'fixd': unknown key; did you mean 'fixed'?"}},
        {"UnknownKeyInScan",
         "[scan]\nexperiment = [\"xenonnt_sr0\"]\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml:2: key 'experiment' in [scan]: unknown key; did you mean 'experiments'?"}},
        {"UnknownKeyInAxis",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = 3, scal = \"log\" }"),
         {"grid.toml:4: key 'scal' in [axes.mu_e]: unknown key; did you mean 'scale'?"}},
        {"UnknownKeyInFixed",
         good_grid + "[fixed]\nq_m = 0.0\n",
         {"grid.toml:6: key 'q_m' in [fixed]: unknown parameter; did you mean 'q_"}},
        {"UnknownKeyInInputs",
         good_grid + "[inputs]\nsolr = \"gs98\"\n",
         {"grid.toml:6: key 'solr' in [inputs]: unknown key; did you mean 'solar'?"}},
        {"UnknownKeyInOutput",
         good_grid + "[output]\npulse = true\n",
         {"grid.toml:6: key 'pulse' in [output]: unknown key; did you mean 'pulls'?"}},
        {"WrongTypeOfOutput", good_grid + "[output]\npulls = 1\n", {"grid.toml:6: key 'pulls' in [output]: must be true or false"}},
        // experiments
        {"ExperimentsMissing",
         "[scan]\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml:1: key 'experiments' in [scan]: missing"}},
        {"NoExperiment",
         "[scan]\nexperiments = []\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml:2: key 'experiments' in [scan]: no experiment is named"}},
        {"ExperimentsNotAnArray",
         "[scan]\nexperiments = \"xenonnt_sr0\"\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml:2: key 'experiments' in [scan]: must be an array of strings"}},
        {"UnknownExperiment",
         "[scan]\nexperiments = [\"xenonnt_sr1\"]\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml: unknown experiment 'xenonnt_sr1'; did you mean 'xenonnt_sr0'?"}},
        {"DuplicateExperiment",
         "[scan]\nexperiments = [\"xenonnt_sr0\", \"lz_ws2022\", \"xenonnt_sr0\"]\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 "
         "}\n",
         {"grid.toml:2: key 'experiments' in [scan]: an experiment is named twice"}},
        {"SameDataTwice",
         "[scan]\nexperiments = [\"lz_ws2022\", \"lz_ws2022_arxiv2208\"]\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml: experiments 'lz_ws2022' and 'lz_ws2022_arxiv2208' have the same data"}},
        // axes
        {"UnknownParameter",
         with_axis("mue = { min = 0.0, max = 1e-11, n = 3 }"),
         {"grid.toml:4: key 'mue' in [axes]: unknown parameter; did you mean 'mu_e'?"}},
        {"UnknownScale",
         with_axis("mu_e = { min = 1e-13, max = 1e-11, n = 3, scale = \"logarithmic\" }"),
         {"grid.toml:4: key 'scale' in [axes.mu_e]: unknown value 'logarithmic'; valid: linear, log"}},
        {"AxisIsNoTable", with_axis("mu_e = 3"), {"grid.toml:4: key 'mu_e' in [axes]: must be a table"}},
        {"MinMissing", with_axis("mu_e = { max = 1e-11, n = 3 }"), {"grid.toml:4: key 'min' in [axes.mu_e]: missing"}},
        {"MaxMissing", with_axis("mu_e = { min = 0.0, n = 3 }"), {"grid.toml:4: key 'max' in [axes.mu_e]: missing"}},
        {"CountMissing", with_axis("mu_e = { min = 0.0, max = 1e-11 }"), {"grid.toml:4: key 'n' in [axes.mu_e]: missing"}},
        {"CountIsAFloat",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = 3.0 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: must be an integer"}},
        {"CountIsAString",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = \"3\" }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: must be an integer"}},
        {"CountIsZero",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = 0 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: 0 is not a number of points"}},
        {"CountIsNegative",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = -5 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: -5 is not a number of points"}},
        {"CountBeyondOneAxis",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = 2147483648 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: 2147483648 points on one axis are too many"}},
        {"CountBeyond64Bits", with_axis("mu_e = { min = 0.0, max = 1e-11, n = 99999999999999999999 }"), {"grid.toml:4: "}},
        {"OnePointForARange",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = 1 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: one point cannot cover a range"}},
        {"RangeOfOnePoint",
         with_axis("mu_e = { min = 1e-11, max = 1e-11, n = 2 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: min equals max"}},
        {"NodesThatCoincide",
         with_axis("mu_e = { min = 1e-11, max = 1.0000000000000001e-11, n = 50 }"),
         {"grid.toml:4: key 'n' in [axes.mu_e]: nodes 0 and 1 of 50 are the same number, 1e-11", "widen"}},
        {"NodesThatCoincideOnALogAxis",
         header + "g_V = { min = 0.0, max = 1e-6, n = 3 }\nm_V = { min = 1.0, max = 1.000000000000001, n = 50, scale = \"log\" }\n",
         {"grid.toml:5: key 'n' in [axes.m_V]: nodes ", "are the same number", "the range is too narrow for 50 points", "widen"}},
        {"MinAboveMax",
         with_axis("mu_e = { min = 2e-11, max = 1e-11, n = 3 }"),
         {"grid.toml:4: key 'min' in [axes.mu_e]: min = 2e-11 is above max = 1e-11"}},
        {"LogFromZero",
         with_axis("mu_e = { min = 0.0, max = 1e-11, n = 3, scale = \"log\" }"),
         {"grid.toml:4: key 'min' in [axes.mu_e]: a log axis needs min > 0, but min = 0"}},
        {"LogFromNegative",
         with_axis("q_e = { min = -1e-12, max = 1e-11, n = 3, scale = \"log\" }"),
         {"grid.toml:4: key 'min' in [axes.q_e]: a log axis needs min > 0"}},
        {"MinIsNan",
         with_axis("mu_e = { min = nan, max = 1e-11, n = 3 }"),
         {"grid.toml:4: key 'min' in [axes.mu_e]: must be a finite number"}},
        {"MaxIsInfinite",
         with_axis("mu_e = { min = 0.0, max = inf, n = 3 }"),
         {"grid.toml:4: key 'max' in [axes.mu_e]: must be a finite number"}},
        {"MinIsMinusInfinity",
         with_axis("q_e = { min = -inf, max = 1.0, n = 3 }"),
         {"grid.toml:4: key 'min' in [axes.q_e]: must be a finite number"}},
        {"MinIsAString",
         with_axis("mu_e = { min = \"0\", max = 1e-11, n = 3 }"),
         {"grid.toml:4: key 'min' in [axes.mu_e]: must be a number"}},
        {"NegativeMoment",
         with_axis("mu_e = { min = -1.0, max = 1e-11, n = 3 }"),
         {"grid.toml:4: key 'min' in [axes.mu_e]: mu_e = -1 is below its physical bound; it must be >= 0"}},
        {"MassOfZero",
         header + "g_V = { min = 0.0, max = 1e-6, n = 3 }\nm_V = { min = 0.0, max = 1.0, n = 3 }\n",
         {"grid.toml:5: key 'min' in [axes.m_V]: m_V = 0 is below its physical bound; it must be > 0"}},
        {"NegativeCoupling",
         header + "m_V = { min = 0.1, max = 1.0, n = 3 }\ng_V = { min = -1e-6, max = 1e-6, n = 3 }\n",
         {"grid.toml:5: key 'min' in [axes.g_V]: g_V = -1e-06 is below its physical bound"}},
        {"DuplicateAxis", good_grid + "mu_e = { min = 0.0, max = 2e-11, n = 3 }\n", {"grid.toml:5: not valid TOML", "mu_e"}},
        {"FiveAxes",
         header
             + "mu_e = { min = 0.0, max = 1.0, n = 2 }\nmu_mu = { min = 0.0, max = 1.0, n = 2 }\nmu_tau = { min = 0.0, max = 1.0, "
               "n = 2 }\nq_e = { min = 0.0, max = 1.0, n = 2 }\nq_mu = { min = 0.0, max = 1.0, n = 2 }\n",
         {"grid.toml:3: [axes]: 5 axes; a scan takes at most 4"}},
        {"PointsOverflow64Bits",
         header + "mu_e = " + most + "mu_mu = " + most + "mu_tau = " + most,
         {"grid.toml: the number of points overflows 64 bits"}},
        // parameters that do not go together
        {"CouplingWithoutMass", with_axis("g_V = { min = 0.0, max = 1e-6, n = 3 }"), {"grid.toml: g_V is given without m_V"}},
        {"MassWithoutCoupling", with_axis("m_S = { min = 0.1, max = 1.0, n = 3 }"), {"grid.toml: m_S is given without g_S"}},
        {"FixedMassWithoutCoupling", good_grid + "[fixed]\nm_T = 1.0\n", {"grid.toml: m_T is given without g_T"}},
        {"UniversalAndFlavouredMoment",
         header + "mu_e = { min = 0.0, max = 1e-11, n = 3 }\nmu_universal = { min = 0.0, max = 1e-11, n = 3 }\n",
         {"grid.toml: mu_e and mu_universal describe the same magnetic moment in two ways"}},
        {"FlavouredAndTransitionMoment",
         good_grid + "[fixed]\nLambda_2 = 1e-11\n",
         {"grid.toml: mu_e and Lambda_2 describe the same magnetic moment in two ways"}},
        {"AxisIsFixedToo", good_grid + "[fixed]\nmu_e = 1e-11\n", {"grid.toml:6: key 'mu_e' in [fixed]: is an axis already"}},
        {"FixedIsNan", good_grid + "[fixed]\nq_e = nan\n", {"grid.toml:6: key 'q_e' in [fixed]: must be a finite number"}},
        {"FixedBelowItsBound",
         good_grid + "[fixed]\nmu_mu = -1e-11\n",
         {"grid.toml:6: key 'mu_mu' in [fixed]: mu_mu = -1e-11 is below its physical bound"}},
        {"FixedTwice", good_grid + "[fixed]\nq_e = 0.0\nq_e = 0.0\n", {"grid.toml:7: not valid TOML", "q_e"}},
        {"BoundElectronFactorsBeyondTheSm",
         good_grid + "[inputs]\nelectrons = \"rrpa\"\n",
         {"grid.toml: electrons = \"rrpa\" is known for the SM only, but mu_e is given"}},
        // inputs
        {"UnknownSolarModel",
         good_grid + "[inputs]\nsolar = \"gs99\"\n",
         {"grid.toml: unknown solar model 'gs99'; valid: agss09met, gs98"}},
        {"UnknownOscillation",
         good_grid + "[inputs]\noscillation = \"pdg\"\n",
         {"grid.toml: unknown oscillation parameters 'pdg'; valid: desalas2020, nufit52"}},
        {"UnknownConstant",
         good_grid + "[inputs.constants]\ns_W = 0.23\n",
         {"grid.toml: unknown constant 's_W'; did you mean 's_W2'?"}},
        {"ConstantIsAString",
         good_grid + "[inputs.constants]\ns_W2 = \"0.23\"\n",
         {"grid.toml:6: key 's_W2' in [inputs.constants]: must be a number"}},
        {"ConstantIsNegative",
         good_grid + "[inputs.constants]\ns_W2 = -0.23\n",
         {"grid.toml: constant 's_W2': must be finite and above 0"}},
    };
}

class GridFile : public testing::TestWithParam<GridCase>
{
};

TEST_P(GridFile, IsRefusedAndNothingIsWritten)
{
    TempDir const temp;
    temp.write("grid.toml", GetParam().text);
    expect_refused_untouched(temp, {"scan", "grid.toml", "-o", "out.h5"}, GetParam().message);
    expect_refused_untouched(temp, {"plan", "grid.toml", "--json"}, GetParam().message);
}

template<class Case>
std::string case_name(testing::TestParamInfo<Case> const& info)
{
    return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Bad, GridFile, testing::ValuesIn(grid_cases()), case_name<GridCase>);

TEST(GridFileErrors, MissingFileAndFolder)
{
    TempDir const temp;
    expect_refused_untouched(temp, {"scan", "grid.toml", "-o", "out.h5"}, {"grid.toml: cannot read the grid file"});
    fs::create_directory(temp.path() / "grid.toml");
    expect_refused_untouched(temp, {"scan", "grid.toml", "-o", "out.h5"}, {"grid.toml: cannot read the grid file: it is a folder"});
}

TEST(GridFileErrors, DevicesAndEndlessFiles)
{
    TempDir const temp;
    for (char const* const verb : {"plan", "scan"})
    {
        Arguments arguments{verb, "/dev/zero"};
        if (arguments.front() == "scan")
            arguments.insert(arguments.end(), {"-o", "out.h5"});
        expect_refused_untouched(temp, arguments, {"/dev/zero: cannot read the grid file: it is not a regular file"});
    }
    temp.write("grid.toml", std::string(longest_toml_file + 1, '\n'));
    expect_refused_untouched(temp, {"plan", "grid.toml"},
                             {"grid.toml: cannot read the grid file: it is longer than 1048576 bytes"});
    temp.write("grid.toml", good_grid);
    for (char const* const site : {"/dev/zero", "."})
        expect_refused_untouched(temp, {"plan", "grid.toml", "--slurm", "--site", site},
                                 {std::string{"--site "} + site + ": cannot be read: it is "});
}

TEST(GridFileErrors, APipeIsReadToItsEnd)
{
    TempDir const temp;
    temp.write("grid.toml", good_grid);
    temp.write("long.toml", std::string(longest_toml_file + 1, '\n'));
    RunOptions options;
    options.program = "/bin/bash";
    options.folder = temp.path();
    // By a file name such as /dev/fd/63.
    auto const plan = [&](std::string const& file, std::string const& more) {
        return run_nuscan({"-c", "exec '" NUSCAN_BINARY "' plan <(cat " + file + ") " + more}, options);
    };
    auto const good = plan("grid.toml", "--json");
    EXPECT_EQ(good.exit_code, 0) << good;
    EXPECT_EQ(Json::parse(good.out, nullptr, false).value("points", 0), 3) << good;
    expect_refusal(plan("long.toml", ""), {"/dev/fd/", ": cannot read the grid file: it is longer than 1048576 bytes"});
    expect_refusal(plan("grid.toml", "--slurm"), {"is not a regular file; the tasks of a Slurm array read the grid from one"});
}

TEST(SurfaceErrors, DevicesAndPipes)
{
    TempDir const temp;
    ASSERT_EQ(mkfifo((temp.path() / "pipe").c_str(), 0600), 0);
    ASSERT_EQ(mkfifo((temp.path() / "out.h5.journal").c_str(), 0600), 0);
    RunOptions options;
    options.folder = temp.path();
    for (std::string const file : {"pipe", "/dev/zero"})
        for (Arguments const& command : {Arguments{"info", file},
                                         {"validate", file},
                                         {"merge", file, "-o", "merged.h5"},
                                         {"diff", file, file},
                                         {"export", file, "--format", "csv", "-o", "tables"},
                                         {"limits", file},
                                         {"profile", file, "--keep", "m_V"}})
        {
            auto const run = run_nuscan(command, options);
            EXPECT_TRUE(run.exit_code == 1 || run.exit_code == 2) << run;
            EXPECT_TRUE(run.said(file + ": not a regular file")) << run;
        }
    expect_refused_untouched(temp, {"info", "out.h5"}, {"out.h5.journal: is not a regular file, so no journal"});
    temp.write("grid.toml", good_grid);
    expect_refused_untouched(temp, {"scan", "grid.toml", "-o", "out.h5"}, {"out.h5.journal: is no"});
}

// --- outputs ------------------------------------------------------------------------------------------------------------------------

class BadOutput : public testing::Test
{
protected:
    BadOutput() { temp_.write("grid.toml", good_grid); }

    void expect_refused(std::string const& output, std::vector<std::string> const& parts, RunOptions const& options = {})
    {
        expect_refused_untouched(temp_, {"scan", "grid.toml", "-o", output}, parts, options);
        expect_refused_untouched(temp_, {"scan", "grid.toml", "-o", output, "--restart"}, parts, options);
    }

    TempDir temp_;
};

TEST_F(BadOutput, FolderMustExist)
{
    expect_refused("no/out.h5", {"no/out.h5: the folder no does not exist"});
}

TEST_F(BadOutput, FolderMustBeWritable)
{
    auto const user = obeying_permissions({});
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    fs::create_directory(temp_.path() / "locked");
    fs::permissions(temp_.path() / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    expect_refused("locked/out.h5", {"locked/out.h5: the folder locked is not writable"}, *user);
    fs::permissions(temp_.path() / "locked", fs::perms::owner_all);
}

TEST_F(BadOutput, FolderMustBeOpen)
{
    RunOptions options;
    options.folder = temp_.path();
    auto const user = obeying_permissions(options);
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    fs::create_directory(temp_.path() / "closed");
    // The folder cannot be looked into: the test itself must not try while it is closed.
    fs::permissions(temp_.path() / "closed", fs::perms::none);
    auto const output = run_nuscan({"scan", "grid.toml", "-o", "closed/out.h5"}, *user);
    auto const grid = run_nuscan({"scan", "closed/grid.toml", "-o", "out.h5"}, *user);
    fs::permissions(temp_.path() / "closed", fs::perms::owner_all);
    expect_refusal(output, {"closed/out.h5: cannot be written: Permission denied"});
    expect_refusal(grid, {"closed/grid.toml: cannot read the grid file"});
}

TEST_F(BadOutput, NameMustNotBeTooLong)
{
    std::string const name(300, 'x');
    expect_refused(name, {name + ": cannot be written: File name too long"});
    // The name would do, that of the journal beside it would not.
    expect_refused(std::string(250, 'x'), {"cannot be written: File name too long"});
    expect_refused_untouched(temp_, {"scan", name + ".toml", "-o", "out.h5"}, {"cannot read the grid file"});
}

TEST_F(BadOutput, FilesBesideItMustBeFilesToo)
{
    for (std::string const suffix : {".journal", ".partial"})
    {
        fs::create_directory(temp_.path() / ("out.h5" + suffix));
        expect_refused("out.h5", {"out.h5" + suffix + ": is no file"});
        fs::remove(temp_.path() / ("out.h5" + suffix));
    }
}

TEST_F(BadOutput, SystemFoldersTakeNoFiles)
{
    // As root they look writable; no byte is free on them.
    expect_refused("/proc/nuscan_test.h5", {"/proc/nuscan_test.h5: "});
    for (char const* file : {"/proc/nuscan_test.h5", "/proc/nuscan_test.h5.journal"})
        EXPECT_FALSE(fs::exists(file));
    // Some containers have an ordinary folder there, which takes files.
    struct statfs system = {};
    if (statfs("/sys", &system) != 0 || system.f_type != SYSFS_MAGIC)
        GTEST_SKIP() << "/sys is no sysfs here, but an ordinary folder, which takes files";
    expect_refused("/sys/nuscan_test.h5", {"/sys/nuscan_test.h5: "});
    EXPECT_FALSE(fs::exists("/sys/nuscan_test.h5"));
}

TEST_F(BadOutput, MustNotBeAFolder)
{
    fs::create_directory(temp_.path() / "out");
    expect_refused("out", {"out: is a folder"});
    expect_refused(".", {".: is a folder"});
}

TEST_F(BadOutput, MustHaveAName)
{
    expect_refused("", {"--output: the name of the output file is empty"});
}

TEST_F(BadOutput, MustNotBeADevice)
{
    // With --restart the result would be renamed over it: a file system object of the test stands in for /dev/null.
    ASSERT_EQ(mkfifo((temp_.path() / "pipe").c_str(), 0600), 0);
    expect_refused("pipe", {"pipe: is not a regular file"});
    EXPECT_TRUE(fs::is_fifo(temp_.path() / "pipe"));
}

TEST_F(BadOutput, MustNotBeTheGridFile)
{
    expect_refused("grid.toml", {"grid.toml: output and grid file are the same file"});
    expect_refused("./grid.toml", {"output and grid file are the same file"});
    fs::create_symlink("grid.toml", temp_.path() / "link.toml");
    fs::create_hard_link(temp_.path() / "grid.toml", temp_.path() / "other.toml");
    expect_refused("link.toml", {"output and grid file are the same file"});
    expect_refused("other.toml", {"output and grid file are the same file"});
}

TEST_F(BadOutput, ForeignFileIsNotReplaced)
{
    temp_.write("notes.txt", "not a surface");
    expect_refused_untouched(temp_, {"scan", "grid.toml", "-o", "notes.txt"}, {"notes.txt: not an HDF5 file", "--restart"});
}

TEST_F(BadOutput, DiskMustHoldTheSurface)
{
    temp_.write("grid.toml",
                header + "mu_e = { min = 0.0, max = 1.0, n = 100000000 }\nmu_mu = { min = 0.0, max = 1.0, n = 100000000 }\n");
    expect_refused("out.h5", {"out.h5: not enough disk: the scan needs ", " GB free"});
}

// --- command lines ------------------------------------------------------------------------------------------------------------------

struct CommandCase
{
    char const* name;
    Arguments arguments;
    std::vector<std::string> message;
    std::map<std::string, std::optional<std::string>> environment{};
};

void PrintTo(CommandCase const& command, std::ostream* out)
{
    *out << command.name;
}

std::vector<CommandCase> command_cases()
{
    auto const chi2 = [](Arguments const& more) {
        Arguments arguments{"chi2", "-e", "xenonnt_sr0", "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    auto const limits = [](Arguments const& more) {
        Arguments arguments{"limits", "-e", "xenonnt_sr0", "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    auto const scan = [](Arguments const& more) {
        Arguments arguments{"scan", "grid.toml", "-o", "out.h5"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    auto const tmm = [](std::string const& lambda, Arguments const& more = {}) {
        Arguments arguments{"tmm", "--flavour", "e", "--baseline", "1", "--energy", "3", "--lambda=" + lambda};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    return {
        // --experiment
        {"ExperimentMissing", {"chi2", "--json"}, {"--experiment is required"}},
        {"UnknownExperiment", {"chi2", "-e", "xenonnt"}, {"unknown experiment 'xenonnt'; did you mean 'xenonnt_sr0'?"}},
        {"ExperimentTwice", {"chi2", "-e", "xenonnt_sr0", "xenonnt_sr0"}, {"experiment 'xenonnt_sr0' is given twice"}},
        {"SameDataTwice",
         {"limits", "-e", "lz_ws2022", "-e", "lz_ws2022_arxiv2208"},
         {"'lz_ws2022' and 'lz_ws2022_arxiv2208' have the same data"}},
        {"TwoExperimentsForOneSpectrum", {"spectrum", "-e", "lz_ws2022", "-e", "xenonnt_sr0"}, {"--experiment"}},
        // --set
        {"SettingWithoutValue", chi2({"--set", "mu_e"}), {"--set mu_e: not of the form PARAMETER=VALUE"}},
        {"SettingWithoutName", chi2({"--set", "=1"}), {"--set =1: not of the form PARAMETER=VALUE"}},
        {"SettingWithEmptyValue", chi2({"--set", "mu_e="}), {"--set mu_e=: '' is not a finite number"}},
        {"SettingWithRubbish", chi2({"--set", "mu_e=1e-11x"}), {"--set mu_e=1e-11x: '1e-11x' is not a finite number"}},
        {"SettingWithDecimalComma", chi2({"--set", "mu_e=1,5"}), {"'1,5' is not a finite number"}},
        {"SettingNan", chi2({"--set", "mu_e=nan"}), {"'nan' is not a finite number"}},
        {"SettingInfinite", chi2({"--set", "q_e=-inf"}), {"'-inf' is not a finite number"}},
        {"SettingOverflow", chi2({"--set", "q_e=1e999"}), {"'1e999' is not a finite number"}},
        {"SettingUnknownParameter", chi2({"--set", "mu_x=1"}), {"unknown parameter 'mu_x'; did you mean 'mu_e'?"}},
        {"SettingBelowItsBound", chi2({"--set", "mu_e=-1e-11"}), {"mu_e = -1e-11 is below its physical bound; it must be >= 0"}},
        {"SettingMassOfZero",
         chi2({"--set", "g_V=1e-6", "--set", "m_V=0"}),
         {"m_V = 0 is below its physical bound; it must be > 0"}},
        {"SettingTwice", chi2({"--set", "mu_e=1e-11", "--set", "q_e=0", "--set", "mu_e=1e-11"}), {"mu_e is set twice"}},
        {"SettingCouplingWithoutMass", chi2({"--set", "g_A=1e-6"}), {"g_A is given without m_A"}},
        {"SettingMassWithoutCoupling", chi2({"--set", "m_P=1"}), {"m_P is given without g_P"}},
        {"SettingMixedMoments",
         chi2({"--set", "mu_tau=1e-11", "--set", "Lambda_1=1e-11"}),
         {"mu_tau and Lambda_1 describe the same magnetic moment"}},
        {"SettingAnAxis", scan({"--set", "mu_e=1e-11"}), {"--set mu_e=1e-11: mu_e is an axis of grid.toml"}},
        {"SettingMixedMomentsOnAScan",
         scan({"--set", "mu_universal=1e-11"}),
         {"grid.toml: mu_e and mu_universal describe the same magnetic moment"}},
        {"SettingTwiceOnAScan", scan({"--set", "q_e=0", "--set", "q_e=0"}), {"q_e is set twice"}},
        // --experiment and --nodes of a grid
        {"UnknownExperimentOfAScan", scan({"-e", "lz_ws22"}), {"unknown experiment 'lz_ws22'; did you mean 'lz_ws2022'?"}},
        {"ExperimentOfAScanTwice",
         scan({"-e", "lz_ws2022", "-e", "lz_ws2022"}),
         {"grid.toml: experiment 'lz_ws2022' is given twice"}},
        {"SameDataTwiceInAScan", scan({"-e", "lz_ws2022", "lz_ws2022_arxiv2208"}), {"have the same data"}},
        {"OneNode", scan({"--nodes", "1"}), {"--nodes 1: an axis that covers a range has at least 2 nodes"}},
        {"NegativeNodes", scan({"--nodes", "-3"}), {"--nodes -3: an axis that covers a range has at least 2 nodes"}},
        {"NodesAreAWord", scan({"--nodes", "few"}), {"--nodes"}},
        {"MassBeyondPhysics", chi2({"--set", "g_V=1", "--set", "m_V=1e31"}), {"m_V = 1e+31 is above 1e+30 MeV"}},
        // limits
        {"ConfidenceLevelZero", limits({"--cl", "0"}), {"--cl 0: a confidence level lies between 0 and 1"}},
        {"ConfidenceLevelAboveOne", limits({"--cl", "1.5"}), {"--cl 1.5: a confidence level lies between 0 and 1"}},
        {"ConfidenceLevelOne", limits({"--cl", "1"}), {"--cl 1: a confidence level lies between 0 and 1"}},
        {"ConfidenceLevelNan", limits({"--cl", "nan"}), {"--cl nan: a confidence level lies between 0 and 1"}},
        {"ConfidenceLevelInPercent", limits({"--cl", "90%"}), {"--cl"}},
        {"NoDegreeOfFreedom", limits({"--dof", "0"}), {"--dof 0: there must be at least one degree of freedom"}},
        {"NegativeDegreesOfFreedom", limits({"--dof", "-2"}), {"--dof -2: there must be at least one degree of freedom"}},
        {"UnknownLimitParameter", limits({"-p", "mu_f"}), {"unknown parameter 'mu_f'; did you mean 'mu_e'?"}},
        {"LimitParameterTwice", limits({"-p", "mu_e", "-p", "mu_e"}), {"--parameter mu_e is given twice"}},
        {"LimitParameterIsSet", limits({"-p", "mu_e", "--set", "mu_e=1e-11"}), {"mu_e is fixed by --set"}},
        {"LimitOfACouplingWithoutMass", limits({"-p", "g_V"}), {"g_V is given without m_V"}},
        {"LimitsBesideACouplingWithoutMass", limits({"--set", "g_V=1e-6"}), {"g_V is given without m_V"}},
        // devices and routes
        {"NoThreads", chi2({"--threads", "0"}), {"--threads 0: the number of threads must be 1 to 4096"}},
        {"NegativeThreads", chi2({"--threads", "-3"}), {"--threads -3: the number of threads must be 1 to 4096"}},
        {"MinusOneThread", scan({"--threads", "-1"}), {"--threads -1: the number of threads must be 1 to 4096"}},
        {"TooManyThreads", scan({"--threads", "1000000"}), {"--threads 1000000: the number of threads must be 1 to 4096"}},
        {"ThreadsAreAWord", chi2({"--threads", "many"}), {"--threads"}},
        {"UnknownDevice", chi2({"--device", "gpu9"}), {"unknown device 'gpu9'; valid: auto, reference, cpu, cuda"}},
        {"MisspeltDevice", scan({"--device", "refrence"}), {"unknown device 'refrence'; did you mean 'reference'?"}},
        {"CudaDeviceIsAWord", chi2({"--device", "cuda:x"}), {"--device cuda:x: 'x' is not the number of a CUDA device"}},
        {"CudaDeviceIsNegative", chi2({"--device", "cuda:-1"}), {"--device cuda:-1: '-1' is not the number of a CUDA device"}},
        {"UnknownRoute", chi2({"--route", "drect"}), {"unknown route 'drect'; did you mean 'direct'?"}},
        {"UnknownRouteOnAScan", scan({"--route", "fast"}), {"unknown route 'fast'; valid: auto, direct, factored"}},
        {"NoChunk", scan({"--chunk", "0"}), {"--chunk 0: a chunk has at least one point"}},
        {"NegativeChunk", scan({"--chunk", "-1"}), {"--chunk -1: a chunk has at least one point"}},
        {"ChunkBeyond64Bits", scan({"--chunk", "99999999999999999999"}), {"--chunk: 99999999999999999999: must be a whole number"}},
        {"ChunkWithAnExponent", scan({"--chunk", "1e3"}), {"--chunk: 1e3: must be a whole number"}},
        {"ThreadsLookOctal", scan({"--threads", "010"}), {"--threads: 010: must be a whole number, in decimal digits"}},
        // inputs
        {"UnknownSolarModel", chi2({"--solar", "gs99"}), {"unknown solar model 'gs99'; valid: agss09met, gs98"}},
        {"UnknownOscillation",
         chi2({"--oscillation", "pdg"}),
         {"unknown oscillation parameters 'pdg'; valid: desalas2020, nufit52"}},
        {"UnknownShells", chi2({"--shells", "dirac"}), {"unknown shells 'dirac'; valid: hf, hf_corrected"}},
        {"UnknownElectrons", chi2({"--electrons", "free"}), {"unknown electrons 'free'; valid: step, rrpa"}},
        {"UnknownTransitionSurvival",
         chi2({"--transition-survival", "vacuum"}),
         {"unknown transition_survival 'vacuum'; valid: constant, adiabatic"}},
        {"SolarModelIsAPath", chi2({"--solar", "../solar/gs98"}), {"unknown solar model '../solar/gs98'"}},
        {"BoundElectronFactorsBeyondTheSm",
         chi2({"--electrons", "rrpa", "--set", "mu_e=1e-11"}),
         {"electrons = \"rrpa\" is known for the SM only, but mu_e is given"}},
        {"ConstantWithoutValue", chi2({"--constant", "s_W2"}), {"--constant s_W2: not of the form NAME=VALUE"}},
        {"ConstantNan", chi2({"--constant", "s_W2=nan"}), {"--constant s_W2=nan: not of the form NAME=VALUE"}},
        {"ConstantUnknown", chi2({"--constant", "s_W=0.23"}), {"unknown constant 's_W'; did you mean 's_W2'?"}},
        {"ConstantNegative", chi2({"--constant", "M_Xe=-131"}), {"constant 'M_Xe': must be finite and above 0"}},
        {"ConstantProbabilityAboveOne", chi2({"--constant", "P_e1=1.5"}), {"constant 'P_e1': must lie between 0 and 1"}},
        {"ConstantTwice", chi2({"--constant", "K=0.3", "--constant", "K=0.3"}), {"K is given twice"}},
        {"ConstantOnAScan", scan({"--constant", "G=1"}), {"grid.toml: unknown constant 'G'"}},
        {"DataFolderMissing",
         chi2({}),
         {"environment variable NUSCAN_DATA_DIR: /no/such/folder: no such data folder"},
         {{"NUSCAN_DATA_DIR", "/no/such/folder"}}},
        {"DataFolderIsAnother",
         chi2({}),
         {"environment variable NUSCAN_DATA_DIR: /usr: not a data folder of nuscan: 'solar/' is missing"},
         {{"NUSCAN_DATA_DIR", "/usr"}}},
        {"DataFolderIsAFile",
         chi2({}),
         {"environment variable NUSCAN_DATA_DIR: /etc/passwd: no such data folder"},
         {{"NUSCAN_DATA_DIR", "/etc/passwd"}}},
        {"DataFolderMissingOnAScan",
         scan({}),
         {"environment variable NUSCAN_DATA_DIR: /no/such/folder"},
         {{"NUSCAN_DATA_DIR", "/no/such/folder"}}},
        // other verbs
        {"SpectrumAsJsonAndCsv", {"spectrum", "-e", "xenonnt_sr0", "--json", "--csv"}, {"--json and --csv exclude each other"}},
        {"ListOfSomethingElse", {"list", "paramters"}, {"list paramters: cannot be listed; did you mean 'parameters'?"}},
        {"UnknownOption", {"info", "out.h5", "--foo"}, {"--foo"}},
        {"ScanWithoutOutput", {"scan", "grid.toml"}, {"--output is required"}},
        {"ScanWithoutGrid", {"scan", "-o", "out.h5"}, {"grid is required"}},
        {"InfoOnNothing", {"info", "out.h5"}, {"out.h5: No such file"}},
        {"InfoOnAGridFile", {"info", "grid.toml"}, {"grid.toml: not an HDF5 file"}},
        {"ValidateOnNothing", {"validate", "out.h5"}, {"out.h5: No such file"}},
        {"ValidateNegativePoints", {"validate", "out.h5", "--points", "-1"}, {"--points -1: choose 0 to "}},
        // tmm
        {"UnknownFlavour",
         {"tmm", "--flavour", "tao", "--baseline", "1", "--energy", "3", "--lambda", "1,2,3"},
         {"--flavour tao: unknown; did you mean 'tau'?"}},
        {"TwoMoments", tmm("1e-11,2e-11"), {"--lambda 1e-11,2e-11: three moments are needed"}},
        {"FourMoments", tmm("1,2,3,4"), {"--lambda 1,2,3,4: three moments are needed"}},
        {"MomentMissing", tmm("1,,3"), {"--lambda: '' is not a number of the form re, re+imi or re-imi"}},
        {"MomentIsAWord", tmm("1,x,3"), {"--lambda: 'x' is not a number"}},
        {"MomentNan", tmm("1,nan,3"), {"--lambda: 'nan' is not a number"}},
        {"MomentWithTwoSigns", tmm("1,1+-2i,3"), {"--lambda: '1+-2i' is not a number"}},
        {"MomentWithTwoImaginaryParts", tmm("1,1i+2i,3"), {"--lambda: '1i+2i' is not a number"}},
        {"OneMajoranaPhase", tmm("1,2,3", {"--majorana", "0.5"}), {"--majorana 0.5: two phases in radian are needed"}},
        {"NoEnergy",
         {"tmm", "--flavour", "e", "--baseline", "1", "--energy", "0", "--lambda", "1,2,3"},
         {"--energy 0: the energy must be positive"}},
        {"NegativeBaseline",
         {"tmm", "--flavour", "e", "--baseline", "-1", "--energy", "1", "--lambda", "1,2,3"},
         {"--baseline -1: the baseline must be 0 or positive"}},
        {"EnergyNan",
         {"tmm", "--flavour", "e", "--baseline", "1", "--energy", "nan", "--lambda", "1,2,3"},
         {"--energy nan: the energy must be positive"}},
    };
}

class CommandLine : public testing::TestWithParam<CommandCase>
{
};

TEST_P(CommandLine, IsRefusedAndNothingIsWritten)
{
    TempDir const temp;
    temp.write("grid.toml", good_grid);
    RunOptions options;
    options.environment = GetParam().environment;
    expect_refused_untouched(temp, GetParam().arguments, GetParam().message, options);
}

INSTANTIATE_TEST_SUITE_P(Bad, CommandLine, testing::ValuesIn(command_cases()), case_name<CommandCase>);

TEST(CommandLineErrors, CudaThatIsNotThereIsAFailureWithAnAlternative)
{
    std::string reason;
    if (!cuda_devices(reason).empty())
        GTEST_SKIP() << "there is a CUDA device: that it is missing is tested on machines without";
    TempDir const temp;
    temp.write("grid.toml", good_grid);
    for (std::string const device : {"cuda", "cuda:0"})
    {
        std::vector<std::string> const message{"--device " + device + ": " + reason + "; use --device cpu"};
        expect_refused_untouched(temp, {"chi2", "-e", "xenonnt_sr0", "--device", device}, message, {}, 1);
        expect_refused_untouched(temp, {"limits", "-e", "xenonnt_sr0", "--device", device}, message, {}, 1);
        expect_refused_untouched(temp, {"spectrum", "-e", "xenonnt_sr0", "--device", device}, message, {}, 1);
        expect_refused_untouched(temp, {"scan", "grid.toml", "-o", "out.h5", "--device", device}, message, {}, 1);
    }
}

// --- data folders -------------------------------------------------------------------------------------------------------------------

/// A copy of the data, to be damaged.
class SpoiltData : public testing::Test
{
protected:
    SpoiltData() { fs::copy(NUSCAN_SOURCE_DATA_DIR, data(), fs::copy_options::recursive); }

    fs::path data() const { return temp_.path() / "data"; }
    fs::path experiment(std::string const& file) const { return data() / "experiments" / file; }

    void write(fs::path const& file, std::string const& text) const { temp_.write(file.lexically_relative(temp_.path()), text); }

    /// Replaces the first occurrence and returns the number of its line.
    std::string replace(fs::path const& file, std::string const& find, std::string const& replacement) const
    {
        std::string text = read_text(file);
        auto const at = text.find(find);
        if (at == text.npos)
            throw std::logic_error{file.string() + " does not hold " + find};
        auto const line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
        write(file, text.replace(at, find.size(), replacement));
        return std::to_string(line);
    }

    /// Replaces row \p row of a table, counted from 0, and returns the number of its line.
    std::string replace_row(fs::path const& file, int row, std::string const& replacement) const
    {
        std::istringstream in{read_text(file)};
        std::string text;
        std::string found;
        int number = 0;
        for (std::string line; std::getline(in, line);)
        {
            ++number;
            bool const hit = !line.starts_with('#') && row-- == 0;
            if (hit)
                found = std::to_string(number);
            text += (hit ? replacement : line) + "\n";
        }
        write(file, text);
        return found;
    }

    RunOptions options() const
    {
        RunOptions options;
        options.environment["NUSCAN_DATA_DIR"] = data().string();
        return options;
    }

    void expect_refused(std::string const& experiment, std::vector<std::string> const& parts) const
    {
        expect_refused_untouched(temp_, {"chi2", "-e", experiment}, parts, options());
    }

    TempDir temp_;
};

TEST_F(SpoiltData, CopyIsGood)
{
    EXPECT_EQ(run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}, options()).out,
              run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}).out);
}

TEST_F(SpoiltData, MissingTable)
{
    fs::remove(experiment("xenonnt_sr0/events.txt"));
    expect_refused("xenonnt_sr0",
                   {"xenonnt_sr0/experiment.toml:", "key 'events' in [data]", "xenonnt_sr0/events.txt: No such file"});
}

TEST_F(SpoiltData, MissingExperimentFile)
{
    fs::remove(experiment("xenonnt_sr0/experiment.toml"));
    expect_refused("xenonnt_sr0", {"unknown experiment 'xenonnt_sr0'"});
}

TEST_F(SpoiltData, MalformedNumber)
{
    auto const line = replace_row(experiment("xenonnt_sr0/efficiency.txt"), 7, "0.10507x 0.0");
    expect_refused("xenonnt_sr0", {"xenonnt_sr0/efficiency.txt:" + line + ": column 'energy': '0.10507x' is not a finite number"});
}

TEST_F(SpoiltData, DecimalComma)
{
    auto const line = replace_row(experiment("xenonnt_sr0/events.txt"), 0, "1,698");
    expect_refused("xenonnt_sr0", {"xenonnt_sr0/events.txt:" + line + ": column 'energy': '1,698' is not a finite number"});
}

TEST_F(SpoiltData, NanInATable)
{
    auto const line = replace_row(experiment("xenonnt_sr0/b0.txt"), 3, "0.3 0.4 nan");
    expect_refused("xenonnt_sr0", {"xenonnt_sr0/b0.txt:" + line + ": column 'rate': 'nan' is not a finite number"});
}

TEST_F(SpoiltData, ColumnMissingInARow)
{
    auto const line = replace_row(experiment("lz_ws2022/ar37.txt"), 2, "0.66 1.0");
    expect_refused("lz_ws2022", {"lz_ws2022/ar37.txt:" + line + ": too few columns: 2 values"});
}

TEST_F(SpoiltData, UnsortedAbscissae)
{
    auto const line = replace_row(experiment("lz_ws2022/er_efficiency.txt"), 4, "0.3 0.136");
    expect_refused("lz_ws2022", {"lz_ws2022/er_efficiency.txt:" + line + ": column 'energy': not sorted: 0.3 follows 0.75"});
}

TEST_F(SpoiltData, DuplicateAbscissae)
{
    auto const line = replace_row(experiment("lz_ws2022/er_efficiency.txt"), 4, "0.750 0.136");
    expect_refused("lz_ws2022", {"lz_ws2022/er_efficiency.txt:" + line + ": column 'energy': duplicate value 0.75"});
}

TEST_F(SpoiltData, EfficiencyAboveOne)
{
    auto const line = replace_row(experiment("lz_ws2022/er_efficiency.txt"), 20, "5.000 1.2");
    expect_refused("lz_ws2022",
                   {"lz_ws2022/er_efficiency.txt:" + line + ": column 'efficiency': an efficiency of 1.2 is outside [0, 1]"});
}

TEST_F(SpoiltData, NegativeEfficiency)
{
    auto const line = replace_row(experiment("lz_ws2022/er_efficiency.txt"), 20, "5.000 -0.1");
    expect_refused("lz_ws2022",
                   {"lz_ws2022/er_efficiency.txt:" + line + ": column 'efficiency': an efficiency of -0.1 is outside [0, 1]"});
}

TEST_F(SpoiltData, OverlappingOrUnorderedEdges)
{
    auto const file = experiment("xenonnt_sr0/experiment.toml");
    auto const good = read_text(file);
    auto const bins = good.substr(good.find("min_keV"), good.find("[data]") - good.find("min_keV"));
    for (auto const& [edges, message] :
         std::map<std::string, std::string>{{"[0.0, 10.0, 5.0, 30.0]", "5 follows 10; must be strictly"},
                                            {"[0.0, 10.0, 10.0, 30.0]", "10 follows 10; must be strictly"},
                                            {"[30.0]", "must list two edges at least"}})
    {
        write(file, good);
        auto const line = replace(file, bins, "edges_keV = " + edges + "\n");
        expect_refused("xenonnt_sr0", {"experiment.toml:" + line + ": key 'edges_keV' in [bins]: " + message});
    }
}

TEST_F(SpoiltData, OverlappingRowsOfABackground)
{
    auto const line = replace_row(experiment("xenonnt_sr0/b0.txt"), 11, "1.05 1.2 2.3");
    expect_refused("xenonnt_sr0", {"xenonnt_sr0/b0.txt:" + line + ": column 'lower': 1.05 overlaps the row before"});
}

TEST_F(SpoiltData, ResolutionOfZero)
{
    auto const file = experiment("lz_ws2022/experiment.toml");
    auto const line = replace(file, "[resolution]", "[resolution]");
    replace(file, "sqrt = 0.323", "sqrt = 0.0");
    expect_refused("lz_ws2022", {"lz_ws2022/experiment.toml:" + line + ": [resolution]: the resolution has width 0 keV"});
}

TEST_F(SpoiltData, UnknownKeys)
{
    auto const file = experiment("xenonnt_sr0/experiment.toml");
    auto const good = read_text(file);
    auto line = replace(file, "exposure_t_yr = 1.16", "expsure_t_yr = 1.16");
    expect_refused("xenonnt_sr0",
                   {"xenonnt_sr0/experiment.toml:" + line + ": key 'expsure_t_yr': unknown key; did you mean 'exposure_t_yr'?"});
    write(file, good);
    line = replace(file, "sigma = 0.07", "sigm = 0.07");
    expect_refused("xenonnt_sr0",
                   {"xenonnt_sr0/experiment.toml:" + line + ": key 'sigm' in [signal]: unknown key; did you mean 'sigma'?"});
}

TEST_F(SpoiltData, NameOfAnotherFolder)
{
    auto const line = replace(experiment("xenonnt_sr0/experiment.toml"), "name = \"xenonnt_sr0\"", "name = \"xenonnt\"");
    expect_refused("xenonnt_sr0", {"xenonnt_sr0/experiment.toml:" + line + ": key 'name'", "'xenonnt_sr0'"});
}

TEST_F(SpoiltData, SyntaxError)
{
    auto const line = replace(experiment("xenonnt_sr0/experiment.toml"), "n = 30", "n = ");
    expect_refused("xenonnt_sr0", {"xenonnt_sr0/experiment.toml:" + line + ": not valid TOML"});
}

TEST_F(SpoiltData, PoissonNeedsEvents)
{
    replace(experiment("lz_ws2022/experiment.toml"), "rate_unit = \"events\"", "rate_unit = \"1/(t yr)\"");
    expect_refused("lz_ws2022", {"experiment lz_ws2022: statistic = \"poisson\" counts events; set rate_unit = \"events\""});
}

TEST_F(SpoiltData, EventsWhereNothingIsPredicted)
{
    // A background that contains the SM and is 0 above 10 keV: it leaves nothing to explain the events there.
    auto const file = experiment("lz_ws2022/experiment.toml");
    auto const good = read_text(file);
    write(file, good.substr(0, good.find("[[background]]"))
                    + "[[background]]\nname = \"b0\"\ndensity = \"b0.txt\"\ncontains_sm_signal = true\n");
    write(experiment("lz_ws2022/b0.txt"), "# columns: lower [keV], upper [keV], rate [1/(t yr keV)]\n0 10 20\n10 17 0\n");
    expect_refused("lz_ws2022", {"experiment lz_ws2022: bin 30 (10 to 10.3333 keV) has ", " events but a predicted rate of 0"});
}

TEST_F(SpoiltData, NoAcceptanceAnywhere)
{
    write(experiment("xenonnt_sr0/efficiency.txt"), "# columns: energy [keV], efficiency [1]\n0.0 0.0\n40.0 0.0\n");
    expect_refused("xenonnt_sr0", {"experiment xenonnt_sr0: no bin has any acceptance"});
}

TEST_F(SpoiltData, ScanNamesTheDataFile)
{
    auto const line = replace_row(experiment("xenonnt_sr0/events.txt"), 3, "one");
    temp_.write("grid.toml", good_grid);
    for (Arguments const& arguments : {Arguments{"scan", "grid.toml", "-o", "out.h5"}, Arguments{"plan", "grid.toml"}})
        expect_refused_untouched(temp_, arguments, {"xenonnt_sr0/events.txt:" + line + ": column 'energy': 'one' is not"},
                                 options());
}

// --- not errors ---------------------------------------------------------------------------------------------------------------------

TEST_F(SpoiltData, EventsOutsideAllBinsAreCountedAndReported)
{
    auto const file = experiment("xenonnt_sr0/events.txt");
    auto const before = run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}, options());
    write(file, read_text(file) + "30.0\n140.5\n0.5\n");
    auto const after = run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}, options());
    EXPECT_EQ(after.exit_code, 0) << after;
    EXPECT_EQ(after.out, before.out);
    EXPECT_EQ(after.err, "info: xenonnt_sr0: 3 events lie outside all bins and are not used\n");

    auto const list = run_json({"list", "experiments", "--json"}, options());
    for (auto const& entry : list)
        EXPECT_EQ(entry.at("events_outside_bins").get<int>(), entry.at("name") == "xenonnt_sr0" ? 3 : 0);
    auto const text = run_nuscan({"list", "experiments"}, options());
    EXPECT_NE(text.out.find("3 events of the table lie outside all bins"), text.out.npos) << text;
}

TEST(NotErrors, DataAreFoundWithoutTheVariable)
{
    RunOptions options;
    options.environment["NUSCAN_DATA_DIR"] = std::nullopt;
    EXPECT_EQ(run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}, options).exit_code, 0);
    options.environment["NUSCAN_DATA_DIR"] = "";
    EXPECT_EQ(run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}, options).exit_code, 0);
}

TEST(NotErrors, HugeCouplingsGiveAStatus)
{
    for (std::string const device : {"cpu", "reference"})
        for (Arguments const& settings : {Arguments{"--set", "g_V=1e300", "--set", "m_V=1"}, Arguments{"--set", "mu_e=1e300"},
                                          Arguments{"--set", "q_e=-1e300"}, Arguments{"--set", "g_S=1e300", "--set", "m_S=1e-3"}})
        {
            Arguments arguments{"chi2", "-e", "xenonnt_sr0", "lz_ws2022", "--json", "--device", device};
            arguments.insert(arguments.end(), settings.begin(), settings.end());
            auto const run = run_nuscan(arguments);
            ASSERT_EQ(run.exit_code, 0) << run;
            auto const json = Json::parse(run.out);
            EXPECT_EQ(json.at("status"), "not_finite") << run;
            EXPECT_TRUE(json.at("chi2").is_null()) << run;
            EXPECT_TRUE(run.said("warning: ")) << run;
        }
}

TEST(NotErrors, HugeCouplingsInAScanDoNotEndIt)
{
    // Two moments, of which the second overflows, times four charges.
    TempDir const temp;
    temp.write("grid.toml", header
                                + "mu_e = { min = 1e-12, max = 1e300, n = 2, scale = \"log\" }\n"
                                  "q_e = { min = 0.0, max = 1e-13, n = 4 }\n");
    RunOptions options;
    options.folder = temp.path();
    for (std::string const route : {"direct", "factored"})
    {
        auto const run = run_nuscan({"scan", "grid.toml", "-o", route + ".h5", "--route", route}, options);
        EXPECT_EQ(run.exit_code, 1) << run;
        EXPECT_EQ(run.out, route + ".h5\n") << run;
        EXPECT_TRUE(run.err.ends_with(
            "error: 4 points not finite: couplings overflow, or a bin with data has no positive prediction (status 3, chi2 NaN)\n"
            "error:   point 4: mu_e = 1e+300 mu_B, q_e = 0 e\n"
            "error:   point 5: mu_e = 1e+300 mu_B, q_e = 3.33333e-14 e\n"
            "error:   point 6: mu_e = 1e+300 mu_B, q_e = 6.66667e-14 e\n"
            "error:   point 7: mu_e = 1e+300 mu_B, q_e = 1e-13 e\n"
            "error: "
            + route + ".h5 is complete but for 4 of 8 points\n"))
            << run;
        SurfaceReader const surface{temp.path() / (route + ".h5")};
        auto const status = surface.status({0, 8});
        auto const chi2 = surface.chi2({0, 8});
        for (std::size_t i = 0; i < 8; ++i)
        {
            EXPECT_EQ(status[i] == static_cast<std::uint8_t>(PointStatus::not_finite), i >= 4) << i;
            EXPECT_EQ(std::isnan(chi2[i]), i >= 4) << i;
        }
        EXPECT_EQ(surface.meta().not_finite, 4);
        EXPECT_LT(surface.best_fit().index, 4);
        EXPECT_FALSE(surface.meta().failed);
        EXPECT_EQ(run_json({"info", route + ".h5", "--json"}, options).at("status").at("not_finite").get<int>(), 4);
        EXPECT_EQ(run_nuscan({"validate", route + ".h5", "--points", "8"}, options).exit_code, 0);
        // Again it is finished, and no better.
        auto const again = run_nuscan({"--quiet", "scan", "grid.toml", "-o", route + ".h5"}, options);
        EXPECT_EQ(again.exit_code, 1) << again;
        EXPECT_TRUE(again.said("error:   point 4: mu_e = 1e+300 mu_B, q_e = 0 e\n")) << again;
    }
}

TEST(NotErrors, GridOfOnePoint)
{
    TempDir const temp;
    RunOptions options;
    options.folder = temp.path();
    for (std::string const scale : {"linear", "log"})
    {
        temp.write("grid.toml", with_axis("mu_e = { min = 1e-11, max = 1e-11, n = 1, scale = \"" + scale + "\" }"));
        auto const run = run_nuscan({"scan", "grid.toml", "-o", scale + ".h5"}, options);
        ASSERT_EQ(run.exit_code, 0) << run;
        SurfaceReader const surface{temp.path() / (scale + ".h5")};
        EXPECT_EQ(surface.layout().size(), 1);
        EXPECT_EQ(surface.layout().axes.front().values, std::vector<double>{1e-11});
        double const expected = run_json({"chi2", "-e", "xenonnt_sr0", "--set", "mu_e=1e-11", "--json"}).at("chi2").get<double>();
        EXPECT_TRUE(chi2_agrees(surface.chi2({0, 1}).front(), expected, tolerance::implementation));
        EXPECT_EQ(run_nuscan({"validate", scale + ".h5", "--points", "1"}, options).exit_code, 0);
    }
}

TEST(NotErrors, ByteOrderMarkLineEndsAndLocaleDoNotMatter)
{
    std::string const grid = scan_section
                             + "title = \"caf\xC3\xA9\"\n[axes]\nm_V = { min = 1e-3, max = 0.5, n = 3, scale = \"log\" }\n"
                               "g_V = { min = 0.0, max = 1.5e-6, n = 4 }\n[fixed]\nq_mu = 2.5e-13\n";
    std::string windows = "\xEF\xBB\xBF";
    for (char const c : grid)
        windows += c == '\n' ? "\r\n" : std::string(1, c);
    TempDir const temp;
    temp.write("plain.toml", grid);
    temp.write("windows.toml", windows);
    RunOptions options;
    options.folder = temp.path();
    EXPECT_EQ(run_nuscan({"scan", "plain.toml", "-o", "plain.h5"}, options).exit_code, 0);
    options.environment = {{"LC_ALL", "de_DE.UTF-8"}, {"LANG", "de_DE.UTF-8"}, {"LC_NUMERIC", "de_DE.UTF-8"}};
    auto const run = run_nuscan({"scan", "windows.toml", "-o", "windows.h5"}, options);
    EXPECT_EQ(run.exit_code, 0) << run;

    SurfaceReader const plain{temp.path() / "plain.h5"};
    SurfaceReader const other{temp.path() / "windows.h5"};
    EXPECT_EQ(plain.meta().configuration_sha256, other.meta().configuration_sha256);
    EXPECT_EQ(plain.meta().configuration, grid);
    EXPECT_EQ(other.meta().configuration, windows);
    EXPECT_EQ(other.meta().title, "caf\xC3\xA9");
    EXPECT_EQ(plain.chi2({0, 12}), other.chi2({0, 12}));
    // Same configuration: the one continues the other.
    EXPECT_TRUE(run_nuscan({"scan", "windows.toml", "-o", "plain.h5"}, options).said("is finished already"));

    auto const chi2 = run_nuscan({"chi2", "-e", "xenonnt_sr0", "--set", "mu_e=1.5e-11", "--constant", "s_W2=0.2312", "--json"},
                                 options);
    EXPECT_EQ(chi2.out,
              run_nuscan({"chi2", "-e", "xenonnt_sr0", "--set", "mu_e=1.5e-11", "--constant", "s_W2=0.2312", "--json"}).out);
}

TEST(NotErrors, GridFileMayFollowASetting)
{
    TempDir const temp;
    temp.write("grid.toml", good_grid);
    RunOptions options;
    options.folder = temp.path();
    auto const run = run_nuscan({"scan", "-o", "out.h5", "--constant", "K=0.32", "--set", "q_e=1e-13", "grid.toml"}, options);
    EXPECT_EQ(run.exit_code, 0) << run;
    auto const plan = run_nuscan({"plan", "--set", "q_e=1e-13", "grid.toml"}, options);
    EXPECT_EQ(plan.exit_code, 0) << plan;
}

} // namespace
} // namespace nuscan::test
