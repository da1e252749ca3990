/// \file
/// Threads that work off loops together.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace nuscan
{

/// A fixed number of threads, the caller among them, that share the passes of one loop after another. Between loops they sleep, and nobody
/// waits for one that the system let come too late to take part: other threads, such as one that writes the output, may keep a core for a
/// while. (OpenMP's threads turn in circles while they wait; GCC's decide that before a program can have its say.)
class ThreadTeam
{
public:
    /// \param threads  1 or more; they are started by the first loop that has work for them, fewer where the system gives no more
    explicit ThreadTeam(int threads) : threads_(threads) {}
    ~ThreadTeam();
    ThreadTeam(ThreadTeam const&) = delete;
    ThreadTeam& operator=(ThreadTeam const&) = delete;

    int size() const { return threads_; }

    /// Calls \p action(i, worker) for every i from 0 to \p n - 1 and comes back when all is done. A worker, from 0 to size() - 1, is one
    /// thread at a time and takes \p at_once consecutive passes or, towards the end, fewer, ascending. Which takes which is left to
    /// chance. The first exception ends the loop early and is thrown on. From one thread at a time, and not from inside a loop.
    template<class Action>
    void for_each(std::int64_t n, std::int64_t at_once, Action&& action)
    {
        using Bare = std::remove_reference_t<Action>;
        run(
            n, at_once,
            [](void const* what, std::int64_t begin, std::int64_t end, int worker) {
                auto& call = *const_cast<Bare*>(static_cast<Bare const*>(what));
                for (std::int64_t i = begin; i < end; ++i)
                    call(i, worker);
            },
            &action);
    }

private:
    using Passes = void (*)(void const* action, std::int64_t begin, std::int64_t end, int worker);

    /// A loop that is being worked off.
    struct Loop
    {
        std::int64_t n;
        std::int64_t at_once;
        Passes passes;
        void const* action;
        std::atomic<std::int64_t> next{0};
    };

    void run(std::int64_t n, std::int64_t at_once, Passes passes, void const* action);
    void start_helpers();
    void work(Loop& loop, int worker);
    void help(int worker);

    int threads_;
    std::vector<std::thread> helpers_;
    std::mutex mutex_;
    std::condition_variable begun_;
    std::condition_variable left_;
    Loop* loop_ = nullptr;    ///< open for helpers
    std::uint64_t loops_ = 0; ///< begun so far
    int taking_part_ = 0;     ///< helpers in the loop
    bool closing_ = false;
    std::exception_ptr failure_;
};

} // namespace nuscan
