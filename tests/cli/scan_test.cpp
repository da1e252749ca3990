// Scans from grid file to surface file: the same bits whatever the threads, the chunks, the interruptions and the damage.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "host/io/hdf5_file.hpp"
#include "host/io/journal.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/configuration.hpp"
#include "host/support/sha256.hpp"
#include "tests/backends/instruction_sets.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/scan_runs.hpp"
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

std::uintmax_t size_of(fs::path const& file)
{
    std::error_code missing;
    auto const size = fs::file_size(file, missing);
    return missing ? 0 : size;
}

/// Every bit of a surface: a NaN equals itself.
struct Bits
{
    std::string chi2;
    std::vector<std::uint8_t> status;

    friend bool operator==(Bits const&, Bits const&) = default;
};

void PrintTo(Bits const& bits, std::ostream* out)
{
    *out << bits.status.size() << " points, SHA-256 of chi2 " << sha256(bits.chi2);
}

Bits bits_of(SurfaceReader const& surface)
{
    auto const chi2 = surface.chi2(surface.layout().range);
    return {std::string(reinterpret_cast<char const*>(chi2.data()), chi2.size() * sizeof(double)),
            surface.status(surface.layout().range)};
}

std::string joined(std::vector<std::string> const& names)
{
    std::string text;
    for (auto const& name : names)
        text += (text.empty() ? "\"" : ", \"") + name + "\"";
    return text;
}

/// A vector mediator on a grid of masses times couplings.
std::string vector_grid(std::vector<std::string> const& experiments, int masses, int couplings)
{
    return "[scan]\ntitle = \"test\"\nexperiments = [" + joined(experiments)
           + "]\n[axes]\nm_V = { min = 1e-3, max = 1e2, n = " + std::to_string(masses)
           + ", scale = \"log\" }\ng_V = { min = 1e-8, max = 1e-5, n = " + std::to_string(couplings) + ", scale = \"log\" }\n";
}

class Scan : public testing::Test
{
protected:
    fs::path file(std::string const& name) const { return temp_.path() / name; }
    void write(std::string const& name, std::string const& text) const { temp_.write(name, text); }

    RunOptions options() const
    {
        RunOptions options;
        options.folder = temp_.path();
        return options;
    }

    RunResult run(Arguments const& arguments) const { return run_nuscan(arguments, options()); }

    /// Length of the head of a journal.
    std::size_t journal_head(std::string const& output) const
    {
        constexpr std::size_t line_and_numbers = 17 + 48;
        auto const contents = Journal::inspect(file(output + ".journal"));
        return contents ? line_and_numbers + contents->head.description.size() : 0;
    }

    /// On the CPU if \p more names no device: other machines may have a faster one.
    static Arguments scan_command(std::string const& output, Arguments const& more = {})
    {
        Arguments arguments{"scan", "grid.toml", "-o", output};
        arguments.insert(arguments.end(), more.begin(), more.end());
        if (std::find(more.begin(), more.end(), "--device") == more.end())
            arguments.insert(arguments.end(), {"--device", "cpu"});
        return arguments;
    }

    /// Scans grid.toml to its end.
    RunResult scan(std::string const& output, Arguments const& more = {}) const
    {
        auto const result = run(scan_command(output, more));
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_EQ(result.out, result.said("is finished already") ? "" : output + "\n") << result;
        expect_no_leftovers(output);
        return result;
    }

    Bits bits(std::string const& output) const { return bits_of(SurfaceReader{file(output)}); }

    void expect_no_leftovers(std::string const& output) const
    {
        EXPECT_FALSE(fs::exists(file(output + ".journal")));
        EXPECT_FALSE(fs::exists(file(output + ".partial")));
    }

    void expect_valid(std::string const& output) const
    {
        auto const info = run({"info", output});
        EXPECT_EQ(info.exit_code, 0) << info;
        auto const validate = run({"validate", output});
        EXPECT_EQ(validate.exit_code, 0) << validate;
        EXPECT_NE(validate.out.find(": valid; "), validate.out.npos) << validate;
    }

    TempDir temp_;
};

// --- the same bits ------------------------------------------------------------------------------------------------------------------

TEST_F(Scan, ThreadsAndChunksNeverChangeABit)
{
    for (std::vector<std::string> const& experiments : {std::vector<std::string>{"xenonnt_sr0"}, {"lz_ws2022"}})
    {
        write("grid.toml", vector_grid(experiments, 40, 30));
        scan("default.h5", {"--restart"});
        auto const expected = bits("default.h5");
        ASSERT_EQ(expected.status.size(), 1200U);
        // Small chunks on one thread: threads that wait for each other on a busy machine take a time slice per chunk.
        for (Arguments const& how : {Arguments{"--threads", "1"},
                                     {"--threads", "2"},
                                     {"--threads", "1", "--chunk", "1"},
                                     {"--threads", "1", "--chunk", "7"},
                                     {"--threads", "2", "--chunk", "64"},
                                     {"--threads", "3", "--chunk", "1000"}})
        {
            scan("other.h5", [&how] {
                Arguments more{"--restart"};
                more.insert(more.end(), how.begin(), how.end());
                return more;
            }());
            EXPECT_EQ(bits("other.h5"), expected) << experiments.front() << " " << how.front() << " " << how.back();
        }
    }
}

/// Those that it cannot do without are missed with a reason; all others only make it faster.
TEST_F(Scan, AsManyThreadsAsTheSystemGivesAreEnoughOrItSaysSo)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 40, 30));
    scan("all.h5");
    RunOptions few = preloading(options(), NUSCAN_FEW_THREADS);
    few.environment["OMP_NUM_THREADS"] = "1"; // OpenMP would end the program itself, with a message of its own
    constexpr int most = 10;
    int threads = 0;
    for (bool finished = false; !finished && threads < most; ++threads)
    {
        few.environment["NUSCAN_TEST_THREADS"] = std::to_string(threads);
        auto const result = run_nuscan(scan_command("few.h5", {"--threads", "4", "--chunk", "100"}), few);
        finished = result.exit_code == 0;
        if (finished)
            break;
        EXPECT_EQ(result.exit_code, 1) << result;
        EXPECT_TRUE(result.said("nuscan: cannot start a thread: Resource temporarily unavailable; allow this user more processes"))
            << result;
    }
    EXPECT_GE(threads, 2) << "the check by the reference, and the output";
    EXPECT_LE(threads, 3) << "and one that a sanitizer may have";
    EXPECT_EQ(bits("few.h5"), bits("all.h5"));
    expect_no_leftovers("few.h5");
}

TEST_F(Scan, DirectRouteDoesNotDependOnThreadsAndChunksEither)
{
    write("grid.toml", vector_grid({"xenonnt_sr0", "lz_ws2022"}, 7, 9));
    scan("a.h5", {"--route", "direct", "--threads", "1"});
    scan("b.h5", {"--route", "direct", "--threads", "2", "--chunk", "5"});
    EXPECT_EQ(bits("a.h5"), bits("b.h5"));
}

TEST_F(Scan, RoutesAgree)
{
    for (std::vector<std::string> const& experiments :
         {std::vector<std::string>{"xenonnt_sr0"}, {"lz_ws2022"}, {"xenonnt_sr0", "lz_ws2022"}})
    {
        write("grid.toml", vector_grid(experiments, 40, 30));
        scan("direct.h5", {"--restart", "--route", "direct"});
        scan("factored.h5", {"--restart", "--route", "factored"});
        SurfaceReader const direct{file("direct.h5")};
        SurfaceReader const factored{file("factored.h5")};
        EXPECT_EQ(direct.meta().route, "direct");
        EXPECT_EQ(factored.meta().route, "factored");
        auto const a = direct.chi2({0, 1200});
        auto const b = factored.chi2({0, 1200});
        for (std::size_t i = 0; i < a.size(); ++i)
            EXPECT_TRUE(chi2_agrees(a[i], b[i], tolerance::implementation)) << "point " << i;
    }
}

TEST_F(Scan, ReferenceAgrees)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 3, 4));
    scan("cpu.h5");
    scan("reference.h5", {"--device", "reference", "--threads", "2"});
    SurfaceReader const cpu{file("cpu.h5")};
    SurfaceReader const reference{file("reference.h5")};
    EXPECT_EQ(cpu.meta().backend, "cpu");
    EXPECT_EQ(reference.meta().backend, "reference");
    auto const a = cpu.chi2({0, 12});
    auto const b = reference.chi2({0, 12});
    for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_TRUE(chi2_agrees(a[i], b[i], tolerance::discretisation)) << "point " << i;
}

// --- axes ---------------------------------------------------------------------------------------------------------------------------

/// Chi^2 by the values of the parameters.
using Surface = std::map<std::map<std::string, double>, double>;

Surface by_parameters(SurfaceReader const& reader, std::map<std::string, double> const& fixed)
{
    auto const& axes = reader.layout().axes;
    auto const chi2 = reader.chi2(reader.layout().range);
    Surface surface;
    for (std::size_t i = 0; i < chi2.size(); ++i)
    {
        auto point = fixed;
        // C order: the last axis runs fastest.
        for (std::size_t a = axes.size(), rest = i; a-- > 0; rest /= axes[a].values.size())
            point[axes[a].name] = axes[a].values[rest % axes[a].values.size()];
        surface[point] = chi2[i];
    }
    return surface;
}

TEST_F(Scan, OrderAndNumberOfAxesDoNotMatter)
{
    std::map<std::string, std::string> const axis{{"m_V", "{ min = 0.01, max = 10.0, n = 3, scale = \"log\" }"},
                                                  {"g_V", "{ min = 0.0, max = 1e-6, n = 3 }"},
                                                  {"mu_e", "{ min = 0.0, max = 2e-11, n = 2 }"},
                                                  {"q_mu", "{ min = -1e-13, max = 1e-13, n = 3 }"}};
    // Values on those axes.
    std::map<std::string, double> const middle{{"m_V", 10.0}, {"g_V", 5e-7}, {"mu_e", 2e-11}, {"q_mu", -1e-13}};
    auto const surface = [&](std::vector<std::string> const& axes) {
        std::string text = "[scan]\nexperiments = [\"xenonnt_sr0\", \"lz_ws2022\"]\n[axes]\n";
        for (auto const& name : axes)
            text += name + " = " + axis.at(name) + "\n";
        text += "[fixed]\n";
        std::map<std::string, double> fixed;
        for (auto const& [name, value] : middle)
            if (std::find(axes.begin(), axes.end(), name) == axes.end())
            {
                text += name + " = " + Json(value).dump() + "\n";
                fixed[name] = value;
            }
        write("grid.toml", text);
        scan("out.h5", {"--restart", "--threads", "1"});
        return by_parameters(SurfaceReader{file("out.h5")}, fixed);
    };

    auto const all = surface({"m_V", "g_V", "mu_e", "q_mu"});
    ASSERT_EQ(all.size(), 54U);
    std::vector<std::vector<std::string>> const others{
        {"g_V", "mu_e", "q_mu", "m_V"}, // the mass fast
        {"q_mu", "mu_e", "m_V", "g_V"},
        {"m_V", "g_V", "q_mu"},
        {"g_V", "m_V", "mu_e"},
        {"mu_e", "q_mu"},
        {"m_V", "g_V"},
        {"g_V", "m_V"},
        {"m_V"},
        {"g_V"},
        {"q_mu"},
    };
    for (auto const& axes : others)
    {
        auto const part = surface(axes);
        EXPECT_FALSE(part.empty());
        for (auto const& [point, chi2] : part)
        {
            ASSERT_TRUE(all.contains(point)) << joined(axes);
            EXPECT_TRUE(chi2_agrees(chi2, all.at(point), tolerance::implementation)) << joined(axes);
        }
    }
}

TEST_F(Scan, PointsAreThoseOfTheChi2Command)
{
    write("grid.toml", vector_grid({"lz_ws2022"}, 3, 3) + "[fixed]\nmu_e = 3e-12\n[inputs]\nsolar = \"agss09met\"\n");
    scan("out.h5");
    for (auto const& [point, chi2] : by_parameters(SurfaceReader{file("out.h5")}, {{"mu_e", 3e-12}}))
    {
        Arguments arguments{"chi2", "-e", "lz_ws2022", "--solar", "agss09met", "--json"};
        for (auto const& [name, value] : point)
            arguments.insert(arguments.end(), {"--set", name + "=" + Json(value).dump()});
        EXPECT_TRUE(chi2_agrees(chi2, run_json(arguments).at("chi2").get<double>(), tolerance::implementation));
    }
}

TEST_F(Scan, PullsAndRatesAreThoseOfTheOtherCommands)
{
    std::vector<std::string> const experiments{"xenonnt_sr0", "lz_ws2022"};
    write("grid.toml", "[scan]\nexperiments = [" + joined(experiments)
                           + "]\n[axes]\nmu_e = { min = 0.0, max = 2e-11, n = 2 }\nq_e = { min = -2e-13, max = 3e-13, n = 3 }\n"
                             "[output]\npulls = true\nrates = true\n");
    scan("out.h5", {"--chunk", "4"});
    SurfaceReader const surface{file("out.h5")};
    auto const& layout = surface.layout();
    EXPECT_EQ(std::set<std::string>(layout.pulls.begin(), layout.pulls.end()), (std::set<std::string>{"alpha", "beta", "delta"}));
    ASSERT_EQ(layout.rates.size(), 2U);
    EXPECT_EQ(layout.rates[0].unit, "1/(t yr)");
    EXPECT_EQ(layout.rates[1].unit, "events");
    for (std::int64_t i = 0; i < 6; ++i)
    {
        Arguments const settings{"--json", "--set", "mu_e=" + Json(layout.axes[0].values[static_cast<std::size_t>(i / 3)]).dump(),
                                 "--set", "q_e=" + Json(layout.axes[1].values[static_cast<std::size_t>(i % 3)]).dump()};
        Arguments arguments{"chi2", "-e", "xenonnt_sr0", "lz_ws2022"};
        arguments.insert(arguments.end(), settings.begin(), settings.end());
        auto const chi2 = run_json(arguments);
        EXPECT_TRUE(chi2_agrees(surface.chi2({i, i + 1}).front(), chi2.at("chi2").get<double>(), tolerance::implementation));
        for (auto const& name : layout.pulls)
            // A pull is the place of a minimum: it is known to the root of what chi^2 is known to.
            EXPECT_NEAR(surface.pull(name, {i, i + 1}).front(), chi2.at("pulls").at(name).get<double>(),
                        std::sqrt(tolerance::implementation))
                << name << " at point " << i;
        for (auto const& record : layout.rates)
        {
            arguments = {"spectrum", "-e", record.experiment};
            arguments.insert(arguments.end(), settings.begin(), settings.end());
            auto const spectrum = run_json(arguments);
            auto const rates = surface.rates(record.experiment, {i, i + 1});
            ASSERT_EQ(rates.size(), spectrum.at("bins").size());
            for (std::size_t bin = 0; bin < rates.size(); ++bin)
            {
                EXPECT_TRUE(is_close(rates[bin], spectrum.at("bins").at(bin).at("signal").get<double>(), tolerance::implementation))
                    << record.experiment << ", point " << i << ", bin " << bin;
                EXPECT_EQ(record.edges[bin + 1], spectrum.at("bins").at(bin).at("hi_keV").get<double>());
            }
        }
    }
}

TEST_F(Scan, BestFitAndStandardModelAreRecorded)
{
    write("grid.toml", "[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nr2_e = { min = -160e-32, max = 160e-32, n = 321 }\n"
                       "[fixed]\nmu_tau = 1e-12\n");
    scan("out.h5");
    SurfaceReader const surface{file("out.h5")};
    auto const chi2 = surface.chi2({0, 321});
    auto const lowest = std::min_element(chi2.begin(), chi2.end());
    EXPECT_EQ(surface.best_fit().index, lowest - chi2.begin());
    EXPECT_EQ(surface.best_fit().chi2, *lowest);
    EXPECT_EQ(surface.best_fit().parameters.at("r2_e"),
              surface.layout().axes[0].values[static_cast<std::size_t>(lowest - chi2.begin())]);
    // /null is the full SM, whatever is fixed.
    auto const sm = run_json({"chi2", "-e", "xenonnt_sr0", "--json"});
    EXPECT_TRUE(chi2_agrees(surface.null().chi2, sm.at("chi2").get<double>(), tolerance::implementation));
    EXPECT_TRUE(surface.best_fit().pulls.contains("beta"));
    EXPECT_TRUE(surface.null().pulls.contains("beta"));
}

TEST_F(Scan, ProvenanceIsRecorded)
{
    std::string const text = "# a comment\n" + vector_grid({"xenonnt_sr0"}, 4, 3);
    write("grid.toml", text);
    auto const result = scan("out.h5", {"--set", "q_e=1e-13", "--constant", "s_W2=0.24", "--threads", "1"});
    EXPECT_TRUE(result.said("info: data from " NUSCAN_SOURCE_DATA_DIR "\n")) << result;
    SurfaceReader const surface{file("out.h5")};
    auto const& meta = surface.meta();
    EXPECT_EQ(meta.title, "test");
    EXPECT_EQ(meta.experiments, std::vector<std::string>{"xenonnt_sr0"});
    EXPECT_EQ(meta.configuration, text);
    EXPECT_EQ(meta.configuration_sha256, sha256(meta.configuration_canonical));
    auto configuration = read_configuration(file("grid.toml"));
    configuration.fixed[require_parameter("q_e")] = 1e-13;
    configuration.inputs.constants["s_W2"] = 0.24;
    EXPECT_EQ(meta.configuration_canonical, canonical_form(configuration));
    EXPECT_NE(meta.command_line.find(" scan grid.toml -o out.h5 -s q_e=1e-13 --constant s_W2=0.24"), std::string::npos);
    EXPECT_EQ(meta.threads, 1);
    EXPECT_EQ(meta.data_folder, NUSCAN_SOURCE_DATA_DIR);
    EXPECT_NE(run({"info", "out.h5"}).out.find(" in " NUSCAN_SOURCE_DATA_DIR "\n"), std::string::npos);
    for (auto const& [name, hash] : meta.data_sha256)
        EXPECT_EQ(hash, sha256(read_text(fs::path{NUSCAN_SOURCE_DATA_DIR} / name))) << name;
    for (char const* name : {"experiments/xenonnt_sr0/events.txt", "experiments/xenonnt_sr0/experiment.toml", "solar/gs98.toml",
                             "xenon/shells_hf.txt", "solar/spectra/pp.txt"})
        EXPECT_TRUE(meta.data_sha256.contains(name)) << name;
    EXPECT_EQ(meta.start_utc.size(), std::string{"2025-01-01T00:00:00Z"}.size());
    EXPECT_LE(meta.start_utc, meta.stop_utc);
    EXPECT_GT(meta.points_per_s, 0.0);
    EXPECT_GE(meta.wall_time_s, meta.compute_time_s);
}

TEST_F(Scan, SelfCheckIsMadeAndRecorded)
{
    write("grid.toml", vector_grid({"lz_ws2022"}, 10, 10));
    auto const result = scan("out.h5");
    EXPECT_TRUE(result.said("info: self-check: ")) << result;
    SurfaceReader const surface{file("out.h5")};
    auto const& check = surface.meta().self_check;
    EXPECT_GE(check.points, 4);
    EXPECT_LE(check.points, 64);
    EXPECT_TRUE(check.passed);
    EXPECT_LE(check.worst, tolerance::discretisation);
    EXPECT_GT(check.worst, 0.0) << "the reference does not share the nodes: agreement to the last bit is too good";
    EXPECT_EQ(check.tolerance, 1e-6);
    EXPECT_FALSE(surface.meta().failed);
}

TEST_F(Scan, InfoHasItsShape)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 4, 3));
    scan("out.h5");
    auto const json = run_json({"info", "out.h5", "--json"}, options());
    std::set<std::string> names;
    for (auto const& [name, value] : json.items())
        names.insert(name);
    EXPECT_EQ(names, (std::set<std::string>{
                         "title",        "experiments", "axes",   "points",     "range",           "failed",
                         "best_fit",     "null",        "status", "self_check", "configuration",   "configuration_sha256",
                         "data_sha256",  "complete",    "shard",  "shards",     "results_version", "data_folder",
                         "command_line", "program",     "run",    "derived"}));
    ASSERT_EQ(json.at("axes").size(), 2U);
    EXPECT_EQ(json.at("axes").at(0),
              (Json{{"name", "m_V"}, {"unit", "MeV"}, {"min", 1e-3}, {"max", 1e2}, {"n", 4}, {"scale", "log"}}));
    EXPECT_EQ(json.at("points"), 12);
    EXPECT_EQ(json.at("range"), (Json{0, 12}));
    EXPECT_EQ(json.at("complete"), true);
    EXPECT_TRUE(json.at("shard").is_null());
    EXPECT_TRUE(json.at("shards").empty());
    EXPECT_EQ(json.at("results_version"), results_version);
    EXPECT_EQ(json.at("failed"), false);
    EXPECT_EQ(json.at("self_check").at("passed"), true);
    EXPECT_GE(json.at("self_check").at("points").get<int>(), 4);
    EXPECT_EQ(json.at("status"), (Json{{"not_converged", 0}, {"not_finite", 0}, {"direct_fallback", 0}}));
    auto const text = run({"info", "out.h5"});
    EXPECT_NE(text.out.find("axis          m_V [MeV]  0.001 to 100, 4 points, log\n"), text.out.npos) << text;
    EXPECT_NE(text.out.find("axis          g_V  1e-08 to 1e-05, 3 points, log\n"), text.out.npos) << text;
}

TEST_F(Scan, PlanHasItsShapeAndWritesNothing)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 40, 30));
    auto const json = run_json({"plan", "grid.toml", "--json", "--chunk", "64", "--device", "cpu"}, options());
    std::set<std::string> names;
    for (auto const& [name, value] : json.items())
        names.insert(name);
    EXPECT_EQ(names, (std::set<std::string>{"title", "experiments", "axes", "points", "chunk", "chunks", "mass_combinations",
                                            "memory_bytes", "file_bytes", "journal_bytes", "device", "seconds_estimate"}));
    EXPECT_EQ(json.at("title"), "test");
    EXPECT_EQ(json.at("experiments"), Json::array({"xenonnt_sr0"}));
    EXPECT_EQ(json.at("axes").at(1),
              (Json{{"parameter", "g_V"}, {"unit", "1"}, {"min", 1e-8}, {"max", 1e-5}, {"n", 30}, {"scale", "log"}}));
    EXPECT_EQ(json.at("points"), 1200);
    EXPECT_EQ(json.at("chunk"), 64);
    EXPECT_EQ(json.at("chunks"), 19);
    EXPECT_EQ(json.at("mass_combinations"), 40);
    EXPECT_GT(json.at("seconds_estimate").get<double>(), 0.0);
    EXPECT_EQ(std::distance(fs::directory_iterator{temp_.path()}, {}), 1) << "plan wrote a file";
    auto const text = run({"plan", "grid.toml"});
    EXPECT_NE(text.out.find("\n  m_V          0.001 to 100 MeV, 40 points, log\n"), text.out.npos) << text;
    EXPECT_NE(text.out.find("\n  g_V          1e-08 to 1e-05, 30 points, log\n"), text.out.npos) << text;
    EXPECT_NE(text.out.find("\npoints        1200 in 1 chunk\n"), text.out.npos) << text;
    write("one.toml",
          "[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nm_V = { min = 1.0, max = 1.0, n = 1 }\n[fixed]\ng_V = 1e-6\n");
    auto const one = run({"plan", "one.toml", "--chunk", "1"});
    EXPECT_NE(one.out.find("\n  m_V          1 to 1 MeV, 1 point, linear\n  g_V          fixed at 1e-06\n"), one.out.npos) << one;
    fs::remove(file("one.toml"));

    // What the plan says of the disk bounds what the scan takes.
    scan("out.h5");
    EXPECT_LE(size_of(file("out.h5")), json.at("file_bytes").get<std::uintmax_t>());
}

// --- again --------------------------------------------------------------------------------------------------------------------------

TEST_F(Scan, FinishedScanSaysSoAndIsLeftAlone)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 5, 4));
    scan("out.h5");
    auto const before = read_text(file("out.h5"));
    auto const again = scan("out.h5");
    EXPECT_TRUE(again.said("out.h5 is finished already")) << again;
    // How it is computed does not matter.
    EXPECT_TRUE(scan("out.h5", {"--route", "direct", "--threads", "1", "--chunk", "3"}).said("is finished already"));
    EXPECT_EQ(read_text(file("out.h5")), before);
}

TEST_F(Scan, OtherConfigurationIsRefusedAndRestartReplaces)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 5, 4));
    scan("out.h5");
    auto const before = read_text(file("out.h5"));
    for (Arguments const& change :
         {Arguments{"--set", "q_e=1e-13"}, {"--solar", "agss09met"}, {"--constant", "s_W2=0.24"}, {"--oscillation", "nufit52"}})
    {
        auto const refused = run(scan_command("out.h5", change));
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_TRUE(refused.said("out.h5: holds another scan")) << refused;
        EXPECT_TRUE(refused.said("--restart")) << refused;
        EXPECT_EQ(read_text(file("out.h5")), before);
        expect_no_leftovers("out.h5");
    }
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 5, 6));
    EXPECT_EQ(run(scan_command("out.h5")).exit_code, 2);
    EXPECT_EQ(read_text(file("out.h5")), before);
    scan("out.h5", {"--restart"});
    EXPECT_EQ(bits("out.h5").status.size(), 30U);
    // --restart computes a finished scan anew, too.
    EXPECT_FALSE(scan("out.h5", {"--restart"}).said("is finished already"));
}

TEST_F(Scan, ExperimentsAndNodesOfTheCommandLineCountAsIfTheyStoodInTheFile)
{
    write("grid.toml", vector_grid({"lz_ws2022"}, 5, 4));
    scan("file.h5");
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 50, 4));
    Arguments const options{"--experiment", "lz_ws2022", "--nodes", "5"};
    scan("options.h5", options);
    EXPECT_EQ(bits("options.h5"), bits("file.h5"));
    SurfaceReader const changed{file("options.h5")};
    EXPECT_EQ(changed.meta().experiments, std::vector<std::string>{"lz_ws2022"});
    EXPECT_EQ(changed.meta().configuration_canonical, SurfaceReader{file("file.h5")}.meta().configuration_canonical);
    EXPECT_TRUE(scan("options.h5", options).said("is finished already"));
    EXPECT_EQ(run(scan_command("options.h5")).exit_code, 2) << "another scan passed for the same";
    auto const plan = run_json({"plan", "grid.toml", "-e", "lz_ws2022", "-e", "xenonnt_sr0", "--nodes", "7", "--json"},
                               this->options());
    EXPECT_EQ(plan.at("experiments"), (Json{"lz_ws2022", "xenonnt_sr0"}));
    EXPECT_EQ(plan.at("points"), 28);
}

TEST_F(Scan, OtherDataFilesAreRefused)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 5, 4));
    scan("out.h5");
    fs::copy(NUSCAN_SOURCE_DATA_DIR, file("data"), fs::copy_options::recursive);
    auto elsewhere = options();
    elsewhere.environment["NUSCAN_DATA_DIR"] = file("data").string();
    EXPECT_TRUE(run_nuscan(scan_command("out.h5"), elsewhere).said("is finished already")) << "the same data in another place";

    std::ofstream{file("data/experiments/xenonnt_sr0/events.txt"), std::ios::app} << "5.5\n";
    auto const refused = run_nuscan(scan_command("out.h5"), elsewhere);
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_TRUE(refused.said("out.h5: holds the same scan of other data files")) << refused;
    auto const validate = run_nuscan({"validate", "out.h5", "--points", "4"}, elsewhere);
    EXPECT_EQ(validate.exit_code, 1) << validate;
    EXPECT_NE(validate.out.find("the data files at hand differ from those of the scan"), validate.out.npos) << validate;
}

TEST_F(Scan, CommentsTitleAndNumberFormatsDoNotBlock)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 5, 4) + "[fixed]\nq_e = 1e-13\nmu_e = 1e-12\n");
    scan("out.h5");
    write("grid.toml", "# rewritten\n[fixed]\nmu_e = 0.000000000001 # 1e-12\nq_e=0.1e-12\n[output]\npulls = false\n"
                       "[axes.m_V]\nscale = \"log\"\nn = 5\nmax = 100\nmin = 0.001\n[axes.g_V]\nmin = 1E-8\nmax = 0.00001\nn = "
                       "0x4\nscale = 'log'\n"
                       "[inputs]\nsolar = \"gs98\"\n[scan]\ntitle = \"another\"\nexperiments = ['xenonnt_sr0',]\n");
    EXPECT_TRUE(scan("out.h5").said("is finished already"));
    // A value from the command line is as good as one of the file.
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 5, 4) + "[fixed]\nq_e = 2e-13\n");
    EXPECT_TRUE(scan("out.h5", {"--set", "q_e=1e-13", "--set", "mu_e=1e-12"}).said("is finished already"));
}

// --- interruptions ------------------------------------------------------------------------------------------------------------------

/// A scan of about two seconds, in 160 chunks: by the reference, which is slow on any machine.
class Interruption : public Scan
{
protected:
    static constexpr std::int64_t points = 8000;
    static constexpr std::int64_t chunk = 50;
    Arguments const how_{"--device", "reference", "--threads", "1", "--chunk", "50"};

    Interruption() { write("grid.toml", vector_grid({"xenonnt_sr0"}, 80, 100)); }

    /// Starts the scan and sends \p signal once its journal has grown by some chunks.
    RunResult interrupt(std::string const& output, int signal, Arguments const& more = {}) const
    {
        auto arguments = scan_command(output, how_);
        arguments.insert(arguments.end(), more.begin(), more.end());
        auto const journal = file(output + ".journal");
        auto const enough = points_listed(journal) + 8 * chunk;
        RunningProgram program{arguments, options()};
        EXPECT_TRUE(program.wait_until([&] { return points_listed(journal) > enough; }))
            << "the scan ended before it could be interrupted";
        program.send(signal);
        return program.wait();
    }

    void expect_unfinished(std::string const& output) const
    {
        EXPECT_FALSE(fs::exists(file(output)));
        EXPECT_TRUE(fs::exists(file(output + ".partial")));
        EXPECT_TRUE(fs::exists(file(output + ".journal")));
        auto const info = run_json({"info", output, "--json"}, options());
        EXPECT_EQ(info.at("complete"), false);
        EXPECT_GT(info.at("done"), 0);
        EXPECT_LT(info.at("done"), points);
    }

    void expect_continues(std::string const& output) const
    {
        // Where the whole records in the journal end.
        auto const chunks = static_cast<std::int64_t>((size_of(file(output + ".journal")) - journal_head(output))
                                                      / Journal::record_bytes());
        auto const result = scan(output, how_);
        EXPECT_TRUE(result.said("info: continued at point " + std::to_string(chunks * chunk) + " of")) << result;
        scan("whole.h5", how_);
        EXPECT_EQ(bits(output), bits("whole.h5"));
        SurfaceReader const surface{file(output)};
        SurfaceReader const whole{file("whole.h5")};
        EXPECT_EQ(surface.best_fit().index, whole.best_fit().index);
        EXPECT_EQ(surface.meta().configuration_sha256, whole.meta().configuration_sha256);
        EXPECT_TRUE(surface.meta().self_check.passed);
        expect_valid(output);
    }
};

TEST_F(Interruption, SigintLeavesAJournalThatTheSameCommandContinues)
{
    auto const result = interrupt("out.h5", SIGINT);
    EXPECT_EQ(result.exit_code, 3) << result;
    EXPECT_EQ(result.out, "") << result;
    EXPECT_TRUE(result.said("warning: interrupted after ")) << result;
    EXPECT_TRUE(result.said(" of 8000 points; the same command continues")) << result;
    expect_unfinished("out.h5");
    expect_continues("out.h5");
}

TEST_F(Interruption, SignalsOfBatchSystemsDoTheSame)
{
    for (int const signal : {SIGTERM, SIGUSR1})
    {
        auto const result = interrupt("out.h5", signal);
        EXPECT_EQ(result.exit_code, 3) << result;
        expect_unfinished("out.h5");
    }
    expect_continues("out.h5");
}

TEST_F(Interruption, SigkillLosesOneChunkAtMost)
{
    for (int kills = 0; kills < 4; ++kills)
    {
        auto const before = size_of(file("out.h5.journal"));
        auto const result = interrupt("out.h5", SIGKILL);
        EXPECT_EQ(result.signal, SIGKILL) << result;
        expect_unfinished("out.h5");
        EXPECT_GT(size_of(file("out.h5.journal")), before);
    }
    expect_continues("out.h5");
}

TEST_F(Interruption, RestartDiscardsTheJournal)
{
    EXPECT_EQ(interrupt("out.h5", SIGINT).exit_code, 3);
    auto more = how_;
    more.push_back("--restart");
    auto const result = scan("out.h5", more);
    EXPECT_FALSE(result.said("continued at point")) << result;
    expect_valid("out.h5");
}

TEST_F(Interruption, InterruptedRestartIsContinuedWithoutIt)
{
    auto const grid = read_text(file("grid.toml"));
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 2, 2));
    scan("out.h5");
    write("grid.toml", grid);
    EXPECT_EQ(run(scan_command("out.h5", how_)).exit_code, 2) << "another scan is there";
    auto const result = interrupt("out.h5", SIGINT, {"--restart"});
    EXPECT_EQ(result.exit_code, 3) << result;
    EXPECT_TRUE(result.said("the same command without --restart continues")) << result;
    expect_unfinished("out.h5");
    EXPECT_TRUE(scan("out.h5", how_).said("info: continued at point "));
    EXPECT_EQ(bits("out.h5").status.size(), 8000U);
}

TEST_F(Interruption, MessagesNeverGoIntoItsFiles)
{
    // Without stderr, the journal would become file 2, where messages go.
    auto without = options();
    without.closed = {STDOUT_FILENO, STDERR_FILENO};
    RunningProgram program{scan_command("out.h5", how_), without};
    ASSERT_TRUE(program.wait_until([&] { return size_of(file("out.h5.journal")) > 1000; }));
    for (char const* stream : {"0", "1", "2"})
        EXPECT_EQ(fs::read_symlink(fs::path{"/proc"} / std::to_string(program.id()) / "fd" / stream), "/dev/null");
    program.send(SIGINT);
    EXPECT_EQ(program.wait().exit_code, 3);
}

TEST_F(Interruption, SecondScanOfTheSameOutputIsRefused)
{
    RunningProgram program{scan_command("out.h5", how_), options()};
    ASSERT_TRUE(program.wait_until([&] { return size_of(file("out.h5.journal")) > 1000; }));
    ASSERT_TRUE(program.hold());
    for (Arguments const& more : {Arguments{}, {"--restart"}})
    {
        auto const second = run(scan_command("out.h5", more));
        EXPECT_EQ(second.exit_code, 2) << second;
        EXPECT_EQ(second.err.find("nuscan: out.h5.journal: another scan or merge is writing this output"), 0U) << second;
    }
    program.go_on();
    EXPECT_EQ(program.wait().exit_code, 0);
    expect_valid("out.h5");
    expect_no_leftovers("out.h5");
}

// --- damage and full disks ----------------------------------------------------------------------------------------------------------

/// A scan of 19 chunks that a full disk stops.
class Damage : public Scan
{
protected:
    // Of the unfinished surface: chi^2 of all points, then status; each data set is one chunk with a checksum.
    static constexpr std::size_t points = 1200;
    static constexpr std::size_t status_begin = h5::File::reserved_begin + points * sizeof(double) + h5::checksum_bytes;
    std::size_t const record_bytes = Journal::record_bytes();
    Arguments const how_{"--chunk", "64", "--threads", "1"};
    std::size_t header_bytes = 0;

    Damage()
    {
        write("grid.toml", vector_grid({"xenonnt_sr0"}, 40, 30));
        scan("whole.h5", how_);
        // The head has the same length each time: the command is the same.
        static_cast<void>(scan_without_room_at(status_begin));
        header_bytes = journal_head("out.h5");
        fs::remove(file("out.h5.journal"));
        fs::remove(file("out.h5.partial"));
    }

    /// Scans until ten chunks are recorded: there is no room for all of the next.
    void scan_ten_chunks() const
    {
        expect_failure(scan_without_room_at(status_begin + 10 * 64 + 1), "out.h5.partial: cannot write");
        EXPECT_EQ(points_listed(file("out.h5.journal")), 640);
    }

    /// Scans while the disk has no room for one byte of the unfinished surface.
    RunResult scan_without_room_at(std::size_t byte) const
    {
        auto full = preloading(options(), NUSCAN_FAILING_DISK);
        full.environment["NUSCAN_TEST_NO_ROOM_AT"] = std::to_string(byte);
        return run_nuscan(quiet_command(), full);
    }

    Arguments quiet_command() const
    {
        Arguments arguments{"--quiet"};
        auto const scan_arguments = scan_command("out.h5", how_);
        arguments.insert(arguments.end(), scan_arguments.begin(), scan_arguments.end());
        return arguments;
    }

    void expect_failure(RunResult const& result, std::string const& message) const
    {
        EXPECT_EQ(result.exit_code, 1) << result;
        EXPECT_EQ(result.out, "") << result;
        EXPECT_TRUE(result.err.starts_with("nuscan: " + message)) << result;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result;
        EXPECT_FALSE(fs::exists(file("out.h5")));
    }

    /// Finishes the scan, which must begin at \p point.
    void expect_continues_at(std::int64_t point, std::string const& output = "out.h5") const
    {
        auto const result = scan(output, how_);
        if (point > 0)
        {
            EXPECT_TRUE(result.said("info: continued at point " + std::to_string(point) + " of")) << result;
        }
        else
        {
            EXPECT_FALSE(result.said("continued at point")) << result;
        }
        EXPECT_EQ(bits(output), bits("whole.h5"));
    }
};

TEST_F(Damage, FullDiskWhileComputingIsAClearFailureAndResumable)
{
    // Nine chunks and a half.
    expect_failure(scan_without_room_at(status_begin + 9 * 64 + 32),
                   "out.h5.partial: cannot write: No space left on device; once that is mended, the same command continues");
    EXPECT_TRUE(fs::exists(file("out.h5.journal")));
    expect_continues_at(9 * 64);
}

TEST_F(Damage, FullDiskFromTheStartIsAClearFailure)
{
    auto limited = options();
    limited.file_size_limit = 10;
    expect_failure(run_nuscan(quiet_command(), limited), "out.h5.journal: cannot write the journal: File too large");
    expect_continues_at(0);
    fs::remove(file("out.h5"));
    expect_failure(scan_without_room_at(h5::File::reserved_begin), "out.h5.partial: cannot write: No space left on device");
    expect_continues_at(0);
}

TEST_F(Damage, FullDiskAtTheEndKeepsWhatWasComputed)
{
    // The values fit; what comes into the file last of all does not.
    expect_failure(scan_without_room_at(0), "out.h5.partial: cannot write");
    EXPECT_EQ(points_listed(file("out.h5.journal")), 1200);
    expect_continues_at(1200);
}

/// Damage costs the chunks that it hits.
TEST_F(Damage, DamagedScansAreContinuedBehindTheirLastWholeChunk)
{
    scan_ten_chunks();
    auto const journal = read_text(file("out.h5.journal"));
    auto const values = read_text(file("out.h5.partial"));
    ASSERT_EQ(journal.size(), header_bytes + 10 * record_bytes);

    auto const flipped_in = [](std::string text, std::size_t at) {
        text[at] = static_cast<char>(text[at] ^ 0x10);
        return text;
    };
    auto const flipped = [&](std::size_t at) { return flipped_in(journal, at); };
    struct Case
    {
        char const* what;
        std::string journal;
        std::int64_t continued_at;
        std::optional<std::string> values = std::nullopt; ///< others than those written
    };
    std::vector<Case> const cases{
        {"whole", journal, 640},
        {"garbage at the end", journal + "garbage\n" + std::string(1000, '\xff'), 640},
        {"zeros at the end", journal + std::string(5000, '\0'), 640},
        {"one byte short", journal.substr(0, journal.size() - 1), 576},
        {"cut in a header", journal.substr(0, header_bytes + 4 * record_bytes + 11), 256},
        {"cut at a boundary", journal.substr(0, header_bytes + 4 * record_bytes), 256},
        {"no chunk", journal.substr(0, header_bytes), 0},
        {"chi2 flipped in the third chunk", journal, 640, flipped_in(values, h5::File::reserved_begin + 2 * 64 * 8 + 100)},
        {"status flipped in the third chunk", journal, 640, flipped_in(values, status_begin + 3 * 64 - 1)},
        {"cut off in chi2 of the fifth chunk", journal, 256, values.substr(0, h5::File::reserved_begin + 5 * 64 * 8 - 1)},
        {"other values", journal, 0, "half a surface"},
        {"values of nothing recorded flipped", journal, 640, flipped_in(values, h5::File::reserved_begin + 10 * 64 * 8)},
        {"chi2 flipped in the last chunk", journal, 576, flipped_in(values, h5::File::reserved_begin + 9 * 64 * 8 + 100)},
        {"checksum flipped in the last chunk", flipped(header_bytes + 9 * record_bytes + 17), 576},
        {"begin flipped in the second chunk", flipped(header_bytes + record_bytes + 1), 640},
        {"end flipped in the second chunk", flipped(header_bytes + record_bytes + 12), 640},
        {"checksum flipped in the second chunk", flipped(header_bytes + record_bytes + 17), 640},
        {"CRC flipped in the second chunk", flipped(header_bytes + record_bytes + 21), 640},
        {"first chunk missing", journal.substr(0, header_bytes) + journal.substr(header_bytes + record_bytes), 640},
        {"second chunk missing", journal.substr(0, header_bytes + record_bytes) + journal.substr(header_bytes + 2 * record_bytes),
         640},
        {"a chunk twice", journal.substr(0, header_bytes + record_bytes) + journal.substr(header_bytes), 640},
    };
    for (std::size_t i = 0; i < cases.size(); ++i)
    {
        SCOPED_TRACE(cases[i].what);
        auto const output = "out" + std::to_string(i) + ".h5";
        write(output + ".journal", cases[i].journal);
        write(output + ".partial", cases[i].values.value_or(values));
        expect_continues_at(cases[i].continued_at, output);
    }
}

/// A bad sector is as good as other values: what it held is computed again, and nothing else.
TEST_F(Damage, ValuesThatCannotBeReadAreComputedAgain)
{
    scan_ten_chunks();
    auto damaged = preloading(options(), NUSCAN_FAILING_DISK);
    damaged.environment["NUSCAN_TEST_UNREADABLE_AT"] = std::to_string(h5::File::reserved_begin + 3 * 64 * sizeof(double) + 100);
    auto const result = run_nuscan(scan_command("out.h5", how_), damaged);
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_TRUE(result.said("out.h5.partial: points [192, 256) are computed again: ")) << result;
    EXPECT_TRUE(result.said("Input/output error")) << result;
    EXPECT_TRUE(result.said("continued at point 640 of an interrupted scan")) << result;
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

/// Both sets agree to rounding, not to the bit: whoever compares surfaces bit by bit has to know.
TEST_F(Damage, AScanContinuedWithOtherInstructionsSaysSo)
{
    if (all_sets().size() < 2)
        GTEST_SKIP() << "this processor has the baseline's instructions only";
    {
        ChosenSet const begun{"baseline"};
        scan_ten_chunks();
    }
    auto const other = scan("out.h5", how_);
    EXPECT_TRUE(other.said("warning: begun with baseline instructions, continued with ")) << other;
    EXPECT_TRUE(SurfaceReader{file("out.h5")}.meta().device.ends_with(", begun with baseline"));

    fs::remove(file("out.h5"));
    scan_ten_chunks();
    auto const same = scan("out.h5", how_);
    EXPECT_TRUE(same.said("continued at point 640")) << same;
    EXPECT_FALSE(same.said("begun with")) << same;
    EXPECT_EQ(SurfaceReader{file("out.h5")}.meta().device, SurfaceReader{file("whole.h5")}.meta().device);
}

TEST_F(Damage, ValuesWithoutAJournalAreNotDiscardedUnasked)
{
    scan_ten_chunks();
    auto const journal = read_text(file("out.h5.journal"));
    auto const values = read_text(file("out.h5.partial"));
    for (std::optional<std::string> const& left : {std::optional{journal.substr(0, 30)}, std::optional{std::string{}}, {}})
    {
        fs::remove(file("out.h5.journal"));
        if (left)
            write("out.h5.journal", *left);
        auto const refused = run(scan_command("out.h5", how_));
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_TRUE(refused.said("out.h5.partial: is in the way: no journal says what it holds")) << refused;
        EXPECT_TRUE(refused.said("--restart")) << refused;
        EXPECT_EQ(read_text(file("out.h5.partial")), values);
        EXPECT_FALSE(fs::exists(file("out.h5.journal")));
    }
    auto restart = how_;
    restart.push_back("--restart");
    EXPECT_FALSE(scan("out.h5", restart).said("continued"));
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Damage, JournalOfAnotherScanIsRefusedAndKept)
{
    scan_ten_chunks();
    auto const journal = read_text(file("out.h5.journal"));
    for (Arguments const& change : {Arguments{"--route", "direct"}, {"--device", "reference"}, {"--set", "q_e=1e-13"}})
    {
        auto const refused = run(scan_command("out.h5", change));
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_EQ(refused.err.find("nuscan: out.h5.journal: holds an interrupted scan that differs: "), 0U) << refused;
        EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused;
        EXPECT_TRUE(refused.said("--restart")) << refused;
        EXPECT_EQ(read_text(file("out.h5.journal")), journal);
    }
    expect_continues_at(640);
}

TEST_F(Damage, FileInPlaceOfTheJournalIsRefusedAndKept)
{
    std::string const notes(3000, 'x');
    write("out.h5.journal", notes);
    auto const refused = run(scan_command("out.h5"));
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_TRUE(refused.said("out.h5.journal: is in the way of the scan's journal and not one itself")) << refused;
    EXPECT_EQ(read_text(file("out.h5.journal")), notes);
    scan("out.h5", {"--restart", "--chunk", "64", "--threads", "1"});
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Damage, JournalOfOtherChunksIsContinued)
{
    scan_ten_chunks();
    auto const result = scan("out.h5", {"--chunk", "17", "--threads", "1"});
    EXPECT_TRUE(result.said("continued at point 640")) << result;
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

// --- validate -----------------------------------------------------------------------------------------------------------------------

class Validate : public Scan
{
protected:
    Validate()
    {
        write("grid.toml", vector_grid({"xenonnt_sr0"}, 6, 5));
        scan("out.h5");
    }

    /// Where the first chunk of a data set lies in the file, and how long it is.
    std::pair<std::size_t, std::size_t> chunk(char const* name) const
    {
        h5::Handle const handle{H5Fopen(file("out.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "open"};
        h5::Handle const dataset{H5Dopen2(handle.id(), name, H5P_DEFAULT), "open"};
        h5::Handle const space{H5Dget_space(dataset.id()), "space"};
        hsize_t place[H5S_MAX_RANK] = {};
        unsigned mask = 0;
        haddr_t address = HADDR_UNDEF;
        hsize_t size = 0;
        h5::check(H5Dget_chunk_info(dataset.id(), space.id(), 0, place, &mask, &address, &size), "chunk");
        return {static_cast<std::size_t>(address), static_cast<std::size_t>(size)};
    }

    /// Writes the surface again with other contents, checksums and all.
    void forge(
        std::function<void(std::vector<double>&, std::vector<std::uint8_t>&, SurfaceMeta&, PointRecord&)> const& change) const
    {
        SurfaceReader const surface{file("out.h5")};
        auto chi2 = surface.chi2(surface.layout().range);
        auto status = surface.status(surface.layout().range);
        auto meta = surface.meta();
        auto best_fit = surface.best_fit();
        change(chi2, status, meta, best_fit);
        SurfaceWriter writer{file("forged.h5"), surface.layout()};
        writer.append(static_cast<std::int64_t>(chi2.size()), chi2.data(), status.data(), nullptr, nullptr);
        writer.finish(meta, best_fit, surface.null());
    }

    void expect_invalid(std::string const& output, std::string const& message, Arguments const& more = {}) const
    {
        Arguments arguments{"validate", output};
        arguments.insert(arguments.end(), more.begin(), more.end());
        auto const text = run(arguments);
        EXPECT_EQ(text.exit_code, 1) << text;
        EXPECT_NE(text.out.find(output + ": "), text.out.npos) << text;
        EXPECT_NE(text.out.find(message), text.out.npos) << text;
        arguments.push_back("--json");
        auto const json = run(arguments);
        EXPECT_EQ(json.exit_code, 1) << json;
        EXPECT_EQ(Json::parse(json.out).at("valid"), false);
    }
};

TEST_F(Validate, GoodFileIsValidAndItsPointsAreRecomputed)
{
    auto const text = run({"validate", "out.h5"});
    EXPECT_EQ(text.exit_code, 0) << text;
    EXPECT_EQ(text.out, "out.h5: valid; 30 points read\n");
    auto const json = run_json({"validate", "out.h5", "--points", "30", "--json"}, options());
    EXPECT_EQ(json.at("file"), "out.h5");
    EXPECT_EQ(json.at("valid"), true);
    EXPECT_TRUE(json.at("problems").empty());
    EXPECT_LE(json.at("worst_deviation").get<double>(), tolerance::discretisation);
    EXPECT_GT(json.at("worst_deviation").get<double>(), 0.0);
}

TEST_F(Validate, AFlippedBitIsFound)
{
    write("grid.toml", vector_grid({"xenonnt_sr0"}, 6, 5) + "[output]\npulls = true\nrates = true\n");
    scan("out.h5", {"--restart"});
    auto const good = read_text(file("out.h5"));
    auto const pull = "/grid/pulls/" + SurfaceReader{file("out.h5")}.layout().pulls.front();
    for (std::string const& name :
         {std::string{"/grid/chi2"}, std::string{"/grid/status"}, pull, std::string{"/grid/rates/xenonnt_sr0"}})
    {
        write("out.h5", good);
        auto const [offset, size] = chunk(name.c_str());
        for (std::size_t const at : {offset, offset + size / 2, offset + size - 1})
        {
            auto damaged = good;
            damaged[at] = static_cast<char>(damaged[at] ^ 1);
            write("out.h5", damaged);
            auto const result = run({"validate", "out.h5"});
            EXPECT_EQ(result.exit_code, 2) << result;
            EXPECT_TRUE(result.err.starts_with("nuscan: out.h5: ")) << result;
            EXPECT_TRUE(result.said(name)) << result;
            EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result;
        }
    }
}

TEST_F(Validate, ACutFileIsRefused)
{
    auto const good = read_text(file("out.h5"));
    for (std::size_t const size : {std::size_t{0}, std::size_t{7}, good.size() / 2, good.size() - 1})
    {
        write("out.h5", good.substr(0, size));
        for (char const* verb : {"validate", "info"})
        {
            auto const result = run({verb, "out.h5"});
            EXPECT_EQ(result.exit_code, 2) << result;
            EXPECT_TRUE(result.err.starts_with("nuscan: out.h5: ")) << result;
        }
    }
}

TEST_F(Validate, WrongValuesAreFoundByTheReference)
{
    forge([](auto& chi2, auto&, auto&, auto& best_fit) {
        for (std::size_t i = 0; i < chi2.size(); ++i)
            if (static_cast<std::int64_t>(i) != best_fit.index)
                chi2[i] += 1e-5 * (1.0 + chi2[i]);
    });
    EXPECT_EQ(run({"validate", "forged.h5"}).exit_code, 0) << "the file agrees with itself";
    expect_invalid("forged.h5", "a recomputed point deviates by ", {"--points", "30"});
}

TEST_F(Validate, ContradictionsAreFound)
{
    forge([](auto& chi2, auto&, auto&, auto&) { chi2[7] = 1.0; });
    expect_invalid("forged.h5", "but lies at 7");
    forge([](auto& chi2, auto&, auto&, auto&) { chi2[29] = NAN; });
    expect_invalid("forged.h5", "1 point with a status that contradicts chi2");
    forge([](auto&, auto& status, auto&, auto&) { status[3] = 255; });
    expect_invalid("forged.h5", "1 point never computed");
    forge([](auto&, auto& status, auto&, auto&) { status[3] = 1; });
    expect_invalid("forged.h5", "the counts of failed points differ from the record");
    forge([](auto&, auto&, auto& meta, auto&) { meta.configuration_canonical += " "; });
    expect_invalid("forged.h5", "the configuration does not have the recorded SHA-256");
}

TEST_F(Validate, FailedPointsOfEveryKindAreListed)
{
    forge([](auto& chi2, auto& status, auto& meta, auto& best_fit) {
        for (std::size_t i = 0; i < chi2.size(); ++i)
            if (i % 3 != 0 && static_cast<std::int64_t>(i) != best_fit.index)
            {
                status[i] = i % 3 == 1 ? 3 : 2;
                chi2[i] = NAN;
                ++(i % 3 == 1 ? meta.not_finite : meta.not_converged);
            }
        // Whether the best fit was one of them makes no difference to what is listed first.
        ASSERT_GT(best_fit.index, 17);
    });
    SurfaceReader const surface{file("forged.h5")};
    auto const& meta = surface.meta();
    auto const& axes = surface.layout().axes;
    ASSERT_GE(meta.not_finite, 9);
    fs::rename(file("forged.h5"), file("out.h5"));
    auto const again = run(scan_command("out.h5"));
    EXPECT_EQ(again.exit_code, 1) << again;
    EXPECT_TRUE(again.said("out.h5 is finished already")) << again;
    for (auto const& [what, count, first] :
         {std::tuple{"without convergence of the pulls (status 2, chi2 NaN)", meta.not_converged, 2},
          std::tuple{"not finite: couplings overflow, or a bin with data has no positive prediction (status 3, chi2 NaN)",
                     meta.not_finite, 1}})
    {
        std::string expected = "error: " + std::to_string(count) + " points " + what + "\n";
        for (int k = 0; k < 5; ++k)
        {
            auto const index = static_cast<std::size_t>(first + 3 * k);
            expected += fmt::format("error:   point {}: m_V = {:g} MeV, g_V = {:g}\n", index, axes[0].values[index / 5],
                                    axes[1].values[index % 5]);
        }
        expected += fmt::format("error:   and {} more\n", count - 5);
        EXPECT_TRUE(again.said(expected)) << expected << again;
    }
    EXPECT_TRUE(
        again.said(fmt::format("error: out.h5 is complete but for {} of 30 points\n", meta.not_finite + meta.not_converged)))
        << again;
}

TEST_F(Validate, AFailedSelfCheckStaysVisible)
{
    forge([](auto&, auto&, auto& meta, auto&) {
        meta.failed = true;
        meta.self_check.worst = 1e-3;
        meta.self_check.passed = false;
    });
    expect_invalid("forged.h5", "the scan failed its self-check (worst deviation 1.0e-03");
    auto const info = run({"info", "forged.h5"});
    EXPECT_NE(info.out.find("FAILED its self-check"), info.out.npos) << info;
    // The same scan again does not turn it into a success; --restart does.
    fs::rename(file("forged.h5"), file("out.h5"));
    auto const again = run(scan_command("out.h5"));
    EXPECT_EQ(again.exit_code, 1) << again;
    EXPECT_TRUE(again.said("out.h5 failed its self-check; --restart computes it anew")) << again;
    scan("out.h5", {"--restart"});
    expect_valid("out.h5");
}

} // namespace
} // namespace nuscan::test
