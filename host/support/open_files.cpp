#include "host/support/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

#include <fmt/format.h>

#include "host/support/error.hpp"

namespace nuscan
{

void allow_open_files(std::size_t files)
{
    constexpr rlim_t others = 64;
    rlim_t const needed = static_cast<rlim_t>(files) + others;
    struct rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    if (limit.rlim_max < needed)
        throw RunError(fmt::format("{} files have to be open at a time, and this system allows {}; have that raised (ulimit -n)",
                                   needed, limit.rlim_max));
    limit.rlim_cur = needed;
    setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace nuscan
