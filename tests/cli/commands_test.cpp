// Every command as its user sees it: exit code, stdout, stderr, shape of the JSON.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/run_program.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan::test
{
namespace
{

std::vector<std::string> const verbs{"list", "chi2", "spectrum", "limits", "tmm", "plan", "scan", "info", "validate", "bench"};

std::set<std::string> keys(Json const& object)
{
    std::set<std::string> names;
    for (auto const& [name, value] : object.items())
        names.insert(name);
    return names;
}

using Names = std::set<std::string>;

double sum(Json const& numbers)
{
    return std::accumulate(numbers.begin(), numbers.end(), 0.0,
                           [](double total, Json const& x) { return total + x.get<double>(); });
}

std::vector<std::string> lines(std::string const& text)
{
    std::vector<std::string> all;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);)
        all.push_back(line);
    return all;
}

// --- the program itself -------------------------------------------------------------------------------------------------------------

TEST(Program, HelpOfEveryVerbShowsAnExample)
{
    for (auto const& verb : verbs)
    {
        auto const run = run_nuscan({verb, "--help"});
        EXPECT_EQ(run.exit_code, 0) << run;
        EXPECT_NE(run.out.find("Example: nuscan " + verb), run.out.npos) << run;
        EXPECT_EQ(run.err, "") << run;
    }
}

TEST(Program, HelpNamesEveryVerbAndTheExitCodes)
{
    auto const run = run_nuscan({"--help"});
    EXPECT_EQ(run.exit_code, 0) << run;
    for (auto const& verb : verbs)
        EXPECT_NE(run.out.find("\n  " + verb + " "), run.out.npos) << verb << " is missing in\n" << run;
    EXPECT_NE(run.out.find("Exit codes: 0 done, 1 failure, 2 usage or input error, 3 incomplete but resumable"), run.out.npos)
        << run;
}

TEST(Program, VersionGoesToStdout)
{
    auto const run = run_nuscan({"--version"});
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_TRUE(run.out.starts_with("nuscan ")) << run;
    EXPECT_NE(run.out.find("commit"), run.out.npos) << run;
    EXPECT_EQ(run.err, "") << run;
}

TEST(Program, UnknownVerbIsAUsageErrorWithASuggestion)
{
    auto const run = run_nuscan({"spectrun", "-e", "xenonnt_sr0"});
    EXPECT_EQ(run.exit_code, 2) << run;
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(run.err, "nuscan: unknown command 'spectrun'; did you mean 'spectrum'?\n");
}

TEST(Program, NoVerbIsAUsageError)
{
    auto const run = run_nuscan({});
    EXPECT_EQ(run.exit_code, 2) << run;
    EXPECT_EQ(run.err, "nuscan: no command is given; see nuscan --help\n");
}

TEST(Program, UsageErrorsAreOneLineAndNameTheVerbsHelp)
{
    for (Arguments const& arguments :
         {Arguments{"chi2"}, Arguments{"limits", "-e", "xenonnt_sr0", "--dof", "1.5"},
          Arguments{"spectrum", "-e", "xenonnt_sr0", "lz_ws2022"}, Arguments{"list", "models", "--foo"}})
    {
        auto const run = run_nuscan(arguments);
        EXPECT_EQ(run.exit_code, 2) << run;
        EXPECT_EQ(run.out, "") << run;
        EXPECT_EQ(lines(run.err).size(), 1U) << run;
        EXPECT_TRUE(run.err.starts_with("nuscan: ")) << run;
        EXPECT_TRUE(run.said("see nuscan " + arguments.front() + " --help")) << run;
    }
}

TEST(Program, MessagesStayOffStdout)
{
    auto const run = run_nuscan({"-v", "chi2", "-e", "xenonnt_sr0", "--json"});
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_TRUE(Json::accept(run.out)) << run;
    EXPECT_TRUE(run.said("debug: device auto: ")) << run;
    EXPECT_EQ(run_nuscan({"chi2", "-e", "xenonnt_sr0", "--json"}).err, "");
}

TEST(Program, QuietLeavesWarningsOnly)
{
    Arguments const arguments{"limits", "-e", "xenonnt_sr0", "--set", "mu_e=1e-12", "--json"};
    EXPECT_TRUE(run_nuscan(arguments).said("info: mu_universal is left out"));
    Arguments quiet{"--quiet"};
    quiet.insert(quiet.end(), arguments.begin(), arguments.end());
    auto const run = run_nuscan(quiet);
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_EQ(run.err, "") << run;
}

TEST(Program, UnwritableStdoutIsAFailure)
{
    RunOptions options;
    options.out_file = "/dev/full";
    auto const run = run_nuscan({"list", "parameters", "--json"}, options);
    EXPECT_EQ(run.exit_code, 1) << run;
    EXPECT_EQ(run.err, "nuscan: standard output cannot be written\n");
}

// --- chi2 ---------------------------------------------------------------------------------------------------------------------------

TEST(Chi2Command, StandardModelHasTheKnownValues)
{
    // data/published/checks.toml: half of the last digit printed there; the whole digit where it is cut off, not rounded.
    EXPECT_NEAR(run_json({"chi2", "-e", "xenonnt_sr0", "--json"}).at("chi2").get<double>(), 17.756, 0.5e-3);
    EXPECT_NEAR(run_json({"chi2", "-e", "lz_ws2022", "--json"}).at("chi2").get<double>(), 44.78, 0.5e-2);
    EXPECT_NEAR(run_json({"chi2", "-e", "lz_ws2022_arxiv2208", "--json"}).at("chi2").get<double>(), 44.70, 0.5e-2);
    EXPECT_NEAR(run_json({"chi2", "-e", "xenonnt_sr0", "lz_ws2022", "--json"}).at("chi2").get<double>(), 62.533, 1e-3);
}

TEST(Chi2Command, JsonOfOneExperimentHasItsShape)
{
    auto const json = run_json({"chi2", "--experiment", "xenonnt_sr0", "--set", "mu_e=2e-11", "--json"});
    EXPECT_EQ(keys(json), (Names{"experiment", "chi2", "pulls", "per_bin", "status"}));
    EXPECT_EQ(json.at("experiment"), "xenonnt_sr0");
    EXPECT_TRUE(json.at("chi2").is_number_float());
    EXPECT_EQ(keys(json.at("pulls")), Names{"beta"});
    EXPECT_EQ(keys(json.at("per_bin")), Names{"xenonnt_sr0"});
    EXPECT_EQ(json.at("status"), "ok");
    auto const& bins = json.at("per_bin").at("xenonnt_sr0");
    ASSERT_EQ(bins.size(), 30U);
    EXPECT_EQ(bins.at(0).get<double>(), 0.0) << "the first bin has no acceptance";
    for (auto const& bin : bins)
        EXPECT_GE(bin.get<double>(), 0.0);
}

TEST(Chi2Command, JsonOfSeveralExperimentsHasItsShape)
{
    auto const json = run_json({"chi2", "--experiment", "xenonnt_sr0", "lz_ws2022", "--set", "mu_e=1e-11", "--json"});
    EXPECT_EQ(keys(json), (Names{"experiment", "chi2", "pulls", "per_bin", "status"}));
    EXPECT_EQ(json.at("experiment"), (Json{"xenonnt_sr0", "lz_ws2022"}));
    EXPECT_EQ(keys(json.at("pulls")), (Names{"alpha", "beta", "delta"}));
    EXPECT_EQ(json.at("per_bin").at("xenonnt_sr0").size(), 30U);
    EXPECT_EQ(json.at("per_bin").at("lz_ws2022").size(), 51U);
    EXPECT_EQ(json.at("status"), "ok");
}

TEST(Chi2Command, BinsAndPenaltiesAddUpToChi2)
{
    auto const json = run_json(
        {"chi2", "-e", "xenonnt_sr0", "lz_ws2022", "--set", "g_V=3e-7", "--set", "m_V=0.05", "--set", "q_e=1e-13", "--json"});
    double total = sum(json.at("per_bin").at("xenonnt_sr0")) + sum(json.at("per_bin").at("lz_ws2022"));
    for (auto const& [name, sigma] : std::map<std::string, double>{{"alpha", 0.13}, {"beta", 0.07}, {"delta", 1.0}})
        total += std::pow(json.at("pulls").at(name).get<double>() / sigma, 2);
    EXPECT_TRUE(is_close(json.at("chi2").get<double>(), total, tolerance::summation));
}

TEST(Chi2Command, ExperimentsMayBeRepeatedOrListed)
{
    auto const listed = run_nuscan({"chi2", "-e", "xenonnt_sr0", "lz_ws2022", "--json"});
    auto const repeated = run_nuscan({"chi2", "--experiment", "xenonnt_sr0", "--json", "--experiment", "lz_ws2022"});
    EXPECT_EQ(listed.exit_code, 0) << listed;
    EXPECT_EQ(listed.out, repeated.out);
}

TEST(Chi2Command, FixedPullsStayAtZero)
{
    auto const json = run_json({"chi2", "-e", "lz_ws2022", "--fix-pulls", "--json"});
    for (auto const& [name, pull] : json.at("pulls").items())
        EXPECT_EQ(pull.get<double>(), 0.0) << name;
    EXPECT_GT(json.at("chi2").get<double>(), run_json({"chi2", "-e", "lz_ws2022", "--json"}).at("chi2").get<double>());
}

TEST(Chi2Command, TextHasTheSameNumbers)
{
    auto const run = run_nuscan({"chi2", "-e", "xenonnt_sr0"});
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_TRUE(run.out.starts_with("chi2    17.755882\nstatus  ok\nbeta    -0.009671\n")) << run;
    EXPECT_NE(run.out.find("(no acceptance)"), run.out.npos) << run;
}

struct Point
{
    std::vector<std::string> experiments;
    Arguments settings;
};

std::vector<Point> const points{
    {{"xenonnt_sr0"}, {}},
    {{"lz_ws2022"}, {}},
    {{"xenonnt_sr0"}, {"--set", "mu_e=1e-11", "--set", "mu_tau=5e-12"}},
    {{"lz_ws2022"}, {"--set", "g_V=5e-7", "--set", "m_V=0.1"}},
    {{"lz_ws2022_arxiv2208"}, {"--set", "r2_e=-5e-31", "--set", "a_mu=1e-31"}},
    {{"xenonnt_sr0", "lz_ws2022"}, {"--set", "g_S=1e-6", "--set", "m_S=0.01"}},
};

Arguments command(std::string const& verb, Point const& point, Arguments const& more)
{
    Arguments arguments{verb, "--json", "-e"};
    arguments.insert(arguments.end(), point.experiments.begin(), point.experiments.end());
    arguments.insert(arguments.end(), point.settings.begin(), point.settings.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

TEST(Chi2Command, ReferenceAgreesWithTheCpu)
{
    for (auto const& point : points)
    {
        auto const cpu = run_json(command("chi2", point, {"--device", "cpu"}));
        auto const reference = run_json(command("chi2", point, {"--device", "reference"}));
        EXPECT_TRUE(chi2_agrees(cpu.at("chi2").get<double>(), reference.at("chi2").get<double>(), tolerance::discretisation));
        EXPECT_EQ(reference.at("status"), "ok");
        EXPECT_EQ(keys(cpu), keys(reference));
        EXPECT_EQ(keys(cpu.at("pulls")), keys(reference.at("pulls")));
        for (auto const& [name, bins] : cpu.at("per_bin").items())
        {
            ASSERT_EQ(bins.size(), reference.at("per_bin").at(name).size());
            for (std::size_t i = 0; i < bins.size(); ++i)
                EXPECT_TRUE(chi2_agrees(bins.at(i).get<double>(), reference.at("per_bin").at(name).at(i).get<double>(),
                                        tolerance::discretisation))
                    << name << ", bin " << i;
        }
    }
}

TEST(Chi2Command, RoutesAgree)
{
    for (auto const& point : points)
    {
        auto const direct = run_json(command("chi2", point, {"--route", "direct"}));
        auto const factored = run_json(command("chi2", point, {"--route", "factored"}));
        EXPECT_TRUE(chi2_agrees(direct.at("chi2").get<double>(), factored.at("chi2").get<double>(), tolerance::implementation));
    }
}

TEST(Chi2Command, ChoicesOfInputsMoveChi2)
{
    double const chi2 = run_json({"chi2", "-e", "xenonnt_sr0", "--json"}).at("chi2").get<double>();
    for (Arguments const& choice : {Arguments{"--solar", "agss09met"},
                                    {"--oscillation", "nufit52"},
                                    {"--shells", "hf_corrected"},
                                    {"--electrons", "rrpa"},
                                    {"--constant", "s_W2=0.24"},
                                    {"--constant", "K=0.35"},
                                    {"--constant", "M_Xe=130", "--constant", "G_F=1.2e-5"}})
    {
        Arguments arguments{"chi2", "-e", "xenonnt_sr0", "--json"};
        arguments.insert(arguments.end(), choice.begin(), choice.end());
        EXPECT_GT(std::fabs(run_json(arguments).at("chi2").get<double>() - chi2), 1e-6) << choice.front() << " " << choice.back();
    }
    // Says the default aloud: nothing moves, not by a bit.
    auto const same = run_json({"chi2", "-e", "xenonnt_sr0", "--json", "--solar", "gs98", "--oscillation", "desalas2020",
                                "--shells", "hf", "--electrons", "step", "--transition-survival", "constant"});
    EXPECT_EQ(same.at("chi2").get<double>(), chi2);
}

// --- spectrum -----------------------------------------------------------------------------------------------------------------------

void expect_spectrum_shape(Json const& json, std::string const& experiment, std::string const& unit, std::size_t bins)
{
    EXPECT_EQ(keys(json), (Names{"experiment", "exposure_t_yr", "unit", "bins"}));
    EXPECT_EQ(json.at("experiment"), experiment);
    EXPECT_TRUE(json.at("exposure_t_yr").is_number_float());
    EXPECT_EQ(json.at("unit"), unit);
    ASSERT_EQ(json.at("bins").size(), bins);
    for (std::size_t i = 0; i < bins; ++i)
    {
        auto const& bin = json.at("bins").at(i);
        EXPECT_EQ(keys(bin), (Names{"lo_keV", "hi_keV", "observed", "background", "signal", "signal_sm", "total"}));
        for (auto const& [name, value] : bin.items())
            EXPECT_TRUE(value.is_number()) << name;
        if (i > 0)
        {
            EXPECT_EQ(bin.at("lo_keV"), json.at("bins").at(i - 1).at("hi_keV"));
        }
        EXPECT_TRUE(is_close(bin.at("total").get<double>(), bin.at("background").get<double>() + bin.at("signal").get<double>(),
                             tolerance::rounding));
    }
}

double column_sum(Json const& spectrum, char const* name)
{
    double total = 0.0;
    for (auto const& bin : spectrum.at("bins"))
        total += bin.at(name).get<double>();
    return total;
}

TEST(SpectrumCommand, JsonHasItsShape)
{
    auto const xenonnt = run_json({"spectrum", "-e", "xenonnt_sr0", "--json"});
    expect_spectrum_shape(xenonnt, "xenonnt_sr0", "1/(t yr)", 30);
    EXPECT_TRUE(is_close(column_sum(xenonnt, "observed") * xenonnt.at("exposure_t_yr").get<double>(), 433.0, tolerance::rounding));
    EXPECT_NEAR(column_sum(xenonnt, "signal"), 68.84, 0.5e-2); // checks.toml
    EXPECT_EQ(xenonnt.at("bins").at(0).at("signal").get<double>(), 0.0) << "the first bin has no acceptance";
    EXPECT_EQ(xenonnt.at("bins").at(0).at("signal_sm").get<double>(), 0.0);

    auto const lz = run_json({"spectrum", "-e", "lz_ws2022", "--json", "--set", "mu_universal=1e-11"});
    expect_spectrum_shape(lz, "lz_ws2022", "events", 51);
    EXPECT_EQ(column_sum(lz, "observed"), 335.0);
    EXPECT_NEAR(column_sum(lz, "signal_sm"), 32.81, 0.5e-2); // checks.toml
    EXPECT_GT(column_sum(lz, "signal"), column_sum(lz, "signal_sm"));
}

TEST(SpectrumCommand, SignalOfTheStandardModelIsTheSmColumn)
{
    auto const json = run_json({"spectrum", "-e", "lz_ws2022_arxiv2208", "--json"});
    for (auto const& bin : json.at("bins"))
        EXPECT_TRUE(is_close(bin.at("signal").get<double>(), bin.at("signal_sm").get<double>(), tolerance::summation));
}

TEST(SpectrumCommand, ReferenceAgreesWithTheCpu)
{
    Arguments const arguments{"spectrum", "-e", "xenonnt_sr0", "--json", "--set", "q_e=2e-13", "--device"};
    auto cpu_arguments = arguments;
    cpu_arguments.push_back("cpu");
    auto reference_arguments = arguments;
    reference_arguments.push_back("reference");
    auto const cpu = run_json(cpu_arguments);
    auto const reference = run_json(reference_arguments);
    for (std::size_t i = 0; i < cpu.at("bins").size(); ++i)
        for (char const* column : {"observed", "background", "signal", "signal_sm", "total"})
            EXPECT_TRUE(is_close(cpu.at("bins").at(i).at(column).get<double>(), reference.at("bins").at(i).at(column).get<double>(),
                                 tolerance::discretisation))
                << column << ", bin " << i;
}

TEST(SpectrumCommand, CsvHasTheNumbersOfTheJson)
{
    Arguments arguments{"spectrum", "-e", "lz_ws2022", "--set", "g_V=1e-6", "m_V=1", "--csv"};
    auto const run = run_nuscan(arguments);
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_EQ(run.err, "");
    auto const rows = lines(run.out);
    ASSERT_EQ(rows.size(), 2U + 51U) << run;
    EXPECT_TRUE(rows[0].starts_with("# lz_ws2022, exposure 0.9034907")) << rows[0];
    EXPECT_TRUE(rows[0].ends_with("contents in events")) << rows[0];
    EXPECT_EQ(rows[1], "lo_keV,hi_keV,observed,background,signal,signal_sm,total");

    arguments.back() = "--json";
    auto const json = run_json(arguments);
    std::vector<std::string> const columns{"lo_keV", "hi_keV", "observed", "background", "signal", "signal_sm", "total"};
    for (std::size_t i = 0; i < 51; ++i)
    {
        std::istringstream row{rows[i + 2]};
        for (auto const& column : columns)
        {
            std::string cell;
            ASSERT_TRUE(std::getline(row, cell, ',')) << rows[i + 2];
            // Ten digits are printed.
            EXPECT_TRUE(is_close(std::stod(cell), json.at("bins").at(i).at(column).get<double>(), 1e-9)) << column << ", bin " << i;
        }
    }
}

TEST(SpectrumCommand, PointThatFailsIsWarnedOf)
{
    for (std::string const device : {"cpu", "reference"})
        for (Arguments const& format : {Arguments{}, {"--csv"}, {"--json"}})
        {
            Arguments arguments{"spectrum", "-e", "lz_ws2022", "--set", "mu_e=1e300", "--device", device};
            arguments.insert(arguments.end(), format.begin(), format.end());
            auto const run = run_nuscan(arguments);
            EXPECT_EQ(run.exit_code, 0) << "as with chi2: " << run;
            EXPECT_EQ(
                run.err,
                "warning: chi^2 is not finite at this point: couplings overflow, or a bin with data has no positive prediction\n")
                << run;
        }
    EXPECT_EQ(run_nuscan({"spectrum", "-e", "lz_ws2022", "--set", "mu_e=1e-9", "--csv"}).err, "");
}

TEST(SpectrumCommand, TextEndsWithTheSums)
{
    auto const run = run_nuscan({"spectrum", "-e", "lz_ws2022"});
    EXPECT_EQ(run.exit_code, 0) << run;
    auto const rows = lines(run.out);
    ASSERT_EQ(rows.size(), 2U + 51U + 1U) << run;
    EXPECT_NE(rows.back().find("sum        335"), std::string::npos) << rows.back();
}

// --- limits -------------------------------------------------------------------------------------------------------------------------

std::vector<std::string> const default_limits{"mu_e",     "mu_mu", "mu_tau", "mu_universal", "Lambda_1", "Lambda_2",
                                              "Lambda_3", "q_e",   "q_mu",   "q_tau",        "r2_e",     "r2_mu",
                                              "r2_tau",   "a_e",   "a_mu",   "a_tau"};

TEST(LimitsCommand, JsonHasItsShape)
{
    auto const json = run_json({"limits", "-e", "xenonnt_sr0", "--json"});
    EXPECT_EQ(keys(json), (Names{"experiment", "cl", "dof", "delta_chi2", "chi2_sm", "limits"}));
    EXPECT_EQ(json.at("experiment"), "xenonnt_sr0");
    EXPECT_EQ(json.at("cl").get<double>(), 0.9);
    EXPECT_EQ(json.at("dof").get<int>(), 1);
    EXPECT_TRUE(json.at("dof").is_number_integer());
    EXPECT_NEAR(json.at("delta_chi2").get<double>(), 2.70554, 0.5e-5);
    EXPECT_NEAR(json.at("chi2_sm").get<double>(), 17.756, 0.5e-3);
    ASSERT_EQ(json.at("limits").size(), default_limits.size());
    for (std::size_t i = 0; i < default_limits.size(); ++i)
    {
        auto const& limit = json.at("limits").at(i);
        std::string const& name = default_limits[i];
        EXPECT_EQ(keys(limit), (Names{"parameter", "unit", "best_fit", "chi2_min", "intervals", "marginal"})) << name;
        EXPECT_EQ(limit.at("parameter"), name);
        EXPECT_TRUE(limit.at("unit").is_string());
        EXPECT_TRUE(limit.at("marginal").is_boolean());
        EXPECT_LE(limit.at("chi2_min").get<double>(), json.at("chi2_sm").get<double>() * (1.0 + tolerance::implementation)) << name;
        ASSERT_FALSE(limit.at("intervals").empty()) << name;
        bool const bounded = name.starts_with("mu_") || name.starts_with("Lambda_");
        for (auto const& interval : limit.at("intervals"))
        {
            ASSERT_EQ(interval.size(), 2U) << name;
            EXPECT_EQ(interval.at(0).is_null(), bounded) << name;
            EXPECT_TRUE(interval.at(1).is_number_float()) << name;
            if (!bounded)
            {
                EXPECT_LT(interval.at(0).get<double>(), interval.at(1).get<double>()) << name;
            }
        }
    }
}

TEST(LimitsCommand, ParametersAreThoseNamed)
{
    auto const json = run_json(
        {"limits", "-e", "xenonnt_sr0", "lz_ws2022", "--parameter", "q_mu", "--parameter", "mu_e", "--json"});
    EXPECT_EQ(json.at("experiment"), (Json{"xenonnt_sr0", "lz_ws2022"}));
    ASSERT_EQ(json.at("limits").size(), 2U);
    EXPECT_EQ(json.at("limits").at(0).at("parameter"), "q_mu");
    EXPECT_EQ(json.at("limits").at(0).at("unit"), "e");
    EXPECT_EQ(json.at("limits").at(1).at("parameter"), "mu_e");
    EXPECT_EQ(json.at("limits").at(1).at("unit"), "mu_B");
    EXPECT_NEAR(json.at("limits").at(1).at("intervals").at(0).at(1).get<double>(), 0.842e-11, 0.5e-14); // checks.toml
}

TEST(LimitsCommand, LimitIsWhereChi2HasRisenByTheThreshold)
{
    auto const json = run_json({"limits", "-e", "lz_ws2022", "-p", "q_e", "--set", "mu_e=1e-12", "--json"});
    auto const& limit = json.at("limits").at(0);
    for (auto const& end : limit.at("intervals").at(0))
    {
        auto const there = run_json({"chi2", "-e", "lz_ws2022", "--set", "mu_e=1e-12", "--set", "q_e=" + end.dump(), "--json"});
        EXPECT_TRUE(chi2_agrees(there.at("chi2").get<double>() - limit.at("chi2_min").get<double>(),
                                json.at("delta_chi2").get<double>(), tolerance::implementation));
    }
}

TEST(LimitsCommand, CouplingOfAMediatorNeedsItsMass)
{
    auto const json = run_json({"limits", "-e", "xenonnt_sr0", "-p", "g_V", "--set", "m_V=0.05", "--set", "r2_e=-1e-30", "--json"});
    auto const& intervals = json.at("limits").at(0).at("intervals");
    ASSERT_EQ(intervals.size(), 1U);
    // checks.toml: an interval that excludes 0; its ends are printed with three digits, cut off.
    EXPECT_NEAR(intervals.at(0).at(0).get<double>(), 1.95e-7, 1e-9);
    EXPECT_NEAR(intervals.at(0).at(1).get<double>(), 5.11e-7, 1e-9);
    EXPECT_NEAR(json.at("chi2_sm").get<double>(), 17.756, 0.5e-3) << "the full SM, whatever is fixed";
}

TEST(LimitsCommand, MassHasALowerLimitAndNoUpperOne)
{
    auto const json = run_json({"limits", "-e", "xenonnt_sr0", "-p", "m_V", "--set", "g_V=1e-5", "--json"});
    auto const& intervals = json.at("limits").at(0).at("intervals");
    ASSERT_FALSE(intervals.empty());
    EXPECT_TRUE(intervals.back().at(0).is_number());
    EXPECT_TRUE(intervals.back().at(1).is_null());
}

TEST(LimitsCommand, ConfidenceLevelAndDegreesOfFreedomSetTheThreshold)
{
    auto const two = run_json({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--dof", "2", "--json"});
    EXPECT_EQ(two.at("dof").get<int>(), 2);
    EXPECT_NEAR(two.at("delta_chi2").get<double>(), 4.60517, 0.5e-5);
    auto const one_sigma = run_json({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--cl", "0.6826894921", "--json"});
    EXPECT_NEAR(one_sigma.at("delta_chi2").get<double>(), 1.0, 1e-8);
    EXPECT_LT(one_sigma.at("limits").at(0).at("intervals").at(0).at(1).get<double>(),
              two.at("limits").at(0).at("intervals").at(0).at(1).get<double>());
}

TEST(LimitsCommand, IntervalsThatAlmostSplitAreMarginal)
{
    auto const whole = run_json({"limits", "-e", "xenonnt_sr0", "-p", "r2_e", "--json"});
    EXPECT_EQ(whole.at("limits").at(0).at("intervals").size(), 1U);
    EXPECT_TRUE(whole.at("limits").at(0).at("marginal").get<bool>());
    auto const split = run_json({"limits", "-e", "xenonnt_sr0", "-p", "r2_e", "--cl", "0.6826894921", "--json"});
    EXPECT_EQ(split.at("limits").at(0).at("intervals").size(), 2U);
    EXPECT_FALSE(split.at("limits").at(0).at("marginal").get<bool>());
}

TEST(LimitsCommand, FixedPullsMakeLimitsStronger)
{
    auto const profiled = run_json({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--json"});
    auto const fixed = run_json({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--fix-pulls", "--json"});
    EXPECT_LT(fixed.at("limits").at(0).at("intervals").at(0).at(1).get<double>(),
              profiled.at("limits").at(0).at("intervals").at(0).at(1).get<double>());
    EXPECT_GT(fixed["chi2_sm"].get<double>(), profiled["chi2_sm"].get<double>());
}

TEST(LimitsCommand, ConvergenceIsThereWhenAskedForAndSmall)
{
    auto const json = run_json({"limits", "-e", "xenonnt_sr0", "lz_ws2022", "-p", "mu_e", "-p", "q_e", "--convergence", "--json"});
    for (auto const& limit : json.at("limits"))
    {
        EXPECT_EQ(keys(limit), (Names{"parameter", "unit", "best_fit", "chi2_min", "intervals", "marginal", "convergence"}));
        EXPECT_TRUE(limit.at("convergence").is_number_float());
        EXPECT_LT(limit.at("convergence").get<double>(), 1e-4); // the bound of design.md
    }
}

TEST(LimitsCommand, ReferenceAgreesWithTheCpu)
{
    auto const cpu = run_json({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--json", "--device", "cpu", "--route", "direct"});
    auto const reference = run_json({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--json", "--device", "reference"});
    EXPECT_TRUE(is_close(cpu.at("limits").at(0).at("intervals").at(0).at(1).get<double>(),
                         reference.at("limits").at(0).at("intervals").at(0).at(1).get<double>(), tolerance::discretisation));
}

TEST(LimitsCommand, ParametersThatSetRulesOutAreLeftOut)
{
    auto const run = run_nuscan({"limits", "-e", "xenonnt_sr0", "--set", "mu_e=1e-12", "--json"});
    EXPECT_EQ(run.exit_code, 0) << run;
    auto const json = Json::parse(run.out);
    Names names;
    for (auto const& limit : json.at("limits"))
        names.insert(limit.at("parameter").get<std::string>());
    EXPECT_EQ(names, (Names{"mu_mu", "mu_tau", "q_e", "q_mu", "q_tau", "r2_e", "r2_mu", "r2_tau", "a_e", "a_mu", "a_tau"}));
    EXPECT_TRUE(run.said("Lambda_1 is left out")) << run;
}

TEST(LimitsCommand, FixedValuesAreEchoed)
{
    Arguments arguments{"limits", "-e", "xenonnt_sr0", "-p", "g_V", "--set", "m_V=0.05", "--set", "mu_e=1e-12"};
    auto const text = run_nuscan(arguments);
    EXPECT_NE(text.out.find("\nfixed: mu_e = 1e-12 mu_B, m_V = 0.05 MeV\n\nparameter "), text.out.npos) << text;
    arguments.push_back("--json");
    EXPECT_EQ(run_json(arguments).at("fixed"), (Json{{"mu_e", 1e-12}, {"m_V", 0.05}}));
    EXPECT_EQ(run_nuscan({"limits", "-e", "xenonnt_sr0", "-p", "mu_e"}).out.find("fixed"), std::string::npos);
}

TEST(LimitsCommand, SignalThatIsSwitchedOffIsWarnedOf)
{
    // A hundred times the limit on mu_mu: the fit prefers a Sun without neutrinos, and q_e may be anything small.
    for (Arguments const& more : {Arguments{}, {"--json"}, {"--device", "reference"}, {"-p", "mu_tau"}})
    {
        Arguments arguments{"limits", "-e", "xenonnt_sr0", "-p", "q_e", "--set", "mu_mu=1e-8"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        auto const run = run_nuscan(arguments);
        EXPECT_EQ(run.exit_code, 0) << run;
        EXPECT_TRUE(run.said("warning: q_e: at its best fit the flux pull is -1: the fit switches the neutrino signal off")) << run;
        EXPECT_EQ(lines(run.err).size(), more.size() > 1 && more[0] == "-p" ? 2U : 1U) << run;
    }
    // The best fit is a mass far out, where there is no mediator.
    auto const mass = run_nuscan({"limits", "-e", "xenonnt_sr0", "-p", "m_V", "--set", "g_V=1e-9", "--set", "mu_mu=1e-8"});
    EXPECT_TRUE(mass.said("warning: m_V: at its best fit the flux pull is -1: ")) << mass;
    // A Sun that is only dimmed, no signal to switch off, and pulls that are kept at 0.
    EXPECT_EQ(run_nuscan({"limits", "-e", "xenonnt_sr0", "-p", "q_e", "--set", "mu_mu=2e-11"}).err, "");
    EXPECT_EQ(run_nuscan({"limits", "-e", "xenonnt_sr0", "lz_ws2022", "-p", "mu_e", "q_e"}).err, "");
    EXPECT_EQ(run_nuscan({"limits", "-e", "xenonnt_sr0", "-p", "q_e", "--set", "mu_mu=1e-8", "--fix-pulls"}).err, "");
}

TEST(LimitsCommand, TextNamesOnlyTheEndsThereAre)
{
    auto const allowed = [](Arguments const& more) {
        Arguments arguments{"limits", "-e", "xenonnt_sr0"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        auto const all = lines(run_nuscan(arguments).out);
        auto const& line = all.back();
        return line.substr(all[all.size() - 2].find("allowed"));
    };
    EXPECT_TRUE(allowed({"-p", "mu_e"}).starts_with("< 8.8")) << "0 is allowed";
    EXPECT_TRUE(allowed({"-p", "q_e"}).starts_with("[-1.2"));
    EXPECT_TRUE(allowed({"-p", "m_V", "--set", "g_V=1e-5"}).starts_with("> ")) << "decouples";
    EXPECT_EQ(allowed({"-p", "m_V", "--set", "g_V=1e-12"}), "no limit");
    // Two stretches.
    EXPECT_NE(allowed({"-p", "r2_e", "--cl", "0.6826894921"}).find("] or ["), std::string::npos);
}

TEST(LimitsCommand, TextHasOneLinePerParameter)
{
    auto const run = run_nuscan({"limits", "-e", "xenonnt_sr0"});
    EXPECT_EQ(run.exit_code, 0) << run;
    for (auto const& name : default_limits)
        EXPECT_NE(run.out.find("\n" + name + " "), run.out.npos) << run;
    EXPECT_NE(run.out.find("< 8.846e-12"), run.out.npos) << run;
}

// --- tmm ----------------------------------------------------------------------------------------------------------------------------

Json tmm(Arguments const& more)
{
    Arguments arguments{"tmm", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_json(arguments);
}

double moment(Json const& json)
{
    return json.at("mu_eff_mu_B").get<double>();
}

TEST(TmmCommand, JsonHasItsShape)
{
    auto const json = tmm({"--flavour", "mu", "--baseline", "295", "--energy", "600", "--lambda", "1e-11,2e-11+1e-12i,3e-12"});
    EXPECT_EQ(keys(json), (Names{"flavour", "antineutrino", "baseline_km", "energy_mev", "mu_eff_mu_B", "mu_eff_solar_mu_B"}));
    EXPECT_EQ(json.at("flavour"), "mu");
    EXPECT_EQ(json.at("antineutrino"), false);
    EXPECT_EQ(json.at("baseline_km").get<double>(), 295.0);
    EXPECT_EQ(json.at("energy_mev").get<double>(), 600.0);
    EXPECT_GT(moment(json), 0.0);
}

TEST(TmmCommand, SolarMomentHasTheKnownWeights)
{
    // checks.toml: mu_eff^2 = sum_i weight_i |Lambda_i|^2.
    double const weights[] = {0.34767, 0.67433, 0.978};
    for (std::size_t i = 0; i < 3; ++i)
    {
        std::string lambda;
        for (std::size_t j = 0; j < 3; ++j)
            lambda += std::string{j > 0 ? "," : ""} + (i == j ? "3e-12+4e-12i" : "0");
        double const solar
            = tmm({"--flavour", "e", "--baseline", "1", "--energy", "1", "--lambda", lambda}).at("mu_eff_solar_mu_B");
        EXPECT_NEAR(std::pow(solar / 5e-12, 2), weights[i], 0.5e-5) << lambda;
    }
}

TEST(TmmCommand, ComplexNumbersAreReadInEveryForm)
{
    auto const at = [](std::string const& lambda) {
        return moment(tmm({"--flavour", "e", "--baseline", "2", "--energy", "3", "--lambda=" + lambda}));
    };
    double const expected = at("0,1e-11-2e-12i,3e-12i");
    EXPECT_EQ(at("0.0e0,1.0E-11-2.0E-12i,0+3e-12i"), expected);
    EXPECT_EQ(at("-0,+1e-11-0.2e-11i,+3e-12i"), expected);
    EXPECT_NE(at("0,1e-11+2e-12i,3e-12i"), expected);
    EXPECT_NE(at("0,1e-11-2e-12i,3e-12"), expected);
    // A phase common to all moments is not seen.
    EXPECT_TRUE(is_close(at("0,2e-12+1e-11i,-3e-12"), expected, tolerance::rounding));
    EXPECT_TRUE(is_close(at("0,-1e-11+2e-12i,-3e-12i"), expected, tolerance::rounding));
}

TEST(TmmCommand, SquaresAddUpOverTheFlavours)
{
    // The mixing matrix is unitary and every moment lambda_jk comes with lambda_kj: the sum is 2 |Lambda|^2.
    double total = 0.0;
    for (char const* flavour : {"e", "mu", "tau"})
    {
        auto const json = tmm({"--flavour", flavour, "--baseline", "0", "--energy", "1", "--lambda", "1e-11,2e-11+1e-11i,3e-11i"});
        total += std::pow(moment(json), 2);
    }
    EXPECT_TRUE(is_close(total, 2.0 * (1.0 + 5.0 + 9.0) * 1e-22, tolerance::rounding));
}

TEST(TmmCommand, AntineutrinosAndMajoranaPhasesMatter)
{
    Arguments const base{"--flavour", "mu", "--baseline", "300", "--energy", "5", "--lambda", "1e-11,2e-11i,3e-11"};
    auto const with = [&base](Arguments const& more) {
        auto all = base;
        all.insert(all.end(), more.begin(), more.end());
        return tmm(all);
    };
    double const neutrino = moment(with({}));
    auto const antineutrino = with({"--antineutrino"});
    EXPECT_EQ(antineutrino.at("antineutrino"), true);
    EXPECT_GT(std::fabs(moment(antineutrino) / neutrino - 1.0), 1e-3);
    EXPECT_EQ(moment(with({"--majorana", "0,0"})), neutrino);
    EXPECT_GT(std::fabs(moment(with({"--majorana", "0.5,-1.25"})) / neutrino - 1.0), 1e-3);
    EXPECT_GT(std::fabs(moment(with({"--oscillation", "nufit52"})) / neutrino - 1.0), 1e-4);
}

TEST(TmmCommand, OverflowIsWarnedOf)
{
    for (Arguments const& point : {Arguments{"--baseline", "1", "--energy", "3", "--lambda", "1e300,0,0"},
                                   {"--baseline", "1e300", "--energy", "1e-300", "--lambda", "1e-11,1e-11,0"}})
        for (Arguments const& format : {Arguments{}, {"--json"}})
        {
            Arguments arguments{"tmm", "--flavour", "e"};
            arguments.insert(arguments.end(), point.begin(), point.end());
            arguments.insert(arguments.end(), format.begin(), format.end());
            auto const run = run_nuscan(arguments);
            EXPECT_EQ(run.exit_code, 0) << run;
            EXPECT_TRUE(run.said("warning: an effective moment is not finite: ")) << run;
        }
    EXPECT_EQ(run_nuscan({"tmm", "--flavour", "e", "--baseline", "1", "--energy", "3", "--lambda", "1e-11,0,0"}).err, "");
}

TEST(TmmCommand, TextNamesTheNeutrino)
{
    auto const run = run_nuscan(
        {"tmm", "--flavor", "tau", "--baseline", "1", "--energy", "3", "--lambda", "1e-11,0,0", "--antineutrino"});
    EXPECT_EQ(run.exit_code, 0) << run;
    EXPECT_TRUE(run.out.starts_with("mu_eff of anti-nu_tau at 1 km, 3 MeV ")) << run;
}

// --- list ---------------------------------------------------------------------------------------------------------------------------

Names listed(Json const& entries)
{
    Names names;
    for (auto const& entry : entries)
        names.insert(entry.at("name").get<std::string>());
    return names;
}

TEST(ListCommand, ModelsAndTheirParameters)
{
    auto const json = run_json({"list", "models", "--json"});
    EXPECT_EQ(listed(json), (Names{"magnetic_moment", "millicharge", "charge_radius", "scalar", "pseudoscalar", "vector",
                                   "axial_vector", "tensor"}));
    for (auto const& model : json)
    {
        EXPECT_EQ(keys(model), (Names{"name", "kind", "parameters"}));
        EXPECT_FALSE(model.at("parameters").empty()) << model;
    }
}

TEST(ListCommand, ParametersOfTheModels)
{
    auto const json = run_json({"list", "parameters", "--json"});
    Names of_models;
    for (auto const& model : run_json({"list", "models", "--json"}))
        for (auto const& parameter : model.at("parameters"))
            of_models.insert(parameter.get<std::string>());
    EXPECT_EQ(listed(json), of_models);
    EXPECT_EQ(json.size(), 26U);
    for (auto const& parameter : json)
    {
        EXPECT_EQ(keys(parameter), (Names{"name", "unit", "bound", "description"}));
        std::string const name = parameter.at("name");
        EXPECT_EQ(parameter.at("bound") == "> 0", name.starts_with("m_")) << name;
        EXPECT_EQ(parameter.at("bound") == "", name.starts_with("q_") || name.starts_with("r2_") || name.starts_with("a_")) << name;
    }
}

TEST(ListCommand, Experiments)
{
    auto const json = run_json({"list", "experiments", "--json"});
    EXPECT_EQ(listed(json), (Names{"lz_ws2022", "lz_ws2022_arxiv2208", "xenonnt_sr0"}));
    for (auto const& experiment : json)
    {
        EXPECT_EQ(keys(experiment),
                  (Names{"name", "title", "reference", "data_set", "exposure_t_yr", "bins", "events", "events_outside_bins"}));
        bool const xenonnt = experiment.at("name") == "xenonnt_sr0";
        EXPECT_EQ(experiment.at("bins").get<int>(), xenonnt ? 30 : 51);
        EXPECT_EQ(experiment.at("events").get<double>(), xenonnt ? 433.0 : 335.0);
        EXPECT_EQ(experiment.at("events_outside_bins").get<int>(), 0);
    }
}

TEST(ListCommand, Devices)
{
    auto const json = run_json({"list", "devices", "--json"});
    auto const names = listed(json);
    EXPECT_TRUE(names.contains("reference"));
    EXPECT_TRUE(names.contains("cpu"));
    for (auto const& device : json)
        EXPECT_EQ(keys(device), (Names{"name", "description"}));
}

TEST(ListCommand, TextNamesTheSameThings)
{
    EXPECT_EQ(run_nuscan({"list"}).out, run_nuscan({"list", "parameters"}).out);
    for (std::string const what : {"models", "parameters", "experiments", "devices"})
    {
        auto const run = run_nuscan({"list", what});
        EXPECT_EQ(run.exit_code, 0) << run;
        EXPECT_EQ(run.err, "");
        for (auto const& name : listed(run_json({"list", what, "--json"})))
            EXPECT_NE(("\n" + run.out).find("\n" + name + " "), std::string::npos) << name << " is missing in\n" << run;
    }
}

} // namespace
} // namespace nuscan::test
