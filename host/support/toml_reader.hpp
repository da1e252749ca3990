/// \file
/// Checked access to a TOML document: every error names file, line and key, says what is wrong and what would be right.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nuscan
{

/// One table of a TOML document. Begin with expect(), which refuses unknown keys before a misspelt one can show as missing.
/// Cheap to copy; sub-tables share the document. A byte-order mark, CRLF and any locale are accepted.
class TomlReader
{
public:
    /// The root table of \p text; \p path is used in messages only. Throws InputError on a syntax error.
    static TomlReader parse(std::string_view text, std::string const& path);

    /// Throws InputError if the table has any other key. Afterwards, reading a key that is not listed is a std::logic_error.
    /// Tables with free keys do without and use keys().
    void expect(std::vector<std::string> keys);

    std::string const& path() const;
    bool has(std::string_view key) const;
    /// Keys of this table in order of appearance (toml++ sorts them by name).
    std::vector<std::string> keys() const;

    /// \name Values
    /// The plain getters refuse a missing key, the optional ones do not; both refuse a value of another type. Numbers may be
    /// written as integers and are finite; integers may not be written as floats.
    /// \{
    double number(std::string_view key) const;
    std::optional<double> optional_number(std::string_view key) const;
    /// A number above 0.
    double positive(std::string_view key) const;
    long long integer(std::string_view key) const;
    std::optional<long long> optional_integer(std::string_view key) const;
    std::string string(std::string_view key) const;
    std::optional<std::string> optional_string(std::string_view key) const;
    std::optional<bool> optional_boolean(std::string_view key) const;
    /// One of the valid strings.
    std::string choice(std::string_view key, std::vector<std::string> const& valid) const;
    std::vector<double> numbers(std::string_view key) const;
    std::vector<std::string> strings(std::string_view key) const;
    /// \}

    /// \name Tables
    /// \{
    TomlReader sub(std::string_view key) const;
    std::optional<TomlReader> optional_sub(std::string_view key) const;
    /// An array of tables, [[key]] or key = [{...}, ...]; empty where the key is missing.
    std::vector<TomlReader> tables(std::string_view key) const;
    /// \}

    /// "path:line: key 'x' in [table]", to begin a message with; without \p key the table itself.
    std::string where(std::string_view key = {}) const;
    /// Throws InputError: where(key), then \p message.
    [[noreturn]] void error(std::string_view key, std::string_view message) const;

private:
    struct Impl;

    explicit TomlReader(std::shared_ptr<Impl> impl);

    std::shared_ptr<Impl> impl_;
};

} // namespace nuscan
