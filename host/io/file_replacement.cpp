#include "host/io/file_replacement.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/sendfile.h>
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

/// Contents and permissions; false with errno set where that fails. (std::filesystem::copy_file calls a full disk an I/O error.)
bool copy_contents(fs::path const& from, int to)
{
    int const source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat found = {};
    bool good = source >= 0 && ::fstat(source, &found) == 0 && ::ftruncate(to, 0) == 0 && ::fchmod(to, found.st_mode) == 0;
    for (off_t left = found.st_size; good && left > 0;)
    {
        ssize_t const n = ::sendfile(to, source, nullptr, static_cast<std::size_t>(left));
        if (n == 0) // the file became shorter meanwhile
            errno = EIO;
        good = n > 0 || (n < 0 && errno == EINTR);
        left -= std::max<ssize_t>(n, 0);
    }
    int const reason = errno;
    if (source >= 0)
        ::close(source);
    errno = reason;
    return good;
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
    if (!copy_contents(path_, lock_))
    {
        std::string const reason = errno_text();
        fs::remove(copy_, error);
        ::close(lock_);
        throw RunError{fmt::format("{}: cannot be copied to {}: {}", path.string(), copy_.string(), reason)};
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
    rename_durably(copy_, path_);
    committed_ = true;
}

void rename_durably(fs::path const& from, fs::path const& to)
{
    std::error_code error;
    fs::rename(from, to, error);
    if (error)
        throw RunError{fmt::format("{}: cannot be renamed to {}: {}", from.string(), to.string(), error.message())};
    // The new name is on the disk once the folder is.
    sync_folder_of(to);
}

void sync_folder_of(fs::path const& path)
{
    fs::path const parent = path.has_parent_path() ? path.parent_path() : fs::path{"."};
    int const folder = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return;
    static_cast<void>(::fsync(folder));
    ::close(folder);
}

void sync_file(fs::path const& path)
{
    int const file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file >= 0)
    {
        static_cast<void>(::fsync(file));
        ::close(file);
    }
    sync_folder_of(path);
}

fs::path link_target(fs::path const& path)
{
    constexpr int most_links = 40; // as the system's own bound
    fs::path target = path;
    std::error_code error;
    for (int i = 0; i < most_links; ++i)
    {
        if (fs::symlink_status(target, error).type() != fs::file_type::symlink)
            return target;
        fs::path const next = fs::read_symlink(target, error);
        if (error)
            break;
        target = target.parent_path() / next; // which an absolute one replaces
    }
    throw InputError{fmt::format("{}: a symbolic link that leads nowhere; remove it or choose another name", path.string())};
}

} // namespace nuscan
