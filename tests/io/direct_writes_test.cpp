#include "host/io/direct_writes.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

constexpr std::size_t block = 4096;

std::string noise(std::size_t n)
{
    std::mt19937 generator{1};
    std::string bytes(n, '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(generator());
    return bytes;
}

/// A file that is written both ways, and what went through the page cache.
class DirectWritesTest : public testing::Test
{
protected:
    DirectWritesTest() : descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) { EXPECT_GE(descriptor_, 0); }
    ~DirectWritesTest() override { ::close(descriptor_); }

    h5::DirectWrites::Buffered buffered()
    {
        return [this](std::uint64_t address, void const* data, std::size_t bytes) {
            buffered_bytes_ += bytes;
            largest_buffered_ = std::max(largest_buffered_, bytes);
            EXPECT_EQ(::pwrite(descriptor_, data, bytes, static_cast<off_t>(address)), static_cast<ssize_t>(bytes));
        };
    }

    std::string content() const
    {
        std::ifstream in(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    TempDir temp_;
    std::filesystem::path path_ = temp_.path() / "values";
    int descriptor_;
    std::size_t buffered_bytes_ = 0;
    std::size_t largest_buffered_ = 0;
};

TEST_F(DirectWritesTest, BytesOfAnyPiecesComeToTheirPlaces)
{
    // Pieces of all sizes, up to several times what is gathered, in two places in turn, as a scan's chi^2 and status.
    std::size_t const size = std::size_t{48} << 20;
    std::string const bytes = noise(size);
    std::size_t const split = 40'000'123;
    std::mt19937 generator{2};
    {
        h5::DirectWrites writes(descriptor_, buffered());
        std::size_t first = 5;
        std::size_t second = split;
        while (first < split || second < size)
        {
            for (auto [next, end] : {std::pair{&first, split}, std::pair{&second, size}})
                for (unsigned pieces = generator() % 4; pieces > 0; --pieces)
                {
                    std::size_t const longest = std::size_t{1} << generator() % 24;
                    std::size_t const n = std::min(generator() % longest + (generator() % 8 == 0 ? 0 : 1), end - *next);
                    writes.write(*next, bytes.data() + *next, n);
                    *next += n;
                }
            if (generator() % 2 == 0)
                writes.flush();
        }
        writes.flush();
    }
    EXPECT_TRUE(content() == std::string(5, '\0') + bytes.substr(5));
}

/// A disk, and a file in its page cache, in memory, by a clock of its own.
struct SlowDisk
{
    using Clock = std::chrono::steady_clock;

    h5::DirectWrites::Disk disk()
    {
        return {.write = [this](std::uint64_t address, void const* data, std::size_t bytes) -> std::ptrdiff_t {
                    EXPECT_EQ(address % block, 0U);
                    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % block, 0U) << "memory of direct writes lies at whole blocks";
                    // What a short write left is not always a whole block less.
                    EXPECT_EQ(bytes % block, 0U);
                    now += busy;
                    if (error != 0)
                    {
                        errno = std::exchange(error, next_error);
                        return -1;
                    }
                    std::size_t const some = std::min(bytes, most);
                    if (keeps)
                        put(address, data, some);
                    direct_bytes += some;
                    return static_cast<std::ptrdiff_t>(some);
                },
                .now = [this] { return now; }};
    }

    h5::DirectWrites::Buffered buffered()
    {
        return [this](std::uint64_t address, void const* data, std::size_t bytes) { put(address, data, bytes); };
    }

    void put(std::uint64_t address, void const* data, std::size_t bytes)
    {
        content.resize(std::max(content.size(), static_cast<std::size_t>(address) + bytes));
        std::memcpy(content.data() + address, data, bytes);
    }

    bool keeps = true; ///< what is written
    Clock::time_point now;
    Clock::duration busy = {};               ///< a direct write takes
    int error = 0;                           ///< of the next direct write
    int next_error = 0;                      ///< of that after it
    std::size_t most = std::size_t{1} << 40; ///< bytes of a direct write
    std::size_t direct_bytes = 0;
    std::string content;
};

/// Writes windows one after the other, computing for a while before each piece.
class WindowsTest : public testing::Test
{
protected:
    static constexpr std::size_t piece = std::size_t{4} << 20; ///< what is gathered
    static constexpr int pieces = 4;                           ///< of a window

    WindowsTest() { disk_.keeps = false; }

    /// \returns how many windows were written before direct writes began or ended
    int windows_until(bool direct, int at_most)
    {
        for (int n = 0; n < at_most; ++n)
        {
            if (writes_.is_direct() == direct)
                return n;
            for (int i = 0; i < pieces; ++i, address_ += piece)
            {
                disk_.now += std::chrono::milliseconds{10}; // computing
                writes_.write(address_, bytes_.data(), piece);
            }
        }
        return at_most;
    }

    SlowDisk disk_;
    std::string bytes_ = std::string(piece, 'x');
    std::uint64_t address_ = 0;
    h5::DirectWrites writes_{disk_.disk(), [](std::uint64_t, void const*, std::size_t) {}};
};

TEST_F(WindowsTest, ABusyDiskIsWrittenThroughThePageCacheInTurn)
{
    // Waited for as long as computed, and a little: more than half of the time.
    disk_.busy = std::chrono::milliseconds{11};
    std::vector<int> off;
    for (int n = 0; n < 9; ++n)
    {
        EXPECT_EQ(windows_until(false, 100), 1) << "one window tells";
        off.push_back(windows_until(true, 100));
    }
    EXPECT_EQ(off, (std::vector<int>{1, 2, 4, 8, 16, 32, 64, 64, 64}));
    // Fast again: direct writes go on, and if they are waited for later, the windows without them are few once more.
    disk_.busy = std::chrono::milliseconds{9};
    EXPECT_EQ(windows_until(false, 20), 20);
    disk_.busy = std::chrono::milliseconds{11};
    EXPECT_EQ(windows_until(false, 20), 1);
    EXPECT_EQ(windows_until(true, 20), 1);
}

TEST(SlowDisk, WhatADirectWriteLeavesGoesToThePageCache)
{
    std::string const bytes = noise(std::size_t{9} << 20);
    struct Case
    {
        char const* what;
        int error, next_error;
        std::size_t most;
        bool stays_direct;
    };
    for (Case const& fault :
         {Case{"short writes of whole blocks", 0, 0, 5 * block, true},
          Case{"short writes of parts of blocks", 0, 0, 2 * block + 77, true}, Case{"less than a block", 0, 0, 77, false},
          Case{"nothing", 0, 0, 0, false}, Case{"a signal", EINTR, EINTR, 3 * block + 1, true},
          Case{"a bad sector", EIO, 0, block, false}, Case{"a full disk", ENOSPC, ENOSPC, block, false},
          Case{"no such alignment", EINVAL, EINVAL, block, false}})
    {
        SCOPED_TRACE(fault.what);
        SlowDisk disk;
        disk.error = fault.error;
        disk.next_error = fault.next_error == EINTR ? 0 : fault.next_error;
        disk.most = fault.most;
        h5::DirectWrites writes(disk.disk(), disk.buffered());
        writes.write(0, bytes.data(), bytes.size());
        writes.flush();
        EXPECT_TRUE(disk.content == bytes);
        EXPECT_EQ(writes.is_direct(), fault.stays_direct);
        EXPECT_EQ(disk.direct_bytes >= bytes.size() - block, fault.stays_direct);
    }
}

TEST_F(DirectWritesTest, WholeBlocksGoPastThePageCache)
{
    std::string const bytes = noise(std::size_t{1} << 20);
    h5::DirectWrites writes(descriptor_, buffered());
    if (!writes.is_direct())
        GTEST_SKIP() << "the file system of " << temp_.path() << " is neither ext4 nor XFS, or refuses O_DIRECT";
    writes.write(100, bytes.data(), bytes.size());
    EXPECT_EQ(content(), "") << "not yet asked for";
    writes.flush();
    EXPECT_EQ(content(), std::string(100, '\0') + bytes);
    EXPECT_TRUE(writes.is_direct());
    EXPECT_LT(largest_buffered_, block);
    EXPECT_EQ(buffered_bytes_, (block - 100) + (100 + bytes.size()) % block);
    // What is short is not worth waiting for the disk.
    std::size_t const before = buffered_bytes_;
    writes.write(0, bytes.data(), 4 * block);
    writes.flush();
    EXPECT_EQ(buffered_bytes_ - before, 4 * block);
}

TEST_F(DirectWritesTest, WhatTheSystemRefusesGoesTheOtherWay)
{
    std::string const bytes = noise(std::size_t{2} << 20);
    h5::DirectWrites writes(descriptor_, buffered());
    if (!writes.is_direct())
        GTEST_SKIP() << "the file system of " << temp_.path() << " is neither ext4 nor XFS, or refuses O_DIRECT";
    // A file may not grow beyond a half.
    rlimit old = {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit const small{bytes.size() / 2, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    bool restored = false;
    {
        h5::DirectWrites refused(descriptor_, [&](std::uint64_t address, void const* data, std::size_t n) {
            // All of the rest, from the last block that was written on.
            if (!restored)
            {
                EXPECT_EQ(address, bytes.size() / 2);
            }
            restored = ::setrlimit(RLIMIT_FSIZE, &old) == 0;
            buffered()(address, data, n);
        });
        refused.write(0, bytes.data(), bytes.size());
        refused.flush();
        EXPECT_FALSE(refused.is_direct());
    }
    EXPECT_TRUE(restored);
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    EXPECT_TRUE(content() == bytes);
    EXPECT_EQ(buffered_bytes_, bytes.size() / 2);
}

} // namespace
} // namespace nuscan::test
