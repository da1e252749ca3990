#include "host/support/thread_team.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace nuscan
{

namespace
{

/// Pieces that each thread would still get if all were as long as the next one.
constexpr std::int64_t shares_left = 4;

} // namespace

ThreadTeam::~ThreadTeam()
{
    {
        std::lock_guard const lock(mutex_);
        closing_ = true;
    }
    begun_.notify_all();
    for (std::thread& helper : helpers_)
        helper.join();
}

void ThreadTeam::run(std::int64_t n, std::int64_t at_once, Passes passes, void const* action)
{
    Loop loop{n, std::max<std::int64_t>(at_once, 1), passes, action};
    // A single piece is done by the caller alone.
    bool const shared = threads_ > 1 && n > loop.at_once;
    if (shared)
    {
        start_helpers();
        {
            std::lock_guard const lock(mutex_);
            loop_ = &loop;
            ++loops_;
        }
        begun_.notify_all();
    }
    work(loop, 0);
    std::unique_lock lock(mutex_);
    loop_ = nullptr; // whoever has not come yet is not waited for
    left_.wait(lock, [this] { return taking_part_ == 0; });
    if (failure_)
        std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadTeam::start_helpers()
{
    try
    {
        while (static_cast<int>(helpers_.size()) < threads_ - 1)
            helpers_.emplace_back([this, worker = static_cast<int>(helpers_.size()) + 1] { help(worker); });
    }
    catch (std::system_error const&)
    {
        // The system gives no more: those that are there do the work.
        threads_ = static_cast<int>(helpers_.size()) + 1;
    }
}

void ThreadTeam::work(Loop& loop, int worker)
{
    try
    {
        std::int64_t begin = loop.next;
        while (begin < loop.n)
        {
            // Towards the end less at a time, so that nobody is left with much when the others are done.
            std::int64_t const share = (loop.n - begin) / (shares_left * threads_);
            std::int64_t const end = std::min(begin + std::clamp<std::int64_t>(share, 1, loop.at_once), loop.n);
            if (!loop.next.compare_exchange_weak(begin, end, std::memory_order_relaxed))
                continue; // begin is where the next piece begins now
            loop.passes(loop.action, begin, end, worker);
            begin = loop.next;
        }
    }
    catch (...)
    {
        loop.next = loop.n;
        std::lock_guard const lock(mutex_);
        if (!failure_)
            failure_ = std::current_exception();
    }
}

void ThreadTeam::help(int worker)
{
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;)
    {
        begun_.wait(lock, [&] { return closing_ || (loop_ != nullptr && loops_ != seen); });
        if (closing_)
            return;
        seen = loops_;
        Loop& loop = *loop_;
        ++taking_part_;
        lock.unlock();
        work(loop, worker);
        lock.lock();
        --taking_part_;
        if (taking_part_ == 0)
            left_.notify_one();
    }
}

} // namespace nuscan
