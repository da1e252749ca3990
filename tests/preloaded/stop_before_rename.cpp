/// \file
/// Preloaded into nuscan by a test: the program stops itself before it renames a file, which is what it does last of all to an output.
#include <csignal>
#include <cstdio>

#include <dlfcn.h>

extern "C" int rename(char const* from, char const* to) noexcept
{
    static auto* const system = reinterpret_cast<int (*)(char const*, char const*)>(dlsym(RTLD_NEXT, "rename"));
    raise(SIGSTOP);
    return system(from, to);
}
