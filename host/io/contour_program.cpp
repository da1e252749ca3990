#include "host/io/contour_program.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
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

/// Exit code by which the module says that a package is missing.
constexpr int packages_missing = 3;
constexpr int cannot_start = 127;

std::string variable(char const* name)
{
    char const* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

/// Folder that holds the Python package.
fs::path python_folder()
{
    auto const holds_package = [](fs::path const& folder) {
        std::error_code error;
        return fs::is_regular_file(folder / "nuscan_plots" / "contours.py", error);
    };
    if (std::string const given = variable("NUSCAN_PYTHON_DIR"); !given.empty())
    {
        if (!holds_package(given))
            throw NoContourProgram{
                fmt::format("environment variable NUSCAN_PYTHON_DIR: {}: no nuscan_plots/contours.py in it", given)};
        return given;
    }
    std::vector<fs::path> places;
    std::error_code error;
    if (auto const program = fs::read_symlink("/proc/self/exe", error); !error)
        places.push_back(program.parent_path().parent_path() / "share/nuscan/python");
    places.emplace_back(NUSCAN_SOURCE_PYTHON_DIR);
    std::vector<std::string> looked;
    for (auto const& place : places)
    {
        if (holds_package(place))
            return place;
        looked.push_back(place.string());
    }
    throw NoContourProgram{fmt::format("the Python package nuscan_plots was not found (looked at {}); set NUSCAN_PYTHON_DIR to the "
                                       "folder that holds it",
                                       join(looked))};
}

struct Finished
{
    int exit_code = -1; ///< -1 if a signal ended it
    std::string out;
    std::string err;
};

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
void read_both(Pipe& out, Pipe& err, Finished& finished)
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

/// Runs a program found on PATH, without a shell.
Finished run(std::vector<std::string> const& words, std::map<std::string, std::string> const& variables)
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

    Finished finished;
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
        finished.exit_code = cannot_start;
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

/// The program's words on one line.
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

std::vector<std::vector<ContourPiece>> parse(std::string const& text, std::size_t levels)
{
    std::vector<std::vector<ContourPiece>> all;
    auto const json = nlohmann::json::parse(text);
    for (auto const& level : json.at("levels"))
    {
        auto& pieces = all.emplace_back();
        for (auto const& entry : level.at("pieces"))
            pieces.push_back({entry.at("closed").get<bool>(), entry.at("points").get<std::vector<std::array<double, 2>>>()});
    }
    if (all.size() != levels)
        throw RunError{fmt::format("nuscan_plots.contours: {} levels where {} were asked for", all.size(), levels)};
    return all;
}

} // namespace

std::vector<std::vector<ContourPiece>> draw_contours(fs::path const& path, std::string const& profile,
                                                     std::vector<double> const& levels)
{
    fs::path const folder = python_folder();
    std::string const given = variable("NUSCAN_PYTHON");
    std::vector<std::string> const interpreters = given.empty() ? std::vector<std::string>{"python3", "/usr/bin/python3"}
                                                                : std::vector<std::string>{given};
    std::string reason;
    for (std::string const& interpreter : interpreters)
    {
        // -B: an installed package may lie in a folder of another user.
        std::vector<std::string> words{interpreter, "-B", "-m", "nuscan_plots.contours", fs::absolute(path).string()};
        if (!profile.empty())
            words.insert(words.end(), {"--profile", profile});
        for (double const level : levels)
            words.insert(words.end(), {"--level", fmt::format("{}", level)});
        std::string search = folder.string();
        if (std::string const other = variable("PYTHONPATH"); !other.empty())
            search += ":" + other;
        Finished const finished = run(words, {{"PYTHONPATH", search}, {"PYTHONSAFEPATH", "1"}}); // files here are no modules
        if (finished.exit_code == packages_missing || finished.exit_code == cannot_start)
        {
            reason += fmt::format("{}{}: {}", reason.empty() ? "" : "; ", interpreter, one_line(finished.err));
            continue;
        }
        if (finished.exit_code != 0)
            throw RunError{fmt::format("{}: no contours: {} -m nuscan_plots.contours failed: {}", path.string(), interpreter,
                                       one_line(finished.err))};
        try
        {
            return parse(finished.out, levels.size());
        }
        catch (nlohmann::json::exception const& problem)
        {
            throw RunError{fmt::format("{}: no contours: what nuscan_plots.contours printed cannot be read: {}", path.string(),
                                       problem.what())};
        }
    }
    throw NoContourProgram{fmt::format("{}. Install python3-h5py, python3-numpy and python3-contourpy (Debian; comes with "
                                       "python3-matplotlib), or name another interpreter in NUSCAN_PYTHON",
                                       reason)};
}

} // namespace nuscan
