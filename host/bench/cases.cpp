#include "host/bench/cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "host/backends/backend.hpp"
#include "host/backends/reference.hpp"
#include "host/inputs/inputs.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/support/clock.hpp"

namespace nuscan::bench
{

namespace
{

Axis axis(char const* parameter, double min, double max, AxisScale scale = AxisScale::linear)
{
    Axis result;
    result.parameter = require_parameter(parameter);
    result.min = min;
    result.max = max;
    result.scale = scale;
    return result;
}

Model model(std::vector<Axis> axes)
{
    std::string name;
    for (Axis const& a : axes)
        name += fmt::format("{}{}", name.empty() ? "" : " ", parameter_info(a.parameter).name);
    return {name, std::move(axes)};
}

Model mediator(char const* mass, char const* coupling)
{
    return model({axis(mass, 1e-4, 1e3, AxisScale::log), axis(coupling, 1e-8, 1e-2, AxisScale::log)});
}

/// Results of one chunk, used again for the next.
struct Results
{
    std::vector<double> chi2;
    std::vector<std::uint8_t> status;

    explicit Results(std::int64_t points) : chi2(static_cast<std::size_t>(points)), status(chi2.size()) {}
    PointOutputs outputs()
    {
        PointOutputs result;
        result.chi2 = chi2.data();
        result.status = status.data();
        return result;
    }
    std::int64_t failed(std::int64_t points) const
    {
        return std::count_if(status.begin(), status.begin() + points,
                             [](std::uint8_t s) { return s > static_cast<std::uint8_t>(PointStatus::ok_direct); });
    }
};

/// Points of one call of the backend in a scan.
std::int64_t scan_chunk(Problem const& problem, Route route, int threads)
{
    ScanConfiguration configuration;
    configuration.axes = problem.axes();
    configuration.fixed = problem.fixed();
    ScanOptions options;
    options.device = choose_device("cpu", threads);
    options.threads = threads;
    options.route = route;
    return plan_scan(configuration, problem.prepared().inputs(), options).chunk;
}

/// The backend's calls of a scan, chunk by chunk.
class ComputePhase
{
public:
    ComputePhase(std::shared_ptr<Problem const> const& problem, Route route, int threads)
        : size_(problem->size())
        , chunk_(scan_chunk(*problem, route, threads))
        , backend_(make_cpu_backend(problem, route, threads))
        , results_(chunk_)
    {
    }

    /// All points once; adds up those without chi^2 in \p failed.
    void pass(std::int64_t* failed = nullptr)
    {
        for (std::int64_t begin = 0; begin < size_; begin += chunk_)
        {
            IndexRange const range{begin, std::min(begin + chunk_, size_)};
            backend_->evaluate(range, results_.outputs());
            if (failed != nullptr)
                *failed += results_.failed(range.size());
        }
    }

private:
    std::int64_t size_;
    std::int64_t chunk_;
    std::unique_ptr<Backend> backend_;
    Results results_;
};

} // namespace

std::vector<Axis> Model::with_points(std::int64_t points) const
{
    auto const n = std::max<std::int64_t>(
        2, std::llround(std::pow(static_cast<double>(points), 1.0 / static_cast<double>(axes.size()))));
    std::vector<Axis> result = axes;
    for (Axis& a : result)
        a.n = n;
    return result;
}

Model vector_mediator()
{
    return mediator("m_V", "g_V");
}

std::vector<Model> all_models()
{
    return {model({axis("mu_universal", 0.0, 40e-12)}),
            model({axis("mu_e", 0.0, 40e-12), axis("mu_mu", 0.0, 40e-12)}),
            model({axis("Lambda_1", 0.0, 40e-12), axis("Lambda_2", 0.0, 40e-12), axis("Lambda_3", 0.0, 40e-12)}),
            model({axis("q_e", -1e-12, 1e-12), axis("q_mu", -1e-12, 1e-12)}),
            model({axis("r2_e", -150e-32, 150e-32), axis("r2_mu", -150e-32, 150e-32)}),
            mediator("m_S", "g_S"),
            mediator("m_P", "g_P"),
            vector_mediator(),
            mediator("m_A", "g_A"),
            mediator("m_T", "g_T")};
}

std::shared_ptr<Prepared const> prepare(std::string const& experiment)
{
    DataFolder data = DataFolder::find();
    return std::make_shared<Prepared const>(load_inputs(data, {}, {experiment}));
}

std::vector<CaseSpeed> measure_case(std::shared_ptr<Problem const> const& problem, Route route, std::vector<int> const& threads,
                                    Effort const& effort)
{
    std::vector<ComputePhase> phases;
    std::vector<CaseSpeed> speeds;
    for (int const n : threads)
    {
        phases.emplace_back(problem, route, n);
        CaseSpeed& speed = speeds.emplace_back();
        speed.points = problem->size();
        auto const start = Clock::now();
        phases.back().pass(&speed.failed);
        speed.templates_s = seconds_since(start);
    }
    std::vector<std::function<void(std::int64_t)>> works;
    for (ComputePhase& phase : phases)
        works.emplace_back([&phase](std::int64_t passes) {
            for (std::int64_t p = 0; p < passes; ++p)
                phase.pass();
        });
    auto const timings = measure_in_turn(effort, works);
    for (std::size_t i = 0; i < speeds.size(); ++i)
    {
        speeds[i].timing = timings[i];
        speeds[i].templates_s = std::max(0.0, speeds[i].templates_s - timings[i].best());
    }
    return speeds;
}

double measure_points_alone(std::shared_ptr<Problem const> const& problem, int threads)
{
    auto const start = Clock::now();
    ComputePhase(problem, Route::factored, threads).pass();
    return seconds_since(start);
}

double point_bytes(Problem const& problem, Route route)
{
    ProblemView const& view = problem.view();
    double bytes = sizeof(double) + sizeof(std::uint8_t);
    if (route != Route::direct)
        bytes += static_cast<double>(view.layout.size()) * sizeof(double) * static_cast<double>(view.n_mass_combinations)
                 / static_cast<double>(problem.size());
    return bytes;
}

CaseSpeed measure_reference(std::shared_ptr<Problem const> const& problem, std::int64_t points, Effort const& effort)
{
    ReferenceCalculation const reference(problem->prepared().inputs());
    std::int64_t const n = std::min(points, problem->size());
    std::int64_t const step = problem->size() / n;
    CaseSpeed speed;
    speed.points = n;
    std::vector<ParameterValues> values;
    for (std::int64_t i = 0; i < n; ++i)
        values.push_back(problem->values(i * step + step / 2));
    auto const pass = [&] {
        std::int64_t failed = 0;
        for (auto const& point : values)
            failed += reference.evaluate(point).status > PointStatus::ok_direct;
        speed.failed = failed;
    };
    speed.timing = measure(effort, [&](std::int64_t passes) {
        for (std::int64_t p = 0; p < passes; ++p)
            pass();
    });
    return speed;
}

} // namespace nuscan::bench
