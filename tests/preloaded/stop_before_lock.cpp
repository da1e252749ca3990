/// \file
/// Preloaded into nuscan by a test: the program stops itself before it locks its output, which comes behind a first look at what is there.
#include <csignal>

#include <dlfcn.h>
#include <sys/file.h>

extern "C" int flock(int file, int operation) noexcept
{
    static auto* const system = reinterpret_cast<int (*)(int, int)>(dlsym(RTLD_NEXT, "flock"));
    static bool was_stopped = false;
    if (!was_stopped)
    {
        was_stopped = true;
        raise(SIGSTOP);
    }
    return system(file, operation);
}
