#include "host/support/process.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/support/error.hpp"
#include "host/support/text.hpp"

extern char** environ;

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

/// Two ends of a pipe, closed at the end.
struct Pipe
{
    int ends[2] = {-1, -1};

    Pipe()
    {
        if (::pipe2(ends, O_CLOEXEC) != 0)
            throw RunError{fmt::format("cannot create a pipe: {}", std::generic_category().message(errno))};
    }
    ~Pipe()
    {
        close_end(0);
        close_end(1);
    }
    Pipe(Pipe const&) = delete;
    Pipe& operator=(Pipe const&) = delete;
    void close_end(int end)
    {
        if (ends[end] >= 0)
            ::close(std::exchange(ends[end], -1));
    }
};

/// Reads both pipes to their ends.
void read_both(Pipe& out, Pipe& err, FinishedProcess& finished)
{
    pollfd polled[2] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};
    std::string* const texts[2] = {&finished.out, &finished.err};
    for (int open = 2; open > 0;)
    {
        if (::poll(polled, 2, -1) < 0)
        {
            if (errno == EINTR)
                continue;
            return;
        }
        for (int i : {0, 1})
        {
            if (polled[i].fd < 0 || polled[i].revents == 0)
                continue;
            char buffer[65536];
            ssize_t const n = ::read(polled[i].fd, buffer, sizeof buffer);
            if (n > 0)
                texts[i]->append(buffer, static_cast<std::size_t>(n));
            else if (n == 0 || errno != EINTR)
            {
                polled[i].fd = -1; // poll leaves it alone
                --open;
            }
        }
    }
}

} // namespace

std::string environment_variable(char const* name)
{
    char const* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

FinishedProcess run_process(std::vector<std::string> const& words, std::map<std::string, std::string> const& variables)
{
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry)
    {
        std::string const text{*entry};
        if (!variables.contains(text.substr(0, text.find('='))))
            environment.push_back(text);
    }
    for (auto const& [name, value] : variables)
        environment.push_back(name + "=" + value);
    auto const pointers = [](std::vector<std::string> const& texts) {
        std::vector<char*> all;
        for (std::string const& text : texts)
            all.push_back(const_cast<char*>(text.c_str())); // posix_spawn does not write to them
        all.push_back(nullptr);
        return all;
    };

    FinishedProcess finished;
    Pipe out;
    Pipe err;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err.ends[1], STDERR_FILENO);
    pid_t process = -1;
    int const failure = ::posix_spawnp(&process, words.front().c_str(), &actions, nullptr, pointers(words).data(),
                                       pointers(environment).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
    {
        finished.exit_code = process_cannot_start;
        finished.err = std::generic_category().message(failure);
        return finished;
    }
    out.close_end(1);
    err.close_end(1);
    read_both(out, err, finished);
    int status = 0;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR)
    {
    }
    if (WIFEXITED(status))
        finished.exit_code = WEXITSTATUS(status);
    return finished;
}

std::string one_line(std::string const& text)
{
    std::string line;
    for (char const c : text)
        if (bool const space = static_cast<unsigned char>(c) <= ' '; !space || (!line.empty() && line.back() != ' '))
            line += space ? ' ' : c;
    while (line.ends_with(' '))
        line.pop_back();
    return line;
}

std::vector<std::string> python_interpreters()
{
    if (std::string const given = environment_variable("NUSCAN_PYTHON"); !given.empty())
        return {given};
    return {"python3", "/usr/bin/python3"};
}

fs::path own_program()
{
    std::error_code error;
    auto const program = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::path() : program;
}

fs::path find_shipped_folder(ShippedFolder const& folder)
{
    auto const is_it = [&](fs::path const& place) {
        std::error_code error;
        return fs::is_regular_file(place / folder.file, error);
    };
    if (std::string const given = environment_variable(folder.variable); !given.empty())
    {
        if (!is_it(given))
            throw NoShippedFolder{fmt::format("environment variable {}: {}: no {} in it", folder.variable, given, folder.file)};
        return given;
    }
    std::vector<fs::path> places;
    if (auto const program = own_program(); !program.empty())
        places.push_back(program.parent_path().parent_path() / folder.installed);
    places.emplace_back(folder.source);
    std::vector<std::string> looked;
    for (auto const& place : places)
    {
        if (is_it(place))
            return place;
        looked.push_back(place.string());
    }
    throw NoShippedFolder{fmt::format("{} was not found (looked at {}); set {} to the folder that holds it", folder.file,
                                      join(looked), folder.variable)};
}

} // namespace nuscan
