/// \file
/// Pieces shared by the commands.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/backends/backend.hpp"
#include "host/inputs/inputs.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/configuration.hpp"
#include "host/scan/scan_team.hpp"

namespace nuscan::cli
{

/// Exit codes of the program.
enum ExitCode
{
    exit_done = 0,
    exit_failure = 1,
    exit_input_error = 2,
    exit_incomplete = 3
};

using Json = nlohmann::ordered_json;

/// Of a surface that is read.
inline constexpr std::int64_t points_at_a_time = 1 << 20;

/// Options that choose experiments, parameters, inputs and device.
struct CommonOptions
{
    std::vector<std::string> experiments;
    std::vector<std::string> settings;
    std::string solar;
    std::string oscillation;
    std::string shells;
    std::string electrons;
    std::string transition_survival;
    std::vector<std::string> constants;
    std::string device = "auto";
    std::string route = "auto";
    std::optional<long long> threads;
    bool json = false;

    void add_experiments(CLI::App& command, bool several);
    void add_settings(CLI::App& command, std::string const& help);
    void add_inputs(CLI::App& command);
    void add_device(CLI::App& command);
    void add_json(CLI::App& command);

    /// Changes \p choice where an option was given.
    void apply_inputs(InputChoice& choice) const;
    /// Threads asked for, 0 for all cores. Throws InputError on fewer than one.
    int thread_count() const;
    Device chosen_device() const;
    /// The same for commands on single points, where `auto` means the CPU: it is done before a CUDA device has started.
    Device device_for_points() const;
};

/// State of one invocation.
struct Program
{
    std::string name;         ///< how it was called, for a shell
    ScanTeam* team = nullptr; ///< where several processes scan together
    int exit_code = exit_done;
};

/// Runs the command line. With \p team it knows `scan` only, which this process shares with others.
/// \param launcher  what stands before the command line when it is given again, with a blank behind it
/// \returns the exit code. Throws what the command throws
int run_program(int argc, char** argv, ScanTeam* team = nullptr, std::string const& launcher = {});

/// Turns what \p run throws into a message on standard error and an exit code.
int explain_failures(std::function<int()> const& run);

/// A program started without stdin, stdout or stderr would get their numbers for its files, and messages would go into them: opens
/// what is not open. \returns false if that cannot be done
bool open_standard_streams();

/// Ctrl-C, the end of a job and the warning of a batch system (SIGINT, SIGTERM, SIGUSR1) no longer end the program: stop_requested()
/// tells of them.
void catch_signals();
bool stop_requested();

void add_list(CLI::App& app, Program& program);
void add_chi2(CLI::App& app, Program& program);
void add_spectrum(CLI::App& app, Program& program);
void add_limits(CLI::App& app, Program& program);
void add_tmm(CLI::App& app, Program& program);
void add_plan(CLI::App& app, Program& program);
void add_scan(CLI::App& app, Program& program);
void add_info(CLI::App& app, Program& program);
void add_validate(CLI::App& app, Program& program);
void add_merge(CLI::App& app, Program& program);
void add_diff(CLI::App& app, Program& program);

void add_profile(CLI::App& app, Program& program);
void add_export(CLI::App& app, Program& program);
void add_bench(CLI::App& app, Program& program);

/// `limits OUT.h5`: the part of `limits` that is about finished surfaces.
struct SurfaceLimitsCommand
{
    std::string file; ///< empty: limits of experiments
    std::vector<std::string> keep;

    void add_options(CLI::App& command);
    /// Finds, stores and prints the limits. Throws InputError if options were given that make no sense with a file.
    void run(CLI::App const& command, std::vector<double> const& cls, bool json) const;
};

/// "experiment" of the JSON outputs: a name, or an array where several were given.
Json experiment_json(std::vector<std::string> const& experiments);

/// A value with its unit; "1", that of a pure number, is left out.
std::string value_text(double value, std::string const& unit);

/// "m_V = 0.1 MeV, g_V = 1e-06" of a point of the grid.
std::string point_text(SurfaceLayout const& layout, std::int64_t index);

/// Says how many points of a finished surface failed, and which come first. Returns whether there are any.
bool report_failed_points(std::string const& output, SurfaceMeta const& meta);

/// The command line that was parsed as \p command, to be given again: positional arguments first, so that no option can take them for more
/// of its values, then every option with its own values.
std::string command_line_of(Program const& program, CLI::App const& command);

/// Takes decimal whole numbers of 64 bits only: CLI11 alone reads 010 as 8 and takes what is too large for the largest number.
CLI::Option* whole_number(CLI::Option* option);

/// Prints JSON to standard output.
void print_json(Json const& json);

} // namespace nuscan::cli
