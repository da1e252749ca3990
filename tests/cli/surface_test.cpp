// What is derived from finished surfaces, from grid file to exported table.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/math/tools/minima.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "host/backends/cpu.hpp"
#include "host/io/derived_results.hpp"
#include "host/io/surface_file.hpp"
#include "tests/support/analytic_surface.hpp"
#include "tests/support/real_inputs.hpp"
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

class Surface : public testing::Test
{
protected:
    fs::path file(std::string const& name) const { return temp_.path() / name; }

    RunOptions options() const
    {
        RunOptions options;
        options.folder = temp_.path();
        return options;
    }

    RunResult run(Arguments const& arguments) const { return run_nuscan(arguments, options()); }

    void expect_done(Arguments const& arguments) const
    {
        auto const result = run(arguments);
        EXPECT_EQ(result.exit_code, 0) << result;
    }

    /// A refusal of one line that leaves the folder as it is.
    void expect_refused(Arguments const& arguments, std::vector<std::string> const& parts, int exit_code = 2) const
    {
        auto const before = contents();
        auto const result = run(arguments);
        EXPECT_EQ(result.exit_code, exit_code) << result;
        EXPECT_TRUE(result.err.starts_with("nuscan: ")) << result;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result;
        EXPECT_EQ(result.out, "") << result;
        for (auto const& part : parts)
            EXPECT_TRUE(result.said(part)) << "without: " << part << "\n" << result;
        EXPECT_TRUE(contents() == before) << "the folder was changed by\n" << result;
    }

    std::map<std::string, std::string> contents() const
    {
        std::map<std::string, std::string> all;
        for (auto const& entry : fs::directory_iterator{temp_.path()})
            all[entry.path().filename()] = entry.is_regular_file() ? read_text(entry.path()) : "";
        return all;
    }

    /// Scans \p axes with XENONnT and returns the name of the output.
    std::string scan(std::string const& axes) const
    {
        temp_.write("grid.toml", "[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\n" + axes);
        expect_done({"-q", "scan", "grid.toml", "-o", "out.h5", "--restart", "--device", "cpu"});
        return "out.h5";
    }

    Json limits(Arguments const& more) const
    {
        Arguments arguments{"-q", "limits", "out.h5", "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_json(arguments, options());
    }

    TempDir temp_;
};

// --- intervals and curves against root finding ---------------------------------------------------------------------------------------

/// Largest relative difference between ends found on a grid and by root finding. What is asked for is 0.2%; a cubic on a
/// grid of this fineness leaves far less, and more would mean that it is not one.
constexpr double end_tolerance = 1e-6;

TEST_F(Surface, IntervalsOfFineGridsAgreeWithRootFinding)
{
    std::vector<std::pair<std::string, std::string>> const grids{
        {"mu_e", "mu_e = { min = 0.0, max = 4e-11, n = 2000 }"},
        {"mu_e", "mu_e = { min = 1e-14, max = 1e-9, n = 2000, scale = \"log\" }"},
        {"q_e", "q_e = { min = -2e-12, max = 2e-12, n = 2000 }"},
        {"r2_e", "r2_e = { min = -1.5e-30, max = 5e-31, n = 2000 }"},
        {"a_e", "a_e = { min = -1e-31, max = 3e-31, n = 2000 }"},
    };
    double worst = 0.0;
    for (auto const& [parameter, axis] : grids)
        for (std::string const cl : {"0.6827", "0.9", "0.99"})
        {
            SCOPED_TRACE(axis + " at " + cl);
            scan(axis);
            auto const found = limits({"--cl", cl}).at("limits").at(0);
            auto const root = run_json({"limits", "-e", "xenonnt_sr0", "-p", parameter, "--cl", cl, "--json"}).at("limits").at(0);
            EXPECT_NEAR(found.at("chi2_min").get<double>(), root.at("chi2_min").get<double>(), 1e-7);
            EXPECT_EQ(found.at("marginal"), root.at("marginal"));
            ASSERT_EQ(found.at("intervals").size(), root.at("intervals").size());
            for (std::size_t i = 0; i < root.at("intervals").size(); ++i)
                for (std::size_t end : {0U, 1U})
                {
                    auto const expected = root.at("intervals").at(i).at(end);
                    double const actual = found.at("intervals").at(i).at(end).get<double>();
                    // null: the bound 0 itself is allowed
                    if (expected.is_null())
                    {
                        EXPECT_EQ(actual, 0.0);
                        EXPECT_EQ(found.at("open").at(i).at(end), 2);
                        continue;
                    }
                    EXPECT_EQ(found.at("open").at(i).at(end), 0);
                    EXPECT_TRUE(is_close(actual, expected.get<double>(), end_tolerance));
                    worst = std::max(worst, std::fabs(actual / expected.get<double>() - 1.0));
                }
        }
    RecordProperty("worst_relative_difference", fmt::format("{:.2e}", worst));
    fmt::print("worst relative difference of an end: {:.2e}\n", worst);
}

TEST_F(Surface, TwoPiecesOfR2eStayApart)
{
    scan("r2_e = { min = -1.5e-30, max = 5e-31, n = 2000 }");
    constexpr double one_sigma = 0.682689492137086; // Delta chi^2 = 1
    auto const found = limits({"--cl", fmt::format("{}", one_sigma), "0.9"}).at("limits");
    auto const pieces = found.at(0).at("intervals");
    ASSERT_EQ(pieces.size(), 2U) << found;
    // Known to a digit after the point, in 1e-32 cm^2, and the last one not quite: root finding gives -66.33 and -20.10.
    constexpr double last_digit = 0.11e-32;
    EXPECT_NEAR(pieces.at(0).at(0).get<double>(), -86.8e-32, last_digit);
    EXPECT_NEAR(pieces.at(0).at(1).get<double>(), -66.4e-32, last_digit);
    EXPECT_NEAR(pieces.at(1).at(0).get<double>(), -20.2e-32, last_digit);
    EXPECT_NEAR(pieces.at(1).at(1).get<double>(), 3.6e-32, last_digit);
    EXPECT_EQ(found.at(1).at("intervals").size(), 1U) << "the hump of 2.699 joins them at 90%";
    EXPECT_EQ(found.at(1).at("marginal"), true) << "by a hair";
    EXPECT_EQ(found.at(0).at("marginal"), false);
}

TEST_F(Surface, CurvesOfAMediatorPlaneAgreeWithRootFinding)
{
    double worst = 0.0;
    for (std::string const axes : {"m_V = { min = 1e-3, max = 1e1, n = 41, scale = \"log\" }\n"
                                   "g_V = { min = 1e-8, max = 1e-4, n = 240, scale = \"log\" }\n",
                                   "g_V = { min = 1e-8, max = 1e-4, n = 240, scale = \"log\" }\n"
                                   "m_V = { min = 1e-3, max = 1e1, n = 41, scale = \"log\" }\n"})
    {
        scan(axes);
        auto const curves = limits({}).at("curves");
        ASSERT_EQ(curves.size(), 2U);
        for (auto const& curve : curves)
        {
            SCOPED_TRACE(curve.at("definition"));
            bool const per_mass = curve.at("definition") == "per_mass";
            EXPECT_EQ(curve.at("parameter"), "g_V");
            EXPECT_EQ(curve.at("mass"), "m_V");
            EXPECT_EQ(curve.at("mass_unit"), "MeV");
            EXPECT_EQ(curve.at("dof"), per_mass ? 1 : 2);
            EXPECT_NEAR(curve.at("delta_chi2").get<double>(), per_mass ? 2.70554 : 4.60517, 1e-5);
            // On these data no mass does better than the Standard Model: both definitions count from there, and root finding at a
            // fixed mass can be asked for either threshold.
            for (std::size_t const i : {0U, 9U, 17U, 25U, 33U, 40U})
            {
                double const mass = curve.at("masses").at(i).get<double>();
                auto const root = run_json({"limits", "-e", "xenonnt_sr0", "-p", "g_V", "--set", fmt::format("m_V={}", mass),
                                            "--dof", per_mass ? "1" : "2", "--json"})
                                      .at("limits")
                                      .at(0);
                double const expected = root.at("intervals").back().at(1).get<double>();
                EXPECT_TRUE(is_close(curve.at("upper").at(i).get<double>(), expected, 1e-5)) << mass;
                EXPECT_EQ(curve.at("intervals").at(i).at(0).at(0), 0.0);
                EXPECT_NEAR(curve.at("chi2_min").at(i).get<double>(), root.at("chi2_min").get<double>(), 1e-6);
                worst = std::max(worst, std::fabs(curve.at("upper").at(i).get<double>() / expected - 1.0));
            }
        }
    }
    fmt::print("worst relative difference of a curve: {:.2e}\n", worst);
}

TEST_F(Surface, CurvesShowPiecesThatExcludeZero)
{
    temp_.write("grid.toml", "[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nm_V = { min = 0.05, max = 0.05, n = 1 }\n"
                             "g_V = { min = 1e-8, max = 1e-5, n = 400, scale = \"log\" }\n[fixed]\nr2_e = -1e-30\n");
    expect_done({"-q", "scan", "grid.toml", "-o", "out.h5", "--device", "cpu"});
    // A single mass is no plane to draw contours in, but has its limits.
    expect_done({"limits", "out.h5"});
    auto const curve = read_derived_results(file("out.h5")).limits.at(0).curves.at(0);
    ASSERT_EQ(curve.intervals.at(0).size(), 1U);
    EXPECT_TRUE(is_close(curve.intervals[0][0].lo, 1.95e-7, 3e-3)); // three digits printed
    EXPECT_TRUE(is_close(curve.intervals[0][0].hi, 5.11e-7, 3e-3));
}

// --- profiles against direct minimisation --------------------------------------------------------------------------------------------

/// Lowest value of a curve on [lo, hi] and where: a fine scan, the best place then refined.
std::pair<double, double> minimise(std::function<double(double)> const& f, double lo, double hi)
{
    constexpr int n = 800;
    std::pair<double, double> best{lo, f(lo)};
    int at = 0;
    for (int i = 1; i <= n; ++i)
        if (double const x = lo + (hi - lo) * i / n; f(x) < best.second)
        {
            best = {x, f(x)};
            at = i;
        }
    if (at == 0 || at == n)
        return best;
    double const from = lo + (hi - lo) * (at - 1) / n;
    double const width = 2.0 * (hi - lo) / n;
    auto const found = boost::math::tools::brent_find_minima([&](double u) { return f(from + width * u); }, 0.0, 1.0, 40);
    return found.second < best.second ? std::pair{from + width * found.first, found.second} : best;
}

struct PlaneCheck
{
    double largest_bound = 0.0;
    double largest_excess = 0.0;
    int interior = 0;
};

/// The profile over a cube takes the least of nodes. Where the true minimum x* lies between nodes, the nearest node x is at most half a
/// step away, and since the slope at x* is 0, f(x) - f(x*) <= 1/2 max |f''| (x - x*)^2, the maximum taken between the two. Where it lies
/// at an end of the axis, which is a node, there is no difference.
PlaneCheck check_planes(fs::path const& path, std::vector<std::vector<std::string>> const& planes)
{
    SurfaceReader const surface{path};
    auto const results = read_derived_results(path);
    auto const inputs = prepared({"xenonnt_sr0"});
    std::mt19937_64 random{4};
    PlaneCheck check;
    for (auto const& plane : planes)
    {
        ProfileRecord const* const profile = results.find_profile(plane[0] + "," + plane[1]);
        EXPECT_NE(profile, nullptr);
        if (profile == nullptr)
            continue;
        std::vector<AxisRecord> axes;
        AxisRecord other;
        for (auto const& axis : surface.layout().axes)
            (std::count(plane.begin(), plane.end(), axis.name) > 0 ? axes.emplace_back() : other) = axis;
        std::size_t const n = axes[1].values.size();
        double const step = other.values[1] - other.values[0];
        for (int i = 0; i < 100; ++i)
        {
            std::size_t const node = random() % profile->chi2.size();
            FixedParameters const fixed{{find_parameter(axes[0].name), axes[0].values[node / n]},
                                        {find_parameter(axes[1].name), axes[1].values[node % n]}};
            Chi2Line const line{inputs, find_parameter(other.name), fixed, Route::automatic, false};
            auto const [at, lowest] = minimise(line, other.values.front(), other.values.back());
            double const nearest = other.values.front() + step * std::round((at - other.values.front()) / step);
            double curvature = 0.0;
            constexpr int samples = 20;
            double const h = 0.02 * step;
            for (int k = 0; k <= samples && at != other.values.front() && at != other.values.back(); ++k)
            {
                double const x = at + (nearest - at) * k / samples;
                curvature = std::max(curvature, std::fabs(line(x + h) - 2.0 * line(x) + line(x - h)) / (h * h));
            }
            check.interior += curvature > 0.0;
            // 1% for a maximum taken from samples; what routes and minimisers round at on top.
            double const bound = 1.01 * 0.5 * curvature * (nearest - at) * (nearest - at);
            double const rounding = tolerance::implementation * (1.0 + lowest);
            double const excess = profile->chi2[node] - lowest;
            EXPECT_GE(excess, -rounding) << axes[0].name << ", " << axes[1].name << ", node " << node;
            EXPECT_LE(excess, bound + rounding) << axes[0].name << ", " << axes[1].name << ", node " << node;
            check.largest_bound = std::max(check.largest_bound, bound);
            check.largest_excess = std::max(check.largest_excess, excess);
            // The node recorded has that value.
            auto const index = static_cast<std::size_t>(profile->index[0][node]);
            EXPECT_TRUE(chi2_agrees(line(other.values.at(index)), profile->chi2[node], tolerance::implementation));
        }
    }
    fmt::print("largest excess over the true minimum {:.3g}, largest bound {:.3g}, {} minima inside\n", check.largest_excess,
               check.largest_bound, check.interior);
    return check;
}

TEST_F(Surface, ProfilesOfChargeRadiiAgreeWithDirectMinimisation)
{
    scan("r2_e = { min = -1.2e-30, max = 3e-31, n = 41 }\nr2_mu = { min = -8e-31, max = 8e-31, n = 41 }\n"
         "r2_tau = { min = -8e-31, max = 8e-31, n = 41 }\n");
    std::vector<std::vector<std::string>> const planes{{"r2_e", "r2_mu"}, {"r2_e", "r2_tau"}, {"r2_mu", "r2_tau"}};
    for (auto const& plane : planes)
        expect_done({"profile", "out.h5", "--keep", plane[1], plane[0]});
    auto const check = check_planes(file("out.h5"), planes);
    EXPECT_GT(check.interior, 200) << "the test is to be of minima between nodes";
    EXPECT_GT(check.largest_excess, 0.1 * check.largest_bound) << "the bound says nothing";
}

TEST_F(Surface, ProfilesOfTransitionMomentsAgreeWithDirectMinimisation)
{
    scan("Lambda_1 = { min = 0.0, max = 3e-11, n = 41 }\nLambda_2 = { min = 0.0, max = 3e-11, n = 41 }\n"
         "Lambda_3 = { min = 0.0, max = 3e-11, n = 41 }\n");
    std::vector<std::vector<std::string>> const planes{
        {"Lambda_1", "Lambda_2"}, {"Lambda_1", "Lambda_3"}, {"Lambda_2", "Lambda_3"}};
    for (auto const& plane : planes)
        expect_done({"profile", "out.h5", "--keep", plane[0], plane[1]});
    auto const check = check_planes(file("out.h5"), planes);
    EXPECT_EQ(check.interior, 0) << "more magnetic moment never fits better here";
    // Then a profile is the limit with the other two at 0.
    auto const found = limits({}).at("limits");
    ASSERT_EQ(found.size(), 3U);
    for (auto const& limit : found)
    {
        auto const root = run_json({"limits", "-e", "xenonnt_sr0", "-p", limit.at("parameter").get<std::string>(), "--json"});
        EXPECT_TRUE(is_close(limit.at("intervals").at(0).at(1).get<double>(),
                             root.at("limits").at(0).at("intervals").at(0).at(1).get<double>(), 2e-3));
    }
}

// --- contours ---------------------------------------------------------------------------------------------------------------------------

class Contours : public Surface
{
protected:
    /// Contours of a function in a plane.
    std::vector<ContourPiece> contours(std::vector<AxisRecord> const& axes, std::function<double(Point const&)> const& chi2,
                                       Arguments const& more = {}) const
    {
        write_analytic_surface(file("out.h5"), axes, 50.0, chi2);
        Arguments arguments{"limits", "out.h5"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        expect_done(arguments);
        auto const found = read_derived_results(file("out.h5"));
        for (auto const& limits : found.limits)
            if (!limits.contours.empty())
                return limits.contours[0].pieces;
        ADD_FAILURE() << "no contour";
        return {};
    }
};

constexpr double threshold_2d = 4.605170185988092; // 90%, two parameters

TEST_F(Contours, CircleIsClosedAndRound)
{
    auto const pieces = contours({test_axis("x", -5.0, 5.0, 101), test_axis("y", -50.0, 50.0, 81)},
                                 [](Point const& p) { return 2.0 + p[0] * p[0] + 0.01 * p[1] * p[1]; });
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_TRUE(pieces[0].closed);
    EXPECT_GT(pieces[0].points.size(), 80U);
    EXPECT_EQ(pieces[0].points.front(), pieces[0].points.back());
    for (auto const& [x, y] : pieces[0].points)
        EXPECT_NEAR(x * x + 0.01 * y * y, threshold_2d, 0.01) << "x is the first axis, y the second";
}

TEST_F(Contours, LogAxesAreFollowedInTheirLogarithm)
{
    auto const pieces = contours({test_axis("x", 1e-3, 1e3, 121, AxisScale::log), test_axis("y", 1e-8, 1e-2, 121, AxisScale::log)},
                                 [](Point const& p) {
                                     double const x = std::log(p[0]);
                                     double const y = 2.0 * std::log(p[1] / 1e-6);
                                     return x * x + y * y;
                                 });
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_TRUE(pieces[0].closed);
    for (auto const& [x, y] : pieces[0].points)
        EXPECT_NEAR(std::pow(std::log(x), 2) + std::pow(2.0 * std::log(y / 1e-6), 2), threshold_2d, 0.05);
}

TEST_F(Contours, PiecesStayApartAndEndAtTheEdgeOrBesideFailedPoints)
{
    // Two islands, and a channel along x that leaves the plane on both sides.
    auto const pieces = contours({test_axis("x", -10.0, 10.0, 201), test_axis("y", -10.0, 10.0, 201)}, [](Point const& p) {
        auto const island = [&](double x) { return 4.0 * ((p[0] - x) * (p[0] - x) + (p[1] - 5.0) * (p[1] - 5.0)); };
        return std::min({island(-5.0), island(5.0), 4.0 * (p[1] + 5.0) * (p[1] + 5.0)});
    });
    ASSERT_EQ(pieces.size(), 4U);
    EXPECT_EQ(std::count_if(pieces.begin(), pieces.end(), [](ContourPiece const& piece) { return piece.closed; }), 2);
    for (auto const& piece : pieces)
        if (!piece.closed)
        {
            EXPECT_EQ(std::fabs(piece.points.front()[0]), 10.0);
            EXPECT_EQ(std::fabs(piece.points.back()[0]), 10.0);
        }

    auto const cut = contours({test_axis("x", -5.0, 5.0, 51), test_axis("y", -5.0, 5.0, 51)},
                              [](Point const& p) { return p[0] > 1.0 ? NAN : p[0] * p[0] + p[1] * p[1]; });
    ASSERT_EQ(cut.size(), 1U);
    EXPECT_FALSE(cut[0].closed);
    for (auto const& point : cut[0].points)
        EXPECT_LE(point[0], 1.0 + 1e-12);
}

TEST_F(Contours, LieInTheProfileThatIsKept)
{
    auto const pieces = contours({test_axis("x", -5.0, 5.0, 51), test_axis("z", -2.0, 2.0, 21), test_axis("y", -5.0, 5.0, 51)},
                                 [](Point const& p) { return p[0] * p[0] + p[1] * p[1] + p[2] * p[2]; }, {"--keep", "y", "x"});
    ASSERT_EQ(pieces.size(), 1U);
    auto const found = read_derived_results(file("out.h5"));
    ASSERT_NE(found.find_profile("x,y"), nullptr);
    for (auto const& limits : found.limits)
        if (!limits.contours.empty())
        {
            EXPECT_EQ(limits.profile, "x,y");
            EXPECT_EQ(limits.contours[0].profiled_axes, std::vector<std::string>{"z"});
            EXPECT_EQ(limits.contours[0].axes, (std::vector<std::string>{"x", "y"}));
            EXPECT_NEAR(limits.contours[0].level, threshold_2d, 1e-9);
        }
    // Each axis alone, profiled over both others.
    ASSERT_NE(found.find_profile("x"), nullptr);
    EXPECT_EQ(found.find_profile("x")->profiled_axes, (std::vector<std::string>{"z", "y"}));
}

TEST_F(Contours, WithoutPythonLimitsAreStillGiven)
{
    write_analytic_surface(file("out.h5"), {test_axis("x", -5.0, 5.0, 51), test_axis("y", -5.0, 5.0, 51)}, 50.0,
                           [](Point const& p) { return p[0] * p[0] + p[1] * p[1]; });
    auto no_python = options();
    no_python.environment["NUSCAN_PYTHON"] = "/no/such/python";
    auto const result = run_nuscan({"limits", "out.h5"}, no_python);
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_TRUE(result.said("warning: no contours: /no/such/python: No such file or directory")) << result;
    EXPECT_TRUE(result.said("python3-contourpy")) << result;
    EXPECT_NE(result.out.find("[-1.645, 1.645]"), result.out.npos) << result;
    EXPECT_EQ(read_derived_results(file("out.h5")).limits.size(), 2U);

    auto no_package = options();
    no_package.environment["NUSCAN_PYTHON_DIR"] = temp_.path().string();
    auto const lost = run_nuscan({"limits", "out.h5"}, no_package);
    EXPECT_EQ(lost.exit_code, 0) << lost;
    EXPECT_TRUE(lost.said("NUSCAN_PYTHON_DIR: " + temp_.path().string() + ": no nuscan_plots/contours.py in it")) << lost;

    // A module that breaks is a failure, and its own words are passed on.
    fs::create_directory(file("nuscan_plots"));
    temp_.write("nuscan_plots/__init__.py", "");
    temp_.write("nuscan_plots/contours.py", "import sys\nsys.exit('error: this and that')\n");
    auto const broken = run_nuscan({"limits", "out.h5"}, no_package);
    EXPECT_EQ(broken.exit_code, 1) << broken;
    EXPECT_TRUE(broken.said("nuscan: out.h5: no contours: ")) << broken;
    EXPECT_TRUE(broken.said("error: this and that")) << broken;
    EXPECT_NE(broken.out.find("[-1.645, 1.645]"), broken.out.npos) << "the other limits are given";
    temp_.write("nuscan_plots/contours.py", "print('{\"levels\": 3')\n");
    EXPECT_TRUE(run_nuscan({"limits", "out.h5"}, no_package).said("cannot be read")) << broken;
}

// --- commands and their errors --------------------------------------------------------------------------------------------------------

class SurfaceCommands : public Surface
{
protected:
    SurfaceCommands()
    {
        write_analytic_surface(
            file("out.h5"),
            {test_axis("Lambda_1", 0.0, 1.0, 11), test_axis("Lambda_2", 0.0, 1.0, 7), test_axis("q_e", -1.0, 1.0, 5)}, 1.0,
            [](Point const& p) { return 1.0 + 20.0 * (p[0] * p[0] + p[1] * p[1]) + p[2] * p[2]; });
    }
};

TEST_F(SurfaceCommands, ProfileIsStoredOnceAndListed)
{
    auto const first = run({"profile", "out.h5", "--keep", "q_e", "Lambda_1"});
    EXPECT_EQ(first.exit_code, 0) << first;
    EXPECT_EQ(first.out, "out.h5/profiles/Lambda_1,q_e\n");
    auto const stored = read_text(file("out.h5"));
    auto const again = run({"profile", "out.h5", "--keep", "Lambda_1", "q_e"});
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_TRUE(again.said("out.h5 holds /profiles/Lambda_1,q_e already")) << again;
    EXPECT_EQ(read_text(file("out.h5")), stored);
    expect_done({"-q", "limits", "out.h5"});
    auto const info = run({"info", "out.h5"});
    EXPECT_NE(info.out.find("profiles      Lambda_1; Lambda_1,q_e; Lambda_2; q_e\n"), info.out.npos) << info;
    EXPECT_NE(info.out.find("limits        Lambda_1 at 0.9; Lambda_2 at 0.9; q_e at 0.9\n"), info.out.npos) << info;
    expect_done({"validate", "out.h5", "--points", "0"});
}

TEST_F(SurfaceCommands, LimitsPrintATableAndWarnOfTheGrid)
{
    auto const result = run({"limits", "out.h5", "--cl", "0.9", "0.68"});
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_NE(result.out.find("Lambda_1      1         0.9    1            0     1.0000  < 0.3678\n"), result.out.npos) << result;
    EXPECT_NE(result.out.find("[-1*, 1*]"), result.out.npos) << result;
    EXPECT_TRUE(result.said("warning: q_e: an allowed interval ends only with the grid (marked *)")) << result;
    auto const json = limits({"--cl", "0.9", "--dof", "2"});
    EXPECT_EQ(json.at("limits").at(0).at("dof"), 2);
    EXPECT_NEAR(json.at("limits").at(0).at("delta_chi2").get<double>(), threshold_2d, 1e-9);
    EXPECT_EQ(json.at("limits").at(2).at("open").at(0), (Json{1, 1}));
    EXPECT_EQ(json.at("limits").at(0).at("profiled_axes"), (Json{"Lambda_2", "q_e"}));
    // A level that was asked for before stays.
    EXPECT_EQ(read_derived_results(file("out.h5")).limits.size(), 3U);
    EXPECT_EQ(read_derived_results(file("out.h5")).limits[0].intervals.size(), 2U);
}

TEST_F(SurfaceCommands, AMinimumAtTheEdgeOfTheGridIsWarnedOf)
{
    auto const said = [&](std::vector<AxisRecord> const& axes, double chi2_zero, std::function<double(Point const&)> const& chi2,
                          std::string const& words) {
        write_analytic_surface(file("edge.h5"), axes, chi2_zero, chi2);
        auto const result = run({"limits", "edge.h5"});
        EXPECT_EQ(result.exit_code, 0) << result;
        return result.said(words);
    };
    std::string const words = "chi^2 is least at the edge of the grid, ";
    AxisRecord const charge = test_axis("q_e", -1.0, 1.0, 41);
    EXPECT_TRUE(said(
        {charge}, 4.0, [](Point const& p) { return std::pow(p[0] - 2.0, 2); }, "q_e: " + words + "1, and falls"));
    EXPECT_TRUE(said(
        {charge}, 4.0, [](Point const& p) { return std::pow(p[0] + 2.0, 2); }, "q_e: " + words + "-1, and falls"));
    EXPECT_TRUE(said(
        {test_axis("q_mu", -1.0, 1.0, 9), charge}, 4.0, [](Point const& p) { return p[0] * p[0] + std::pow(p[1] - 2.0, 2); },
        "q_e: " + words));
    // Inside; at the physical bound; at 0 off a log axis; along a valley without end.
    EXPECT_FALSE(said(
        {charge}, 0.25, [](Point const& p) { return std::pow(p[0] - 0.5, 2); }, words));
    EXPECT_FALSE(said(
        {test_axis("mu_e", 0.0, 1.0, 41)}, 1.0, [](Point const& p) { return 1.0 + p[0] * p[0]; }, words));
    EXPECT_FALSE(said(
        {test_axis("mu_e", 1e-3, 1.0, 41, AxisScale::log)}, 1.0, [](Point const& p) { return 1.0 + 9.0 * p[0] * p[0]; }, words));
    EXPECT_FALSE(said(
        {test_axis("m_V", 1.0, 100.0, 9, AxisScale::log), test_axis("g_V", 1e-6, 1e-2, 81, AxisScale::log)}, 1.5,
        [](Point const& p) { return 1.0 + std::pow(std::log(p[1] / p[0] / 1e-5), 2) + 1e-3 / p[0]; }, words));
}

TEST_F(SurfaceCommands, MistakesAreOneLineAndChangeNothing)
{
    expect_refused({"profile", "out.h5", "--keep", "Lambda_3"},
                   {"--keep Lambda_3: no axis of this surface; did you mean 'Lambda_1'?"});
    expect_refused({"profile", "out.h5", "--keep", "Lambda_1", "Lambda_1"}, {"--keep Lambda_1: is given twice"});
    expect_refused({"profile", "out.h5", "--keep", "q_e", "Lambda_2", "Lambda_1"},
                   {"these are all axes, nothing is left to minimise over"});
    expect_refused({"profile", "out.h5"}, {"--keep is required"});
    expect_refused({"profile", "none.h5", "--keep", "q_e"}, {"none.h5: No such file or directory"});
    expect_refused({"limits", "none.h5"}, {"none.h5: No such file or directory"});
    expect_refused({"limits"}, {"--experiment or a surface file is required"});
    expect_refused({"limits", "-e", "xenonnt_sr0", "--keep", "mu_e"}, {"--keep: goes with a surface file only"});
    expect_refused({"limits", "-e", "xenonnt_sr0", "-p", "mu_e", "--cl", "0.9", "0.95"}, {"--cl: limits of experiments take one"});
    expect_refused({"limits", "out.h5", "-e", "xenonnt_sr0"}, {"--experiment: does not go with a surface file (out.h5)"});
    expect_refused({"limits", "out.h5", "--set", "q_e=0"}, {"--set: does not go with a surface file"});
    expect_refused({"limits", "out.h5", "--convergence"}, {"--convergence: does not go with a surface file"});
    expect_refused({"limits", "out.h5", "--cl", "0.9", "1.2"}, {"--cl 1.2: a confidence level lies between 0 and 1"});
    expect_refused({"limits", "out.h5", "--cl", "0.9", "0.68", "0.90"}, {"--cl 0.9 is given twice"});
    expect_refused({"limits", "out.h5", "--dof", "0"}, {"--dof 0: there must be at least one degree of freedom"});
    expect_refused({"limits", "out.h5", "--keep", "r2_e"},
                   {"--keep r2_e: no axis of this surface; valid: Lambda_1, Lambda_2, q_e"});
    expect_refused({"limits", "out.h5", "--keep", "q_e", "Lambda_1", "Lambda_2"}, {"limits are those of one or two axes"});
    expect_refused({"export", "out.h5", "--format", "csv", "-o", "tables"}, {"out.h5: holds no profile, limit or contour yet"});
    expect_refused({"export", "out.h5", "--format", "xml", "-o", "tables"}, {"--format xml: unknown; valid: csv, hepdata"});
    expect_done({"-q", "limits", "out.h5"});
    expect_refused({"export", "out.h5", "--format", "csv", "-o", "no/such/folder"}, {"--output no/such/folder: no folder"});
    expect_refused({"export", "out.h5", "--format", "csv", "-o", "out.h5"}, {"--output out.h5: no folder"});
}

TEST_F(SurfaceCommands, BadFilesAreOneLineAndStayAsTheyAre)
{
    auto const good = read_text(file("out.h5"));
    for (Arguments const& verb : {Arguments{"profile", "bad.h5", "--keep", "q_e"},
                                  {"limits", "bad.h5"},
                                  {"export", "bad.h5", "--format", "csv", "-o", "tables"}})
    {
        temp_.write("bad.h5", good.substr(0, good.size() / 2));
        expect_refused(verb, {"bad.h5: damaged, truncated or unfinished HDF5 file"});
        temp_.write("bad.h5", "no surface");
        expect_refused(verb, {"bad.h5: not an HDF5 file"});
        fs::remove(file("bad.h5"));
        if (verb[0] == "export")
            continue;
        write_analytic_surface(file("bad.h5"), {test_axis("q_e", 0.0, 1.0, 3), test_axis("q_mu", 0.0, 1.0, 3)}, 1.0,
                               [](Point const&) { return NAN; });
        expect_refused(verb, {"bad.h5: every point failed"});
    }
}

TEST_F(SurfaceCommands, UnwritableFolderIsNamedAndTheFileStays)
{
    auto const user = obeying_permissions(options());
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    auto const before = read_text(file("out.h5"));
    fs::permissions(temp_.path(), fs::perms::owner_read | fs::perms::owner_exec);
    auto const result = run_nuscan({"profile", "out.h5", "--keep", "q_e"}, *user);
    fs::permissions(temp_.path(), fs::perms::owner_all);
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_TRUE(result.said("cannot be changed: changes go to")) << result;
    EXPECT_TRUE(result.said("Permission denied")) << result;
    EXPECT_EQ(read_text(file("out.h5")), before);
}

TEST_F(SurfaceCommands, FullDiskIsAFailureAndTheFileStays)
{
    auto const before = contents();
    auto full = options();
    full.file_size_limit = before.at("out.h5").size() + 100;
    for (Arguments const& verb : {Arguments{"profile", "out.h5", "--keep", "q_e"}, {"limits", "out.h5"}})
    {
        auto const result = run_nuscan(verb, full);
        EXPECT_EQ(result.exit_code, 1) << result;
        EXPECT_TRUE(result.said("out.h5: cannot write: File too large; the file is as it was")) << result;
        EXPECT_TRUE(contents() == before);
    }
}

TEST_F(SurfaceCommands, AKillAtAnyMomentLeavesAWholeFile)
{
    // Large enough for the copy and the writing to be hit.
    write_analytic_surface(file("out.h5"),
                           {test_axis("x", 0.0, 1.0, 100), test_axis("y", 0.0, 1.0, 100), test_axis("z", 0.0, 1.0, 100)}, 1.0,
                           [](Point const& p) { return 1.0 + p[0] + p[1] + p[2]; });
    auto const original = read_text(file("out.h5"));
    auto const copy_is_there = [&] { return fs::exists(file("out.h5.new")); };
    std::chrono::steady_clock::duration length;
    {
        RunningProgram program{{"profile", "out.h5", "--keep", "x", "y"}, options()};
        program.wait_until(copy_is_there);
        auto const start = std::chrono::steady_clock::now();
        program.wait();
        length = std::chrono::steady_clock::now() - start;
    }
    int killed = 0;
    int with_copy = 0;
    constexpr int kills = 30;
    for (int i = 0; i < kills; ++i)
    {
        temp_.write("out.h5", original);
        fs::remove(file("out.h5.new"));
        RunningProgram program{{"profile", "out.h5", "--keep", "x", "y"}, options()};
        // At first as soon as the copy is there, then later and later.
        with_copy += program.wait_until(copy_is_there);
        std::this_thread::sleep_for(length * i / kills);
        program.send(SIGKILL);
        killed += program.wait().signal == SIGKILL;
        if (read_text(file("out.h5")) == original)
            continue;
        auto const results = read_derived_results(file("out.h5"));
        EXPECT_NE(results.find_profile("x,y"), nullptr) << "neither the old file nor the new one";
        SurfaceReader{file("out.h5")}.chi2({0, 1000000});
    }
    EXPECT_GT(killed, 5) << "the test is to kill";
    EXPECT_GT(with_copy, 5) << "and to do so while the file is changed";
    temp_.write("out.h5", original);
    expect_done({"profile", "out.h5", "--keep", "x", "y"});
    EXPECT_FALSE(fs::exists(file("out.h5.new"))) << "what a killed program left goes with the next change";
}

TEST_F(SurfaceCommands, FailedSelfCheckIsWarnedOf)
{
    SurfaceReader const surface{file("out.h5")};
    auto meta = surface.meta();
    meta.failed = true;
    SurfaceWriter writer{file("failed.h5"), surface.layout()};
    auto const chi2 = surface.chi2(surface.layout().range);
    auto const status = surface.status(surface.layout().range);
    writer.append(surface.layout().size(), chi2.data(), status.data(), nullptr, nullptr);
    writer.finish(meta, surface.best_fit(), surface.null());
    for (Arguments const& verb : {Arguments{"profile", "failed.h5", "--keep", "q_e"}, {"limits", "failed.h5"}})
    {
        auto const result = run(verb);
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_TRUE(result.said("warning: failed.h5 failed its self-check: do not trust")) << result;
    }
}

TEST_F(SurfaceCommands, EveryCommandHasAnExample)
{
    for (char const* const verb : {"profile", "limits", "export"})
    {
        auto const help = run({verb, "--help"});
        EXPECT_EQ(help.exit_code, 0);
        EXPECT_NE(help.out.find("Example: nuscan "), help.out.npos) << help;
    }
}

// --- export -----------------------------------------------------------------------------------------------------------------------------

class Export : public Surface
{
protected:
    Export()
    {
        write_analytic_surface(file("out.h5"),
                               {test_axis("m_V", 1e-3, 1e2, 21, AxisScale::log), test_axis("g_V", 1e-8, 1e-2, 61, AxisScale::log),
                                test_axis("q_e", -1.0, 1.0, 3)},
                               1.0, [](Point const& p) {
                                   double const island = std::pow(std::log(p[0] / 0.1) * 2.0, 2)
                                                         + std::pow(std::log(p[1] / 1e-4) * 2.0, 2);
                                   return p[0] > 90.0 ? NAN : 1.0 + std::min(std::pow(p[1] / 1e-6, 2), island) + p[2] * p[2];
                               });
        expect_done({"-q", "limits", "out.h5", "--keep", "m_V", "g_V"});
        expect_done({"-q", "limits", "out.h5"});
        expect_done({"-q", "limits", "out.h5", "--keep", "q_e", "--cl", "0.68"});
    }

    std::set<std::string> export_as(std::string const& format) const
    {
        auto const result = run({"export", "out.h5", "--format", format, "-o", format});
        EXPECT_EQ(result.exit_code, 0) << result;
        std::set<std::string> names;
        for (auto const& entry : fs::directory_iterator{file(format)})
            names.insert(entry.path().filename());
        std::set<std::string> printed;
        std::istringstream lines{result.out};
        for (std::string line; std::getline(lines, line);)
            printed.insert(fs::path{line}.filename());
        EXPECT_EQ(printed, names);
        return names;
    }
};

TEST_F(Export, CsvHoldsTheNumbersWithUnitsAndProvenance)
{
    auto const names = export_as("csv");
    EXPECT_EQ(names,
              (std::set<std::string>{"profile_m_V-g_V.csv", "profile_m_V.csv", "profile_g_V.csv", "profile_q_e.csv",
                                     "curve_0.9_g_V_per_mass.csv", "curve_0.9_g_V_plane.csv", "contour_0.9_m_V-g_V.csv",
                                     "limits_0.9_m_V.csv", "limits_0.9_g_V.csv", "limits_0.9_q_e.csv", "limits_0.68_q_e.csv"}));
    auto const results = read_derived_results(file("out.h5"));
    for (auto const& name : names)
    {
        SCOPED_TRACE(name);
        std::istringstream lines{read_text(file("csv") / name)};
        std::string header;
        std::vector<std::string> comments;
        while (std::getline(lines, header) && header.starts_with("# "))
            comments.push_back(header);
        auto const has = [&](std::string const& text) {
            return std::any_of(comments.begin(), comments.end(), [&](auto const& line) { return line.find(text) != line.npos; });
        };
        for (char const* const part :
             {"# experiment: toy", "# title: a function", "# configuration SHA-256: ", "# program: nuscan 0.0.0"})
            EXPECT_TRUE(has(part)) << part;
        if (!name.starts_with("profile"))
        {
            EXPECT_TRUE(has(name.find("0.68") != name.npos ? "# confidence level: 0.68" : "# confidence level: 0.9"));
            EXPECT_TRUE(has("# threshold of Delta chi^2: "));
        }
        EXPECT_EQ(has("# definition: "), name.starts_with("curve"));
        auto const columns = std::count(header.begin(), header.end(), ',');
        EXPECT_TRUE(std::regex_search(header, std::regex{R"(^(\w+( \[[^\]]+\])?(,|$))+$)"})) << header;
        std::size_t rows = 0;
        for (std::string line; std::getline(lines, line); ++rows)
            EXPECT_EQ(std::count(line.begin(), line.end(), ','), columns) << line;
        EXPECT_GT(rows, 0U);
    }
    // A number reads back bit by bit.
    CurveRecord const* curve = nullptr;
    for (auto const& limits : results.limits)
        for (auto const& record : limits.curves)
            if (record.definition == "per_mass")
                curve = &record;
    ASSERT_NE(curve, nullptr);
    std::istringstream lines{read_text(file("csv") / "curve_0.9_g_V_per_mass.csv")};
    std::string line;
    while (std::getline(lines, line) && !line.starts_with("m_V [1],upper [1],chi2_min [1],interval_1_lower [1]"))
    {
    }
    for (std::size_t i = 0; i < curve->masses.size(); ++i)
    {
        ASSERT_TRUE(std::getline(lines, line));
        EXPECT_EQ(std::stod(line), curve->masses[i]);
        double const upper = std::stod(line.substr(line.find(',') + 1));
        EXPECT_TRUE(upper == curve->upper[i] || (std::isnan(upper) && std::isnan(curve->upper[i])));
    }
    EXPECT_TRUE(std::isnan(curve->upper.back())) << "no point there is good";
}

/// The rules of https://github.com/HEPData/hepdata_lib and of HEPData's published JSON schema 1.1, written out.
class HepDataRules
{
public:
    static void expect_keys(YAML::Node const& map, std::set<std::string> const& required, std::set<std::string> const& optional)
    {
        ASSERT_TRUE(map.IsMap());
        std::set<std::string> found;
        for (auto const& entry : map)
            found.insert(entry.first.as<std::string>());
        for (auto const& key : required)
            EXPECT_TRUE(found.contains(key)) << "without " << key;
        for (auto const& key : found)
            EXPECT_TRUE(required.contains(key) || optional.contains(key)) << "unknown " << key;
    }

    /// A value: text in quotes, or what every YAML reader takes for a number (YAML 1.1 wants a point and a signed exponent).
    static void expect_value(YAML::Node const& value)
    {
        static std::regex const number{R"([-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?)"};
        ASSERT_TRUE(value.IsScalar());
        EXPECT_TRUE(value.Tag() == "!" || std::regex_match(value.Scalar(), number)) << value.Scalar();
    }

    static void expect_variable(YAML::Node const& variable, std::size_t& length, bool dependent)
    {
        expect_keys(variable, {"header", "values"}, dependent ? std::set<std::string>{"qualifiers"} : std::set<std::string>{});
        expect_keys(variable["header"], {"name"}, {"units"});
        ASSERT_TRUE(variable["values"].IsSequence());
        if (length == 0)
            length = variable["values"].size();
        EXPECT_GT(length, 0U);
        EXPECT_EQ(variable["values"].size(), length) << "columns of different length";
        for (auto const& value : variable["values"])
        {
            expect_keys(value, {"value"}, {});
            expect_value(value["value"]);
        }
        for (auto const& qualifier : variable["qualifiers"])
        {
            expect_keys(qualifier, {"name", "value"}, {"units"});
            expect_value(qualifier["value"]);
        }
    }

    static void expect_table(YAML::Node const& table)
    {
        expect_keys(table, {"independent_variables", "dependent_variables"}, {});
        std::size_t length = 0;
        EXPECT_GT(table["independent_variables"].size(), 0U);
        EXPECT_GT(table["dependent_variables"].size(), 0U);
        for (auto const& variable : table["independent_variables"])
            expect_variable(variable, length, false);
        for (auto const& variable : table["dependent_variables"])
            expect_variable(variable, length, true);
    }

    /// Checks one entry of submission.yaml and returns the name of its data file.
    static std::string expect_entry(YAML::Node const& entry)
    {
        expect_keys(entry, {"name", "description", "keywords", "data_file"}, {"location", "data_license", "additional_resources"});
        EXPECT_LE(entry["name"].Scalar().size(), 64U);
        std::set<std::string> keywords;
        for (auto const& keyword : entry["keywords"])
        {
            expect_keys(keyword, {"name", "values"}, {});
            keywords.insert(keyword["name"].Scalar());
            EXPECT_TRUE(keyword["values"].IsSequence());
            for (auto const& value : keyword["values"])
                EXPECT_LE(value.Scalar().size(), 128U);
        }
        EXPECT_EQ(keywords, (std::set<std::string>{"reactions", "observables", "phrases"}));
        return entry["data_file"].Scalar();
    }
};

TEST_F(Export, HepDataSubmissionKeepsItsRules)
{
    auto const names = export_as("hepdata");
    auto const documents = YAML::LoadAllFromFile((file("hepdata") / "submission.yaml").string());
    ASSERT_GT(documents.size(), 1U);
    HepDataRules::expect_keys(documents[0], {"comment"}, {"additional_resources"});
    std::set<std::string> listed{"submission.yaml"};
    std::set<std::string> tables;
    for (std::size_t i = 1; i < documents.size(); ++i)
    {
        SCOPED_TRACE(documents[i]["name"].Scalar());
        EXPECT_TRUE(tables.insert(documents[i]["name"].Scalar()).second) << "two tables of one name";
        auto const data = HepDataRules::expect_entry(documents[i]);
        EXPECT_TRUE(listed.insert(data).second);
        HepDataRules::expect_table(YAML::LoadFile((file("hepdata") / data).string()));
    }
    EXPECT_EQ(listed, names) << "files and entries differ";
    // The contour is in pieces of its own, each with its flag.
    auto const results = read_derived_results(file("out.h5"));
    std::vector<ContourPiece> pieces;
    for (auto const& limits : results.limits)
        for (auto const& contour : limits.contours)
            pieces = contour.pieces;
    ASSERT_EQ(pieces.size(), 2U);
    for (std::size_t k = 0; k < pieces.size(); ++k)
    {
        auto const table = YAML::LoadFile((file("hepdata") / fmt::format("contour_0.9_m_V-g_V_{}.yaml", k + 1)).string());
        std::string closed;
        for (auto const& qualifier : table["dependent_variables"][0]["qualifiers"])
            if (qualifier["name"].Scalar() == "closed")
                closed = qualifier["value"].Scalar();
        EXPECT_EQ(closed, pieces[k].closed ? "yes" : "no");
        auto const x = table["independent_variables"][0]["values"];
        auto const y = table["dependent_variables"][0]["values"];
        ASSERT_EQ(x.size(), pieces[k].points.size());
        for (std::size_t i = 0; i < x.size(); ++i)
        {
            EXPECT_EQ(x[i]["value"].as<double>(), pieces[k].points[i][0]);
            EXPECT_EQ(y[i]["value"].as<double>(), pieces[k].points[i][1]);
        }
    }
}

TEST_F(Export, OfOneAxisChi2ItselfIsATable)
{
    // Nothing of this grid is allowed: 0, which is, lies off it.
    write_analytic_surface(file("out.h5"), {test_axis("q_e", 1.0, 2.0, 5)}, 1.0, [](Point const& p) { return 10.0 * p[0] * p[0]; });
    EXPECT_EQ(export_as("csv"), (std::set<std::string>{"chi2_q_e.csv"})) << "without any limits in the file";
    auto const text = read_text(file("csv") / "chi2_q_e.csv");
    EXPECT_NE(text.find("# chi^2 min: 1.0\n"), text.npos) << "the point 0 counts for the minimum\n" << text;
    EXPECT_NE(text.find("\nq_e [1],chi2 [1],delta_chi2 [1]\n"), text.npos) << text;
    EXPECT_NE(text.find("\n1.5,22.5,21.5\n"), text.npos) << text;

    // A table without rows is for CSV only.
    expect_done({"-q", "limits", "out.h5"});
    EXPECT_EQ(export_as("csv"), (std::set<std::string>{"chi2_q_e.csv", "limits_0.9_q_e.csv"}));
    auto const result = run({"export", "out.h5", "--format", "hepdata", "-o", "hepdata"});
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_TRUE(result.said("warning: allowed intervals of q_e at 90% C.L.: none, and HEPData takes no table without rows"))
        << result;
    EXPECT_FALSE(fs::exists(file("hepdata") / "limits_0.9_q_e.yaml"));
    auto const documents = YAML::LoadAllFromFile((file("hepdata") / "submission.yaml").string());
    ASSERT_EQ(documents.size(), 2U);
    EXPECT_EQ(HepDataRules::expect_entry(documents[1]), "chi2_q_e.yaml");
    HepDataRules::expect_table(YAML::LoadFile((file("hepdata") / "chi2_q_e.yaml").string()));
}

TEST_F(Export, FullDiskIsAFailureThatNamesTheFile)
{
    auto full = options();
    full.file_size_limit = 100;
    auto const result = run_nuscan({"export", "out.h5", "--format", "csv", "-o", "csv"}, full);
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_TRUE(result.said(".csv: cannot be written")) << result;
}

} // namespace
} // namespace nuscan::test
