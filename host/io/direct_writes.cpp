#include "host/io/direct_writes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

#include <fmt/format.h>

#include "host/support/prompt_thread.hpp"

namespace nuscan::h5
{

namespace
{

/// Addresses, lengths and memory of direct writes are multiples of it: no disk has larger sectors, and it is a page.
constexpr std::size_t block = 4096;
/// Of a piece: long enough for a disk to reach its speed, short enough that it begins early.
constexpr std::size_t capacity = std::size_t{512} << 10;
/// Pieces in memory: those of a scan's chunk, so that whoever brings it can go on.
constexpr std::size_t pieces = 6;
/// Below, the page cache costs less than waiting for the disk.
constexpr std::size_t least_direct = std::size_t{64} << 10;

/// The same file again for direct writes; nothing where they are of no use.
DirectWrites::Direct direct_way([[maybe_unused]] int descriptor)
{
#ifdef __linux__
    struct statfs system = {};
    if (::fstatfs(descriptor, &system) != 0)
        return {};
    auto const kind = static_cast<std::uint32_t>(system.f_type);
    if (kind != EXT4_SUPER_MAGIC && kind != XFS_SUPER_MAGIC)
        return {};
    int const direct = ::open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (direct < 0)
        return {};
    auto const close = [](int const* file) {
        ::close(*file);
        delete file;
    };
    return [file = std::shared_ptr<int const>(new int(direct), close)](std::uint64_t address, void const* data, std::size_t bytes) {
        return static_cast<std::ptrdiff_t>(::pwrite(*file, data, bytes, static_cast<off_t>(address)));
    };
#else
    return {};
#endif
}

} // namespace

void DirectWrites::Free::operator()(std::byte* memory) const
{
    ::operator delete[](memory, std::align_val_t{block});
}

std::byte* DirectWrites::Piece::bytes() const
{
    return memory.get() + address % block;
}

std::size_t DirectWrites::Piece::room() const
{
    return capacity - address % block - size;
}

DirectWrites::DirectWrites(int descriptor, Buffered buffered) : DirectWrites(direct_way(descriptor), std::move(buffered)) {}

DirectWrites::DirectWrites(Direct direct, Buffered buffered) : buffered_(std::move(buffered)), direct_(std::move(direct))
{
    for (std::size_t i = 0; i < pieces; ++i)
        free_.emplace_back(new (std::align_val_t{block}) std::byte[capacity]);
}

DirectWrites::~DirectWrites()
{
    {
        std::lock_guard const lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable())
        thread_.join();
}

void DirectWrites::write(std::uint64_t address, void const* data, std::size_t bytes)
{
    if (gathered_.memory && address != gathered_.end())
        hand_over(std::exchange(gathered_, {}));
    auto const* from = static_cast<std::byte const*>(data);
    while (bytes > 0)
    {
        if (!gathered_.memory)
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return !free_.empty(); });
            gathered_ = {std::move(free_.back()), address, 0, {}};
            free_.pop_back();
        }
        std::size_t const some = std::min(bytes, gathered_.room());
        std::memcpy(gathered_.bytes() + gathered_.size, from, some);
        gathered_.size += some;
        from += some;
        address += some;
        bytes -= some;
        if (gathered_.room() == 0)
            hand_over(std::exchange(gathered_, {}));
    }
}

/// Gives a piece to the thread.
void DirectWrites::hand_over(Piece piece)
{
    std::unique_lock lock(mutex_);
    waiting_.push_back(std::move(piece));
    if (!thread_.joinable())
    {
        try
        {
            thread_ = std::thread([this] { run(); });
        }
        catch (std::exception const&) // the system gives no more threads, or no memory for one: then nobody goes on meanwhile
        {
            process(lock);
            return;
        }
    }
    lock.unlock();
    changed_.notify_all();
}

int DirectWrites::flush()
{
    if (gathered_.memory)
        hand_over(std::exchange(gathered_, {}));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.empty() && !processing_; });
    return error_;
}

void DirectWrites::then(std::function<void(int error)> done)
{
    Piece last = std::exchange(gathered_, {});
    last.then = std::move(done);
    hand_over(std::move(last));
}

int DirectWrites::error() const
{
    std::lock_guard const lock(mutex_);
    return error_;
}

void DirectWrites::run()
{
    be_prompt();
    std::unique_lock lock(mutex_);
    for (;;)
    {
        changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (ending_)
            return;
        process(lock);
        changed_.notify_all();
    }
}

/// Does what is to be done with the first piece that waits.
void DirectWrites::process(std::unique_lock<std::mutex>& lock)
{
    Piece piece = std::move(waiting_.front());
    waiting_.pop_front();
    processing_ = true;
    int error = error_;
    lock.unlock();
    if (piece.memory && error == 0)
        error = store(piece);
    if (piece.then)
        piece.then(error);
    lock.lock();
    error_ = error;
    processing_ = false;
    if (piece.memory)
        free_.push_back(std::move(piece.memory));
}

/// \returns 0, or the errno of what went wrong
int DirectWrites::store(Piece const& piece)
{
    std::uint64_t const first = (piece.address + block - 1) / block * block;
    std::uint64_t const last = piece.end() / block * block;
    std::uint64_t done = piece.address;
    int error = 0;
    auto const write_buffered = [&](std::uint64_t to) {
        if (to > done && error == 0)
            error = buffered_(done, piece.bytes() + (done - piece.address), to - done);
        done = to;
    };
    if (is_direct() && first + least_direct <= last)
    {
        write_buffered(first);
        done += write_blocks(first, piece.bytes() + (first - piece.address), last - first);
    }
    write_buffered(piece.end());
    return error;
}

/// \returns how much was written: whole blocks. What was not is for the page cache, which says what is wrong if anything is.
std::size_t DirectWrites::write_blocks(std::uint64_t address, std::byte const* data, std::size_t bytes)
{
    std::size_t done = 0;
    while (done < bytes)
    {
        std::ptrdiff_t const n = direct_(address + done, data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        std::size_t const whole = n > 0 ? static_cast<std::size_t>(n) / block * block : 0;
        done += whole;
        if (whole == 0)
        {
            direct_ = nullptr;
            break;
        }
    }
    return done;
}

} // namespace nuscan::h5
