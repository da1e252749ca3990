#include "host/bench/baselines.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/backends/cpu.hpp"
#include "host/bench/temporary_folder.hpp"
#include "host/support/error.hpp"
#include "host/support/process.hpp"

namespace fs = std::filesystem;

namespace nuscan::bench
{

namespace
{

using Json = nlohmann::json;

/// Exit code by which a script says that a package is missing.
constexpr int packages_missing = 3;

fs::path script_folder()
{
    return find_shipped_folder({"NUSCAN_BENCH_DIR", "share/nuscan/bench", NUSCAN_SOURCE_BENCH_DIR, "baselines.py"});
}

void read_result(Baseline& baseline, std::string const& text)
{
    auto const json = Json::parse(text);
    baseline.points_per_s = json.at("points_per_s").get<double>();
    baseline.noise = json.at("noise").get<double>();
    baseline.points = json.at("points").get<std::int64_t>();
    // NaN is no JSON: null.
    baseline.worst = json.at("worst").is_number() ? json.at("worst").get<double>() : INFINITY;
    baseline.iterations = json.at("iterations").get<double>();
    baseline.version = json.at("version").get<std::string>();
    double const tolerance = baseline.name == "numpy" ? numpy_tolerance : iminuit_tolerance;
    if (!(baseline.worst <= tolerance))
    {
        baseline.points_per_s.reset();
        baseline.error = fmt::format(
            "chi^2 differs from that of nuscan by {:.1e} (1 + chi^2), more than {:.0e}: the time means nothing", baseline.worst,
            tolerance);
    }
}

} // namespace

std::string baseline_input(std::shared_ptr<Problem const> const& problem, Effort const& effort)
{
    ProblemView const& view = problem->view();
    auto const& experiment = problem->prepared().experiments().front();
    LikelihoodView const data = experiment.likelihood();
    std::int64_t const masses = view.grid.shape[0];
    std::int64_t const couplings = view.grid.shape[1];

    Json json{{"statistic", data.statistic == Statistic::poisson ? "poisson" : "gaussian"},
              {"signal_sigma", view.fit.signal_sigma},
              {"sm_total", view.fit.sm_total},
              {"pull_sigma", std::vector<double>(data.pull_sigma, data.pull_sigma + data.n_pulls)},
              {"repeats", effort.repeats},
              {"min_time", effort.min_time}};
    std::vector<int> used;
    for (int i = 0; i < data.n_bins; ++i)
        if (data.used[i] != 0.0)
            used.push_back(i);
    auto const of_bins = [&used](double const* values) {
        std::vector<double> result;
        for (int const i : used)
            result.push_back(values[i]);
        return result;
    };
    json["observed"] = of_bins(data.observed);
    json["background"] = of_bins(data.base);
    json["weight"] = of_bins(data.weight);
    for (int p = 0; p < data.n_pulls; ++p)
        json["pull_templates"].push_back(of_bins(data.pull_templates + p * data.stride));
    if (data.n_pulls == 0)
        json["pull_templates"] = Json::array();

    for (std::int64_t c = 0; c < couplings; ++c)
    {
        std::int64_t const node[max_axes] = {0, c};
        std::vector<double> monomials;
        for (int m = 0; m < view.layout.n_monomials; ++m)
            monomials.push_back(point_monomial(view, m, node));
        json["monomials"].push_back(monomials);
    }
    std::vector<double> block(static_cast<std::size_t>(view.layout.size()));
    for (std::int64_t combination = 0; combination < masses; ++combination)
    {
        fold_combination(view, combination, block.data());
        Json templates = Json::array();
        for (int m = 0; m < view.layout.n_monomials; ++m)
            templates.push_back(of_bins(block.data() + view.layout.rate(m, 0)));
        json["templates"].push_back(templates);
    }

    std::vector<double> chi2(static_cast<std::size_t>(problem->size()));
    std::vector<std::uint8_t> status(chi2.size());
    PointOutputs outputs;
    outputs.chi2 = chi2.data();
    outputs.status = status.data();
    make_cpu_backend(problem, Route::factored, 1)->evaluate({0, problem->size()}, outputs);
    // Points that the factored route leaves to the direct one are no part of the comparison: null, as NaN is.
    for (std::size_t i = 0; i < chi2.size(); ++i)
        if (status[i] != static_cast<std::uint8_t>(PointStatus::ok))
            chi2[i] = NAN;
    json["chi2"] = chi2;
    return json.dump();
}

Baseline run_baseline(std::string const& name, std::string const& input)
{
    Baseline baseline;
    baseline.name = name;
    try
    {
        fs::path const script = script_folder() / "baselines.py";
        TemporaryFolder const folder(fs::temp_directory_path());
        fs::path const file = folder.path() / "input.json";
        {
            std::ofstream out(file);
            out << input;
            if (!out.flush())
                throw RunError(fmt::format("{}: cannot be written", file.string()));
        }
        std::string reason;
        for (std::string const& interpreter : python_interpreters())
        {
            // One thread, whichever library multiplies matrices.
            auto const finished = run_process({interpreter, "-B", script.string(), name, file.string()},
                                              {{"OMP_NUM_THREADS", "1"},
                                               {"OPENBLAS_NUM_THREADS", "1"},
                                               {"MKL_NUM_THREADS", "1"},
                                               {"BLIS_NUM_THREADS", "1"},
                                               {"PYTHONSAFEPATH", "1"}});
            if (finished.exit_code == packages_missing || finished.exit_code == process_cannot_start)
            {
                reason += fmt::format("{}{}: {}", reason.empty() ? "" : "; ", interpreter, one_line(finished.err));
                continue;
            }
            if (finished.exit_code != 0)
                baseline.error = fmt::format("{} {} {} failed: {}", interpreter, script.string(), name, one_line(finished.err));
            else
                read_result(baseline, finished.out);
            return baseline;
        }
        baseline.missing = reason;
    }
    catch (NoShippedFolder const& problem)
    {
        baseline.missing = problem.what();
    }
    catch (Json::exception const& problem)
    {
        baseline.error = fmt::format("what it printed cannot be read: {}", problem.what());
    }
    return baseline;
}

} // namespace nuscan::bench
