// Speed of the CUDA kernels, of the reductions and of the whole backend, beside what the device can do at best. Prints JSON.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "ceilings.hpp"
#include "host/backends/backend.hpp"
#include "host/backends/reductions.hpp"
#include "host/prepare/prepared.hpp"
#include "host/scan/problem.hpp"
#include "host/support/error.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/device_problem.hpp"
#include "kernels/point_kernels.hpp"

namespace nuscan::bench
{

namespace
{

using Json = nlohmann::ordered_json;
using cuda::check;
using cuda::DeviceArray;

constexpr char const help[] = R"(Usage: gpu_bench [OPTION...]

Times the CUDA kernels (events on the device), the reductions and the whole backend (wall time) on grids in mass and coupling of a
vector mediator, and, in the same run, what the device can do at best: fused multiply-adds in double precision and copies in its memory.
Prints JSON on standard output. Of several runs the fastest counts.

  --points N    points of the large grid (default 4194304)
  --masses N    masses of it (default 512)
  --direct N    points of the direct route (default 131072)
  --repeat N    runs of everything (default 5)
  --bytes N     bytes that are copied (default 1073741824)
  --fma N       steps of each chain of multiply-adds (default 65536)
  --device I    which device (default 0)
  --counts FILE instructions per point (default: kernels/counts.json of the source tree, if it is there)
  --help        this text

"fraction_of_fp64" is the share of the ceiling of double-precision instructions, where counts say how many a point takes;
"fraction_of_memory" that of the ceiling of copies, for the bytes that have to cross the memory at least.

The file of counts: {"fp64": {KERNEL: {EXPERIMENT: double-precision instructions per point (of "fold": per mass)}}}
)";

struct Options
{
    std::int64_t points = std::int64_t{1} << 22;
    std::int64_t masses = 512;
    std::int64_t direct = std::int64_t{1} << 17;
    std::int64_t repeat = 5;
    std::int64_t bytes = std::int64_t{1} << 30;
    std::int64_t fma = std::int64_t{1} << 16;
    std::int64_t device = 0;
    std::filesystem::path counts = NUSCAN_COUNTS_FILE;
};

/// Empty if help was asked for.
std::optional<Options> read_options(int argc, char** argv)
{
    Options options;
    std::vector<std::pair<std::string, std::int64_t*>> const numbers{
        {"--points", &options.points}, {"--masses", &options.masses}, {"--direct", &options.direct}, {"--repeat", &options.repeat},
        {"--bytes", &options.bytes},   {"--fma", &options.fma},       {"--device", &options.device}};
    for (int i = 1; i < argc; ++i)
    {
        std::string const name = argv[i];
        if (name == "--help" || name == "-h")
            return std::nullopt;
        auto const number = std::find_if(numbers.begin(), numbers.end(), [&](auto const& option) { return option.first == name; });
        if (number == numbers.end() && name != "--counts")
            throw InputError(fmt::format("unknown option '{}'; see gpu_bench --help", name));
        if (++i == argc)
            throw InputError(fmt::format("{} needs a value", name));
        std::string_view const text = argv[i];
        if (number == numbers.end())
        {
            options.counts = text;
            continue;
        }
        auto const [end, code] = std::from_chars(text.begin(), text.end(), *number->second);
        if (code != std::errc() || end != text.end() || *number->second < (name == "--device" ? 0 : 1))
            throw InputError(fmt::format("{} needs a whole number above {}, not '{}'", name, name == "--device" ? -1 : 0, text));
    }
    options.masses = std::min(options.masses, options.points);
    return options;
}

class Event
{
public:
    Event() { check(cudaEventCreate(&event_), "creating an event"); }
    Event(Event const&) = delete;
    Event& operator=(Event const&) = delete;
    ~Event() { cudaEventDestroy(event_); }
    cudaEvent_t get() const { return event_; }

private:
    cudaEvent_t event_ = nullptr;
};

/// Shortest of several runs, after one that does not count.
class Stopwatch
{
public:
    explicit Stopwatch(std::int64_t runs) : runs_(runs) {}

    /// Seconds on the device from the first to the last thing that \p work puts into the stream.
    double on_device(std::function<void(cudaStream_t)> const& work) const
    {
        work(stream_.get());
        double best = HUGE_VAL;
        for (std::int64_t run = 0; run < runs_; ++run)
        {
            check(cudaEventRecord(begin_.get(), stream_.get()), "recording an event");
            work(stream_.get());
            check(cudaEventRecord(end_.get(), stream_.get()), "recording an event");
            check(cudaEventSynchronize(end_.get()), "waiting for a kernel");
            float milliseconds = 0.0f;
            check(cudaEventElapsedTime(&milliseconds, begin_.get(), end_.get()), "reading the time between events");
            best = std::min(best, 1e-3 * static_cast<double>(milliseconds));
        }
        return best;
    }

    /// Seconds until \p work is back.
    double on_host(std::function<void()> const& work) const
    {
        work();
        double best = HUGE_VAL;
        for (std::int64_t run = 0; run < runs_; ++run)
        {
            auto const begin = std::chrono::steady_clock::now();
            work();
            best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
        return best;
    }

private:
    std::int64_t runs_;
    cuda::Stream stream_;
    Event begin_;
    Event end_;
};

/// null where a time is too short to be measured.
Json rate(double amount, double seconds)
{
    return seconds > 0.0 ? Json(amount / seconds) : Json();
}

Json share(Json const& achieved, double per_unit, Json const& ceiling)
{
    return achieved.is_number() && ceiling.is_number() ? Json(achieved.get<double>() * per_unit / ceiling.get<double>()) : Json();
}

class Benchmark
{
public:
    explicit Benchmark(Options const& options) : options_(options), watch_(options.repeat)
    {
        std::ifstream file(options.counts);
        if (file)
        {
            auto const counts = Json::parse(file, nullptr, false);
            if (!counts.is_object() || !counts.contains("fp64"))
                throw InputError(fmt::format("{}: no JSON object with the key \"fp64\"", options.counts.string()));
            counts_ = counts["fp64"];
        }
    }

    Json run()
    {
        Json result{{"schema", 1}, {"device", device()}, {"settings", settings()}, {"ceilings", {}}};
        result["ceilings"]["fp64"] = fma_ceiling();
        result["ceilings"]["memory"] = copy_ceiling();
        instructions_per_s_ = result["ceilings"]["fp64"]["instructions_per_s"];
        bytes_per_s_ = result["ceilings"]["memory"]["bytes_per_s"];
        for (char const* const experiment : {"lz_ws2022", "xenonnt_sr0"})
        {
            DataFolder data = DataFolder::find();
            auto const prepared = std::make_shared<Prepared const>(load_inputs(data, {}, {experiment}));
            kernels(experiment, prepared);
            end_to_end(experiment, prepared);
        }
        reductions();
        result["kernels"] = kernels_;
        result["reductions"] = reductions_;
        result["end_to_end"] = end_to_end_;
        return result;
    }

private:
    Json device() const
    {
        auto const ordinal = static_cast<int>(options_.device);
        check(cudaSetDevice(ordinal), "choosing the device");
        cudaDeviceProp properties{};
        check(cudaGetDeviceProperties(&properties, ordinal), "asking for the device's properties");
        int driver = 0;
        int runtime = 0;
        check(cudaDriverGetVersion(&driver), "asking for the driver's version");
        check(cudaRuntimeGetVersion(&runtime), "asking for the runtime's version");
        auto const version = [](int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); };
        return {{"name", properties.name},
                {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)},
                {"multiprocessors", properties.multiProcessorCount},
                {"memory_bytes", properties.totalGlobalMem},
                {"driver_supports_cuda", version(driver)},
                {"cuda_runtime", version(runtime)}};
    }

    Json settings() const
    {
        return {{"points", options_.points},
                {"masses", options_.masses},
                {"direct", options_.direct},
                {"repeat", options_.repeat},
                {"bytes", options_.bytes},
                {"fma", options_.fma},
                {"counts", counts_.is_null() ? Json() : Json(options_.counts.filename().string())}};
    }

    int multiprocessors() const
    {
        int n = 0;
        check(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, static_cast<int>(options_.device)),
              "asking for the number of multiprocessors");
        return n;
    }

    /// The chains must have the host's bits, and twice the steps take twice the time: otherwise something was left out.
    Json fma_ceiling() const
    {
        int const blocks = 8 * multiprocessors();
        auto const threads = static_cast<std::size_t>(blocks) * fma_block;
        DeviceArray<double> const out(threads);
        auto const chains = [&](std::int64_t steps) {
            return watch_.on_device(
                [&](cudaStream_t stream) { run_fma_chains(blocks, steps, fma_factor, fma_term, out.data(), stream); });
        };
        double const twice = chains(2 * options_.fma);
        double const seconds = chains(options_.fma);
        std::vector<double> found(threads);
        check(cudaMemcpy(found.data(), out.data(), threads * sizeof(double), cudaMemcpyDeviceToHost), "copying results");
        bool right = true;
        for (std::size_t const thread : {std::size_t{0}, std::size_t{1}, threads / 2, threads - 1})
            right = right
                    && found[thread] == fma_chains_on_host(static_cast<std::int64_t>(thread), options_.fma, fma_factor, fma_term);
        double const instructions = static_cast<double>(threads) * fma_chains * static_cast<double>(options_.fma);
        return {{"instructions", instructions},
                {"seconds", seconds},
                {"instructions_per_s", rate(instructions, seconds)},
                {"flop_per_s", rate(2.0 * instructions, seconds)},
                {"time_of_twice_the_work", rate(twice, seconds)},
                {"results_are_right", right}};
    }

    Json copy_ceiling() const
    {
        std::int64_t const n = std::max<std::int64_t>(2, options_.bytes / 16 * 2);
        std::vector<double> values(static_cast<std::size_t>(n));
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<double>(i);
        DeviceArray<double> const from(values.data(), values.size());
        DeviceArray<double> const to(values.size());
        int const blocks = 32 * multiprocessors();
        double const seconds = watch_.on_device([&](cudaStream_t stream) { run_copy(from.data(), to.data(), n, blocks, stream); });
        std::vector<double> found(values.size());
        check(cudaMemcpy(found.data(), to.data(), found.size() * sizeof(double), cudaMemcpyDeviceToHost), "copying results");
        double const moved = 2.0 * static_cast<double>(n) * sizeof(double);
        return {
            {"bytes", moved}, {"seconds", seconds}, {"bytes_per_s", rate(moved, seconds)}, {"results_are_right", found == values}};
    }

    static std::shared_ptr<Problem const> grid(std::shared_ptr<Prepared const> const& prepared, std::int64_t masses,
                                               std::int64_t couplings)
    {
        // The ranges that the instructions of a point are counted for.
        auto const axis = [](char const* name, double min, double max, std::int64_t n) {
            return Axis{find_parameter(name), min, n == 1 ? min : max, n, AxisScale::log};
        };
        return std::make_shared<Problem const>(
            prepared, std::vector<Axis>{axis("m_V", 1e-4, 1e3, masses), axis("g_V", 1e-8, 1e-2, couplings)}, FixedParameters{});
    }

    /// \param unit  what is counted: points or masses
    void add_kernel(char const* name, char const* experiment, char const* unit, std::int64_t units, double bytes_per_unit,
                    double seconds)
    {
        Json fp64;
        if (counts_.is_object() && counts_.contains(name) && counts_[name].contains(experiment))
            fp64 = counts_[name][experiment];
        Json const per_s = rate(static_cast<double>(units), seconds);
        kernels_.push_back({{"name", name},
                            {"experiment", experiment},
                            {"unit", unit},
                            {"units", units},
                            {"seconds", seconds},
                            {"units_per_s", per_s},
                            {"bytes_per_unit", bytes_per_unit},
                            {"fp64_per_unit", fp64},
                            {"fraction_of_fp64", fp64.is_number() ? share(per_s, fp64.get<double>(), instructions_per_s_) : Json()},
                            {"fraction_of_memory", share(per_s, bytes_per_unit, bytes_per_s_)}});
    }

    void kernels(char const* experiment, std::shared_ptr<Prepared const> const& prepared)
    {
        std::int64_t const couplings = std::max<std::int64_t>(32, options_.points / options_.masses);
        factored(experiment, *grid(prepared, options_.masses, couplings), "factored", true);
        // So few couplings that every thread reads templates of its own.
        factored(experiment, *grid(prepared, std::max<std::int64_t>(2, options_.points / 256), 16), "scattered", false);
        direct(experiment, *grid(prepared, std::clamp<std::int64_t>(options_.masses, 1, options_.direct),
                                 std::max<std::int64_t>(1, options_.direct / options_.masses)));
    }

    void factored(char const* experiment, Problem const& problem, char const* name, bool with_folding)
    {
        cuda::DeviceProblem const on_device(problem.view());
        auto const& view = on_device.view();
        IndexRange const range{0, problem.size()};
        auto const box = cuda::combination_box(problem.view(), range);
        std::int64_t const masses = view.n_mass_combinations;
        auto const points = static_cast<std::size_t>(problem.size());
        DeviceArray<double> const bank(static_cast<std::size_t>(masses * view.layout.size()));
        DeviceArray<double> const chi2(points);
        DeviceArray<std::uint8_t> const status(points);
        cuda::DeviceOutputs const outputs{chi2.data(), status.data(), nullptr, nullptr};
        double const template_bytes = static_cast<double>(view.layout.size()) * sizeof(double);
        double const fold_seconds = watch_.on_device(
            [&](cudaStream_t stream) { cuda::fold_templates(view, 0, masses, bank.data(), stream); });
        if (with_folding)
            add_kernel("fold", experiment, "masses", masses, template_bytes, fold_seconds);
        double const seconds = watch_.on_device(
            [&](cudaStream_t stream) { cuda::evaluate_factored(view, range, box, bank.data(), outputs, stream); });
        double const per_point = static_cast<double>(masses) / static_cast<double>(points);
        add_kernel(name, experiment, "points", problem.size(), result_bytes + template_bytes * per_point, seconds);
    }

    void direct(char const* experiment, Problem const& problem)
    {
        cuda::DeviceProblem const on_device(problem.view());
        auto const& view = on_device.view();
        std::int64_t const n = problem.size();
        IndexRange const range{0, n};
        auto const points = static_cast<std::size_t>(n);
        DeviceArray<double> const rates(points * static_cast<std::size_t>(view.layout.n_slots));
        DeviceArray<double> const chi2(points);
        DeviceArray<std::uint8_t> const status(points);
        cuda::DeviceOutputs const outputs{chi2.data(), status.data(), nullptr, nullptr};
        double const rate_bytes = static_cast<double>(view.layout.n_slots) * sizeof(double);
        double const rates_seconds = watch_.on_device(
            [&](cudaStream_t stream) { cuda::direct_rates(view, range, nullptr, n, rates.data(), stream); });
        add_kernel("direct", experiment, "points", n, rate_bytes, rates_seconds);
        double const chi2_seconds = watch_.on_device([&](cudaStream_t stream) {
            cuda::evaluate_rates(view, range, nullptr, n, rates.data(), PointStatus::ok, outputs, stream);
        });
        add_kernel("chi2_from_rates", experiment, "points", n, rate_bytes + result_bytes, chi2_seconds);
    }

    void end_to_end(char const* experiment, std::shared_ptr<Prepared const> const& prepared)
    {
        for (Route const route : {Route::factored, Route::direct})
        {
            std::int64_t const wanted = route == Route::direct ? options_.direct : options_.points;
            std::int64_t const masses = std::min(options_.masses, wanted);
            auto const problem = grid(prepared, masses, std::max<std::int64_t>(1, wanted / masses));
            std::vector<double> chi2(static_cast<std::size_t>(problem->size()));
            std::vector<std::uint8_t> status(chi2.size());
            PointOutputs outputs;
            outputs.chi2 = chi2.data();
            outputs.status = status.data();
            IndexRange const range{0, problem->size()};
            auto const ordinal = static_cast<int>(options_.device);
            std::unique_ptr<Backend> backend;
            // With the copy of the problem, all memory and the templates; then a second time with all that in place.
            double const first = watch_.on_host([&] {
                backend = make_cuda_backend(problem, route, ordinal);
                backend->evaluate(range, outputs);
            });
            double const again = watch_.on_host([&] { backend->evaluate(range, outputs); });
            auto const good = std::count_if(status.begin(), status.end(), [](std::uint8_t s) { return s <= 1; });
            auto const points = static_cast<double>(problem->size());
            end_to_end_.push_back({{"experiment", experiment},
                                   {"route", route_name(route)},
                                   {"points", problem->size()},
                                   {"good_points", good},
                                   {"seconds", first},
                                   {"points_per_s", rate(points, first)},
                                   {"seconds_again", again},
                                   {"points_per_s_again", rate(points, again)}});
            if (route == Route::factored)
            {
                surface_ = std::move(chi2);
                split_ = {1, masses, problem->size() / masses};
            }
        }
    }

    /// Surfaces come from the host and results go there: the copies are part of the time.
    void reductions()
    {
        auto const reductions = make_cuda_reductions(static_cast<int>(options_.device));
        auto const n = static_cast<std::int64_t>(surface_.size());
        auto const add = [&](char const* name, std::function<void()> const& work) {
            double const seconds = watch_.on_host(work);
            reductions_.push_back(
                {{"name", name}, {"points", n}, {"seconds", seconds}, {"points_per_s", rate(static_cast<double>(n), seconds)}});
        };
        IndexedValue best;
        add("best_fit", [&] { best = reductions->best_fit(surface_.data(), n); });
        std::vector<double> minimum(static_cast<std::size_t>(split_.inner));
        add("profile", [&] { reductions->profile(surface_.data(), split_, minimum.data(), nullptr); });
        std::vector<double> delta(surface_.size());
        add("delta_chi2", [&] { reductions->delta_chi2(surface_.data(), n, best.value, delta.data()); });
        std::vector<std::uint8_t> mask(surface_.size());
        add("allowed", [&] { reductions->allowed(surface_.data(), n, best.value, 4.605, mask.data()); });
    }

    /// chi^2 and status of a point.
    static constexpr double result_bytes = sizeof(double) + sizeof(std::uint8_t);

    Options options_;
    Stopwatch watch_;
    Json counts_;
    Json instructions_per_s_;
    Json bytes_per_s_;
    Json kernels_ = Json::array();
    Json reductions_ = Json::array();
    Json end_to_end_ = Json::array();
    std::vector<double> surface_;
    AxisSplit split_;
};

int run(int argc, char** argv)
{
    auto const options = read_options(argc, argv);
    if (!options)
    {
        std::fputs(help, stdout);
        return 0;
    }
    std::string reason;
    auto const devices = cuda_devices(reason);
    if (std::none_of(devices.begin(), devices.end(), [&](auto const& device) { return device.ordinal == options->device; }))
        throw RunError(fmt::format("no CUDA device {} to measure{}{}", options->device, reason.empty() ? "" : ": ", reason));
    check(cudaSetDevice(static_cast<int>(options->device)), "choosing the device");
    Json const result = Benchmark(*options).run();
    fmt::print("{}\n", result.dump(2));
    auto const& ceilings = result["ceilings"];
    if (!ceilings["fp64"]["results_are_right"] || !ceilings["memory"]["results_are_right"])
        throw RunError("the kernels that measure the device's limits gave wrong results");
    return 0;
}

} // namespace

} // namespace nuscan::bench

int main(int argc, char** argv)
{
    try
    {
        return nuscan::bench::run(argc, argv);
    }
    catch (nuscan::InputError const& problem)
    {
        fmt::print(stderr, "error: {}\n", problem.what());
        return 2;
    }
    catch (std::exception const& problem)
    {
        fmt::print(stderr, "error: {}\n", problem.what());
        return 1;
    }
}
