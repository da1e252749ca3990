#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <exception>
#include <nuscan_version.hpp>
#include <set>

#include "host/cli/cli.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

void set_up_logging(bool quiet, bool verbose)
{
    auto const logger = spdlog::stderr_color_mt("nuscan");
    logger->set_pattern("%^%l%$: %v");
    logger->set_level(quiet ? spdlog::level::warn : verbose ? spdlog::level::debug : spdlog::level::info);
    spdlog::set_default_logger(logger);
}

/// One line for a command line that cannot be parsed.
std::string usage_message(CLI::App const* app, CLI::Error const& error)
{
    auto const chosen = app->get_subcommands();
    auto const rest = app->remaining();
    if (!chosen.empty())
        return fmt::format("nuscan: {}; see nuscan {} --help\n", error.what(), chosen.front()->get_name());
    if (rest.empty() || rest.front().starts_with('-'))
        return fmt::format("nuscan: {}; see nuscan --help\n",
                           rest.empty() ? "no command is given" : "unknown option " + rest.front());
    std::vector<std::string> names;
    for (auto const* const command : app->get_subcommands([](CLI::App const*) { return true; }))
        names.push_back(command->get_name());
    return fmt::format("nuscan: unknown command '{}'{}\n", rest.front(), suggestion(rest.front(), names));
}

} // namespace

int run_program(int argc, char** argv, ScanTeam* team, std::string const& launcher)
{
    Program program;
    program.team = team;
    program.name = launcher + shell_quote(argv[0]);
    // Of several processes that run the same command, one speaks.
    bool const silent = team != nullptr && !team->leads();

    CLI::App app{"nuscan: neutrino-electron new physics against xenon detector data.\n"
                 "Limits and single points in milliseconds, chi^2 surfaces over millions of points to HDF5."};
    app.name("nuscan");
    app.set_version_flag("--version", fmt::format("nuscan {} (commit {}{}, {}, CUDA {})", build::version, build::commit,
                                                  build::dirty ? ", modified" : "", build::compiler, build::cuda));
    app.set_help_flag("-h,--help", "Print this help and exit");
    app.require_subcommand(1);
    app.failure_message(usage_message);
    app.footer("Every command has --help with an example. Results go to standard output, messages to standard error.\n"
               "Exit codes: 0 done, 1 failure, 2 usage or input error, 3 incomplete but resumable.");
    bool quiet = silent;
    bool verbose = false;
    app.add_flag("-q,--quiet", quiet, "Warnings and errors only");
    app.add_flag("-v,--verbose", verbose, "More messages");
    app.parse_complete_callback([&] { set_up_logging(quiet, verbose); });
    app.fallthrough();

    if (team == nullptr)
    {
        add_list(app, program);
        add_chi2(app, program);
        add_spectrum(app, program);
        add_limits(app, program);
        add_tmm(app, program);
        add_plan(app, program);
    }
    add_scan(app, program);
    if (team == nullptr)
    {
        add_profile(app, program);
        add_export(app, program);
        add_info(app, program);
        add_validate(app, program);
        add_merge(app, program);
        add_diff(app, program);
        add_bench(app, program);
    }

    try
    {
        app.parse(argc, argv);
    }
    catch (CLI::ParseError const& error)
    {
        // Help and version end here too, with exit code 0.
        return app.exit(error) == 0 ? exit_done : exit_input_error;
    }
    std::fflush(stdout);
    if (std::ferror(stdout) != 0)
        throw RunError("standard output cannot be written");
    return program.exit_code;
}

int explain_failures(std::function<int()> const& run)
{
    try
    {
        return run();
    }
    catch (InputError const& error)
    {
        fmt::print(stderr, "nuscan: {}\n", error.what());
        return exit_input_error;
    }
    catch (std::bad_alloc const&)
    {
        fmt::print(stderr, "nuscan: out of memory; use fewer points per axis or fewer outputs\n");
    }
    catch (std::exception const& error)
    {
        fmt::print(stderr, "nuscan: {}\n", error.what());
    }
    return exit_failure;
}

bool open_standard_streams()
{
    for (int const descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return false;
    return true;
}

Json experiment_json(std::vector<std::string> const& experiments)
{
    return experiments.size() == 1 ? Json(experiments.front()) : Json(experiments);
}

std::string value_text(double value, std::string const& unit)
{
    return fmt::format("{:g}{}", value, unit == "1" ? "" : " " + unit);
}

void print_json(Json const& json)
{
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string command_line_of(Program const& program, CLI::App const& command)
{
    std::string line = program.name;
    std::string positionals;
    std::string options;
    std::set<CLI::Option const*> seen;
    auto const add = [&](CLI::App const& app) {
        for (CLI::Option const* const option : app.parse_order())
        {
            if (!seen.insert(option).second)
                continue;
            if (option->get_positional())
            {
                for (auto const& value : option->results())
                    positionals += " " + shell_quote(value.starts_with('-') ? "./" + value : value);
                continue;
            }
            std::string const name = option->get_snames().empty() ? "--" + option->get_lnames().front()
                                                                  : "-" + option->get_snames().front();
            if (option->get_items_expected_max() == 0)
            {
                if (option->as<bool>())
                    options += " " + name;
                continue;
            }
            // A value that looks like an option belongs to its own by an equals sign.
            for (auto const& value : option->results())
                options += value.starts_with('-') ? fmt::format(" --{}", shell_quote(option->get_lnames().front() + "=" + value))
                                                  : fmt::format(" {} {}", name, shell_quote(value));
        }
    };
    add(*command.get_parent());
    line += options;
    options.clear();
    add(command);
    return line + " " + command.get_name() + positionals + options;
}

CLI::Option* whole_number(CLI::Option* option)
{
    return option->check(
        [](std::string const& text) {
            long long value = 0;
            auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            bool const plain = error == std::errc{} && end == text.data() + text.size() && std::to_string(value) == text;
            return plain ? std::string{} : fmt::format("{}: must be a whole number, in decimal digits and below 2^63", text);
        },
        "", "whole number");
}

void CommonOptions::add_experiments(CLI::App& command, bool several)
{
    auto* const option = command
                             .add_option("-e,--experiment", experiments,
                                         several ? "Experiment; several are fitted together with one flux pull" : "Experiment")
                             ->required()
                             ->type_name("NAME");
    option->expected(1, several ? CLI::detail::expected_max_vector_size : 1);
}

void CommonOptions::add_settings(CLI::App& command, std::string const& help)
{
    command.add_option("-s,--set", settings, help)->type_name("P=V")->expected(1)->take_all();
}

void CommonOptions::add_inputs(CLI::App& command)
{
    auto const group = "Inputs";
    command.add_option("--solar", solar, "Solar model: gs98 (default) or agss09met")->group(group);
    command.add_option("--oscillation", oscillation, "Oscillation parameters: desalas2020 (default) or nufit52")->group(group);
    command.add_option("--shells", shells, "Xenon binding energies: hf (default) or hf_corrected (3d5/2 at 694.9 eV)")
        ->group(group);
    command.add_option("--electrons", electrons, "Bound electrons: step (default), or rrpa (SM only)")->group(group);
    command
        .add_option("--transition-survival", transition_survival,
                    "P_e1 of the transition moments: constant (default, --constant P_e1) or adiabatic (per energy)")
        ->group(group);
    command
        .add_option("--constant", constants,
                    "Replace a constant: G_F [GeV^-2], alpha_inverse, m_e [keV], hbar_c [keV cm], s_W2, N_A, M_Xe [g/mol], P_e1, K "
                    "[keV^1/2]")
        ->type_name("NAME=V")
        ->expected(1)
        ->take_all()
        ->group(group);
}

void CommonOptions::add_device(CLI::App& command)
{
    command.add_option("--device", device, "auto, reference (slow, independent), cpu, cuda or cuda:i")->capture_default_str();
    command.add_option("--route", route, "auto, direct (spectrum at every node) or factored (templates)")->capture_default_str();
    whole_number(command.add_option("--threads", threads, "Threads (default: all cores)"));
}

void CommonOptions::add_json(CLI::App& command)
{
    command.add_flag("--json", json, "Print JSON");
}

void CommonOptions::apply_inputs(InputChoice& choice) const
{
    auto const replace = [](std::string& value, std::string const& given) {
        if (!given.empty())
            value = given;
    };
    replace(choice.solar, solar);
    replace(choice.oscillation, oscillation);
    replace(choice.shells, shells);
    replace(choice.electrons, electrons);
    replace(choice.transition_survival, transition_survival);
    std::map<std::string, double> given;
    for (auto const& text : constants)
    {
        auto const equals = text.find('=');
        double value = 0.0;
        if (equals == std::string::npos || !parse_double(text.substr(equals + 1), value))
            throw InputError(fmt::format("--constant {}: not of the form NAME=VALUE, for example s_W2=0.2312", text));
        if (!given.emplace(text.substr(0, equals), value).second)
            throw InputError(fmt::format("--constant {}: {} is given twice; keep one", text, text.substr(0, equals)));
    }
    for (auto const& [name, value] : given)
        choice.constants[name] = value;
}

int CommonOptions::thread_count() const
{
    constexpr long long most = 4096;
    if (!threads)
        return 0;
    if (*threads < 1 || *threads > most)
        throw InputError(fmt::format("--threads {}: the number of threads must be 1 to {}", *threads, most));
    return static_cast<int>(*threads);
}

Device CommonOptions::chosen_device() const
{
    Device chosen = choose_device(device, thread_count());
    if (!chosen.reason.empty())
        spdlog::debug("device auto: {} ({})", chosen.description, chosen.reason);
    return chosen;
}

Device CommonOptions::device_for_points() const
{
    if (device != "auto")
        return chosen_device();
    Device const cpu = choose_device("cpu", thread_count());
    spdlog::debug("device auto: {} (done before a CUDA device has started)", cpu.description);
    return cpu;
}

} // namespace nuscan::cli
