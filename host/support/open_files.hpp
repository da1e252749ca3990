/// \file
/// How many files a process may have open.
#pragma once

#include <cstddef>

namespace nuscan
{

/// Has the system allow this process \p files open files beside a few others. Throws RunError if it does not allow so many.
void allow_open_files(std::size_t files);

} // namespace nuscan
