#include "host/scan/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "host/support/error.hpp"
#include "host/support/input_file.hpp"
#include "host/support/json_number.hpp"
#include "host/support/text.hpp"
#include "host/support/toml_reader.hpp"

namespace nuscan
{

namespace
{

/// The file's text, or an InputError that says why it cannot be read.
std::string read_text(std::filesystem::path const& path)
{
    try
    {
        return read_input_file_or_pipe(path, longest_toml_file);
    }
    catch (UnreadableFile const& e)
    {
        throw InputError(fmt::format("{}: cannot read the grid file: {}", path.string(), e.what()));
    }
}

/// A parameter named by a key of \p table.
int parameter_of(TomlReader const& table, std::string const& key)
{
    int const parameter = find_parameter(key);
    if (parameter < 0)
        table.error(key, fmt::format("unknown parameter{}", suggestion(key, parameter_names())));
    return parameter;
}

void check_value(TomlReader const& table, std::string const& key, int parameter, double value)
{
    try
    {
        check_parameter_value(parameter, value);
    }
    catch (InputError const& problem)
    {
        table.error(key, problem.what());
    }
}

Axis read_axis(TomlReader const& axes, std::string const& key)
{
    Axis axis;
    axis.parameter = parameter_of(axes, key);
    TomlReader table = axes.sub(key);
    table.expect({"min", "max", "n", "scale"});
    axis.min = table.number("min");
    axis.max = table.number("max");
    long long const n = table.integer("n");
    if (n < 1)
        table.error("n", fmt::format("{} is not a number of points; it must be at least 1", n));
    if (n > max_axis_nodes)
        table.error("n", fmt::format("{} points on one axis are too many; at most {}", n, max_axis_nodes));
    axis.n = n;
    if (table.has("scale"))
        axis.scale = table.choice("scale", {"linear", "log"}) == "log" ? AxisScale::log : AxisScale::linear;
    if (axis.min > axis.max)
        table.error("min", fmt::format("min = {:g} is above max = {:g}; swap them", axis.min, axis.max));
    if (axis.min == axis.max && axis.n > 1)
        table.error("n", fmt::format("min equals max, which is one point, but n = {}; use n = 1 or widen the range", n));
    if (axis.min < axis.max && axis.n == 1)
        table.error("n", "one point cannot cover a range; use n >= 2, or min = max");
    if (axis.scale == AxisScale::log && axis.min <= 0.0)
        table.error("min",
                    fmt::format("a log axis needs min > 0, but min = {:g}; use scale = \"linear\" or a positive min", axis.min));
    check_value(table, "min", axis.parameter, axis.min);
    check_value(table, "max", axis.parameter, axis.max);
    if (auto const i = axis.first_coincidence(); i >= 0)
        table.error("n",
                    fmt::format("nodes {} and {} of {} are the same number, {}: the range is too narrow for {} points; use fewer "
                                "or widen it",
                                i, i + 1, axis.n, axis.value(i), axis.n));
    return axis;
}

InputChoice read_inputs(TomlReader table)
{
    InputChoice choice;
    table.expect({"solar", "oscillation", "shells", "electrons", "transition_survival", "constants"});
    choice.solar = table.optional_string("solar").value_or(choice.solar);
    choice.oscillation = table.optional_string("oscillation").value_or(choice.oscillation);
    choice.shells = table.optional_string("shells").value_or(choice.shells);
    choice.electrons = table.optional_string("electrons").value_or(choice.electrons);
    choice.transition_survival = table.optional_string("transition_survival").value_or(choice.transition_survival);
    if (auto const constants = table.optional_sub("constants"))
        for (auto const& key : constants->keys())
            choice.constants[key] = constants->number(key);
    return choice;
}

} // namespace

std::int64_t ScanConfiguration::size() const
{
    auto const points = element_count(grid_shape(axes));
    if (!points)
        throw InputError(fmt::format("{}: the number of points overflows 64 bits; use fewer points per axis", path.string()));
    return *points;
}

ScanConfiguration read_configuration(std::filesystem::path const& path)
{
    ScanConfiguration configuration;
    configuration.path = path;
    configuration.text = read_text(path);
    std::string const name = path.string();
    if (configuration.text.find_first_not_of(" \t\r\n\xEF\xBB\xBF") == std::string::npos)
        throw InputError(fmt::format("{}: the grid file is empty; it needs [scan] and [axes]", name));

    TomlReader root = TomlReader::parse(configuration.text, name);
    root.expect({"scan", "axes", "fixed", "inputs", "output"});
    if (!root.has("scan"))
        throw InputError(fmt::format("{}: there is no [scan] section; it names the experiments", name));
    TomlReader scan = root.sub("scan");
    scan.expect({"title", "experiments"});
    configuration.title = scan.optional_string("title").value_or(path.stem().string());
    configuration.experiments = scan.strings("experiments");
    if (configuration.experiments.empty())
        scan.error("experiments", "no experiment is named; give at least one, for example [\"xenonnt_sr0\"]");
    std::set<std::string> const distinct(configuration.experiments.begin(), configuration.experiments.end());
    if (distinct.size() != configuration.experiments.size())
        scan.error("experiments", "an experiment is named twice; name each once");

    if (!root.has("axes") || root.sub("axes").keys().empty())
        throw InputError(fmt::format("{}: there are no axes; add an [axes] section with one to {} parameters, for example "
                                     "mu_e = {{ min = 0.0, max = 4e-11, n = 1000 }}",
                                     name, max_axes));
    TomlReader const axes = root.sub("axes");
    if (axes.keys().size() > max_axes)
        throw InputError(fmt::format("{}: {} axes; a scan takes at most {}", axes.where(), axes.keys().size(), max_axes));
    for (auto const& key : axes.keys())
        configuration.axes.push_back(read_axis(axes, key));

    if (auto const fixed = root.optional_sub("fixed"))
        for (auto const& key : fixed->keys())
        {
            int const parameter = parameter_of(*fixed, key);
            double const value = fixed->number(key);
            check_value(*fixed, key, parameter, value);
            for (Axis const& axis : configuration.axes)
                if (axis.parameter == parameter)
                    fixed->error(key, "is an axis already; remove it here or there");
            configuration.fixed[parameter] = value;
        }
    if (auto const inputs = root.optional_sub("inputs"))
        configuration.inputs = read_inputs(*inputs);
    if (auto output = root.optional_sub("output"))
    {
        output->expect({"pulls", "rates"});
        configuration.output_pulls = output->optional_boolean("pulls").value_or(false);
        configuration.output_rates = output->optional_boolean("rates").value_or(false);
    }
    configuration.size();
    return configuration;
}

void apply_settings(ScanConfiguration& configuration, FixedParameters const& settings)
{
    for (auto const& [parameter, value] : settings)
    {
        for (Axis const& axis : configuration.axes)
            if (axis.parameter == parameter)
                throw InputError(fmt::format("--set {}={:g}: {} is an axis of {}; set another parameter or remove the axis",
                                             parameter_info(parameter).name, value, parameter_info(parameter).name,
                                             configuration.path.string()));
        configuration.fixed[parameter] = value;
    }
}

void limit_nodes(ScanConfiguration& configuration, long long nodes)
{
    if (nodes < 2)
        throw InputError(fmt::format("--nodes {}: an axis that covers a range has at least 2 nodes", nodes));
    for (Axis& axis : configuration.axes)
        axis.n = std::min<std::int64_t>(axis.n, nodes);
}

std::string canonical_form(ScanConfiguration const& configuration)
{
    // ordered_json keeps the order of axes; numbers are written with the shortest text that reads back the same.
    nlohmann::ordered_json json;
    json["results_version"] = results_version;
    json["experiments"] = configuration.experiments;
    json["axes"] = nlohmann::ordered_json::array();
    for (Axis const& axis : configuration.axes)
        json["axes"].push_back({{"parameter", parameter_info(axis.parameter).name},
                                {"min", axis.min},
                                {"max", axis.max},
                                {"n", axis.n},
                                {"scale", axis.scale == AxisScale::log ? "log" : "linear"}});
    std::map<std::string, double> fixed;
    for (auto const& [parameter, value] : configuration.fixed)
        fixed[parameter_info(parameter).name] = value;
    json["fixed"] = fixed;
    auto const& inputs = configuration.inputs;
    json["inputs"] = {{"solar", inputs.solar},
                      {"oscillation", inputs.oscillation},
                      {"shells", inputs.shells},
                      {"electrons", inputs.electrons},
                      {"transition_survival", inputs.transition_survival},
                      {"constants", inputs.constants}};
    json["output"] = {{"pulls", configuration.output_pulls}, {"rates", configuration.output_rates}};
    return json.dump();
}

ScanConfiguration parse_canonical(std::string const& canonical)
{
    ScanConfiguration configuration;
    try
    {
        auto const json = nlohmann::ordered_json::parse(canonical);
        if (auto const version = whole_number(json.at("results_version")); version != results_version)
            throw InputError(fmt::format("the surface was made with results version {}, this program makes version {}", version,
                                         results_version));
        configuration.experiments = json.at("experiments").get<std::vector<std::string>>();
        for (auto const& entry : json.at("axes"))
        {
            Axis axis;
            axis.parameter = require_parameter(entry.at("parameter").get<std::string>());
            axis.min = entry.at("min").get<double>();
            axis.max = entry.at("max").get<double>();
            axis.n = whole_number(entry.at("n"));
            axis.scale = entry.at("scale").get<std::string>() == "log" ? AxisScale::log : AxisScale::linear;
            if (axis.n < 1 || axis.n > max_axis_nodes)
                throw InputError("the stored configuration has an axis of an impossible length");
            configuration.axes.push_back(axis);
        }
        for (auto const& [name, value] : json.at("fixed").items())
            configuration.fixed[require_parameter(name)] = value.get<double>();
        auto const& inputs = json.at("inputs");
        configuration.inputs.solar = inputs.at("solar").get<std::string>();
        configuration.inputs.oscillation = inputs.at("oscillation").get<std::string>();
        configuration.inputs.shells = inputs.at("shells").get<std::string>();
        configuration.inputs.electrons = inputs.at("electrons").get<std::string>();
        configuration.inputs.transition_survival = inputs.at("transition_survival").get<std::string>();
        configuration.inputs.constants = inputs.at("constants").get<std::map<std::string, double>>();
        configuration.output_pulls = json.at("output").at("pulls").get<bool>();
        configuration.output_rates = json.at("output").at("rates").get<bool>();
    }
    catch (nlohmann::json::exception const& problem)
    {
        throw InputError(fmt::format("the stored configuration cannot be read: {}", problem.what()));
    }
    catch (std::out_of_range const& problem)
    {
        throw InputError(fmt::format("the stored configuration cannot be read: {}", problem.what()));
    }
    return configuration;
}

std::pair<int, double> parse_setting(std::string const& text)
{
    auto const equals = text.find('=');
    double value = 0.0;
    if (equals == std::string::npos || equals == 0)
        throw InputError(fmt::format("--set {}: not of the form PARAMETER=VALUE, for example mu_e=1e-11", text));
    int const parameter = require_parameter(text.substr(0, equals));
    if (!parse_double(text.substr(equals + 1), value))
        throw InputError(fmt::format("--set {}: '{}' is not a finite number", text, text.substr(equals + 1)));
    check_parameter_value(parameter, value);
    return {parameter, value};
}

FixedParameters parse_settings(std::vector<std::string> const& texts)
{
    FixedParameters fixed;
    for (auto const& text : texts)
    {
        auto const [parameter, value] = parse_setting(text);
        if (!fixed.emplace(parameter, value).second)
            throw InputError(fmt::format("--set {}: {} is set twice; keep one", text, parameter_info(parameter).name));
    }
    return fixed;
}

} // namespace nuscan
