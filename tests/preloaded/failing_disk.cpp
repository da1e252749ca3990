/// \file
/// Preloaded into nuscan by a test: there is no room on the disk for the byte at NUSCAN_TEST_NO_ROOM_AT of any file that is written at
/// given places. A limit of the size of files would not do where a file is written from both ends.
#include <cerrno>
#include <cstdlib>

#include <dlfcn.h>
#include <sys/types.h>

namespace
{

ssize_t write_while_there_is_room(int file, void const* data, std::size_t size, off_t address)
{
    static auto* const system = reinterpret_cast<ssize_t (*)(int, void const*, std::size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
    static off_t const limit = [] {
        char const* const text = std::getenv("NUSCAN_TEST_NO_ROOM_AT");
        return text ? static_cast<off_t>(std::strtoll(text, nullptr, 10)) : off_t{0};
    }();
    if (address <= limit && static_cast<off_t>(size) > limit - address)
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

} // namespace

extern "C" ssize_t pwrite(int file, void const* data, std::size_t size, off_t address)
{
    return write_while_there_is_room(file, data, size, address);
}

extern "C" ssize_t pwrite64(int file, void const* data, std::size_t size, off_t address)
{
    return write_while_there_is_room(file, data, size, address);
}
