#include "host/scan/chunk_queue.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace nuscan::test
{
namespace
{

constexpr std::size_t n_pulls = 2;
constexpr std::size_t n_rates = 3;

/// A chunk whose values tell their point, and in the pulls and rates their place.
Chunk computed(IndexRange range)
{
    Chunk chunk;
    chunk.begin = range.begin;
    chunk.resize(range.size(), n_pulls, n_rates);
    for (std::int64_t i = 0; i < range.size(); ++i)
    {
        auto const slot = static_cast<std::size_t>(i);
        double const point = static_cast<double>(range.begin + i);
        chunk.chi2[slot] = point;
        chunk.status[slot] = static_cast<std::uint8_t>((range.begin + i) % 3);
        for (std::size_t p = 0; p < n_pulls; ++p)
            chunk.pulls[slot * n_pulls + p] = point + 0.1 * static_cast<double>(p + 1);
        for (std::size_t r = 0; r < n_rates; ++r)
            chunk.rates[slot * n_rates + r] = -point - 0.1 * static_cast<double>(r);
    }
    return chunk;
}

/// What was delivered so far.
struct Received
{
    explicit Received(IndexRange all) : range(all), next(all.begin) { chunk.resize(all.size(), n_pulls, n_rates); }

    /// Asks for \p n more points. \returns how many came
    std::int64_t take(ChunkQueue& queue, std::int64_t n)
    {
        auto const got = queue.deliver({next, std::min(next + n, range.end)},
                                       chunk.outputs().from(next - range.begin, n_pulls, n_rates));
        next += got;
        return got;
    }

    void expect_all() const
    {
        EXPECT_EQ(next, range.end);
        auto const expected = computed(range);
        EXPECT_EQ(chunk.chi2, expected.chi2);
        EXPECT_EQ(chunk.status, expected.status);
        EXPECT_EQ(chunk.pulls, expected.pulls);
        EXPECT_EQ(chunk.rates, expected.rates);
    }

    IndexRange range;
    std::int64_t next;
    Chunk chunk;
};

TEST(ChunkQueue, ResultsComeBackInOrderWhateverTheWorkersDo)
{
    std::mt19937 random{5};
    auto const below = [&](int n) { return std::uniform_int_distribution<int>{0, n - 1}(random); };
    for (int round = 0; round < 200; ++round)
    {
        IndexRange const range{below(50), 50 + below(200)};
        std::int64_t const chunk = 1 + below(30);
        int const workers = 1 + below(5);
        ChunkQueue queue{range, chunk, workers};
        Received received{range};
        std::vector<std::optional<IndexRange>> has(static_cast<std::size_t>(workers));
        double now = 100.0;
        while (received.next < range.end)
        {
            // Worker 0 never keeps anything for ever; others may.
            int const worker = below(workers);
            auto& own = has[static_cast<std::size_t>(worker)];
            now += 0.01 * below(10);
            if (!own)
                own = queue.hand_out(worker, now);
            else if (worker == 0 || below(4) == 0)
            {
                EXPECT_LE(own->size(), chunk);
                queue.take_back(worker, computed(*own), now);
                own.reset();
            }
            received.take(queue, below(40));
        }
        received.expect_all();
    }
}

TEST(ChunkQueue, NothingIsHandedOutTwiceToPromptWorkers)
{
    ChunkQueue queue{{0, 100}, 10, 3};
    std::vector<std::int64_t> begins;
    Received received{{0, 100}};
    for (double now = 0.0; received.next < 100; now += 1.0)
    {
        std::vector<IndexRange> round;
        for (int worker = 0; worker < 3; ++worker)
            if (auto const range = queue.hand_out(worker, now))
            {
                begins.push_back(range->begin);
                round.push_back(*range);
            }
        for (std::size_t worker = 0; worker < round.size(); ++worker)
            queue.take_back(static_cast<int>(worker), computed(round[worker]), now + 0.9);
        received.take(queue, 100);
    }
    EXPECT_EQ(begins, (std::vector<std::int64_t>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}));
    EXPECT_NEAR(queue.mean_duration_s(), 0.9, 1e-12); // rounding
    received.expect_all();
}

TEST(ChunkQueue, ASlowWorkersChunkIsGivenToAnIdleOneAndTheFirstResultCounts)
{
    ChunkQueue queue{{0, 40}, 10, 2};
    Received received{{0, 40}};
    auto const slow = queue.hand_out(0, 0.0);
    ASSERT_TRUE(slow);
    double now = 0.0;
    for (int chunk = 1; chunk <= 3; ++chunk)
    {
        auto const range = queue.hand_out(1, now);
        ASSERT_TRUE(range);
        EXPECT_EQ(range->begin, 10 * chunk);
        queue.take_back(1, computed(*range), now += 1.0);
    }
    EXPECT_EQ(received.take(queue, 40), 0) << "the first chunk is missing";
    EXPECT_FALSE(queue.hand_out(1, 2.9)) << "not overdue yet";
    auto const again = queue.hand_out(1, 3.1);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->begin, slow->begin);
    EXPECT_EQ(again->end, slow->end);
    EXPECT_FALSE(queue.hand_out(0, 100.0)) << "nobody is given what he has already";
    queue.take_back(1, computed(*again), 4.0);
    // Late, and wrong so that it would show: neither before nor after the delivery does it matter.
    auto late = computed(*slow);
    late.chi2.assign(late.chi2.size(), std::nan(""));
    queue.take_back(0, Chunk{late}, 50.0);
    EXPECT_EQ(received.take(queue, 40), 40);
    EXPECT_TRUE(queue.drained());
    queue.take_back(0, std::move(late), 51.0);
    EXPECT_TRUE(queue.drained());
    received.expect_all();
}

TEST(ChunkQueue, AHeldUpChunkBoundsWhatIsUnderWay)
{
    int const workers = 2;
    ChunkQueue queue{{0, 1000000}, 1, workers};
    ASSERT_TRUE(queue.hand_out(0, 0.0));
    std::int64_t handed_out = 1;
    while (auto const range = queue.hand_out(1, 0.0))
    {
        ++handed_out;
        queue.take_back(1, computed(*range), 0.0);
    }
    EXPECT_EQ(handed_out, ChunkQueue::chunks_under_way * workers);
}

TEST(ChunkQueue, WithoutAnyResultNobodyIsSlow)
{
    ChunkQueue queue{{0, 10}, 10, 2};
    ASSERT_TRUE(queue.hand_out(0, 0.0));
    EXPECT_FALSE(queue.hand_out(1, 1e6));
}

TEST(ChunkQueue, StoppingLeavesWhatIsUnderWayAndWanted)
{
    ChunkQueue queue{{0, 100}, 10, 2};
    Received received{{0, 100}};
    auto const first = queue.hand_out(0, 0.0);
    auto const second = queue.hand_out(1, 0.0);
    queue.stop_at(10); // the caller waits for the first chunk
    EXPECT_FALSE(queue.drained());
    queue.take_back(1, computed(*second), 1.0);
    EXPECT_FALSE(queue.hand_out(1, 1.0)) << "nothing new";
    EXPECT_TRUE(queue.hand_out(1, 10.0)) << "what is under way and overdue";
    queue.take_back(0, computed(*first), 1.0);
    EXPECT_EQ(received.take(queue, 100), 20);
    EXPECT_TRUE(queue.drained());
    // Whoever then still wants a chunk gets it.
    queue.stop_at(30);
    auto const third = queue.hand_out(0, 11.0);
    ASSERT_TRUE(third);
    EXPECT_EQ(third->begin, 20);
    EXPECT_FALSE(queue.hand_out(1, 11.0));
    queue.stop_at(1000);
    auto last = third->end;
    while (auto const range = queue.hand_out(1, 11.0))
        last = range->end;
    EXPECT_LE(last, 100) << "never beyond the scan";
}

} // namespace
} // namespace nuscan::test
