#include "host/inputs/inputs.hpp"

#include <cmath>
#include <limits>
#include <locale>
#include <numeric>

#include <gtest/gtest.h>

#include "host/support/sha256.hpp"
#include "host/support/text.hpp"
#include "host/support/toml_reader.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

namespace fs = std::filesystem;

double sum(std::vector<double> const& values)
{
    return std::accumulate(values.begin(), values.end(), 0.0);
}

class InputsTest : public testing::Test
{
protected:
    Inputs load(InputChoice const& choice = {}, std::vector<std::string> const& experiments = {})
    {
        return load_inputs(data_, choice, experiments);
    }

    void expect_refused(InputChoice const& choice, std::initializer_list<std::string_view> parts)
    {
        expect_input_error([&] { load(choice, {"xenonnt_sr0"}); }, parts);
    }

    DataFolder data_{NUSCAN_SOURCE_DATA_DIR};
};

TEST_F(InputsTest, SolarModels)
{
    for (char const* name : {"gs98", "agss09met"})
    {
        SCOPED_TRACE(name);
        auto const solar = load({.solar = name, .constants = {}}).solar;

        ASSERT_EQ(solar.sources.size(), 8U);
        EXPECT_NEAR(solar.electron_density.front(), name[0] == 'g' ? 100.9 : 100.0, 2.0);
        for (auto const& source : solar.sources)
        {
            SCOPED_TRACE(source.name);
            EXPECT_EQ(source.zone_weight.size(), solar.electron_density.size());
            EXPECT_NEAR(sum(source.zone_weight), 1.0, 1e-12);
            EXPECT_EQ(source.lines.empty(), !source.energy.empty());
            if (source.lines.empty())
            {
                EXPECT_EQ(source.energy.front(), 0.0);
                EXPECT_EQ(source.density.front(), 0.0);
                double integral = 0.0;
                for (std::size_t i = 1; i < source.energy.size(); ++i)
                    integral += 0.5 * (source.density[i] + source.density[i - 1]) * (source.energy[i] - source.energy[i - 1]);
                EXPECT_NEAR(integral, 1.0, 1e-3);
            }
            else
            {
                double flux = 0.0;
                for (auto const& line : source.lines)
                    flux += line.flux;
                EXPECT_NEAR(flux, source.flux, 1e-12 * source.flux);
            }
        }
    }
    auto const gs98 = load().solar;
    EXPECT_EQ(gs98.sources[0].name, "pp");
    EXPECT_EQ(gs98.sources[0].flux, 5.98e10);
    EXPECT_NEAR(gs98.sources[0].energy.back(), 423.41, 1e-9);
    EXPECT_EQ(gs98.sources[3].lines[1].energy, 861.3);
    EXPECT_DOUBLE_EQ(gs98.sources[3].lines[1].flux, 0.8956 * 4.93e9);
}

TEST_F(InputsTest, OscillationParameters)
{
    auto const default_set = load().oscillation;
    EXPECT_EQ(default_set.sin2_theta12, 0.318);
    EXPECT_EQ(default_set.sin2_theta13, 0.022);
    EXPECT_EQ(default_set.sin2_theta23, 0.574);
    EXPECT_EQ(default_set.dm21_ev2, 7.5e-5);
    EXPECT_EQ(default_set.dm31_ev2, 2.55e-3);
    EXPECT_DOUBLE_EQ(default_set.delta_cp, 1.08 * pi);
    EXPECT_EQ(load({.oscillation = "nufit52", .constants = {}}).oscillation.sin2_theta12, 0.303);
}

TEST_F(InputsTest, ShellsAndBoundElectronFactors)
{
    auto const step = load();
    EXPECT_EQ(sum(step.shells.electrons), 54.0);
    EXPECT_NEAR(step.shells.binding_energy.front(), 0.012, 1e-15);
    EXPECT_NEAR(step.shells.binding_energy.back(), 34.759, 1e-12);
    EXPECT_NEAR(step.shells.binding_energy[8], 0.6499, 1e-15);
    EXPECT_TRUE(step.rrpa.empty());

    EXPECT_NEAR(load({.shells = "hf_corrected", .constants = {}}).shells.binding_energy[8], 0.6949, 1e-15);

    auto const rrpa = load({.electrons = "rrpa", .constants = {}}).rrpa;
    ASSERT_EQ(rrpa.size(), 3U);
    EXPECT_NEAR(rrpa[0](0.265), 1.174321, 1e-6);
    EXPECT_EQ(rrpa[0](0.012), rrpa[0](0.265)); // it divides: never 0
    EXPECT_EQ(rrpa[1](5.0), rrpa[2](5.0));
    EXPECT_NE(rrpa[0](5.0), rrpa[1](5.0));
    EXPECT_NEAR(rrpa[2](100.0), 1.097967, 1e-6);
}

TEST_F(InputsTest, RecordsEveryFile)
{
    load({.electrons = "rrpa", .constants = {}}, {"xenonnt_sr0", "lz_ws2022_arxiv2208"});
    // solar: model, production, 6 spectra, oscillation; xenon: 3; XENONnT: 4; LZ: own definition, 4 tables of lz_ws2022
    EXPECT_EQ(data_.hashes().size(), 9U + 3U + 4U + 5U);
    EXPECT_TRUE(data_.hashes().contains("experiments/lz_ws2022/events.txt"));
    EXPECT_EQ(data_.hashes().at("xenon/shells_hf.txt"), sha256(data_.read("xenon/shells_hf.txt")));
}

TEST_F(InputsTest, OverridesConstants)
{
    EXPECT_EQ(load().constants.fermi_constant, Constants{}.fermi_constant);

    InputChoice choice;
    choice.constants = {{"G_F", 2e-5}, {"alpha_inverse", 137.0}, {"m_e", 511.0}, {"hbar_c", 2e-8}, {"s_W2", 0.231},
                        {"N_A", 6e23}, {"M_Xe", 131.0},          {"P_e1", 0.6},  {"K", 0.4}};
    auto const inputs = load(choice, {"xenonnt_sr0", "lz_ws2022"});

    EXPECT_DOUBLE_EQ(inputs.constants.fermi_constant, 2e-17);
    EXPECT_EQ(inputs.constants.inverse_alpha, 137.0);
    EXPECT_EQ(inputs.constants.electron_mass, 511.0);
    EXPECT_EQ(inputs.constants.hbar_c, 2e-8);
    EXPECT_EQ(inputs.constants.sin2_theta_w, 0.231);
    EXPECT_EQ(inputs.constants.avogadro, 6e23);
    EXPECT_EQ(inputs.constants.molar_mass, 131.0);
    EXPECT_EQ(inputs.constants.transition_p_e1, 0.6);
    for (auto const& experiment : inputs.experiments)
        EXPECT_EQ(experiment.resolution.sqrt, 0.4);
    EXPECT_EQ(constant_names().size(), choice.constants.size());
}

TEST_F(InputsTest, RefusesBadConstants)
{
    expect_refused({.constants = {{"s_w", 0.2}}}, {"unknown constant 's_w'", "did you mean 's_W2'?"});
    for (double const value : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
        for (auto const& [name, unit] : constant_names())
            expect_refused({.constants = {{name, value}}}, {"constant '" + name + "'", "must be finite and above 0"});
    expect_refused({.constants = {{"P_e1", 1.0}}}, {"constant 'P_e1'", "between 0 and 1"});
}

TEST_F(InputsTest, RefusesUnknownChoices)
{
    expect_refused({.solar = "gs99", .constants = {}}, {"unknown solar model 'gs99'", "valid: agss09met, gs98"});
    expect_refused({.oscillation = "x", .constants = {}}, {"unknown oscillation parameters 'x'", "valid: desalas2020, nufit52"});
    expect_refused({.shells = "x", .constants = {}}, {"unknown shells 'x'", "valid: hf, hf_corrected"});
    expect_refused({.electrons = "x", .constants = {}}, {"unknown electrons 'x'", "valid: step, rrpa"});
    expect_refused({.transition_survival = "x", .constants = {}}, {"transition_survival 'x'", "valid: constant, adiabatic"});
}

TEST_F(InputsTest, RefusesExperimentsThatDoNotGoTogether)
{
    EXPECT_EQ(load({}, {"xenonnt_sr0", "lz_ws2022"}).experiments.size(), 2U);
    expect_input_error([&] { load({}, {"lz_ws2023"}); }, {"unknown experiment 'lz_ws2023'", "did you mean 'lz_ws2022'?"});
    expect_input_error([&] { load({}, {"lz_ws2022", "xenonnt_sr0", "lz_ws2022"}); }, {"'lz_ws2022' is given twice"});
    expect_input_error(
        [&] {
            load({}, {"lz_ws2022", "lz_ws2022_arxiv2208"});
        },
        {"'lz_ws2022' and 'lz_ws2022_arxiv2208'", "same data (data_set 'lz_ws2022')"});
}

/// A copy of the shipped data, to be spoilt.
class SpoiltInputs : public testing::Test
{
protected:
    SpoiltInputs() { fs::copy(NUSCAN_SOURCE_DATA_DIR, temp_.path(), fs::copy_options::recursive); }

    /// Replaces the first \p find in a file, loads, expects a refusal, and restores the file.
    void expect_refused(std::string const& file, std::string_view find, std::string_view replacement,
                        std::initializer_list<std::string_view> parts)
    {
        SCOPED_TRACE(replacement);
        DataFolder data{temp_.path()};
        std::string const before = data.read(file);
        auto const at = before.find(find);
        ASSERT_NE(at, before.npos);
        temp_.write(file, std::string{before}.replace(at, find.size(), replacement));
        expect_input_error([&] { load_inputs(data, {.electrons = "rrpa", .constants = {}}, {"xenonnt_sr0", "lz_ws2022"}); }, parts);
        temp_.write(file, before);
    }

    std::string path(char const* file) const { return (temp_.path() / file).string(); }

    TempDir temp_;
};

TEST_F(SpoiltInputs, Solar)
{
    char const* const file = "solar/gs98.toml";
    expect_refused(file, "[[source]]", "[[sorce]]", {path(file), "key 'sorce'", "did you mean 'source'?"});
    expect_refused(file, "gs98_production.txt", "none.txt", {path(file), "key 'production'", path("solar/none.txt")});
    expect_refused(file, "spectra/pp.txt", "spectra/no.txt",
                   {path(file), "key 'spectrum' in [source]", path("solar/spectra/no.txt")});
    expect_refused(file, "flux = 5.98e10", "flux = -1", {path(file), "key 'flux' in [source]", "above 0"});
    expect_refused(file, "zone = \"be7\"", "zone = \"be\"", {path(file), "key 'zone' in [source]", "did you mean 'be7'?"});
    expect_refused(file, "fraction = 0.1044", "fraction = 0.2", {path(file), "key 'lines' in [source]", "must be 1"});
    expect_refused(file, "name = \"pep\"", "name = \"pp\"", {path(file), "key 'name' in [source]", "two sources 'pp'"});
    expect_refused(file, "spectrum = \"spectra/pp.txt\"\n", "", {path(file), "[source]", "either 'spectrum' or 'lines'"});
    expect_refused("solar/spectra/pp.txt", "energy [MeV]", "energy [keV]",
                   {path("solar/spectra/pp.txt") + ":3", "must be in [MeV]"});
    expect_refused("solar/spectra/pp.txt", "0.01008 0.0138", "0.01008 1e3", {path("solar/spectra/pp.txt"), "integral"});
    expect_refused("solar/gs98_production.txt", "\n0.0010 ", "\n0.0011 ", {path("solar/gs98_production.txt"), "uniform"});
}

TEST_F(SpoiltInputs, Oscillation)
{
    char const* const file = "solar/oscillation_desalas2020.toml";
    expect_refused(file, "sin2_theta12 = 0.318", "sin2_theta12 = 1.318", {path(file), "key 'sin2_theta12'", "between 0 and 1"});
    expect_refused(file, "dm21_eV2 = 7.50e-5", "dm21_eV2 = 0", {path(file), "key 'dm21_eV2'", "above 0"});
    expect_refused(file, "delta_cp_over_pi = ", "delta_cp = ", {path(file), "key 'delta_cp'", "unknown key"});
}

TEST_F(SpoiltInputs, Xenon)
{
    expect_refused("xenon/shells_hf.txt", "\n13.4 2", "\n12.0 2", {path("xenon/shells_hf.txt") + ":10", "duplicate"});
    expect_refused("xenon/shells_hf.txt", "\n13.4 2", "\n13.4 0", {path("xenon/shells_hf.txt") + ":10", "'electrons'", "above 0"});
    expect_refused("xenon/rrpa_e.txt", "\n0.265 1", "\n0.265 -1", {path("xenon/rrpa_e.txt"), "'step_over_rrpa'", "above 0"});
}

TEST_F(SpoiltInputs, FluxPullMustBeShared)
{
    expect_refused("experiments/lz_ws2022/experiment.toml", "sigma = 0.07", "sigma = 0.1",
                   {"'xenonnt_sr0' and 'lz_ws2022'", "flux pull", "0.07", "0.1"});
}

TEST(Curve, IsLinearWithinZeroBelowConstantAbove)
{
    Curve const curve{{1.0, 2.0, 4.0}, {0.5, 1.5, 0.5}};
    EXPECT_EQ(curve(0.999), 0.0);
    EXPECT_EQ(curve(1.0), 0.5);
    EXPECT_EQ(curve(1.5), 1.0);
    EXPECT_EQ(curve(2.0), 1.5);
    EXPECT_EQ(curve(3.0), 1.0);
    EXPECT_EQ(curve(4.0), 0.5);
    EXPECT_EQ(curve(9.0), 0.5);
}

TEST(Sha256, KnownVectors)
{
    EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Text, NearestName)
{
    std::vector<std::string> const names{"mu_e", "mu_mu", "g_V", "experiments"};
    EXPECT_EQ(nearest_name("experimets", names), "experiments");
    EXPECT_EQ(nearest_name("Experiment", names), "experiments");
    EXPECT_EQ(nearest_name("um_e", names), "mu_e");
    EXPECT_EQ(nearest_name("G_v", names), "g_V");
    EXPECT_EQ(nearest_name("zzzzz", names), "");
    EXPECT_EQ(nearest_name("", names), "");
    EXPECT_EQ(suggestion("mu_m", {"mu_mu"}), "; did you mean 'mu_mu'?");
    EXPECT_EQ(suggestion("zzz", {"a", "b"}), "; valid: a, b");
    EXPECT_EQ(suggestion("zzz", {}), "");
}

TEST(Text, ParsesWholeNumbersOnly)
{
    double value = 0.0;
    EXPECT_TRUE(parse_double("-1.5e-3", value));
    EXPECT_EQ(value, -1.5e-3);
    EXPECT_TRUE(parse_double("+2", value));
    EXPECT_EQ(value, 2.0);
    for (char const* bad : {"", "+", "1 ", " 1", "1,5", "inf", "nan", "-inf", "1e999", "0x1", "+-1", "++1"})
        EXPECT_FALSE(parse_double(bad, value)) << bad;
    EXPECT_EQ(value, 2.0);

    unsigned long long size = 0;
    EXPECT_TRUE(parse_size("18446744073709551615", size));
    EXPECT_EQ(size, std::numeric_limits<unsigned long long>::max());
    for (char const* bad : {"", "-1", "+1", "1.0", "18446744073709551616"})
        EXPECT_FALSE(parse_size(bad, size)) << bad;
}

struct CommaPoint : std::numpunct<char>
{
    char do_decimal_point() const override { return ','; }
};

TEST(TomlReader, IgnoresTheLocale)
{
    std::locale const before = std::locale::global(std::locale{std::locale::classic(), new CommaPoint});
    double const value = TomlReader::parse("a = 1234.5e-1", "f").number("a");
    std::locale::global(before);
    EXPECT_EQ(value, 123.45);
}

TEST(TomlReader, KeepsTheOrderOfAppearance)
{
    auto const file = TomlReader::parse("\xEF\xBB\xBF[axes]\r\nz = { n = 1 }\r\nb.n = 2\r\na = { n = 3 }\r\n", "f");
    auto const axes = file.sub("axes");
    EXPECT_EQ(axes.keys(), (std::vector<std::string>{"z", "b", "a"}));
    EXPECT_EQ(axes.sub("b").integer("n"), 2);
    EXPECT_EQ(axes.sub("a").where("n"), "f:4: key 'n' in [axes.a]");
}

TEST(TomlReader, RefusesWrongTypesAndMissingKeys)
{
    auto const file = TomlReader::parse("i = 1\nf = 2.5\ns = 'x'\nb = true\nl = [1, 'x']\nt = [{}, 1]\nd = 2024-01-01\n", "f.toml");
    expect_input_error([&] { file.number("s"); }, {"f.toml:3: key 's': must be a number, not a string"});
    expect_input_error([&] { file.integer("f"); }, {"f.toml:2: key 'f': must be an integer, not a floating-point number"});
    expect_input_error([&] { file.string("d"); }, {"f.toml:7: key 'd': must be a string, not a date or time"});
    expect_input_error([&] { file.optional_boolean("i"); }, {"f.toml:1: key 'i': must be true or false, not an integer"});
    expect_input_error([&] { file.numbers("l"); }, {"f.toml:5: key 'l': must be a number, not a string"});
    expect_input_error([&] { file.strings("l"); }, {"f.toml:5: key 'l': must be a string, not an integer"});
    expect_input_error([&] { file.tables("t"); }, {"f.toml:6: key 't': must be an array of tables, not an integer"});
    expect_input_error([&] { file.sub("b"); }, {"f.toml:4: key 'b': must be a table, not a boolean"});
    expect_input_error([&] { file.number("none"); }, {"f.toml", "key 'none': missing"});
    expect_input_error([&] { file.numbers("none"); }, {"f.toml", "key 'none': missing"});
    EXPECT_EQ(file.number("i"), 1.0);
    EXPECT_FALSE(file.optional_number("none"));
    EXPECT_TRUE(file.tables("none").empty());
    expect_input_error([] { TomlReader::parse("a = 1\na = 2\n", "f.toml"); }, {"f.toml:2: not valid TOML", "'a'"});
}

TEST(TomlReader, SurvivesWhatTomlPlusPlusDoesNot)
{
    for (char const* line : {"[=]", "[{source]]", "[.a]", "[[=]]", "\xCE\xBC_e = 1", "\xC3\xA9"})
        expect_input_error([&] { TomlReader::parse("a = [\n1]\n" + std::string{line} + "\nb = 2\n", "f.toml"); },
                           {"f.toml:3: not valid TOML"});
}

TEST(TomlReader, KeepsCharactersOutsideAsciiInStringsAndComments)
{
    std::string const mu = "\xCE\xBC";
    std::string text = R"(a = 'm' # m
b = "\"m"
'm' = ""
c = """m
"""""
d = '''
\m'''
)";
    for (auto at = text.find('m'); at != text.npos; at = text.find('m', at))
        text.replace(at, 1, mu);

    auto const file = TomlReader::parse(text, "f");
    EXPECT_EQ(file.string("a"), mu);
    EXPECT_EQ(file.string("b"), "\"" + mu);
    EXPECT_EQ(file.string(mu), "");
    EXPECT_EQ(file.string("c"), mu + "\n\"\"");
    EXPECT_EQ(file.string("d"), "\\" + mu);
}

TEST(TomlReader, ReadingAnUnexpectedKeyIsABug)
{
    auto file = TomlReader::parse("a = 1\n", "f");
    file.expect({"a"});
    EXPECT_EQ(file.integer("a"), 1);
    EXPECT_THROW(file.optional_integer("b"), std::logic_error);
}

} // namespace
} // namespace nuscan::test
