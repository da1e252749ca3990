#include "host/support/prompt_thread.hpp"

#include <cerrno>
#include <thread>

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nuscan::test
{
namespace
{

/// Whoever runs a scan with nice means all of its threads.
TEST(PromptThread, StaysAsNiceAsItWas)
{
    std::thread([] {
        constexpr int nice = 7;
        auto const self = static_cast<id_t>(::syscall(SYS_gettid));
        ASSERT_EQ(::setpriority(PRIO_PROCESS, self, nice), 0);
        be_prompt();
        errno = 0;
        EXPECT_EQ(::getpriority(PRIO_PROCESS, self), nice);
        EXPECT_EQ(errno, 0);
        EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
    }).join();
}

TEST(PromptThread, KeepsAnotherPolicy)
{
    std::thread([] {
        sched_param const none = {};
        if (::sched_setscheduler(0, SCHED_BATCH, &none) != 0)
            GTEST_SKIP() << "no other policy may be set";
        be_prompt();
        EXPECT_EQ(::sched_getscheduler(0), SCHED_BATCH);
    }).join();
}

} // namespace
} // namespace nuscan::test
