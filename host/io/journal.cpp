#include "host/io/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <cerrno>
#include <cstring>

#include "host/support/error.hpp"
#include "host/support/sha256.hpp"

namespace nuscan
{

namespace
{

constexpr char magic[] = "nuscan journal 1\n";
/// A chunk longer than this is damage, not data.
constexpr std::uint64_t longest_chunk = std::uint64_t{1} << 32;

struct RecordHeader
{
    std::int64_t begin;
    std::uint64_t n;
    std::uint32_t crc;
    std::uint32_t header_crc; // of the fields before
};

std::uint32_t crc32(void const* bytes, std::size_t n, std::uint32_t start = 0)
{
    boost::crc_optimal<32, 0x04C11DB7, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc(start ^ 0xFFFFFFFF);
    crc.process_bytes(bytes, n);
    return crc.checksum();
}

std::uint32_t payload_crc(Chunk const& chunk)
{
    std::uint32_t crc = crc32(chunk.chi2.data(), chunk.chi2.size() * sizeof(double));
    crc = crc32(chunk.status.data(), chunk.status.size(), crc);
    crc = crc32(chunk.pulls.data(), chunk.pulls.size() * sizeof(double), crc);
    return crc32(chunk.rates.data(), chunk.rates.size() * sizeof(double), crc);
}

template<class T>
void write_values(std::ostream& out, std::vector<T> const& values)
{
    out.write(reinterpret_cast<char const*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

template<class T>
void read_values(std::istream& in, std::vector<T>& values)
{
    in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

} // namespace

void Chunk::resize(std::int64_t n, std::size_t n_pulls, std::size_t n_rates)
{
    auto const points = static_cast<std::size_t>(n);
    chi2.resize(points);
    status.resize(points);
    pulls.resize(points * n_pulls);
    rates.resize(points * n_rates);
}

PointOutputs Chunk::outputs()
{
    return {chi2.data(), status.data(), pulls.empty() ? nullptr : pulls.data(), rates.empty() ? nullptr : rates.data()};
}

Journal::Journal(std::filesystem::path path, std::string identity, bool restart, std::size_t n_pulls, std::size_t n_rates)
    : path_(std::move(path))
    , header_(magic + sha256(identity) + "\n")
    , n_pulls_(n_pulls)
    , n_rates_(n_rates)
{
    if (std::filesystem::exists(path_) && !std::filesystem::is_regular_file(path_))
        throw InputError(
            fmt::format("{}: is no file, but the journal of the scan has to go there; choose another output", path_.string()));
    if (!lock_.acquire(path_))
        throw InputError(
            fmt::format("{}: another scan is writing this output; wait for it or choose another name", path_.string()));
    if (!restart)
    {
        std::ifstream in(path_, std::ios::binary);
        std::string header(header_.size(), '\0');
        in.read(header.data(), static_cast<std::streamsize>(header.size()));
        header.resize(static_cast<std::size_t>(in.gcount()));
        // A journal cut off inside its header holds nothing yet.
        if (header_.compare(0, header.size(), header) != 0)
            throw InputError(
                fmt::format("{}: {}; choose another output, remove the file, or use --restart to discard it", path_.string(),
                            header.starts_with(magic) ? "holds an interrupted scan of another configuration, backend, route or data"
                                                      : "is in the way of the scan's journal and not one itself"));
        if (header == header_)
        {
            auto whole = in.tellg();
            Chunk chunk;
            while (read_chunk(in, chunk) && chunk.begin == points_)
            {
                points_ += chunk.size();
                whole = in.tellg();
            }
            in.close();
            std::filesystem::resize_file(path_, static_cast<std::uintmax_t>(whole));
            out_.open(path_, std::ios::binary | std::ios::app);
        }
    }
    errno = 0;
    if (!out_.is_open())
    {
        out_.open(path_, std::ios::binary | std::ios::trunc);
        out_ << header_ << std::flush;
    }
    if (!out_)
        throw RunError(fmt::format("{}: cannot write the journal: {}", path_.string(), std::strerror(errno)));
}

bool Journal::read_chunk(std::istream& in, Chunk& chunk) const
{
    RecordHeader record;
    in.read(reinterpret_cast<char*>(&record), sizeof record);
    if (!in || record.header_crc != crc32(&record, offsetof(RecordHeader, header_crc)) || record.n == 0 || record.n > longest_chunk)
        return false;
    chunk.begin = record.begin;
    chunk.resize(static_cast<std::int64_t>(record.n), n_pulls_, n_rates_);
    read_values(in, chunk.chi2);
    read_values(in, chunk.status);
    read_values(in, chunk.pulls);
    read_values(in, chunk.rates);
    return in && record.crc == payload_crc(chunk);
}

void Journal::append(Chunk const& chunk)
{
    RecordHeader record{chunk.begin, static_cast<std::uint64_t>(chunk.size()), payload_crc(chunk), 0};
    record.header_crc = crc32(&record, offsetof(RecordHeader, header_crc));
    errno = 0;
    out_.write(reinterpret_cast<char const*>(&record), sizeof record);
    write_values(out_, chunk.chi2);
    write_values(out_, chunk.status);
    write_values(out_, chunk.pulls);
    write_values(out_, chunk.rates);
    out_.flush();
    if (!out_)
        throw RunError(fmt::format("{}: cannot write the journal: {}; free space and run the same command again to continue",
                                   path_.string(), std::strerror(errno)));
    points_ += chunk.size();
}

void Journal::for_each(std::function<void(Chunk const&)> const& visit) const
{
    std::ifstream in(path_, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(header_.size()));
    Chunk chunk;
    std::int64_t read = 0;
    while (read < points_)
    {
        if (!read_chunk(in, chunk) || chunk.begin != read)
            throw RunError(
                fmt::format("{}: the journal cannot be read back at point {}; run the same command again", path_.string(), read));
        visit(chunk);
        read += chunk.size();
    }
}

std::uint64_t Journal::bytes(std::int64_t points, std::size_t n_pulls, std::size_t n_rates)
{
    return static_cast<std::uint64_t>(points) * (sizeof(double) * (1 + n_pulls + n_rates) + 1);
}

FileLock::~FileLock()
{
    if (descriptor_ >= 0)
        close(descriptor_);
}

bool FileLock::acquire(std::filesystem::path const& path)
{
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0)
        throw RunError(fmt::format("{}: cannot write the journal: {}", path.string(), std::strerror(errno)));
    // A file system that knows no locks is no reason to refuse the work.
    return flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

void Journal::remove()
{
    out_.close();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

} // namespace nuscan
