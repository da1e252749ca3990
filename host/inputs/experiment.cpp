#include "host/inputs/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/support/text.hpp"
#include "host/support/toml_reader.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

constexpr long long schema_version = 1;
constexpr long long most_bins = 10000;
constexpr double most_events = 1e15;          ///< of a data set: sums of counts are exact, and in range of any 64-bit integer
constexpr double edge_tolerance = 1e-9;       ///< [keV]
constexpr double largest_recoil_energy = 2e4; ///< of a solar neutrino, rounded up [keV]
constexpr double infinite = std::numeric_limits<double>::infinity();

/// A stretch of energy [keV].
struct EnergyRange
{
    double lower;
    double upper;

    bool empty() const { return !(lower < upper); }
};

/// Common part, possibly empty.
EnergyRange overlap(EnergyRange a, EnergyRange b)
{
    return {std::max(a.lower, b.lower), std::min(a.upper, b.upper)};
}

/// The columns lower and upper of a table, which must be ordered and free of overlaps.
std::vector<EnergyRange> read_ranges(Table const& table)
{
    auto const& lower = table.column("lower", "keV");
    auto const& upper = table.column("upper", "keV");
    std::vector<EnergyRange> rows;
    for (std::size_t i = 0; i < table.rows(); ++i)
    {
        if (!(lower[i] < upper[i]))
            table.error(i, "upper", fmt::format("{} must be above the lower edge {}", upper[i], lower[i]));
        if (i > 0 && lower[i] < upper[i - 1] - edge_tolerance)
            table.error(i, "lower", fmt::format("{} overlaps the row before, which ends at {}", lower[i], upper[i - 1]));
        rows.push_back({lower[i], upper[i]});
    }
    return rows;
}

class ExperimentReader
{
public:
    ExperimentReader(DataFolder& data, std::string const& name)
        : data_{data}
        , file_{data.full_path(fs::path{"experiments"} / name / "experiment.toml")}
        , root_{TomlReader::parse(data.read(file_), file_.string())}
    {
        read_head(name);
        read_bins();
        read_cut();
        read_data();
        read_resolution();
        for (auto section : root_.tables("efficiency"))
            read_efficiency(section);
        read_pulls();
        for (auto section : root_.tables("background"))
            read_background(section);
    }

    ExperimentDefinition take() { return std::move(experiment_); }

private:
    void read_head(std::string const& name)
    {
        root_.expect({"schema", "name", "title", "reference", "data_set", "statistic", "rate_unit", "exposure_t_yr", "bins", "data",
                      "resolution", "efficiency", "cut", "pull", "signal", "background"});
        if (auto const schema = root_.integer("schema"); schema != schema_version)
            root_.error("schema", fmt::format("format {} is unknown; must be {}", schema, schema_version));
        experiment_.name = root_.string("name");
        if (experiment_.name != name)
            root_.error("name", fmt::format("'{}' must be the name of the folder, '{}'", experiment_.name, name));
        experiment_.title = root_.string("title");
        experiment_.reference = root_.string("reference");
        experiment_.data_set = root_.string("data_set");
        if (experiment_.data_set.empty())
            root_.error("data_set", "must not be empty");
        experiment_.statistic = root_.choice("statistic", {"poisson", "gaussian"}) == "poisson" ? Statistic::poisson
                                                                                                : Statistic::gaussian;
        experiment_.rate_unit = root_.choice("rate_unit", {"events", "1/(t yr)"}) == "events" ? RateUnit::events
                                                                                              : RateUnit::per_tonne_year;
        experiment_.exposure = root_.positive("exposure_t_yr");
    }

    void read_bins()
    {
        auto section = root_.sub("bins");
        section.expect({"min_keV", "max_keV", "n", "edges_keV"});
        auto& edges = experiment_.edges;
        if (section.has("edges_keV"))
        {
            if (section.has("min_keV") || section.has("max_keV") || section.has("n"))
                section.error("edges_keV", "excludes min_keV, max_keV and n; give one or the other");
            edges = section.numbers("edges_keV");
            if (edges.size() < 2)
                section.error("edges_keV", "must list two edges at least");
            if (std::ssize(edges) > most_bins + 1)
                section.error("edges_keV", fmt::format("must list at most {} edges, not {}", most_bins + 1, edges.size()));
            for (std::size_t i = 1; i < edges.size(); ++i)
                if (!(edges[i - 1] < edges[i]))
                    section.error("edges_keV", fmt::format("{} follows {}; must be strictly ascending", edges[i], edges[i - 1]));
        }
        else
        {
            double const min = section.number("min_keV");
            double const max = section.number("max_keV");
            long long const n = section.integer("n");
            if (!(min < max))
                section.error("max_keV", fmt::format("{} must be above min_keV = {}", max, min));
            if (n < 1 || n > most_bins)
                section.error("n", fmt::format("must be between 1 and {}, not {}", most_bins, n));
            for (long long i = 0; i <= n; ++i)
                edges.push_back(i == n ? max : min + (max - min) * static_cast<double>(i) / static_cast<double>(n));
        }
        if (edges.front() < 0.0)
            section.error(section.has("edges_keV") ? "edges_keV" : "min_keV", "must not be negative");
        experiment_.counts.assign(edges.size() - 1, 0.0);
    }

    void read_cut()
    {
        auto const& edges = experiment_.edges;
        experiment_.cut_min = edges.front();
        experiment_.cut_max = edges.back();
        auto section = root_.optional_sub("cut");
        if (!section)
            return;
        section->expect({"min_keV", "max_keV"});
        experiment_.cut_min = section->optional_number("min_keV").value_or(edges.front());
        experiment_.cut_max = section->optional_number("max_keV").value_or(edges.back());
        if (overlap(cut(), {edges.front(), edges.back()}).empty())
            section->error("", fmt::format("accepts no energy: [{}, {}] keV within bins of [{}, {}] keV", experiment_.cut_min,
                                           experiment_.cut_max, edges.front(), edges.back()));
    }

    void read_data()
    {
        auto section = root_.sub("data");
        section.expect({"events", "counts", "error"});
        if (section.has("events") == section.has("counts"))
            section.error("", "must have either 'events' or 'counts'");
        if (experiment_.statistic == Statistic::gaussian)
            section.choice("error", {"garwood"});
        else if (section.has("error"))
            section.error("error", "is for statistic = \"gaussian\" only");

        if (section.has("events"))
            bin_events(read_table(section, "events"));
        else
            read_counts(read_table(section, "counts"));
    }

    void bin_events(Table const& events)
    {
        auto const& edges = experiment_.edges;
        for (double const energy : events.column("energy", "keV"))
        {
            bool const accepted = energy >= edges.front() && energy < edges.back() && energy >= experiment_.cut_min
                                  && energy <= experiment_.cut_max;
            auto const above = std::upper_bound(edges.begin(), edges.end(), energy) - edges.begin();
            if (accepted)
                experiment_.counts[static_cast<std::size_t>(above - 1)] += 1.0;
            else
                ++experiment_.events_outside;
        }
    }

    void read_counts(Table const& table)
    {
        require_bins(table);
        auto const& counts = table.column("counts");
        table.require_range("counts", 0.0, most_events, "a count");
        double sum = 0.0;
        for (std::size_t i = 0; i < counts.size(); ++i)
        {
            if (counts[i] != std::floor(counts[i]))
                table.error(i, "counts", fmt::format("{} must be a whole number", counts[i]));
            sum += counts[i];
            if (sum > most_events)
                table.error(i, "counts", fmt::format("{} events up to this row; at most {}", sum, most_events));
            auto const open = overlap(bin(i), cut());
            if (open.empty())
                experiment_.events_outside += static_cast<long>(counts[i]);
            else if (open.lower > bin(i).lower || open.upper < bin(i).upper)
                table.error(i, "counts", "the cut lies inside this bin and counts cannot be cut; put it on an edge or give events");
            else
                experiment_.counts[i] = counts[i];
        }
    }

    void read_resolution()
    {
        auto section = root_.sub("resolution");
        section.expect({"width_of", "sqrt", "linear", "constant"});
        auto& resolution = experiment_.resolution;
        resolution.width_of = read_energy_scale(section, "width_of");
        resolution.sqrt = section.optional_number("sqrt").value_or(0.0);
        resolution.linear = section.optional_number("linear").value_or(0.0);
        resolution.constant = section.optional_number("constant").value_or(0.0);
        require_positive_width(experiment_, section.where());
    }

    void read_efficiency(TomlReader& section)
    {
        section.expect({"energy", "table", "erf"});
        EfficiencyDefinition efficiency;
        efficiency.energy = read_energy_scale(section, "energy");
        if (section.has("table") == section.has("erf"))
            section.error("", "must have either 'table' or 'erf'");
        if (section.has("table"))
        {
            Table const table = read_table(section, "table");
            table.require_ascending("energy");
            table.require_range("efficiency", 0.0, 1.0, "an efficiency");
            efficiency.table = Curve{table.column("energy", "keV"), table.column("efficiency", "1")};
        }
        else
        {
            auto erf = section.sub("erf");
            erf.expect({"plateau", "threshold_keV", "width_keV"});
            efficiency.plateau = erf.positive("plateau");
            if (efficiency.plateau > 1.0)
                erf.error("plateau", fmt::format("an efficiency of {} is above 1", efficiency.plateau));
            efficiency.threshold = erf.number("threshold_keV");
            efficiency.width = erf.positive("width_keV");
        }
        experiment_.efficiencies.push_back(std::move(efficiency));
    }

    void read_pulls()
    {
        auto signal = root_.sub("signal");
        signal.expect({"pull", "sigma"});
        experiment_.signal_pull = {read_pull_name(signal, "pull"), signal.positive("sigma")};
        for (auto section : root_.tables("pull"))
        {
            section.expect({"name", "sigma"});
            std::string const name = read_pull_name(section, "name");
            if (name == experiment_.signal_pull.name)
                section.error("name", fmt::format("'{}' is the pull of the signal already", name));
            if (find_pull(name) >= 0)
                section.error("name", fmt::format("there are two pulls '{}'", name));
            experiment_.pulls.push_back({name, section.positive("sigma")});
        }
    }

    void read_background(TomlReader& section)
    {
        section.expect({"name", "table", "column", "norm", "density", "pull", "contains_sm_signal"});
        BackgroundDefinition background;
        background.name = section.string("name");
        for (auto const& other : experiment_.backgrounds)
            if (other.name == background.name)
                section.error("name", fmt::format("there are two backgrounds '{}'", background.name));
        if (section.has("table") == section.has("density"))
            section.error("", "must have either 'table' (with 'column' and 'norm') or 'density'");
        background.per_bin = section.has("table") ? scaled_column(section) : integrated_density(section);
        background.contains_sm_signal = section.optional_boolean("contains_sm_signal").value_or(false);
        if (auto const pull = section.optional_string("pull"))
        {
            background.pull = find_pull(*pull);
            if (background.pull < 0)
            {
                std::vector<std::string> names;
                for (auto const& known : experiment_.pulls)
                    names.push_back(known.name);
                section.error("pull", fmt::format("no [[pull]] is named '{}'{}", *pull, suggestion(*pull, names)));
            }
        }
        experiment_.backgrounds.push_back(std::move(background));
    }

    std::vector<double> scaled_column(TomlReader const& section) const
    {
        Table const table = read_table(section, "table");
        require_bins(table);
        std::string const name = section.string("column");
        if (!table.has(name))
            section.error("column", fmt::format("{} has no column '{}'{}", table.path(), name, suggestion(name, table.names())));
        double const norm = section.number("norm");
        if (norm < 0.0)
            section.error("norm", fmt::format("must not be negative, but is {}", norm));
        std::vector<double> column = table.column(name);
        table.require_range(name, 0.0, infinite, "a background");
        double sum = 0.0;
        for (double const value : column)
            sum += value;
        if (!(sum > 0.0))
            section.error("column", fmt::format("the sum of column '{}' of {} is {}; must be above 0", name, table.path(), sum));
        for (std::size_t i = 0; i < column.size(); ++i)
            column[i] *= overlap(bin(i), cut()).empty() ? 0.0 : norm / sum;
        return column;
    }

    /// Exact integral of a histogram over what the cut leaves of each bin; 0 where the histogram has no row.
    std::vector<double> integrated_density(TomlReader const& section) const
    {
        for (char const* key : {"column", "norm"})
            if (section.has(key))
                section.error(key, "goes with 'table', not with 'density'");
        Table const table = read_table(section, "density");
        auto const rows = read_ranges(table);
        auto const& rate = table.column("rate", "1/(t yr keV)");
        table.require_range("rate", 0.0, infinite, "a background");
        double const unit = experiment_.rate_unit == RateUnit::events ? experiment_.exposure : 1.0;
        std::vector<double> per_bin(experiment_.bins(), 0.0);
        for (std::size_t i = 0; i < per_bin.size(); ++i)
            for (std::size_t row = 0; row < rows.size(); ++row)
                if (auto const part = overlap(overlap(bin(i), cut()), rows[row]); !part.empty())
                    per_bin[i] += unit * rate[row] * (part.upper - part.lower);
        return per_bin;
    }

    /// Columns lower and upper must be the experiment's bins.
    void require_bins(Table const& table) const
    {
        auto const rows = read_ranges(table);
        for (std::size_t i = 0; i < std::min(rows.size(), experiment_.bins()); ++i)
            if (std::abs(rows[i].lower - bin(i).lower) > edge_tolerance || std::abs(rows[i].upper - bin(i).upper) > edge_tolerance)
                table.error(i, "lower",
                            fmt::format("bin [{}, {}] keV does not match bin {} of {}, [{}, {}] keV", rows[i].lower, rows[i].upper,
                                        i + 1, file_.string(), bin(i).lower, bin(i).upper));
        if (rows.size() != experiment_.bins())
            throw InputError{fmt::format("{}: {} rows do not match the {} bins of {}", table.path(), rows.size(),
                                         experiment_.bins(), file_.string())};
    }

    Table read_table(TomlReader const& section, std::string_view key) const
    {
        return data_.table(file_.parent_path() / section.string(key), section.where(key));
    }

    static EnergyScale read_energy_scale(TomlReader const& section, std::string_view key)
    {
        return section.choice(key, {"true", "reconstructed"}) == "true" ? EnergyScale::true_recoil : EnergyScale::reconstructed;
    }

    /// Pulls name data sets of the output, hence identifiers.
    static std::string read_pull_name(TomlReader const& section, std::string_view key)
    {
        std::string const name = section.string(key);
        constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
        if (name.empty() || name.find_first_not_of(letters) != name.npos)
            section.error(key, fmt::format("'{}' must consist of letters, digits and _", name));
        return name;
    }

    int find_pull(std::string_view name) const
    {
        auto const& pulls = experiment_.pulls;
        auto const found = std::find_if(pulls.begin(), pulls.end(), [&](auto const& pull) { return pull.name == name; });
        return found == pulls.end() ? -1 : static_cast<int>(found - pulls.begin());
    }

    EnergyRange bin(std::size_t i) const { return {experiment_.edges[i], experiment_.edges[i + 1]}; }
    EnergyRange cut() const { return {experiment_.cut_min, experiment_.cut_max}; }

    DataFolder& data_;
    fs::path file_;
    TomlReader root_;
    ExperimentDefinition experiment_;
};

} // namespace

double EfficiencyDefinition::operator()(double energy_kev) const
{
    // erfc keeps its digits far below the threshold, where 1 + erf loses them.
    return table ? (*table)(energy_kev) : 0.5 * plateau * std::erfc((threshold - energy_kev) / (sqrt2 * width));
}

double ResolutionDefinition::operator()(double energy_kev) const
{
    return constant + sqrt * std::sqrt(energy_kev) + linear * energy_kev;
}

ExperimentDefinition load_experiment(DataFolder& data, std::string const& name)
{
    auto const names = data.experiments();
    if (std::find(names.begin(), names.end(), name) == names.end())
        throw InputError{fmt::format("unknown experiment '{}'{} (folders of {})", name, suggestion(name, names),
                                     data.full_path("experiments").string())};
    return ExperimentReader{data, name}.take();
}

void require_positive_width(ExperimentDefinition const& experiment, std::string const& where)
{
    auto const& resolution = experiment.resolution;
    EnergyRange range{0.0, largest_recoil_energy};
    if (resolution.width_of == EnergyScale::reconstructed)
        range = overlap({experiment.cut_min, experiment.cut_max}, {experiment.edges.front(), experiment.edges.back()});

    // A parabola in sqrt(E): smallest at an end or at its vertex. The width may be 0 at E = 0, not right above.
    std::vector<double> candidates{std::max(range.lower, edge_tolerance), range.upper};
    double const vertex = resolution.linear > 0.0 && resolution.sqrt < 0.0 ? -0.5 * resolution.sqrt / resolution.linear : 0.0;
    if (vertex * vertex > range.lower && vertex * vertex < range.upper)
        candidates.push_back(vertex * vertex);
    for (double const energy : candidates)
        if (double const width = resolution(energy); !(width > 0.0))
            throw InputError{fmt::format("{}: the resolution has width {} keV at {} keV; must be above 0", where, width, energy)};
    if (range.lower <= 0.0 && resolution.constant < 0.0)
        throw InputError{
            fmt::format("{}: the resolution has width {} keV at 0 keV; must not be negative", where, resolution.constant)};
}

} // namespace nuscan
