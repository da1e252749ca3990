#include "host/scan/identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/support/error.hpp"
#include "host/support/json_number.hpp"
#include "host/support/text.hpp"

namespace nuscan
{

namespace
{

using Json = nlohmann::ordered_json;

/// Differences listed in one line.
constexpr std::size_t most_listed = 4;

/// "gs98", "400", "1e-13", "a, b"; what is absent is "not set".
std::string value_of(Json const& object, std::string const& key)
{
    if (!object.contains(key))
        return "not set";
    Json const& value = object.at(key);
    if (value.is_array() && std::all_of(value.begin(), value.end(), [](Json const& item) { return item.is_string(); }))
        return join(value.get<std::vector<std::string>>());
    return value.is_string() ? value.get<std::string>() : value.dump();
}

class Comparison
{
public:
    explicit Comparison(SideNames const& names) : names_(names) {}

    /// "constant s_W2: 0.24 in the journal, 0.2312 now".
    void values(std::string const& what, std::string const& first, std::string const& second)
    {
        if (first != second)
            found.push_back(fmt::format("{} {} {}, {} {}", what, first, names_.first, second, names_.second));
    }

    /// The entries of two objects; \p what begins the message of each.
    void objects(std::string const& what, Json const& first, Json const& second)
    {
        for (auto const& [key, value] : first.items())
            values(fmt::format("{} {} =", what, key), value_of(first, key), value_of(second, key));
        for (auto const& [key, value] : second.items())
            if (!first.contains(key))
                values(fmt::format("{} {} =", what, key), value_of(first, key), value_of(second, key));
    }

    void axes(Json const& first, Json const& second)
    {
        std::vector<std::string> const a = parameters(first);
        std::vector<std::string> const b = parameters(second);
        if (a != b)
        {
            found.push_back(fmt::format("axes {} {}, {} {}", join(a), names_.first, join(b), names_.second));
            return;
        }
        for (std::size_t i = 0; i < a.size(); ++i)
            for (char const* key : {"min", "max", "n", "scale"})
                values(fmt::format("axis {}: {} =", a[i], key), value_of(first.at(i), key), value_of(second.at(i), key));
    }

    std::vector<std::string> found;

private:
    static std::vector<std::string> parameters(Json const& axes)
    {
        std::vector<std::string> names;
        for (auto const& axis : axes)
            names.push_back(axis.at("parameter").get<std::string>());
        return names;
    }

    SideNames const& names_;
};

} // namespace

std::vector<std::string> configuration_differences(std::string const& first, std::string const& second, SideNames const& names)
{
    if (first == second)
        return {};
    Comparison comparison(names);
    try
    {
        auto const a = Json::parse(first);
        auto const b = Json::parse(second);
        comparison.values("results version", value_of(a, "results_version"), value_of(b, "results_version"));
        comparison.values("experiments", value_of(a, "experiments"), value_of(b, "experiments"));
        comparison.axes(a.at("axes"), b.at("axes"));
        comparison.objects("fixed", a.at("fixed"), b.at("fixed"));
        Json inputs_a = a.at("inputs");
        Json inputs_b = b.at("inputs");
        comparison.objects("constant", inputs_a.at("constants"), inputs_b.at("constants"));
        inputs_a.erase("constants");
        inputs_b.erase("constants");
        comparison.objects("input", inputs_a, inputs_b);
        comparison.objects("output", a.at("output"), b.at("output"));
    }
    catch (nlohmann::json::exception const&)
    {
        comparison.found.clear();
    }
    // Never silent where the texts differ, whatever a later version puts into them.
    if (comparison.found.empty())
        comparison.found.push_back("the configuration");
    return comparison.found;
}

std::vector<std::string> data_differences(std::map<std::string, std::string> const& first,
                                          std::map<std::string, std::string> const& second, SideNames const& names)
{
    std::vector<std::string> found;
    for (auto const& [file, hash] : first)
        if (auto const other = second.find(file); other == second.end())
            found.push_back(fmt::format("data file {} is used {} only", file, names.first));
        else if (other->second != hash)
            found.push_back(fmt::format("data file {} differs", file));
    for (auto const& [file, hash] : second)
        if (!first.contains(file))
            found.push_back(fmt::format("data file {} is used {} only", file, names.second));
    return found;
}

std::vector<std::string> identity_differences(ScanIdentity const& first, ScanIdentity const& second, SideNames const& names)
{
    auto found = configuration_differences(first.configuration, second.configuration, names);
    // Another choice of inputs reads other files: that is said already.
    if (found.empty())
        found = data_differences(first.data_sha256, second.data_sha256, names);
    Comparison others(names);
    others.values("backend", first.backend, second.backend);
    others.values("route", first.route, second.route);
    if (first.configuration == second.configuration)
        others.values("points", fmt::format("[{}, {})", first.range.begin, first.range.end),
                      fmt::format("[{}, {})", second.range.begin, second.range.end));
    found.insert(found.end(), others.found.begin(), others.found.end());
    return found;
}

std::string differences_text(std::vector<std::string> const& differences)
{
    std::size_t const listed = std::min(differences.size(), most_listed);
    std::string text = join({differences.begin(), differences.begin() + static_cast<std::ptrdiff_t>(listed)}, "; ");
    if (listed < differences.size())
        text += fmt::format("; and {} more", differences.size() - listed);
    return text;
}

std::string description_text(JournalDescription const& description)
{
    auto const& identity = description.identity;
    Json const json{{"configuration", identity.configuration},
                    {"data_sha256", identity.data_sha256},
                    {"backend", identity.backend},
                    {"route", identity.route},
                    {"range", {identity.range.begin, identity.range.end}},
                    {"title", description.title},
                    {"command_line", description.command_line},
                    {"folder", description.folder},
                    {"start_utc", description.start_utc},
                    {"instruction_set", description.instruction_set}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

JournalDescription parse_description(std::string const& text)
{
    JournalDescription description;
    auto& identity = description.identity;
    try
    {
        auto const json = Json::parse(text);
        identity.configuration = json.at("configuration").get<std::string>();
        identity.data_sha256 = json.at("data_sha256").get<std::map<std::string, std::string>>();
        identity.backend = json.at("backend").get<std::string>();
        identity.route = json.at("route").get<std::string>();
        identity.range = {whole_number(json.at("range").at(0)), whole_number(json.at("range").at(1))};
        description.title = json.at("title").get<std::string>();
        description.command_line = json.at("command_line").get<std::string>();
        description.folder = json.at("folder").get<std::string>();
        description.start_utc = json.at("start_utc").get<std::string>();
        description.instruction_set = json.value("instruction_set", "");
    }
    catch (nlohmann::json::exception const& problem)
    {
        throw InputError(fmt::format("the description in the journal cannot be read: {}", problem.what()));
    }
    catch (std::out_of_range const& problem)
    {
        throw InputError(fmt::format("the description in the journal cannot be read: {}", problem.what()));
    }
    return description;
}

} // namespace nuscan
