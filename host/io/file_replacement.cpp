#include "host/io/file_replacement.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/support/error.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

std::string errno_text()
{
    return std::generic_category().message(errno);
}

/// Whether the open file is still the one of that name: whoever held the lock before may have renamed it.
bool is_still_there(int descriptor, fs::path const& path)
{
    struct stat opened = {};
    struct stat named = {};
    return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev
           && opened.st_ino == named.st_ino;
}

/// Creates \p copy and locks it, so that two programs never write the same one.
int create_locked(fs::path const& path, fs::path const& copy)
{
    for (;;)
    {
        constexpr mode_t permissions = 0666; // less the user's umask
        int const descriptor = ::open(copy.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, permissions);
        if (descriptor < 0)
            throw InputError{fmt::format("{}: cannot be changed: changes go to {} first, which cannot be written: {}",
                                         path.string(), copy.string(), errno_text())};
        // A file system without locks leaves it to the user that only one program changes a file.
        if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        {
            ::close(descriptor);
            throw RunError{fmt::format("{}: another nuscan is changing it; try again when that is done", path.string())};
        }
        if (is_still_there(descriptor, copy))
            return descriptor;
        ::close(descriptor);
    }
}

} // namespace

FileReplacement::FileReplacement(fs::path const& path)
{
    std::error_code error;
    path_ = fs::canonical(path, error);
    if (error)
        throw InputError{fmt::format("{}: {}", path.string(), error.message())};
    copy_ = path_.string() + ".new";
    lock_ = create_locked(path_, copy_);
    // Into the locked file: what is overwritten keeps its identity.
    fs::copy_file(path_, copy_, fs::copy_options::overwrite_existing, error);
    if (error)
    {
        std::error_code ignored;
        fs::remove(copy_, ignored);
        ::close(lock_);
        throw RunError{fmt::format("{}: cannot be copied to {}: {}", path.string(), copy_.string(), error.message())};
    }
}

FileReplacement::~FileReplacement()
{
    std::error_code ignored;
    if (!committed_)
        fs::remove(copy_, ignored);
    ::close(lock_); // and with it the lock
}

void FileReplacement::commit()
{
    std::error_code error;
    fs::rename(copy_, path_, error);
    if (error)
        throw RunError{fmt::format("{}: cannot be renamed to {}: {}", copy_.string(), path_.string(), error.message())};
    committed_ = true;
    // The new name is on the disk once the folder is; where folders cannot be synchronised the system does it in its own time.
    int const folder = ::open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
    {
        static_cast<void>(::fsync(folder));
        ::close(folder);
    }
}

} // namespace nuscan
