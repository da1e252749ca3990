#include "host/io/journal.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "host/support/error.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

constexpr std::size_t n_pulls = 2;
constexpr std::size_t n_rates = 3;

/// Points whose values tell their place.
Chunk make_chunk(std::int64_t begin, std::int64_t n, std::size_t pulls = n_pulls, std::size_t rates = n_rates)
{
    Chunk chunk;
    chunk.begin = begin;
    chunk.resize(n, pulls, rates);
    for (std::int64_t i = 0; i < n; ++i)
    {
        auto const slot = static_cast<std::size_t>(i);
        auto const place = static_cast<double>(begin + i);
        chunk.chi2[slot] = 0.5 + place;
        chunk.status[slot] = static_cast<std::uint8_t>((begin + i) % 4);
        for (std::size_t p = 0; p < pulls; ++p)
            chunk.pulls[slot * pulls + p] = place + 0.1 * static_cast<double>(p);
        for (std::size_t r = 0; r < rates; ++r)
            chunk.rates[slot * rates + r] = -place - 0.01 * static_cast<double>(r);
    }
    return chunk;
}

/// The records of chunks of those sizes, one behind the other.
void expect_records(Journal const& journal, std::vector<std::int64_t> const& sizes, std::int64_t begin = 0)
{
    auto const& records = journal.contents().records;
    ASSERT_EQ(records.size(), sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i)
    {
        EXPECT_EQ(records[i].range.begin, begin);
        EXPECT_EQ(records[i].range.end, begin + sizes[i]);
        EXPECT_EQ(records[i].checksum, make_chunk(begin, sizes[i]).checksum());
        begin += sizes[i];
    }
    EXPECT_EQ(journal.next(), begin);
}

class JournalTest : public testing::Test
{
protected:
    static JournalHead head(std::string const& description = "a scan", IndexRange range = {0, 1000})
    {
        return {description, n_pulls, n_rates, range};
    }

    Journal open(std::string const& description = "a scan", bool restart = false) const
    {
        return Journal{path_, head(description), restart};
    }

    std::string bytes() const
    {
        std::ifstream in{path_, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    /// Replaces the journal. Removed first: where a file is cut and written again, some file systems wait for the disk.
    void write(std::string const& text) const
    {
        fs::remove(path_);
        temp_.write("scan.journal", text);
    }

    /// A journal of chunks of the given sizes; returns its length after each, the header first.
    std::vector<std::size_t> write_chunks(std::vector<std::int64_t> const& sizes) const
    {
        std::vector<std::size_t> ends;
        auto journal = open("a scan", true);
        ends.push_back(fs::file_size(path_));
        for (auto const size : sizes)
        {
            journal.append(make_chunk(journal.next(), size));
            ends.push_back(fs::file_size(path_));
        }
        return ends;
    }

    TempDir temp_;
    fs::path path_ = temp_.path() / "scan.journal";
};

TEST_F(JournalTest, RecordsComeBackInOrder)
{
    std::vector<std::int64_t> const sizes{3, 1, 10};
    {
        auto journal = open();
        EXPECT_EQ(journal.next(), 0);
        for (auto const size : sizes)
            journal.append(make_chunk(journal.next(), size));
        expect_records(journal, sizes);
    }
    auto const journal = open();
    expect_records(journal, sizes);
    EXPECT_EQ(journal.path(), path_);
}

TEST_F(JournalTest, AChecksumIsThatOfEveryValueBitByBit)
{
    Chunk const chunk = make_chunk(0, 5);
    auto const differs = [&](auto const& change) {
        Chunk other = chunk;
        change(other);
        EXPECT_NE(other.checksum(), chunk.checksum());
    };
    for (std::size_t i = 0; i < 5; ++i)
    {
        differs([&](Chunk& other) { other.chi2[i] = std::nextafter(other.chi2[i], 0.0); });
        differs([&](Chunk& other) { other.status[i] ^= 128; });
        differs([&](Chunk& other) { other.pulls[2 * i + 1] = -other.pulls[2 * i + 1]; });
        differs([&](Chunk& other) { other.rates[3 * i + 2] = std::nan(""); });
    }
    // The check value of CRC-32C for "123456789" (RFC 3720, B.4 has others): the instruction and the table give it.
    Chunk digits;
    for (char const c : std::string("123456789"))
        digits.status.push_back(static_cast<std::uint8_t>(c));
    EXPECT_EQ(digits.checksum(), 0xE3069283U);
    // Long ones are added up in parts side by side: bit by bit, the definition gives the same.
    for (std::size_t const n : {12287u, 12288u, 12289u, 100001u})
    {
        Chunk longer;
        std::uint32_t crc = ~0u;
        for (std::size_t i = 0; i < n; ++i)
        {
            longer.status.push_back(static_cast<std::uint8_t>(i * i / 7));
            crc ^= longer.status.back();
            for (int bit = 0; bit < 8; ++bit)
                crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
        }
        EXPECT_EQ(longer.checksum(), ~crc) << n;
    }
    Chunk bare = make_chunk(0, 5, 0, 0);
    EXPECT_EQ(bare.checksum(), make_chunk(0, 5, 0, 0).checksum());
}

TEST_F(JournalTest, IsContinuedWhereItEnded)
{
    {
        auto journal = open();
        journal.append(make_chunk(0, 4));
    }
    {
        auto journal = open();
        journal.append(make_chunk(4, 6));
    }
    EXPECT_EQ(open().next(), 10);
}

TEST_F(JournalTest, CutAtAnyByteKeepsWholeRecords)
{
    std::vector<std::int64_t> const sizes{2, 1, 3};
    auto const ends = write_chunks(sizes);
    std::string const whole = bytes();
    ASSERT_EQ(whole.size(), ends.back());
    for (std::size_t size = 0; size <= whole.size(); ++size)
    {
        write(whole.substr(0, size));
        std::int64_t expected = 0;
        for (std::size_t c = 0; c < sizes.size(); ++c)
            expected += size >= ends[c + 1] ? sizes[c] : 0;
        std::vector<std::int64_t> kept;
        for (std::size_t c = 0; c < sizes.size() && size >= ends[c + 1]; ++c)
            kept.push_back(sizes[c]);
        {
            auto journal = open();
            ASSERT_EQ(journal.next(), expected) << "cut at byte " << size;
            journal.append(make_chunk(expected, 7));
        }
        // What is appended afterwards is read back with the rest.
        kept.push_back(7);
        expect_records(open(), kept);
    }
}

TEST_F(JournalTest, AChangedByteCostsItsRecordAlone)
{
    std::vector<std::int64_t> const sizes{2, 1, 3};
    auto const ends = write_chunks(sizes);
    std::string const whole = bytes();
    for (std::size_t at = 0; at < whole.size(); ++at)
        for (unsigned const bit : {0U, 7U})
        {
            auto damaged = whole;
            damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ (1U << bit));
            write(damaged);
            if (at < ends[0])
            {
                // In the header: the journal of another scan, or none.
                EXPECT_THROW(open(), InputError) << "bit " << bit << " of byte " << at;
                continue;
            }
            auto const journal = open();
            auto const& records = journal.contents().records;
            auto const hit = (at - ends[0]) / Journal::record_bytes();
            bool const last = hit + 1 == sizes.size();
            ASSERT_EQ(records.size(), sizes.size() - (last ? 1 : 0)) << "bit " << bit << " of byte " << at;
            std::int64_t next = 0;
            for (std::size_t c = 0; c < records.size(); ++c)
            {
                EXPECT_EQ(records[c].known, c != hit);
                EXPECT_EQ(records[c].range.begin, next);
                EXPECT_EQ(records[c].range.size(), sizes[c]);
                next += sizes[c];
            }
            ASSERT_EQ(journal.next(), next) << "bit " << bit << " of byte " << at;
        }
}

TEST_F(JournalTest, DamagedRecordsInARowShareTheirPoints)
{
    auto const ends = write_chunks({2, 4, 1, 2, 3});
    auto damaged = bytes();
    for (std::size_t c : {1U, 2U, 3U})
        damaged[ends[c] + 3] ^= 1;
    write(damaged);
    {
        auto journal = open();
        ASSERT_EQ(journal.contents().records.size(), 5U);
        EXPECT_FALSE(journal.contents().damaged) << "nothing is cut off";
        // Seven points in three parts.
        std::vector<std::int64_t> begins;
        for (std::size_t i : {1U, 2U, 3U})
        {
            auto const record = journal.contents().records[i];
            EXPECT_FALSE(record.known);
            begins.push_back(record.range.begin);
            journal.replace(i, make_chunk(record.range.begin, record.range.size()), i == 3 ? "that" : "this");
        }
        EXPECT_EQ(begins, (std::vector<std::int64_t>{2, 5, 7}));
        auto const& mended = journal.contents().mended;
        ASSERT_EQ(mended.size(), 2U);
        EXPECT_EQ(mended[0].range.begin, 2);
        EXPECT_EQ(mended[0].range.end, 7);
        EXPECT_EQ(mended[0].reason, "this");
        EXPECT_EQ(mended[1].range.end, 9);
        expect_records(journal, {2, 3, 2, 2, 3});
        journal.append(make_chunk(12, 5));
    }
    expect_records(open(), {2, 3, 2, 2, 3, 5});
    // More damaged records than there are points between whole ones: no journal of ours.
    damaged = bytes();
    std::size_t const record = Journal::record_bytes();
    write(damaged.substr(0, ends[1]) + std::string(20 * record, 'x') + damaged.substr(ends[4]));
    EXPECT_EQ(open().next(), 2);
}

TEST_F(JournalTest, ARecordThatDoesNotFollowIsDropped)
{
    auto const ends = write_chunks({2, 1, 3});
    std::string const whole = bytes();
    write(whole.substr(0, ends[1]) + whole.substr(ends[2]));
    EXPECT_EQ(open().next(), 2) << "the second record is missing";
    write(whole.substr(0, ends[2]) + whole.substr(ends[1]));
    EXPECT_EQ(open().next(), 3) << "the second record is there twice";
    EXPECT_EQ(fs::file_size(path_), ends[2]) << "what cannot be used is cut off";
}

TEST_F(JournalTest, OtherScanIsRefusedAndKept)
{
    write_chunks({2, 1});
    std::string const before = bytes();
    expect_input_error([&] { open("another scan"); },
                       {path_.string(), "interrupted scan that differs: the description", "--restart"});
    EXPECT_EQ(bytes(), before);
    {
        auto journal = open("another scan", true);
        EXPECT_EQ(journal.next(), 0);
        journal.append(make_chunk(0, 4));
    }
    EXPECT_EQ(open("another scan").next(), 4);
}

TEST_F(JournalTest, WhatMakesAnotherScanIsForTheCallerToSay)
{
    write_chunks({2, 1});
    auto const open_with = [&](std::string const& difference) {
        return Journal{path_, head("the same scan, begun by another command"), false, [&](std::string const& found) {
                           EXPECT_EQ(found, "a scan");
                           return difference;
                       }};
    };
    expect_input_error([&] { open_with("axis g_V: n = 400 in the journal, 500 now"); },
                       {"interrupted scan that differs: axis g_V: n = 400 in the journal, 500 now; ", "--restart"});
    {
        auto journal = open_with("");
        EXPECT_EQ(journal.next(), 3);
        journal.append(make_chunk(3, 2));
    }
    auto const contents = Journal::inspect(path_);
    ASSERT_TRUE(contents);
    EXPECT_EQ(contents->head.description, "a scan") << "the command that began it is kept";
    EXPECT_EQ(contents->next, 5);
}

TEST_F(JournalTest, APartBeginsWithItsFirstPoint)
{
    {
        Journal journal{path_, head("part", {40, 50}), false};
        EXPECT_EQ(journal.next(), 40);
        journal.append(make_chunk(40, 3));
    }
    expect_records(Journal{path_, head("part", {40, 50}), false}, {3}, 40);
}

TEST_F(JournalTest, ARecordBeyondTheScanIsDropped)
{
    {
        Journal journal{path_, head("part", {0, 10}), false};
        journal.append(make_chunk(0, 8));
        journal.append(make_chunk(8, 3));
    }
    EXPECT_EQ((Journal{path_, head("part", {0, 10}), false}.next()), 8);
}

TEST_F(JournalTest, InspectionTellsACutFromDamage)
{
    auto const ends = write_chunks({2, 1, 3});
    std::string const whole = bytes();
    auto const inspect = [&](std::string const& text) {
        write(text);
        auto const contents = Journal::inspect(path_);
        EXPECT_EQ(bytes(), text) << "nothing is changed";
        return contents.value();
    };
    auto contents = inspect(whole);
    EXPECT_EQ(contents.next, 6);
    EXPECT_EQ(contents.head.range.end, 1000);
    EXPECT_EQ(contents.useless_bytes, 0U);
    EXPECT_FALSE(contents.damaged);
    contents = inspect(whole.substr(0, ends[2] + 20));
    EXPECT_EQ(contents.next, 3);
    EXPECT_EQ(contents.whole_bytes, ends[2]);
    EXPECT_EQ(contents.useless_bytes, 20U);
    EXPECT_FALSE(contents.damaged);
    auto damaged = whole;
    damaged[ends[1] + 17] = static_cast<char>(damaged[ends[1] + 17] ^ 4);
    contents = inspect(damaged);
    EXPECT_EQ(contents.next, 6);
    EXPECT_EQ(contents.useless_bytes, 0U);
    EXPECT_FALSE(contents.damaged);
    damaged[ends[2] + 17] = static_cast<char>(damaged[ends[2] + 17] ^ 4);
    contents = inspect(damaged);
    EXPECT_EQ(contents.next, 2);
    EXPECT_EQ(contents.useless_bytes, whole.size() - ends[1]);
    EXPECT_TRUE(contents.damaged);
    write(whole.substr(0, ends[0] - 1));
    EXPECT_FALSE(Journal::inspect(path_));
    write("nuscan journal 2\n" + std::string(100, 'x'));
    expect_input_error([&] { Journal::inspect(path_); }, {"journal of another version of nuscan"});
    damaged = whole;
    damaged[ends[0] - 1] = 'X';
    write(damaged);
    expect_input_error([&] { Journal::inspect(path_); }, {"head is damaged", "--restart"});
}

TEST_F(JournalTest, WhatEachPointHoldsIsPartOfTheScan)
{
    write_chunks({2, 1});
    for (JournalHead const& other : {JournalHead{"a scan", n_pulls + 1, n_rates, {0, 1000}},
                                     {"a scan", n_pulls, 0, {0, 1000}},
                                     {"a scan", n_pulls, n_rates, {0, 999}},
                                     {"a scan", n_pulls, n_rates, {1, 1000}}})
        expect_input_error([&] { Journal(path_, other, false, [](std::string const&) { return ""; }); },
                           {path_.string(), "interrupted scan that differs"});
    expect_records(open(), {2, 1});
}

TEST_F(JournalTest, AnImpossibleRangeIsDamage)
{
    for (IndexRange const range : {IndexRange{5, 2}, IndexRange{-1, 2}})
    {
        Journal{path_, head("a scan", range), true};
        expect_input_error([&] { Journal::inspect(path_); }, {"scan.journal", "head is damaged"});
    }
}

TEST_F(JournalTest, SecondWriterIsRefused)
{
    auto const journal = open();
    expect_input_error([&] { open(); }, {path_.string(), "another scan or merge is writing this output"});
}

/// Whoever holds the lock deletes the file at the end, as scans and merges do: somebody who opened it just before must not take the lock
/// of the deleted file for that of the next one.
TEST_F(JournalTest, ALockOfADeletedFileCountsNoMore)
{
    std::atomic<int> holders{0};
    std::atomic<int> most{0};
    std::atomic<int> locked{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 5000; ++i)
            {
                FileLock lock;
                if (!lock.acquire(path_))
                    continue;
                ++locked;
                int const now = ++holders;
                most = std::max(most.load(), now);
                std::this_thread::yield();
                --holders;
                fs::remove(path_);
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_GT(locked, 0);
    EXPECT_EQ(most, 1);
}

TEST_F(JournalTest, RestartStartsAnew)
{
    write_chunks({2, 1});
    EXPECT_EQ(open("a scan", true).next(), 0);
    EXPECT_EQ(open("a scan").next(), 0);
}

TEST_F(JournalTest, OtherFileIsRefusedAndKept)
{
    std::string const text = "this is not a journal, but it is longer than the header of one: " + std::string(500, '.');
    write(text);
    expect_input_error([&] { open(); }, {path_.string(), "in the way of the scan's journal"});
    EXPECT_EQ(bytes(), text);
    EXPECT_EQ(open("a scan", true).next(), 0);
}

TEST_F(JournalTest, RecordsOfOtherValuesAreDropped)
{
    auto const ends = write_chunks({2, 1, 3});
    {
        auto journal = open();
        journal.drop_from(1);
        EXPECT_EQ(journal.contents().lost_points, 4);
        EXPECT_FALSE(journal.contents().damaged);
        EXPECT_EQ(fs::file_size(path_), ends[1]);
        expect_records(journal, {2});
        journal.append(make_chunk(2, 8));
        expect_records(journal, {2, 8});
    }
    expect_records(open(), {2, 8});
    auto journal = open();
    journal.drop_from(0);
    EXPECT_EQ(journal.contents().lost_points, 10);
    EXPECT_EQ(journal.next(), 0);
    EXPECT_EQ(fs::file_size(path_), ends[0]);
    Journal part{temp_.path() / "part", head("part", {40, 50}), false};
    part.append(make_chunk(40, 3));
    EXPECT_EQ(part.next(), 43);
    Journal continued{temp_.path() / "other", head("part", {40, 50}), false};
    EXPECT_EQ(continued.next(), 40);
}

TEST_F(JournalTest, UnusablePathIsAnErrorThatSaysWhy)
{
    for (fs::path const& path : {temp_.path(), fs::path{"/dev/full"}})
        expect_input_error(
            [&] {
                Journal(path, {"x", 0, 0, {0, 5}}, false);
            },
            {path.string() + ": is no file", "choose another output"});
    fs::path const missing = temp_.path() / "no/scan.journal";
    try
    {
        Journal journal{missing, {"x", 0, 0, {0, 5}}, false};
        ADD_FAILURE() << missing << " was accepted";
    }
    catch (RunError const& error)
    {
        EXPECT_EQ(std::string{error.what()}, missing.string() + ": cannot write the journal: No such file or directory");
    }
}

TEST_F(JournalTest, ARecordTakesItsBytesWhateverTheChunk)
{
    auto const ends = write_chunks({100, 1});
    EXPECT_EQ(ends[1] - ends[0], Journal::record_bytes());
    EXPECT_EQ(ends[2] - ends[1], Journal::record_bytes());
    EXPECT_EQ(Chunk::bytes(100, n_pulls, n_rates), 100U * (8U * (1U + n_pulls + n_rates) + 1U));
}

TEST_F(JournalTest, RemoveDeletesTheFile)
{
    auto journal = open();
    journal.append(make_chunk(0, 2));
    journal.remove();
    EXPECT_FALSE(fs::exists(path_));
}

} // namespace
} // namespace nuscan::test
