// Threads that share loops: every pass once, by one thread at a time for each worker, whatever goes wrong.
#include "host/support/thread_team.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace nuscan::test
{
namespace
{

TEST(ThreadTeam, EveryPassIsMadeOnce)
{
    for (int const threads : {1, 2, 3, 8})
    {
        ThreadTeam team(threads);
        EXPECT_EQ(team.size(), threads);
        for (std::int64_t const n : {0, 1, 2, 7, 1000})
            for (std::int64_t const at_once : {0, 1, 3, 16, 5000})
            {
                std::vector<std::atomic<int>> made(static_cast<std::size_t>(n));
                std::vector<std::atomic<bool>> at_work(static_cast<std::size_t>(threads));
                std::atomic<int> clashes = 0;
                team.for_each(n, at_once, [&](std::int64_t i, int worker) {
                    clashes += at_work[static_cast<std::size_t>(worker)].exchange(true);
                    ++made[static_cast<std::size_t>(i)];
                    at_work[static_cast<std::size_t>(worker)] = false;
                });
                for (auto const& times : made)
                    ASSERT_EQ(times, 1) << n << " passes, " << at_once << " at once, " << threads << " threads";
                EXPECT_EQ(clashes, 0) << "a worker is one thread at a time";
            }
    }
}

TEST(ThreadTeam, ALoopEndsBehindItsLastPass)
{
    // No atomics: an error for the thread sanitizer, too, if a loop ended before all its passes.
    ThreadTeam team(4);
    std::vector<int> values(64);
    std::vector<int> helped(4);
    int round = 0;
    auto const start = std::chrono::steady_clock::now();
    while (round < 200
           || (helped[1] + helped[2] + helped[3] < 20 && std::chrono::steady_clock::now() - start < std::chrono::seconds(60)))
    {
        ++round;
        team.for_each(std::ssize(values), 4, [&](std::int64_t i, int worker) {
            if (worker > 0 && helped[static_cast<std::size_t>(worker)]++ < 20)
                std::this_thread::sleep_for(std::chrono::milliseconds(1)); // the caller is done long before
            ++values[static_cast<std::size_t>(i)];
        });
        for (int const value : values)
            ASSERT_EQ(value, round);
    }
    EXPECT_GE(helped[1] + helped[2] + helped[3], 20);
}

TEST(ThreadTeam, SeveralThreadsTakePart)
{
    ThreadTeam team(2);
    std::vector<std::atomic<int>> passes(2);
    auto const start = std::chrono::steady_clock::now();
    // Until the other one came: no bound on how long the system may take for that, but one to notice that it never does.
    while (passes[1] == 0 && std::chrono::steady_clock::now() - start < std::chrono::seconds(60))
        team.for_each(100, 1, [&](std::int64_t, int worker) {
            ++passes[static_cast<std::size_t>(worker)];
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        });
    EXPECT_GT(passes[0], 0);
    EXPECT_GT(passes[1], 0);
}

TEST(ThreadTeam, ThrowsWhatAPassThrowsAndGoesOn)
{
    for (int const threads : {1, 3})
    {
        ThreadTeam team(threads);
        for (std::int64_t const bad : {0, 500, 999})
        {
            std::atomic<std::int64_t> made = 0;
            std::atomic<bool> thrown = false;
            std::vector<std::atomic<bool>> came(static_cast<std::size_t>(threads));
            auto const others = [&](int worker) {
                for (int w = 0; w < threads; ++w)
                    if (w != worker && came[static_cast<std::size_t>(w)])
                        return true;
                return threads == 1;
            };
            auto const action = [&](std::int64_t i, int worker) {
                came[static_cast<std::size_t>(worker)] = true;
                if (i == bad)
                {
                    // At the beginning: not before somebody is there to go on.
                    while (bad == 0 && !others(worker))
                        std::this_thread::yield();
                    thrown = true;
                    throw std::runtime_error("bad pass");
                }
                // Whoever is behind it sees it come to pass.
                while (i > bad && !thrown)
                    std::this_thread::yield();
                if (i > bad)
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                ++made;
            };
            EXPECT_THROW(team.for_each(1000, 2, action), std::runtime_error);
            EXPECT_GE(made, bad) << "what comes before it";
            EXPECT_LT(made, bad + 100) << "and hardly anything behind it";
            made = 0;
            team.for_each(10, 1, [&](std::int64_t, int) { ++made; });
            EXPECT_EQ(made, 10) << "the next loop knows nothing of it";
        }
    }
}

} // namespace
} // namespace nuscan::test
