#include "host/inputs/inputs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "host/inputs/experiment.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"
#include "host/support/toml_reader.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double mev_per_kev = 1e-3;
constexpr double largest_norm_error = 1e-2; ///< of a spectrum; a wrong unit is off by far more

void require_choice(std::string_view what, std::string const& name, std::vector<std::string> const& valid)
{
    if (std::find(valid.begin(), valid.end(), name) == valid.end())
        throw InputError{fmt::format("unknown {} '{}'; valid: {}", what, name, join(valid))};
}

/// The x of all files <folder>/<prefix>x<suffix>, sorted.
std::vector<std::string> find_choices(fs::path const& folder, std::string_view prefix, std::string_view suffix)
{
    std::vector<std::string> names;
    std::error_code error;
    for (auto const& entry : fs::directory_iterator{folder, error})
    {
        std::string const name = entry.path().filename().string();
        if (name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix))
            names.push_back(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
    }
    std::sort(names.begin(), names.end());
    return names;
}

void require_positive(Table const& table, std::string_view name)
{
    auto const& values = table.column(name);
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!(values[i] > 0.0))
            table.error(i, name, fmt::format("{} must be above 0", values[i]));
}

TomlReader read_toml(DataFolder& data, fs::path const& file)
{
    return TomlReader::parse(data.read(file), data.full_path(file).string());
}

OscillationParameters load_oscillation(DataFolder& data, std::string const& name)
{
    require_choice("oscillation parameters", name, find_choices(data.full_path("solar"), "oscillation_", ".toml"));
    TomlReader file = read_toml(data, fmt::format("solar/oscillation_{}.toml", name));

    std::vector<std::string> keys{"sin2_theta12", "sin2_theta13", "sin2_theta23", "dm21_eV2", "dm31_eV2", "delta_cp_over_pi"};
    for (std::size_t i = 0, n = keys.size(); i < n; ++i)
        keys.push_back(keys[i] + "_error");
    keys.insert(keys.end(), {"title", "reference"});
    file.expect(keys);
    file.string("title");
    file.string("reference");
    for (auto const& key : keys)
        if (key.ends_with("_error") && file.has(key))
            file.positive(key);

    auto const sin2 = [&](char const* key) {
        double const value = file.number(key);
        if (!(value > 0.0 && value < 1.0))
            file.error(key, fmt::format("must lie between 0 and 1, but is {}", value));
        return value;
    };
    OscillationParameters oscillation;
    oscillation.sin2_theta12 = sin2("sin2_theta12");
    oscillation.sin2_theta13 = sin2("sin2_theta13");
    oscillation.sin2_theta23 = sin2("sin2_theta23");
    oscillation.dm21_ev2 = file.positive("dm21_eV2");
    oscillation.dm31_ev2 = file.number("dm31_eV2"); // negative for the inverted ordering
    if (oscillation.dm31_ev2 == 0.0)
        file.error("dm31_eV2", "must not be 0");
    oscillation.delta_cp = file.number("delta_cp_over_pi") * pi;
    return oscillation;
}

void read_spectrum(SolarSource& source, Table const& table)
{
    table.require_ascending("energy");
    table.require_range("energy", 0.0, infinite, "an energy");
    table.require_range("spectrum", 0.0, infinite, "a spectrum");
    auto const& energy = table.column("energy", "MeV");
    auto const& spectrum = table.column("spectrum", "1/MeV");
    if (energy.front() > 0.0)
    {
        source.energy.push_back(0.0);
        source.density.push_back(0.0);
    }
    for (std::size_t i = 0; i < energy.size(); ++i)
    {
        source.energy.push_back(energy[i] * units::kev_per_mev);
        source.density.push_back(spectrum[i] * mev_per_kev);
    }

    double integral = 0.0;
    for (std::size_t i = 1; i < source.energy.size(); ++i)
        integral += 0.5 * (source.density[i - 1] + source.density[i]) * (source.energy[i] - source.energy[i - 1]);
    if (!(std::abs(integral - 1.0) < largest_norm_error))
        throw InputError{fmt::format("{}: the integral of column 'spectrum' is {}; must be 1", table.path(), integral)};
}

void read_lines(SolarSource& source, TomlReader const& section)
{
    double sum = 0.0;
    for (auto line : section.tables("lines"))
    {
        line.expect({"energy_keV", "fraction"});
        double const fraction = line.positive("fraction");
        source.lines.push_back({line.positive("energy_keV"), fraction * source.flux});
        sum += fraction;
    }
    if (!(std::abs(sum - 1.0) < 1e-9))
        section.error("lines", fmt::format("the fractions add up to {}; must be 1", sum));
}

/// Share of each zone in a source's production; zones are equally wide.
std::vector<double> read_zone_weight(Table const& production, TomlReader const& section)
{
    std::string const zone = section.string("zone");
    if (!production.has(zone) || zone == "radius" || zone == "log10_electron_density")
        section.error("zone", fmt::format("{} has no production column '{}'{}", production.path(), zone,
                                          suggestion(zone, production.names())));
    production.require_range(zone, 0.0, infinite, "a production");
    std::vector<double> weight = production.column(zone);
    double sum = 0.0;
    for (double const value : weight)
        sum += value;
    if (!(sum > 0.0))
        section.error("zone", fmt::format("the sum of column '{}' of {} is {}; must be above 0", zone, production.path(), sum));
    for (double& value : weight)
        value /= sum;
    return weight;
}

void require_uniform(Table const& table, std::string_view name)
{
    table.require_ascending(name);
    auto const& values = table.column(name);
    double const step = (values.back() - values.front()) / static_cast<double>(std::max<std::size_t>(values.size(), 2) - 1);
    for (std::size_t i = 1; i < values.size(); ++i)
        if (!(std::abs(values[i] - values[i - 1] - step) < 1e-3 * step))
            table.error(i, name, fmt::format("a step of {}; must be uniform, {}", values[i] - values[i - 1], step));
}

SolarModel load_solar(DataFolder& data, std::string const& name)
{
    auto choices = find_choices(data.full_path("solar"), "", ".toml");
    std::erase_if(choices, [](auto const& choice) { return choice.starts_with("oscillation_"); });
    require_choice("solar model", name, choices);
    TomlReader file = read_toml(data, fmt::format("solar/{}.toml", name));
    file.expect({"title", "reference", "production", "source"});
    auto const read_table = [&](TomlReader const& section, std::string_view key) {
        return data.table(fs::path{"solar"} / section.string(key), section.where(key));
    };

    SolarModel solar;
    solar.title = file.string("title");
    file.string("reference");
    Table const production = read_table(file, "production");
    require_uniform(production, "radius");
    for (double const log10_density : production.column("log10_electron_density", "log10(N_A/cm^3)"))
        solar.electron_density.push_back(std::pow(10.0, log10_density));

    std::set<std::string> names;
    for (auto section : file.tables("source"))
    {
        section.expect({"name", "flux", "flux_uncertainty", "zone", "spectrum", "lines"});
        SolarSource source;
        source.name = section.string("name");
        if (!names.insert(source.name).second)
            section.error("name", fmt::format("there are two sources '{}'", source.name));
        source.flux = section.positive("flux");
        source.flux_uncertainty = section.positive("flux_uncertainty");
        source.zone_weight = read_zone_weight(production, section);
        if (section.has("spectrum") == section.has("lines"))
            section.error("", "must have either 'spectrum' or 'lines'");
        if (section.has("spectrum"))
            read_spectrum(source, read_table(section, "spectrum"));
        else
            read_lines(source, section);
        solar.sources.push_back(std::move(source));
    }
    if (solar.sources.empty())
        file.error("source", "missing; there must be one [[source]] at least");
    return solar;
}

AtomicShells load_shells(DataFolder& data, std::string const& name)
{
    require_choice("shells", name, find_choices(data.full_path("xenon"), "shells_", ".txt"));
    Table const table = data.table(fmt::format("xenon/shells_{}.txt", name));
    table.require_ascending("binding_energy");
    require_positive(table, "binding_energy");
    require_positive(table, "electrons");
    AtomicShells shells;
    for (double const energy : table.column("binding_energy", "eV"))
        shells.binding_energy.push_back(energy * units::kev_per_ev);
    shells.electrons = table.column("electrons");
    return shells;
}

/// The factor divides a rate: below the table it stays at the first value instead of falling to 0.
Curve load_rrpa(DataFolder& data, fs::path const& file)
{
    Table const table = data.table(file);
    table.require_ascending("energy");
    require_positive(table, "energy");
    require_positive(table, "step_over_rrpa");
    Curve curve{table.column("energy", "keV"), table.column("step_over_rrpa", "1")};
    curve.x.insert(curve.x.begin(), 0.0);
    curve.y.insert(curve.y.begin(), curve.y.front());
    return curve;
}

void apply_constants(Inputs& inputs)
{
    constexpr double kev2_per_gev2 = 1e12;

    auto& constants = inputs.constants;
    std::map<std::string, double*> const target{
        {"alpha_inverse", &constants.inverse_alpha}, {"m_e", &constants.electron_mass}, {"hbar_c", &constants.hbar_c},
        {"s_W2", &constants.sin2_theta_w},           {"N_A", &constants.avogadro},      {"M_Xe", &constants.molar_mass},
        {"P_e1", &constants.transition_p_e1}};
    std::vector<std::string> names;
    for (auto const& [name, unit] : constant_names())
        names.push_back(name);
    for (auto const& [name, value] : inputs.choice.constants)
    {
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw InputError{fmt::format("unknown constant '{}'{}", name, suggestion(name, names))};
        if (!(std::isfinite(value) && value > 0.0))
            throw InputError{fmt::format("constant '{}': must be finite and above 0, but is {}", name, value)};
        if (name == "P_e1" && value >= 1.0)
            throw InputError{fmt::format("constant '{}': must lie between 0 and 1, but is {}", name, value)};

        if (name == "G_F")
            constants.fermi_constant = value / kev2_per_gev2;
        else if (name != "K")
            *target.at(name) = value;
        else
            for (auto& experiment : inputs.experiments)
            {
                experiment.resolution.sqrt = value;
                require_positive_width(experiment, fmt::format("constant 'K' = {}, experiment '{}'", value, experiment.name));
            }
    }
}

/// Experiments of one fit share the Sun, hence its pull, and no data.
void require_compatible(ExperimentDefinition const& a, ExperimentDefinition const& b)
{
    std::string const pair = fmt::format("experiments '{}' and '{}'", a.name, b.name);
    if (a.data_set == b.data_set)
        throw InputError{
            fmt::format("{} have the same data (data_set '{}') and cannot be fitted together; choose one", pair, a.data_set)};
    auto const &one = a.signal_pull, &other = b.signal_pull;
    if (one.name != other.name || one.sigma != other.sigma)
        throw InputError{fmt::format("{} share the flux pull, but their [signal] differs: pull '{}', sigma {} against '{}', {}",
                                     pair, one.name, one.sigma, other.name, other.sigma)};
}

} // namespace

double Curve::operator()(double at) const
{
    if (at < x.front())
        return 0.0;
    if (at >= x.back())
        return y.back();
    auto const i = static_cast<std::size_t>(std::upper_bound(x.begin(), x.end(), at) - x.begin());
    return y[i - 1] + (y[i] - y[i - 1]) * (at - x[i - 1]) / (x[i] - x[i - 1]);
}

std::size_t rate_count(Inputs const& inputs)
{
    std::size_t bins = 0;
    for (auto const& experiment : inputs.experiments)
        bins += experiment.bins();
    return bins;
}

std::size_t pull_count(Inputs const& inputs)
{
    std::size_t pulls = 1;
    for (auto const& experiment : inputs.experiments)
        pulls += experiment.pulls.size();
    return pulls;
}

Inputs load_inputs(DataFolder& data, InputChoice const& choice, std::vector<std::string> const& experiments)
{
    require_choice("electrons", choice.electrons, {"step", "rrpa"});
    require_choice("transition_survival", choice.transition_survival, {"constant", "adiabatic"});

    Inputs inputs;
    inputs.choice = choice;
    inputs.oscillation = load_oscillation(data, choice.oscillation);
    inputs.solar = load_solar(data, choice.solar);
    inputs.shells = load_shells(data, choice.shells);
    if (choice.electrons == "rrpa")
        for (char const* file : {"xenon/rrpa_e.txt", "xenon/rrpa_mutau.txt", "xenon/rrpa_mutau.txt"})
            inputs.rrpa.push_back(load_rrpa(data, file));
    for (auto const& name : experiments)
    {
        if (std::count(experiments.begin(), experiments.end(), name) > 1)
            throw InputError{fmt::format("experiment '{}' is given twice", name)};
        inputs.experiments.push_back(load_experiment(data, name));
        for (std::size_t i = 0; i + 1 < inputs.experiments.size(); ++i)
            require_compatible(inputs.experiments[i], inputs.experiments.back());
    }
    apply_constants(inputs);
    return inputs;
}

std::map<std::string, std::string> constant_names()
{
    return {{"G_F", "GeV^-2"}, {"alpha_inverse", "1"}, {"m_e", "keV"}, {"hbar_c", "keV cm"}, {"s_W2", "1"},
            {"N_A", "1/mol"},  {"M_Xe", "g/mol"},      {"P_e1", "1"},  {"K", "keV^(1/2)"}};
}

} // namespace nuscan
