/// \file
/// Runs nuscan as a user would and keeps what it said.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace nuscan::test
{

using Json = nlohmann::json;
using Arguments = std::vector<std::string>;

struct RunOptions
{
    /// What is run.
    std::string program = NUSCAN_BINARY;
    /// Variables to set, or to remove where there is no value. NUSCAN_DATA_DIR is the source tree's data unless given here.
    std::map<std::string, std::optional<std::string>> environment;
    /// Working directory; empty for that of the test.
    std::filesystem::path folder;
    /// File that stdout goes to; RunResult::out stays empty then.
    std::filesystem::path out_file;
    /// Standard streams that the program is started without, besides stdin.
    std::vector<int> closed;
    /// Largest file that may be written [bytes]: beyond it a write fails as on a full disk.
    std::optional<std::size_t> file_size_limit;
    /// Permissions of files count even if the tests run as root.
    bool obey_permissions = false;
    /// The program is killed after this time, so that no test hangs.
    std::chrono::seconds timeout{60};
};

struct RunResult
{
    std::string command;
    int exit_code = -1; ///< -1 if a signal ended the program
    int signal = 0;     ///< the one that did
    bool timed_out = false;
    std::string out;
    std::string err;

    bool said(std::string_view text) const { return err.find(text) != err.npos; }
};

inline std::ostream& operator<<(std::ostream& out, RunResult const& run)
{
    return out << run.command << "\nexit code " << run.exit_code << ", signal " << run.signal
               << (run.timed_out ? ", timed out" : "") << "\n--- stdout\n"
               << run.out.substr(0, 2000) << "\n--- stderr\n"
               << run.err.substr(0, 2000);
}

/// nuscan while it runs.
class RunningProgram
{
public:
    explicit RunningProgram(Arguments const& arguments, RunOptions options = {})
        : options_{std::move(options)}
        , deadline_{std::chrono::steady_clock::now() + options_.timeout}
    {
        // All memory is taken before the fork: the child only makes system calls.
        std::vector<std::string> words{options_.program};
        words.insert(words.end(), arguments.begin(), arguments.end());
        for (auto const& word : words)
            result_.command += (result_.command.empty() ? "" : " ") + word;
        std::vector<std::string> const variables = environment();
        std::vector<char*> argv = pointers(words);
        std::vector<char*> envp = pointers(variables);

        int out[2];
        int err[2];
        int failure[2];
        if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 || pipe2(failure, O_CLOEXEC) != 0)
            throw std::runtime_error{"no pipe"};
        pid_ = fork();
        if (pid_ < 0)
            throw std::runtime_error{"no process"};
        if (pid_ == 0)
            run_child(argv.data(), envp.data(), out[1], err[1], failure[1]);
        for (int const end : {out[1], err[1], failure[1]})
            close(end);
        out_ = out[0];
        err_ = err[0];
        int reason = 0;
        auto const n = read(failure[0], &reason, sizeof reason);
        close(failure[0]);
        if (n > 0)
            result_.err = std::string{"the program cannot be started: "} + std::strerror(reason) + "\n";
    }

    ~RunningProgram()
    {
        if (pid_ > 0)
        {
            kill(pid_, SIGKILL);
            wait();
        }
    }

    RunningProgram(RunningProgram const&) = delete;
    RunningProgram& operator=(RunningProgram const&) = delete;

    pid_t id() const { return pid_; }
    void send(int signal) const { kill(pid_, signal); }

    /// Holds the program where it is, if it still runs, and goes on with it: what is done in between finds it running however slow the
    /// machine.
    bool hold() const
    {
        send(SIGSTOP);
        return wait_until_held();
    }
    /// Waits until the program is held, by itself for example; false if it ends first.
    bool wait_until_held() const
    {
        siginfo_t info = {};
        // A program that has ended cannot be stopped any more.
        return waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) == 0 && info.si_code == CLD_STOPPED;
    }
    void go_on() const { send(SIGCONT); }

    bool running() const
    {
        siginfo_t info = {};
        return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
    }

    /// Waits until \p condition holds; false if the program ends first or its time is over.
    template<class Condition>
    bool wait_until(Condition&& condition) const
    {
        while (!condition())
        {
            if (!running() || std::chrono::steady_clock::now() > deadline_)
                return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return running();
    }

    /// Reads what the program writes until it ends.
    RunResult wait()
    {
        read_all();
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR)
        {
        }
        pid_ = -1;
        if (WIFEXITED(status))
            result_.exit_code = WEXITSTATUS(status);
        else
            result_.signal = WTERMSIG(status);
        return result_;
    }

private:
    static std::vector<char*> pointers(std::vector<std::string> const& words)
    {
        std::vector<char*> all;
        for (auto const& word : words)
            all.push_back(const_cast<char*>(word.c_str()));
        all.push_back(nullptr);
        return all;
    }

    std::vector<std::string> environment() const
    {
        std::map<std::string, std::optional<std::string>> changes{{"NUSCAN_DATA_DIR", NUSCAN_SOURCE_DATA_DIR}};
        for (auto const& [name, value] : options_.environment)
            changes[name] = value;
        std::vector<std::string> variables;
        for (char** entry = environ; *entry != nullptr; ++entry)
        {
            std::string const variable{*entry};
            if (!changes.contains(variable.substr(0, variable.find('='))))
                variables.push_back(variable);
        }
        for (auto const& [name, value] : changes)
            if (value)
                variables.push_back(name + "=" + *value);
        return variables;
    }

    [[noreturn]] void run_child(char* const* argv, char* const* envp, int out, int err, int failure) const
    {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(STDIN_FILENO);
        bool ready = dup2(err, STDERR_FILENO) >= 0;
        if (!options_.out_file.empty())
            out = open(options_.out_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        ready = ready && dup2(out, STDOUT_FILENO) >= 0;
        for (int const stream : options_.closed)
            close(stream);
        if (!options_.folder.empty())
            ready = ready && chdir(options_.folder.c_str()) == 0;
        if (options_.file_size_limit)
        {
            rlimit const limit{*options_.file_size_limit, *options_.file_size_limit};
            ready = ready && setrlimit(RLIMIT_FSIZE, &limit) == 0;
        }
        if (options_.obey_permissions && geteuid() == 0)
            for (int const right : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH})
                ready = ready && prctl(PR_CAPBSET_DROP, right) == 0;
        if (ready)
            execve(argv[0], argv, envp);
        int const reason = errno;
        static_cast<void>(!write(failure, &reason, sizeof reason));
        _exit(127);
    }

    void read_all()
    {
        std::vector<std::pair<int, std::string*>> open{{out_, &result_.out}, {err_, &result_.err}};
        while (!open.empty())
        {
            std::vector<pollfd> ready;
            for (auto const& [descriptor, text] : open)
                ready.push_back({descriptor, POLLIN, 0});
            auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
            int const n = left.count() > 0 ? poll(ready.data(), ready.size(), static_cast<int>(left.count())) : 0;
            if (n == 0 && !result_.timed_out)
            {
                // What is left in the pipes is read to the end, which comes with the death of the program.
                result_.timed_out = true;
                deadline_ += std::chrono::seconds(10);
                kill(pid_, SIGKILL);
            }
            else if (n == 0)
                break;
            for (std::size_t i = ready.size(); n > 0 && i-- > 0;)
            {
                if (ready[i].revents == 0)
                    continue;
                char buffer[4096];
                auto const bytes = read(open[i].first, buffer, sizeof buffer);
                if (bytes > 0)
                    open[i].second->append(buffer, static_cast<std::size_t>(bytes));
                else if (bytes == 0 || errno != EINTR)
                {
                    close(open[i].first);
                    open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
                }
            }
        }
        for (auto const& [descriptor, text] : open)
            close(descriptor);
    }

    RunOptions options_;
    std::chrono::steady_clock::time_point deadline_;
    pid_t pid_ = -1;
    int out_ = -1;
    int err_ = -1;
    RunResult result_;
};

/// Runs nuscan to its end.
inline RunResult run_nuscan(Arguments const& arguments, RunOptions options = {})
{
    return RunningProgram{arguments, std::move(options)}.wait();
}

/// \p options with a library loaded into the program before everything else; a link to it comes into their folder.
/// Options with which permissions of files bind the program, whoever runs the tests; nothing where root cannot give up its rights, and the
/// test is to be skipped with the words below.
inline std::optional<RunOptions> obeying_permissions(RunOptions options)
{
    options.obey_permissions = true;
    if (run_nuscan({"--version"}, options).exit_code != 0)
        return std::nullopt;
    return options;
}
inline constexpr char const* cannot_obey_permissions = "root cannot give up its rights here (prctl PR_CAPBSET_DROP is refused), "
                                                       "and may read and write everything: run it as an ordinary user";

inline RunOptions preloading(RunOptions options, std::filesystem::path const& library)
{
    // By a name without blanks, which separate the names in this variable.
    std::filesystem::path const link = options.folder / library.filename();
    if (!std::filesystem::is_symlink(link))
        std::filesystem::create_symlink(library, link);
    options.environment["LD_PRELOAD"] = link.string();
    // Sanitizers want to be loaded first, and do without.
    char const* const given = std::getenv("ASAN_OPTIONS");
    options.environment["ASAN_OPTIONS"] = std::string{"verify_asan_link_order=0:"} + (given ? given : "");
    return options;
}

/// What nuscan prints as JSON, expecting exit code 0 and nothing but JSON on stdout.
inline Json run_json(Arguments const& arguments, RunOptions options = {})
{
    auto const run = run_nuscan(arguments, std::move(options));
    EXPECT_EQ(run.exit_code, 0) << run;
    Json json = Json::parse(run.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << run;
    return json;
}

} // namespace nuscan::test
