#include "host/io/direct_writes.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
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
            return 0;
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
        EXPECT_EQ(writes.flush(), 0);
    }
    EXPECT_TRUE(content() == std::string(5, '\0') + bytes.substr(5));
}

/// A disk, and a file in its page cache, in memory.
struct FaultyDisk
{
    h5::DirectWrites::Direct direct()
    {
        return [this](std::uint64_t address, void const* data, std::size_t bytes) -> std::ptrdiff_t {
            EXPECT_EQ(address % block, 0U);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % block, 0U) << "memory of direct writes lies at whole blocks";
            // What a short write left is not always a whole block less.
            EXPECT_EQ(bytes % block, 0U);
            if (error != 0)
            {
                errno = std::exchange(error, next_error);
                return -1;
            }
            std::size_t const some = std::min(bytes, most);
            put(address, data, some);
            direct_bytes += some;
            return static_cast<std::ptrdiff_t>(some);
        };
    }

    h5::DirectWrites::Buffered buffered()
    {
        return [this](std::uint64_t address, void const* data, std::size_t bytes) {
            ++buffered_writes;
            if (buffered_writes == failing)
                return ENOSPC;
            put(address, data, bytes);
            return 0;
        };
    }

    void put(std::uint64_t address, void const* data, std::size_t bytes)
    {
        content.resize(std::max(content.size(), static_cast<std::size_t>(address) + bytes));
        std::memcpy(content.data() + address, data, bytes);
    }

    int error = 0;                           ///< of the next direct write
    int next_error = 0;                      ///< of that after it
    std::size_t most = std::size_t{1} << 40; ///< bytes of a direct write
    std::size_t direct_bytes = 0;
    int buffered_writes = 0; ///< so far
    int failing = 0;         ///< the number of the write through the page cache that fails, 0 for none
    std::string content;
};

TEST(FaultyDisk, WhatADirectWriteLeavesGoesToThePageCache)
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
        FaultyDisk disk;
        disk.error = fault.error;
        disk.next_error = fault.next_error == EINTR ? 0 : fault.next_error;
        disk.most = fault.most;
        h5::DirectWrites writes(disk.direct(), disk.buffered());
        writes.write(0, bytes.data(), bytes.size());
        EXPECT_EQ(writes.flush(), 0);
        EXPECT_TRUE(disk.content == bytes);
        EXPECT_EQ(writes.is_direct(), fault.stays_direct);
        EXPECT_EQ(disk.direct_bytes >= bytes.size() - block, fault.stays_direct);
    }
}

TEST(FaultyDisk, TheFirstFailureIsToldAndNothingIsWrittenAfterIt)
{
    std::size_t const size = std::size_t{9} << 20;
    std::string const bytes = noise(size);
    FaultyDisk disk;
    disk.error = ENOSPC; // no direct writes, so that each piece is a write through the page cache
    disk.failing = 3;
    h5::DirectWrites writes(disk.direct(), disk.buffered());
    writes.write(0, bytes.data(), bytes.size());
    EXPECT_EQ(writes.flush(), ENOSPC);
    EXPECT_EQ(disk.buffered_writes, 3);
    std::size_t const before = disk.content.size();
    EXPECT_GT(before, 0U);
    EXPECT_LT(before, size);
    writes.write(size, bytes.data(), bytes.size());
    EXPECT_EQ(writes.flush(), ENOSPC) << "it stays one";
    std::promise<int> told;
    writes.then([&](int error) { told.set_value(error); });
    EXPECT_EQ(told.get_future().get(), ENOSPC);
    EXPECT_EQ(writes.flush(), ENOSPC);
    EXPECT_EQ(writes.error(), ENOSPC);
    EXPECT_EQ(disk.buffered_writes, 3);
    EXPECT_EQ(disk.content.size(), before);
}

TEST(FaultyDisk, WhoeverWritesGoesOnWhileTheDiskIsAtWork)
{
    std::string const bytes = noise(std::size_t{1} << 20);
    std::promise<void> written;
    std::string content;
    auto const put = [&](std::uint64_t address, void const* data, std::size_t n) {
        content.resize(std::max(content.size(), static_cast<std::size_t>(address) + n));
        std::memcpy(content.data() + address, data, n);
        return static_cast<std::ptrdiff_t>(n);
    };
    bool first = true;
    h5::DirectWrites writes(
        [&](std::uint64_t address, void const* data, std::size_t n) {
            if (std::exchange(first, false)) // the disk has done nothing yet, and everything is given to it
                written.get_future().wait();
            return put(address, data, n);
        },
        [&](std::uint64_t address, void const* data, std::size_t n) {
            put(address, data, n);
            return 0;
        });
    writes.write(0, bytes.data(), bytes.size());
    std::string const more = noise(100);
    writes.write(std::size_t{3} << 20, more.data(), more.size());
    written.set_value();
    EXPECT_EQ(writes.flush(), 0);
    EXPECT_EQ(content.size(), (std::size_t{3} << 20) + more.size());
    EXPECT_TRUE(content.starts_with(bytes) && content.ends_with(more));
}

TEST(FaultyDisk, WhatIsNotFlushedMayBeLostButNothingIsWrittenAfterTheEnd)
{
    std::string const bytes = noise(std::size_t{2} << 20);
    FaultyDisk disk;
    std::promise<void> reached;
    std::promise<void> released;
    auto writes = std::make_unique<h5::DirectWrites>(
        [&, first = true, write = disk.direct()](std::uint64_t address, void const* data, std::size_t n) mutable {
            if (std::exchange(first, false))
            {
                reached.set_value();
                released.get_future().wait();
            }
            return write(address, data, n);
        },
        disk.buffered());
    writes->write(0, bytes.data(), bytes.size());
    reached.get_future().wait();
    auto end = std::async(std::launch::async, [&] { writes.reset(); });
    // Time enough for an end that does not wait for what the disk is doing; a right one never comes before it.
    EXPECT_EQ(end.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    released.set_value();
    end.get();
    EXPECT_GT(disk.direct_bytes, 0U);
    EXPECT_TRUE(bytes.starts_with(disk.content)) << "in order, as far as it came";
    EXPECT_LT(disk.content.size(), bytes.size()) << "and no further";
}

TEST_F(DirectWritesTest, WholeBlocksGoPastThePageCache)
{
    std::string const bytes = noise(std::size_t{1} << 20);
    h5::DirectWrites writes(descriptor_, buffered());
    if (!writes.is_direct())
        GTEST_SKIP() << "the file system of " << temp_.path() << " is neither ext4 nor XFS, or refuses O_DIRECT";
    writes.write(100, bytes.data(), bytes.size());
    EXPECT_EQ(writes.flush(), 0);
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
            return buffered()(address, data, n);
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
