/// \file
/// Preloaded into nuscan by a test: the wall clock is ten years ahead when the program starts, and goes back by a day each time that it is
/// looked at, while the steady clock goes on as ever. What a corrected clock or a dead battery does, only more often.
#include <atomic>
#include <ctime>

#include <dlfcn.h>
#include <sys/time.h>

namespace
{

std::time_t jump()
{
    constexpr std::time_t day = 86400; // [s]
    static std::atomic<int> looks{0};
    return (3650 - ++looks) * day;
}

} // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept
{
    static auto* const system = reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
    int const result = system(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jump();
    return result;
}

extern "C" int gettimeofday(timeval* now, void*) noexcept
{
    timespec precise = {};
    int const result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

extern "C" std::time_t time(std::time_t* where) noexcept
{
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    if (where != nullptr)
        *where = now.tv_sec;
    return now.tv_sec;
}
