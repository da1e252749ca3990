#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <optional>

#include "host/cli/cli.hpp"
#include "host/inputs/experiment.hpp"
#include "host/inputs/table.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

char const* bound_text(ParameterBound bound)
{
    switch (bound)
    {
    case ParameterBound::non_negative:
        return ">= 0";
    case ParameterBound::positive:
        return "> 0";
    case ParameterBound::none:
        break;
    }
    return "";
}

/// Collects the names of the interactions in order.
struct InteractionNames
{
    std::vector<std::string> names;
    std::vector<Channel> channels;

    template<class Interaction, int index>
    void operator()()
    {
        names.emplace_back(Interaction::name);
        channels.push_back(Interaction::channel);
    }
};

char const* channel_text(Channel channel)
{
    switch (channel)
    {
    case Channel::vector:
        return "interferes with g_V";
    case Channel::axial:
        return "interferes with g_A";
    case Channel::incoherent:
        break;
    }
    return "adds incoherently";
}

void list_models(bool json)
{
    InteractionNames interactions;
    for_each_interaction(interactions);
    Json out = Json::array();
    for (std::size_t i = 0; i < interactions.names.size(); ++i)
    {
        std::vector<std::string> parameters;
        for (auto const& entry : parameter_catalogue)
            if (entry.interaction == static_cast<int>(i))
                parameters.emplace_back(entry.info.name);
        out.push_back(
            {{"name", interactions.names[i]}, {"kind", channel_text(interactions.channels[i])}, {"parameters", parameters}});
        if (!json)
            fmt::print("{:<18}{:<22}{}\n", interactions.names[i], channel_text(interactions.channels[i]), join(parameters));
    }
    if (json)
        print_json(out);
}

void list_parameters(bool json)
{
    Json out = Json::array();
    for (auto const& [info, interaction] : parameter_catalogue)
    {
        out.push_back(
            {{"name", info.name}, {"unit", info.unit}, {"bound", bound_text(info.bound)}, {"description", info.description}});
        if (!json)
            fmt::print("{:<14}{:<6}{:<6}{}\n", info.name, info.unit, bound_text(info.bound), info.description);
    }
    if (json)
        print_json(out);
    else
        fmt::print("\nmu_e/mu_mu/mu_tau, mu_universal and Lambda_1/2/3 are three descriptions of one thing: use one of them.\n"
                   "A coupling g_X goes with its mass m_X.\n");
}

void list_experiments(bool json)
{
    DataFolder data = DataFolder::find();
    Json out = Json::array();
    for (auto const& name : data.experiments())
    {
        std::optional<ExperimentDefinition> loaded;
        try
        {
            loaded = load_experiment(data, name);
        }
        catch (InputError const& problem)
        {
            spdlog::warn("{} cannot be used: {}", name, problem.what());
            continue;
        }
        auto const& experiment = *loaded;
        double events = 0.0;
        for (double const counts : experiment.counts)
            events += counts;
        out.push_back({{"name", experiment.name},
                       {"title", experiment.title},
                       {"reference", experiment.reference},
                       {"data_set", experiment.data_set},
                       {"exposure_t_yr", experiment.exposure},
                       {"bins", experiment.bins()},
                       {"events", events},
                       {"events_outside_bins", experiment.events_outside}});
        if (!json)
        {
            fmt::print("{:<24}{} ({}; {:.4g} t yr, {} bins, {:g} events)\n", experiment.name, experiment.title,
                       experiment.reference, experiment.exposure, experiment.bins(), events);
            if (experiment.events_outside > 0)
                fmt::print("{:<24}{} events of the table lie outside all bins\n", "", experiment.events_outside);
        }
    }
    if (json)
        print_json(out);
}

void list_devices(bool json)
{
    std::string reason;
    auto const devices = find_cuda_devices(reason);
    Json out = Json::array();
    auto const add = [&](std::string const& name, std::string const& description) {
        out.push_back({{"name", name}, {"description", description}});
        if (!json)
            fmt::print("{:<12}{}\n", name, description);
    };
    add("reference", "independent calculation, about 0.25 ms a point");
    add("cpu", choose_device("cpu", 0).description);
    for (auto const& device : devices)
        add(fmt::format("cuda:{}", device.ordinal),
            device.problem.empty() ? device.description : fmt::format("cannot be used: {}", device.problem));
    if (json)
        print_json(out);
    else if (devices.empty())
        fmt::print("{:<12}none: {}\n", "cuda", reason);
}

} // namespace

void add_list(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("list", "List models, parameters, experiments or devices");
    struct Options
    {
        std::string what = "parameters";
        bool json = false;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("what", options->what, "models, parameters, experiments or devices")->capture_default_str();
    command->add_flag("--json", options->json, "Print JSON");
    command->footer("Example: nuscan list experiments");
    command->callback([options] {
        if (options->what == "models")
            list_models(options->json);
        else if (options->what == "parameters")
            list_parameters(options->json);
        else if (options->what == "experiments")
            list_experiments(options->json);
        else if (options->what == "devices")
            list_devices(options->json);
        else
            throw InputError(fmt::format("list {}: cannot be listed{}", options->what,
                                         suggestion(options->what, {"models", "parameters", "experiments", "devices"})));
    });
}

} // namespace nuscan::cli
