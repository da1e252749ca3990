#include "host/inputs/experiment.hpp"

#include <cmath>
#include <iterator>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

constexpr std::string_view toy_experiment = R"(schema = 1
name = "toy"
title = "Toy"
reference = "none"
data_set = "toy_2024"
statistic = "poisson"
rate_unit = "events"
exposure_t_yr = 2
[bins]
min_keV = 0.0
max_keV = 4.0
n = 4
[data]
events = "events.txt"
[resolution]
width_of = "reconstructed"
sqrt = 0.3
linear = 0.01
constant = 0
[[efficiency]]
energy = "true"
table = "efficiency.txt"
[[efficiency]]
energy = "reconstructed"
erf = { plateau = 0.9, threshold_keV = 1.0, width_keV = 0.2 }
[cut]
min_keV = 1.0
max_keV = 3.5
[[pull]]
name = "alpha"
sigma = 0.13
[[pull]]
name = "delta"
sigma = 1
[signal]
pull = "beta"
sigma = 0.07
[[background]]
name = "flat"
table = "shapes.txt"
column = "flat"
norm = 8.0
pull = "alpha"
[[background]]
name = "b0"
density = "b0.txt"
contains_sm_signal = true
)";

/// A data folder with one experiment, "toy".
class ExperimentTest : public testing::Test
{
protected:
    ExperimentTest()
    {
        for (char const* part : {"solar", "xenon"})
            std::filesystem::create_directories(temp_.path() / part);
        write("events.txt", "# columns: energy [keV]\n0.5\n1.0\n1.5\n3.2\n3.5\n3.6\n4.0\n-1\n2\n");
        write("counts.txt", "# columns: lower [keV], upper [keV], counts [1]\n0 1 5\n1 2 3\n2 3 0\n3 4 7\n");
        write("efficiency.txt", "# columns: energy [keV], efficiency [1]\n1 0\n2 0.5\n4 1\n");
        write("shapes.txt", "# columns: lower [keV], upper [keV], flat [1]\n0 1 1\n1 2 1\n2 3 1\n3 4 1\n");
        write("b0.txt", "# columns: lower [keV], upper [keV], rate [1/(t yr keV)]\n0 1.5 10\n1.5 2.5 20\n3 9 1\n");
    }

    void write(std::string const& file, std::string_view text) { temp_.write("experiments/toy/" + file, text); }

    /// The toy with \p find replaced in its definition.
    ExperimentDefinition load(std::string_view find = {}, std::string_view replacement = {})
    {
        std::string text{toy_experiment};
        auto const at = text.find(find);
        if (at == text.npos)
            throw std::logic_error{"not in the toy: " + std::string{find}};
        write("experiment.toml", text.replace(at, find.size(), replacement));
        DataFolder data{temp_.path()};
        return load_experiment(data, "toy");
    }

    void expect_refused(std::string_view find, std::string_view replacement, std::initializer_list<std::string_view> parts)
    {
        SCOPED_TRACE(replacement);
        expect_input_error([&] { load(find, replacement); }, parts);
    }

    std::string path(std::string const& file) const { return (temp_.path() / "experiments/toy" / file).string(); }

    TempDir temp_;
};

TEST_F(ExperimentTest, ReadsEverything)
{
    auto const toy = load();

    EXPECT_EQ(toy.name, "toy");
    EXPECT_EQ(toy.data_set, "toy_2024");
    EXPECT_EQ(toy.statistic, Statistic::poisson);
    EXPECT_EQ(toy.rate_unit, RateUnit::events);
    EXPECT_EQ(toy.exposure, 2.0);
    EXPECT_EQ(toy.edges, (std::vector<double>{0.0, 1.0, 2.0, 3.0, 4.0}));
    EXPECT_EQ(toy.cut_min, 1.0);
    EXPECT_EQ(toy.cut_max, 3.5);
    ASSERT_EQ(toy.pulls.size(), 2U);
    EXPECT_EQ(toy.pulls[1].name, "delta");
    EXPECT_EQ(toy.pulls[1].sigma, 1.0);
    EXPECT_EQ(toy.signal_pull.name, "beta");
    EXPECT_EQ(toy.signal_pull.sigma, 0.07);
    EXPECT_DOUBLE_EQ(toy.resolution(4.0), 0.64);
    ASSERT_EQ(toy.efficiencies.size(), 2U);
    EXPECT_EQ(toy.efficiencies[0].energy, EnergyScale::true_recoil);
    EXPECT_EQ(toy.efficiencies[0](0.99), 0.0);
    EXPECT_EQ(toy.efficiencies[0](1.5), 0.25);
    EXPECT_EQ(toy.efficiencies[0](4.0), 1.0);
    EXPECT_EQ(toy.efficiencies[0](99.0), 1.0);
    EXPECT_EQ(toy.efficiencies[1].energy, EnergyScale::reconstructed);
    EXPECT_DOUBLE_EQ(toy.efficiencies[1](1.0), 0.45);
    EXPECT_DOUBLE_EQ(toy.efficiencies[1](1.2), 0.45 * (1.0 + std::erf(std::sqrt(0.5))));
}

TEST_F(ExperimentTest, BinsEventsHalfOpenWithinTheCut)
{
    auto const toy = load();
    EXPECT_EQ(toy.counts, (std::vector<double>{0.0, 2.0, 1.0, 2.0}));
    EXPECT_EQ(toy.events_outside, 4); // 0.5, 3.6, 4.0, -1

    auto const uncut = load("[cut]\nmin_keV = 1.0\nmax_keV = 3.5\n", "");
    EXPECT_EQ(uncut.counts, (std::vector<double>{1.0, 2.0, 1.0, 3.0}));
    EXPECT_EQ(uncut.events_outside, 2); // -1 and the upper edge
    EXPECT_EQ(uncut.cut_min, 0.0);
    EXPECT_EQ(uncut.cut_max, 4.0);
}

TEST_F(ExperimentTest, ReadsCounts)
{
    expect_refused("events = \"events.txt\"", "counts = \"counts.txt\"", {path("counts.txt") + ":5", "'counts'", "cut"});

    std::string text{toy_experiment};
    text.replace(text.find("events.txt"), 10, "counts.txt").replace(text.find("events = \"c"), 6, "counts");
    text.replace(text.find("max_keV = 3.5"), 13, "");
    write("experiment.toml", text);
    DataFolder data{temp_.path()};
    auto const toy = load_experiment(data, "toy");
    EXPECT_EQ(toy.counts, (std::vector<double>{0.0, 3.0, 0.0, 7.0}));
    EXPECT_EQ(toy.events_outside, 5);

    // Each count is possible; together they are more than any sum of them can hold.
    std::string const rows = "# columns: lower [keV], upper [keV], counts [1]\n0 1 999999999999999\n1 2 1\n2 3 0\n3 4 ";
    write("counts.txt", rows + "0\n");
    DataFolder just{temp_.path()};
    EXPECT_EQ(load_experiment(just, "toy").events_outside, 999999999999999);
    write("counts.txt", rows + "1\n");
    DataFolder above{temp_.path()};
    expect_input_error([&] { load_experiment(above, "toy"); },
                       {path("counts.txt") + ":5", "'counts'", "1000000000000001 events", "at most 1000000000000000"});
}

TEST_F(ExperimentTest, ScalesAndIntegratesBackgroundsWithinTheCut)
{
    auto const toy = load();
    ASSERT_EQ(toy.backgrounds.size(), 2U);
    EXPECT_EQ(toy.backgrounds[0].per_bin, (std::vector<double>{0.0, 2.0, 2.0, 2.0}));
    EXPECT_EQ(toy.backgrounds[0].pull, 0);
    EXPECT_FALSE(toy.backgrounds[0].contains_sm_signal);
    // events = rate x exposure
    EXPECT_EQ(toy.backgrounds[1].per_bin, (std::vector<double>{0.0, 30.0, 20.0, 1.0}));
    EXPECT_EQ(toy.backgrounds[1].pull, -1);
    EXPECT_TRUE(toy.backgrounds[1].contains_sm_signal);

    auto const rates = load("rate_unit = \"events\"", "rate_unit = \"1/(t yr)\"");
    EXPECT_EQ(rates.backgrounds[1].per_bin, (std::vector<double>{0.0, 15.0, 10.0, 0.5}));
}

TEST_F(ExperimentTest, AcceptsEdgesByteOrderMarkAndCrlf)
{
    auto const toy = load("min_keV = 0.0\nmax_keV = 4.0\nn = 4\n", "edges_keV = [0, 1, 2.0, 3.0, 4.0]\n");
    EXPECT_EQ(toy.edges, load().edges);

    std::string text = "\xEF\xBB\xBF";
    for (char const c : toy_experiment)
        text += c == '\n' ? std::string{"\r\n"} : std::string{c};
    write("experiment.toml", text);
    DataFolder data{temp_.path()};
    EXPECT_EQ(load_experiment(data, "toy").counts, toy.counts);
}

TEST_F(ExperimentTest, RefusesBadKeys)
{
    std::string const file = path("experiment.toml");
    expect_refused("schema = 1", "schema = 2", {file + ":1: key 'schema'", "format 2", "must be 1"});
    expect_refused("schema = 1", "schema = 1.0", {file + ":1: key 'schema'", "must be an integer"});
    expect_refused("schema = 1\n", "", {file, "key 'schema': missing"});
    expect_refused("name = \"toy\"", "name = \"tin\"", {file + ":2: key 'name'", "'tin'", "name of the folder, 'toy'"});
    expect_refused("title", "titel", {file + ":3: key 'titel'", "unknown key", "did you mean 'title'?"});
    expect_refused("title = \"Toy\"", "title = 3", {file + ":3: key 'title'", "must be a string, not an integer"});
    expect_refused("data_set = \"toy_2024\"", "data_set = \"\"", {file + ":5: key 'data_set'", "empty"});
    expect_refused("\"poisson\"", "\"poison\"", {file + ":6: key 'statistic'", "'poison'", "valid: poisson, gaussian"});
    expect_refused("\"events\"", "\"event\"", {file + ":7: key 'rate_unit'", "'event'", "valid: events, 1/(t yr)"});
    for (char const* value : {"0", "-1.0"})
        expect_refused("exposure_t_yr = 2", std::string{"exposure_t_yr = "} + value, {file + ":8: key 'exposure_t_yr'", "above 0"});
    for (char const* value : {"nan", "inf"})
        expect_refused("exposure_t_yr = 2", std::string{"exposure_t_yr = "} + value, {file + ":8: key 'exposure_t_yr'", "finite"});
    expect_refused("sigma = 0.07", "sigma = 0.07\nsigam = 1", {":38: key 'sigam' in [signal]", "did you mean 'sigma'?"});
    expect_refused("title = \"Toy\"", "title = ", {file + ":3:", "not valid TOML"});
    expect_refused("[signal]", "[sinal]", {":35: key 'sinal'", "did you mean 'signal'?"});
    expect_refused("[signal]\npull = \"beta\"\nsigma = 0.07\n", "", {file, "key 'signal': missing"});
}

TEST_F(ExperimentTest, RefusesBadBins)
{
    std::string_view const bins = "min_keV = 0.0\nmax_keV = 4.0\nn = 4\n";
    expect_refused("n = 4", "n = 0", {":12: key 'n' in [bins]", "between 1 and"});
    expect_refused("n = 4", "n = 4.0", {":12: key 'n' in [bins]", "must be an integer"});
    expect_refused("max_keV = 4.0", "max_keV = 0.0", {":11: key 'max_keV' in [bins]", "above min_keV"});
    expect_refused("min_keV = 0.0", "min_keV = -1.0", {":10: key 'min_keV' in [bins]", "negative"});
    expect_refused(bins, "edges_keV = [0, 2, 1, 4]\n", {":10: key 'edges_keV' in [bins]", "1 follows 2", "ascending"});
    expect_refused(bins, "edges_keV = [0, 1, 1, 4]\n", {":10: key 'edges_keV' in [bins]", "1 follows 1", "ascending"});
    expect_refused(bins, "edges_keV = [0]\n", {":10: key 'edges_keV' in [bins]", "two edges"});
    expect_refused(bins, "edges_keV = [0, \"a\"]\n", {":10: key 'edges_keV' in [bins]", "must be a number, not a string"});
    std::string many = "0";
    for (int i = 1; i <= 10001; ++i)
        many += ", " + std::to_string(i);
    expect_refused(bins, "edges_keV = [" + many + "]\n", {":10: key 'edges_keV' in [bins]", "at most 10001 edges, not 10002"});
    expect_refused("n = 4", "edges_keV = [0, 1]", {"key 'edges_keV' in [bins]", "excludes"});
    expect_refused("min_keV = 1.0", "min_keV = 3.6", {":26: [cut]", "accepts no energy"});
}

TEST_F(ExperimentTest, RefusesBadData)
{
    expect_refused("events.txt", "none.txt",
                   {path("experiment.toml") + ":14: key 'events' in [data]", path("none.txt"), "No such"});
    expect_refused("[data]\n", "[data]\ncounts = \"counts.txt\"\n", {":13: [data]", "either 'events' or 'counts'"});
    expect_refused("[data]\n", "[data]\nerror = \"garwood\"\n", {":14: key 'error' in [data]", "gaussian"});
    expect_refused("\"poisson\"", "\"gaussian\"", {"key 'error' in [data]", "missing"});

    std::string_view const events = "events = \"events.txt\"";
    std::string_view const counts = "counts = \"counts.txt\"";
    write("counts.txt", "# columns: lower [keV], upper [keV], counts [1]\n0 1 5\n1 2 3\n2 3 0.5\n3 4 7\n");
    expect_refused(events, counts, {path("counts.txt") + ":4: column 'counts'", "whole number"});
    write("counts.txt", "# columns: lower [keV], upper [keV], counts [1]\n0 1 5\n1 2 -3\n2 3 0\n3 4 7\n");
    expect_refused(events, counts, {path("counts.txt") + ":3: column 'counts'", "-3"});
    write("counts.txt", "# columns: lower [keV], upper [keV], counts [1]\n0 1 5\n1 2 3\n");
    expect_refused(events, counts, {path("counts.txt"), "2 rows", "4 bins"});
}

TEST_F(ExperimentTest, RefusesBadResolution)
{
    std::string_view const lines = "sqrt = 0.3\nlinear = 0.01\nconstant = 0\n";
    expect_refused("width_of = \"reconstructed\"", "width_of = \"rec\"", {":16: key 'width_of'", "valid: true, reconstructed"});
    for (char const* bad : {"", "sqrt = 0.0\n", "sqrt = 0.3\nconstant = -0.4\n", "sqrt = 0.3\nlinear = -0.2\n",
                            "sqrt = -1.0\nlinear = 0.4\nconstant = 0.6\n"})
        expect_refused(lines, bad, {":15: [resolution]", "width", "must be above 0"});
    EXPECT_NO_THROW(load(lines, "constant = 0.1\n"));
    EXPECT_NO_THROW(load(lines, "linear = 0.1\n"));
    // negative below the cut, where it is not used: right for reconstructed energies, wrong for true ones
    EXPECT_NO_THROW(load(lines, "sqrt = 0.3\nconstant = -0.1\n"));
    expect_refused("width_of = \"reconstructed\"\n" + std::string{lines}, "width_of = \"true\"\nsqrt = 0.3\nconstant = -0.1\n",
                   {":15: [resolution]", "width"});
}

TEST_F(ExperimentTest, RefusesBadEfficiencies)
{
    expect_refused("table = \"efficiency.txt\"\n", "", {":20: [efficiency]", "either 'table' or 'erf'"});
    expect_refused("energy = \"true\"", "energy = \"both\"", {":21: key 'energy' in [efficiency]", "valid: true, reconstructed"});
    expect_refused("plateau = 0.9", "plateau = 1.1", {":25: key 'plateau' in [efficiency.erf]", "1.1", "above 1"});
    expect_refused("plateau = 0.9", "plateau = -0.1", {":25: key 'plateau' in [efficiency.erf]", "above 0"});
    expect_refused("width_keV = 0.2", "width_keV = 0", {":25: key 'width_keV' in [efficiency.erf]", "above 0"});

    auto const expect_table_refused = [&](std::string const& rows, std::initializer_list<std::string_view> parts) {
        write("efficiency.txt", "# columns: energy [keV], efficiency [1]\n" + rows);
        expect_refused("", "", parts);
    };
    std::string const file = path("efficiency.txt");
    expect_table_refused("1 0\n2 1.01\n", {file + ":3: column 'efficiency'", "1.01", "[0, 1]"});
    expect_table_refused("1 -0.01\n2 1\n", {file + ":2: column 'efficiency'", "-0.01"});
    expect_table_refused("1 0\n1 1\n", {file + ":3: column 'energy'", "duplicate"});
    expect_table_refused("2 0\n1 1\n", {file + ":3: column 'energy'", "not sorted"});
    expect_table_refused("1 0\n2 nan\n", {file + ":3: column 'efficiency'", "not a finite number"});
    expect_table_refused("", {file, "empty table"});
}

TEST_F(ExperimentTest, RefusesBadPulls)
{
    for (char const* value : {"0", "-0.13"})
        expect_refused("sigma = 0.13", std::string{"sigma = "} + value, {":31: key 'sigma' in [pull]", "above 0"});
    expect_refused("sigma = 0.07", "sigma = 0.0", {":37: key 'sigma' in [signal]", "above 0"});
    expect_refused("\"delta\"", "\"alpha\"", {":33: key 'name' in [pull]", "two pulls 'alpha'"});
    expect_refused("\"delta\"", "\"beta\"", {":33: key 'name' in [pull]", "'beta'", "signal"});
    expect_refused("\"delta\"", "\"a/b\"", {":33: key 'name' in [pull]", "letters"});
    expect_refused("pull = \"alpha\"", "pull = \"alpa\"", {":43: key 'pull' in [background]", "'alpa'", "did you mean 'alpha'?"});
}

TEST_F(ExperimentTest, RefusesBadBackgrounds)
{
    expect_refused("name = \"b0\"", "name = \"flat\"", {":45: key 'name' in [background]", "two backgrounds 'flat'"});
    expect_refused("norm = 8.0", "norm = -8.0", {":42: key 'norm' in [background]", "negative"});
    expect_refused("column = \"flat\"", "column = \"flta\"", {":41: key 'column' in [background]", "did you mean 'flat'?"});
    expect_refused("density = \"b0.txt\"\n", "", {":44: [background]", "either 'table'"});
    expect_refused("density = \"b0.txt\"\n", "density = \"b0.txt\"\nnorm = 1.0\n", {":47: key 'norm' in [background]", "'table'"});

    auto const expect_table_refused = [&](char const* file, std::string const& text,
                                          std::initializer_list<std::string_view> parts) {
        std::filesystem::copy_file(path(file), path("kept"));
        write(file, text);
        expect_refused("", "", parts);
        std::filesystem::rename(path("kept"), path(file));
    };
    std::string const shapes = "# columns: lower [keV], upper [keV], flat [1]\n";
    expect_table_refused("shapes.txt", shapes + "0 1 1\n1 2.00001 1\n2.00001 3 1\n3 4 1\n",
                         {path("shapes.txt") + ":3:", "does not match bin 2", "[1, 2] keV"});
    expect_table_refused("shapes.txt", shapes + "0 1 1\n1 2 1\n2 3 1\n", {path("shapes.txt"), "3 rows", "4 bins"});
    expect_table_refused("shapes.txt", shapes + "0 1 1\n1 2 -1\n2 3 1\n3 4 1\n", {path("shapes.txt") + ":3: column 'flat'", "-1"});
    expect_table_refused("shapes.txt", shapes + "0 1 0\n1 2 0\n2 3 0\n3 4 0\n", {":41: key 'column'", "sum", "above 0"});
    std::string const density = "# columns: lower [keV], upper [keV], rate [1/(t yr keV)]\n";
    expect_table_refused("b0.txt", density + "0 2 1\n1 3 1\n", {path("b0.txt") + ":3: column 'lower'", "overlaps"});
    expect_table_refused("b0.txt", density + "2 3 1\n0 1 1\n", {path("b0.txt") + ":3: column 'lower'"});
    expect_table_refused("b0.txt", density + "0 1 1\n2 2 1\n", {path("b0.txt") + ":3: column 'upper'", "above the lower edge"});
    expect_table_refused("b0.txt", density + "0 1 -1\n", {path("b0.txt") + ":2: column 'rate'", "-1"});
    expect_table_refused("b0.txt", "# columns: lower [keV], upper [keV], rate [1/keV]\n0 1 1\n",
                         {path("b0.txt") + ":1: column 'rate'", "must be in [1/(t yr keV)]"});
}

TEST_F(ExperimentTest, SuggestsNearestExperiment)
{
    load();
    DataFolder data{temp_.path()};
    expect_input_error([&] { load_experiment(data, "tOyy"); }, {"unknown experiment 'tOyy'", "did you mean 'toy'?"});
    expect_input_error([&] { load_experiment(data, "../experiments/toy"); }, {"unknown experiment"});
    expect_input_error([&] { load_experiment(data, ""); }, {"unknown experiment ''", "valid: toy"});
}

/// The experiments of the repository.
class ShippedExperiments : public testing::Test
{
protected:
    static double sum(std::vector<double> const& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

    DataFolder data_{NUSCAN_SOURCE_DATA_DIR};
};

TEST_F(ShippedExperiments, XenonNt)
{
    auto const experiment = load_experiment(data_, "xenonnt_sr0");

    EXPECT_EQ(experiment.bins(), 30U);
    EXPECT_EQ(sum(experiment.counts), 433.0);
    EXPECT_EQ(experiment.events_outside, 0);
    EXPECT_EQ(experiment.counts[0], 0.0);
    EXPECT_EQ(experiment.statistic, Statistic::gaussian);
    EXPECT_EQ(experiment.rate_unit, RateUnit::per_tonne_year);
    EXPECT_EQ(experiment.cut_min, 1.0);
    EXPECT_EQ(experiment.cut_max, 30.0);
    EXPECT_DOUBLE_EQ(experiment.resolution(4.0), 0.620 + 0.0148);
    ASSERT_EQ(experiment.backgrounds.size(), 1U);
    EXPECT_TRUE(experiment.backgrounds[0].contains_sm_signal);
    EXPECT_EQ(experiment.backgrounds[0].per_bin[0], 0.0);
    EXPECT_NEAR(experiment.backgrounds[0].per_bin[1], 5.95, 0.005); // the bin average, not the value at the centre
    EXPECT_EQ(data_.hashes().size(), 4U);
}

TEST_F(ShippedExperiments, LzWithBothEfficiencies)
{
    for (char const* name : {"lz_ws2022", "lz_ws2022_arxiv2208"})
    {
        auto const experiment = load_experiment(data_, name);
        SCOPED_TRACE(name);

        EXPECT_EQ(experiment.data_set, "lz_ws2022");
        EXPECT_EQ(experiment.bins(), 51U);
        EXPECT_EQ(experiment.edges.back(), 17.0);
        EXPECT_EQ(sum(experiment.counts), 335.0);
        EXPECT_EQ(experiment.events_outside, 0);
        // LZ's own histogram in bins of 1 keV, up to where its lack of the S1c < 80 phd cut does not show
        double const published[] = {0, 12, 50, 36, 21, 33, 23, 18, 21, 21, 20, 20};
        for (std::size_t i = 0; i < std::size(published); ++i)
            EXPECT_EQ(experiment.counts[3 * i] + experiment.counts[3 * i + 1] + experiment.counts[3 * i + 2], published[i]) << i;
        EXPECT_NEAR(experiment.exposure, 0.9035, 1e-4);
        ASSERT_EQ(experiment.backgrounds.size(), 5U);
        double const norms[] = {215.0, 9.2, 5.0, 15.1, 97.0};
        for (std::size_t i = 0; i < 5; ++i)
        {
            EXPECT_NEAR(sum(experiment.backgrounds[i].per_bin), norms[i], 1e-12 * norms[i]);
            EXPECT_EQ(experiment.backgrounds[i].pull, i == 4 ? 1 : 0);
        }
        EXPECT_EQ(experiment.efficiencies.size(), 2U);
        EXPECT_EQ(experiment.resolution.sqrt, 0.323);
    }
    EXPECT_NEAR(load_experiment(data_, "lz_ws2022_arxiv2208").efficiencies[0](1.13), 0.4355, 1e-12);
}

} // namespace
} // namespace nuscan::test
