#include "host/mpi/mpi_team.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <nuscan_version.hpp>
#include <set>

#include "host/scan/chunk_queue.hpp"
#include "host/support/clock.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan
{

namespace
{

/// Messages by their tags. From rank 0: call, work, end. To rank 0: ready, result, failure, stop.
enum Tag
{
    tag_call = 1, ///< text: what is to be computed; the ranks start to prepare it
    tag_work,     ///< IndexRange
    tag_end,      ///< int: the exit code; no answer
    tag_ready,    ///< text: the device; work may come
    tag_result,   ///< ResultHeader and the arrays of a chunk
    tag_failure,  ///< text: why this rank cannot go on
    tag_stop      ///< empty: a signal asked this rank to end
};

/// In front of a result's arrays: chi2, status, pulls, rates.
struct ResultHeader
{
    std::int64_t begin;
    std::int64_t n;
};

/// How often somebody who waits looks: often while chunks come and go, less so where nothing happens. MPI's own waiting would take
/// all of a processor.
class Pause
{
public:
    void operator()()
    {
        std::this_thread::sleep_for(std::min(time_, longest));
        time_ += time_ / 8;
    }
    void reset() { time_ = shortest; }

private:
    static constexpr std::chrono::microseconds shortest{50};
    static constexpr std::chrono::microseconds longest{1000};
    std::chrono::microseconds time_ = shortest;
};

double now_s()
{
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

struct Message
{
    int rank = 0;
    int tag = 0;
    std::vector<char> bytes;

    std::string text() const { return {bytes.begin(), bytes.end()}; }
};

/// The next message, if one is there.
std::optional<Message> receive()
{
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
    if (there == 0)
        return std::nullopt;
    Message message{status.MPI_SOURCE, status.MPI_TAG, {}};
    int size = 0;
    MPI_Get_count(&status, MPI_BYTE, &size);
    message.bytes.resize(static_cast<std::size_t>(size));
    MPI_Recv(message.bytes.data(), size, MPI_BYTE, message.rank, message.tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return message;
}

void send(int rank, Tag tag, void const* bytes, std::size_t size)
{
    MPI_Send(bytes, static_cast<int>(size), MPI_BYTE, rank, tag, MPI_COMM_WORLD);
}

void send(int rank, Tag tag, std::string const& text)
{
    send(rank, tag, text.data(), text.size());
}

/// The arrays of a chunk in the order that they have in a message.
template<class Move>
void each_array(Chunk& chunk, Move&& move)
{
    move(chunk.chi2);
    move(chunk.status);
    move(chunk.pulls);
    move(chunk.rates);
}

std::vector<char> pack(Chunk& chunk)
{
    ResultHeader const header{chunk.begin, chunk.size()};
    std::vector<char> bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    each_array(chunk, [&bytes](auto const& values) {
        auto const* const from = reinterpret_cast<char const*>(values.data());
        bytes.insert(bytes.end(), from, from + values.size() * sizeof values[0]);
    });
    return bytes;
}

Chunk unpack(std::vector<char> const& bytes, std::size_t n_pulls, std::size_t n_rates)
{
    ResultHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    Chunk chunk;
    chunk.begin = header.begin;
    chunk.resize(header.n, n_pulls, n_rates);
    char const* from = bytes.data() + sizeof header;
    each_array(chunk, [&from](auto& values) {
        std::copy_n(from, values.size() * sizeof values[0], reinterpret_cast<char*>(values.data()));
        from += values.size() * sizeof values[0];
    });
    return chunk;
}

int end_code(Message const& message)
{
    int code = 1;
    std::memcpy(&code, message.bytes.data(), sizeof code);
    return code;
}

std::string program_name()
{
    return fmt::format("nuscan {} (commit {}{})", build::version, build::commit, build::dirty ? ", modified" : "");
}

} // namespace

/// Rank 0's side while a scan runs.
class ChunkLeader
{
public:
    ChunkLeader(std::vector<std::string> names, std::function<bool()> stopped)
        : names_(std::move(names))
        , stopped_(std::move(stopped))
    {
    }
    ~ChunkLeader() { finish(1); }
    ChunkLeader(ChunkLeader const&) = delete;
    ChunkLeader& operator=(ChunkLeader const&) = delete;

    /// Calls the other ranks and begins.
    void start(ScanWork const& work, std::unique_ptr<Backend> own, std::string const& call)
    {
        own_ = std::move(own);
        n_pulls_ = work.n_pulls;
        n_rates_ = work.n_rates;
        int const ranks = static_cast<int>(names_.size());
        auto const most = static_cast<std::int64_t>((INT_MAX - sizeof(ResultHeader)) / Chunk::bytes(1, n_pulls_, n_rates_));
        queue_.emplace(IndexRange{work.first, work.identity.range.end}, std::min(work.chunk, most), ranks);
        for (int rank = 1; rank < ranks; ++rank)
        {
            send(rank, tag_call, call);
            busy_.insert(rank); // preparing
        }
        computing_ = std::thread([this] { compute(); });
        handing_out_ = std::thread([this] { hand_out(); });
    }

    bool started() const { return handing_out_.joinable(); }

    std::string backend_name() const { return own_->name(); }

    /// Waits for the results of the points.
    void deliver(IndexRange range, PointOutputs const& outputs)
    {
        std::unique_lock lock(mutex_);
        wanted_ = range.end;
        for (std::int64_t done = 0; done < range.size();)
        {
            done += queue_->deliver({range.begin + done, range.end}, outputs.from(done, count(n_pulls_), count(n_rates_)));
            // There is room for more, or an end to wait for.
            changed_.notify_all();
            if (done == range.size())
                break;
            if (!failure_.empty())
                throw RunError(failure_);
            changed_.wait(lock);
        }
    }

    /// Whether a signal came and everything that was under way is delivered.
    bool stopped()
    {
        std::lock_guard const lock(mutex_);
        return stopping_ && queue_->drained();
    }

    /// Tells the others to end. \returns the ranks that did not answer any more, empty if all did
    std::vector<int> finish(int exit_code)
    {
        if (!started())
            return {};
        {
            std::lock_guard const lock(mutex_);
            ending_ = true;
            exit_code_ = exit_code;
            changed_.notify_all();
        }
        handing_out_.join();
        computing_.join();
        return {busy_.begin(), busy_.end()};
    }

private:
    static std::int64_t count(std::size_t n) { return static_cast<std::int64_t>(n); }

    /// The thread that computes rank 0's chunks.
    void compute()
    {
        std::unique_lock lock(mutex_);
        while (!ending_)
        {
            auto const range = failure_.empty() ? queue_->hand_out(0, now_s()) : std::nullopt;
            if (!range)
            {
                // Time alone may make a chunk of others overdue.
                changed_.wait_for(lock, std::chrono::milliseconds(5));
                continue;
            }
            lock.unlock();
            Chunk chunk;
            std::string problem;
            try
            {
                chunk.begin = range->begin;
                chunk.resize(range->size(), n_pulls_, n_rates_);
                own_->evaluate(*range, chunk.outputs());
            }
            catch (std::exception const& error)
            {
                problem = error.what();
            }
            lock.lock();
            if (problem.empty())
                queue_->take_back(0, std::move(chunk), now_s());
            else
                fail(0, problem);
            changed_.notify_all();
        }
    }

    /// The thread that talks to the other ranks.
    void hand_out()
    {
        Pause pause;
        double ending_since = 0.0;
        std::unique_lock lock(mutex_);
        for (;;)
        {
            lock.unlock();
            auto const message = receive();
            lock.lock();
            bool busy = message.has_value();
            if (message)
                take(*message);
            if (stopped_())
                stopping_ = true;
            if (stopping_)
                queue_->stop_at(wanted_);
            if (ending_)
            {
                ending_since = ending_since > 0.0 ? ending_since : now_s();
                for (int const rank : idle_)
                    send(rank, tag_end, &exit_code_, sizeof exit_code_);
                idle_.clear();
                double const longest = std::max(least_wait_s, wait_factor * queue_->mean_duration_s());
                if (busy_.empty() || now_s() - ending_since > longest)
                    return;
            }
            else if (failure_.empty())
                busy = assign() || busy;
            if (busy)
                pause.reset();
            else
            {
                lock.unlock();
                pause();
                lock.lock();
            }
        }
    }

    void take(Message const& message)
    {
        switch (message.tag)
        {
        case tag_ready:
            spdlog::info("{}: {}", names_[static_cast<std::size_t>(message.rank)], message.text());
            break;
        case tag_result:
            queue_->take_back(message.rank, unpack(message.bytes, n_pulls_, n_rates_), now_s());
            changed_.notify_all();
            break;
        case tag_failure:
            fail(message.rank, message.text());
            break;
        case tag_stop:
            stopping_ = true;
            return;
        default:
            return;
        }
        busy_.erase(message.rank);
        idle_.insert(message.rank);
    }

    /// Gives work to whoever has none. \returns whether anybody got some
    bool assign()
    {
        bool any = false;
        for (auto next = idle_.begin(); next != idle_.end();)
        {
            int const rank = *next++;
            auto const range = queue_->hand_out(rank, now_s());
            if (!range)
                continue;
            send(rank, tag_work, &*range, sizeof *range);
            idle_.erase(rank);
            busy_.insert(rank);
            any = true;
        }
        return any;
    }

    void fail(int rank, std::string const& problem)
    {
        if (failure_.empty())
            failure_ = fmt::format("{}: {}", names_[static_cast<std::size_t>(rank)], problem);
        changed_.notify_all();
    }

    /// A rank that still has not answered the end of all after this time [s], and after so many times what a chunk takes, never
    /// will.
    static constexpr double least_wait_s = 5.0;
    static constexpr double wait_factor = 20.0;

    std::vector<std::string> names_; ///< by rank
    std::function<bool()> stopped_;
    std::unique_ptr<Backend> own_;
    std::size_t n_pulls_ = 0;
    std::size_t n_rates_ = 0;
    std::mutex mutex_; ///< of everything below; MPI is called by the thread that hands out alone
    std::condition_variable changed_;
    std::optional<ChunkQueue> queue_;
    std::set<int> idle_;
    std::set<int> busy_;
    std::int64_t wanted_ = 0; ///< behind the last point that somebody waits for
    bool stopping_ = false;
    bool ending_ = false;
    int exit_code_ = 1;
    std::string failure_;
    std::thread computing_;
    std::thread handing_out_;
};

namespace
{

/// What run_scan() takes for the backend.
class TeamBackend : public Backend
{
public:
    explicit TeamBackend(ChunkLeader& leader) : leader_(leader) {}
    std::string name() const override { return leader_.backend_name(); }
    void evaluate(IndexRange range, PointOutputs const& outputs) override { leader_.deliver(range, outputs); }

private:
    ChunkLeader& leader_;
};

} // namespace

MpiTeam::MpiTeam(int& argc, char**& argv, std::function<bool()> stopped) : stopped_(std::move(stopped))
{
    int threads = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &threads);
    if (threads < MPI_THREAD_SERIALIZED)
        throw RunError("this MPI library cannot be called from threads; nuscan-mpi needs MPI_THREAD_SERIALIZED");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm node;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &node_rank_);
    MPI_Comm_size(node, &node_size_);

    // Ranks that may run on the same processors share them.
    cpu_set_t mask;
    CPU_ZERO(&mask);
    sched_getaffinity(0, sizeof mask, &mask);
    std::vector<cpu_set_t> masks(static_cast<std::size_t>(node_size_));
    MPI_Allgather(&mask, sizeof mask, MPI_BYTE, masks.data(), sizeof mask, MPI_BYTE, node);
    auto const sharing = std::count_if(masks.begin(), masks.end(),
                                       [&](cpu_set_t const& other) { return CPU_EQUAL(&mask, &other); });
    threads_ = std::max(CPU_COUNT(&mask) / static_cast<int>(sharing), 1);
    MPI_Comm_free(&node);

    char own[MPI_MAX_PROCESSOR_NAME] = {};
    int length = 0;
    MPI_Get_processor_name(own, &length);
    std::vector<char> all(sizeof own * static_cast<std::size_t>(size_));
    MPI_Allgather(own, sizeof own, MPI_CHAR, all.data(), sizeof own, MPI_CHAR, MPI_COMM_WORLD);
    for (int rank = 0; rank < size_; ++rank)
        nodes_.emplace_back(all.data() + sizeof own * static_cast<std::size_t>(rank));
}

MpiTeam::~MpiTeam() = default;

std::string MpiTeam::name(int rank) const
{
    return fmt::format("rank {} on {}", rank, nodes_[static_cast<std::size_t>(rank)]);
}

std::string MpiTeam::own_device(std::string const& text) const
{
    if (text.starts_with("cuda:") && node_size_ > 1)
        throw InputError(
            fmt::format("--device {}: {} ranks of {} would share it; --device cuda gives each rank a device of its own", text,
                        node_size_, nodes_[static_cast<std::size_t>(rank_)]));
    if (text != "auto" && text != "cuda")
        return text;
    std::string reason;
    auto const devices = find_cuda_devices(reason, INT_MAX); // tries none: other ranks may be using them
    if (devices.empty())
        return text;
    int const count = static_cast<int>(devices.size());
    int const ordinal = node_rank_ % count;
    if (text == "auto")
    {
        std::string const problem = find_cuda_devices(reason, ordinal)[static_cast<std::size_t>(ordinal)].problem;
        if (!problem.empty())
        {
            spdlog::info("cuda:{} is not used: {}", ordinal, problem);
            return "cpu";
        }
    }
    if (node_size_ > count && node_rank_ == 0)
        spdlog::warn("{} ranks of {} share {}; one rank for each device is enough", node_size_,
                     nodes_[static_cast<std::size_t>(rank_)], counted(count, "CUDA device"));
    return fmt::format("cuda:{}", ordinal);
}

void MpiTeam::settle(std::string& device, std::optional<long long>& threads)
{
    if (!threads)
        threads = threads_;
    // The kind that `auto` means is rank 0's choice: those of another would not give the same bits.
    if (!leads())
        device = nlohmann::json::parse(call_).at("device").get<std::string>();
    device = own_device(device);
}

void MpiTeam::lead(ScanOptions& options)
{
    options.workers = size_;
    std::set<std::string> const nodes(nodes_.begin(), nodes_.end());
    options.device.description = fmt::format(
        "{} of {}, rank 0: {}", counted(size_, "rank"),
        nodes.size() == 1 ? *nodes.begin() : counted(static_cast<long long>(nodes.size()), "node"), options.device.description);
    std::vector<std::string> names;
    for (int rank = 0; rank < size_; ++rank)
        names.push_back(name(rank));
    leader_ = std::make_unique<ChunkLeader>(std::move(names), stopped_);
    options.interrupted = [leader = leader_.get()] { return leader->stopped(); };
    options.make_backend = [leader = leader_.get(), device = options.device, route = options.route,
                            threads = options.threads](ScanWork const& work) -> std::unique_ptr<Backend> {
        std::string const call = nlohmann::json{
            {"device", work.identity.backend},
            {"program", program_name()},
            {"scan", description_text({work.identity, {}, {}, {}, {}})},
            {"pulls", work.n_pulls},
            {"rates", work.n_rates}}.dump();
        leader->start(work, make_backend(device, work.problem, route, threads), call);
        return std::make_unique<TeamBackend>(*leader);
    };
}

bool MpiTeam::called(int& exit_code)
{
    Pause pause;
    for (;;)
    {
        auto const message = receive();
        if (!message)
            pause();
        else if (message->tag == tag_call)
        {
            call_ = message->text();
            return true;
        }
        else if (message->tag == tag_end)
        {
            exit_code = end_code(*message);
            return false;
        }
    }
}

int MpiTeam::work(ScanConfiguration const& configuration, DataFolder& data, ScanOptions const& options)
{
    auto const call = nlohmann::json::parse(call_);
    if (auto const other = call.at("program").get<std::string>(); other != program_name())
        throw RunError(fmt::format("this is {}, rank 0 runs {}; start the same program on all nodes", program_name(), other));
    Inputs inputs = load_scan_inputs(configuration, data);
    auto const scan = parse_description(call.at("scan").get<std::string>()).identity;
    auto const differences = identity_differences(scan, scan_identity(canonical_form(configuration), data, options, scan.range),
                                                  {"on rank 0", "here"});
    if (!differences.empty())
        throw RunError(fmt::format("what is here is not the scan of rank 0: {}; give all nodes the same files",
                                   differences_text(differences)));
    auto const problem = std::make_shared<Problem const>(std::make_shared<Prepared const>(std::move(inputs)), configuration.axes,
                                                         configuration.fixed);
    auto const backend = make_backend(options.device, problem, options.route, options.threads);
    auto const n_pulls = call.at("pulls").get<std::size_t>();
    auto const n_rates = call.at("rates").get<std::size_t>();
    send(0, tag_ready, options.device.description);

    Pause pause;
    Chunk chunk;
    for (bool told = false;;)
    {
        if (!told && stopped_())
        {
            send(0, tag_stop, "");
            told = true;
        }
        auto const message = receive();
        if (!message)
        {
            pause();
            continue;
        }
        pause.reset();
        if (message->tag == tag_end)
            return end_code(*message);
        IndexRange range;
        std::memcpy(&range, message->bytes.data(), sizeof range);
        chunk.begin = range.begin;
        chunk.resize(range.size(), n_pulls, n_rates);
        backend->evaluate(range, chunk.outputs());
        auto const result = pack(chunk);
        send(0, tag_result, result.data(), result.size());
    }
}

int MpiTeam::fail(std::string const& reason)
{
    send(0, tag_failure, reason);
    for (Pause pause;;)
    {
        auto const message = receive();
        if (!message)
            pause();
        else if (message->tag == tag_end)
            return end_code(*message);
    }
}

void MpiTeam::finish(int exit_code)
{
    std::vector<int> lost;
    if (leader_ && leader_->started())
        lost = leader_->finish(exit_code);
    else if (leads())
        for (int rank = 1; rank < size_; ++rank)
            send(rank, tag_end, &exit_code, sizeof exit_code);
    if (!lost.empty())
    {
        for (int const rank : lost)
            spdlog::warn("{} does not answer and is not waited for; its points were computed by others", name(rank));
        std::fflush(nullptr);
        MPI_Abort(MPI_COMM_WORLD, exit_code);
    }
    MPI_Finalize();
}

} // namespace nuscan
