/// \file
/// Long runs of bytes on their way into a file, past the system's page cache.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace nuscan::h5
{

/// Gathers what is written as long as each piece begins where the one before ended, and writes it in large pieces, their whole blocks
/// straight to the disk (O_DIRECT): copies into the page cache take processor time from those who compute. But a direct write is waited
/// for, while of those in the page cache many are under way at a time. So it is for disks that are not kept busy, and in turn with the page
/// cache where they are: whenever direct writes took more than half of the time. File systems other than ext4 and XFS, those of clusters
/// among them, get everything by way of the page cache, and as well those that refuse.
class DirectWrites
{
public:
    /// Writes bytes at an address through the page cache; whether that failed is its own business.
    using Buffered = std::function<void(std::uint64_t address, void const* data, std::size_t bytes)>;

    using Instant = std::chrono::steady_clock::time_point;

    /// The disk below a file, and the clock by which it is judged.
    struct Disk
    {
        /// Writes whole blocks past the page cache. \returns how many bytes were written, -1 for an error (errno); empty where there is no
        /// such way.
        std::function<std::ptrdiff_t(std::uint64_t address, void const* data, std::size_t bytes)> write;
        std::function<Instant()> now = std::chrono::steady_clock::now;
    };

    /// \param descriptor  of the file, open for writing all the while
    DirectWrites(int descriptor, Buffered buffered);
    DirectWrites(Disk disk, Buffered buffered);
    DirectWrites(DirectWrites const&) = delete;
    DirectWrites& operator=(DirectWrites const&) = delete;

    void write(std::uint64_t address, void const* data, std::size_t bytes);
    /// Brings what is gathered into the file. What is not, when the object ends, is lost.
    void flush();

    /// Whether whole blocks go past the page cache now.
    bool is_direct() const { return disk_.write != nullptr && windows_off_ == 0; }

private:
    struct Free
    {
        void operator()(std::byte* memory) const;
    };

    std::byte* gathered() const;
    std::uint64_t end() const { return address_ + size_; }
    std::size_t write_blocks(std::uint64_t address, std::byte const* data, std::size_t bytes);
    void judge(std::size_t bytes);

    Buffered buffered_;
    Disk disk_;
    std::unique_ptr<std::byte[], Free> memory_;
    std::uint64_t address_ = 0; ///< of what is gathered
    std::size_t size_ = 0;
    // Whether the disk is kept busy, window by window:
    std::size_t window_bytes_ = 0;                    ///< written in this one
    Instant window_begin_;                            ///< of this one
    std::chrono::steady_clock::duration waited_ = {}; ///< for direct writes in this one
    int windows_off_ = 0;                             ///< to come without direct writes
    int next_off_ = 1;                                ///< so many, if direct writes are waited for again
};

} // namespace nuscan::h5
