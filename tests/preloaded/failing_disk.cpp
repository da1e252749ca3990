/// \file
/// Preloaded into nuscan by a test: a disk without room for the byte at NUSCAN_TEST_NO_ROOM_AT of any file that is written at given
/// places, and that cannot read the byte at NUSCAN_TEST_UNREADABLE_AT of any that is read at given places. A limit of the size of files
/// would not do where a file is written from both ends.
#include <cerrno>
#include <cstdlib>
#include <limits>

#include <dlfcn.h>
#include <sys/types.h>

namespace
{

/// The place of a byte that a variable names; behind all files where there is none.
off_t place_of(char const* variable)
{
    char const* const text = std::getenv(variable);
    return text ? static_cast<off_t>(std::strtoll(text, nullptr, 10)) : std::numeric_limits<off_t>::max();
}

bool holds(off_t address, std::size_t size, off_t byte)
{
    return address <= byte && byte - address < static_cast<off_t>(size);
}

ssize_t write_while_there_is_room(int file, void const* data, std::size_t size, off_t address)
{
    static auto* const system = reinterpret_cast<ssize_t (*)(int, void const*, std::size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
    static off_t const limit = place_of("NUSCAN_TEST_NO_ROOM_AT");
    if (holds(address, size, limit))
    {
        if (address == limit)
        {
            errno = ENOSPC;
            return -1;
        }
        size = static_cast<std::size_t>(limit - address);
    }
    return system(file, data, size, address);
}

ssize_t read_what_is_readable(int file, void* data, std::size_t size, off_t address)
{
    static auto* const system = reinterpret_cast<ssize_t (*)(int, void*, std::size_t, off_t)>(dlsym(RTLD_NEXT, "pread"));
    static off_t const bad = place_of("NUSCAN_TEST_UNREADABLE_AT");
    if (holds(address, size, bad))
    {
        errno = EIO;
        return -1;
    }
    return system(file, data, size, address);
}

} // namespace

extern "C" ssize_t pwrite(int file, void const* data, std::size_t size, off_t address)
{
    return write_while_there_is_room(file, data, size, address);
}

extern "C" ssize_t pwrite64(int file, void const* data, std::size_t size, off_t address)
{
    return write_while_there_is_room(file, data, size, address);
}

extern "C" ssize_t pread(int file, void* data, std::size_t size, off_t address)
{
    return read_what_is_readable(file, data, size, address);
}

extern "C" ssize_t pread64(int file, void* data, std::size_t size, off_t address)
{
    return read_what_is_readable(file, data, size, address);
}
