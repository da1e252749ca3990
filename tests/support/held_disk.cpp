#include "tests/support/held_disk.hpp"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <dlfcn.h>
#include <sys/types.h>

namespace nuscan::test
{
namespace
{

std::mutex mutex;
std::condition_variable changed;
bool held = false;
bool reached = false;
int refusal = 0;
std::thread::id owner;

ssize_t write_once_released(int file, void const* data, std::size_t size, off_t address)
{
    static auto* const system = reinterpret_cast<ssize_t (*)(int, void const*, std::size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
    {
        std::unique_lock lock(mutex);
        if (held && std::this_thread::get_id() != owner)
        {
            reached = true;
            changed.notify_all();
            changed.wait(lock, [] { return !held || refusal != 0; });
            if (refusal != 0)
            {
                errno = refusal;
                return -1;
            }
        }
    }
    return system(file, data, size, address);
}

} // namespace

HeldDisk::HeldDisk()
{
    std::lock_guard const lock(mutex);
    held = true;
    reached = false;
    refusal = 0;
    owner = std::this_thread::get_id();
}

bool HeldDisk::is_reached() const
{
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::minutes(1), [] { return reached; });
}

void HeldDisk::release()
{
    std::lock_guard const lock(mutex);
    held = false;
    refusal = 0;
    changed.notify_all();
}

void HeldDisk::refuse(int error)
{
    std::lock_guard const lock(mutex);
    refusal = error;
    changed.notify_all();
}

} // namespace nuscan::test

// In place of the system's, in the whole program.

extern "C" ssize_t pwrite(int file, void const* data, std::size_t size, off_t address)
{
    return nuscan::test::write_once_released(file, data, size, address);
}

extern "C" ssize_t pwrite64(int file, void const* data, std::size_t size, off_t address)
{
    return nuscan::test::write_once_released(file, data, size, address);
}
