#include "host/backends/backend.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <limits>

#include "host/backends/lanes/lane_kernels.hpp"
#include "host/backends/reference.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"
#include "host/support/thread_team.hpp"

namespace nuscan
{

namespace
{

/// The reference calculation behind the interface of backends.
class ReferenceBackend : public Backend
{
public:
    ReferenceBackend(std::shared_ptr<Problem const> problem, int threads)
        : problem_(std::move(problem))
        , calculation_(problem_->prepared().inputs(), {problem_->view().fit.fix_pulls})
        , team_(resolve_threads(threads))
    {
    }

    std::string name() const override { return "reference"; }

    void evaluate(IndexRange range, PointOutputs const& outputs) override
    {
        team_.for_each(range.size(), 1, [&](std::int64_t i, int) {
            auto const slot = static_cast<std::size_t>(i);
            auto const result = calculation_.evaluate(problem_->values(range.begin + i));
            outputs.chi2[slot] = result.chi2;
            outputs.status[slot] = static_cast<std::uint8_t>(result.status);
            if (outputs.pulls != nullptr)
                std::copy(result.pulls.begin(), result.pulls.end(), outputs.pulls + slot * result.pulls.size());
            if (outputs.rates != nullptr)
            {
                double* out = outputs.rates + slot * rate_count(problem_->prepared().inputs());
                for (auto const& rates : result.rates)
                    out = std::copy(rates.begin(), rates.end(), out);
            }
        });
    }

private:
    std::shared_ptr<Problem const> problem_;
    ReferenceCalculation calculation_;
    ThreadTeam team_;
};

/// All devices that a computation takes.
std::string describe(std::vector<CudaDevice> const& devices)
{
    std::vector<std::string> names;
    for (auto const& device : devices)
        names.push_back(device.description);
    return names.size() == 1 ? names.front() : fmt::format("{} devices: {}", names.size(), join(names));
}

} // namespace

std::vector<CudaDevice> cuda_devices(std::string& reason)
{
    std::vector<CudaDevice> usable;
    for (auto const& device : find_cuda_devices(reason))
    {
        if (device.problem.empty())
            usable.push_back(device);
        else if (reason.empty())
            reason = device.problem;
    }
    if (!usable.empty())
        reason.clear();
    return usable;
}

Device choose_device(std::string const& text, int threads)
{
    Device device;
    auto const choose_cpu = [&device, threads] {
        device.instruction_set = choose_lane_kernels().name;
        device.description = fmt::format("cpu ({} threads, {})", resolve_threads(threads), device.instruction_set);
    };
    std::string reason;
    if (text == "reference")
    {
        device.kind = DeviceKind::reference;
        device.description = fmt::format("reference ({} threads)", resolve_threads(threads));
    }
    else if (text == "cpu")
        choose_cpu();
    else if (text == "auto")
    {
        auto const devices = cuda_devices(reason);
        if (devices.empty())
        {
            choose_cpu();
            device.reason = reason;
        }
        else
        {
            device.kind = DeviceKind::cuda;
            device.count = static_cast<int>(devices.size());
            device.description = describe(devices);
            device.reason = "a CUDA device is there";
        }
    }
    else if (text == "cuda" || text.starts_with("cuda:"))
    {
        unsigned long long ordinal = 0;
        if (text != "cuda" && !parse_size(text.substr(5), ordinal))
            throw InputError(fmt::format("--device {}: '{}' is not the number of a CUDA device", text, text.substr(5)));
        device.kind = DeviceKind::cuda;
        if (text == "cuda")
        {
            auto const devices = cuda_devices(reason);
            if (devices.empty())
                throw NotCompiled(fmt::format("--device {}: {}; use --device cpu", text, reason));
            device.count = static_cast<int>(devices.size());
            device.description = describe(devices);
            return device;
        }
        constexpr unsigned long long largest = std::numeric_limits<int>::max();
        device.ordinal = static_cast<int>(std::min(ordinal, largest));
        auto const devices = find_cuda_devices(reason, device.ordinal);
        if (devices.empty())
            throw NotCompiled(fmt::format("--device {}: {}; use --device cpu", text, reason));
        if (ordinal >= devices.size())
            throw InputError(fmt::format("--device {}: there {} {}, numbered from 0", text, devices.size() == 1 ? "is" : "are",
                                         counted(static_cast<long long>(devices.size()), "CUDA device")));
        CudaDevice const& chosen = devices[static_cast<std::size_t>(device.ordinal)];
        if (!chosen.problem.empty())
            throw RunError(fmt::format("--device {}: {}; use another device or --device cpu", text, chosen.problem));
        device.description = chosen.description;
    }
    else
        throw InputError(fmt::format("unknown device '{}'{}", text, suggestion(text, {"auto", "reference", "cpu", "cuda"})));
    return device;
}

Route parse_route(std::string const& text)
{
    if (text == "auto")
        return Route::automatic;
    if (text == "direct")
        return Route::direct;
    if (text == "factored")
        return Route::factored;
    throw InputError(fmt::format("unknown route '{}'{}", text, suggestion(text, {"auto", "direct", "factored"})));
}

std::string route_name(Route route)
{
    // `auto` takes the factored route wherever it applies, which is everywhere.
    return route == Route::direct ? "direct" : "factored";
}

int resolve_threads(int threads)
{
    return threads > 0 ? threads : omp_get_max_threads();
}

std::unique_ptr<Backend> make_backend(Device const& device, std::shared_ptr<Problem const> problem, Route route, int threads)
{
    switch (device.kind)
    {
    case DeviceKind::reference:
        return std::make_unique<ReferenceBackend>(std::move(problem), resolve_threads(threads));
    case DeviceKind::cuda:
        return make_cuda_backend(std::move(problem), route, device.ordinal);
    case DeviceKind::cpu:
        break;
    }
    return make_cpu_backend(std::move(problem), route, threads);
}

PointEvaluation evaluate_point_on(Device const& device, std::shared_ptr<Prepared const> const& prepared,
                                  FixedParameters const& fixed, Route route, bool fix_pulls)
{
    if (device.kind == DeviceKind::cpu)
        return evaluate_point(*prepared, fixed, fix_pulls);

    if (device.kind == DeviceKind::reference)
    {
        ReferenceCalculation const reference(prepared->inputs(), {fix_pulls});
        auto const result = reference.evaluate(parameter_values(fixed));
        PointEvaluation evaluation;
        evaluation.fit.chi2 = result.chi2;
        evaluation.fit.status = result.status;
        evaluation.fit.signal_scale = result.pulls.empty() ? NAN : 1.0 + result.pulls.front();
        evaluation.pulls = result.pulls;
        evaluation.rates = result.rates;
        evaluation.chi2_bins = result.chi2_bins;
        return evaluation;
    }

    auto const problem = std::make_shared<Problem const>(prepared, std::vector<Axis>{}, fixed, fix_pulls);
    double chi2 = NAN;
    std::uint8_t status = 0;
    std::vector<double> all_rates(rate_count(prepared->inputs()));
    PointOutputs outputs;
    outputs.chi2 = &chi2;
    outputs.status = &status;
    outputs.rates = all_rates.data();
    make_backend(device, problem, route, 0)->evaluate({0, 1}, outputs);
    std::vector<std::vector<double>> rates;
    auto next = all_rates.begin();
    for (auto const& experiment : prepared->experiments())
    {
        rates.emplace_back(next, next + experiment.response().n_bins);
        next += experiment.response().n_bins;
    }
    PointEvaluation evaluation = evaluate_rates(*prepared, std::move(rates), fix_pulls);
    evaluation.fit.chi2 = chi2;
    evaluation.fit.status = static_cast<PointStatus>(status);
    return evaluation;
}

} // namespace nuscan
