/// \file
/// Text tables with a comment header, and the record of every data file a run has read.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nuscan
{

/// A table of data/ in memory: named columns with units. See data/README.md for the format.
class Table
{
public:
    /// Parses \p text; \p path is used in messages only. Throws InputError naming file and line.
    static Table parse(std::string_view text, std::string const& path);

    std::string const& path() const { return path_; }
    std::size_t rows() const { return line_.size(); }
    std::vector<std::string> const& names() const { return names_; }
    bool has(std::string_view name) const;

    /// Values of a column. Throws InputError listing the columns there are.
    std::vector<double> const& column(std::string_view name) const;
    /// The same, and the column must have this unit.
    std::vector<double> const& column(std::string_view name, std::string_view unit) const;
    /// Unit of a column as written in the header.
    std::string const& unit(std::string_view name) const;
    /// Line number of row \p row in the file (for messages).
    int line(std::size_t row) const { return line_[row]; }
    /// Throws InputError: file and line of row \p row, column, then \p message.
    [[noreturn]] void error(std::size_t row, std::string_view name, std::string_view message) const;

    /// Throws InputError unless the column is strictly ascending (duplicate and unsorted abscissae are told apart).
    void require_ascending(std::string_view name) const;
    /// Throws InputError unless all values lie in [lo, hi]; \p what names the quantity.
    void require_range(std::string_view name, double lo, double hi, std::string_view what) const;

private:
    std::size_t index(std::string_view name) const;
    void parse_columns(std::string_view text, int line);
    void parse_row(std::string_view text, int line);

    std::string path_;
    int columns_line_ = 0; ///< where the columns are named
    std::vector<std::string> names_;
    std::vector<std::string> units_;
    std::vector<std::vector<double>> columns_;
    std::vector<int> line_;
};

/// Access to the data folder. Records the SHA-256 of every file read.
class DataFolder
{
public:
    /// Finds the folder: NUSCAN_DATA_DIR if set, else beside the binary (../share/nuscan/data), else the source tree's data/ given
    /// at build time. Throws InputError saying where it looked.
    static DataFolder find();

    /// Uses \p root as it is. Throws InputError if it is not a folder with solar/, xenon/ and experiments/.
    explicit DataFolder(std::filesystem::path root);

    std::filesystem::path const& root() const { return root_; }

    /// Full path of a file given relative to the root or absolute, as it appears in messages.
    std::filesystem::path full_path(std::filesystem::path const& file) const;
    /// Whole text of a file, relative to the root or absolute; records its hash. \p referred_by begins the message if it cannot
    /// be read: the place that names the file.
    std::string read(std::filesystem::path const& file, std::string_view referred_by = {});
    /// Reads and parses a table.
    Table table(std::filesystem::path const& file, std::string_view referred_by = {});

    /// SHA-256 (hexadecimal) of every file read so far, by path relative to the root (absolute where outside).
    std::map<std::string, std::string> const& hashes() const { return hashes_; }

    /// Names of the experiments there are, sorted.
    std::vector<std::string> experiments() const;

private:
    std::filesystem::path root_;
    std::map<std::string, std::string> hashes_;
};

} // namespace nuscan
