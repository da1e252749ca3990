/// \file
/// Preloaded into nuscan by a test: a disk that needs some milliseconds before anything is written at a given place of a file, so that the
/// time between handing values over and having them in the file is long enough to be met by a kill.
#include <chrono>
#include <thread>

#include <dlfcn.h>
#include <sys/types.h>

namespace
{

ssize_t write_slowly(int file, void const* data, std::size_t size, off_t address)
{
    static auto* const system = reinterpret_cast<ssize_t (*)(int, void const*, std::size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    return system(file, data, size, address);
}

} // namespace

extern "C" ssize_t pwrite(int file, void const* data, std::size_t size, off_t address)
{
    return write_slowly(file, data, size, address);
}

extern "C" ssize_t pwrite64(int file, void const* data, std::size_t size, off_t address)
{
    return write_slowly(file, data, size, address);
}
