// The CUDA backend: chunks of points through the devices of a node, copies and kernels overlapped.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "host/backends/backend.hpp"
#include "host/support/error.hpp"
#include "host/support/start_thread.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/device_problem.hpp"
#include "kernels/point_kernels.hpp"

namespace nuscan
{

namespace cuda
{

namespace
{

/// Share of the free memory that templates may take.
constexpr double bank_share = 0.5;

/// What one chunk needs on a device and on the host. While one chunk computes, the other is copied.
struct Lane
{
    Lane(std::int64_t points, ProblemView const& problem, PointOutputs const& wanted, bool direct)
        : chi2(size(points))
        , status(size(points))
        , pulls(wanted.pulls != nullptr ? size(points) * size(pull_count(problem)) : 0)
        , rates(wanted.rates != nullptr ? size(points) * size(problem.layout.n_slots) : 0)
        , direct_rates(direct ? size(points) * size(problem.layout.n_slots) : 0)
        , host_chi2(chi2.size())
        , host_status(status.size())
        , host_pulls(pulls.size())
        , host_rates(rates.size())
    {
    }

    static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
    DeviceOutputs outputs() const { return {chi2.data(), status.data(), pulls.data(), rates.data()}; }

    /// Copies results to pinned memory, behind the kernels of the stream.
    void fetch(std::int64_t points) const
    {
        auto const copy = [&](auto const& to, auto const& from, std::size_t per_point) {
            if (from.size() > 0)
                check(cudaMemcpyAsync(to.data(), from.data(), size(points) * per_point * sizeof(*from.data()),
                                      cudaMemcpyDeviceToHost, stream.get()),
                      "copying results");
        };
        copy(host_chi2, chi2, 1);
        copy(host_status, status, 1);
        copy(host_pulls, pulls, pulls.size() / chi2.size());
        copy(host_rates, rates, rates.size() / chi2.size());
    }

    Stream stream;
    DeviceArray<double> chi2;
    DeviceArray<std::uint8_t> status;
    DeviceArray<double> pulls;
    DeviceArray<double> rates;
    DeviceArray<double> direct_rates;
    PinnedArray<double> host_chi2;
    PinnedArray<std::uint8_t> host_status;
    PinnedArray<double> host_pulls;
    PinnedArray<double> host_rates;
    IndexRange range; ///< points under way, empty if none
};

/// One device at work on a problem.
class Worker
{
public:
    Worker(ProblemView const& host, bool direct, int ordinal, CudaSizes const& sizes)
        : sizes_(sizes)
        , direct_(direct)
        , ordinal_(ordinal)
    {
        check(cudaSetDevice(ordinal_), "choosing the device");
        try
        {
            problem_.emplace(host);
        }
        catch (OutOfMemory const& problem)
        {
            throw RunError(fmt::format("{}; the tables of the experiments do not fit: stop other programs on device {} or use "
                                       "--device cpu",
                                       problem.what(), ordinal_));
        }
    }

    void evaluate(IndexRange range, PointOutputs const& outputs)
    {
        check(cudaSetDevice(ordinal_), "choosing the device");
        if (range.size() == 0)
            return;
        for (;;)
            try
            {
                return run(range, outputs);
            }
            catch (OutOfMemory const& problem)
            {
                // Not for the chunk itself but beside it: templates, points done again, local memory when a kernel starts.
                abandon();
                if (!make_room())
                    throw RunError(
                        fmt::format("{}; not even a chunk of {} points leaves enough room: stop other programs on device "
                                    "{}, store fewer outputs or use --device cpu",
                                    problem.what(), chunk_, ordinal_));
            }
            catch (...)
            {
                abandon();
                throw;
            }
    }

private:
    ProblemView const& view() const { return problem_->view(); }

    void run(IndexRange range, PointOutputs const& outputs)
    {
        prepare(range.size(), outputs);
        std::size_t turn = 0;
        for (std::int64_t begin = range.begin; begin < range.end;)
        {
            Lane& lane = *lanes_[turn];
            turn = 1 - turn;
            finish(lane, range.begin, outputs);
            lane.range = {begin, std::min(begin + chunk_, range.end)};
            if (direct_)
                start_direct(lane);
            else
                start_factored(lane);
            begin = lane.range.end;
        }
        for (std::size_t i = 0; i < 2; ++i)
            finish(*lanes_[(turn + i) % 2], range.begin, outputs);
    }

    /// After a failure: nothing under way, nothing kept that may be half done.
    void abandon()
    {
        for (auto& lane : lanes_)
            if (lane)
            {
                cudaStreamSynchronize(lane->stream.get());
                lane->range = {};
            }
        bank_begin_ = bank_end_ = 0;
        cudaGetLastError();
    }

    /// Gives memory back, such that the next try takes less. \returns false if there is nothing left to save
    bool make_room()
    {
        bool const smaller_chunks = chunk_ > sizes_.smallest_chunk;
        bool const smaller_bank = bank_capacity_ > 1;
        if (!smaller_chunks && !smaller_bank)
            return false;
        chunk_limit_ = std::max(sizes_.smallest_chunk, chunk_ / 2);
        if (smaller_bank)
            bank_limit_ = bank_capacity_ / 2;
        lanes_[0].reset();
        lanes_[1].reset();
        bank_ = {};
        bank_capacity_ = 0;
        return true;
    }

    /// Memory for chunks of up to \p points points with the outputs wanted.
    void prepare(std::int64_t points, PointOutputs const& outputs)
    {
        std::int64_t wanted = std::min(sizes_.chunk(direct_, points), chunk_limit_);
        bool const same = lanes_[0] && lanes_[1] && (outputs.pulls != nullptr) == (lanes_[0]->pulls.size() > 0)
                          && (outputs.rates != nullptr) == (lanes_[0]->rates.size() > 0);
        if (same && capacity_ >= wanted)
        {
            chunk_ = wanted;
            return;
        }
        for (;;)
        {
            lanes_[0].reset();
            lanes_[1].reset();
            try
            {
                lanes_[0].emplace(wanted, view(), outputs, direct_);
                lanes_[1].emplace(wanted, view(), outputs, direct_);
                chunk_ = capacity_ = wanted;
                return;
            }
            catch (OutOfMemory const& problem)
            {
                lanes_[0].reset();
                lanes_[1].reset();
                // Templates are made again more cheaply than points in small chunks.
                if (bank_capacity_ > 0)
                {
                    bank_ = {};
                    bank_capacity_ = bank_begin_ = bank_end_ = 0;
                    continue;
                }
                if (wanted <= sizes_.smallest_chunk)
                    throw RunError(
                        fmt::format("{}; a chunk of {} points does not fit: stop other programs on device {}, store fewer "
                                    "outputs or use --device cpu",
                                    problem.what(), wanted, ordinal_));
                wanted = chunk_limit_ = std::max(sizes_.smallest_chunk, wanted / 2);
            }
        }
    }

    void start_direct(Lane& lane)
    {
        std::int64_t const n = lane.range.size();
        direct_rates(view(), lane.range, nullptr, n, lane.direct_rates.data(), lane.stream.get());
        evaluate_rates(view(), lane.range, nullptr, n, lane.direct_rates.data(), PointStatus::ok, lane.outputs(),
                       lane.stream.get());
        lane.fetch(n);
    }

    /// Starts a chunk, or the part of it whose templates fit into the bank: the lane's range is cut to it.
    void start_factored(Lane& lane)
    {
        if (bank_capacity_ == 0)
            make_bank();
        lane.range = compact_part(view(), lane.range);
        CombinationBox box = combination_box(view(), lane.range);
        while (box.last_mass - box.first_mass >= bank_capacity_)
        {
            lane.range.end = lane.range.begin + (lane.range.size() + 1) / 2;
            box = combination_box(view(), lane.range);
        }
        provide_templates(box, lane);
        evaluate_factored(view(), lane.range, box, bank_.data() + (box.first_mass - bank_begin_) * view().layout.size(),
                          lane.outputs(), lane.stream.get());
        lane.fetch(lane.range.size());
    }

    void make_bank()
    {
        std::size_t free = 0;
        std::size_t total = 0;
        check(cudaMemGetInfo(&free, &total), "asking for free memory");
        auto const bytes = static_cast<std::size_t>(view().layout.size()) * sizeof(double);
        // The runtime takes local memory when the kernels start for the first time.
        std::size_t const local = local_memory(view(), false);
        double const usable = free > local ? static_cast<double>(free - local) : 0.0;
        std::int64_t const room = sizes_.bank > 0 ? sizes_.bank
                                                  : static_cast<std::int64_t>(bank_share * usable / static_cast<double>(bytes));
        std::int64_t capacity = std::clamp<std::int64_t>(std::min(room, bank_limit_), 1, view().n_mass_combinations);
        for (;;)
            try
            {
                bank_ = DeviceArray<double>(static_cast<std::size_t>(capacity) * bytes / sizeof(double));
                bank_capacity_ = capacity;
                return;
            }
            catch (OutOfMemory const&)
            {
                if (capacity == 1)
                    throw;
                capacity = (capacity + 1) / 2;
            }
    }

    /// Sees to it that the bank holds the box's templates before the lane's next kernel runs.
    void provide_templates(CombinationBox const& box, Lane const& lane)
    {
        std::int64_t const end = box.last_mass + 1;
        bool const fits_behind = box.first_mass >= bank_begin_ && box.first_mass <= bank_end_
                                 && end <= bank_begin_ + bank_capacity_;
        if (!fits_behind)
        {
            // The other lane may still read what is about to be overwritten.
            for (auto const& other : lanes_)
                other->stream.synchronise();
            bank_begin_ = bank_end_ = box.first_mass;
        }
        if (end > bank_end_)
        {
            fold_templates(view(), bank_end_, end - bank_end_, bank_.data() + (bank_end_ - bank_begin_) * view().layout.size(),
                           lane.stream.get());
            // Both lanes read them from now on.
            lane.stream.synchronise();
            bank_end_ = end;
        }
    }

    /// Waits for a lane and hands its results over.
    void finish(Lane& lane, std::int64_t first, PointOutputs const& outputs)
    {
        std::int64_t const n = lane.range.size();
        if (n == 0)
            return;
        lane.stream.synchronise();
        if (!direct_)
            repeat_cancelling(lane);
        PointOutputs const to = outputs.from(lane.range.begin - first, pull_count(view()), bin_count(view()));
        std::copy_n(lane.host_chi2.data(), n, to.chi2);
        std::copy_n(lane.host_status.data(), n, to.status);
        if (to.pulls != nullptr)
            std::copy_n(lane.host_pulls.data(), n * pull_count(view()), to.pulls);
        if (to.rates != nullptr)
        {
            double* next = to.rates;
            double const* padded = lane.host_rates.data();
            for (std::int64_t i = 0; i < n; ++i)
                for (int e = 0; e < view().n_experiments; ++e)
                {
                    next = std::copy_n(padded, view().response[e].n_bins, next);
                    padded += view().response[e].stride;
                }
        }
        lane.range = {};
    }

    /// Points that the factored kernel left alone are done by the direct route.
    void repeat_cancelling(Lane const& lane)
    {
        std::vector<std::int64_t> points;
        for (std::int64_t i = 0; i < lane.range.size(); ++i)
            if (lane.host_status.data()[i] == wants_direct_route)
                points.push_back(lane.range.begin + i);
        if (points.empty())
            return;
        DeviceArray<double> const rates = direct_scratch(points.size());
        std::size_t const batch = rates.size() / static_cast<std::size_t>(view().layout.n_slots);
        for (std::size_t begin = 0; begin < points.size(); begin += batch)
        {
            std::size_t const n = std::min(batch, points.size() - begin);
            DeviceArray<std::int64_t> const indices(points.data() + begin, n);
            auto const count = static_cast<std::int64_t>(n);
            direct_rates(view(), lane.range, indices.data(), count, rates.data(), lane.stream.get());
            evaluate_rates(view(), lane.range, indices.data(), count, rates.data(), PointStatus::ok_direct, lane.outputs(),
                           lane.stream.get());
            lane.stream.synchronise();
        }
        lane.fetch(lane.range.size());
        lane.stream.synchronise();
    }

    /// Rates of up to \p points points, of fewer where memory is short.
    DeviceArray<double> direct_scratch(std::size_t points) const
    {
        auto const slots = static_cast<std::size_t>(view().layout.n_slots);
        std::size_t batch = std::min(points, static_cast<std::size_t>(sizes_.direct_chunk));
        for (;;)
            try
            {
                return DeviceArray<double>(batch * slots);
            }
            catch (OutOfMemory const&)
            {
                if (batch == 1)
                    throw;
                batch = (batch + 1) / 2;
            }
    }

    CudaSizes sizes_;
    bool direct_;
    int ordinal_;
    std::optional<DeviceProblem> problem_;
    std::optional<Lane> lanes_[2];
    std::int64_t capacity_ = 0; ///< points that a lane can hold
    std::int64_t chunk_ = 0;    ///< points that it is given
    /// What chunks and templates may be at most since memory was found too short for more.
    std::int64_t chunk_limit_ = std::numeric_limits<std::int64_t>::max();
    std::int64_t bank_limit_ = std::numeric_limits<std::int64_t>::max();

    /// Templates of the mass combinations [bank_begin_, bank_end_).
    DeviceArray<double> bank_;
    std::int64_t bank_capacity_ = 0;
    std::int64_t bank_begin_ = 0;
    std::int64_t bank_end_ = 0;
};

class CudaBackend : public Backend
{
public:
    CudaBackend(std::shared_ptr<Problem const> problem, Route route, std::vector<int> const& ordinals, CudaSizes const& sizes)
        : problem_(std::move(problem))
    {
        for (int const ordinal : ordinals)
            workers_.push_back(std::make_unique<Worker>(problem_->view(), route == Route::direct, ordinal, sizes));
    }

    std::string name() const override { return "cuda"; }

    void evaluate(IndexRange range, PointOutputs const& outputs) override
    {
        auto const n = static_cast<std::int64_t>(workers_.size());
        if (n == 1)
        {
            workers_.front()->evaluate(range, outputs);
            return;
        }
        std::vector<std::exception_ptr> failures(workers_.size());
        std::vector<std::jthread> threads;
        for (std::int64_t w = 0; w < n; ++w)
            threads.push_back(start_thread<std::jthread>([&, w] {
                auto const worker = static_cast<std::size_t>(w);
                try
                {
                    IndexRange const part{range.begin + range.size() * w / n, range.begin + range.size() * (w + 1) / n};
                    auto const& view = problem_->view();
                    workers_[worker]->evaluate(part, outputs.from(part.begin - range.begin, pull_count(view), bin_count(view)));
                }
                catch (...)
                {
                    failures[worker] = std::current_exception();
                }
            }));
        threads.clear(); // joins
        for (auto const& failure : failures)
            if (failure)
                std::rethrow_exception(failure);
    }

private:
    std::shared_ptr<Problem const> problem_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

std::string version_text(int version)
{
    return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

/// Why a device cannot be used, or why there is none.
std::string explain(cudaError_t code)
{
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0)
        return "there is no NVIDIA driver on this machine";
    if (code == cudaErrorInsufficientDriver)
        return fmt::format("the NVIDIA driver is too old: it supports CUDA {}, this binary needs {}", version_text(driver),
                           version_text(CUDART_VERSION));
    if (code == cudaErrorNoDevice)
        return "the NVIDIA driver sees no device (is CUDA_VISIBLE_DEVICES set?)";
    return fmt::format("CUDA does not start: {} ({})", cudaGetErrorString(code), cudaGetErrorName(code));
}

/// Takes the device for a moment. \returns why it cannot be used, empty if it can
std::string try_device(int ordinal, cudaDeviceProp const& properties)
{
    cudaError_t code = cudaSetDevice(ordinal);
    if (code == cudaSuccess)
        code = load_kernels();
    cudaGetLastError();
    switch (code)
    {
    case cudaSuccess:
        return "";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
        return fmt::format("{} (compute capability {}.{}) cannot run the device code of this binary; build with "
                           "-DCMAKE_CUDA_ARCHITECTURES={}{}",
                           properties.name, properties.major, properties.minor, properties.major, properties.minor);
    default:
        return fmt::format("{} (cuda:{}) cannot be used: {} ({})", properties.name, ordinal, cudaGetErrorString(code),
                           cudaGetErrorName(code));
    }
}

} // namespace

} // namespace cuda

std::vector<CudaDevice> find_cuda_devices(std::string& reason, int only)
{
    int count = 0;
    cudaError_t const code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess || count == 0)
    {
        reason = cuda::explain(code == cudaSuccess ? cudaErrorNoDevice : code);
        cudaGetLastError();
        return {};
    }
    std::vector<CudaDevice> devices;
    for (int ordinal = 0; ordinal < count; ++ordinal)
    {
        cudaDeviceProp properties{};
        if (cudaError_t const failure = cudaGetDeviceProperties(&properties, ordinal); failure != cudaSuccess)
        {
            cudaGetLastError();
            devices.push_back({ordinal, fmt::format("cuda:{}", ordinal), cuda::explain(failure)});
            continue;
        }
        devices.push_back({ordinal,
                           fmt::format("{} (cuda:{}, sm_{}{}, {:.0f} GiB)", properties.name, ordinal, properties.major,
                                       properties.minor, static_cast<double>(properties.totalGlobalMem) / (1 << 30)),
                           only < 0 || only == ordinal ? cuda::try_device(ordinal, properties) : ""});
    }
    return devices;
}

std::unique_ptr<Backend> make_cuda_backend(std::shared_ptr<Problem const> problem, Route route, int ordinal, CudaSizes const& sizes)
{
    std::string reason;
    std::vector<int> ordinals;
    for (auto const& device : find_cuda_devices(reason, ordinal))
    {
        if (ordinal >= 0 && ordinal != device.ordinal)
            continue;
        if (device.problem.empty())
            ordinals.push_back(device.ordinal);
        else if (reason.empty())
            reason = device.problem;
    }
    if (ordinals.empty())
        throw NotCompiled(fmt::format("no CUDA device to compute on: {}; use --device cpu",
                                      reason.empty() ? fmt::format("there is no device {}", ordinal) : reason));
    return std::make_unique<cuda::CudaBackend>(std::move(problem), route, ordinals, sizes);
}

} // namespace nuscan
