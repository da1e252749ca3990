/// \file
/// Threads that mostly wait.
#pragma once

namespace nuscan
{

/// Asks the system to let the calling thread, which works a little and then waits, run soon after it is woken, though all processors are
/// busy with threads that compute: by a short time slice, which Linux knows since 6.12. Elsewhere nothing changes. It gets no more time
/// than the others by that.
void be_prompt();

} // namespace nuscan
