#include "host/io/direct_writes.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
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
