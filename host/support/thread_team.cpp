#include "host/support/thread_team.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace nuscan
{

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
        for (;;)
        {
            std::int64_t const begin = loop.next.fetch_add(loop.at_once, std::memory_order_relaxed);
            if (begin >= loop.n)
                return;
            loop.passes(loop.action, begin, std::min(begin + loop.at_once, loop.n), worker);
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
