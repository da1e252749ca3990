/// \file
/// Experiments that nobody built: what the format allows and no shipped experiment uses.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/prepare/prepared.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{

struct ToyExperiment
{
    std::string name;
    bool gaussian = false;
    bool width_of_true = false;
    int pulls = 0;
};

/// What is fixed of an experiment that is otherwise drawn at random.
struct RandomToy
{
    std::string name;
    bool gaussian = false;
    int bins = 20;
    double events = 1e4; ///< of background, per bin; 0 for no background at all
    int pulls = 1;
    double pull_sigma = 0.1;
    bool empty = false;     ///< no bin has any event
    bool from_zero = false; ///< bins from E' = 0, where the resolution does not vanish
    bool scattered = true;  ///< else data are the expectation, rounded
};

/// A data folder of its own with the shipped Sun and xenon.
class ToyData
{
public:
    ToyData()
    {
        for (char const* part : {"solar", "xenon"})
            std::filesystem::create_directory_symlink(std::filesystem::path(NUSCAN_SOURCE_DATA_DIR) / part, temp_.path() / part);
        std::filesystem::create_directory(temp_.path() / "experiments");
    }

    std::filesystem::path const& root() const { return temp_.path(); }

    /// Writes an experiment of 20 uneven bins up to 14 keV, in which the SM gives some 80 events. Every pull has a background of its own,
    /// a hump on a floor; one more background has no pull.
    void add(ToyExperiment const& toy) const
    {
        std::string const unit = toy.gaussian ? "1/(t yr)" : "events";
        std::string text = fmt::format(
            "schema = 1\nname = \"{0}\"\ntitle = \"Toy\"\nreference = \"none\"\ndata_set = \"{0}\"\nstatistic = \"{1}\"\n"
            "rate_unit = \"{2}\"\nexposure_t_yr = {3}\n[data]\ncounts = \"counts.txt\"\n{4}[resolution]\nwidth_of = \"{5}\"\n"
            "sqrt = 0.33\nlinear = 0.02\nconstant = 0.04\n[[efficiency]]\nenergy = \"true\"\ntable = \"efficiency.txt\"\n"
            "[[efficiency]]\nenergy = \"reconstructed\"\nerf = {{ plateau = 0.9, threshold_keV = 1.3, width_keV = 0.4 }}\n"
            "[signal]\npull = \"beta\"\nsigma = 0.07\n",
            toy.name, toy.gaussian ? "gaussian" : "poisson", unit, exposure, toy.gaussian ? "error = \"garwood\"\n" : "",
            toy.width_of_true ? "true" : "reconstructed");
        std::string edges;
        for (int i = 0; i <= bins; ++i)
            edges += fmt::format("{}{}", i == 0 ? "" : ", ", edge(i));
        text += fmt::format("[bins]\nedges_keV = [{}]\n", edges);

        std::string columns = "flat [1]";
        for (int p = 0; p < toy.pulls; ++p)
        {
            text += fmt::format("[[pull]]\nname = \"pull_{0}\"\nsigma = {1}\n[[background]]\nname = \"hump_{0}\"\ntable = "
                                "\"shapes.txt\"\ncolumn = \"hump_{0}\"\nnorm = {2}\npull = \"pull_{0}\"\n",
                                p, 0.05 * (1 + p % 4), norm(p));
            columns += fmt::format(", hump_{} [1]", p);
        }
        text += fmt::format("[[background]]\nname = \"flat\"\ntable = \"shapes.txt\"\ncolumn = \"flat\"\nnorm = {}\n", flat_norm);

        // Counts scatter about backgrounds and a signal by hand: up to two standard deviations.
        double const scatter[] = {0.3, -1.1, 0.8, 1.9, -0.4, -1.6, 0.1, 0.9, -0.7, 1.2};
        std::vector<std::string> shapes(bins);
        std::vector<double> expected(bins, 4.0);
        for (int p = -1; p < toy.pulls; ++p)
        {
            double total = 0.0;
            for (int i = 0; i < bins; ++i)
                total += shape(p, i);
            for (int i = 0; i < bins; ++i)
            {
                shapes[static_cast<std::size_t>(i)] += fmt::format(" {}", shape(p, i));
                expected[static_cast<std::size_t>(i)] += (p < 0 ? flat_norm : norm(p)) * shape(p, i) / total;
            }
        }
        std::string shape_rows = "# columns: lower [keV], upper [keV], " + columns + "\n";
        std::string count_rows = "# columns: lower [keV], upper [keV], counts [1]\n";
        for (int i = 0; i < bins; ++i)
        {
            double const mean = expected[static_cast<std::size_t>(i)];
            shape_rows += fmt::format("{} {}{}\n", edge(i), edge(i + 1), shapes[static_cast<std::size_t>(i)]);
            count_rows += fmt::format("{} {} {}\n", edge(i), edge(i + 1),
                                      std::max(0.0, std::round(mean + scatter[i % 10] * std::sqrt(mean))));
        }
        std::string const folder = "experiments/" + toy.name + "/";
        temp_.write(folder + "experiment.toml", text);
        temp_.write(folder + "shapes.txt", shape_rows);
        temp_.write(folder + "counts.txt", count_rows);
        temp_.write(folder + "efficiency.txt", "# columns: energy [keV], efficiency [1]\n0.5 0\n1.5 0.4\n3 0.8\n8 0.95\n20 0.9\n");
    }

    /// Writes an experiment up to 5 to 12 keV with data that scatter about its background. Where a bin has many events, half of the
    /// experiments have so much exposure that the signal is seen too.
    void add(RandomToy const& toy, std::mt19937_64& generator) const
    {
        auto const uniform = [&](double lo, double hi) { return std::uniform_real_distribution<double>(lo, hi)(generator); };
        double const toy_exposure = uniform(0.0, 1.0) < 0.5 ? 3.0 : std::max(3.0, 0.01 * toy.events * toy.bins);
        double const bottom = toy.from_zero ? 0.0 : uniform(0.5, 1.5);
        std::vector<double> edges{bottom};
        for (int i = 0; i < toy.bins; ++i)
            edges.push_back(edges.back() + uniform(0.3, 1.7));
        double const stretch = uniform(4.0, 10.0) / (edges.back() - bottom);
        for (double& edge : edges)
            edge = bottom + stretch * (edge - bottom);

        std::string text = fmt::format(
            "schema = 1\nname = \"{0}\"\ntitle = \"Toy\"\nreference = \"none\"\ndata_set = \"{0}\"\nstatistic = \"{1}\"\n"
            "rate_unit = \"{2}\"\nexposure_t_yr = {3}\n[data]\ncounts = \"counts.txt\"\n{4}[bins]\nedges_keV = [{5}]\n"
            "[resolution]\nwidth_of = \"{6}\"\nsqrt = {7}\nlinear = {8}\nconstant = {9}\n[signal]\npull = \"beta\"\nsigma = 0.07\n",
            toy.name, toy.gaussian ? "gaussian" : "poisson", toy.gaussian ? "1/(t yr)" : "events", toy_exposure,
            toy.gaussian ? "error = \"garwood\"\n" : "", fmt::join(edges, ", "),
            toy.from_zero || uniform(0.0, 1.0) < 0.5 ? "reconstructed" : "true", uniform(0.2, 0.4), uniform(0.0, 0.02),
            toy.from_zero ? uniform(0.05, 0.3) : uniform(0.0, 0.05));

        // One background per pull and one without; some bins take no part in some of them.
        auto const n = static_cast<std::size_t>(toy.bins);
        std::vector<double> expected(n, toy.events > 0.0 ? 0.0 : 4.0);
        std::vector<std::string> shapes(n);
        std::string columns;
        double const unit = toy.gaussian ? 1.0 / toy_exposure : 1.0;
        for (int b = 0; toy.events > 0.0 && b <= toy.pulls; ++b)
        {
            std::vector<double> shape;
            double total = 0.0;
            for (std::size_t i = 0; i < n; ++i)
            {
                shape.push_back(b < toy.pulls && i > 0 && uniform(0.0, 1.0) < 0.3 ? 0.0 : uniform(0.1, 1.0));
                total += shape.back();
            }
            double const norm = toy.events * toy.bins / (toy.pulls + 1);
            for (std::size_t i = 0; i < n; ++i)
            {
                expected[i] += norm * shape[i] / total;
                shapes[i] += fmt::format(" {}", shape[i]);
            }
            std::string const pull = fmt::format("pull_{}", b);
            if (b < toy.pulls)
                text += fmt::format("[[pull]]\nname = \"{}\"\nsigma = {}\n", pull, toy.pull_sigma);
            text += fmt::format(
                "[[background]]\nname = \"part_{0}\"\ntable = \"shapes.txt\"\ncolumn = \"part_{0}\"\nnorm = {1}\n{2}", b,
                norm * unit, b < toy.pulls ? "pull = \"" + pull + "\"\n" : "");
            columns += fmt::format(", part_{} [1]", b);
        }

        std::string shape_rows = "# columns: lower [keV], upper [keV]" + columns + "\n";
        std::string count_rows = "# columns: lower [keV], upper [keV], counts [1]\n";
        for (std::size_t i = 0; i < n; ++i)
        {
            double const scatter = (toy.scattered ? 1.0 : 0.0) * std::normal_distribution<double>()(generator);
            double const counts = toy.empty ? 0.0 : std::max(0.0, std::round(expected[i] + scatter * std::sqrt(expected[i])));
            shape_rows += fmt::format("{} {}{}\n", edges[i], edges[i + 1], shapes[i]);
            count_rows += fmt::format("{} {} {}\n", edges[i], edges[i + 1], counts);
        }
        std::string const folder = "experiments/" + toy.name + "/";
        temp_.write(folder + "experiment.toml", text);
        if (!columns.empty())
            temp_.write(folder + "shapes.txt", shape_rows);
        temp_.write(folder + "counts.txt", count_rows);
    }

    /// Writes an experiment whose one background, \p background per bin from 1 keV on, contains the SM signal.
    void add_with_signal(std::string const& name, std::vector<double> const& background) const
    {
        std::vector<double> edges{1.0};
        std::string shape_rows = "# columns: lower [keV], upper [keV], all [1]\n";
        std::string count_rows = "# columns: lower [keV], upper [keV], counts [1]\n";
        double norm = 0.0;
        for (double const content : background)
        {
            edges.push_back(2.0 * edges.back());
            std::string const row = fmt::format("{} {} ", edges[edges.size() - 2], edges.back());
            shape_rows += fmt::format("{}{}\n", row, content);
            count_rows += fmt::format("{}{}\n", row, std::round(content));
            norm += content;
        }
        std::string const folder = "experiments/" + name + "/";
        temp_.write(
            folder + "experiment.toml",
            fmt::format("schema = 1\nname = \"{0}\"\ntitle = \"Toy\"\nreference = \"none\"\ndata_set = \"{0}\"\n"
                        "statistic = \"poisson\"\nrate_unit = \"events\"\nexposure_t_yr = 1\n[data]\ncounts = \"counts.txt\"\n"
                        "[bins]\nedges_keV = [{1}]\n[resolution]\nwidth_of = \"reconstructed\"\nsqrt = 0.3\n[signal]\n"
                        "pull = \"beta\"\nsigma = 0.07\n[[background]]\nname = \"all\"\ntable = \"shapes.txt\"\n"
                        "column = \"all\"\nnorm = {2}\ncontains_sm_signal = true\n",
                        name, fmt::join(edges, ", "), norm));
        temp_.write(folder + "shapes.txt", shape_rows);
        temp_.write(folder + "counts.txt", count_rows);
    }

    /// \p experiments as a fit takes them.
    Inputs inputs(std::vector<std::string> const& experiments) const
    {
        DataFolder data(temp_.path());
        return load_inputs(data, {}, experiments);
    }

private:
    static constexpr int bins = 20;
    static constexpr double exposure = 3.0; ///< [t yr]
    static constexpr double flat_norm = 60.0;

    static double edge(int i) { return 0.02 * i * i + 0.3 * i; }
    static double norm(int pull) { return 25.0 + 10.0 * (pull % 5); }

    /// Content of a bin, not normalised; pull -1 is the flat background.
    static double shape(int pull, int bin)
    {
        double const width = edge(bin + 1) - edge(bin);
        if (pull < 0)
            return width;
        double const z = (0.5 * (edge(bin) + edge(bin + 1)) - (1.0 + 0.8 * pull)) / (0.6 + 0.1 * pull);
        return width * (0.1 + std::exp(-0.5 * z * z));
    }

    TempDir temp_;
};

} // namespace nuscan::test
