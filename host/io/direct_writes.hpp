/// \file
/// Long runs of bytes on their way into a file, past the system's page cache, while whoever gave them goes on.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace nuscan::h5
{

/// Gathers what is written as long as each piece begins where the one before ended, and has a thread bring it into the file in large
/// pieces, in order. Their whole blocks go straight to the disk (O_DIRECT): copies into the page cache take processor time from those who
/// compute, and a direct write is waited for by nobody but that thread. File systems other than ext4 and XFS, those of clusters among them,
/// get everything by way of the page cache, and as well those that refuse.
///
/// To be used by one thread at a time.
class DirectWrites
{
public:
    /// Writes bytes at an address through the page cache, in the thread of this object. \returns 0, or the errno of what went wrong
    using Buffered = std::function<int(std::uint64_t address, void const* data, std::size_t bytes)>;

    /// Writes whole blocks past the page cache, in the thread of this object. \returns how many bytes were written, -1 for an error (errno);
    /// empty where there is no such way
    using Direct = std::function<std::ptrdiff_t(std::uint64_t address, void const* data, std::size_t bytes)>;

    /// \param descriptor  of the file, open for writing all the while
    DirectWrites(int descriptor, Buffered buffered);
    DirectWrites(Direct direct, Buffered buffered);
    /// Drops what flush() was not asked for.
    ~DirectWrites();
    DirectWrites(DirectWrites const&) = delete;
    DirectWrites& operator=(DirectWrites const&) = delete;

    /// Takes bytes for an address; what they are written from is free afterwards. Waits only while a lot is on its way.
    void write(std::uint64_t address, void const* data, std::size_t bytes);
    /// Waits until all that write() took is in the file. \returns error()
    int flush();
    /// Calls \p done, in the thread of this object, once all that write() took so far is in the file, with error(). Not to throw, nor to use
    /// this object. Not called any more once this object ends.
    void then(std::function<void(int error)> done);

    /// 0, or the errno of the first failure since the beginning: what came after it was dropped.
    int error() const;

    /// Whether whole blocks go past the page cache. To be asked after flush().
    bool is_direct() const { return direct_ != nullptr; }

private:
    struct Free
    {
        void operator()(std::byte* memory) const;
    };

    /// Bytes for an address, at the same place in their block in memory as in the file. Without memory: nothing.
    struct Piece
    {
        std::unique_ptr<std::byte[], Free> memory;
        std::uint64_t address = 0;
        std::size_t size = 0;
        std::function<void(int error)> then; ///< called afterwards, unless empty

        std::byte* bytes() const;
        std::uint64_t end() const { return address + size; }
        /// Bytes that it can take, up to the end of a block.
        std::size_t room() const;
    };

    void hand_over(Piece piece);
    void run();
    void process(std::unique_lock<std::mutex>& lock);
    int store(Piece const& piece);
    std::size_t write_blocks(std::uint64_t address, std::byte const* data, std::size_t bytes);

    Buffered buffered_;
    Direct direct_;
    Piece gathered_;

    mutable std::mutex mutex_; ///< of everything below
    std::condition_variable changed_;
    std::deque<Piece> waiting_;
    std::vector<std::unique_ptr<std::byte[], Free>> free_;
    bool processing_ = false; ///< a piece that waits no more
    bool ending_ = false;
    int error_ = 0;
    std::thread thread_; ///< from the first piece on
};

} // namespace nuscan::h5
