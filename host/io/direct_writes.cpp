#include "host/io/direct_writes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

#include <fmt/format.h>

namespace nuscan::h5
{

namespace
{

/// Addresses, lengths and memory of direct writes are multiples of it: no disk has larger sectors, and it is a page.
constexpr std::size_t block = 4096;
/// Some milliseconds of a disk.
constexpr std::size_t capacity = std::size_t{4} << 20;
/// Below, the page cache costs less than waiting for the disk.
constexpr std::size_t least_direct = std::size_t{64} << 10;
/// Bytes after which it is judged whether the disk is kept busy, and most of these windows in a row without direct writes.
constexpr std::size_t window = std::size_t{16} << 20;
constexpr int most_off = 64;

/// The same file again for direct writes; without a way to write where they are of no use.
DirectWrites::Disk disk_below([[maybe_unused]] int descriptor)
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
    return {.write = [file = std::shared_ptr<int const>(new int(direct), close)](std::uint64_t address, void const* data,
                                                                                 std::size_t bytes) {
        return static_cast<std::ptrdiff_t>(::pwrite(*file, data, bytes, static_cast<off_t>(address)));
    }};
#else
    return {};
#endif
}

} // namespace

void DirectWrites::Free::operator()(std::byte* memory) const
{
    ::operator delete[](memory, std::align_val_t{block});
}

DirectWrites::DirectWrites(int descriptor, Buffered buffered) : DirectWrites(disk_below(descriptor), std::move(buffered)) {}

DirectWrites::DirectWrites(Disk disk, Buffered buffered)
    : buffered_(std::move(buffered))
    , disk_(std::move(disk))
    , memory_(new (std::align_val_t{block}) std::byte[capacity + block])
    , window_begin_(disk_.now())
{
}

/// Blocks of the file are blocks in memory.
std::byte* DirectWrites::gathered() const
{
    return memory_.get() + address_ % block;
}

void DirectWrites::write(std::uint64_t address, void const* data, std::size_t bytes)
{
    if (address != end())
        flush();
    auto const* from = static_cast<std::byte const*>(data);
    while (bytes > 0)
    {
        if (size_ == 0)
            address_ = address;
        std::size_t const some = std::min(bytes, capacity - size_);
        std::memcpy(gathered() + size_, from, some);
        size_ += some;
        from += some;
        address += some;
        bytes -= some;
        if (size_ == capacity)
            flush();
    }
}

void DirectWrites::flush()
{
    std::uint64_t const first = (address_ + block - 1) / block * block;
    std::uint64_t const last = end() / block * block;
    std::uint64_t done = address_;
    auto const write_buffered = [&](std::uint64_t to) {
        if (to > done)
            buffered_(done, gathered() + (done - address_), to - done);
        done = to;
    };
    if (is_direct() && first + least_direct <= last)
    {
        write_buffered(first);
        Instant const start = disk_.now();
        done += write_blocks(first, gathered() + (first - address_), last - first);
        waited_ += disk_.now() - start;
    }
    write_buffered(end());
    judge(size_);
    address_ = end();
    size_ = 0;
}

/// After \p bytes more, decides how those of the next window are written.
void DirectWrites::judge(std::size_t bytes)
{
    window_bytes_ += bytes;
    if (window_bytes_ < window)
        return;
    Instant const now = disk_.now();
    if (windows_off_ > 0)
        --windows_off_;
    else if (2 * waited_ > now - window_begin_)
    {
        windows_off_ = next_off_;
        next_off_ = std::min(2 * next_off_, most_off);
    }
    else
        next_off_ = 1;
    window_bytes_ = 0;
    window_begin_ = now;
    waited_ = {};
}

/// \returns how much was written: whole blocks. What was not is for the page cache, which says what is wrong if anything is.
std::size_t DirectWrites::write_blocks(std::uint64_t address, std::byte const* data, std::size_t bytes)
{
    std::size_t done = 0;
    while (done < bytes)
    {
        std::ptrdiff_t const n = disk_.write(address + done, data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        std::size_t const whole = n > 0 ? static_cast<std::size_t>(n) / block * block : 0;
        done += whole;
        if (whole == 0)
        {
            disk_.write = nullptr;
            break;
        }
    }
    return done;
}

} // namespace nuscan::h5
