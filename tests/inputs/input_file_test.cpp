#include "host/support/input_file.hpp"

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/temp_dir.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

/// Short, as a test waits for it.
constexpr std::chrono::milliseconds soon{20};
/// Never waited for where all is well.
constexpr std::chrono::milliseconds long_time{60000};

/// Why a file is refused; empty if it is not.
template<class Action>
std::string refusal(Action&& action)
{
    try
    {
        action();
        return {};
    }
    catch (UnreadableFile const& e)
    {
        return e.what();
    }
}

/// A pipe and the name by which a shell's `<(command)` gives its reading end.
struct Pipe
{
    Pipe()
    {
        if (pipe2(ends.data(), O_CLOEXEC) != 0)
            throw std::runtime_error{"no pipe"};
    }
    ~Pipe()
    {
        close(ends[0]);
        close_writer();
    }
    Pipe(Pipe const&) = delete;
    Pipe& operator=(Pipe const&) = delete;

    std::string name() const { return fmt::format("/dev/fd/{}", ends[0]); }
    void write(std::string_view text) const { ASSERT_EQ(::write(ends[1], text.data(), text.size()), std::ssize(text)); }
    void close_writer()
    {
        if (ends[1] >= 0)
            close(ends[1]);
        ends[1] = -1;
    }

    std::array<int, 2> ends = {};
};

TEST(InputFile, IsReadWhole)
{
    TempDir const temp;
    std::string text(200000, '\0');
    for (std::size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>(i * i >> 3);
    auto const file = temp.write("file", text);
    EXPECT_EQ(read_input_file(file, text.size()), text);
    EXPECT_EQ(read_input_file_or_pipe(file, text.size()), text);
    fs::create_symlink("file", temp.path() / "link");
    EXPECT_EQ(read_input_file(temp.path() / "link", text.size()), text);
    EXPECT_EQ(read_input_file(temp.write("empty", ""), 0), "");
    EXPECT_EQ(refusal([&] { read_input_file(file, text.size() - 1); }), "it is longer than 199999 bytes");
}

TEST(InputFile, IsNothingElse)
{
    TempDir const temp;
    fs::path const pipe = temp.path() / "pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    fs::path const socket_file = temp.path() / "socket";
    sockaddr_un address{AF_UNIX, {}};
    socket_file.string().copy(address.sun_path, sizeof address.sun_path - 1);
    int const socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address), 0);
    close(socket);

    constexpr std::size_t longest = 1000;
    for (fs::path const& file : {fs::path{"/dev/zero"}, fs::path{"/dev/null"}, fs::path{"/dev/tty"}, socket_file})
    {
        EXPECT_EQ(refusal([&] { read_input_file(file, longest); }), "it is not a regular file") << file;
        EXPECT_EQ(refusal([&] { read_input_file_or_pipe(file, longest); }), "it is not a regular file") << file;
    }
    EXPECT_EQ(refusal([&] { read_input_file(pipe, longest); }), "it is not a regular file");
    EXPECT_EQ(refusal([&] { read_input_file(temp.path(), longest); }), "it is a folder; must be a file");
    EXPECT_EQ(refusal([&] { read_input_file_or_pipe(temp.path(), longest); }), "it is a folder; must be a file");
    EXPECT_EQ(refusal([&] { read_input_file(temp.path() / "none", longest); }), "No such file or directory");
    EXPECT_EQ(refusal([&] { read_input_file(pipe / "below", longest); }), "Not a directory");
    // Regular files that the system makes up: their size says 0, and this one goes on for 2^48 bytes.
    if (access("/proc/self/pagemap", R_OK) == 0)
    {
        EXPECT_EQ(refusal([&] { read_input_file("/proc/self/pagemap", longest); }), "it is longer than 1000 bytes");
    }
}

TEST(InputFile, PipesAreReadToTheirEnd)
{
    Pipe pipe;
    pipe.write("[scan]\n");
    std::thread writer{[&] {
        std::this_thread::sleep_for(soon);
        pipe.write("[axes]\n");
        pipe.close_writer();
    }};
    EXPECT_EQ(read_input_file_or_pipe(pipe.name(), 14, long_time), "[scan]\n[axes]\n");
    writer.join();

    // Whoever wrote may be gone already.
    Pipe finished;
    finished.write("text");
    finished.close_writer();
    EXPECT_EQ(read_input_file_or_pipe(finished.name(), 4, long_time), "text");

    // And a pipe with a name may find its writer late.
    TempDir const temp;
    fs::path const named = temp.path() / "pipe";
    ASSERT_EQ(mkfifo(named.c_str(), 0600), 0);
    std::thread late{[&] {
        std::this_thread::sleep_for(soon);
        // Not by an opening that waits for a reader: there is none any more if the program gives up at once.
        int descriptor = -1;
        for (auto const end = std::chrono::steady_clock::now() + long_time;
             descriptor < 0 && std::chrono::steady_clock::now() < end; std::this_thread::yield())
            descriptor = open(named.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_EQ(write(descriptor, "late", 4), 4);
        close(descriptor);
    }};
    EXPECT_EQ(read_input_file_or_pipe(named, 4, long_time), "late");
    late.join();
}

TEST(InputFile, PipesNeitherHangNorFillTheMemory)
{
    Pipe silent;
    EXPECT_EQ(refusal([&] { read_input_file_or_pipe(silent.name(), 100, soon); }),
              "it is a pipe through which nothing came for 0.02 s");
    silent.write("begun");
    EXPECT_EQ(refusal([&] { read_input_file_or_pipe(silent.name(), 100, soon); }),
              "it is a pipe through which nothing came for 0.02 s");

    Pipe long_pipe;
    long_pipe.write(std::string(101, 'x'));
    EXPECT_EQ(refusal([&] { read_input_file_or_pipe(long_pipe.name(), 100, long_time); }), "it is longer than 100 bytes");

    TempDir const temp;
    fs::path const nobody = temp.path() / "pipe";
    ASSERT_EQ(mkfifo(nobody.c_str(), 0600), 0);
    EXPECT_EQ(refusal([&] { read_input_file_or_pipe(nobody, 100, soon); }), "it is a pipe through which nothing came for 0.02 s");
}

} // namespace
} // namespace nuscan::test
