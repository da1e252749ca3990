/// \file
/// Append-only journal of finished chunks, beside the unfinished output of a scan, which holds their values.
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
    IndexRange range() const { return {begin, begin + size()}; }
    /// Makes room for \p n points.
    void resize(std::int64_t n, std::size_t n_pulls, std::size_t n_rates);
    /// Where a backend writes.
    PointOutputs outputs();
    /// CRC-32C of all values.
    std::uint32_t checksum() const;

    /// Bytes that \p points points take.
    static std::uint64_t bytes(std::int64_t points, std::size_t n_pulls, std::size_t n_rates);
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

/// A finished chunk.
struct JournalRecord
{
    IndexRange range;
    std::uint32_t checksum = 0; ///< of its values
    bool known = true;          ///< the checksum; else the record is damaged, and its points are those between its neighbours'
};

/// Points that a journal lists and whose values had to be computed again.
struct MendedPoints
{
    IndexRange range;
    std::string reason;
};

/// What a journal holds.
struct JournalContents
{
    JournalHead head;
    std::vector<JournalRecord> records; ///< each follows the one before, from the beginning of the range
    std::int64_t next = 0;              ///< the first point that is not there
    std::uint64_t whole_bytes = 0;      ///< up to the end of the last whole record
    std::uint64_t useless_bytes = 0;    ///< behind that: a record cut off, or damage
    bool damaged = false;               ///< the useless bytes begin with a whole record's worth: something changed them
    std::int64_t lost_points = 0;       ///< of records at the end that were dropped, their values being others
    std::vector<MendedPoints> mended;   ///< of records that were replaced
};

/// Finished chunks of a scan in the order of their points: which points, and the checksum of their values. The values are in the unfinished
/// output, brought there before the record is written: whatever the instant of a kill, a record stands for values that are there; and
/// where that was not so after all (a crash of the system, a file changed or deleted), the checksum tells. A file cut off at any byte is
/// valid up to its last whole record. Damaged records between whole ones keep their place, for replace().
class Journal
{
public:
    /// Says how the description found in a journal differs from the one at hand; empty if it is the same scan.
    using Difference = std::function<std::string(std::string const& found)>;

    /// Opens \p path for a scan and locks it. An existing journal of the same scan is continued after its last whole record. Throws
    /// InputError if the file is the journal of another scan or no journal at all (unless \p restart, which begins anew), or if
    /// another process has it locked; RunError if it cannot be written.
    /// \param difference  what makes another scan; without it, any other head does
    Journal(std::filesystem::path path, JournalHead head, bool restart, Difference const& difference = {});

    /// Reads what \p path holds, which another process may be writing. Throws InputError if it is no journal; nothing if the file
    /// is cut off inside its head.
    static std::optional<JournalContents> inspect(std::filesystem::path const& path);

    /// The next chunk begins here: the beginning of the range, or the first point that no chunk holds.
    std::int64_t next() const { return contents_.next; }

    /// True if nothing was found when it was opened: no file, or one that ends inside its head.
    bool is_new() const { return is_new_; }

    /// What was found when it was opened, with next() as it is now.
    JournalContents const& contents() const { return contents_; }

    /// Records a chunk of those points, which must begin at next(); its values, of that checksum, are in the output.
    void append(IndexRange range, std::uint32_t checksum);
    void append(Chunk const& chunk) { append(chunk.range(), chunk.checksum()); }

    /// Keeps the first \p n records alone: the values of the others are not those of their checksums.
    void drop_from(std::size_t n);

    /// Replaces the checksum of record \p i by that of its points as they were computed again for \p reason; they are in the output.
    void replace(std::size_t i, std::uint32_t checksum, std::string const& reason);
    void replace(std::size_t i, Chunk const& chunk, std::string const& reason) { replace(i, chunk.checksum(), reason); }

    /// Bytes that a record takes.
    static std::uint64_t record_bytes();

    /// The file.
    std::filesystem::path const& path() const { return path_; }
    /// Deletes it: the output is written.
    void remove();

private:
    std::filesystem::path path_;
    JournalContents contents_;
    bool is_new_ = false;
    std::ofstream out_;
    FileLock lock_;
};

} // namespace nuscan
