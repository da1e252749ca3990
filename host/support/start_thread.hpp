/// \file
/// Threads that a calculation cannot do without.
#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "host/support/error.hpp"

namespace nuscan
{

/// Starts a thread that runs \p action. Throws RunError where the system gives no more.
template<class Thread = std::thread, class Action>
Thread start_thread(Action&& action)
{
    try
    {
        return Thread(std::forward<Action>(action));
    }
    catch (std::system_error const& problem)
    {
        throw RunError("cannot start a thread: " + problem.code().message()
                       + "; allow this user more processes (ulimit -u), or the program more memory (ulimit -v), and run the same "
                         "command again");
    }
}

} // namespace nuscan
