#include "host/support/input_file.hpp"

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nuscan
{

namespace
{

[[noreturn]] void fail_with_errno()
{
    throw UnreadableFile{std::generic_category().message(errno)};
}

/// An open file.
class Descriptor
{
public:
    explicit Descriptor(std::filesystem::path const& path)
        // Opening a pipe would wait for its other end, opening a terminal could make it ours.
        : value_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)}
    {
        if (value_ < 0)
            fail_with_errno();
    }
    ~Descriptor() { ::close(value_); }
    Descriptor(Descriptor const&) = delete;
    Descriptor& operator=(Descriptor const&) = delete;

    int value() const { return value_; }

private:
    int value_;
};

void require_kind(struct stat const& found, bool pipe_too)
{
    if (S_ISDIR(found.st_mode))
        throw UnreadableFile{"it is a folder; must be a file"};
    if (!S_ISREG(found.st_mode) && !(pipe_too && S_ISFIFO(found.st_mode)))
        throw UnreadableFile{"it is not a regular file"};
}

/// Waits until there is something to read. \returns false at the end of the pipe
bool wait_for_more(int descriptor, std::chrono::milliseconds silence)
{
    pollfd ready{descriptor, POLLIN, 0};
    int const n = ::poll(&ready, 1, static_cast<int>(silence.count()));
    if (n < 0 && errno != EINTR)
        fail_with_errno();
    if (n == 0)
        throw UnreadableFile{
            fmt::format("it is a pipe through which nothing came for {:g} s", std::chrono::duration<double>{silence}.count())};
    return n < 0 || (ready.revents & POLLIN) != 0;
}

std::string read_all(std::filesystem::path const& path, std::size_t longest, bool pipe_too, std::chrono::milliseconds silence)
{
    struct stat found = {};
    if (::stat(path.c_str(), &found) != 0)
        fail_with_errno();
    require_kind(found, pipe_too); // not even opened: that does something to some devices
    Descriptor const file{path};
    if (::fstat(file.value(), &found) != 0)
        fail_with_errno();
    require_kind(found, pipe_too);
    std::string text;
    std::array<char, 65536> buffer;
    for (;;)
    {
        auto const n = ::read(file.value(), buffer.data(), buffer.size());
        if (n > 0)
        {
            text.append(buffer.data(), static_cast<std::size_t>(n));
            // What it holds counts, not its size: some files of the system say 0 and never end.
            if (text.size() > longest)
                throw UnreadableFile{fmt::format("it is longer than {} bytes", longest)};
        }
        else if (n == 0 && !(S_ISFIFO(found.st_mode) && text.empty())) // without a writer so far, a pipe seems to be at its end
            return text;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            fail_with_errno();
        else if (!wait_for_more(file.value(), silence))
            return text;
    }
}

} // namespace

std::string read_input_file(std::filesystem::path const& path, std::size_t longest)
{
    return read_all(path, longest, false, longest_silence);
}

std::string read_input_file_or_pipe(std::filesystem::path const& path, std::size_t longest, std::chrono::milliseconds silence)
{
    return read_all(path, longest, true, silence);
}

} // namespace nuscan
