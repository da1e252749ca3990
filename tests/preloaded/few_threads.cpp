/// \file
/// Preloaded into nuscan by a test: a system that gives NUSCAN_TEST_THREADS threads and no more.
#include <atomic>
#include <cerrno>
#include <cstdlib>

#include <dlfcn.h>
#include <pthread.h>

extern "C" int pthread_create(pthread_t* thread, pthread_attr_t const* attributes, void* (*start)(void*), void* argument) noexcept
{
    static auto* const system = reinterpret_cast<int (*)(pthread_t*, pthread_attr_t const*, void* (*)(void*), void*)>(
        dlsym(RTLD_NEXT, "pthread_create"));
    static std::atomic<int> left{std::atoi(std::getenv("NUSCAN_TEST_THREADS"))};
    return left-- > 0 ? system(thread, attributes, start, argument) : EAGAIN;
}
