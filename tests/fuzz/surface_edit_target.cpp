// Surface files that HDF5 finds in order and that hold what no surface does: the input is a list of edits, applied through HDF5 to a valid
// surface. Types, shapes, layouts, links and values are all wrong sooner or later; links may form cycles or lead out of the file.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <hdf5.h>

#include "host/io/hdf5_file.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/surfaces.hpp"

/// HDF5 itself loses memory on damaged metadata.
extern "C" char const* __lsan_default_suppressions();
extern "C" char const* __lsan_default_suppressions()
{
    return "leak:libhdf5";
}

namespace nuscan::fuzz
{

namespace
{

/// The input, number by number; zeros behind its end.
class Numbers
{
public:
    Numbers(std::uint8_t const* data, std::size_t size) : data_{data}, left_{size} {}

    bool empty() const { return left_ == 0; }

    std::uint8_t byte()
    {
        if (left_ == 0)
            return 0;
        --left_;
        return *data_++;
    }

    /// Below \p n, which is at most 256.
    std::size_t below(std::size_t n) { return byte() % n; }

    std::int64_t integer()
    {
        constexpr std::array<std::int64_t, 16> special = {0,
                                                          -1,
                                                          1,
                                                          2,
                                                          3,
                                                          4,
                                                          5,
                                                          12,
                                                          13,
                                                          255,
                                                          65536,
                                                          std::int64_t{1} << 31,
                                                          std::int64_t{1} << 40,
                                                          std::int64_t{1} << 62,
                                                          std::numeric_limits<std::int64_t>::max(),
                                                          std::numeric_limits<std::int64_t>::min()};
        return special[below(special.size())];
    }

    double number()
    {
        constexpr std::array<double, 12> special = {0.0,   -0.0,   1.0,  -1.0,     0.1,       1e-300,
                                                    1e300, -1e300, 1e-7, HUGE_VAL, -HUGE_VAL, NAN};
        return special[below(special.size())];
    }

    std::string text()
    {
        std::string all(below(24), '\0');
        for (char& c : all)
            c = static_cast<char>(byte());
        return all;
    }

private:
    std::uint8_t const* data_;
    std::size_t left_;
};

/// Names of what there is, gathered once per surface; an edit picks by number, so that most of them hit something.
struct Inventory
{
    std::vector<std::string> objects;
    std::vector<std::string> attributes;
};

extern "C" herr_t nuscan_note_attribute(hid_t, char const* name, H5A_info_t const*, void* names)
{
    auto& all = *static_cast<std::vector<std::string>*>(names);
    if (std::find(all.begin(), all.end(), name) == all.end())
        all.emplace_back(name);
    return 0;
}

extern "C" herr_t nuscan_note_object(hid_t file, char const* name, H5O_info_t const*, void* inventory)
{
    auto& all = *static_cast<Inventory*>(inventory);
    all.objects.emplace_back(std::strcmp(name, ".") == 0 ? "/" : fmt::format("/{}", name));
    h5::Handle const object{H5Oopen(file, name, H5P_DEFAULT), "open"};
    return H5Aiterate2(object.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, nuscan_note_attribute, &all.attributes);
}

Inventory take_inventory(std::string const& bytes)
{
    InputFile const place{bytes};
    h5::Handle const file{H5Fopen(place.path().c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "open"};
    Inventory inventory;
    h5::check(H5Ovisit2(file.id(), H5_INDEX_NAME, H5_ITER_INC, nuscan_note_object, &inventory, H5O_INFO_BASIC), "visit");
    return inventory;
}

/// One file under edit. Edits that HDF5 refuses change nothing.
class Editor
{
public:
    Editor(hid_t file, Inventory const& inventory, Numbers& numbers, std::string own_path)
        : file_{file}
        , inventory_{inventory}
        , numbers_{numbers}
        , own_path_{std::move(own_path)}
    {
    }

    void edit()
    {
        std::string const place = object();
        switch (numbers_.below(9))
        {
        case 0:
            H5Ldelete(file_, place.c_str(), H5P_DEFAULT);
            break;
        case 1:
            H5Adelete_by_name(file_, place.c_str(), attribute().c_str(), H5P_DEFAULT);
            break;
        case 2:
            replace_attribute(place);
            break;
        case 3:
            set_attribute(place);
            break;
        case 4:
            replace_dataset(place);
            break;
        case 5:
            replace_link(place);
            break;
        case 6:
            write_values(place);
            break;
        case 7:
            replace_by_virtual(place);
            break;
        default:
            H5Gclose(
                H5Gcreate2(file_, fmt::format("{}/{}", place, numbers_.below(3)).c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
            break;
        }
    }

    /// Whether no more edits can be made.
    bool over() const { return over_; }

private:
    std::string const& object() { return inventory_.objects[numbers_.below(inventory_.objects.size())]; }
    std::string const& attribute() { return inventory_.attributes[numbers_.below(inventory_.attributes.size())]; }

    h5::Handle type()
    {
        switch (numbers_.below(16))
        {
        case 0:
            return copy(H5T_IEEE_F64LE);
        case 1:
            return copy(H5T_IEEE_F64BE);
        case 2:
            return copy(H5T_IEEE_F32LE);
        case 3:
            return copy(H5T_STD_I64LE);
        case 4:
            return copy(H5T_STD_I64BE);
        case 5:
            return copy(H5T_STD_U8LE);
        case 6:
            return copy(H5T_STD_U64LE);
        case 7:
            return text_type(H5T_VARIABLE);
        case 8:
            return text_type(1 + numbers_.below(40));
        case 9:
            return text_type(std::size_t{1} << numbers_.below(32));
        case 10:
        {
            h5::Handle all{H5Tenum_create(H5T_NATIVE_INT8), "enum"};
            std::int8_t const value = 1;
            H5Tenum_insert(all.id(), "TRUE", &value);
            return all;
        }
        case 11:
        {
            h5::Handle all{H5Tcreate(H5T_COMPOUND, 16), "compound"};
            H5Tinsert(all.id(), "a", 0, H5T_NATIVE_DOUBLE);
            H5Tinsert(all.id(), "b", 8, H5T_NATIVE_INT64);
            return all;
        }
        case 12:
            return {H5Tvlen_create(H5T_NATIVE_DOUBLE), "variable length"};
        case 13:
        {
            hsize_t const dims[] = {2, 3};
            return {H5Tarray_create2(H5T_NATIVE_DOUBLE, 2, dims), "array"};
        }
        case 14:
            return copy(H5T_STD_REF_OBJ);
        default:
            return {H5Tcreate(H5T_OPAQUE, 1 + numbers_.below(100)), "opaque"};
        }
    }

    static h5::Handle copy(hid_t type) { return {H5Tcopy(type), "type"}; }

    static h5::Handle text_type(std::size_t size)
    {
        h5::Handle type = copy(H5T_C_S1);
        H5Tset_size(type.id(), size);
        H5Tset_cset(type.id(), H5T_CSET_UTF8);
        return type;
    }

    std::vector<hsize_t> dims()
    {
        std::vector<hsize_t> all(numbers_.below(6));
        for (hsize_t& n : all)
            n = numbers_.below(4) == 0 ? static_cast<hsize_t>(numbers_.integer()) : numbers_.below(6);
        return all;
    }

    h5::Handle space(std::vector<hsize_t> const& dims)
    {
        std::size_t const kind = numbers_.below(8);
        if (kind == 0)
            return {H5Screate(H5S_NULL), "space"};
        if (dims.empty())
            return {H5Screate(H5S_SCALAR), "space"};
        return {H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), "space"};
    }

    /// Attribute of any type and shape, with bytes of the input as values where these are few.
    void replace_attribute(std::string const& place)
    {
        std::string const& name = attribute();
        h5::Handle const kind = type();
        h5::Handle const where = space(dims());
        // A larger one has no place in the file; HDF5 itself overruns its memory when it writes one of more than 64 bits.
        constexpr double largest = 60000.0;
        double length = static_cast<double>(H5Tget_size(kind.id()));
        hsize_t extent[H5S_MAX_RANK] = {};
        for (int i = H5Sget_simple_extent_dims(where.id(), extent, nullptr); i > 0; --i)
            length *= static_cast<double>(extent[i - 1]);
        if (length > largest)
            return;
        H5Adelete_by_name(file_, place.c_str(), name.c_str(), H5P_DEFAULT);
        h5::Handle const made{
            H5Acreate_by_name(file_, place.c_str(), name.c_str(), kind.id(), where.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
            "attribute"};
        if (H5Tget_class(kind.id()) == H5T_VLEN || H5Tget_class(kind.id()) == H5T_REFERENCE || H5Tis_variable_str(kind.id()) > 0)
            return;
        constexpr std::size_t most = 4096;
        auto const n = static_cast<std::size_t>(std::max<hssize_t>(H5Sget_simple_extent_npoints(where.id()), 0));
        std::size_t const size = H5Tget_size(kind.id());
        if (n > most || size > most || n * size > most)
            return;
        std::vector<std::uint8_t> bytes(n * size + 1);
        for (std::uint8_t& byte : bytes)
            byte = numbers_.byte();
        H5Awrite(made.id(), kind.id(), bytes.data());
    }

    /// Attribute of the type that it should have.
    void set_attribute(std::string const& place)
    {
        std::string const& name = attribute();
        h5::Handle const where{H5Oopen(file_, place.c_str(), H5P_DEFAULT), "open"};
        H5Adelete(where.id(), name.c_str());
        switch (numbers_.below(4))
        {
        case 0:
            h5::write_attribute(where.id(), name, numbers_.integer());
            break;
        case 1:
            h5::write_attribute(where.id(), name, numbers_.number());
            break;
        case 2:
            h5::write_attribute(where.id(), name, numbers_.text());
            break;
        default:
        {
            // Names of what is there, so that lists of axes, pulls, experiments are wrong in part only.
            std::vector<std::string> values(numbers_.below(6));
            for (std::string& value : values)
            {
                value = numbers_.below(4) == 0 ? numbers_.text() : object();
                value = value.substr(value.rfind('/') == value.npos ? 0 : value.rfind('/') + 1);
            }
            h5::write_attribute(where.id(), name, values);
        }
        }
    }

    /// Dataset of any type, shape and layout, of which little or nothing is stored.
    void replace_dataset(std::string const& place)
    {
        std::size_t const what = numbers_.byte();
        h5::Handle const old{H5Oopen(file_, place.c_str(), H5P_DEFAULT), "open"};
        bool const is_dataset = H5Iget_type(old.id()) == H5I_DATASET;
        // Often the type or the shape stays, or else the first check always fails.
        h5::Handle const kind = (what & 1) && is_dataset ? h5::Handle{H5Dget_type(old.id()), "type"} : type();
        h5::Handle const where = (what & 2) && is_dataset ? h5::Handle{H5Dget_space(old.id()), "space"} : space(dims());
        h5::Handle const creation{H5Pcreate(H5P_DATASET_CREATE), "properties"};
        std::size_t const layout = numbers_.below(6);
        if (layout == 0)
            H5Pset_layout(creation.id(), H5D_COMPACT);
        else if (layout == 1)
            H5Pset_external(creation.id(), numbers_.below(2) ? own_path_.c_str() : "/dev/zero", 0, H5F_UNLIMITED);
        else if (layout >= 3)
        {
            auto const rank = H5Sget_simple_extent_ndims(where.id());
            std::vector<hsize_t> chunk(static_cast<std::size_t>(std::max(rank, 1)));
            for (hsize_t& n : chunk)
                n = numbers_.below(4) == 0 ? static_cast<hsize_t>(numbers_.integer()) : 1 + numbers_.below(5);
            H5Pset_chunk(creation.id(), rank, chunk.data());
            // HDF5 itself crashes where it writes through one that packs bits twice.
            std::size_t before = 6;
            for (std::size_t i = numbers_.below(3); i > 0; --i)
            {
                std::size_t const filter = numbers_.below(6);
                if (filter == std::exchange(before, filter))
                    continue;
                switch (filter)
                {
                case 0:
                    H5Pset_fletcher32(creation.id());
                    break;
                case 1:
                    H5Pset_deflate(creation.id(), 9);
                    break;
                case 2:
                    H5Pset_shuffle(creation.id());
                    break;
                case 3:
                    H5Pset_scaleoffset(creation.id(), H5Z_SO_INT, 0);
                    break;
                case 4:
                    H5Pset_nbit(creation.id());
                    break;
                default:
                { // a filter that nobody has
                    unsigned const value = 1;
                    H5Pset_filter(creation.id(), 32000, H5Z_FLAG_OPTIONAL, 1, &value);
                }
                }
            }
        }
        if (what & 4)
            H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_INCR);
        std::vector<std::string> names;
        H5Ldelete(file_, place.c_str(), H5P_DEFAULT);
        // HDF5 would allocate all of it.
        constexpr hssize_t most = 1 << 16;
        hssize_t const n = H5Sget_simple_extent_npoints(where.id());
        if ((n < 0 || n > most || H5Tget_size(kind.id()) > most) && layout != 1)
        {
            H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_INCR);
            H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER);
        }
        h5::Handle const made{H5Dcreate2(file_, place.c_str(), kind.id(), where.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                              "dataset"};
        if (what & 8)
            fill(made.id());
    }

    /// Numbers into a dataset that is small.
    void fill(hid_t dataset)
    {
        h5::Handle const where{H5Dget_space(dataset), "space"};
        hssize_t const n = H5Sget_simple_extent_npoints(where.id());
        constexpr hssize_t most = 256;
        if (n <= 0 || n > most)
            return;
        std::vector<double> values(static_cast<std::size_t>(n));
        for (double& value : values)
            value = numbers_.number();
        H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }

    void write_values(std::string const& place)
    {
        h5::Handle const dataset{H5Dopen2(file_, place.c_str(), H5P_DEFAULT), "open"};
        // HDF5 never comes back from writing into one that refers to itself; the program writes into none.
        if (h5::is_virtual(dataset.id()))
            return;
        hsize_t size[H5S_MAX_RANK] = {};
        if (numbers_.below(4) == 0)
        {
            for (hsize_t& n : size)
                n = numbers_.below(8);
            H5Dset_extent(dataset.id(), size);
        }
        fill(dataset.id());
    }

    void replace_link(std::string const& place)
    {
        std::string const target = object();
        std::size_t const kind = numbers_.below(8);
        constexpr std::array<char const*, 4> files = {"/dev/zero", "/nowhere", "/", ""};
        std::string const other = files[numbers_.below(files.size())];
        if (kind < 3)
        {
            // The target itself may be what makes room.
            std::string const moved = "/moved";
            H5Ldelete(file_, moved.c_str(), H5P_DEFAULT);
            H5Lcreate_hard(file_, target.c_str(), file_, moved.c_str(), H5P_DEFAULT, H5P_DEFAULT);
            H5Ldelete(file_, place.c_str(), H5P_DEFAULT);
            H5Lcreate_hard(file_, moved.c_str(), file_, place.c_str(), H5P_DEFAULT, H5P_DEFAULT);
            // HDF5 itself crashes where links to the root are removed again: it counts them and forgets its own.
            over_ = target == "/";
            return;
        }
        H5Ldelete(file_, place.c_str(), H5P_DEFAULT);
        if (kind < 6)
            H5Lcreate_soft(kind == 3 ? place.c_str() : target.c_str(), file_, place.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        else
            H5Lcreate_external(kind == 6 ? own_path_.c_str() : other.c_str(), target.c_str(), file_, place.c_str(), H5P_DEFAULT,
                               H5P_DEFAULT);
    }

    /// Virtual datasets of other files or of this one, themselves included.
    void replace_by_virtual(std::string const& place)
    {
        std::string const source = numbers_.below(2) ? place : object();
        std::string const from = numbers_.below(2) ? own_path_ : std::string{numbers_.below(2) ? "." : "/dev/zero"};
        h5::Handle const old{H5Dopen2(file_, place.c_str(), H5P_DEFAULT), "open"};
        h5::Handle const kind{H5Dget_type(old.id()), "type"};
        h5::Handle const where = numbers_.below(2) ? h5::Handle{H5Dget_space(old.id()), "space"} : space(dims());
        h5::Handle const creation{H5Pcreate(H5P_DATASET_CREATE), "properties"};
        H5Pset_virtual(creation.id(), where.id(), from.c_str(), source.c_str(), where.id());
        H5Ldelete(file_, place.c_str(), H5P_DEFAULT);
        h5::Handle const made{H5Dcreate2(file_, place.c_str(), kind.id(), where.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                              "dataset"};
    }

    hid_t file_;
    Inventory const& inventory_;
    Numbers& numbers_;
    std::string own_path_;
    bool over_ = false;
};

} // namespace

} // namespace nuscan::fuzz

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    h5::QuietErrors const quiet;
    static std::array const surfaces = {fuzz::SurfaceKind::whole, fuzz::SurfaceKind::shard, fuzz::SurfaceKind::virtual_};
    static std::array const inventories = {fuzz::take_inventory(fuzz::surface_bytes(surfaces[0])),
                                           fuzz::take_inventory(fuzz::surface_bytes(surfaces[1])),
                                           fuzz::take_inventory(fuzz::surface_bytes(surfaces[2]))};
    fuzz::Numbers numbers{data, size};
    std::size_t const which = numbers.below(surfaces.size());
    fuzz::InputFile const place{fuzz::surface_bytes(surfaces[which])};
    {
        h5::Handle const access{H5Pcreate(H5P_FILE_ACCESS), "access"};
        H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
        H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110);
        h5::Handle const file{H5Fopen(place.path().c_str(), H5F_ACC_RDWR, access.id()), "open"};
        fuzz::Editor editor{file.id(), inventories[which], numbers, place.path().string()};
        constexpr int most_edits = 8;
        for (int i = 0; i < most_edits && !numbers.empty() && !editor.over(); ++i)
            try
            {
                editor.edit();
            }
            catch (h5::Error const&) // of the edit, not of the reader
            {
            }
    }
    fuzz::read_surface(place.path());
    return 0;
}
