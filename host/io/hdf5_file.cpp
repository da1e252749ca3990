#include "host/io/hdf5_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <new>
#include <system_error>
#include <tuple>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "host/io/lookup3.hpp"

namespace fs = std::filesystem;

namespace nuscan::h5
{

namespace
{

// Bounds on what a file may make us allocate; far above anything that is written here.
constexpr std::size_t max_string_bytes = std::size_t{64} << 20;
constexpr std::size_t max_heap_object = 4080; // one string of variable length; HDF5 copies it to a buffer of 4096 bytes at least
constexpr std::size_t max_heap = std::size_t{16} << 20;
constexpr hssize_t max_strings = 65536;
constexpr std::size_t max_names = 65536;
constexpr std::uint64_t max_chunk_bytes = std::uint64_t{256} << 20;
constexpr std::uint64_t max_compression = 1100; // of deflate
constexpr std::int64_t chunk_target_values = 131072;

std::string errno_text(int number)
{
    return std::generic_category().message(number);
}

// --- errors ---------------------------------------------------------------------------------------------------------------------

/// Keeps the innermost message, which is the first of the walk.
extern "C" herr_t nuscan_keep_first_message(unsigned n, H5E_error2_t const* error, void* text)
{
    if (n == 0 && error->desc)
        *static_cast<std::string*>(text) = error->desc;
    return 0;
}

/// Innermost message of the error stack, on one line.
std::string innermost_message()
{
    std::string text;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, nuscan_keep_first_message, &text);
    H5Eclear2(H5E_DEFAULT);
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ')
            c = ' ';
    constexpr std::size_t longest = 200;
    return text.substr(0, longest);
}

// --- virtual file driver --------------------------------------------------------------------------------------------------------
//
// Between HDF5 and the disk, for two weaknesses of HDF5 1.10:
// - It does not survive a failed write: H5Fclose fails, the file stays open inside, and the process crashes on exit when the
//   library tries again. The driver never reports a failed write. It keeps the errno, drops whatever comes later, and lets HDF5
//   close in peace; File::check_disk() and File::close() then tell.
// - It trusts the heap of strings of variable length, the only part of a file without a checksum: a wrong size there is a crash or
//   an endless loop. The driver inspects what it reads. Lists of what virtual datasets refer to are there, too, and may be longer than any
//   string: where strings are read, long ones are not shown.
// And it lets the writer of a surface say where chunks lie (File::place_chunk): HDF5 asks the driver for room.

} // namespace

constexpr std::size_t heap_header_size = 16; // of an object of it, too

/// What HDF5 is shown in place of the bytes that are in a file.
struct Overlay
{
    haddr_t address;
    std::array<unsigned char, heap_header_size> bytes;
};

struct DiskFile
{
    H5FD_t common; ///< HDF5's part, first
    int descriptor;
    haddr_t allocated_end;
    haddr_t file_end;
    dev_t device;
    ino_t inode;
    Disk* disk;
    std::size_t waiting; ///< bytes written since the disk was last set to work
    std::vector<Overlay> overlays;
    std::map<haddr_t, haddr_t> heaps; ///< where overlays may be: ends by beginnings
};

namespace
{

struct DriverInfo
{
    Disk* disk;
};

/// HDF5 asks for the access of an open file to open those that its virtual datasets refer to.
void* driver_copy_info(void const* info)
{
    auto* const copy = static_cast<DriverInfo*>(std::malloc(sizeof(DriverInfo)));
    if (copy)
        *copy = *static_cast<DriverInfo const*>(info);
    return copy;
}

herr_t driver_free_info(void* info)
{
    std::free(info);
    return 0;
}

DiskFile* disk_file(H5FD_t* file)
{
    return reinterpret_cast<DiskFile*>(file);
}

DiskFile const* disk_file(H5FD_t const* file)
{
    return reinterpret_cast<DiskFile const*>(file);
}

void note_failure(Disk& disk)
{
    if (disk.error == 0)
        disk.error = errno != 0 ? errno : EIO;
}

/// Puts the reason where innermost_message() finds it.
herr_t driver_failure(std::string const& reason)
{
    H5Epush2(H5E_DEFAULT, __FILE__, "driver_read", __LINE__, H5E_ERR_CLS, H5E_VFL, H5E_READERROR, "%s", reason.c_str());
    return -1;
}

H5FD_t* driver_open(char const* name, unsigned flags, hid_t access, haddr_t)
{
    auto const* const info = static_cast<DriverInfo const*>(H5Pget_driver_info(access));
    if (!info)
        return nullptr;
    int mode = (flags & H5F_ACC_RDWR) ? O_RDWR : O_RDONLY;
    mode |= (flags & H5F_ACC_CREAT) ? O_CREAT : 0;
    mode |= (flags & H5F_ACC_TRUNC) && !info->disk->keep ? O_TRUNC : 0;
    mode |= (flags & H5F_ACC_EXCL) ? O_EXCL : 0;
    constexpr mode_t permissions = 0666; // less the user's umask
    // A virtual dataset may name anything; opening a pipe would wait for its other end.
    int const descriptor = ::open(name, mode | O_CLOEXEC | O_NONBLOCK, permissions);
    struct stat found = {};
    bool const opened = descriptor >= 0 && ::fstat(descriptor, &found) == 0;
    bool const readable = (mode & O_ACCMODE) != O_RDONLY || S_ISREG(found.st_mode);
    if (!opened || !readable)
    {
        info->disk->error = opened ? EINVAL : errno;
        // HDF5 looks for a file of a virtual dataset in several folders.
        if (info->disk->error != ENOENT && info->disk->error != ENOTDIR)
            info->disk->source_error = info->disk->error;
        if (descriptor >= 0)
            ::close(descriptor);
        return nullptr;
    }
    info->disk->error = 0; // HDF5 first tries to open what it is going to create
    auto* const file = new (std::nothrow) DiskFile{};
    if (!file)
    {
        ::close(descriptor);
        return nullptr;
    }
    file->descriptor = descriptor;
    // What is kept of a file that is created anew is none of HDF5's business: for it the file is empty.
    file->file_end = (flags & H5F_ACC_TRUNC) ? 0 : static_cast<haddr_t>(found.st_size);
    file->device = found.st_dev;
    file->inode = found.st_ino;
    file->disk = info->disk;
    file->disk->file = file;
    return &file->common;
}

void* driver_get_info(H5FD_t* file)
{
    DriverInfo const info{disk_file(file)->disk};
    return driver_copy_info(&info);
}

herr_t driver_close(H5FD_t* handle)
{
    DiskFile* const file = disk_file(handle);
    Disk& disk = *file->disk;
    if (disk.file == file)
        disk.values.reset(); // before the descriptor is another file's
    // What is no disk file (a pipe, /dev/null) cannot be synchronised, which is no failure.
    if (disk.sync && disk.error == 0 && ::fsync(file->descriptor) != 0 && errno != EINVAL && errno != EROFS)
        note_failure(disk);
    if (::close(file->descriptor) != 0)
        note_failure(disk);
    if (disk.file == file)
        disk.file = nullptr;
    delete file;
    return 0;
}

int driver_compare(H5FD_t const* a, H5FD_t const* b)
{
    // What is shown of them differs.
    auto const key = [](DiskFile const* file) { return std::tuple{file->device, file->inode, file->disk->shows_lists}; };
    auto const first = key(disk_file(a));
    auto const second = key(disk_file(b));
    return first < second ? -1 : (second < first ? 1 : 0);
}

herr_t driver_query(H5FD_t const*, unsigned long* flags)
{
    // No aggregation of small data: a small chunk would be part of a larger piece of room, and could not be placed.
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_POSIX_COMPAT_HANDLE
             | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

/// Room at the end, or where the chunk at hand belongs.
haddr_t driver_alloc(H5FD_t* handle, H5FD_mem_t kind, hid_t, hsize_t size)
{
    DiskFile* const file = disk_file(handle);
    if (kind == H5FD_MEM_DRAW && file->disk->place && !file->disk->placed)
    {
        file->disk->placed = true;
        return *file->disk->place;
    }
    haddr_t const address = file->allocated_end;
    file->allocated_end += size;
    return address;
}

haddr_t driver_get_eoa(H5FD_t const* file, H5FD_mem_t)
{
    return disk_file(file)->allocated_end;
}

herr_t driver_set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t end)
{
    disk_file(file)->allocated_end = end;
    return 0;
}

haddr_t driver_get_eof(H5FD_t const* file, H5FD_mem_t)
{
    return disk_file(file)->file_end;
}

herr_t driver_get_handle(H5FD_t* file, hid_t, void** handle)
{
    *handle = &disk_file(file)->descriptor;
    return 0;
}

/// Little-endian number of \p size bytes.
std::uint64_t number_at(unsigned char const* bytes, std::size_t size)
{
    std::uint64_t value = 0;
    while (size-- > 0)
        value = value << 8 | bytes[size];
    return value;
}

/// Whether an object of a global heap is a string, or what a virtual dataset refers to as it was written: HDF5 reads its names before it
/// looks at the checksum, to wherever they end. Format: HDF5 File Format Specification 3.0, III.E "Global Heap Block for Virtual Datasets".
/// Other objects that begin with a zero are taken for one, too: in what this program writes there are none of that length.
bool is_harmless_object(unsigned char const* bytes, std::uint64_t size)
{
    constexpr std::uint64_t checksum_size = 4;
    constexpr std::uint64_t least = 1 + 8 + checksum_size; // version, number of sources
    if (size < least || bytes[0] != 0)
        return size <= max_heap_object;
    std::uint64_t const checked = size - checksum_size;
    return number_at(bytes + checked, checksum_size) == h5::lookup3(bytes, checked);
}

/// An object of a global heap that is longer than any string.
struct LongObject
{
    std::uint64_t offset; ///< of its header, in the heap
    std::uint64_t size;   ///< with the header
};

/// Whether the objects of a global heap of \p size bytes lie inside it and no string overruns a buffer of HDF5. Format: HDF5 File Format
/// Specification 3.0, III.E. \param long_ones  lists of what virtual datasets refer to that are longer than any string
bool is_harmless_heap(unsigned char const* heap, std::uint64_t size, std::vector<LongObject>& long_ones)
{
    constexpr std::uint64_t smallest = 4096;
    if (size < smallest)
        return false;
    for (std::uint64_t at = heap_header_size; size - at >= heap_header_size;)
    {
        std::uint64_t const left = size - at;
        unsigned char const* const object = heap + at;
        bool const used = number_at(object, 2) != 0;
        std::uint64_t const object_size = number_at(object + 8, 8);
        // The size of free space includes the header.
        if (object_size > left || (!used && object_size < heap_header_size))
            return false;
        std::uint64_t const step = used ? heap_header_size + (object_size + 7) / 8 * 8 : object_size;
        if (step > left || (used && !is_harmless_object(object + heap_header_size, object_size)))
            return false;
        if (used && object_size > max_heap_object)
            long_ones.push_back({at, step});
        at += step;
    }
    return true;
}

/// False, with errno set, if the system cannot. Past the end there are zeros, as from HDF5's own driver.
bool read_from_disk(DiskFile const& file, haddr_t address, void* data, std::size_t size)
{
    auto* bytes = static_cast<char*>(data);
    while (size > 0)
    {
        ssize_t const n = ::pread(file.descriptor, bytes, size, static_cast<off_t>(address));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
        {
            std::memset(bytes, 0, size);
            break;
        }
        bytes += n;
        size -= static_cast<std::size_t>(n);
        address += static_cast<haddr_t>(n);
    }
    return true;
}

/// Shows an object of a heap as free space: nothing can refer to it.
Overlay hidden(haddr_t heap, LongObject const& object)
{
    Overlay overlay{heap + object.offset, {}};
    for (std::size_t i = 0; i < 8; ++i)
        overlay.bytes[8 + i] = static_cast<unsigned char>(object.size >> 8 * i);
    return overlay;
}

/// Whether bytes just read are harmless: no global heap, or a harmless one. Of a large one HDF5 reads the beginning, then the rest: all of it
/// is looked at now.
bool is_harmless(DiskFile& file, haddr_t address, unsigned char const* bytes, std::size_t size)
{
    constexpr std::string_view signature = "GCOL";
    if (size < heap_header_size || std::memcmp(bytes, signature.data(), signature.size()) != 0)
        return true;
    std::uint64_t const heap_size = number_at(bytes + 8, 8);
    std::vector<unsigned char> whole;
    if (heap_size > size)
    {
        if (heap_size > max_heap)
            return false;
        whole.resize(heap_size);
        if (!read_from_disk(file, address, whole.data(), whole.size()))
            return false;
        bytes = whole.data();
    }
    std::vector<LongObject> long_ones;
    if (!is_harmless_heap(bytes, heap_size, long_ones))
        return false;
    if (file.disk->shows_lists)
        return true;
    // Another one in the same place would not be shown as it was looked at.
    auto const after = file.heaps.upper_bound(address);
    if ((after != file.heaps.end() && after->first < address + heap_size)
        || (after != file.heaps.begin() && std::prev(after)->first != address && std::prev(after)->second > address))
        return false;
    if (!file.heaps.emplace(address, address + heap_size).second)
        return file.heaps.at(address) == address + heap_size; // looked at before
    for (LongObject const& object : long_ones)
        file.overlays.push_back(hidden(address, object));
    return true;
}

/// Puts overlays over bytes read from \p address on.
void cover(std::vector<Overlay> const& overlays, haddr_t address, unsigned char* bytes, std::size_t size)
{
    for (Overlay const& overlay : overlays)
    {
        haddr_t const begin = std::max(address, overlay.address);
        haddr_t const end = std::min(address + size, overlay.address + overlay.bytes.size());
        if (begin < end)
            std::memcpy(bytes + (begin - address), overlay.bytes.data() + (begin - overlay.address), end - begin);
    }
}

herr_t driver_read(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* buffer)
{
    DiskFile& file = *disk_file(handle);
    if (!read_from_disk(file, address, buffer, size))
        return driver_failure(errno_text(errno));
    auto* const bytes = static_cast<unsigned char*>(buffer);
    if (!is_harmless(file, address, bytes, size))
        return driver_failure("damaged heap of strings or sources");
    cover(file.overlays, address, bytes, size);
    return 0;
}

/// Writes at an address and, every now and then, sets the disk to work on what was written: it then writes while the next points come in,
/// and closing, which waits for the disk, is short. \param waiting  bytes written since that was done last. \returns 0, or an errno
int write_to_disk(int descriptor, std::uint64_t address, void const* data, std::size_t size, std::size_t& waiting)
{
    constexpr std::size_t enough = std::size_t{16} << 20;
    auto const* bytes = static_cast<char const*>(data);
    while (size > 0)
    {
        errno = 0;
        ssize_t const n = ::pwrite(descriptor, bytes, size, static_cast<off_t>(address));
        if (n <= 0)
        {
            if (errno != EINTR)
                return errno != 0 ? errno : EIO;
            continue;
        }
        bytes += n;
        size -= static_cast<std::size_t>(n);
        address += static_cast<std::uint64_t>(n);
        waiting += static_cast<std::size_t>(n);
        if (waiting < enough)
            continue;
        waiting = 0;
#ifdef __linux__
        // A hint: where it is not possible, the end waits longer.
        static_cast<void>(::sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE));
#endif
    }
    return 0;
}

void write_to_disk(DiskFile& file, haddr_t address, void const* data, std::size_t size)
{
    file.file_end = std::max(file.file_end, address + size);
    if (file.disk->error == 0)
        file.disk->error = write_to_disk(file.descriptor, address, data, size, file.waiting);
}

herr_t driver_write(H5FD_t* handle, H5FD_mem_t kind, hid_t, haddr_t address, std::size_t size, void const* buffer)
{
    DiskFile* const file = disk_file(handle);
    // The values of a chunk that is being placed are another's business.
    if (!file->disk->abandoned && (kind != H5FD_MEM_DRAW || file->disk->place != address))
        write_to_disk(*file, address, buffer, size);
    return 0;
}

herr_t driver_truncate(H5FD_t* handle, hid_t, hbool_t)
{
    DiskFile* const file = disk_file(handle);
    // Of a file that was kept the end is not known.
    if (!file->disk->abandoned && (file->file_end != file->allocated_end || file->disk->keep))
    {
        if (file->disk->error == 0 && ::ftruncate(file->descriptor, static_cast<off_t>(file->allocated_end)) != 0)
            note_failure(*file->disk);
        file->file_end = file->allocated_end;
    }
    return 0;
}

/// Access to files by way of this driver.
Handle driver_access(Disk* disk)
{
    constexpr std::string_view what = "cannot set up the access to files";
    static constexpr H5FD_mem_t kinds[H5FD_MEM_NTYPES] = H5FD_FLMAP_DICHOTOMY;
    H5FD_class_t driver = {};
    driver.name = "nuscan";
    driver.maxaddr = static_cast<haddr_t>(std::numeric_limits<off_t>::max());
    driver.fc_degree = H5F_CLOSE_STRONG;
    driver.fapl_size = sizeof(DriverInfo);
    driver.fapl_get = driver_get_info;
    driver.fapl_copy = driver_copy_info;
    driver.fapl_free = driver_free_info;
    driver.open = driver_open;
    driver.close = driver_close;
    driver.cmp = driver_compare;
    driver.query = driver_query;
    driver.alloc = driver_alloc;
    driver.get_eoa = driver_get_eoa;
    driver.set_eoa = driver_set_eoa;
    driver.get_eof = driver_get_eof;
    driver.get_handle = driver_get_handle;
    driver.read = driver_read;
    driver.write = driver_write;
    driver.truncate = driver_truncate;
    std::copy(std::begin(kinds), std::end(kinds), std::begin(driver.fl_map));
    Handle const registered{H5FDregister(&driver), what};
    Handle access{H5Pcreate(H5P_FILE_ACCESS), what};
    DriverInfo const info{disk};
    check(H5Pset_driver(access.id(), registered.id(), &info), what);
    check(H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG), what);
    return access;
}

/// Whether a file begins as one of HDF5.
bool has_signature(fs::path const& path)
{
    constexpr std::string_view signature = "\x89HDF\r\n\x1a\n";
    std::array<char, signature.size()> begin = {};
    std::ifstream{path, std::ios::binary}.read(begin.data(), begin.size());
    return std::string_view{begin.data(), begin.size()} == signature;
}

// --- types and spaces -----------------------------------------------------------------------------------------------------------

Handle scalar_space()
{
    return {H5Screate(H5S_SCALAR), "cannot create a dataspace"};
}

Handle simple_space(std::vector<hsize_t> const& dims)
{
    return {H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), "cannot create a dataspace"};
}

/// A UTF-8 string of \p size bytes, or of any length.
Handle string_type(std::size_t size)
{
    Handle type{H5Tcopy(H5T_C_S1), "cannot create a type"};
    check(H5Tset_size(type.id(), size), "cannot create a type");
    check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "cannot create a type");
    if (size != H5T_VARIABLE)
        check(H5Tset_strpad(type.id(), H5T_STR_NULLPAD), "cannot create a type");
    return type;
}

/// The enumeration that h5py takes for a bool.
Handle bool_type()
{
    Handle type{H5Tenum_create(H5T_NATIVE_INT8), "cannot create a type"};
    for (std::int8_t value : {std::int8_t{0}, std::int8_t{1}})
        check(H5Tenum_insert(type.id(), value ? "TRUE" : "FALSE", &value), "cannot create a type");
    return type;
}

std::vector<hsize_t> unsigned_dims(std::vector<std::int64_t> const& dims)
{
    return {dims.begin(), dims.end()};
}

// --- attributes -----------------------------------------------------------------------------------------------------------------

void write_raw_attribute(hid_t object, std::string const& name, Handle const& space, hid_t file_type, hid_t memory_type,
                         void const* data)
{
    auto const what = fmt::format("cannot write attribute '{}' of '{}'", name, object_name(object));
    Handle const creation{H5Pcreate(H5P_ATTRIBUTE_CREATE), what};
    check(H5Pset_char_encoding(creation.id(), H5T_CSET_UTF8), what);
    Handle const attribute{H5Acreate2(object, name.c_str(), file_type, space.id(), creation.id(), H5P_DEFAULT), what};
    check(H5Awrite(attribute.id(), memory_type, data), what);
}

void write_string_attribute(hid_t object, std::string const& name, Handle const& space, std::vector<char const*> const& values)
{
    constexpr std::size_t longest = max_heap_object - 1;
    for (char const* const value : values)
        if (std::strlen(value) > longest)
            throw Error{fmt::format("attribute '{}' of '{}' is longer than {} bytes", name, object_name(object), longest)};
    Handle const type = string_type(H5T_VARIABLE);
    char const* const none[] = {nullptr}; // an array of no strings still needs an address
    write_raw_attribute(object, name, space, type.id(), type.id(), values.empty() ? none : values.data());
}

struct OpenAttribute
{
    Handle attribute;
    Handle type;
    Handle space;
    std::string what; ///< for messages: attribute 'x' of '/y'
};

/// \param path  of the object, from \p object on
OpenAttribute open_attribute(hid_t object, std::string const& name, std::string const& path = ".")
{
    OpenAttribute a;
    a.what = fmt::format("attribute '{}' of '{}{}'", name, object_name(object) == "/" && path != "." ? "" : object_name(object),
                         path == "." ? "" : "/" + path);
    if (check(H5Aexists_by_name(object, path.c_str(), name.c_str(), H5P_DEFAULT), a.what) == 0)
        throw Error{"no " + a.what};
    a.attribute = {H5Aopen_by_name(object, path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), a.what};
    a.type = {H5Aget_type(a.attribute.id()), a.what};
    a.space = {H5Aget_space(a.attribute.id()), a.what};
    return a;
}

void read_number(hid_t object, std::string const& name, std::string_view wanted, std::initializer_list<H5T_class_t> classes,
                 hid_t memory_type, void* value)
{
    OpenAttribute const a = open_attribute(object, name);
    H5T_class_t const found = H5Tget_class(a.type.id());
    constexpr std::size_t widest = 8;
    if (std::find(classes.begin(), classes.end(), found) == classes.end() || H5Tget_size(a.type.id()) > widest)
        throw Error{fmt::format("{} is not {}", a.what, wanted)};
    if (H5Sget_simple_extent_npoints(a.space.id()) != 1)
        throw Error{fmt::format("{} is not a single value", a.what)};
    check(H5Aread(a.attribute.id(), memory_type, value), a.what);
}

/// Frees what HDF5 allocates for strings of variable length.
class VariableStrings
{
public:
    VariableStrings(std::size_t n, hid_t type, hid_t space) : text(std::max<std::size_t>(n, 1), nullptr), type_{type}, space_{space}
    {
    }
    ~VariableStrings() { H5Dvlen_reclaim(type_, space_, H5P_DEFAULT, text.data()); }
    VariableStrings(VariableStrings const&) = delete;
    VariableStrings& operator=(VariableStrings const&) = delete;

    std::vector<char*> text;

private:
    hid_t type_;
    hid_t space_;
};

/// Strings of an attribute or dataset, of fixed or variable length; \p read is H5Aread or H5Dread for the type given.
template<class Read>
std::vector<std::string> read_all_strings(Handle const& type, Handle const& space, std::string const& what, Read&& read)
{
    if (H5Tget_class(type.id()) != H5T_STRING)
        throw Error{fmt::format("{} is not text", what)};
    hssize_t const n = check(H5Sget_simple_extent_npoints(space.id()), what);
    if (n > max_strings)
        throw Error{fmt::format("{} has {} strings, more than {}", what, n, max_strings)};
    auto const count = static_cast<std::size_t>(n);
    std::vector<std::string> all;
    all.reserve(count);
    if (check(H5Tis_variable_str(type.id()), what) > 0)
    {
        Handle const memory = string_type(H5T_VARIABLE);
        check(H5Tset_cset(memory.id(), H5Tget_cset(type.id())), what);
        VariableStrings strings{count, memory.id(), space.id()};
        check(read(memory.id(), strings.text.data()), what);
        for (std::size_t i = 0; i < count; ++i)
            all.emplace_back(strings.text[i] ? strings.text[i] : "");
        return all;
    }
    std::size_t const size = H5Tget_size(type.id());
    if (size == 0 || size > max_string_bytes || size * std::max<std::size_t>(count, 1) > max_string_bytes)
        throw Error{fmt::format("{} is longer than {} bytes", what, max_string_bytes)};
    std::vector<char> bytes(size * std::max<std::size_t>(count, 1));
    check(read(type.id(), bytes.data()), what);
    for (std::size_t i = 0; i < count; ++i)
    {
        char const* const begin = bytes.data() + i * size;
        std::size_t const end = static_cast<std::size_t>(std::find(begin, begin + size, '\0') - begin);
        all.emplace_back(begin, end);
    }
    return all;
}

extern "C" herr_t nuscan_keep_name(hid_t, char const* name, H5A_info_t const*, void* names)
{
    auto& all = *static_cast<std::vector<std::string>*>(names);
    if (all.size() >= max_names)
        return -1;
    all.emplace_back(name);
    return 0;
}

extern "C" herr_t nuscan_keep_child(hid_t, char const* name, H5L_info_t const*, void* names)
{
    return nuscan_keep_name(0, name, nullptr, names);
}

/// Filters of a chunked dataset, in their order.
std::vector<H5Z_filter_t> filters_of(Handle const& creation, std::string const& name)
{
    std::vector<H5Z_filter_t> filters;
    int const count = check(H5Pget_nfilters(creation.id()), name);
    for (int i = 0; i < count; ++i)
    {
        unsigned flags = 0;
        std::size_t values = 0;
        unsigned config = 0;
        filters.push_back(H5Pget_filter2(creation.id(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config));
    }
    return filters;
}

/// Throws Error if the values of a dataset are in other files, which may be anything (devices, pipes, endless ones), or went through
/// filters that HDF5 does not undo with care: those that pack bits trust what the file says of them.
void require_own_values(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const creation{H5Dget_create_plist(dataset), name};
    H5D_layout_t const layout = H5Pget_layout(creation.id());
    if (layout == H5D_VIRTUAL || H5Pget_external_count(creation.id()) != 0)
        throw Error{fmt::format("'{}' keeps its values in other files", name)};
    if (layout != H5D_CHUNKED)
        return;
    auto filters = filters_of(creation, name);
    for (H5Z_filter_t const filter : filters)
        if (filter != H5Z_FILTER_FLETCHER32 && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_DEFLATE)
            throw Error{
                fmt::format("'{}' is stored with filter {} of HDF5; only gzip, shuffle and fletcher32 are read: h5repack -f "
                            "GZIP=4 FILE OTHER converts it",
                            name, filter)};
    std::sort(filters.begin(), filters.end());
    if (std::adjacent_find(filters.begin(), filters.end()) != filters.end())
        throw Error{fmt::format("'{}' is stored with one filter twice", name)};
}

// --- objects and datasets -------------------------------------------------------------------------------------------------------

std::string child_name(hid_t parent, std::string const& name)
{
    std::string path = object_name(parent);
    return path.ends_with('/') ? path + name : path + '/' + name;
}

Handle open_object(hid_t parent, std::string const& name, H5O_type_t kind, std::string_view kind_name)
{
    auto const path = child_name(parent, name);
    if (!exists(parent, name))
        throw Error{fmt::format("no {} '{}'", kind_name, path)};
    auto const what = fmt::format("cannot open '{}'", path);
    H5O_info_t info = {};
    check(H5Oget_info_by_name2(parent, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT), what);
    if (info.type != kind)
        throw Error{fmt::format("'{}' is not a {}", path, kind_name)};
    auto* const open = kind == H5O_TYPE_GROUP ? H5Gopen2 : H5Dopen2;
    return {open(parent, name.c_str(), H5P_DEFAULT), what};
}

Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, hid_t type, void const* fill)
{
    auto const what = fmt::format("cannot create dataset '{}'", child_name(parent, name));
    Handle const creation{H5Pcreate(H5P_DATASET_CREATE), what};
    auto const chunk_dims = unsigned_dims(chunk);
    check(H5Pset_chunk(creation.id(), static_cast<int>(chunk_dims.size()), chunk_dims.data()), what);
    check(H5Pset_fletcher32(creation.id()), what);
    check(H5Pset_fill_value(creation.id(), type, fill), what);
    check(H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_INCR), what);
    // Chunks are written whole, so that a cache would only hold memory.
    Handle const access{H5Pcreate(H5P_DATASET_ACCESS), what};
    check(H5Pset_chunk_cache(access.id(), 0, 0, 1.0), what);
    Handle const space = simple_space(unsigned_dims(dims));
    return {H5Dcreate2(parent, name.c_str(), type, space.id(), H5P_DEFAULT, creation.id(), access.id()), what};
}

/// A box of a grid whose elements are contiguous in flat order.
struct Box
{
    std::vector<hsize_t> start;
    std::vector<hsize_t> count;
    std::int64_t size = 0;
};

/// Cuts the flat range [begin, end) into the fewest boxes: at most 2 rank - 1.
std::vector<Box> boxes(std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end)
{
    std::size_t const rank = dims.size();
    std::vector<std::int64_t> stride(rank, 1);
    for (std::size_t a = rank - 1; a > 0; --a)
        stride[a - 1] = stride[a] * dims[a];

    std::vector<Box> all;
    while (begin < end)
    {
        // The outermost axis along which whole steps start here and fit.
        std::size_t axis = rank - 1;
        while (axis > 0 && begin % stride[axis - 1] == 0 && end - begin >= stride[axis - 1])
            --axis;
        Box box;
        box.start.resize(rank);
        box.count.assign(rank, 1);
        for (std::size_t a = 0; a < rank; ++a)
            box.start[a] = static_cast<hsize_t>(begin / stride[a] % dims[a]);
        for (std::size_t a = axis + 1; a < rank; ++a)
            box.count[a] = static_cast<hsize_t>(dims[a]);
        std::int64_t const left = dims[axis] - static_cast<std::int64_t>(box.start[axis]);
        std::int64_t const steps = std::min(left, (end - begin) / stride[axis]);
        box.count[axis] = static_cast<hsize_t>(steps);
        box.size = steps * stride[axis];
        begin += box.size;
        all.push_back(std::move(box));
    }
    return all;
}

void select_box(Handle const& space, Box const& box, H5S_seloper_t operation)
{
    check(H5Sselect_hyperslab(space.id(), operation, box.start.data(), nullptr, box.count.data(), nullptr), "cannot select");
}

/// HDF5 takes the names behind a virtual dataset for patterns, in which %b is a number and %% a percent sign.
std::string as_pattern(std::string const& name)
{
    std::string pattern;
    for (char const c : name)
        pattern += c == '%' ? "%%" : std::string(1, c);
    return pattern;
}

/// The name that a pattern without numbers stands for; one with numbers stays as it is, and is the name of no file of ours.
std::string from_pattern(std::string const& pattern)
{
    std::string name;
    for (std::size_t i = 0; i < pattern.size(); ++i)
    {
        if (pattern[i] == '%' && (i + 1 == pattern.size() || pattern[i + 1] != '%'))
            return pattern;
        if (pattern[i] == '%')
            ++i;
        name += pattern[i];
    }
    return name;
}

Handle create_virtual_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                              std::vector<VirtualSource> const& sources, hid_t type, void const* fill)
{
    auto const path = child_name(parent, name);
    auto const what = fmt::format("cannot create dataset '{}'", path);
    Handle const creation{H5Pcreate(H5P_DATASET_CREATE), what};
    check(H5Pset_fill_value(creation.id(), type, fill), what);
    Handle const space = simple_space(unsigned_dims(dims));
    // The place is the same on both sides.
    for (VirtualSource const& source : sources)
        for (Box const& box : boxes(dims, source.begin, source.end))
        {
            select_box(space, box, H5S_SELECT_SET);
            check(H5Pset_virtual(creation.id(), space.id(), as_pattern(source.file).c_str(), as_pattern(path).c_str(), space.id()),
                  what);
        }
    check(H5Sselect_all(space.id()), what);
    return {H5Dcreate2(parent, name.c_str(), type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), what};
}

/// Writes in one call, so that a chunk that holds several boxes is still written once.
void write_elements(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, hid_t type,
                    void const* values)
{
    if (begin >= end)
        return;
    auto const what = fmt::format("cannot write '{}'", object_name(dataset));
    Handle const space{H5Dget_space(dataset), what};
    auto const all = boxes(dims, begin, end);
    for (std::size_t i = 0; i < all.size(); ++i)
        select_box(space, all[i], i == 0 ? H5S_SELECT_SET : H5S_SELECT_OR);
    // HDF5 is fast where both sides have the same shape.
    Handle const memory = simple_space(all.size() == 1 ? all[0].count : std::vector{static_cast<hsize_t>(end - begin)});
    check(H5Dwrite(dataset, type, memory.id(), space.id(), H5P_DEFAULT, values), what);
}

template<class T>
void read_elements(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, hid_t type,
                   T* values)
{
    auto const name = object_name(dataset);
    Handle const space{H5Dget_space(dataset), name};
    for (Box const& box : boxes(dims, begin, end))
    {
        select_box(space, box, H5S_SELECT_SET);
        Handle const memory = simple_space(box.count);
        check(H5Dread(dataset, type, memory.id(), space.id(), H5P_DEFAULT, values), fmt::format("cannot read '{}'", name));
        values += box.size;
    }
}

/// The checksum of HDF5: Fletcher's of 32 bits over big-endian words of 16 bits. In blocks, which vector instructions take.
[[gnu::always_inline]] inline std::uint32_t fletcher32_in_blocks(unsigned char const* bytes, std::size_t n)
{
    constexpr std::size_t block = 256; // sums of a block fit 32 bits
    constexpr std::uint64_t modulus = 65535;
    std::uint64_t sum1 = 0;
    std::uint64_t sum2 = 0;
    bool any = false;
    for (std::size_t words = (n + 1) / 2; words > 0;)
    {
        std::size_t const some = std::min(words, block);
        std::array<std::uint16_t, block> values;
        if (2 * block > n)
            values.fill(0);
        std::memcpy(values.data(), bytes, std::min(2 * block, n));
        std::uint32_t plain = 0;
        std::uint32_t weighted = 0;
        for (std::uint32_t i = 0; i < block; ++i)
        {
            std::uint32_t const word = static_cast<std::uint16_t>(values[i] << 8 | values[i] >> 8);
            plain += word;
            weighted += (static_cast<std::uint32_t>(block) - i) * word;
        }
        // The weights are those of a whole block.
        sum2 = (sum2 + some * sum1 + weighted - (block - some) * std::uint64_t{plain}) % modulus;
        sum1 = (sum1 + plain) % modulus;
        any = any || plain != 0;
        bytes += std::min(2 * some, n);
        n -= std::min(2 * some, n);
        words -= some;
    }
    // Where it is not that of nothing but zeros, 0 is written as 65535.
    sum1 = any && sum1 == 0 ? modulus : sum1;
    sum2 = any && sum2 == 0 ? modulus : sum2;
    return static_cast<std::uint32_t>(sum2 << 16 | sum1);
}

#ifdef __x86_64__
[[gnu::target("avx2")]] std::uint32_t fletcher32_avx2(unsigned char const* bytes, std::size_t n)
{
    return fletcher32_in_blocks(bytes, n);
}
#endif

std::uint32_t fletcher32(unsigned char const* bytes, std::size_t n)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return fletcher32_avx2(bytes, n);
#endif
    return fletcher32_in_blocks(bytes, n);
}

} // namespace

// --- public ---------------------------------------------------------------------------------------------------------------------

QuietErrors::QuietErrors()
{
    // On damaged metadata HDF5 loses memory, and then prints "infinite loop closing library" when the program ends. It need not
    // clean up: all that is open here closes itself. To be called before anything else.
    static herr_t const no_cleanup = H5dont_atexit();
    static_cast<void>(no_cleanup);
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietErrors::~QuietErrors()
{
    H5Eset_auto2(H5E_DEFAULT, function_, data_);
}

void fail(std::string_view what)
{
    std::string const reason = innermost_message();
    throw Error{reason.empty() ? std::string{what} : fmt::format("{}: {}", what, reason)};
}

bool Handle::reset() noexcept
{
    return id_ < 0 || H5Idec_ref(std::exchange(id_, none)) >= 0;
}

void Handle::close(std::string_view what)
{
    if (id_ >= 0)
        check(H5Idec_ref(std::exchange(id_, none)), what);
}

File File::create(fs::path const& path, bool keep)
{
    File file;
    file.disk_ = std::make_unique<Disk>();
    file.disk_->keep = keep;
    file.disk_->shows_lists = true;
    Handle const access = driver_access(file.disk_.get());
    // From this version on the metadata carry checksums too.
    check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), "cannot create");
    hid_t const id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id());
    if (id < 0 && file.disk_->error != 0)
        throw Error{fmt::format("cannot create: {}", errno_text(file.disk_->error))};
    file.handle_ = Handle{id, "cannot create"};
    return file;
}

File File::open(fs::path const& path)
{
    return open(path, H5F_ACC_RDONLY, false);
}

File File::open_for_virtual(fs::path const& path)
{
    return open(path, H5F_ACC_RDONLY, true);
}

File File::open_to_change(fs::path const& path)
{
    return open(path, H5F_ACC_RDWR, true);
}

File File::open(fs::path const& path, unsigned flags, bool shows_lists)
{
    // HDF5 does not tell these apart; and it would wait for a pipe.
    std::error_code error;
    fs::file_status const status = fs::status(path, error);
    if (!fs::exists(status))
        throw Error{error ? error.message() : errno_text(ENOENT)};
    if (fs::is_directory(status))
        throw Error{"a folder, not an HDF5 file"};
    if (!fs::is_regular_file(status))
        throw Error{"not a regular file"};
    if (fs::file_size(path, error) == 0 && !error)
        throw Error{"empty, not an HDF5 file"};

    File file;
    file.disk_ = std::make_unique<Disk>();
    file.disk_->shows_lists = shows_lists;
    Handle const access = driver_access(file.disk_.get());
    if (flags == H5F_ACC_RDWR) // what is added carries checksums too
        check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), "cannot open");
    hid_t const id = H5Fopen(path.c_str(), flags, access.id());
    if (id < 0 && file.disk_->error != 0)
        throw Error{errno_text(file.disk_->error)};
    if (id < 0 && !has_signature(path))
        throw Error{"not an HDF5 file"};
    file.handle_ = Handle{id, "damaged, truncated or unfinished HDF5 file"};
    return file;
}

std::uint64_t File::size() const
{
    hsize_t bytes = 0;
    check(H5Fget_filesize(id(), &bytes), "no size of the file");
    return bytes;
}

void File::reserve(std::uint64_t bytes)
{
    constexpr std::string_view what = "cannot reserve room for the chunks";
    DiskFile* const file = disk_->file;
    haddr_t const most = static_cast<haddr_t>(std::numeric_limits<off_t>::max());
    if (!file || file->allocated_end > reserved_begin || bytes > most - reserved_begin)
        throw Error{std::string{what}};
    file->allocated_end = reserved_begin + bytes;
    disk_->values.emplace(file->descriptor, [descriptor = file->descriptor, waiting = std::size_t{0}](
                                                std::uint64_t address, void const* data, std::size_t size) mutable {
        return write_to_disk(descriptor, address, data, size, waiting);
    });
}

void File::place_chunk(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t bytes, std::uint64_t address)
{
    // Never looked at, so that it takes no memory either.
    std::unique_ptr<std::byte[]> const nothing{new std::byte[bytes]};
    disk_->place = address;
    disk_->placed = false;
    auto const result = H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, unsigned_dims(start).data(), bytes, nothing.get());
    disk_->place.reset();
    if (result < 0 || !disk_->placed)
        fail(fmt::format("cannot place a chunk of '{}'", object_name(dataset)));
}

void File::write(std::uint64_t address, void const* data, std::size_t bytes)
{
    if (disk_->error != 0)
        return;
    DiskFile& file = *disk_->file;
    file.file_end = std::max(file.file_end, address + bytes);
    disk_->values->write(address, data, bytes);
}

void File::write_out()
{
    if (disk_->values && disk_->error == 0)
        disk_->error = disk_->values->flush();
}

void File::when_written(std::function<void(int error)> done)
{
    check_disk();
    if (!disk_->values)
        throw Error{"no room for chunks was reserved"};
    disk_->values->then(std::move(done));
}

Error File::write_error(int error)
{
    return Error{fmt::format("cannot write: {}", errno_text(error))};
}

void File::read(std::uint64_t address, void* data, std::size_t bytes) const
{
    if (!read_from_disk(*disk_->file, address, data, bytes))
        throw Error{fmt::format("cannot read: {}", errno_text(errno))};
}

void File::check_sources() const
{
    if (disk_->source_error != 0)
        throw Error{fmt::format("a file that values are in cannot be opened: {}", errno_text(disk_->source_error))};
}

void File::check_disk() const
{
    if (disk_ && disk_->values && disk_->error == 0)
        disk_->error = disk_->values->error();
    if (disk_ && disk_->error != 0)
        throw write_error(disk_->error);
}

void File::close()
{
    check(H5Fflush(id(), H5F_SCOPE_GLOBAL), "cannot write");
    check_disk();
    if (disk_)
        disk_->sync = true;
    handle_.close("cannot close");
    check_disk();
}

void File::abandon() noexcept
{
    // What HDF5 would still write would make a file of it that seems to be whole.
    if (disk_)
        disk_->abandoned = true;
    if (!handle_.reset())
        static_cast<void>(disk_.release()); // HDF5 keeps the file open: leave it what it may still use
}

std::string object_name(hid_t object)
{
    constexpr std::size_t longest = 1024;
    char name[longest] = "";
    ssize_t const length = H5Iget_name(object, name, longest);
    return length > 0 ? std::string{name} : "?";
}

Handle create_group(hid_t parent, std::string const& name)
{
    return {H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
            fmt::format("cannot create group '{}'", child_name(parent, name))};
}

bool exists(hid_t parent, std::string const& name)
{
    return check(H5Lexists(parent, name.c_str(), H5P_DEFAULT), fmt::format("cannot look into '{}'", object_name(parent))) > 0;
}

Handle open_group(hid_t parent, std::string const& name)
{
    return open_object(parent, name, H5O_TYPE_GROUP, "group");
}

Handle open_dataset(hid_t parent, std::string const& name)
{
    return open_object(parent, name, H5O_TYPE_DATASET, "dataset");
}

std::vector<std::string> child_names(hid_t group)
{
    std::vector<std::string> names;
    check(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, nuscan_keep_child, &names),
          fmt::format("cannot list '{}'", object_name(group)));
    return names;
}

void remove_child(hid_t parent, std::string const& name)
{
    if (exists(parent, name))
        check(H5Ldelete(parent, name.c_str(), H5P_DEFAULT), fmt::format("cannot remove '{}'", child_name(parent, name)));
}

void write_attribute(hid_t object, std::string const& name, double value)
{
    write_raw_attribute(object, name, scalar_space(), H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void write_attribute(hid_t object, std::string const& name, std::int64_t value)
{
    write_raw_attribute(object, name, scalar_space(), H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void write_attribute(hid_t object, std::string const& name, bool value)
{
    Handle const type = bool_type();
    std::int8_t const byte = value ? 1 : 0;
    write_raw_attribute(object, name, scalar_space(), type.id(), type.id(), &byte);
}

void write_attribute(hid_t object, std::string const& name, std::string const& value)
{
    write_attribute(object, name, value.c_str());
}

void write_attribute(hid_t object, std::string const& name, char const* value)
{
    write_string_attribute(object, name, scalar_space(), {value});
}

void write_attribute(hid_t object, std::string const& name, std::vector<std::string> const& values)
{
    std::vector<char const*> pointers;
    for (std::string const& value : values)
        pointers.push_back(value.c_str());
    write_string_attribute(object, name, simple_space({values.size()}), pointers);
}

void write_attribute(hid_t object, std::string const& name, std::vector<std::uint8_t> const& values)
{
    write_raw_attribute(object, name, simple_space({values.size()}), H5T_STD_U8LE, H5T_NATIVE_UINT8, values.data());
}

void remove_attribute(hid_t object, std::string const& name)
{
    check(H5Adelete(object, name.c_str()), fmt::format("cannot remove attribute '{}' of '{}'", name, object_name(object)));
}

bool has_attribute(hid_t object, std::string const& name)
{
    return check(H5Aexists(object, name.c_str()), fmt::format("cannot look into '{}'", object_name(object))) > 0;
}

std::vector<std::string> attribute_names(hid_t object)
{
    std::vector<std::string> names;
    check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, nuscan_keep_name, &names),
          fmt::format("cannot list the attributes of '{}'", object_name(object)));
    return names;
}

double read_double(hid_t object, std::string const& name)
{
    double value = 0.0;
    read_number(object, name, "a floating-point number", {H5T_FLOAT}, H5T_NATIVE_DOUBLE, &value);
    return value;
}

std::int64_t read_int(hid_t object, std::string const& name)
{
    std::int64_t value = 0;
    read_number(object, name, "an integer", {H5T_INTEGER}, H5T_NATIVE_INT64, &value);
    return value;
}

bool read_bool(hid_t object, std::string const& name)
{
    std::int64_t value = 0;
    read_number(object, name, "true or false", {H5T_ENUM, H5T_INTEGER}, H5T_NATIVE_INT64, &value);
    return value != 0;
}

namespace
{

std::vector<std::string> read_strings(OpenAttribute const& a)
{
    return read_all_strings(a.type, a.space, a.what, [&](hid_t type, void* to) { return H5Aread(a.attribute.id(), type, to); });
}

std::string read_string(OpenAttribute const& a)
{
    auto all = read_strings(a);
    if (all.size() != 1)
        throw Error{fmt::format("{} is not a single value", a.what)};
    return std::move(all.front());
}

} // namespace

std::string read_string(hid_t object, std::string const& name)
{
    return read_string(open_attribute(object, name));
}

std::string read_string(hid_t group, std::string const& path, std::string const& name)
{
    return read_string(open_attribute(group, name, path));
}

std::vector<std::string> read_strings(hid_t object, std::string const& name)
{
    return read_strings(open_attribute(object, name));
}

void write_text(hid_t parent, std::string const& name, std::string const& text)
{
    auto const what = fmt::format("cannot write '{}'", child_name(parent, name));
    Handle const type = string_type(std::max<std::size_t>(text.size(), 1));
    Handle const space = scalar_space();
    Handle const creation{H5Pcreate(H5P_DATASET_CREATE), what};
    // A short text goes into the object header, under its checksum; a header does not take more than 64 kB.
    constexpr std::size_t longest_compact = 60000;
    if (text.size() <= longest_compact)
        check(H5Pset_layout(creation.id(), H5D_COMPACT), what);
    Handle const dataset{H5Dcreate2(parent, name.c_str(), type.id(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), what};
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()), what);
}

std::string read_text(hid_t parent, std::string const& name)
{
    Handle const dataset = open_dataset(parent, name);
    require_own_values(dataset.id());
    auto const what = fmt::format("'{}'", object_name(dataset.id()));
    Handle const type{H5Dget_type(dataset.id()), what};
    Handle const space{H5Dget_space(dataset.id()), what};
    auto all = read_all_strings(type, space, what, [&](hid_t memory, void* to) {
        return H5Dread(dataset.id(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to);
    });
    if (all.size() != 1)
        throw Error{what + " is not a single text"};
    return std::move(all.front());
}

std::vector<std::int64_t> shape(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const space{H5Dget_space(dataset), name};
    if (H5Sget_simple_extent_type(space.id()) != H5S_SIMPLE)
        throw Error{fmt::format("'{}' is not an array", name)};
    hsize_t dims[H5S_MAX_RANK] = {};
    int const rank = check(H5Sget_simple_extent_dims(space.id(), dims, nullptr), name);
    std::vector<std::int64_t> all;
    std::int64_t product = 1;
    for (int a = 0; a < rank; ++a)
    {
        if (dims[a] > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max())
            || __builtin_mul_overflow(product, static_cast<std::int64_t>(dims[a]), &product))
            throw Error{fmt::format("'{}' has an impossible shape", name)};
        all.push_back(static_cast<std::int64_t>(dims[a]));
    }
    return all;
}

std::string shape_text(std::vector<std::int64_t> const& dims)
{
    return fmt::format("({})", fmt::join(dims, ", "));
}

void require_double(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const type{H5Dget_type(dataset), name};
    if (H5Tequal(type.id(), H5T_IEEE_F64LE) <= 0 && H5Tequal(type.id(), H5T_IEEE_F64BE) <= 0)
        throw Error{fmt::format("'{}' is not of type float64", name)};
}

void require_byte(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const type{H5Dget_type(dataset), name};
    if (H5Tequal(type.id(), H5T_STD_U8LE) <= 0 && H5Tequal(type.id(), H5T_STD_U8BE) <= 0)
        throw Error{fmt::format("'{}' is not of type uint8", name)};
}

void require_int64(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const type{H5Dget_type(dataset), name};
    if (H5Tequal(type.id(), H5T_STD_I64LE) <= 0 && H5Tequal(type.id(), H5T_STD_I64BE) <= 0)
        throw Error{fmt::format("'{}' is not of type int64", name)};
}

void require_stored(File const& file, hid_t dataset, std::int64_t elements, std::size_t element_size)
{
    auto const name = object_name(dataset);
    Handle const creation{H5Dget_create_plist(dataset), name};
    H5D_layout_t const layout = H5Pget_layout(creation.id());
    require_own_values(dataset);
    bool compressed = false;
    if (layout == H5D_CHUNKED)
    {
        hsize_t chunk[H5S_MAX_RANK] = {};
        int const rank = check(H5Pget_chunk(creation.id(), H5S_MAX_RANK, chunk), name);
        std::uint64_t bytes = element_size;
        for (int a = 0; a < rank; ++a)
            if (__builtin_mul_overflow(bytes, chunk[a], &bytes) || bytes > max_chunk_bytes)
                throw Error{fmt::format("'{}' has chunks above {} bytes", name, max_chunk_bytes)};
        auto const filters = filters_of(creation, name);
        compressed = std::find(filters.begin(), filters.end(), H5Z_FILTER_DEFLATE) != filters.end();
    }
    std::uint64_t const stored = H5Dget_storage_size(dataset);
    std::uint64_t needed = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(elements), element_size, &needed))
        throw Error{fmt::format("'{}' has an impossible shape", name)};
    if (stored > file.size() || (compressed ? stored < needed / max_compression : stored < needed))
        throw Error{fmt::format("'{}' is incomplete: {} bytes where {} belong", name, stored, needed)};
}

std::vector<std::int64_t> chunk_shape(std::vector<std::int64_t> const& dims, std::int64_t target)
{
    std::vector<std::int64_t> chunk(dims.size(), 1);
    std::int64_t inner = 1;
    for (std::size_t a = dims.size(); a-- > 0;)
    {
        std::int64_t const most = std::max<std::int64_t>(1, target / inner);
        std::int64_t const parts = (dims[a] + most - 1) / most;
        chunk[a] = (dims[a] + parts - 1) / parts; // equal parts: the last chunk of a row is stored whole too
        if (parts > 1)
            break;
        inner *= dims[a];
    }
    return chunk;
}

Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, double fill)
{
    return create_dataset(parent, name, dims, chunk, H5T_IEEE_F64LE, &fill);
}

Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, std::uint8_t fill)
{
    return create_dataset(parent, name, dims, chunk, H5T_STD_U8LE, &fill);
}

Handle create_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                      std::vector<std::int64_t> const& chunk, std::int64_t fill)
{
    return create_dataset(parent, name, dims, chunk, H5T_STD_I64LE, &fill);
}

Handle create_virtual_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                              std::vector<VirtualSource> const& sources, double fill)
{
    return create_virtual_dataset(parent, name, dims, sources, H5T_IEEE_F64LE, &fill);
}

Handle create_virtual_dataset(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims,
                              std::vector<VirtualSource> const& sources, std::uint8_t fill)
{
    return create_virtual_dataset(parent, name, dims, sources, H5T_STD_U8LE, &fill);
}

bool is_virtual(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const creation{H5Dget_create_plist(dataset), name};
    return H5Pget_layout(creation.id()) == H5D_VIRTUAL;
}

std::vector<VirtualTarget> virtual_targets(hid_t dataset)
{
    auto const name = object_name(dataset);
    Handle const creation{H5Dget_create_plist(dataset), name};
    std::size_t count = 0;
    check(H5Pget_virtual_count(creation.id(), &count), name);
    // Null asks for the length.
    auto const text = [&](auto* get, std::size_t i) {
        ssize_t const length = check(get(creation.id(), i, nullptr, 0), name);
        std::vector<char> bytes(static_cast<std::size_t>(length) + 1);
        check(get(creation.id(), i, bytes.data(), bytes.size()), name);
        return std::string{bytes.data()};
    };
    std::vector<VirtualTarget> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back({from_pattern(text(H5Pget_virtual_filename, i)), from_pattern(text(H5Pget_virtual_dsetname, i))});
    return all;
}

bool is_little_endian(hid_t dataset)
{
    Handle const type{H5Dget_type(dataset), object_name(dataset)};
    return H5Tequal(type.id(), H5T_IEEE_F64LE) > 0;
}

bool has_plain_chunks(hid_t dataset, std::vector<std::int64_t> const& chunk)
{
    auto const name = object_name(dataset);
    Handle const creation{H5Dget_create_plist(dataset), name};
    if (H5Pget_layout(creation.id()) != H5D_CHUNKED || H5Pget_nfilters(creation.id()) != 1)
        return false;
    unsigned flags = 0;
    std::size_t values = 0;
    unsigned config = 0;
    if (H5Pget_filter2(creation.id(), 0, &flags, &values, nullptr, 0, nullptr, &config) != H5Z_FILTER_FLETCHER32)
        return false;
    std::vector<hsize_t> found(chunk.size());
    return H5Pget_chunk(creation.id(), static_cast<int>(found.size()), found.data()) == static_cast<int>(found.size())
           && found == unsigned_dims(chunk);
}

namespace
{

template<class T>
std::size_t stored_values(std::size_t n)
{
    return n + (checksum_bytes + sizeof(T) - 1) / sizeof(T);
}

template<class T>
void read_stored(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t n, std::vector<T>& chunk)
{
    auto const what = fmt::format("cannot read '{}'", object_name(dataset));
    auto const place = unsigned_dims(start);
    std::size_t const bytes = n * sizeof(T);
    hsize_t size = 0;
    check(H5Dget_chunk_storage_size(dataset, place.data(), &size), what);
    if (size != bytes + checksum_bytes)
        throw Error{fmt::format("{}: a chunk is missing or of a wrong size", what)};
    chunk.resize(stored_values<T>(n));
    std::uint32_t skipped = 0;
    check(H5Dread_chunk(dataset, H5P_DEFAULT, place.data(), &skipped, chunk.data()), what);
    auto const* const stored = reinterpret_cast<unsigned char const*>(chunk.data());
    if (skipped != 0 || number_at(stored + bytes, checksum_bytes) != fletcher32(stored, bytes))
        throw Error{fmt::format("{}: data error detected by Fletcher32 checksum", what)};
}

} // namespace

void read_stored_chunk(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t n, std::vector<double>& chunk)
{
    read_stored(dataset, start, n, chunk);
}

void read_stored_chunk(hid_t dataset, std::vector<std::int64_t> const& start, std::size_t n, std::vector<std::uint8_t>& chunk)
{
    read_stored(dataset, start, n, chunk);
}

std::uint32_t checksum(void const* data, std::size_t bytes)
{
    return fletcher32(static_cast<unsigned char const*>(data), bytes);
}

void write_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, double const* values)
{
    write_elements(dataset, dims, begin, end, H5T_NATIVE_DOUBLE, values);
}

void write_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end,
                std::uint8_t const* values)
{
    write_elements(dataset, dims, begin, end, H5T_NATIVE_UINT8, values);
}

void write_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end,
                std::int64_t const* values)
{
    write_elements(dataset, dims, begin, end, H5T_NATIVE_INT64, values);
}

void read_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, double* values)
{
    read_elements(dataset, dims, begin, end, H5T_NATIVE_DOUBLE, values);
}

void read_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, std::uint8_t* values)
{
    read_elements(dataset, dims, begin, end, H5T_NATIVE_UINT8, values);
}

void read_flat(hid_t dataset, std::vector<std::int64_t> const& dims, std::int64_t begin, std::int64_t end, std::int64_t* values)
{
    read_elements(dataset, dims, begin, end, H5T_NATIVE_INT64, values);
}

namespace
{

template<class T>
Handle write_whole(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, hid_t type, T fill,
                   T const* values)
{
    std::int64_t count = 1;
    for (std::int64_t const n : dims)
        count *= n;
    if (count == 0) // a chunk has at least one element
    {
        auto const what = fmt::format("cannot create dataset '{}'", child_name(parent, name));
        Handle const space = simple_space(unsigned_dims(dims));
        return {H5Dcreate2(parent, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), what};
    }
    Handle dataset = create_dataset(parent, name, dims, chunk_shape(dims, chunk_target_values), type, &fill);
    write_flat(dataset.id(), dims, 0, count, values);
    return dataset;
}

template<class T>
std::vector<T> read_whole(File const& file, hid_t dataset, std::vector<std::int64_t>& dims)
{
    auto const found = shape(dataset);
    std::int64_t count = 1;
    bool fits = found.size() == dims.size();
    for (std::size_t a = 0; fits && a < dims.size(); ++a)
    {
        fits = dims[a] < 0 || dims[a] == found[a];
        count *= found[a];
    }
    if (!fits)
        throw Error{
            fmt::format("'{}' has shape {}, expected {} (-1: any)", object_name(dataset), shape_text(found), shape_text(dims))};
    dims = found;
    std::vector<T> values;
    if (count == 0)
        return values;
    require_stored(file, dataset, count, sizeof(T));
    values.resize(static_cast<std::size_t>(count));
    read_flat(dataset, dims, 0, count, values.data());
    return values;
}

} // namespace

Handle write_values(hid_t parent, std::string const& name, std::vector<double> const& values)
{
    return write_array(parent, name, {static_cast<std::int64_t>(values.size())}, values.data());
}

std::vector<double> read_values(File const& file, hid_t dataset)
{
    require_double(dataset);
    auto const dims = shape(dataset);
    if (dims.size() != 1 || dims[0] < 1)
        throw Error{fmt::format("'{}' has shape {}, not one axis", object_name(dataset), shape_text(dims))};
    require_stored(file, dataset, dims[0], sizeof(double));
    std::vector<double> values(static_cast<std::size_t>(dims[0]));
    read_flat(dataset, dims, 0, dims[0], values.data());
    return values;
}

Handle write_array(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, double const* values)
{
    return write_whole(parent, name, dims, H5T_IEEE_F64LE, std::numeric_limits<double>::quiet_NaN(), values);
}

Handle write_array(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, std::uint8_t const* values)
{
    return write_whole(parent, name, dims, H5T_STD_U8LE, std::uint8_t{0}, values);
}

Handle write_array(hid_t parent, std::string const& name, std::vector<std::int64_t> const& dims, std::int64_t const* values)
{
    return write_whole(parent, name, dims, H5T_STD_I64LE, std::int64_t{-1}, values);
}

std::vector<double> read_doubles(File const& file, hid_t dataset, std::vector<std::int64_t>& dims)
{
    require_double(dataset);
    return read_whole<double>(file, dataset, dims);
}

std::vector<std::uint8_t> read_bytes(File const& file, hid_t dataset, std::vector<std::int64_t>& dims)
{
    require_byte(dataset);
    return read_whole<std::uint8_t>(file, dataset, dims);
}

std::vector<std::int64_t> read_integers(File const& file, hid_t dataset, std::vector<std::int64_t>& dims)
{
    require_int64(dataset);
    return read_whole<std::int64_t>(file, dataset, dims);
}

} // namespace nuscan::h5
