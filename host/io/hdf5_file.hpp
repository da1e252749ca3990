/// \file
/// Small wrappers over the HDF5 C library: handles, files, attributes, datasets; failures are exceptions of one line.
///
/// HDF5 prints its error stack on every failure unless told not to: hold a QuietErrors in each public function that comes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hdf5.h>

#include "host/io/direct_writes.hpp"

namespace nuscan::h5
{

/// Something is wrong with a file or could not be done with it. The message is one line without the name of the file.
class Error : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// While it lives, HDF5 prints nothing in this thread.
class QuietErrors
{
public:
    QuietErrors();
    ~QuietErrors();
    QuietErrors(QuietErrors const&) = delete;
    QuietErrors& operator=(QuietErrors const&) = delete;

private:
    H5E_auto2_t function_ = nullptr;
    void* data_ = nullptr;
};

/// Throws Error: \p what and the reason that HDF5 gives.
[[noreturn]] void fail(std::string_view what);

/// Passes on what an HDF5 function returned; negative means failure.
template<class T>
T check(T result, std::string_view what)
{
    if (result < 0)
        fail(what);
    return result;
}

/// Owns any HDF5 identifier.
class Handle
{
public:
    Handle() = default;
    /// Takes what an HDF5 function returned; throws Error if that is a failure.
    Handle(hid_t id, std::string_view what) : id_{check(id, what)} {}
    ~Handle() { reset(); }
    Handle(Handle&& other) noexcept : id_{std::exchange(other.id_, none)} {}
    Handle& operator=(Handle&& other) noexcept
    {
        std::swap(id_, other.id_);
        return *this;
    }

    hid_t id() const { return id_; }
    /// Closes; false if that failed.
    bool reset() noexcept;
    /// Closes and throws Error if that fails.
    void close(std::string_view what);

private:
    static constexpr hid_t none = -1;
    hid_t id_ = none;
};

struct DiskFile;

/// What is asked of the driver below HDF5, and what happened there.
struct Disk
{
    int error = 0;                      ///< errno of opening, or of the first write that failed; later ones are dropped
    int source_error = 0;               ///< errno of opening another file that a virtual dataset refers to
    bool sync = false;                  ///< on closing, wait until the data are on the disk
    bool shows_lists = false;           ///< of what virtual datasets refer to, however long: no strings are read then
    bool keep = false;                  ///< what a file that is created anew held before stays until it is overwritten
    std::optional<std::uint64_t> place; ///< address of the chunk that is being placed
    bool placed = false;                ///< HDF5 has taken it
    bool abandoned = false;             ///< nothing is written any more
    DiskFile* file = nullptr;           ///< the one opened last
    std::optional<DirectWrites> values; ///< what is on its way into reserved bytes of that one
};

/// An open HDF5 file.
class File
{
public:
    /// Creates or replaces a file. Its metadata carry checksums (HDF5 1.10 format).
    /// \param keep  what a file of that name holds stays where nothing is written: for read() of what reserve() kept apart
    static File create(std::filesystem::path const& path, bool keep = false);
    /// Opens a file for reading. Throws Error saying whether it is missing, no HDF5 file or damaged. Virtual datasets that refer to more than
    /// about a dozen others cannot be opened.
    static File open(std::filesystem::path const& path);
    /// The same for virtual datasets. Strings must not be read: HDF5 takes a long list for one if the file says so, and crashes.
    static File open_for_virtual(std::filesystem::path const& path);
    /// The same for changing it in place, not for reading strings either.
    static File open_to_change(std::filesystem::path const& path);
    ~File() { abandon(); }
    File(File&&) noexcept = default;
    File& operator=(File&&) = delete;

    hid_t id() const { return handle_.id(); }
    std::uint64_t size() const;

    // Chunks where the caller wants them: their values are written past HDF5, each byte once, and are found again in a file that was never
    // closed.
    /// Address of what reserve() keeps apart.
    static constexpr std::uint64_t reserved_begin = 4096;
    /// Keeps \p bytes from reserved_begin on out of the hands of HDF5. For a file just created.
    void reserve(std::uint64_t bytes);
    /// Makes HDF5 look for the chunk of \p dataset that begins at \p start in the \p bytes from \p address on, which are reserved; what they
    /// hold is left as it is.
    void place_chunk(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t bytes, std::uint64_t address);
    /// Writes into reserved bytes, while the caller goes on: with the next write_out(), or before. A failure is kept for check_disk().
    void write(std::uint64_t address, void const* data, std::size_t bytes);
    /// Waits until the system has all that write() was given.
    void write_out();
    /// Calls \p done, in another thread, once the system has all that write() was given, with the errno of what went wrong (0: nothing). See
    /// DirectWrites::then(). If \p done is not called, this throws.
    void when_written(std::function<void(int error)> done);
    /// What check_disk() throws for an errno.
    static Error write_error(int error);
    /// Reads from reserved bytes what was written out; what was never written is any bits. Throws Error if the system cannot.
    void read(std::uint64_t address, void* data, std::size_t bytes) const;

    /// After reading virtual datasets: throws Error if a file that they refer to could not be opened. HDF5 reads fill values then.
    void check_sources() const;

    /// Throws Error with the system's reason if something could not be written: HDF5 itself is not told.
    void check_disk() const;
    /// Flushes, closes and waits for the disk; throws Error if any of it fails.
    void close();

private:
    File() = default;
    static File open(std::filesystem::path const& path, unsigned flags, bool shows_lists);
    void abandon() noexcept;

    std::unique_ptr<Disk> disk_; ///< outlives the handle
    Handle handle_;
};

/// Path of an object inside its file, as messages name it.
std::string object_name(hid_t object);

Handle create_group(hid_t parent, std::string const& name);
/// Whether a link \p name (a single one, no path) is there.
bool exists(hid_t parent, std::string const& name);
/// Opens a child; throws Error if it is missing or something else.
Handle open_group(hid_t parent, std::string const& name);
Handle open_dataset(hid_t parent, std::string const& name);
/// Names of all children, sorted.
std::vector<std::string> child_names(hid_t group);
/// Removes child \p name, if there is one. Its room is used again by what is written before the file is closed.
void remove_child(hid_t parent, std::string const& name);

// Attributes. Strings are UTF-8 of variable length, so that h5py gives str, and shorter than 4 kB: the reader trusts no longer one.
// A bool is what h5py takes for one.
void write_attribute(hid_t object, std::string const& name, double value);
void write_attribute(hid_t object, std::string const& name, std::int64_t value);
void write_attribute(hid_t object, std::string const& name, bool value);
void write_attribute(hid_t object, std::string const& name, std::string const& value);
void write_attribute(hid_t object, std::string const& name, char const* value);
void write_attribute(hid_t object, std::string const& name, std::vector<std::string> const& values);
void write_attribute(hid_t object, std::string const& name, std::vector<std::uint8_t> const& values);
/// Removes an attribute that is there.
void remove_attribute(hid_t object, std::string const& name);

bool has_attribute(hid_t object, std::string const& name);
std::vector<std::string> attribute_names(hid_t object);
double read_double(hid_t object, std::string const& name);
std::int64_t read_int(hid_t object, std::string const& name);
bool read_bool(hid_t object, std::string const& name);
std::string read_string(hid_t object, std::string const& name);
/// The same of the object at a path, which is not opened.
std::string read_string(hid_t group, std::string const& path, std::string const& name);
std::vector<std::string> read_strings(hid_t object, std::string const& name);

/// Scalar string datasets, for long texts.
void write_text(hid_t parent, std::string const& name, std::string const& text);
std::string read_text(hid_t parent, std::string const& name);

/// Shape of a simple dataspace; an int64 holds every entry and their product.
std::vector<std::int64_t> shape(hid_t dataset);
/// "(2, 3)"
std::string shape_text(std::vector<std::int64_t> const& dims);

/// Whether \p dataset consists of little-endian IEEE doubles.
bool is_little_endian(hid_t dataset);

/// Throws Error unless \p dataset consists of IEEE doubles, of bytes or of signed 64-bit integers.
void require_double(hid_t dataset);
void require_byte(hid_t dataset);
void require_int64(hid_t dataset);

/// Throws Error if \p dataset cannot hold \p elements elements of \p element_size bytes: a file that lies about its size is refused
/// before memory is taken for it. A dataset whose values are in other files, virtual or external, is refused too.
void require_stored(File const& file, hid_t dataset, std::int64_t elements, std::size_t element_size);

/// Chunk for a dataset of that shape, about \p target elements: inner axes whole, so that it is a contiguous run in flat order.
std::vector<std::int64_t> chunk_shape(std::vector<std::int64_t> const& dims, std::int64_t target);

/// Creates a chunked dataset with Fletcher32 checksums; what is never written reads as \p fill and takes no room.
Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, double fill);
Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, std::uint8_t fill);
Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, std::int64_t fill);

/// Elements of a virtual dataset that are in the dataset of the same path and shape in another file.
struct VirtualSource
{
    std::string file;       ///< absolute, or relative to the folder of the virtual one
    std::int64_t begin = 0; ///< flat
    std::int64_t end = 0;
};

/// Creates a dataset whose values are in other files; what no source holds reads as \p fill.
Handle create_virtual_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                              std::vector<VirtualSource> const& sources, double fill);
Handle create_virtual_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                              std::vector<VirtualSource> const& sources, std::uint8_t fill);
/// Whether the values of a dataset are in other files.
bool is_virtual(hid_t dataset);

/// A dataset of another file that a virtual one refers to.
struct VirtualTarget
{
    std::string file;
    std::string dataset;
};
/// Everything that a virtual dataset refers to.
std::vector<VirtualTarget> virtual_targets(hid_t dataset);

/// Elements [begin, end) of a dataset in flat (C) order.
void write_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, double const* values);
void write_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end,
                std::uint8_t const* values);
void write_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end,
                std::int64_t const* values);
void read_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, double* values);
void read_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, std::uint8_t* values);
void read_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, std::int64_t* values);

/// Whether chunks of that shape can be passed on as they are stored: checksums and no other filter.
bool has_plain_chunks(hid_t dataset, std::vector<std::int64_t> const& chunk);
/// Bytes of the checksum behind the values of a stored chunk.
inline constexpr std::size_t checksum_bytes = sizeof(std::uint32_t);
/// The chunk of \p n values of type T that begins at \p start as it is stored: \p chunk takes the values and, in as many more of them as it
/// needs, the checksum, which is verified. Throws Error if it is wrong or there is no such chunk.
void read_stored_chunk(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t n, std::vector<double>& chunk);
void read_stored_chunk(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t n, std::vector<std::uint8_t>& chunk);
/// The checksum of a chunk of those bytes, Fletcher's as HDF5 stores it, little-endian, behind them.
std::uint32_t checksum(void const* data, std::size_t bytes);
/// A one-dimensional dataset of doubles.
Handle write_values(hid_t parent, std::string const& name, std::vector<double> const& values);
std::vector<double> read_values(File const& file, hid_t dataset);

/// Whole arrays of any shape, no element included; \p values in flat order. Chunked with checksums, but for empty ones.
Handle write_array(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, double const* values);
Handle write_array(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, std::uint8_t const* values);
Handle write_array(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, std::int64_t const* values);
/// Throws Error unless type and shape are those expected; an entry -1 of \p dims stands for any length and receives what was found.
std::vector<double> read_doubles(File const& file, hid_t dataset, std::vector<std::int64_t>& dims);
std::vector<std::uint8_t> read_bytes(File const& file, hid_t dataset, std::vector<std::int64_t>& dims);
std::vector<std::int64_t> read_integers(File const& file, hid_t dataset, std::vector<std::int64_t>& dims);

} // namespace nuscan::h5
