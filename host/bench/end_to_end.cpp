#include "host/bench/end_to_end.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <vector>

#include "host/io/journal.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/scan/self_check.hpp"
#include "host/support/clock.hpp"
#include "host/support/error.hpp"
#include "host/support/process.hpp"

namespace fs = std::filesystem;

namespace nuscan::bench
{

namespace
{

double start_time(int repeats)
{
    double best = 0.0;
    for (int repeat = 0; repeat < repeats; ++repeat)
    {
        auto const start = Clock::now();
        auto const finished = run_process({own_program().string(), "--version"});
        double const seconds = seconds_since(start);
        if (finished.exit_code != 0)
            throw RunError(fmt::format("{} --version failed: {}", own_program().string(), one_line(finished.err)));
        best = repeat == 0 ? seconds : std::min(best, seconds);
    }
    return best;
}

/// \param seed  becomes that of its self-check
EndToEnd scan_once(ScanConfiguration const& configuration, int threads, fs::path const& output, std::string& seed)
{
    auto const start = Clock::now();
    auto set_up_done = start;
    auto computed = start;
    ScanOptions options;
    options.output = output;
    options.device = choose_device("cpu", threads);
    options.threads = threads;
    options.route = Route::factored;
    options.restart = true;
    options.command_line = "nuscan bench";
    options.started = [&](JournalContents const&) { set_up_done = computed = Clock::now(); };
    options.progress = [&](ScanProgress const&) { computed = Clock::now(); };
    DataFolder data = DataFolder::find();
    ScanResult const result = run_scan(configuration, data, options);
    auto const end = Clock::now();
    if (result.outcome != ScanOutcome::finished)
        throw RunError(fmt::format("{}: the scan failed its self-check", configuration.title));
    auto const seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
    EndToEnd times;
    times.points = configuration.size();
    times.set_up = seconds(start, set_up_done);
    times.compute = seconds(set_up_done, computed);
    times.write = seconds(computed, end);
    times.file_bytes = fs::file_size(output);
    seed = result.meta.configuration_sha256;
    return times;
}

/// Seconds of the points of a scan and its self-check, without output.
double measure_checked_alone(std::shared_ptr<Problem const> const& problem, int threads, std::string const& seed)
{
    auto const start = Clock::now();
    SelfCheck check(problem, {0, problem->size()}, seed);
    check.finish(measure_points_alone(problem, threads));
    return seconds_since(start);
}

/// What is written to measure a disk, in memory that direct writes take.
class DiskBlock
{
public:
    explicit DiskBlock(std::size_t words) : bytes_(words * sizeof(std::uint64_t)), words_(new (alignment) std::uint64_t[words])
    {
        std::uint64_t state = 1;
        for (std::size_t i = 0; i < words; ++i)
            words_[i] = state = state * 6364136223846793005u + 1442695040888963407u;
    }
    ~DiskBlock() { ::operator delete[](words_, alignment); }
    DiskBlock(DiskBlock const&) = delete;
    DiskBlock& operator=(DiskBlock const&) = delete;

    void const* data() const { return words_; }
    std::size_t size() const { return bytes_; }

private:
    static constexpr std::align_val_t alignment{4096};
    std::size_t bytes_;
    std::uint64_t* words_;
};

/// Seconds that a file of whole blocks takes until it is on the disk. \param way  0 or O_DIRECT; nothing where the system refuses that
std::optional<double> write_to_disk(fs::path const& file, DiskBlock const& block, std::int64_t bytes, int way)
{
    auto const start = Clock::now();
    int const descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | way, 0600);
    bool good = descriptor >= 0;
    for (std::int64_t left = bytes; good && left > 0;)
    {
        ssize_t const n = ::write(descriptor, block.data(), block.size());
        if (n < 0 && errno == EINTR)
            continue;
        good = n >= 0;
        left -= n;
    }
    good = good && ::fsync(descriptor) == 0;
    int const reason = errno;
    if (descriptor >= 0)
        ::close(descriptor);
    if (good)
        return seconds_since(start);
    if (way != 0)
        return std::nullopt;
    throw RunError(fmt::format("{}: cannot be written: {}", file.string(), std::generic_category().message(reason)));
}

} // namespace

EndToEnd measure_scan(std::string const& experiment, std::vector<Axis> const& axes, int threads, int repeats,
                      fs::path const& folder)
{
    ScanConfiguration configuration;
    configuration.title = fmt::format("benchmark, {}", experiment);
    configuration.experiments = {experiment};
    configuration.axes = axes;
    double const start = start_time(repeats);
    auto const prepared = prepare(experiment);
    EndToEnd best;
    double points_alone = HUGE_VAL;
    double checked_alone = HUGE_VAL;
    Timing totals;
    for (int repeat = 0; repeat < repeats; ++repeat)
    {
        std::string seed;
        EndToEnd times = scan_once(configuration, threads, folder / "scan.h5", seed);
        times.start = start;
        totals.seconds.push_back(times.total());
        if (repeat == 0 || times.total() < best.total())
            best = times;
        // In turn with the scans: they are compared, and machines change their speed.
        auto const problem = std::make_shared<Problem const>(prepared, axes, FixedParameters{});
        checked_alone = std::min(checked_alone, measure_checked_alone(problem, threads, seed));
        points_alone = std::min(points_alone, measure_points_alone(problem, threads));
    }
    best.noise = totals.noise();
    best.points_alone = points_alone;
    best.checked_alone = checked_alone;
    return best;
}

double measure_disk(fs::path const& folder, std::int64_t bytes, int repeats)
{
    // Not all alike: a disk that compresses is not to be measured by nothing.
    constexpr std::size_t words = std::size_t{1} << 19;
    std::unique_ptr<DiskBlock> const block{new DiskBlock(words)};
    double best = 0.0;
    for (int repeat = 0; repeat < repeats; ++repeat)
        for (int const way : {0, O_DIRECT})
            if (auto const seconds = write_to_disk(folder / "disk", *block, bytes, way))
                best = std::max(best, static_cast<double>(bytes) / *seconds);
    return best;
}

} // namespace nuscan::bench
