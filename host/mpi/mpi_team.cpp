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
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <nuscan_version.hpp>
#include <set>

#include "host/scan/chunk_queue.hpp"
#include "host/scan/chunk_worker.hpp"
#include "host/support/clock.hpp"
#include "host/support/error.hpp"
#include "host/support/start_thread.hpp"
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

/// How often somebody who waits looks: often while chunks come and go, less so where nothing happens.
class Pause
{
public:
    std::chrono::microseconds time() const { return std::min(time_, longest); }
    /// Sleeps, and longer the next time.
    void operator()()
    {
        std::this_thread::sleep_for(time());
        grow();
    }
    void grow() { time_ = time() + time() / 8; }
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

Message text_message(int rank, Tag tag, std::string const& text)
{
    return {rank, tag, {text.begin(), text.end()}};
}

template<class T>
Message value_message(int rank, Tag tag, T const& value)
{
    Message message{rank, tag, std::vector<char>(sizeof value)};
    std::memcpy(message.bytes.data(), &value, sizeof value);
    return message;
}

template<class T>
T value_of(Message const& message)
{
    T value{};
    std::memcpy(&value, message.bytes.data(), sizeof value);
    return value;
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

Message pack(Chunk& chunk)
{
    Message message = value_message(0, tag_result, ResultHeader{chunk.begin, chunk.size()});
    std::size_t size = message.bytes.size();
    each_array(chunk, [&size](auto const& values) { size += values.size() * sizeof values[0]; });
    message.bytes.reserve(size);
    each_array(chunk, [&message](auto const& values) {
        auto const* const from = reinterpret_cast<char const*>(values.data());
        message.bytes.insert(message.bytes.end(), from, from + values.size() * sizeof values[0]);
    });
    return message;
}

Chunk unpack(Message const& message, std::size_t n_pulls, std::size_t n_rates)
{
    auto const header = value_of<ResultHeader>(message);
    Chunk chunk;
    chunk.begin = header.begin;
    chunk.resize(header.n, n_pulls, n_rates);
    char const* from = message.bytes.data() + sizeof header;
    each_array(chunk, [&from](auto& values) {
        std::copy_n(from, values.size() * sizeof values[0], reinterpret_cast<char*>(values.data()));
        from += values.size() * sizeof values[0];
    });
    return chunk;
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
    ChunkLeader(std::vector<std::string> names, Mailbox& mailbox, std::function<bool()> stopped)
        : names_(std::move(names))
        , mailbox_(mailbox)
        , stopped_(std::move(stopped))
    {
    }
    ~ChunkLeader() { finish(1); }
    ChunkLeader(ChunkLeader const&) = delete;
    ChunkLeader& operator=(ChunkLeader const&) = delete;

    /// Calls the other ranks and begins.
    void start(ScanWork const& work, std::unique_ptr<Backend> own, std::string const& call)
    {
        own_.emplace(std::move(own), work.n_pulls, work.n_rates);
        n_pulls_ = work.n_pulls;
        n_rates_ = work.n_rates;
        int const ranks = static_cast<int>(names_.size());
        auto const most = static_cast<std::int64_t>((INT_MAX - sizeof(ResultHeader)) / Chunk::bytes(1, n_pulls_, n_rates_));
        queue_.emplace(IndexRange{work.first, work.identity.range.end}, std::min(work.chunk, most), ranks);
        ready_.insert(0);
        for (int rank = 1; rank < ranks; ++rank)
        {
            mailbox_.send(text_message(rank, tag_call, call));
            owed_[rank] = 1; // that it is ready
        }
        handing_out_ = start_thread([this] { hand_out(); });
    }

    bool started() const { return handing_out_.joinable(); }

    std::string backend_name() const { return own_->backend_name(); }

    /// Waits for the results of the points.
    void deliver(IndexRange range, PointOutputs const& outputs)
    {
        std::unique_lock lock(mutex_);
        wanted_ = range.end;
        for (std::int64_t done = 0; done < range.size();)
        {
            done += queue_->deliver({range.begin + done, range.end}, outputs.from(done, count(n_pulls_), count(n_rates_)));
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
        }
        handing_out_.join();
        own_.reset();
        std::vector<int> silent;
        for (auto const& [rank, answers] : owed_)
            if (answers > 0)
                silent.push_back(rank);
        return silent;
    }

private:
    static std::int64_t count(std::size_t n) { return static_cast<std::int64_t>(n); }

    /// The thread that gives work to all ranks, this one too, and takes their results.
    void hand_out()
    {
        Pause pause;
        double ending_since = 0.0;
        std::unique_lock lock(mutex_);
        for (;;)
        {
            lock.unlock();
            auto const message = mailbox_.receive();
            auto own = own_result();
            lock.lock();
            bool busy = message || own;
            if (message)
                take(*message);
            if (own)
                take_result(0, std::move(*own));
            if (stopped_())
                stopping_ = true;
            if (stopping_)
                queue_->stop_at(wanted_);
            if (ending_)
            {
                ending_since = ending_since > 0.0 ? ending_since : now_s();
                double const longest = std::max(least_wait_s, wait_factor * queue_->mean_duration_s());
                if (end_ranks() || now_s() - ending_since > longest)
                    return;
            }
            else if (failure_.empty())
                busy = assign() || busy;
            if (busy || mailbox_.is_busy())
                pause.reset();
            if (!busy)
            {
                lock.unlock();
                own_->wait(pause.time());
                pause.grow();
                lock.lock();
            }
        }
    }

    /// What this rank computed, if anything; if it cannot, it is given no more.
    std::optional<Chunk> own_result()
    {
        try
        {
            return own_->take();
        }
        catch (std::exception const& error)
        {
            std::lock_guard const lock(mutex_);
            ready_.erase(0);
            owed_.erase(0);
            fail(0, error.what());
            return std::nullopt;
        }
    }

    void take(Message const& message)
    {
        int const rank = message.rank;
        switch (message.tag)
        {
        case tag_ready:
            spdlog::info("{}: {}", names_[static_cast<std::size_t>(rank)], message.text());
            ready_.insert(rank);
            --owed_[rank];
            break;
        case tag_result:
            take_result(rank, unpack(message, n_pulls_, n_rates_));
            break;
        case tag_failure:
            fail(rank, message.text());
            // It waits for the end and gives no other answer.
            ready_.insert(rank);
            owed_[rank] = 0;
            break;
        case tag_stop:
            stopping_ = true;
            break;
        default:
            break;
        }
    }

    void take_result(int rank, Chunk&& chunk)
    {
        --owed_[rank];
        queue_->take_back(rank, std::move(chunk), now_s());
        changed_.notify_all();
    }

    /// Gives work to whoever has too little, one chunk to each before anybody gets a second. \returns whether anybody got some
    bool assign()
    {
        bool any = false;
        for (int chunks = 1; chunks <= chunks_of_a_rank; ++chunks)
            for (int const rank : ready_)
                if (owed_[rank] < chunks)
                    if (auto const range = queue_->hand_out(rank, now_s()))
                    {
                        if (rank == 0)
                            own_->give(*range);
                        else
                            mailbox_.send(value_message(rank, tag_work, *range));
                        ++owed_[rank];
                        any = true;
                    }
        return any;
    }

    /// Ends the other ranks that owe nothing any more, and waits for no result of this one. \returns whether all have ended
    bool end_ranks()
    {
        ready_.erase(0);
        owed_.erase(0);
        std::erase_if(ready_, [this](int rank) {
            if (owed_[rank] > 0)
                return false;
            mailbox_.send(value_message(rank, tag_end, exit_code_));
            return true;
        });
        return std::all_of(owed_.begin(), owed_.end(), [](auto const& owed) { return owed.second <= 0; });
    }

    void fail(int rank, std::string const& problem)
    {
        if (failure_.empty())
            failure_ = fmt::format("{}: {}", names_[static_cast<std::size_t>(rank)], problem);
        changed_.notify_all();
    }

    /// While it computes one the next is on its way, and the one before.
    static constexpr int chunks_of_a_rank = 2;

    /// A rank that still has not answered the end of all after this time [s], and after so many times what a chunk takes, never
    /// will.
    static constexpr double least_wait_s = 5.0;
    static constexpr double wait_factor = 20.0;

    std::vector<std::string> names_; ///< by rank
    Mailbox& mailbox_;               ///< used by the thread that hands out, once that has started
    std::function<bool()> stopped_;
    std::optional<ChunkWorker> own_;
    std::size_t n_pulls_ = 0;
    std::size_t n_rates_ = 0;
    std::mutex mutex_; ///< of everything below
    std::condition_variable changed_;
    std::optional<ChunkQueue> queue_;
    std::set<int> ready_;     ///< ranks that take work
    std::map<int, int> owed_; ///< answers that a rank has not given yet
    std::int64_t wanted_ = 0; ///< behind the last point that somebody waits for
    bool stopping_ = false;
    bool ending_ = false;
    int exit_code_ = 1;
    std::string failure_;
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
    leader_ = std::make_unique<ChunkLeader>(std::move(names), mailbox_, stopped_);
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
        auto const message = mailbox_.receive();
        if (!message)
            pause();
        else if (message->tag == tag_call)
        {
            call_ = message->text();
            return true;
        }
        else if (message->tag == tag_end)
        {
            exit_code = value_of<int>(*message);
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
    ChunkWorker worker{make_backend(options.device, problem, options.route, options.threads), call.at("pulls").get<std::size_t>(),
                       call.at("rates").get<std::size_t>()};
    mailbox_.send(text_message(0, tag_ready, options.device.description));

    Pause pause;
    for (bool told = false;;)
    {
        if (!told && stopped_())
        {
            mailbox_.send({0, tag_stop, {}});
            told = true;
        }
        auto const message = mailbox_.receive();
        if (message && message->tag == tag_end)
            return value_of<int>(*message);
        if (message)
            worker.give(value_of<IndexRange>(*message));
        auto chunk = worker.take();
        if (chunk)
            mailbox_.send(pack(*chunk));
        if (message || chunk || mailbox_.is_busy())
            pause.reset();
        if (!message && !chunk)
        {
            worker.wait(pause.time());
            pause.grow();
        }
    }
}

int MpiTeam::fail(std::string const& reason)
{
    send_all(); // results, which rank 0 might not take any more once it knows
    mailbox_.send(text_message(0, tag_failure, reason));
    for (Pause pause;;)
    {
        auto const message = mailbox_.receive();
        if (!message)
            pause();
        else if (message->tag == tag_end)
            return value_of<int>(*message);
    }
}

void MpiTeam::send_all()
{
    for (Pause pause; !mailbox_.all_sent();)
        pause();
}

void MpiTeam::finish(int exit_code)
{
    std::vector<int> lost;
    if (leader_ && leader_->started())
        lost = leader_->finish(exit_code);
    else if (leads())
        for (int rank = 1; rank < size_; ++rank)
            mailbox_.send(value_message(rank, tag_end, exit_code));
    if (lost.empty())
        send_all();
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
