// bench: how fast, and how far from what the machine can do.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nuscan_version.hpp>
#include <set>

#include "host/bench/baselines.hpp"
#include "host/bench/cases.hpp"
#include "host/bench/ceilings.hpp"
#include "host/bench/end_to_end.hpp"
#include "host/bench/temporary_folder.hpp"
#include "host/cli/cli.hpp"
#include "host/inputs/experiment.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

constexpr int json_schema = 1;
/// Points of the reference backend, which takes a good part of a millisecond for each.
constexpr std::int64_t reference_points = 64;
/// Grid of the Python baselines.
constexpr std::int64_t baseline_masses = 64;
constexpr std::int64_t baseline_couplings = 256;
/// Whole scans are long enough for three repeats to do, unless others are asked for; above this size for one.
constexpr int most_scan_repeats = 3;
constexpr long long once_from_points = 10000000;

std::vector<std::string> const all_parts{"rows", "baselines", "models", "scans"};

struct BenchOptions
{
    std::vector<std::string> experiments{"xenonnt_sr0", "lz_ws2022", "lz_ws2022_arxiv2208"};
    std::vector<int> threads{1, 2};
    std::vector<std::string> parts = all_parts;
    std::optional<int> repeats;
    std::optional<double> min_time;
    std::optional<long long> points;
    std::string folder;
    bool quick = false;
    bool json = false;
};

std::string cpu_name()
{
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name"))
            return line.substr(std::min(line.size(), line.find(':') + 2));
    return "unknown";
}

std::string host_name()
{
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

Json ceilings_json(bench::Ceilings const& ceilings)
{
    return {{"threads", ceilings.threads},
            {"instruction_set", ceilings.instruction_set},
            {"fma_gflops", 2e-9 * ceilings.multiply_add_per_s},
            {"fma_per_s", ceilings.multiply_add_per_s},
            {"mul_per_s", ceilings.multiply_per_s},
            {"add_per_s", ceilings.add_per_s},
            {"fma_and_add_per_s", ceilings.mixed_per_s},
            {"div_per_s", ceilings.divide_per_s},
            {"sqrt_per_s", ceilings.sqrt_per_s},
            {"log_per_s", ceilings.log_per_s},
            {"log_of_kernels_per_s", ceilings.log_kernels_per_s},
            {"exp_per_s", ceilings.exp_per_s},
            {"log_beside_fma", ceilings.log_beside_multiply_add},
            {"bandwidth_gb_s", 1e-9 * ceilings.bandwidth()},
            {"read_gb_s", 1e-9 * ceilings.read_bytes_per_s},
            {"write_gb_s", 1e-9 * ceilings.write_bytes_per_s},
            {"triad_gb_s", 1e-9 * ceilings.triad_bytes_per_s},
            {"memory_bytes", ceilings.memory_bytes},
            {"noise", ceilings.noise}};
}

Json operations_json(bench::PointOperations const& operations)
{
    return {{"fma", operations.multiply_add}, {"mul", operations.multiply},   {"add", operations.add},
            {"div", operations.divide},       {"sqrt", operations.sqrt},      {"log", operations.log},
            {"exp", operations.exp},          {"compare", operations.compare}};
}

/// What is kept of a case until the ceilings are known.
struct MeasuredCase
{
    std::string name;
    std::string model;
    int threads = 1;
    bench::CaseSpeed speed;
    std::optional<double> one_thread; ///< points per second of the same with one thread, timed in turn with it
    bench::PointOperations operations;
    double bytes = 0.0;
};

constexpr std::int64_t least_disk_bytes = std::int64_t{256} << 20;
constexpr std::int64_t most_disk_bytes = std::int64_t{1} << 30;

/// Rows would have the same name.
template<class T>
void refuse_twice(char const* option, std::vector<T> values)
{
    std::sort(values.begin(), values.end());
    if (auto const twice = std::adjacent_find(values.begin(), values.end()); twice != values.end())
        throw InputError(fmt::format("{} {}: is given twice", option, *twice));
}

class Bench
{
public:
    explicit Bench(BenchOptions const& options) : options_(options)
    {
        effort_.repeats = options.repeats.value_or(options.quick ? 3 : 5);
        effort_.min_time = options.min_time.value_or(options.quick ? 0.03 : 0.2);
        scan_points_ = options.points.value_or(options.quick ? 40000 : 1000000);
        std::error_code error;
        folder_ = options.folder.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(options.folder);
        if (error)
            throw InputError(fmt::format("no folder for temporary files: {}; set TMPDIR to one that is there", error.message()));
        if (effort_.repeats < 1 || effort_.repeats > 1000)
            throw InputError(fmt::format("--repeats {}: must be 1 to 1000", effort_.repeats));
        if (!(effort_.min_time >= 0.0) || effort_.min_time > 60.0)
            throw InputError(fmt::format("--min-time {}: must be 0 to 60 seconds", effort_.min_time));
        if (scan_points_ < 4 || scan_points_ > 10000000000LL)
            throw InputError(fmt::format("--points {}: must be 4 to 1e10", scan_points_));
        for (int const threads : options.threads)
            if (threads < 1 || threads > 4096)
                throw InputError(fmt::format("--threads {}: the number of threads must be 1 to 4096", threads));
        for (auto const& part : options.parts)
            if (std::find(all_parts.begin(), all_parts.end(), part) == all_parts.end())
                throw InputError(fmt::format("--part {}: there is no such part{}", part, suggestion(part, all_parts)));
        if (!std::filesystem::is_directory(folder_))
            throw InputError(fmt::format("--folder {}: is no folder", folder_.string()));
        refuse_twice("--threads", options.threads);
        refuse_twice("--experiment", options.experiments);
        refuse_twice("--part", options.parts);
        // Now, and not when everything else is measured.
        bench::TemporaryFolder const writable(folder_);
    }

    Json run()
    {
        // The inputs first: a wrong name ends the program at once.
        for (auto const& experiment : options_.experiments)
            prepared_[experiment] = bench::prepare(experiment);
        for (int const threads : options_.threads)
            if (threads > resolve_threads(0))
                warn(fmt::format("{} threads on {}: they get in each other's way", threads, counted(resolve_threads(0), "core")));
        // At the beginning and at the end: machines are slower at times.
        measure_ceilings();
        std::vector<MeasuredCase> rows;
        std::vector<MeasuredCase> models;
        if (has("rows"))
            rows = measure_rows(options_.experiments, {bench::vector_mediator()}, 1.0);
        if (has("baselines"))
            measure_baselines();
        if (has("models"))
            models = measure_rows(options_.experiments, bench::all_models(), 0.05);
        Json const scans = has("scans") ? measure_scans() : Json::array();
        measure_ceilings();
        warn_of_missing_cores();
        for (auto const* const part : {&rows, &models})
            for (auto const& row : *part)
                if (double const fraction = floor_of(row).total() * row.speed.points_per_s(); fraction > 1.0)
                    warn(fmt::format(
                        "{}, {}, {}: roofline fraction {:.3g}: the machine was disturbed while its ceilings were measured",
                        row.name, row.model, counted(row.threads, "thread"), fraction));

        Json result{{"schema", json_schema}, {"machine", machine()}, {"settings", settings()}};
        result["ceilings"] = ceilings_json(ceilings_.at(options_.threads.front()));
        if (disk_bytes_per_s_ > 0.0)
            result["ceilings"]["disk_gb_s"] = 1e-9 * disk_bytes_per_s_;
        result["ceilings_by_threads"] = Json::array();
        for (int const threads : options_.threads)
            result["ceilings_by_threads"].push_back(ceilings_json(ceilings_.at(threads)));
        result["rows"] = Json::array();
        for (auto const& row : rows)
            result["rows"].push_back(case_json(row));
        for (auto const& row : baseline_rows_)
            result["rows"].push_back(row);
        result["models"] = Json::array();
        for (auto const& row : models)
            result["models"].push_back(case_json(row));
        result["scans"] = scans;
        result["warnings"] = warnings_;
        return result;
    }

    bool failed() const { return failed_; }

private:
    bool has(char const* part) const
    {
        return std::find(options_.parts.begin(), options_.parts.end(), part) != options_.parts.end();
    }

    void warn(std::string const& text)
    {
        spdlog::warn("{}", text);
        warnings_.push_back(text);
    }

    static Json machine()
    {
        return {{"host", host_name()},
                {"cpu", cpu_name()},
                {"cores", resolve_threads(0)},
                {"nuscan", build::version},
                {"commit", std::string(build::commit) + (build::dirty ? ", modified" : "")},
                {"compiler", build::compiler}};
    }

    Json settings() const
    {
        return {{"repeats", effort_.repeats},
                {"min_time_s", effort_.min_time},
                {"scan_points", scan_points_},
                {"quick", options_.quick},
                {"model", bench::vector_mediator().name}};
    }

    void measure_ceilings()
    {
        bench::Effort effort = effort_;
        effort.min_time = 0.1 * effort_.min_time;
        std::int64_t const bytes = options_.quick ? std::int64_t{48} << 20 : bench::stream_bytes();
        for (int const threads : options_.threads)
        {
            spdlog::info("ceilings, {}", counted(threads, "thread"));
            auto measured = bench::measure_ceilings(threads, effort, bytes);
            // What fewer threads can do, more can.
            for (auto const& [fewer, known] : ceilings_)
                if (fewer < threads)
                    measured = bench::better(measured, known);
            auto const known_before = ceilings_.find(threads);
            if (known_before == ceilings_.end())
                ceilings_.emplace(threads, measured);
            else
                known_before->second = bench::better(known_before->second, measured);
        }
    }

    /// Threads that share a core, or have to wait for one, make everything else look as if it did not scale.
    void warn_of_missing_cores()
    {
        constexpr double enough = 0.85;
        auto const one = ceilings_.find(1);
        if (one == ceilings_.end())
            return;
        for (auto const& [threads, ceilings] : ceilings_)
            if (double const cores = ceilings.multiply_add_per_s / one->second.multiply_add_per_s;
                threads <= resolve_threads(0) && cores < enough * threads)
                warn(fmt::format(
                    "{} reach {:.2f} times the multiply-adds of one: the machine is shared, and figures of several threads "
                    "say little",
                    counted(threads, "thread"), cores));
    }

    /// \param part  of the points and of the time that a row gets
    std::vector<MeasuredCase> measure_rows(std::vector<std::string> const& experiments, std::vector<bench::Model> const& models,
                                           double part)
    {
        bench::Effort effort = effort_;
        effort.min_time *= part;
        if (part < 1.0)
            effort.repeats = std::min(effort.repeats, 3);
        double const scale = part * (options_.quick ? 0.05 : 1.0);
        auto const scaled = [scale](double points) { return static_cast<std::int64_t>(std::max(4.0, points * scale)); };
        std::vector<MeasuredCase> rows;
        for (auto const& experiment : experiments)
            for (Route const route : {Route::factored, Route::direct})
                for (auto const& model : models)
                {
                    bool const direct = route == Route::direct;
                    auto const problem = std::make_shared<Problem const>(
                        prepared_.at(experiment), model.with_points(scaled(direct ? 10000.0 : 1e6)), FixedParameters{});
                    MeasuredCase row;
                    row.name = experiment + "/" + route_name(route);
                    row.model = model.name;
                    row.bytes = bench::point_bytes(*problem, route);
                    row.operations = bench::count_operations(*problem, route, direct ? 8 : 16, scaled(direct ? 64 : 256));
                    spdlog::info("{}, {}", row.name, model.name);
                    auto const speeds = bench::measure_case(problem, route, options_.threads, effort);
                    auto const single = std::find(options_.threads.begin(), options_.threads.end(), 1);
                    if (single != options_.threads.end())
                        row.one_thread = speeds[static_cast<std::size_t>(single - options_.threads.begin())].points_per_s();
                    for (std::size_t i = 0; i < speeds.size(); ++i)
                    {
                        row.threads = options_.threads[i];
                        row.speed = speeds[i];
                        if (row.speed.failed > 0)
                            warn(fmt::format("{}, {}: {} of {} points have no chi^2", row.name, model.name, row.speed.failed,
                                             row.speed.points));
                        rows.push_back(row);
                    }
                }
        return rows;
    }

    bench::Floor floor_of(MeasuredCase const& row) const
    {
        return bench::point_floor(row.operations, row.bytes, ceilings_.at(row.threads));
    }

    Json case_json(MeasuredCase const& row) const
    {
        auto const floor = floor_of(row);
        double const speed = row.speed.points_per_s();
        std::string const experiment = row.name.substr(0, row.name.find('/'));
        auto const numpy = numpy_.find(experiment);
        constexpr double ns = 1e9;
        return {{"case", row.name},
                {"threads", row.threads},
                {"points_per_s", speed},
                {"roofline_fraction", floor.total() * speed},
                {"ratio_to_numpy",
                 numpy == numpy_.end() || row.model != bench::vector_mediator().name ? Json() : Json(speed / numpy->second)},
                {"ratio_to_one_thread", row.one_thread ? Json(speed / *row.one_thread) : Json()},
                {"noise", row.speed.timing.noise()},
                {"model", row.model},
                {"points", row.speed.points},
                {"templates_s", row.speed.templates_s},
                {"failed_points", row.speed.failed},
                {"direct_fallback", row.operations.direct_fallback},
                {"operations_per_point", operations_json(row.operations)},
                {"counted_points", row.operations.points},
                {"gflops", 1e-9 * row.operations.flops() * speed},
                {"bytes_per_point", row.bytes},
                {"floor_ns",
                 {{"arithmetic", ns * floor.arithmetic},
                  {"functions", ns * floor.functions},
                  {"pipes", ns * floor.pipes},
                  {"divider", ns * floor.divider},
                  {"memory", ns * floor.memory}}},
                {"bound_by", floor.bound_by()}};
    }

    void measure_baselines()
    {
        for (auto const& experiment : options_.experiments)
        {
            auto axes = bench::vector_mediator().axes;
            axes[0].n = options_.quick ? baseline_masses / 8 : baseline_masses;
            axes[1].n = baseline_couplings;
            auto const problem = std::make_shared<Problem const>(prepared_.at(experiment), axes, FixedParameters{});

            spdlog::info("{}/reference", experiment);
            auto const reference = bench::measure_reference(problem, options_.quick ? reference_points / 8 : reference_points,
                                                            effort_);
            std::vector<Json> rows;
            rows.push_back(
                baseline_json(experiment + "/reference", reference.points_per_s(), reference.timing.noise(), reference.points));

            std::string const input = bench::baseline_input(problem, effort_);
            for (char const* const name : {"numpy", "iminuit"})
            {
                spdlog::info("{}/{}", experiment, name);
                auto const baseline = bench::run_baseline(name, input);
                // What is missing is missing for every experiment.
                if (!baseline.missing.empty() && missing_.insert(name).second)
                    warn(fmt::format("{}: not measured{}: {}", name,
                                     std::string_view(name) == "numpy" ? ", ratio_to_numpy is null" : "", baseline.missing));
                if (!baseline.error.empty())
                {
                    spdlog::error("{}/{}: {}", experiment, name, baseline.error);
                    failed_ = true;
                    rows.push_back({{"case", experiment + "/" + name},
                                    {"threads", 1},
                                    {"points_per_s", nullptr},
                                    {"roofline_fraction", nullptr},
                                    {"ratio_to_numpy", nullptr},
                                    {"error", baseline.error}});
                }
                if (!baseline.points_per_s)
                    continue;
                if (std::string_view(name) == "numpy")
                    numpy_[experiment] = *baseline.points_per_s;
                rows.push_back(baseline_json(experiment + "/" + name, *baseline.points_per_s, baseline.noise, baseline.points));
                rows.back()["worst_deviation"] = baseline.worst;
                rows.back()["iterations"] = baseline.iterations;
                rows.back()["version"] = baseline.version;
            }
            auto const numpy = numpy_.find(experiment);
            for (auto& row : rows)
            {
                if (numpy != numpy_.end() && row["points_per_s"].is_number())
                    row["ratio_to_numpy"] = row["points_per_s"].get<double>() / numpy->second;
                baseline_rows_.push_back(std::move(row));
            }
        }
    }

    static Json baseline_json(std::string const& name, double points_per_s, double noise, std::int64_t points)
    {
        return {{"case", name},
                {"threads", 1},
                {"points_per_s", points_per_s},
                {"roofline_fraction", nullptr},
                {"ratio_to_numpy", nullptr},
                {"noise", noise},
                {"model", bench::vector_mediator().name},
                {"points", points}};
    }

    Json measure_scans()
    {
        bench::TemporaryFolder const folder(folder_);
        int const enough = scan_points_ >= once_from_points ? 1 : most_scan_repeats;
        int const repeats = options_.repeats ? effort_.repeats : std::min(enough, effort_.repeats);
        // As large as a scan, within reason: short files come out faster.
        constexpr std::int64_t point_bytes = 9;
        std::int64_t const disk_bytes = options_.quick ? std::int64_t{16} << 20
                                                       : std::clamp<std::int64_t>(point_bytes * scan_points_, least_disk_bytes,
                                                                                  most_disk_bytes);
        spdlog::info("disk of {}", folder_.string());
        disk_bytes_per_s_ = bench::measure_disk(folder.path(), disk_bytes, repeats);
        int const threads = *std::max_element(options_.threads.begin(), options_.threads.end());
        Json scans = Json::array();
        for (auto const& experiment : options_.experiments)
        {
            spdlog::info("{}, whole scan, {}", experiment, counted(threads, "thread"));
            auto const times = bench::measure_scan(experiment, bench::vector_mediator().with_points(scan_points_), threads, repeats,
                                                   folder.path());
            auto const points = static_cast<double>(times.points);
            std::string const name = experiment + "/factored";
            // The output is written beside the computation: what it costs is the time beyond that of the same without it.
            double const computed_and_written = times.compute + times.write;
            double const output_speed = static_cast<double>(times.file_bytes) / computed_and_written;
            scans.push_back({{"case", name},
                             {"threads", threads},
                             {"points", times.points},
                             {"start_s", times.start},
                             {"set_up_s", times.set_up},
                             {"compute_s", times.compute},
                             {"write_s", times.write},
                             {"total_s", times.total()},
                             {"noise", times.noise},
                             {"points_per_s", points / times.total()},
                             {"compute_points_per_s", points / times.compute},
                             {"file_bytes", times.file_bytes},
                             {"points_alone_s", times.points_alone},
                             {"checked_alone_s", times.checked_alone},
                             {"check_adds", times.checked_alone / times.points_alone - 1.0},
                             {"output_adds", computed_and_written / times.checked_alone - 1.0},
                             {"output_gb_s", 1e-9 * output_speed},
                             {"fraction_of_disk", output_speed / disk_bytes_per_s_}});
        }
        return scans;
    }

    BenchOptions const& options_;
    bench::Effort effort_;
    long long scan_points_ = 0;
    std::filesystem::path folder_;
    std::map<std::string, std::shared_ptr<Prepared const>> prepared_;
    std::map<int, bench::Ceilings> ceilings_;
    std::map<std::string, double> numpy_;
    std::set<std::string> missing_;
    std::vector<Json> baseline_rows_;
    Json warnings_ = Json::array();
    double disk_bytes_per_s_ = 0.0;
    bool failed_ = false;
};

std::string number(Json const& value)
{
    return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "-";
}

std::string percent(Json const& value)
{
    return value.is_number() ? fmt::format("{:.1f}%", 100.0 * value.get<double>()) : "-";
}

void print_rows(Json const& rows, bool with_model)
{
    for (auto const& row : rows)
        fmt::print("{:<32} {:>7} {:>12} {:>7} {:>9} {:>10} {:>8}  {}\n", row["case"].get<std::string>(), row["threads"].get<int>(),
                   number(row["points_per_s"]), row.contains("noise") ? percent(row["noise"]) : "-",
                   percent(row["roofline_fraction"]), number(row.value("ratio_to_one_thread", Json())),
                   number(row["ratio_to_numpy"]),
                   row.contains("error")      ? row["error"].get<std::string>()
                   : with_model               ? row["model"].get<std::string>()
                   : row.contains("bound_by") ? row["bound_by"].get<std::string>()
                                              : "");
}

void print_table(Json const& result)
{
    auto const& machine = result["machine"];
    fmt::print("{}, {} cores; {} (commit {}, {})\n\n", machine["cpu"].get<std::string>(), machine["cores"].get<int>(),
               machine["nuscan"].get<std::string>(), machine["commit"].get<std::string>(), machine["compiler"].get<std::string>());
    fmt::print("ceilings      Gflop/s (fma)     div/s    sqrt/s     log/s     exp/s  memory GB/s\n");
    for (auto const& ceilings : result["ceilings_by_threads"])
        fmt::print("{:<2} {:<12} {:>11.2f} {:>9.3g} {:>9.3g} {:>9.3g} {:>9.3g} {:>12.2f}\n", ceilings["threads"].get<int>(),
                   ceilings["instruction_set"].get<std::string>(), ceilings["fma_gflops"].get<double>(),
                   ceilings["div_per_s"].get<double>(), ceilings["sqrt_per_s"].get<double>(), ceilings["log_per_s"].get<double>(),
                   ceilings["exp_per_s"].get<double>(), ceilings["bandwidth_gb_s"].get<double>());
    char const* const header = "{:<32} {:>7} {:>12} {:>7} {:>9} {:>10} {:>8}  {}\n";
    if (!result["rows"].empty())
    {
        fmt::print("\n");
        fmt::print(fmt::runtime(header), "case", "threads", "points/s", "noise", "roofline", "/ 1 thread", "/ NumPy", "bound by");
        print_rows(result["rows"], false);
    }
    if (!result["models"].empty())
    {
        fmt::print("\n");
        fmt::print(fmt::runtime(header), "case", "threads", "points/s", "noise", "roofline", "/ 1 thread", "", "model");
        print_rows(result["models"], true);
    }
    if (!result["scans"].empty())
    {
        fmt::print("\n{:<32} {:>7} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>6}\n", "scan", "threads", "points",
                   "start s", "set-up s", "comp. s", "write s", "total s", "output", "GB/s", "disk");
        for (auto const& scan : result["scans"])
            fmt::print("{:<32} {:>7} {:>10} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f} {:>7} {:>7.3f} {:>6}\n",
                       scan["case"].get<std::string>(), scan["threads"].get<int>(), scan["points"].get<long long>(),
                       scan["start_s"].get<double>(), scan["set_up_s"].get<double>(), scan["compute_s"].get<double>(),
                       scan["write_s"].get<double>(), scan["total_s"].get<double>(), percent(scan["output_adds"]),
                       scan["output_gb_s"].get<double>(), percent(scan["fraction_of_disk"]));
    }
}

} // namespace

void add_bench(CLI::App& app, Program& program)
{
    auto const options = std::make_shared<BenchOptions>();
    auto* const command = app.add_subcommand("bench", "Speed, beside what the machine can do and what Python does");
    command->add_flag("--json", options->json, "Print JSON");
    command->add_flag("--quick", options->quick, "A first look in a quarter of the time: fewer points, shorter repeats");
    command->add_option("-e,--experiment", options->experiments, "Experiments")
        ->type_name("NAME")
        ->expected(1, CLI::detail::expected_max_vector_size)
        ->capture_default_str();
    whole_number(command->add_option("--threads", options->threads, "Numbers of threads"))
        ->expected(1, CLI::detail::expected_max_vector_size)
        ->capture_default_str();
    command->add_option("--part", options->parts, "What is measured: rows, baselines (reference, NumPy, iminuit), models, scans")
        ->type_name("PART")
        ->expected(1, CLI::detail::expected_max_vector_size)
        ->capture_default_str();
    whole_number(command->add_option("--repeats", options->repeats, "Repeats of everything, of which the best counts (default 5)"));
    command->add_option("--min-time", options->min_time, "Least time of one repeat [s] (default 0.2)");
    whole_number(command->add_option("--points", options->points, "Points of the whole scans (default 1000000)"));
    command->add_option("--folder", options->folder, "Where the whole scans write (default: that for temporary files)");
    command->footer(
        "Every case is <experiment>/<route>; its roofline fraction is the least time that its counted operations could\n"
        "take on this machine, all ceilings measured in the same run, over the time they take. Columns, method and\n"
        "how to compare two runs: tools/bench/README.md. The Python baselines use NUSCAN_PYTHON, else python3,\n"
        "else /usr/bin/python3; NUSCAN_BENCH_DIR names the folder of baselines.py.\n\n"
        "Example: nuscan bench --json > before.json");
    command->callback([options, &program] {
        Bench bench(*options);
        Json const result = bench.run();
        if (options->json)
            print_json(result);
        else
            print_table(result);
        if (bench.failed())
            program.exit_code = exit_failure;
    });
}

} // namespace nuscan::cli
