#include "host/support/prompt_thread.hpp"

#include <cstdint>

#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace nuscan
{

#ifdef __linux__
namespace
{

/// The kernel's struct sched_attr; glibc has none before 2.41, and the kernel's header does not go with glibc's.
struct SchedulingAttributes
{
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime_ns; ///< of a thread of the usual policy: its time slice
    std::uint64_t deadline_ns;
    std::uint64_t period_ns;
};

} // namespace
#endif

void be_prompt()
{
#if defined(__linux__) && defined(SYS_sched_getattr) && defined(SYS_sched_setattr)
    constexpr std::uint64_t slice_ns = 100'000; // the shortest that there is
    SchedulingAttributes attributes = {};
    // What else it is (nice) stays; whoever has another policy knows why.
    if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER)
        return;
    attributes.runtime_ns = slice_ns;
    static_cast<void>(::syscall(SYS_sched_setattr, 0, &attributes, 0));
#endif
}

} // namespace nuscan
