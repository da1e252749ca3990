/// \file
/// Running other programs, and finding the Python code that comes with this one.
#pragma once

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace nuscan
{

/// Exit code of FinishedProcess for a program that could not be started; `err` then says why.
inline constexpr int process_cannot_start = 127;

struct FinishedProcess
{
    int exit_code = -1; ///< -1 if a signal ended it
    std::string out;
    std::string err;
};

/// Runs a program found on PATH, without a shell, to its end and keeps what it says. Throws RunError if there is no pipe to be had.
/// \param words      the program and its arguments
/// \param variables  to set in its environment
FinishedProcess run_process(std::vector<std::string> const& words, std::map<std::string, std::string> const& variables = {});

/// \p text with every run of blanks and line ends made one blank.
std::string one_line(std::string const& text);

/// Value of an environment variable; empty if it is not set.
std::string environment_variable(char const* name);

/// Python interpreters to try in turn: NUSCAN_PYTHON alone where it is set, else python3 on PATH and that of the system.
std::vector<std::string> python_interpreters();

/// Path of the running program; empty where the system does not tell.
std::filesystem::path own_program();

/// A folder of files that ship with the program.
struct ShippedFolder
{
    char const* variable;  ///< environment variable that names it
    char const* installed; ///< where it is from the folder above that of the program
    char const* source;    ///< where it is in the source tree
    char const* file;      ///< by which it is recognised
};

/// It is in none of its places. The message says where it was looked for.
class NoShippedFolder : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// Finds such a folder: the one that the variable names, else beside the program, else in the source tree. Throws NoShippedFolder.
std::filesystem::path find_shipped_folder(ShippedFolder const& folder);

} // namespace nuscan
