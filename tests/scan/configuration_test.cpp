#include "host/scan/configuration.hpp"

#include <clocale>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "host/support/error.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

std::string const example = R"([scan]
title = "Example"
experiments = ["xenonnt_sr0", "lz_ws2022"]
[axes]
m_V = { min = 1e-3, max = 1e2, n = 40, scale = "log" }
g_V = { min = 0.0, max = 1e-5, n = 30 }
[fixed]
q_mu = 1e-13
mu_e = 0.001
[inputs]
solar = "agss09met"
constants = { s_W2 = 0.23, K = 0.3 }
[output]
pulls = true
)";

class Configuration : public testing::Test
{
protected:
    ScanConfiguration read(std::string const& text) const { return read_configuration(temp_.write("grid.toml", text)); }
    std::string canonical(std::string const& text) const { return canonical_form(read(text)); }

    /// The example with \p find replaced.
    static std::string changed(std::string const& find, std::string const& replacement)
    {
        std::string text = example;
        auto const at = text.find(find);
        if (at == text.npos)
            throw std::logic_error{"not in the example: " + find};
        return text.replace(at, find.size(), replacement);
    }

    TempDir temp_;
};

TEST_F(Configuration, EverythingIsRead)
{
    auto const configuration = read(example);
    EXPECT_EQ(configuration.title, "Example");
    EXPECT_EQ(configuration.experiments, (std::vector<std::string>{"xenonnt_sr0", "lz_ws2022"}));
    ASSERT_EQ(configuration.axes.size(), 2U);
    EXPECT_EQ(configuration.axes[0].parameter, find_parameter("m_V"));
    EXPECT_EQ(configuration.axes[0].min, 1e-3);
    EXPECT_EQ(configuration.axes[0].max, 1e2);
    EXPECT_EQ(configuration.axes[0].n, 40);
    EXPECT_EQ(configuration.axes[0].scale, AxisScale::log);
    EXPECT_EQ(configuration.axes[1].parameter, find_parameter("g_V"));
    EXPECT_EQ(configuration.axes[1].scale, AxisScale::linear) << "the default";
    EXPECT_EQ(configuration.fixed, (FixedParameters{{find_parameter("q_mu"), 1e-13}, {find_parameter("mu_e"), 0.001}}));
    EXPECT_EQ(configuration.inputs.solar, "agss09met");
    EXPECT_EQ(configuration.inputs.oscillation, "desalas2020") << "the default";
    EXPECT_EQ(configuration.inputs.constants, (std::map<std::string, double>{{"K", 0.3}, {"s_W2", 0.23}}));
    EXPECT_TRUE(configuration.output_pulls);
    EXPECT_FALSE(configuration.output_rates);
    EXPECT_EQ(configuration.size(), 1200);
    EXPECT_EQ(configuration.text, example);
    EXPECT_EQ(configuration.path, temp_.path() / "grid.toml");
}

TEST_F(Configuration, TitleIsTheNameOfTheFileByDefault)
{
    EXPECT_EQ(read(changed("title = \"Example\"\n", "")).title, "grid");
}

TEST_F(Configuration, AxesComeInOrderOfAppearance)
{
    auto const parameters = [this](std::string const& text) {
        std::vector<int> all;
        for (Axis const& axis : read(text).axes)
            all.push_back(axis.parameter);
        return all;
    };
    std::string const scan = "[scan]\nexperiments = [\"xenonnt_sr0\"]\n";
    std::vector<int> const expected{find_parameter("q_tau"), find_parameter("a_e"), find_parameter("mu_e"), find_parameter("q_e")};
    EXPECT_EQ(parameters(scan
                         + "[axes]\nq_tau = { min = 0.0, max = 1.0, n = 2 }\na_e = { min = 0.0, max = 1.0, n = 2 }\n"
                           "mu_e = { min = 0.0, max = 1.0, n = 2 }\nq_e = { min = 0.0, max = 1.0, n = 2 }\n"),
              expected);
    EXPECT_EQ(parameters(scan
                         + "[axes.q_tau]\nmin = 0.0\nmax = 1.0\nn = 2\n[axes.a_e]\nmin = 0.0\nmax = 1.0\nn = 2\n"
                           "[axes.mu_e]\nmin = 0.0\nmax = 1.0\nn = 2\n[axes.q_e]\nmin = 0.0\nmax = 1.0\nn = 2\n"),
              expected);
    // All on one line.
    EXPECT_EQ(
        parameters(
            "axes = { q_tau = { min = 0, max = 1, n = 2 }, a_e = { min = 0, max = 1, n = 2 }, mu_e = { min = 0, max = 1, n = 2 }, "
            "q_e = { min = 0, max = 1, n = 2 } }\n"
            + scan),
        expected);
    // Dotted keys, whose tables begin nowhere.
    EXPECT_EQ(parameters(scan
                         + "[axes]\nq_tau.min = 0\nq_tau.max = 1\nq_tau.n = 2\na_e.min = 0\na_e.max = 1\na_e.n = 2\n"
                           "mu_e.min = 0\nmu_e.max = 1\nmu_e.n = 2\nq_e.min = 0\nq_e.max = 1\nq_e.n = 2\n"),
              expected);
}

TEST_F(Configuration, CanonicalFormIgnoresWhatDoesNotMatter)
{
    auto const expected = canonical(example);
    EXPECT_EQ(canonical("# a comment\n\n" + example + "# another\n"), expected);
    EXPECT_EQ(canonical(changed("title = \"Example\"", "title = \"Another\"")), expected);
    EXPECT_EQ(canonical(changed("title = \"Example\"\n", "")), expected);
    EXPECT_EQ(canonical(changed("q_mu = 1e-13\nmu_e = 0.001", "mu_e = 0.001\nq_mu = 1e-13")), expected);
    EXPECT_EQ(canonical(changed("mu_e = 0.001", "mu_e = 1e-3")), expected);
    EXPECT_EQ(canonical(changed("mu_e = 0.001", "mu_e = +1_0.0E-4")), expected);
    EXPECT_EQ(canonical(changed("min = 1e-3, max = 1e2", "min = 0.001, max = 100")), expected) << "integers are numbers";
    EXPECT_EQ(canonical(changed("n = 40", "n = 0x28")), expected);
    EXPECT_EQ(canonical(changed("n = 30 }", "n = 30, scale = \"linear\" }")), expected) << "a default said aloud";
    EXPECT_EQ(canonical(changed("pulls = true", "pulls = true\nrates = false")), expected);
    EXPECT_EQ(canonical(changed("solar = \"agss09met\"", "solar = \"agss09met\"\nshells = \"hf\"")), expected);
    EXPECT_EQ(canonical(changed("{ s_W2 = 0.23, K = 0.3 }", "{ K = 0.3, s_W2 = 0.23 }")), expected);
    EXPECT_EQ(canonical(changed("{ min = 0.0, max = 1e-5, n = 30 }", "{ n = 30, max = 1e-5, min = 0.0 }")), expected);
    std::string windows = "\xEF\xBB\xBF";
    for (char const c : example)
        windows += c == '\n' ? "\r\n" : std::string(1, c);
    EXPECT_EQ(canonical(windows), expected);
}

TEST_F(Configuration, CharactersOutsideAsciiAreWelcomeInTexts)
{
    // The first is where toml++ 3.3 runs into undefined behaviour: behind a backslash that continues a line.
    auto const configuration = read("[scan]\ntitle = \"\"\"a \\\n  \u00e4 \u03bd\"\"\" # \u03bc\nexperiments = ['\u4e2d']\n"
                                    "[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 3 }\n");
    EXPECT_EQ(configuration.title, "a \u00e4 \u03bd");
    EXPECT_EQ(configuration.experiments, std::vector<std::string>{"\u4e2d"});
}

TEST_F(Configuration, CanonicalFormTellsApartWhatMatters)
{
    auto const expected = canonical(example);
    for (auto const& [find, replacement] :
         std::vector<std::pair<std::string, std::string>>{{"[\"xenonnt_sr0\", \"lz_ws2022\"]", "[\"xenonnt_sr0\"]"},
                                                          {"[\"xenonnt_sr0\", \"lz_ws2022\"]", "[\"lz_ws2022\", \"xenonnt_sr0\"]"},
                                                          {"min = 1e-3", "min = 1.0000000000000002e-3"},
                                                          {"max = 1e2", "max = 1e3"},
                                                          {"n = 40", "n = 41"},
                                                          {"scale = \"log\"", "scale = \"linear\""},
                                                          {"q_mu = 1e-13", "q_mu = 2e-13"},
                                                          {"q_mu = 1e-13", "q_tau = 1e-13"},
                                                          {"q_mu = 1e-13\n", ""},
                                                          {"solar = \"agss09met\"", "solar = \"gs98\""},
                                                          {"s_W2 = 0.23", "s_W2 = 0.231"},
                                                          {"pulls = true", "rates = true"},
                                                          {"pulls = true", ""}})
        EXPECT_NE(canonical(changed(find, replacement)), expected) << find << " -> " << replacement;
}

TEST_F(Configuration, OrderOfAxesMatters)
{
    std::string const m = "m_V = { min = 1e-3, max = 1e2, n = 40, scale = \"log\" }\n";
    std::string const g = "g_V = { min = 0.0, max = 1e-5, n = 30 }\n";
    EXPECT_NE(canonical(changed(m + g, g + m)), canonical(example));
}

TEST_F(Configuration, CanonicalFormDoesNotDependOnTheLocale)
{
    auto const expected = canonical(example);
    // Where that locale is not installed nothing is tested here; the program never sets one itself.
    char const* const set = std::setlocale(LC_ALL, "de_DE.UTF-8");
    EXPECT_EQ(canonical(example), expected);
    EXPECT_EQ(canonical_form(parse_canonical(expected)), expected);
    if (set != nullptr)
        std::setlocale(LC_ALL, "C");
}

TEST_F(Configuration, CanonicalFormReadsBack)
{
    for (std::string const& text :
         {example, changed("mu_e = 0.001", "mu_e = 4.9406564584124654e-324"), changed("max = 1e2", "max = 1e30"),
          changed("mu_e = 0.001", "mu_e = 0.1000000000000000055511151231257827")})
    {
        auto const configuration = read(text);
        auto const back = parse_canonical(canonical_form(configuration));
        EXPECT_EQ(canonical_form(back), canonical_form(configuration));
        EXPECT_EQ(back.experiments, configuration.experiments);
        ASSERT_EQ(back.axes.size(), configuration.axes.size());
        for (std::size_t a = 0; a < back.axes.size(); ++a)
        {
            EXPECT_EQ(back.axes[a].parameter, configuration.axes[a].parameter);
            EXPECT_EQ(back.axes[a].min, configuration.axes[a].min);
            EXPECT_EQ(back.axes[a].max, configuration.axes[a].max);
            EXPECT_EQ(back.axes[a].n, configuration.axes[a].n);
            EXPECT_EQ(back.axes[a].scale, configuration.axes[a].scale);
        }
        EXPECT_EQ(back.fixed, configuration.fixed);
        EXPECT_EQ(back.inputs.solar, configuration.inputs.solar);
        EXPECT_EQ(back.inputs.oscillation, configuration.inputs.oscillation);
        EXPECT_EQ(back.inputs.shells, configuration.inputs.shells);
        EXPECT_EQ(back.inputs.electrons, configuration.inputs.electrons);
        EXPECT_EQ(back.inputs.transition_survival, configuration.inputs.transition_survival);
        EXPECT_EQ(back.inputs.constants, configuration.inputs.constants);
        EXPECT_EQ(back.output_pulls, configuration.output_pulls);
        EXPECT_EQ(back.output_rates, configuration.output_rates);
    }
}

TEST_F(Configuration, TextThatIsNotCanonicalIsRefused)
{
    auto const good = canonical(example);
    auto const spoilt = [&good](std::string const& find, std::string const& replacement) {
        std::string text = good;
        auto const at = text.find(find);
        if (at == text.npos)
            throw std::logic_error{"not in the canonical form: " + find};
        return text.replace(at, find.size(), replacement);
    };
    for (std::string const& text : {std::string{}, std::string{"{}"}, std::string{"[]"}, good.substr(0, good.size() / 2),
                                    spoilt("\"n\":40", "\"n\":\"40\""), spoilt("\"axes\"", "\"axis\"")})
        expect_input_error([&] { parse_canonical(text); }, {"the stored configuration cannot be read"});
    expect_input_error(
        [&] { parse_canonical(spoilt(fmt::format("\"results_version\":{}", results_version), "\"results_version\":99")); },
        {"results version 99"});
    expect_input_error([&] { parse_canonical(spoilt("\"g_V\"", "\"g_W\"")); }, {"unknown parameter 'g_W'; did you mean 'g_"});
    for (char const* const n : {"40.0", "1e30", "18446744073709551616", "18446744073709551615", "null"})
        expect_input_error([&] { parse_canonical(spoilt("\"n\":40", "\"n\":" + std::string{n})); }, {"no whole number of 64 bits"});
    expect_input_error([&] { parse_canonical(spoilt("\"n\":40", "\"n\":0")); }, {"impossible length"});
    expect_input_error([&] { parse_canonical(spoilt("\"n\":40", "\"n\":4000000000")); }, {"impossible length"});
}

TEST_F(Configuration, SizeIsTheProductOfTheAxesUpTo64Bits)
{
    ScanConfiguration configuration;
    configuration.path = "big.toml";
    EXPECT_EQ(configuration.size(), 1);
    configuration.axes.assign(2, Axis{0, 0.0, 1.0, max_axis_nodes, AxisScale::linear});
    EXPECT_EQ(configuration.size(), 10000000000000000);
    configuration.axes.push_back(Axis{0, 0.0, 1.0, 922, AxisScale::linear});
    EXPECT_EQ(configuration.size(), 9220000000000000000);
    configuration.axes.back().n = 923;
    expect_input_error([&] { configuration.size(); }, {"big.toml: the number of points overflows 64 bits"});
}

TEST_F(Configuration, SettingsAddAndReplaceFixedValuesButNotAxes)
{
    auto configuration = read(example);
    apply_settings(configuration, parse_settings({"q_mu=-2e-13", "r2_e=1e-32"}));
    EXPECT_EQ(
        configuration.fixed,
        (FixedParameters{{find_parameter("q_mu"), -2e-13}, {find_parameter("mu_e"), 0.001}, {find_parameter("r2_e"), 1e-32}}));
    expect_input_error([&] { apply_settings(configuration, parse_settings({"g_V=1e-6"})); },
                       {"--set g_V=1e-06", "g_V is an axis of", "grid.toml"});
    // The same as if it stood in the file.
    auto const in_file = canonical(changed("q_mu = 1e-13", "q_mu = -2e-13\nr2_e = 1e-32"));
    EXPECT_EQ(canonical_form(configuration), in_file);
}

TEST_F(Configuration, NodesAreLimitedOverTheSameRanges)
{
    auto configuration = read(example);
    limit_nodes(configuration, 35);
    // The same as if it stood in the file; an axis with fewer nodes keeps them.
    EXPECT_EQ(canonical_form(configuration), canonical(changed("n = 40", "n = 35")));
    auto one = read("[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nmu_e = { min = 0.0, max = 0.0, n = 1 }\n");
    limit_nodes(one, 2);
    EXPECT_EQ(one.axes[0].n, 1);
    for (long long const nodes : {1, 0, -5})
        expect_input_error([&] { limit_nodes(configuration, nodes); },
                           {"--nodes " + std::to_string(nodes) + ": an axis that covers a range has at least 2 nodes"});
}

TEST_F(Configuration, SettingsAreParsed)
{
    EXPECT_EQ(parse_setting("mu_e=1e-11"), (std::pair{find_parameter("mu_e"), 1e-11}));
    EXPECT_EQ(parse_setting("q_e=+.5"), (std::pair{find_parameter("q_e"), 0.5}));
    EXPECT_EQ(parse_setting("q_e=-0"), (std::pair{find_parameter("q_e"), -0.0}));
    EXPECT_TRUE(parse_settings({}).empty());
    expect_input_error([] { parse_setting("mu_e"); }, {"--set mu_e: not of the form PARAMETER=VALUE"});
    expect_input_error([] { parse_setting("mu_e = 1"); }, {"unknown parameter 'mu_e '; did you mean 'mu_e'?"});
    expect_input_error([] { parse_setting("mu_e= 1"); }, {"' 1' is not a finite number"});
    expect_input_error([] { parse_setting("mu_e=0x1p3"); }, {"is not a finite number"});
    expect_input_error([] { parse_setting("m_V=0"); }, {"m_V = 0 is below its physical bound; it must be > 0 MeV"});
    expect_input_error([] { parse_settings({"q_e=1", "q_mu=1", "q_e=2"}); }, {"--set q_e=2: q_e is set twice"});
}

} // namespace
} // namespace nuscan::test
