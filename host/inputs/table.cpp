#include "host/inputs/table.hpp"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/support/input_file.hpp"
#include "host/support/sha256.hpp"
#include "host/support/text.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

constexpr std::string_view blanks = " \t\r\f\v";

std::string_view trim(std::string_view text)
{
    auto const first = text.find_first_not_of(blanks);
    return first == text.npos ? std::string_view{} : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Cuts the text up to \p separator off the front.
std::string_view take_until(std::string_view& text, char separator)
{
    auto const end = std::min(text.find(separator), text.size());
    auto const front = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return front;
}

std::vector<std::string_view> split_at_blanks(std::string_view text)
{
    std::vector<std::string_view> words;
    for (text = trim(text); !text.empty(); text = trim(text))
    {
        auto const end = std::min(text.find_first_of(blanks), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

} // namespace

Table Table::parse(std::string_view text, std::string const& path)
{
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    constexpr std::string_view columns_key = "columns:";

    Table table;
    table.path_ = path;
    if (text.starts_with(byte_order_mark))
        text.remove_prefix(byte_order_mark.size());
    for (int number = 1; !text.empty(); ++number)
    {
        std::string_view rest = take_until(text, '\n');
        std::string_view const row = trim(take_until(rest, '#'));
        std::string_view const comment = trim(rest);
        if (!row.empty())
            table.parse_row(row, number);
        else if (comment.starts_with(columns_key))
            table.parse_columns(comment.substr(columns_key.size()), number);
    }
    if (table.columns_line_ == 0)
        throw InputError{fmt::format("{}: no header '# columns: name [unit], ...'", path)};
    if (table.rows() == 0)
        throw InputError{fmt::format("{}: empty table: no row follows the header", path)};
    return table;
}

void Table::parse_columns(std::string_view text, int line)
{
    auto const fail = [&](std::string const& message) { throw InputError{fmt::format("{}:{}: {}", path_, line, message)}; };
    if (columns_line_ != 0)
        fail(fmt::format("a second '# columns:' header; the first is in line {}", columns_line_));
    columns_line_ = line;
    do
    {
        std::string_view const entry = trim(take_until(text, ','));
        auto const bracket = entry.find('[');
        std::string const name{trim(entry.substr(0, bracket))};
        if (bracket == entry.npos || !entry.ends_with(']') || name.empty() || name.find_first_of(blanks) != name.npos)
            fail(fmt::format("column '{}' must read 'name [unit]', with [1] for a number without a unit", entry));
        if (has(name))
            fail(fmt::format("column '{}' appears twice", name));
        names_.push_back(name);
        units_.emplace_back(trim(entry.substr(bracket + 1, entry.size() - bracket - 2)));
    } while (!text.empty());
    columns_.resize(names_.size());
}

void Table::parse_row(std::string_view text, int line)
{
    if (columns_line_ == 0)
        throw InputError{fmt::format("{}:{}: a row before the header '# columns: name [unit], ...'", path_, line)};
    auto const words = split_at_blanks(text);
    if (words.size() != names_.size())
        throw InputError{fmt::format("{}:{}: too {} columns: {} values where line {} names {} ({})", path_, line,
                                     words.size() < names_.size() ? "few" : "many", words.size(), columns_line_, names_.size(),
                                     join(names_))};
    line_.push_back(line);
    for (std::size_t i = 0; i < words.size(); ++i)
    {
        double value = 0.0;
        if (!parse_double(words[i], value))
            error(rows() - 1, names_[i],
                  fmt::format("'{}' is not a finite number; numbers have a decimal point and are separated by blanks", words[i]));
        columns_[i].push_back(value);
    }
}

bool Table::has(std::string_view name) const
{
    return std::find(names_.begin(), names_.end(), name) != names_.end();
}

std::size_t Table::index(std::string_view name) const
{
    auto const found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end())
        throw InputError{fmt::format("{}:{}: no column '{}'{}", path_, columns_line_, name, suggestion(name, names_))};
    return static_cast<std::size_t>(found - names_.begin());
}

std::vector<double> const& Table::column(std::string_view name) const
{
    return columns_[index(name)];
}

std::vector<double> const& Table::column(std::string_view name, std::string_view wanted) const
{
    if (unit(name) != wanted)
        throw InputError{
            fmt::format("{}:{}: column '{}' is in [{}]; must be in [{}]", path_, columns_line_, name, unit(name), wanted)};
    return column(name);
}

std::string const& Table::unit(std::string_view name) const
{
    return units_[index(name)];
}

void Table::error(std::size_t row, std::string_view name, std::string_view message) const
{
    throw InputError{fmt::format("{}:{}: column '{}': {}", path_, line_[row], name, message)};
}

void Table::require_ascending(std::string_view name) const
{
    auto const& values = column(name);
    for (std::size_t i = 1; i < values.size(); ++i)
    {
        if (values[i] == values[i - 1])
            error(i, name, fmt::format("duplicate value {}, as in line {}; must be strictly ascending", values[i], line_[i - 1]));
        if (values[i] < values[i - 1])
            error(i, name, fmt::format("not sorted: {} follows {}; must be strictly ascending", values[i], values[i - 1]));
    }
}

void Table::require_range(std::string_view name, double lo, double hi, std::string_view what) const
{
    auto const& values = column(name);
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!(values[i] >= lo && values[i] <= hi))
            error(i, name, fmt::format("{} of {} is outside [{}, {}]", what, values[i], lo, hi));
}

DataFolder DataFolder::find()
{
    if (char const* const given = std::getenv("NUSCAN_DATA_DIR"); given && *given)
    {
        try
        {
            return DataFolder{given};
        }
        catch (InputError const& e)
        {
            throw InputError{fmt::format("environment variable NUSCAN_DATA_DIR: {}", e.what())};
        }
    }

    std::vector<fs::path> places;
    std::error_code error;
    if (auto const program = fs::read_symlink("/proc/self/exe", error); !error)
        places.push_back(program.parent_path().parent_path() / "share/nuscan/data");
#ifdef NUSCAN_SOURCE_DATA_DIR
    places.emplace_back(NUSCAN_SOURCE_DATA_DIR);
#endif
    std::vector<std::string> looked;
    for (auto const& place : places)
    {
        if (fs::is_directory(place, error))
            return DataFolder{place};
        looked.push_back(place.string());
    }
    throw InputError{
        fmt::format("data folder not found (looked at {}); set NUSCAN_DATA_DIR to the folder data/ of nuscan", join(looked))};
}

DataFolder::DataFolder(fs::path root) : root_{fs::absolute(root).lexically_normal()}
{
    std::error_code error;
    if (!fs::is_directory(root_, error))
        throw InputError{fmt::format("{}: no such data folder", root_.string())};
    for (char const* part : {"solar", "xenon", "experiments"})
        if (!fs::is_directory(root_ / part, error))
            throw InputError{fmt::format("{}: not a data folder of nuscan: '{}/' is missing in it", root_.string(), part)};
}

fs::path DataFolder::full_path(fs::path const& file) const
{
    return (root_ / file).lexically_normal();
}

std::string DataFolder::read(fs::path const& file, std::string_view referred_by)
{
    fs::path const path = full_path(file);
    std::string text;
    try
    {
        text = read_input_file(path, path.extension() == ".toml" ? longest_toml_file : longest_table_file);
    }
    catch (UnreadableFile const& e)
    {
        throw InputError{fmt::format("{}cannot read {}: {}", referred_by.empty() ? "" : fmt::format("{}: ", referred_by),
                                     path.string(), e.what())};
    }

    fs::path const relative = path.lexically_relative(root_);
    hashes_[relative.empty() || *relative.begin() == ".." ? path.string() : relative.string()] = sha256(text);
    return text;
}

Table DataFolder::table(fs::path const& file, std::string_view referred_by)
{
    return Table::parse(read(file, referred_by), full_path(file).string());
}

std::vector<std::string> DataFolder::experiments() const
{
    std::vector<std::string> names;
    std::error_code error;
    for (auto const& entry : fs::directory_iterator{root_ / "experiments", error})
        if (fs::is_regular_file(entry.path() / "experiment.toml", error))
            names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace nuscan
