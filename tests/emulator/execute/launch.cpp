#include "execute/launch.hpp"

#include "execute/interpreter.hpp"

#include <algorithm>
#include <cstdlib>
#include <cxxabi.h>
#include <deque>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

namespace emulator
{

namespace
{

// A block that runs longer than this may wait for another one: the next is begun beside it, as on a device with many
// multiprocessors.
constexpr std::uint64_t turn_of_block = std::uint64_t{1} << 20;
constexpr std::size_t most_blocks_at_once = 64; // per host thread

// Gives out the numbers of blocks in the order asked for.
class BlockOrder
{
public:
    explicit BlockOrder(Launch const& launch) : count_(launch.grid.count()), order_(launch.how.order)
    {
        if (order_ == Order::shuffled)
        {
            shuffled_.resize(count_);
            std::iota(shuffled_.begin(), shuffled_.end(), std::uint64_t{0});
            std::shuffle(shuffled_.begin(), shuffled_.end(), std::mt19937_64(launch.how.seed));
        }
    }
    std::optional<std::uint64_t> next()
    {
        std::uint64_t const k = next_++;
        if (k >= count_)
        {
            return std::nullopt;
        }
        return order_ == Order::forward ? k : order_ == Order::reversed ? count_ - 1 - k : shuffled_[k];
    }
    void stop() { next_ = count_; }

private:
    std::uint64_t count_;
    Order order_;
    std::vector<std::uint64_t> shuffled_;
    std::atomic<std::uint64_t> next_{0};
};

void add(Counters& total, Counters const& part)
{
    auto const add_all = [](auto& to, auto const& from) {
        std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
    };
    add_all(total.begin_warps, part.begin_warps);
    add_all(total.begin_lanes, part.begin_lanes);
    add_all(total.guarded_off, part.guarded_off);
    add_all(total.sectors, part.sectors);
    add_all(total.ideal_sectors, part.ideal_sectors);
    add_all(total.bank_conflicts, part.bank_conflicts);
    total.divergent_steps += part.divergent_steps;
}

// One host thread's blocks: one at a time while each ends in its turn, several in turns where they do not.
void run_blocks(Launch const& launch, BlockOrder& order, Counters& counters, std::atomic<bool> const& stop)
{
    std::deque<std::unique_ptr<BlockRunner>> running;
    std::unique_ptr<BlockRunner> spare;
    bool more = true;
    while (!stop && (more || !running.empty()))
    {
        if (more && running.size() < most_blocks_at_once)
        {
            if (auto const number = order.next())
            {
                auto runner = spare ? std::move(spare) : std::make_unique<BlockRunner>(launch, counters);
                runner->begin(*number);
                running.push_back(std::move(runner));
            }
            else
            {
                more = false;
            }
        }
        for (std::size_t turns = running.size(); turns > 0; --turns)
        {
            std::unique_ptr<BlockRunner> runner = std::move(running.front());
            running.pop_front();
            if (runner->run(turn_of_block))
            {
                spare = std::move(runner);
            }
            else
            {
                running.push_back(std::move(runner));
            }
        }
    }
}

} // namespace

Counters run_launch(Launch const& launch)
{
    BlockOrder order(launch);
    Counters total(launch.kernel.code.size());
    std::mutex mutex;
    std::exception_ptr error;
    std::atomic<bool> stop = false;
    auto const work = [&] {
        Counters counters(launch.kernel.code.size());
        try
        {
            run_blocks(launch, order, counters, stop);
        }
        catch (...)
        {
            std::lock_guard const lock(mutex);
            error = error ? error : std::current_exception();
            stop = true;
            order.stop();
        }
        std::lock_guard const lock(mutex);
        add(total, counters);
    };
    unsigned const cores = std::max(1U, std::thread::hardware_concurrency());
    unsigned const wanted = launch.how.host_threads == 0 ? cores : launch.how.host_threads;
    auto const threads = static_cast<unsigned>(std::min<std::uint64_t>(wanted, launch.grid.count()));
    std::vector<std::thread> helpers;
    for (unsigned k = 1; k < threads; ++k)
    {
        helpers.emplace_back(work);
    }
    work();
    for (std::thread& helper : helpers)
    {
        helper.join();
    }
    if (error)
    {
        std::rethrow_exception(error);
    }
    return total;
}

std::string demangled(std::string const& name)
{
    int status = 0;
    std::unique_ptr<char, decltype(&std::free)> const text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                           &std::free);
    return status == 0 ? text.get() : name;
}

} // namespace emulator
