#include "host/support/toml_reader.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/support/text.hpp"

// On malformed text ("[=]") toml++ 3.3 fails an assertion or, with NDEBUG, lets the compiler assume that it holds. With neither
// it reports the error, and the line, as it should. No other source file may include toml++: its functions are inline.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#include <toml++/toml.h>

namespace nuscan
{

struct TomlReader::Impl
{
    std::shared_ptr<toml::table const> document;
    std::string path;
    std::string name;                                   ///< of the table, dotted; empty for the root
    toml::table const* table;                           ///< inside *document
    std::optional<std::vector<std::string>> expected{}; ///< none: any key

    bool knows(std::string_view key) const
    {
        return !expected || std::find(expected->begin(), expected->end(), key) != expected->end();
    }

    toml::node const* find(std::string_view key) const
    {
        if (!knows(key))
            throw std::logic_error{fmt::format("TomlReader: key '{}' is read but not expected", key)};
        return table->get(key);
    }

    std::shared_ptr<Impl> child(std::string_view key, toml::table const& node) const
    {
        std::string const full_name = name.empty() ? std::string{key} : fmt::format("{}.{}", name, key);
        return std::make_shared<Impl>(Impl{document, path, full_name, &node});
    }
};

namespace
{

char const* type_name(toml::node const& node)
{
    switch (node.type())
    {
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return "an array";
    case toml::node_type::string:
        return "a string";
    case toml::node_type::integer:
        return "an integer";
    case toml::node_type::floating_point:
        return "a floating-point number";
    case toml::node_type::boolean:
        return "a boolean";
    default:
        return "a date or time";
    }
}

[[noreturn]] void refuse_type(TomlReader const& reader, std::string_view key, toml::node const& node, char const* wanted)
{
    reader.error(key, fmt::format("must be {}, not {}", wanted, type_name(node)));
}

double to_number(TomlReader const& reader, std::string_view key, toml::node const& node)
{
    if (!node.is_number())
        refuse_type(reader, key, node, "a number");
    double const value = *node.value<double>();
    if (!std::isfinite(value))
        reader.error(key, "must be a finite number");
    return value;
}

std::string to_string(TomlReader const& reader, std::string_view key, toml::node const& node)
{
    if (!node.is_string())
        refuse_type(reader, key, node, "a string");
    return *node.value<std::string>();
}

toml::array const& to_array(TomlReader const& reader, std::string_view key, toml::node const* node, char const* wanted)
{
    if (!node)
        reader.error(key, "missing");
    if (!node->is_array())
        refuse_type(reader, key, *node, wanted);
    return *node->as_array();
}

/// End of the TOML string that begins at \p begin.
std::size_t end_of_string(std::string_view text, std::size_t begin)
{
    char const quote = text[begin];
    std::string const triple(3, quote);
    bool const multi_line = text.substr(begin).starts_with(triple);
    std::string_view const delimiter{triple.data(), multi_line ? 3U : 1U};
    std::size_t at = begin + delimiter.size();
    while (at < text.size() && !text.substr(at).starts_with(delimiter) && (multi_line || text[at] != '\n'))
        at += quote == '"' && text[at] == '\\' ? 2U : 1U;
    at += delimiter.size();
    // A multi-line string may end with two quotes of its own.
    for (int i = 0; multi_line && i < 2 && at < text.size() && text[at] == quote; ++i)
        ++at;
    return std::min(at, text.size());
}

/// Where a line of a string ends in a backslash and the text goes on with a character outside ASCII: that character; else npos.
std::size_t find_non_ascii_continuation(std::string_view string)
{
    if (!string.starts_with('"'))
        return string.npos;
    for (std::size_t at = string.find('\\'); at < string.size(); at = string.find('\\', at))
    {
        std::size_t const next = string.find_first_not_of(" \t\r\n", at + 1);
        if (next > at + 1 && next < string.size() && static_cast<unsigned char>(string[next]) >= 0x80)
            return next;
        at += 2;
    }
    return string.npos;
}

/// Refuses characters outside ASCII where they run toml++ 3.3 into undefined behaviour: other than in strings and comments, where TOML
/// does not allow them (a Greek letter as a key will do), and first on a continued line of a string.
void require_ascii_syntax(std::string_view text, std::string const& path)
{
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    std::size_t at = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
    auto const refuse = [&](std::size_t place, std::string_view why) {
        auto const before = text.substr(0, place);
        auto const line = 1 + std::count(before.begin(), before.end(), '\n');
        throw InputError{fmt::format("{}:{}: {}", path, line, why)};
    };
    while (at < text.size())
    {
        char const c = text[at];
        if (static_cast<unsigned char>(c) >= 0x80)
            refuse(at, "not valid TOML: a character outside ASCII; must be in quotes or in a comment");
        if (c == '"' || c == '\'')
        {
            std::size_t const end = end_of_string(text, at);
            if (auto const place = find_non_ascii_continuation(text.substr(at, end - at)); place != text.npos)
                refuse(at + place, "a character outside ASCII begins a line that continues a string; must not be first there");
            at = end;
        }
        else
            at = c == '#' ? std::min(text.find('\n', at), text.size()) : at + 1;
    }
}

template<class T>
T required(std::optional<T> value, TomlReader const& reader, std::string_view key)
{
    if (!value)
        reader.error(key, "missing");
    return *std::move(value);
}

} // namespace

TomlReader::TomlReader(std::shared_ptr<Impl> impl) : impl_{std::move(impl)} {}

TomlReader TomlReader::parse(std::string_view text, std::string const& path)
{
    require_ascii_syntax(text, path);
    try
    {
        auto const document = std::make_shared<toml::table const>(toml::parse(text));
        return TomlReader{std::make_shared<Impl>(Impl{document, path, "", document.get()})};
    }
    catch (toml::parse_error const& e)
    {
        throw InputError{fmt::format("{}:{}: not valid TOML: {}", path, e.source().begin.line, e.description())};
    }
}

void TomlReader::expect(std::vector<std::string> expected)
{
    impl_->expected = std::move(expected);
    for (auto const& key : keys())
        if (!impl_->knows(key))
            error(key, "unknown key" + suggestion(key, *impl_->expected));
}

std::string const& TomlReader::path() const
{
    return impl_->path;
}

bool TomlReader::has(std::string_view key) const
{
    return impl_->find(key) != nullptr;
}

std::vector<std::string> TomlReader::keys() const
{
    std::vector<std::pair<toml::source_position, std::string>> found;
    for (auto const& [key, node] : *impl_->table)
        found.emplace_back(key.source().begin, std::string{key.str()});
    std::sort(found.begin(), found.end());
    std::vector<std::string> keys;
    for (auto& [position, key] : found)
        keys.push_back(std::move(key));
    return keys;
}

std::optional<double> TomlReader::optional_number(std::string_view key) const
{
    auto const* const node = impl_->find(key);
    return node ? std::optional{to_number(*this, key, *node)} : std::nullopt;
}

double TomlReader::number(std::string_view key) const
{
    return required(optional_number(key), *this, key);
}

double TomlReader::positive(std::string_view key) const
{
    double const value = number(key);
    if (!(value > 0.0))
        error(key, fmt::format("must be above 0, not {}", value));
    return value;
}

std::optional<long long> TomlReader::optional_integer(std::string_view key) const
{
    auto const* const node = impl_->find(key);
    if (node && !node->is_integer())
        refuse_type(*this, key, *node, "an integer");
    return node ? node->value<long long>() : std::nullopt;
}

long long TomlReader::integer(std::string_view key) const
{
    return required(optional_integer(key), *this, key);
}

std::optional<std::string> TomlReader::optional_string(std::string_view key) const
{
    auto const* const node = impl_->find(key);
    return node ? std::optional{to_string(*this, key, *node)} : std::nullopt;
}

std::string TomlReader::string(std::string_view key) const
{
    return required(optional_string(key), *this, key);
}

std::optional<bool> TomlReader::optional_boolean(std::string_view key) const
{
    auto const* const node = impl_->find(key);
    if (node && !node->is_boolean())
        refuse_type(*this, key, *node, "true or false");
    return node ? node->value<bool>() : std::nullopt;
}

std::string TomlReader::choice(std::string_view key, std::vector<std::string> const& valid) const
{
    std::string const value = string(key);
    if (std::find(valid.begin(), valid.end(), value) == valid.end())
        error(key, fmt::format("unknown value '{}'; valid: {}", value, join(valid)));
    return value;
}

std::vector<double> TomlReader::numbers(std::string_view key) const
{
    std::vector<double> values;
    for (auto const& element : to_array(*this, key, impl_->find(key), "an array of numbers"))
        values.push_back(to_number(*this, key, element));
    return values;
}

std::vector<std::string> TomlReader::strings(std::string_view key) const
{
    std::vector<std::string> values;
    for (auto const& element : to_array(*this, key, impl_->find(key), "an array of strings"))
        values.push_back(to_string(*this, key, element));
    return values;
}

std::optional<TomlReader> TomlReader::optional_sub(std::string_view key) const
{
    auto const* const node = impl_->find(key);
    if (node && !node->is_table())
        refuse_type(*this, key, *node, "a table");
    return node ? std::optional{TomlReader{impl_->child(key, *node->as_table())}} : std::nullopt;
}

TomlReader TomlReader::sub(std::string_view key) const
{
    return required(optional_sub(key), *this, key);
}

std::vector<TomlReader> TomlReader::tables(std::string_view key) const
{
    std::vector<TomlReader> readers;
    if (auto const* const node = impl_->find(key))
        for (auto const& element : to_array(*this, key, node, "an array of tables"))
        {
            if (!element.is_table())
                refuse_type(*this, key, element, "an array of tables");
            readers.push_back(TomlReader{impl_->child(key, *element.as_table())});
        }
    return readers;
}

std::string TomlReader::where(std::string_view key) const
{
    // The line of the key, not of its value, which may begin further down; tables that dotted keys imply have none.
    auto const found = impl_->table->find(key);
    auto const line = (found == impl_->table->end() ? impl_->table->source() : found->first.source()).begin.line;
    std::string const table = impl_->name.empty() ? "" : fmt::format("[{}]", impl_->name);
    std::string const subject = key.empty() ? table : fmt::format("key '{}'{}{}", key, table.empty() ? "" : " in ", table);
    return fmt::format("{}{}{}{}", impl_->path, line ? fmt::format(":{}", line) : "", subject.empty() ? "" : ": ", subject);
}

void TomlReader::error(std::string_view key, std::string_view message) const
{
    throw InputError{fmt::format("{}: {}", where(key), message)};
}

} // namespace nuscan
