/// \file
/// Append-only journal of finished chunks, beside the output of a running scan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
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
    void resize(std::int64_t n, std::size_t n_pulls, std::size_t n_rates);
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

/// Chunks of a scan in the order of their points, each with a CRC. A file cut off at any byte is valid up to its last whole chunk.
class Journal
{
public:
    /// Opens \p path for a scan identified by \p identity (any text) and locks it. An existing journal of the same scan is continued
    /// after its last whole chunk. Throws InputError if the file is the journal of another scan or no journal at all (unless \p restart,
    /// which begins anew), or if another process has it locked; RunError if it cannot be written.
    Journal(std::filesystem::path path, std::string identity, bool restart, std::size_t n_pulls, std::size_t n_rates);

    /// Points held so far: the next chunk begins here.
    std::int64_t points() const { return points_; }

    /// Appends a chunk, which must begin at points().
    void append(Chunk const& chunk);

    /// Reads the chunks again, in order.
    void for_each(std::function<void(Chunk const&)> const& visit) const;

    /// Bytes that a journal of \p points points takes, record headers left out.
    static std::uint64_t bytes(std::int64_t points, std::size_t n_pulls, std::size_t n_rates);

    std::filesystem::path const& path() const { return path_; }
    void remove();

private:
    bool read_chunk(std::istream& in, Chunk& chunk) const;

    std::filesystem::path path_;
    std::string header_;
    std::size_t n_pulls_;
    std::size_t n_rates_;
    std::int64_t points_ = 0;
    std::ofstream out_;
    FileLock lock_;
};

} // namespace nuscan
