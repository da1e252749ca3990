// Finished chunks on their way into journal and surface.
#include "host/scan/scan_output.hpp"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>
#include <future>
#include <memory>

#include <gtest/gtest.h>

#include "host/io/hdf5_file.hpp"
#include "host/support/error.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/held_disk.hpp"
#include "tests/support/temp_dir.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

class ScanOutputTest : public ::testing::Test
{
protected:
    static constexpr std::int64_t points = 3000;
    static constexpr std::int64_t chunk_size = 250;

    static double chi2_at(std::int64_t index) { return std::fabs(static_cast<double>(index) - 1234.0) + 5.0; }

    static SurfaceLayout layout()
    {
        SurfaceLayout layout;
        layout.axes = {{"g_V", "1", "coupling", "g", AxisScale::linear, {}}};
        for (std::int64_t i = 0; i < points; ++i)
            layout.axes[0].values.push_back(static_cast<double>(i));
        layout.range = {0, points};
        return layout;
    }

    JournalHead head() const { return {"a scan", 0, 0, {0, points}}; }

    static void fill(Chunk& chunk, std::int64_t begin)
    {
        chunk.begin = begin;
        chunk.resize(chunk_size, 0, 0);
        for (std::int64_t i = 0; i < chunk_size; ++i)
        {
            chunk.chi2[static_cast<std::size_t>(i)] = chi2_at(begin + i);
            chunk.status[static_cast<std::size_t>(i)] = (begin + i) % 1000 == 0 ? 1 : 0;
        }
    }

    /// Hands over all chunks behind \p from.
    static void put_all(ScanOutput& output, std::int64_t from)
    {
        for (std::int64_t begin = from; begin < points; begin += chunk_size)
        {
            fill(output.chunk(), begin);
            output.put();
        }
        output.finish();
    }

    /// Hands over the first chunk, which \p disk then keeps from being in the file.
    static void put_first(ScanOutput& output, HeldDisk const& disk)
    {
        fill(output.chunk(), 0);
        output.put();
        ASSERT_TRUE(disk.is_reached());
    }

    /// Computes points again, and remembers which.
    ScanOutput::Compute compute()
    {
        return [this](IndexRange range, PointOutputs const& outputs) {
            again_.push_back(range.begin);
            for (std::int64_t i = range.begin; i < range.end; ++i)
            {
                outputs.chi2[i - range.begin] = chi2_at(i);
                outputs.status[i - range.begin] = i % 1000 == 0 ? 1 : 0;
            }
            return true;
        };
    }

    /// Leaves an unfinished scan of the points before \p end, continuing one that is there.
    void begin_scan(std::int64_t end)
    {
        Journal journal(journal_, head(), false);
        SurfaceWriter writer(surface_, layout(), {},
                             journal.contents().records.empty() ? SurfaceWriter::Existing::discard : SurfaceWriter::Existing::keep);
        ScanOutput output(journal, writer, {}, compute());
        for (std::int64_t begin = journal.next(); begin < end; begin += chunk_size)
        {
            fill(output.chunk(), begin);
            output.put();
        }
        output.finish();
    }

    TempDir temp_;
    fs::path journal_ = temp_.path() / "out.journal";
    fs::path surface_ = temp_.path() / "out.h5";
    std::vector<std::int64_t> again_; ///< first points of what was computed again
};

/// What an earlier run left is taken over, wherever it ended, and one that was itself continued too.
TEST_F(ScanOutputTest, EveryPointReachesTheSurfaceWhereverAnEarlierRunEnded)
{
    for (std::int64_t const left : {std::int64_t{0}, chunk_size, 4 * chunk_size, points})
    {
        fs::remove(journal_);
        begin_scan(left / 2 / chunk_size * chunk_size);
        begin_scan(left);
        Journal journal(journal_, head(), false);
        ASSERT_EQ(journal.next(), left);
        SurfaceWriter writer(surface_, layout(), {}, SurfaceWriter::Existing::keep);
        ScanOutput output(journal, writer, {2999, 0, 1234}, compute());
        EXPECT_EQ(journal.contents().lost_points, 0);
        put_all(output, left);
        EXPECT_EQ(journal.next(), points);
        EXPECT_EQ(output.findings().best.index, 1234);
        EXPECT_EQ(output.findings().best.value, 5.0);
        EXPECT_EQ(output.findings().direct_fallback, 3);
        std::map<std::int64_t, double> const watched = {{0, chi2_at(0)}, {1234, 5.0}, {2999, chi2_at(2999)}};
        EXPECT_EQ(output.watched_chi2(), watched);
        writer.finish({}, {}, {});
        auto const chi2 = SurfaceReader(surface_).chi2({0, points});
        for (std::int64_t i = 0; i < points; ++i)
            ASSERT_EQ(chi2[static_cast<std::size_t>(i)], chi2_at(i));
    }
}

/// Values that are not those of the journal's checksums are not believed: they are computed again, and nothing else.
TEST_F(ScanOutputTest, ValuesThatAreOthersAreComputedAgain)
{
    auto const change = [&](std::size_t at) {
        std::fstream file(surface_, std::ios::binary | std::ios::in | std::ios::out);
        file.seekg(static_cast<std::streamoff>(at));
        int const byte = file.get();
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(byte ^ 1));
    };
    std::size_t const status = h5::File::reserved_begin + points * sizeof(double) + h5::checksum_bytes;
    struct Case
    {
        std::vector<std::size_t> changed;
        std::vector<std::int64_t> again; ///< chunks
        std::int64_t next;               ///< chunk
    };
    auto const chi2_of = [](std::size_t chunk) { return h5::File::reserved_begin + chunk * chunk_size * sizeof(double); };
    for (auto const& [changed, again, next] :
         std::vector<Case>{{{chi2_of(0)}, {0}, 4},
                           {{chi2_of(2) - 1}, {1}, 4},
                           {{chi2_of(2)}, {2}, 4},
                           {{chi2_of(1), status + 2 * chunk_size}, {1, 2}, 4},
                           {{chi2_of(0), chi2_of(2)}, {0, 2}, 4},
                           {{status + 3 * chunk_size}, {}, 3}, // at the end it is the scan that computes it
                           {{chi2_of(0), chi2_of(2), chi2_of(3)}, {0}, 2},
                           {{chi2_of(4)}, {}, 4}}) // nothing recorded there
    {
        auto const at = changed.front();
        auto const expected = next * chunk_size;
        again_.clear();
        fs::remove(journal_);
        fs::remove(surface_);
        begin_scan(4 * chunk_size);
        for (std::size_t const place : changed)
            change(place);
        Journal journal(journal_, head(), false);
        SurfaceWriter writer(surface_, layout(), {}, SurfaceWriter::Existing::keep);
        ScanOutput output(journal, writer, {}, compute());
        EXPECT_EQ(journal.next(), expected) << at;
        std::vector<std::int64_t> begins;
        for (std::int64_t const chunk : again)
            begins.push_back(chunk * chunk_size);
        EXPECT_EQ(again_, begins) << at;
        EXPECT_EQ(journal.contents().lost_points, 4 * chunk_size - expected);
        put_all(output, expected);
        writer.finish({}, {}, {});
        auto const chi2 = SurfaceReader(surface_).chi2({0, points});
        for (std::int64_t i = 0; i < points; ++i)
            ASSERT_EQ(chi2[static_cast<std::size_t>(i)], chi2_at(i));
    }
    fs::remove(journal_);
    begin_scan(4 * chunk_size);
    fs::remove(surface_);
    Journal journal(journal_, head(), false);
    SurfaceWriter writer(surface_, layout(), {}, SurfaceWriter::Existing::keep);
    ScanOutput output(journal, writer, {}, compute());
    EXPECT_EQ(journal.contents().lost_points, 4 * chunk_size) << "the unfinished surface was deleted";
}

TEST_F(ScanOutputTest, AChunkIsInTheJournalOnceTheNextIsTaken)
{
    Journal journal(journal_, head(), false);
    SurfaceWriter writer(surface_, layout());
    {
        ScanOutput output(journal, writer, {}, compute());
        fill(output.chunk(), 0);
        output.put();
        fill(output.chunk(), chunk_size);
        output.put();
        EXPECT_GE(Journal::inspect(journal_)->next, chunk_size);
        // The end of the object waits for the chunk at work, not for more.
    }
    EXPECT_EQ(Journal::inspect(journal_)->next, 2 * chunk_size);
}

/// Time enough for a wrong program to go on; a right one never does, however long.
constexpr std::chrono::milliseconds a_while{50};

TEST_F(ScanOutputTest, NothingIsRecordedBeforeItIsInTheFileAndOneChunkIsAheadAtMost)
{
    Journal journal(journal_, head(), false);
    SurfaceWriter writer(surface_, layout());
    ScanOutput output(journal, writer, {}, compute());
    HeldDisk disk;
    ASSERT_NO_FATAL_FAILURE(put_first(output, disk));
    fill(output.chunk(), chunk_size);
    auto second = std::async(std::launch::async, [&] { output.put(); });
    EXPECT_EQ(second.wait_for(a_while), std::future_status::timeout) << "a third chunk would be computed";
    EXPECT_EQ(Journal::inspect(journal_)->next, 0) << "the values are not in the file";
    disk.release();
    second.get();
    EXPECT_GE(Journal::inspect(journal_)->next, chunk_size);
    output.finish();
    EXPECT_EQ(Journal::inspect(journal_)->next, 2 * chunk_size);
}

/// As where something else goes wrong meanwhile: whoever writes still uses the object.
TEST_F(ScanOutputTest, TheEndOfTheObjectWaitsForWhatIsOnItsWay)
{
    Journal journal(journal_, head(), false);
    SurfaceWriter writer(surface_, layout());
    auto output = std::make_unique<ScanOutput>(journal, writer, std::vector<std::int64_t>{}, compute());
    HeldDisk disk;
    ASSERT_NO_FATAL_FAILURE(put_first(*output, disk));
    auto end = std::async(std::launch::async, [&] { output.reset(); });
    EXPECT_EQ(end.wait_for(a_while), std::future_status::timeout);
    disk.release();
    end.get();
    EXPECT_EQ(Journal::inspect(journal_)->next, chunk_size);
}

TEST_F(ScanOutputTest, WhatTheDiskRefusesIsToldAndNotRecorded)
{
    Journal journal(journal_, head(), false);
    SurfaceWriter writer(surface_, layout());
    ScanOutput output(journal, writer, {}, compute());
    HeldDisk disk;
    ASSERT_NO_FATAL_FAILURE(put_first(output, disk));
    disk.refuse(ENOSPC);
    auto const told = "out.h5: cannot write: No space left on device; once that is mended, the same command continues";
    expect_error<RunError>([&] { output.finish(); }, {told});
    disk.release(); // room for what comes later is no help
    expect_error<RunError>([&] { output.put(); }, {told});
    EXPECT_EQ(Journal::inspect(journal_)->next, 0);
}

TEST_F(ScanOutputTest, WhatGoesWrongIsThrownByTheNextCall)
{
    Journal journal(journal_, head(), false);
    SurfaceLayout shorter = layout();
    shorter.range = {0, chunk_size}; // no room for a second chunk
    SurfaceWriter writer(surface_, shorter);
    ScanOutput output(journal, writer, {}, compute());
    HeldDisk disk;
    ASSERT_NO_FATAL_FAILURE(put_first(output, disk));
    fill(output.chunk(), chunk_size);
    auto second = std::async(std::launch::async, [&] { output.put(); });
    EXPECT_EQ(second.wait_for(a_while), std::future_status::timeout) << "the first chunk is still on its way";
    disk.release();
    EXPECT_THROW(second.get(), RunError);
    EXPECT_THROW(output.finish(), RunError) << "and by all that follow";
    EXPECT_EQ(journal.next(), chunk_size) << "what is there is recorded, and nothing else";
}

} // namespace
} // namespace nuscan::test
