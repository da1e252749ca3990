/// \file
/// A disk that does nothing until it is told to.
#pragma once

namespace nuscan::test
{

/// While it lives, what other threads than the one that made it write at given places of files (pwrite) waits for release(). One at a time;
/// in programs that link held_disk.cpp.
class HeldDisk
{
public:
    HeldDisk();
    ~HeldDisk() { release(); }
    HeldDisk(HeldDisk const&) = delete;
    HeldDisk& operator=(HeldDisk const&) = delete;

    /// Waits until something is to be written. \returns false after a minute without
    bool is_reached() const;

    /// Lets everything be written from now on, whatever was refused before.
    void release();

    /// Refuses what waits, and all that comes until release(), with an errno.
    void refuse(int error);
};

} // namespace nuscan::test
