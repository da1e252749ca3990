#include "host/scan/chunk_worker.hpp"

#include <atomic>
#include <stdexcept>

#include <gtest/gtest.h>

namespace nuscan::test
{
namespace
{

using namespace std::chrono_literals;

/// chi^2 is the point's number; point -1 cannot be computed.
class Numbers : public Backend
{
public:
    explicit Numbers(std::atomic<int>& calls, std::chrono::milliseconds time = 0ms) : calls_(calls), time_(time) {}

    std::string name() const override { return "numbers"; }

    void evaluate(IndexRange range, PointOutputs const& outputs) override
    {
        ++calls_;
        std::this_thread::sleep_for(time_);
        if (range.begin < 0)
            throw std::runtime_error{"no such point"};
        for (std::int64_t i = 0; i < range.size(); ++i)
        {
            outputs.chi2[i] = static_cast<double>(range.begin + i);
            outputs.status[i] = 0;
            for (int p = 0; p < 2; ++p)
                outputs.pulls[2 * i + p] = outputs.chi2[i] + 0.25 * (1 + p);
            outputs.rates[i] = -outputs.chi2[i];
        }
    }

private:
    std::atomic<int>& calls_;
    std::chrono::milliseconds time_;
};

Chunk next_chunk(ChunkWorker& worker)
{
    for (;;)
    {
        if (auto chunk = worker.take())
            return std::move(*chunk);
        worker.wait(1h); // ends when there is something
    }
}

TEST(ChunkWorker, ComputesWhatItIsGivenInOrder)
{
    std::atomic<int> calls = 0;
    ChunkWorker worker{std::make_unique<Numbers>(calls), 2, 1};
    EXPECT_EQ(worker.backend_name(), "numbers");
    EXPECT_FALSE(worker.take());
    for (std::int64_t begin : {30, 10, 20})
        worker.give({begin, begin + 3});
    for (double const begin : {30.0, 10.0, 20.0})
    {
        Chunk const chunk = next_chunk(worker);
        EXPECT_EQ(static_cast<double>(chunk.begin), begin);
        EXPECT_EQ(chunk.chi2, (std::vector{begin, begin + 1, begin + 2}));
        EXPECT_EQ(chunk.status, std::vector<std::uint8_t>(3, 0));
        EXPECT_EQ(chunk.pulls, (std::vector{begin + 0.25, begin + 0.5, begin + 1.25, begin + 1.5, begin + 2.25, begin + 2.5}));
        EXPECT_EQ(chunk.rates, (std::vector{-begin, -begin - 1, -begin - 2}));
    }
    EXPECT_FALSE(worker.take());
    worker.wait(1us); // returns though nothing comes
}

TEST(ChunkWorker, WhatFailsIsThrownOnceBehindWhatWasComputedBefore)
{
    std::atomic<int> calls = 0;
    ChunkWorker worker{std::make_unique<Numbers>(calls), 2, 1};
    for (std::int64_t begin : {10, -1, 20})
        worker.give({begin, begin + 1});
    EXPECT_EQ(next_chunk(worker).begin, 10);
    EXPECT_THROW(next_chunk(worker), std::runtime_error);
    worker.wait(20ms);
    EXPECT_FALSE(worker.take());
    EXPECT_EQ(calls, 2);
}

TEST(ChunkWorker, EndsAfterTheChunkUnderWay)
{
    std::atomic<int> calls = 0;
    {
        ChunkWorker worker{std::make_unique<Numbers>(calls, 50ms), 2, 1};
        for (std::int64_t begin : {10, 20, 30})
            worker.give({begin, begin + 1});
        while (calls == 0)
            std::this_thread::sleep_for(1ms);
    }
    EXPECT_EQ(calls, 1);
}

} // namespace
} // namespace nuscan::test
