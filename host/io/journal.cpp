#include "host/io/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "host/io/file_replacement.hpp"
#include "host/support/error.hpp"

namespace nuscan
{

namespace
{

constexpr std::string_view family = "nuscan journal ";
/// To be raised whenever the places of values in an unfinished output change (surface_file.cpp), too.
constexpr std::string_view magic = "nuscan journal 3\n";
/// A description longer than this is damage.
constexpr std::uint64_t longest_description = std::uint64_t{1} << 28;

/// Follows the magic line; the description follows it.
struct HeadHeader
{
    std::uint64_t description_size;
    std::uint64_t n_pulls;
    std::uint64_t n_rates;
    std::int64_t begin;
    std::int64_t end;
    std::uint32_t description_crc;
    std::uint32_t header_crc; // of the fields before
};

struct StoredRecord
{
    std::int64_t begin;
    std::int64_t end;
    std::uint32_t checksum;   // of the values
    std::uint32_t record_crc; // of the fields before
};

constexpr auto crc32c_table = [] {
    constexpr std::uint32_t polynomial = 0x82F63B78; // Castagnoli's, lowest bit first
    std::array<std::uint32_t, 256> table = {};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte)
    {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        table[byte] = crc;
    }
    return table;
}();

[[maybe_unused]] std::uint32_t crc32c_by_table(unsigned char const* bytes, std::size_t n, std::uint32_t crc)
{
    for (; n > 0; --n, ++bytes)
        crc = crc >> 8 ^ crc32c_table[(crc ^ *bytes) & 0xFF];
    return crc;
}

#ifdef __x86_64__
/// Bytes of each of the parts of a block that are added up side by side.
constexpr std::size_t crc_part = 4096;

/// What a CRC becomes through crc_part zeros, which is linear in it: for each of its bytes and their values.
constexpr auto crc32c_past_part = [] {
    std::array<std::uint32_t, 32> of_bit = {};
    for (std::size_t bit = 0; bit < of_bit.size(); ++bit)
    {
        std::uint32_t crc = std::uint32_t{1} << bit;
        for (std::size_t i = 0; i < crc_part; ++i)
            crc = crc >> 8 ^ crc32c_table[crc & 0xFF];
        of_bit[bit] = crc;
    }
    std::array<std::array<std::uint32_t, 256>, 4> table = {};
    for (std::size_t byte = 0; byte < table.size(); ++byte)
        for (std::size_t value = 0; value < table[byte].size(); ++value)
            for (std::size_t bit = 0; bit < 8; ++bit)
                if ((value >> bit & 1) != 0)
                    table[byte][value] ^= of_bit[8 * byte + bit];
    return table;
}();

std::uint64_t past_part(std::uint64_t crc)
{
    auto const& t = crc32c_past_part;
    return t[0][crc & 0xFF] ^ t[1][crc >> 8 & 0xFF] ^ t[2][crc >> 16 & 0xFF] ^ t[3][crc >> 24 & 0xFF];
}

__attribute__((target("sse4.2"))) inline std::uint64_t crc32c_of_word(std::uint64_t crc, unsigned char const* bytes)
{
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return __builtin_ia32_crc32di(crc, word);
}

/// Where processors have an instruction for it, a checksum costs next to nothing beside the points. Its result takes three cycles, in which
/// it could begin twice more: three parts of a block side by side.
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(unsigned char const* bytes, std::size_t n, std::uint32_t crc)
{
    constexpr std::size_t word = sizeof(std::uint64_t);
    std::uint64_t wide = crc;
    for (; n >= 3 * crc_part; n -= 3 * crc_part, bytes += 3 * crc_part)
    {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (std::size_t i = 0; i < crc_part; i += word)
        {
            wide = crc32c_of_word(wide, bytes + i);
            second = crc32c_of_word(second, bytes + crc_part + i);
            third = crc32c_of_word(third, bytes + 2 * crc_part + i);
        }
        wide = past_part(past_part(wide) ^ second) ^ third;
    }
    for (; n >= word; n -= word, bytes += word)
        wide = crc32c_of_word(wide, bytes);
    crc = static_cast<std::uint32_t>(wide);
    for (; n > 0; --n, ++bytes)
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    return crc;
}
#endif

/// CRC-32C of bytes, continuing from that of what comes before them.
std::uint32_t crc32(void const* bytes, std::size_t n, std::uint32_t before = 0)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_by_instruction(static_cast<unsigned char const*>(bytes), n, ~before);
#endif
    return ~crc32c_by_table(static_cast<unsigned char const*>(bytes), n, ~before);
}

std::string head_text(JournalHead const& head)
{
    HeadHeader header{head.description.size(),
                      head.n_pulls,
                      head.n_rates,
                      head.range.begin,
                      head.range.end,
                      crc32(head.description.data(), head.description.size()),
                      0};
    header.header_crc = crc32(&header, offsetof(HeadHeader, header_crc));
    std::string text{magic};
    text.append(reinterpret_cast<char const*>(&header), sizeof header);
    return text + head.description;
}

/// Bytes from the reading position to the end of the file.
std::uint64_t bytes_left(std::istream& in)
{
    auto const here = in.tellg();
    in.seekg(0, std::ios::end);
    auto const end = in.tellg();
    in.seekg(here);
    return static_cast<std::uint64_t>(end - here);
}

StoredRecord stored_record(IndexRange range, std::uint32_t checksum)
{
    StoredRecord record{range.begin, range.end, checksum, 0};
    record.record_crc = crc32(&record, offsetof(StoredRecord, record_crc));
    return record;
}

/// Records from the reading position on, as far as whole ones follow each other or leave room for those between, at least a point each.
/// Damage in the middle costs what it hits and nothing behind it.
void read_records(std::istream& in, JournalContents& contents)
{
    contents.next = contents.head.range.begin;
    contents.whole_bytes = static_cast<std::uint64_t>(in.tellg());
    std::int64_t bad = 0;
    for (;;)
    {
        StoredRecord record;
        in.read(reinterpret_cast<char*>(&record), sizeof record);
        if (!in)
            break;
        std::int64_t const next = contents.next;
        bool const follows = record.record_crc == crc32(&record, offsetof(StoredRecord, record_crc)) && record.begin >= next
                             && (bad == 0 ? record.begin == next : record.begin - next >= bad) && record.begin < record.end
                             && record.end <= contents.head.range.end;
        if (!follows)
        {
            ++bad;
            continue;
        }
        auto const border = [&](std::int64_t k) {
            std::int64_t const points = record.begin - next;
            return next + points / bad * k + std::min(k, points % bad);
        };
        for (std::int64_t k = 0; k < bad; ++k)
            contents.records.push_back({{border(k), border(k + 1)}, 0, false});
        contents.records.push_back({{record.begin, record.end}, record.checksum});
        contents.next = record.end;
        contents.whole_bytes += static_cast<std::uint64_t>(bad + 1) * sizeof record;
        bad = 0;
    }
    // A kill cuts a record off. Anything else is damage.
    contents.damaged = bad > 0;
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

std::uint32_t Chunk::checksum() const
{
    std::uint32_t crc = crc32(chi2.data(), chi2.size() * sizeof(double));
    crc = crc32(status.data(), status.size(), crc);
    crc = crc32(pulls.data(), pulls.size() * sizeof(double), crc);
    return crc32(rates.data(), rates.size() * sizeof(double), crc);
}

std::uint64_t Chunk::bytes(std::int64_t points, std::size_t n_pulls, std::size_t n_rates)
{
    return static_cast<std::uint64_t>(points) * (sizeof(double) * (1 + n_pulls + n_rates) + 1);
}

Journal::Journal(std::filesystem::path path, JournalHead head, bool restart, Difference const& difference) : path_(std::move(path))
{
    if (std::filesystem::exists(path_) && !std::filesystem::is_regular_file(path_))
        throw InputError(
            fmt::format("{}: is no file, but the journal of the scan has to go there; choose another output", path_.string()));
    if (!lock_.acquire(path_))
        throw InputError(
            fmt::format("{}: another scan or merge is writing this output; wait for it or choose another name", path_.string()));
    std::string const text = head_text(head);
    errno = 0;
    std::optional<JournalContents> found;
    if (!restart)
        found = inspect(path_);
    if (found)
    {
        // The same scan may have been begun by another command, which is part of the description.
        std::string what;
        if (found->head.description != head.description)
            what = difference ? difference(found->head.description) : "the description";
        if (what.empty()
            && (found->head.n_pulls != head.n_pulls || found->head.n_rates != head.n_rates
                || found->head.range.begin != head.range.begin || found->head.range.end != head.range.end))
            what = "its points, or what is kept of each";
        if (!what.empty())
            throw InputError(
                fmt::format("{}: holds an interrupted scan that differs: {}; choose another output, remove the file, or "
                            "use --restart to discard it",
                            path_.string(), what));
        contents_ = std::move(*found);
        std::filesystem::resize_file(path_, contents_.whole_bytes);
        out_.open(path_, std::ios::binary | std::ios::app);
    }
    else
    {
        is_new_ = true;
        contents_.next = head.range.begin;
        contents_.head = std::move(head);
        contents_.whole_bytes = text.size();
        out_.open(path_, std::ios::binary | std::ios::trunc);
        out_ << text << std::flush;
    }
    if (!out_)
        throw RunError(fmt::format("{}: cannot write the journal: {}", path_.string(), std::strerror(errno)));
    // Records that are lost with a machine cost their points, a lost head would cost all of them.
    if (is_new_)
        sync_file(path_);
}

std::optional<JournalContents> Journal::inspect(std::filesystem::path const& path)
{
    std::error_code error;
    if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) // opening a pipe would wait
        throw InputError(fmt::format("{}: is not a regular file, so no journal", path.string()));
    std::ifstream in(path, std::ios::binary);
    if (!in)
        throw InputError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
    std::string start(magic.size(), '\0');
    in.read(start.data(), static_cast<std::streamsize>(start.size()));
    start.resize(static_cast<std::size_t>(in.gcount()));
    // A journal cut off inside its head holds nothing yet.
    if (start != magic.substr(0, start.size()))
        throw InputError(start.starts_with(family)
                             ? fmt::format("{}: is the journal of another version of nuscan; continue with that version, remove "
                                           "the file, or use --restart to discard it",
                                           path.string())
                             : fmt::format("{}: is in the way of the scan's journal and not one itself; choose another output, "
                                           "remove the file, or use --restart to discard it",
                                           path.string()));
    HeadHeader header;
    in.read(reinterpret_cast<char*>(&header), sizeof header);
    if (!in)
        return std::nullopt;
    bool good = header.header_crc == crc32(&header, offsetof(HeadHeader, header_crc))
                && header.description_size <= longest_description && header.begin >= 0 && header.begin <= header.end;
    JournalContents contents;
    JournalHead& head = contents.head;
    if (good)
    {
        if (header.description_size > bytes_left(in))
            return std::nullopt;
        head = {std::string(header.description_size, '\0'), header.n_pulls, header.n_rates, {header.begin, header.end}};
        in.read(head.description.data(), static_cast<std::streamsize>(head.description.size()));
        if (!in)
            return std::nullopt;
        good = header.description_crc == crc32(head.description.data(), head.description.size());
    }
    if (!good)
        throw InputError(fmt::format("{}: is a journal whose head is damaged (checksum); remove the file or use --restart to begin "
                                     "anew",
                                     path.string()));
    read_records(in, contents);
    in.clear();
    in.seekg(0, std::ios::end);
    contents.useless_bytes = static_cast<std::uint64_t>(in.tellg()) - contents.whole_bytes;
    return contents;
}

void Journal::append(IndexRange range, std::uint32_t checksum)
{
    StoredRecord const stored = stored_record(range, checksum);
    errno = 0;
    out_.write(reinterpret_cast<char const*>(&stored), sizeof stored);
    out_.flush();
    if (!out_)
        throw RunError(fmt::format("{}: cannot write the journal: {}; free space and run the same command again to continue",
                                   path_.string(), std::strerror(errno)));
    contents_.records.push_back({range, checksum});
    contents_.next = range.end;
    contents_.whole_bytes += sizeof stored;
}

void Journal::drop_from(std::size_t n)
{
    auto& records = contents_.records;
    std::uint64_t const dropped = (records.size() - n) * record_bytes();
    std::int64_t const next = n == 0 ? contents_.head.range.begin : records[n - 1].range.end;
    contents_.lost_points += contents_.next - next;
    contents_.next = next;
    contents_.whole_bytes -= dropped;
    records.resize(n);
    // Appending goes on at the new end.
    std::filesystem::resize_file(path_, contents_.whole_bytes);
}

void Journal::replace(std::size_t i, std::uint32_t checksum, std::string const& reason)
{
    JournalRecord& record = contents_.records.at(i);
    if (!record.known || record.checksum != checksum)
    {
        StoredRecord const stored = stored_record(record.range, checksum);
        std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
        errno = 0;
        file.seekp(static_cast<std::streamoff>(contents_.whole_bytes - (contents_.records.size() - i) * record_bytes()));
        file.write(reinterpret_cast<char const*>(&stored), sizeof stored);
        file.flush();
        if (!file)
            throw RunError(fmt::format("{}: cannot write the journal: {}", path_.string(), std::strerror(errno)));
    }
    record = {record.range, checksum};
    auto& mended = contents_.mended;
    if (!mended.empty() && mended.back().range.end == record.range.begin && mended.back().reason == reason)
        mended.back().range.end = record.range.end;
    else
        mended.push_back({record.range, reason});
}

std::uint64_t Journal::record_bytes()
{
    return sizeof(StoredRecord);
}

FileLock::~FileLock()
{
    if (descriptor_ >= 0)
        close(descriptor_);
}

bool FileLock::acquire(std::filesystem::path const& path)
{
    for (;;)
    {
        descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor_ < 0)
            throw RunError(fmt::format("{}: cannot write the journal: {}", path.string(), std::strerror(errno)));
        // A file system that knows no locks is no reason to refuse the work.
        if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return false;
        // Whoever held the lock until now may have deleted the file: then the next one locks another.
        struct stat opened = {};
        struct stat named = {};
        if (fstat(descriptor_, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev
            && opened.st_ino == named.st_ino)
            return true;
        close(descriptor_);
        descriptor_ = -1;
    }
}

void Journal::remove()
{
    out_.close();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

} // namespace nuscan
