#include "host/io/export_tables.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

/// A column; of numbers or, where there are any, of words.
struct Column
{
    std::string name;
    std::string unit;
    std::vector<double> numbers;
    std::vector<std::string> words;

    std::size_t size() const { return words.empty() ? numbers.size() : words.size(); }
};

/// What both formats are written from.
struct Table
{
    std::string name; ///< of its file, without suffix
    std::string description;
    std::string observable;
    std::vector<std::pair<std::string, std::string>> qualifiers; ///< what holds for all of it
    std::vector<Column> independent;
    std::vector<Column> dependent;

    bool empty() const { return dependent.front().size() == 0; }
};

/// Shortest text that reads back the same. YAML readers take it for a number only with a point in it.
std::string number_text(double value)
{
    std::string text = fmt::format("{}", value);
    if (text.find('.') == text.npos && std::isfinite(value))
        text.insert(std::min(text.find('e'), text.size()), ".0");
    return text;
}

template<class Record>
void add_confidence(Table& table, Record const& record)
{
    table.qualifiers.emplace_back("confidence level", number_text(record.cl));
    table.qualifiers.emplace_back("degrees of freedom", std::to_string(record.dof));
    table.qualifiers.emplace_back("threshold of Delta chi^2", number_text(record.threshold));
    table.qualifiers.emplace_back("profiled over",
                                  record.profiled_axes.empty() ? "nuisance parameters only" : join(record.profiled_axes));
}

char const* end_name(IntervalEnd end)
{
    switch (end)
    {
    case IntervalEnd::crossing:
        return "crossing";
    case IntervalEnd::grid_edge:
        return "edge of the grid";
    case IntervalEnd::physical_bound:
        break;
    }
    return "physical bound";
}

/// Builds the tables of one surface.
class TableBuilder
{
public:
    TableBuilder(SurfaceReader const& surface, DerivedResults const& results, bool split_contours)
        : layout_(surface.layout())
        , meta_(surface.meta())
        , split_contours_(split_contours)
    {
        if (layout_.axes.size() == 1 && layout_.range.size() == layout_.size())
            add_surface(surface);
        for (ProfileRecord const& profile : results.profiles)
            add_profile(profile);
        for (LimitRecords const& records : results.limits)
        {
            for (IntervalRecord const& record : records.intervals)
                add_intervals(record);
            for (CurveRecord const& record : records.curves)
                add_curve(record);
            for (ContourRecord const& record : records.contours)
                add_contour(record);
        }
    }

    std::vector<Table> const& tables() const { return tables_; }
    /// What there is no table of.
    std::vector<std::string> const& missing() const { return missing_; }

private:
    AxisRecord const& axis(std::string const& name) const
    {
        for (AxisRecord const& axis : layout_.axes)
            if (axis.name == name)
                return axis;
        throw InputError{fmt::format("a result refers to '{}', which is no axis of the surface", name)};
    }

    Table& begin(std::string name, std::string description, std::string observable)
    {
        Table& table = tables_.emplace_back();
        table.name = std::move(name);
        table.description = std::move(description);
        table.observable = std::move(observable);
        table.qualifiers.emplace_back("experiment", join(meta_.experiments, " + "));
        return table;
    }

    static Column delta_chi2(std::vector<double> const& chi2, double chi2_min)
    {
        Column delta{"delta_chi2", "1", {}, {}};
        for (double const value : chi2)
            delta.numbers.push_back(value - chi2_min);
        return delta;
    }

    /// chi^2 along the only axis.
    void add_surface(SurfaceReader const& surface)
    {
        AxisRecord const& along = layout_.axes.front();
        double const chi2_min = std::fmin(surface.best_fit().chi2, meta_.chi2_zero);
        Table& table = begin("chi2_" + along.name, fmt::format("chi^2 at each node of {}", along.name), "chi^2");
        table.qualifiers.emplace_back("profiled over", "nuisance parameters only");
        table.qualifiers.emplace_back("chi^2 min", number_text(chi2_min));
        table.independent = {{along.name, along.unit, along.values, {}}};
        Column chi2{"chi2", "1", surface.chi2(layout_.range), {}};
        Column delta = delta_chi2(chi2.numbers, chi2_min);
        table.dependent = {std::move(chi2), std::move(delta)};
    }

    void add_profile(ProfileRecord const& profile)
    {
        Table& table = begin(
            "profile_" + join(profile.axes, "-"),
            fmt::format("chi^2 minimised over {} at each node of {}", join(profile.profiled_axes), join(profile.axes)), "chi^2");
        table.qualifiers.emplace_back("profiled over", join(profile.profiled_axes));
        table.qualifiers.emplace_back("chi^2 min", number_text(profile.chi2_min));
        std::size_t const n = profile.chi2.size();
        std::size_t stride = n;
        for (std::string const& name : profile.axes)
        {
            auto const& values = axis(name).values;
            stride /= values.size();
            Column column{name, axis(name).unit, {}, {}};
            for (std::size_t i = 0; i < n; ++i)
                column.numbers.push_back(values[i / stride % values.size()]);
            table.independent.push_back(std::move(column));
        }
        Column chi2{"chi2", "1", profile.chi2, {}};
        Column delta = delta_chi2(profile.chi2, profile.chi2_min);
        table.dependent = {std::move(chi2), std::move(delta)};
        for (std::size_t p = 0; p < profile.profiled_axes.size(); ++p)
        {
            AxisRecord const& profiled = axis(profile.profiled_axes[p]);
            Column at{profiled.name + "_at_minimum", profiled.unit, {}, {}};
            for (std::int64_t const node : profile.index[p])
            {
                bool const known = node >= 0 && node < static_cast<std::int64_t>(profiled.values.size());
                at.numbers.push_back(known ? profiled.values[static_cast<std::size_t>(node)] : NAN);
            }
            table.dependent.push_back(std::move(at));
        }
    }

    void add_intervals(IntervalRecord const& record)
    {
        Table& table = begin(fmt::format("limits_{}_{}", cl_name(record.cl), record.parameter),
                             fmt::format("allowed intervals of {} at {:g}% C.L.", record.parameter, 100.0 * record.cl),
                             record.parameter);
        add_confidence(table, record);
        table.qualifiers.emplace_back("chi^2 min", number_text(record.region.chi2_min));
        table.qualifiers.emplace_back("best fit [" + record.unit + "]", number_text(record.region.best_fit));
        table.qualifiers.emplace_back("marginal (an edge or gap within 0.02 of the threshold)",
                                      record.region.marginal ? "yes" : "no");
        table.qualifiers.emplace_back("coarse (nodes too far apart for ends to 1%)", record.region.coarse ? "yes" : "no");
        table.qualifiers.emplace_back("0 is allowed but off the grid", record.region.zero_off_grid ? "yes" : "no");
        Column piece{"interval", "", {}, {}};
        Column lo{"lower", record.unit, {}, {}};
        Column hi{"upper", record.unit, {}, {}};
        Column lo_end{"lower_end_is", "", {}, {}};
        Column hi_end{"upper_end_is", "", {}, {}};
        for (GridInterval const& interval : record.region.intervals)
        {
            piece.words.push_back(std::to_string(piece.words.size() + 1));
            lo.numbers.push_back(interval.range.lo);
            hi.numbers.push_back(interval.range.hi);
            lo_end.words.emplace_back(end_name(interval.lo_end));
            hi_end.words.emplace_back(end_name(interval.hi_end));
        }
        table.independent = {std::move(piece)};
        table.dependent = {std::move(lo), std::move(hi), std::move(lo_end), std::move(hi_end)};
    }

    void add_curve(CurveRecord const& record)
    {
        bool const per_mass = record.definition == "per_mass";
        Table& table = begin(fmt::format("curve_{}_{}_{}", cl_name(record.cl), record.parameter, record.definition),
                             fmt::format("upper limit on {} at {:g}% C.L. for each {}, Delta chi^2 counted from the minimum {}",
                                         record.parameter, 100.0 * record.cl, record.mass,
                                         per_mass ? "at that mass" : "of the whole plane"),
                             record.parameter);
        add_confidence(table, record);
        table.qualifiers.emplace_back("definition", record.definition);
        table.independent = {{record.mass, record.mass_unit, record.masses, {}}};
        table.dependent = {{"upper", record.unit, record.upper, {}}, {"chi2_min", "1", record.chi2_min, {}}};
        std::size_t most = 0;
        for (auto const& pieces : record.intervals)
            most = std::max(most, pieces.size());
        for (std::size_t k = 0; k < most; ++k)
        {
            Column lo{fmt::format("interval_{}_lower", k + 1), record.unit, {}, {}};
            Column hi{fmt::format("interval_{}_upper", k + 1), record.unit, {}, {}};
            for (auto const& pieces : record.intervals)
            {
                lo.numbers.push_back(k < pieces.size() ? pieces[k].lo : NAN);
                hi.numbers.push_back(k < pieces.size() ? pieces[k].hi : NAN);
            }
            table.dependent.push_back(std::move(lo));
            table.dependent.push_back(std::move(hi));
        }
    }

    void add_contour(ContourRecord const& record)
    {
        auto const name = fmt::format("contour_{}_{}", cl_name(record.cl), join(record.axes, "-"));
        auto const description = fmt::format("contour of {} and {} at {:g}% C.L.", record.axes[0], record.axes[1],
                                             100.0 * record.cl);
        if (record.pieces.empty())
            missing_.push_back(fmt::format("{}: has no line, the plane is all allowed or all excluded", description));
        for (std::size_t k = 0; k < record.pieces.size(); ++k)
        {
            ContourPiece const& piece = record.pieces[k];
            bool const more = split_contours_ && record.pieces.size() > 1;
            if (k == 0 || split_contours_)
            {
                Table& table = begin(more ? fmt::format("{}_{}", name, k + 1) : name,
                                     more ? fmt::format("{}, polyline {} of {}", description, k + 1, record.pieces.size())
                                          : description,
                                     join(record.axes));
                add_confidence(table, record);
                table.qualifiers.emplace_back("chi^2 on the contour", number_text(record.level));
                if (!split_contours_)
                    table.independent.push_back({"piece", "", {}, {}});
                table.independent.push_back({record.axes[0], axis(record.axes[0]).unit, {}, {}});
                table.dependent.push_back({record.axes[1], axis(record.axes[1]).unit, {}, {}});
            }
            Table& table = tables_.back();
            table.qualifiers.emplace_back(split_contours_ ? "closed" : fmt::format("piece {} closed", k + 1),
                                          piece.closed ? "yes" : "no");
            for (auto const& point : piece.points)
            {
                if (!split_contours_)
                    table.independent.front().words.push_back(std::to_string(k + 1));
                table.independent.back().numbers.push_back(point[0]);
                table.dependent.back().numbers.push_back(point[1]);
            }
        }
    }

    SurfaceLayout const& layout_;
    SurfaceMeta const& meta_;
    bool split_contours_;
    std::vector<Table> tables_;
    std::vector<std::string> missing_;
};

/// Lines that say where numbers come from.
std::vector<std::pair<std::string, std::string>> provenance(SurfaceMeta const& meta)
{
    return {{"title", meta.title},
            {"experiments", join(meta.experiments)},
            {"configuration SHA-256", meta.configuration_sha256},
            {"program", fmt::format("nuscan {}, commit {}{}", meta.version, meta.commit, meta.dirty ? " (modified)" : "")},
            {"computed", meta.stop_utc}};
}

void require_tables(std::vector<Table> const& tables)
{
    if (tables.empty())
        throw InputError{"none of the stored results makes a table: nothing to export"};
}

void write_file(fs::path const& path, std::string const& text)
{
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file)
        throw RunError{fmt::format("{}: cannot be written; check the disk and its permissions", path.string())};
}

/// One line, whatever a title holds.
std::string comment(std::string const& key, std::string text)
{
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return fmt::format("# {}: {}\n", key, text);
}

std::string csv_text(Table const& table, SurfaceMeta const& meta)
{
    std::string text = fmt::format("# {}\n", table.description);
    for (auto const& [key, value] : table.qualifiers)
        text += comment(key, value);
    for (auto const& [key, value] : provenance(meta))
        text += comment(key, value);
    std::vector<Column const*> columns;
    for (auto const* const group : {&table.independent, &table.dependent})
        for (Column const& column : *group)
            columns.push_back(&column);
    for (std::size_t c = 0; c < columns.size(); ++c)
        text += fmt::format("{}{}{}", c > 0 ? "," : "", columns[c]->name,
                            columns[c]->unit.empty() ? "" : fmt::format(" [{}]", columns[c]->unit));
    text += '\n';
    for (std::size_t i = 0; i < columns.front()->size(); ++i)
    {
        for (std::size_t c = 0; c < columns.size(); ++c)
        {
            text += c > 0 ? "," : "";
            text += columns[c]->words.empty() ? fmt::format("{}", columns[c]->numbers[i]) : columns[c]->words[i];
        }
        text += '\n';
    }
    return text;
}

// --- HEPData --------------------------------------------------------------------------------------------------------------------

/// Text as text, even where it looks like a number.
void emit_text(YAML::Emitter& yaml, std::string const& text)
{
    yaml << YAML::DoubleQuoted << text;
}

void emit_entry(YAML::Emitter& yaml, char const* key, std::string const& text)
{
    yaml << YAML::Key << key << YAML::Value;
    emit_text(yaml, text);
}

void emit_column(YAML::Emitter& yaml, Column const& column, std::vector<std::pair<std::string, std::string>> const& qualifiers)
{
    yaml << YAML::BeginMap << YAML::Key << "header" << YAML::Value << YAML::BeginMap;
    emit_entry(yaml, "name", column.name);
    if (!column.unit.empty() && column.unit != "1")
        emit_entry(yaml, "units", column.unit);
    yaml << YAML::EndMap;
    if (!qualifiers.empty())
    {
        yaml << YAML::Key << "qualifiers" << YAML::Value << YAML::BeginSeq;
        for (auto const& [name, value] : qualifiers)
        {
            yaml << YAML::BeginMap;
            emit_entry(yaml, "name", name);
            emit_entry(yaml, "value", value);
            yaml << YAML::EndMap;
        }
        yaml << YAML::EndSeq;
    }
    yaml << YAML::Key << "values" << YAML::Value << YAML::BeginSeq;
    for (std::size_t i = 0; i < column.size(); ++i)
    {
        yaml << YAML::Flow << YAML::BeginMap << YAML::Key << "value" << YAML::Value;
        if (!column.words.empty())
            emit_text(yaml, column.words[i]);
        else if (std::isfinite(column.numbers[i]))
            yaml << number_text(column.numbers[i]);
        else
            emit_text(yaml, "-"); // HEPData's sign for no value
        yaml << YAML::EndMap;
    }
    yaml << YAML::EndSeq << YAML::EndMap;
}

std::string data_text(Table const& table)
{
    YAML::Emitter yaml;
    yaml << YAML::BeginMap << YAML::Key << "independent_variables" << YAML::Value << YAML::BeginSeq;
    for (Column const& column : table.independent)
        emit_column(yaml, column, {});
    yaml << YAML::EndSeq << YAML::Key << "dependent_variables" << YAML::Value << YAML::BeginSeq;
    for (Column const& column : table.dependent)
        emit_column(yaml, column, table.qualifiers);
    yaml << YAML::EndSeq << YAML::EndMap;
    return std::string{yaml.c_str()} + "\n";
}

void emit_keyword(YAML::Emitter& yaml, char const* name, std::vector<std::string> const& values)
{
    yaml << YAML::BeginMap << YAML::Key << "name" << YAML::Value << name << YAML::Key << "values" << YAML::Value << YAML::Flow
         << YAML::BeginSeq;
    for (std::string const& value : values)
        emit_text(yaml, value);
    yaml << YAML::EndSeq << YAML::EndMap;
}

std::string submission_text(std::vector<Table> const& tables, SurfaceMeta const& meta)
{
    std::string about = "Neutrino-electron scattering of solar neutrinos in xenon detectors.";
    for (auto const& [key, value] : provenance(meta))
        about += fmt::format(" {}: {}.", key, value);
    YAML::Emitter yaml;
    yaml << YAML::BeginDoc << YAML::BeginMap;
    emit_entry(yaml, "comment", about);
    yaml << YAML::EndMap;
    for (Table const& table : tables)
    {
        yaml << YAML::BeginDoc << YAML::BeginMap;
        emit_entry(yaml, "name", table.name);
        emit_entry(yaml, "description", table.description);
        yaml << YAML::Key << "keywords" << YAML::Value << YAML::BeginSeq;
        emit_keyword(yaml, "reactions", {"NU E- --> NU E-"});
        emit_keyword(yaml, "observables", {table.observable});
        std::vector<std::string> phrases{"Neutrino-electron scattering", "Solar neutrinos"};
        phrases.insert(phrases.end(), meta.experiments.begin(), meta.experiments.end());
        emit_keyword(yaml, "phrases", phrases);
        yaml << YAML::EndSeq;
        emit_entry(yaml, "data_file", table.name + ".yaml");
        yaml << YAML::EndMap;
    }
    return std::string{yaml.c_str()} + "\n";
}

} // namespace

ExportedTables export_csv(SurfaceReader const& surface, DerivedResults const& results, fs::path const& folder)
{
    TableBuilder const builder(surface, results, false);
    require_tables(builder.tables());
    ExportedTables exported{{}, builder.missing()};
    for (Table const& table : builder.tables())
    {
        exported.files.push_back(folder / (table.name + ".csv"));
        write_file(exported.files.back(), csv_text(table, surface.meta()));
    }
    return exported;
}

ExportedTables export_hepdata(SurfaceReader const& surface, DerivedResults const& results, fs::path const& folder)
{
    TableBuilder const builder(surface, results, true);
    ExportedTables exported{{}, builder.missing()};
    std::vector<Table> tables;
    for (Table const& table : builder.tables())
        if (table.empty())
            exported.notices.push_back(
                fmt::format("{}: none, and HEPData takes no table without rows; it is left out", table.description));
        else
            tables.push_back(table);
    require_tables(tables);
    for (Table const& table : tables)
    {
        exported.files.push_back(folder / (table.name + ".yaml"));
        write_file(exported.files.back(), data_text(table));
    }
    exported.files.push_back(folder / "submission.yaml");
    write_file(exported.files.back(), submission_text(tables, surface.meta()));
    return exported;
}

} // namespace nuscan
