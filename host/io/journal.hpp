/// \file
/// Append-only journal of finished chunks, beside the output of a running scan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nuscan/scan/backend.hpp"

namespace nuscan
{

/// Results of consecutive points.
struct Chunk
{
    std::int64_t begin = 0;
    std::vector<double> chi2;
    std::vector<std::uint8_t> status;
    std::vector<double> pulls; ///< point-major, may be empty
    std::vector<double> rates; ///< point-major, may be empty

    std::int64_t size() const { return static_cast<std::int64_t>(chi2.size()); }
    /// Makes room for \p n points.
    void resize(std::int64_t n, std::size_t n_pulls, std::size_t n_rates);
    /// Where a backend writes.
    PointOutputs outputs();
};

/// Exclusive lock of a file, from acquire() until the end of the object (or of the process).
class FileLock
{
public:
    FileLock() = default;
    ~FileLock();
    FileLock(FileLock const&) = delete;
    FileLock& operator=(FileLock const&) = delete;

    /// Opens (or creates) \p path and locks it. \returns false if another process holds the lock
    bool acquire(std::filesystem::path const& path);

private:
    int descriptor_ = -1;
};

/// What a journal says of itself.
struct JournalHead
{
    std::string description; ///< of the scan: any text
    std::size_t n_pulls = 0;
    std::size_t n_rates = 0;
    IndexRange range; ///< points of the scan
};

/// What a journal holds.
struct JournalContents
{
    JournalHead head;
    std::int64_t next = 0;           ///< the first point that is not there
    std::uint64_t whole_bytes = 0;   ///< up to the end of the last whole chunk
    std::uint64_t useless_bytes = 0; ///< behind that: a chunk cut off, or damage
    bool damaged = false;            ///< the useless bytes begin with a whole chunk's worth: something changed them
};

/// Chunks of a scan in the order of their points, each with a CRC. A file cut off at any byte is valid up to its last whole chunk.
class Journal
{
public:
    /// Says how the description found in a journal differs from the one at hand; empty if it is the same scan.
    using Difference = std::function<std::string(std::string const& found)>;

    /// Opens \p path for a scan and locks it. An existing journal of the same scan is continued after its last whole chunk. Throws
    /// InputError if the file is the journal of another scan or no journal at all (unless \p restart, which begins anew), or if
    /// another process has it locked; RunError if it cannot be written.
    /// \param difference  what makes another scan; without it, any other head does
    Journal(std::filesystem::path path, JournalHead head, bool restart, Difference const& difference = {});

    /// Reads what \p path holds, which another process may be writing. Throws InputError if it is no journal; nothing if the file
    /// is cut off inside its head.
    static std::optional<JournalContents> inspect(std::filesystem::path const& path);

    /// The next chunk begins here: the beginning of the range, or the first point that no chunk holds.
    std::int64_t next() const { return contents_.next; }

    /// What was found when it was opened, with next() as it is now.
    JournalContents const& contents() const { return contents_; }

    /// Appends a chunk, which must begin at next().
    void append(Chunk const& chunk);

    /// Reads the chunks again, in order.
    void for_each(std::function<void(Chunk const&)> const& visit) const;

    /// Bytes that a journal of \p points points takes, head and record headers left out.
    static std::uint64_t bytes(std::int64_t points, std::size_t n_pulls, std::size_t n_rates);

    /// The file.
    std::filesystem::path const& path() const { return path_; }
    /// Deletes it: the output is written.
    void remove();

private:
    std::filesystem::path path_;
    JournalContents contents_;
    std::uint64_t head_bytes_ = 0;
    std::ofstream out_;
    FileLock lock_;
};

} // namespace nuscan
