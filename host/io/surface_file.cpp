#include "host/io/surface_file.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <new>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include <fmt/format.h>
#include <hdf5_hl.h>

#include "host/io/hdf5_file.hpp"
#include "host/support/error.hpp"
#include "host/support/open_files.hpp"
#include "host/support/sha256.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

using Dims = std::vector<std::int64_t>;

constexpr std::int64_t chunk_elements = 131072;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view edges_suffix = "_bin_edges";

constexpr char const* scale_name(AxisScale scale)
{
    return scale == AxisScale::log ? "log" : "linear";
}

Dims grid_dims(std::vector<AxisRecord> const& axes)
{
    Dims dims;
    for (AxisRecord const& axis : axes)
        dims.push_back(static_cast<std::int64_t>(axis.values.size()));
    return dims;
}

std::int64_t bins(RateRecord const& rate)
{
    return static_cast<std::int64_t>(rate.edges.size()) - 1;
}

/// Dimensions of rates in \p n bins.
Dims with_bins(Dims dims, std::int64_t n)
{
    dims.push_back(n);
    return dims;
}

Dims with_bins(Dims dims, RateRecord const& rate)
{
    return with_bins(std::move(dims), bins(rate));
}

std::string edges_name(RateRecord const& rate)
{
    return rate.experiment + std::string{edges_suffix};
}

/// A name that serves as a link: no path, nothing hidden in it.
bool is_link_name(std::string const& name)
{
    return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos;
}

/// Throws RunError if the layout cannot be stored.
void require_storable(SurfaceLayout const& layout)
{
    if (layout.axes.empty() || layout.axes.size() > static_cast<std::size_t>(max_axes))
        throw RunError{fmt::format("a surface of {} axes; 1 to {} are possible", layout.axes.size(), max_axes)};
    std::set<std::string> names = {"chi2", "status", "pulls", "rates"}; // taken in /grid
    for (AxisRecord const& axis : layout.axes)
    {
        if (!is_link_name(axis.name) || !names.insert(axis.name).second)
            throw RunError{fmt::format("'{}' cannot name an axis of the output file", axis.name)};
        if (axis.values.empty())
            throw RunError{fmt::format("axis '{}' has no values", axis.name)};
    }
    names.clear();
    for (std::string const& pull : layout.pulls)
        if (!is_link_name(pull) || !names.insert(pull).second)
            throw RunError{fmt::format("'{}' cannot name a pull of the output file", pull)};
    names.clear();
    for (RateRecord const& rate : layout.rates)
    {
        if (!is_link_name(rate.experiment) || !names.insert(rate.experiment).second || !names.insert(edges_name(rate)).second)
            throw RunError{fmt::format("'{}' cannot name rates of the output file", rate.experiment)};
        if (bins(rate) < 1)
            throw RunError{fmt::format("rates of '{}' have no bins", rate.experiment)};
    }
    std::int64_t const size = layout.size();
    for (RateRecord const& rate : layout.rates)
        if (!element_count(with_bins(grid_dims(layout.axes), rate)))
            throw RunError{fmt::format("too many points for rates of '{}'", rate.experiment)};
    IndexRange const range = layout.range;
    if (range.begin < 0 || range.end < range.begin || range.end > size)
        throw RunError{fmt::format("points [{}, {}) of a grid of {}", range.begin, range.end, size)};
}

/// Elements of a chunk, and elements after which chunks start anew: every chunk is a contiguous flat range.
std::pair<std::int64_t, std::int64_t> chunk_steps(Dims const& dims, Dims const& chunk)
{
    // The axis that is cut: whole ones inside it, single nodes outside.
    std::size_t cut = dims.size() - 1;
    while (cut > 0 && chunk[cut] == dims[cut])
        --cut;
    std::int64_t inner = 1;
    for (std::size_t a = cut + 1; a < dims.size(); ++a)
        inner *= dims[a];
    return {chunk[cut] * inner, dims[cut] * inner};
}

/// Indices of a flat one.
Dims node_of(Dims const& dims, std::int64_t flat)
{
    Dims node(dims.size());
    for (std::size_t a = dims.size(); a-- > 0; flat /= dims[a])
        node[a] = flat % dims[a];
    return node;
}

/// The chunks of a dataset that hold its elements [begin, end). Every chunk is a contiguous flat range; in the file they lie one behind the
/// other, each as HDF5 stores it: its elements, whole even where the grid ends before, and their checksum.
class ChunkRun
{
public:
    ChunkRun(Dims const& dims, std::int64_t begin, std::int64_t end, std::size_t element_bytes) : element_bytes_{element_bytes}
    {
        std::tie(step_, row_) = chunk_steps(dims, h5::chunk_shape(dims, chunk_elements));
        first_ = number(begin);
        size_ = end > begin ? number(end - 1) + 1 - first_ : 0;
    }

    std::int64_t step() const { return step_; }
    /// Number of chunks.
    std::int64_t size() const { return size_; }
    /// Bytes of a chunk.
    std::size_t chunk_bytes() const { return static_cast<std::size_t>(step_) * element_bytes_ + h5::checksum_bytes; }
    /// Bytes of all of them.
    std::uint64_t bytes() const { return static_cast<std::uint64_t>(size_) * chunk_bytes(); }

    /// First element of the chunk that \p element lies in.
    std::int64_t begin_of(std::int64_t element) const { return element / row_ * row_ + element % row_ / step_ * step_; }
    /// Behind its last one: only the last chunk of a row may be smaller than the others.
    std::int64_t end_of(std::int64_t element) const { return std::min(begin_of(element) + step_, element / row_ * row_ + row_); }
    /// First element of chunk \p i of the run.
    std::int64_t begin_of_chunk(std::int64_t i) const
    {
        std::int64_t const per_row = chunks_per_row();
        return (first_ + i) / per_row * row_ + (first_ + i) % per_row * step_;
    }
    /// Bytes from the beginning of the run to an element.
    std::uint64_t offset(std::int64_t element) const
    {
        return static_cast<std::uint64_t>(number(element) - first_) * chunk_bytes()
               + static_cast<std::uint64_t>(element - begin_of(element)) * element_bytes_;
    }

private:
    std::int64_t chunks_per_row() const { return (row_ + step_ - 1) / step_; }
    std::int64_t number(std::int64_t element) const { return element / row_ * chunks_per_row() + element % row_ / step_; }

    std::size_t element_bytes_;
    std::int64_t step_ = 1; ///< elements of a chunk
    std::int64_t row_ = 1;  ///< elements after which chunks start anew
    std::int64_t first_ = 0;
    std::int64_t size_ = 0;
};

/// Chunks of a dataset with \p per_point elements of each point that hold points of \p range.
ChunkRun chunks_of(Dims dims, IndexRange range, std::int64_t per_point, std::size_t element_bytes)
{
    return {dims, range.begin * per_point, range.end * per_point, element_bytes};
}

/// Bytes that the chunks of all datasets of a surface take.
std::uint64_t value_bytes(Dims const& dims, IndexRange range, std::size_t n_pulls, std::vector<std::int64_t> const& all_bins)
{
    std::uint64_t bytes = chunks_of(dims, range, 1, sizeof(std::uint8_t)).bytes()
                          + (1 + n_pulls) * chunks_of(dims, range, 1, sizeof(double)).bytes();
    for (std::int64_t const n : all_bins)
        bytes += chunks_of(with_bins(dims, n), range, n, sizeof(double)).bytes();
    return bytes;
}

/// A dataset of the grid that is filled in flat order. Its bytes in memory are those of the file.
template<class T>
class ChunkStream
{
    static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers");

public:
    /// \param run      its chunks, which are placed
    /// \param address  of them in the file
    /// \param fill     what stands in a chunk where nothing was computed
    /// \param begin    the first element
    ChunkStream(h5::File& file, ChunkRun const& run, std::uint64_t address, T fill, std::int64_t begin)
        : file_{&file}
        , run_{run}
        , address_{address}
        , fill_{fill}
        , position_{begin}
    {
    }

    /// Takes \p width elements at each of \p n places, \p stride apart.
    void append(std::int64_t n, T const* first, std::int64_t width, std::int64_t stride)
    {
        if (width == stride)
            take(first, n * width);
        else
            for (std::int64_t i = 0; i < n; ++i)
                take(first + i * stride, width);
        write_out();
    }

    /// Takes a whole chunk as it is stored, with \p n elements inside the grid.
    void append_stored(std::vector<T> const& chunk, std::int64_t n)
    {
        if (position_ != run_.begin_of(position_))
            throw h5::Error{"a stored chunk has to begin where a chunk does"};
        file_->write(address_ + run_.offset(position_), chunk.data(), run_.chunk_bytes());
        position_ += n;
    }

    /// Gives \p width elements to each of \p n places, \p stride apart, from element \p begin on, as they are in the file.
    void read(std::int64_t begin, std::int64_t n, T* first, std::int64_t width, std::int64_t stride) const
    {
        std::vector<T> elements;
        std::int64_t const end = begin + n * width;
        std::int64_t done = 0;
        while (begin < end)
        {
            std::int64_t const last = std::min(end, run_.end_of(begin));
            elements.resize(static_cast<std::size_t>(last - begin));
            file_->read(address_ + run_.offset(begin), elements.data(), elements.size() * sizeof(T));
            for (T const element : elements)
            {
                first[done / width * stride + done % width] = element;
                ++done;
            }
            begin = last;
        }
    }

    /// Completes the last chunk: behind the last element nothing was computed.
    void complete()
    {
        if (!buffer_.empty())
            store_chunk();
    }

private:
    void take(T const* values, std::int64_t n)
    {
        while (n > 0)
        {
            std::int64_t const begin = run_.begin_of(position_);
            std::int64_t const end = run_.end_of(position_);
            std::int64_t const some = std::min(n, end - position_);
            if (some == run_.step())
                store(values, 0, address_ + run_.offset(begin));
            else
            {
                if (buffer_.empty())
                {
                    buffer_.reserve(static_cast<std::size_t>(run_.step()));
                    buffer_.assign(static_cast<std::size_t>(position_ - begin), fill_);
                }
                buffer_.insert(buffer_.end(), values, values + some);
                if (position_ + some == end)
                    store_chunk();
            }
            position_ += some;
            values += some;
            n -= some;
        }
    }

    /// Brings what is in the buffer into the file: a chunk that is not complete.
    void write_out()
    {
        if (written_ == buffer_.size())
            return;
        std::uint64_t const address = address_ + run_.offset(run_.begin_of(position_));
        file_->write(address + written_ * sizeof(T), buffer_.data() + written_, (buffer_.size() - written_) * sizeof(T));
        written_ = buffer_.size();
    }

    /// Completes the chunk in the buffer. \p position_ is in it still, or behind the last element of the dataset.
    void store_chunk()
    {
        std::uint64_t const address = address_ + run_.offset(run_.begin_of(position_));
        buffer_.resize(static_cast<std::size_t>(run_.step()), fill_);
        store(buffer_.data(), written_, address);
        buffer_.clear();
        written_ = 0;
    }

    /// Writes a whole chunk, of which \p written elements are there.
    void store(T const* values, std::size_t written, std::uint64_t address)
    {
        std::size_t const bytes = static_cast<std::size_t>(run_.step()) * sizeof(T);
        file_->write(address + written * sizeof(T), values + written, bytes - written * sizeof(T));
        std::uint32_t const checksum = h5::checksum(values, bytes); // while the disk is at work
        file_->write(address + bytes, &checksum, sizeof checksum);
    }

    h5::File* file_;
    ChunkRun run_;
    std::uint64_t address_;
    T fill_;
    std::int64_t position_;   ///< flat index of the next element
    std::vector<T> buffer_;   ///< elements of its chunk so far
    std::size_t written_ = 0; ///< of these, how many are in the file
};

h5::Handle create_group(hid_t parent, std::string const& name, char const* nexus_class)
{
    h5::Handle group = h5::create_group(parent, name);
    h5::write_attribute(group.id(), "NX_class", nexus_class);
    return group;
}

std::vector<std::string> axis_names(SurfaceLayout const& layout)
{
    std::vector<std::string> names;
    for (AxisRecord const& axis : layout.axes)
        names.push_back(axis.name);
    return names;
}

h5::Handle write_axis(hid_t parent, AxisRecord const& axis)
{
    h5::Handle dataset = h5::write_values(parent, axis.name, axis.values);
    h5::write_attribute(dataset.id(), "units", axis.unit);
    h5::write_attribute(dataset.id(), "long_name", axis.long_name);
    h5::write_attribute(dataset.id(), "label", axis.label);
    h5::write_attribute(dataset.id(), "scale", scale_name(axis.scale));
    h5::check(H5DSset_scale(dataset.id(), axis.name.c_str()), "cannot make a dimension scale of " + axis.name);
    return dataset;
}

/// What makes h5web, silx and NeXpy plot the group unasked.
void write_plot_attributes(hid_t grid, SurfaceLayout const& layout)
{
    h5::write_attribute(grid, "signal", "chi2");
    h5::write_attribute(grid, "axes", axis_names(layout));
    std::string scales;
    for (std::size_t a = 0; a < layout.axes.size(); ++a)
    {
        h5::write_attribute(grid, layout.axes[a].name + "_indices", static_cast<std::int64_t>(a));
        scales += fmt::format("{}\"{}\"", a == 0 ? "" : ", ", scale_name(layout.axes[a].scale));
    }
    h5::write_attribute(grid, "SILX_style", fmt::format("{{\"axes_scale_types\": [{}]}}", scales));
}

void write_status_meanings(hid_t dataset)
{
    h5::write_attribute(dataset, "long_name", "status of the point");
    h5::write_attribute(dataset, "units", "1");
    h5::write_attribute(dataset, "enumeration", "0 ok, 1 ok by direct route, 2 not converged, 3 not finite, 255 not computed");
    h5::write_attribute(dataset, "flag_values", std::vector<std::uint8_t>{0, 1, 2, 3, status_not_computed});
    h5::write_attribute(dataset, "flag_meanings", "ok ok_direct not_converged not_finite not_computed"); // separated as in CF
}

void write_numbers(hid_t parent, std::string const& name, std::map<std::string, double> const& numbers)
{
    h5::Handle const group = create_group(parent, name, "NXcollection");
    for (auto const& [key, value] : numbers)
        h5::write_attribute(group.id(), key, value);
}

void write_point(hid_t parent, std::string const& name, PointRecord const& point)
{
    h5::Handle const group = create_group(parent, name, "NXcollection");
    h5::write_attribute(group.id(), "index", point.index);
    h5::write_attribute(group.id(), "chi2", point.chi2);
    write_numbers(group.id(), "parameters", point.parameters);
    write_numbers(group.id(), "pulls", point.pulls);
}

std::map<std::string, double> read_numbers(hid_t parent, std::string const& name)
{
    h5::Handle const group = h5::open_group(parent, name);
    std::map<std::string, double> numbers;
    for (std::string const& key : h5::attribute_names(group.id()))
        if (key != "NX_class")
            numbers[key] = h5::read_double(group.id(), key);
    return numbers;
}

PointRecord read_point(hid_t parent, std::string const& name)
{
    h5::Handle const group = h5::open_group(parent, name);
    PointRecord point;
    point.index = h5::read_int(group.id(), "index");
    point.chi2 = h5::read_double(group.id(), "chi2");
    point.parameters = read_numbers(group.id(), "parameters");
    point.pulls = read_numbers(group.id(), "pulls");
    return point;
}

/// Fields of SurfaceMeta that are attributes of /meta under their own name: \p visit gets name and member of each.
template<class Meta, class Visit>
void visit_meta(Meta& meta, Visit&& visit)
{
    visit("experiments", meta.experiments);
    visit("configuration_sha256", meta.configuration_sha256);
    visit("version", meta.version);
    visit("commit", meta.commit);
    visit("dirty", meta.dirty);
    visit("compiler", meta.compiler);
    visit("cuda", meta.cuda);
    visit("backend", meta.backend);
    visit("device", meta.device);
    visit("route", meta.route);
    visit("threads", meta.threads);
    visit("host", meta.host);
    visit("start_utc", meta.start_utc);
    visit("stop_utc", meta.stop_utc);
    visit("wall_time_s", meta.wall_time_s);
    visit("compute_time_s", meta.compute_time_s);
    visit("points_per_s", meta.points_per_s);
    visit("chi2_zero", meta.chi2_zero);
    visit("failed", meta.failed);
    visit("not_converged", meta.not_converged);
    visit("not_finite", meta.not_finite);
    visit("direct_fallback", meta.direct_fallback);
    visit("range_begin", meta.range.begin);
    visit("range_end", meta.range.end);
}

/// Fields that may be long and are datasets of /meta.
template<class Meta, class Visit>
void visit_texts(Meta& meta, Visit&& visit)
{
    visit("title", meta.title);
    visit("configuration", meta.configuration);
    visit("configuration_canonical", meta.configuration_canonical);
    visit("command_line", meta.command_line);
}

template<class Record, class Visit>
void visit_self_check(Record& record, Visit&& visit)
{
    visit("points", record.points);
    visit("worst", record.worst);
    visit("tolerance", record.tolerance);
    visit("passed", record.passed);
}

/// Writes members as attributes of an object.
struct AttributeWriter
{
    hid_t object;

    template<class T>
    void operator()(char const* name, T const& value) const
    {
        h5::write_attribute(object, name, value);
    }
    void operator()(char const* name, int value) const { h5::write_attribute(object, name, std::int64_t{value}); }
};

/// Reads members from attributes of an object.
struct AttributeReader
{
    hid_t object;

    void operator()(char const* name, std::string& value) const { value = h5::read_string(object, name); }
    void operator()(char const* name, std::vector<std::string>& value) const { value = h5::read_strings(object, name); }
    void operator()(char const* name, double& value) const { value = h5::read_double(object, name); }
    void operator()(char const* name, std::int64_t& value) const { value = h5::read_int(object, name); }
    void operator()(char const* name, bool& value) const { value = h5::read_bool(object, name); }
    void operator()(char const* name, int& value) const
    {
        std::int64_t const wide = h5::read_int(object, name);
        if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max())
            throw h5::Error{fmt::format("attribute '{}' of '{}' is {}, out of range", name, h5::object_name(object), wide)};
        value = static_cast<int>(wide);
    }
};

/// Adds members to a text that tells every one of their bits.
struct TextWriter
{
    std::string& text;

    void operator()(char const* name, std::string const& value) const
    {
        text += fmt::format("{}={}:{};", name, value.size(), value);
    }
    void operator()(char const* name, std::vector<std::string> const& values) const
    {
        text += fmt::format("{}={};", name, values.size());
        for (std::string const& value : values)
            (*this)(name, value);
    }
    void operator()(char const* name, double value) const
    {
        text += fmt::format("{}={:x};", name, std::bit_cast<std::uint64_t>(value));
    }
    void operator()(char const* name, std::int64_t value) const { text += fmt::format("{}={};", name, value); }
    void operator()(char const* name, int value) const { (*this)(name, std::int64_t{value}); }
    void operator()(char const* name, bool value) const { (*this)(name, std::int64_t{value}); }
};

constexpr char const* meta_digest_name = "sha256";

/// SHA-256 of what a file says of itself: unlike values, HDF5 keeps no checksum of it. Shards have digests of their own. These are the members
/// of schema 1.4 for ever: readers of that schema verify it in files of later ones, whose members need another digest.
std::string meta_digest(SurfaceMeta const& meta)
{
    std::string text;
    TextWriter const write{text};
    visit_meta(meta, write);
    visit_texts(meta, write);
    write("data_folder", meta.data_folder);
    write("working_folder", meta.working_folder);
    write("results_version", meta.results_version);
    write("shard_index", meta.shard_index);
    write("shard_count", meta.shard_count);
    write("file", meta.file);
    for (auto const& [file, hash] : meta.data_sha256)
    {
        write("data", file);
        write("sha256", hash);
    }
    visit_self_check(meta.self_check, write);
    return sha256(text);
}

/// Number of a shard as a name that sorts.
std::string shard_name(std::size_t number)
{
    return fmt::format("{:06}", number);
}

void write_meta(hid_t parent, std::string const& name, SurfaceMeta const& meta)
{
    h5::Handle const group = create_group(parent, name, "NXcollection");
    visit_meta(meta, AttributeWriter{group.id()});
    visit_texts(meta, [&](char const* text_name, std::string const& text) { h5::write_text(group.id(), text_name, text); });
    h5::write_text(group.id(), "data_folder", meta.data_folder);
    h5::write_text(group.id(), "working_folder", meta.working_folder);
    h5::write_attribute(group.id(), "results_version", std::int64_t{meta.results_version});
    if (meta.shard_count > 0)
    {
        h5::write_attribute(group.id(), "shard_index", meta.shard_index);
        h5::write_attribute(group.id(), "shard_count", meta.shard_count);
    }
    if (!meta.file.empty())
        h5::write_text(group.id(), "file", meta.file);
    h5::Handle const hashes = create_group(group.id(), "data_sha256", "NXcollection");
    for (auto const& [file, hash] : meta.data_sha256)
        h5::write_attribute(hashes.id(), file, hash);
    h5::Handle const check = create_group(group.id(), "self_check", "NXcollection");
    visit_self_check(meta.self_check, AttributeWriter{check.id()});
    h5::write_attribute(group.id(), meta_digest_name, meta_digest(meta));
    if (meta.shards.empty())
        return;
    h5::Handle const shards = create_group(group.id(), "shards", "NXcollection");
    for (std::size_t i = 0; i < meta.shards.size(); ++i)
        write_meta(shards.id(), shard_name(i + 1), meta.shards[i]);
}

SurfaceMeta read_meta(hid_t parent, std::string const& name, bool with_shards)
{
    SurfaceMeta meta;
    h5::Handle const group = h5::open_group(parent, name);
    visit_meta(meta, AttributeReader{group.id()});
    visit_texts(meta, [&](char const* text_name, std::string& text) { text = h5::read_text(group.id(), text_name); });
    if (h5::exists(group.id(), "data_folder")) // since schema 1.1
        meta.data_folder = h5::read_text(group.id(), "data_folder");
    // Since schema 1.3:
    AttributeReader const reader{group.id()};
    if (h5::exists(group.id(), "working_folder"))
        meta.working_folder = h5::read_text(group.id(), "working_folder");
    if (h5::has_attribute(group.id(), "results_version"))
        reader("results_version", meta.results_version);
    if (h5::has_attribute(group.id(), "shard_count"))
    {
        reader("shard_index", meta.shard_index);
        reader("shard_count", meta.shard_count);
    }
    if (h5::exists(group.id(), "file"))
        meta.file = h5::read_text(group.id(), "file");
    h5::Handle const hashes = h5::open_group(group.id(), "data_sha256");
    for (std::string const& file : h5::attribute_names(hashes.id()))
        if (file != "NX_class")
            meta.data_sha256[file] = h5::read_string(hashes.id(), file);
    h5::Handle const check = h5::open_group(group.id(), "self_check");
    visit_self_check(meta.self_check, AttributeReader{check.id()});
    // Since schema 1.4:
    if (h5::has_attribute(group.id(), meta_digest_name) && h5::read_string(group.id(), meta_digest_name) != meta_digest(meta))
        throw h5::Error{fmt::format("what '{}' says is not what was written there (checksum)", h5::object_name(group.id()))};
    if (with_shards && h5::exists(group.id(), "shards"))
    {
        h5::Handle const shards = h5::open_group(group.id(), "shards");
        for (std::string const& shard : h5::child_names(shards.id()))
            meta.shards.push_back(read_meta(shards.id(), shard, false));
    }
    return meta;
}

void require_schema(hid_t root)
{
    if (!h5::has_attribute(root, "schema_major"))
        throw h5::Error{"no attribute 'schema_major' of '/': not a surface written by nuscan"};
    std::int64_t const major = h5::read_int(root, "schema_major");
    std::int64_t const minor = h5::read_int(root, "schema_minor");
    if (major != schema_major)
        throw h5::Error{fmt::format("schema {}.{}; this program reads {}.x", major, minor, schema_major)};
}

/// Names listed in attribute `order` of a group; each a link of its own.
std::vector<std::string> read_order(hid_t group)
{
    std::vector<std::string> names = h5::read_strings(group, "order");
    std::set<std::string> seen;
    for (std::string const& name : names)
        if (!is_link_name(name) || !seen.insert(name).second)
            throw h5::Error{
                fmt::format("attribute 'order' of '{}' holds '{}': empty, repeated or no name", h5::object_name(group), name)};
    return names;
}

AxisRecord read_axis(h5::File const& file, hid_t axes, std::string const& name)
{
    h5::Handle const dataset = h5::open_dataset(axes, name);
    AxisRecord axis;
    axis.name = name;
    axis.values = h5::read_values(file, dataset.id());
    axis.unit = h5::read_string(dataset.id(), "units");
    axis.long_name = h5::read_string(dataset.id(), "long_name");
    axis.label = h5::read_string(dataset.id(), "label");
    std::string const scale = h5::read_string(dataset.id(), "scale");
    if (scale != scale_name(AxisScale::linear) && scale != scale_name(AxisScale::log))
        throw h5::Error{fmt::format("attribute 'scale' of '/axes/{}' is '{}'; valid: linear, log", name, scale)};
    axis.scale = scale == scale_name(AxisScale::log) ? AxisScale::log : AxisScale::linear;
    return axis;
}

void require_shape(hid_t dataset, Dims const& expected)
{
    Dims const found = h5::shape(dataset);
    if (found != expected)
        throw h5::Error{fmt::format("'{}' has shape {}, the axes make {}", h5::object_name(dataset), h5::shape_text(found),
                                    h5::shape_text(expected))};
}

} // namespace

std::int64_t SurfaceLayout::size() const
{
    auto const points = element_count(grid_dims(axes));
    if (!points)
        throw RunError{"the grid has more points than a 64-bit number counts"};
    return *points;
}

std::uint64_t surface_bytes(std::vector<std::int64_t> const& shape, IndexRange range, std::size_t n_pulls,
                            std::vector<std::int64_t> const& bins)
{
    // HDF5 lists the chunks of the whole grid: address, size and mask of filters.
    constexpr std::uint64_t index_entry = 20;
    constexpr std::uint64_t provenance = std::uint64_t{1} << 20;
    std::uint64_t bytes = value_bytes(shape, range, n_pulls, bins) + provenance;
    IndexRange whole{0, 1};
    for (std::int64_t const n : shape)
    {
        bytes += static_cast<std::uint64_t>(n) * sizeof(double); // the axis
        whole.end *= n;
    }
    auto const index_of = [](ChunkRun const& run) { return index_entry * static_cast<std::uint64_t>(run.size()); };
    bytes += (2 + n_pulls) * index_of(chunks_of(shape, whole, 1, sizeof(double)));
    for (std::int64_t const n : bins)
        bytes += index_of(chunks_of(with_bins(shape, n), whole, n, sizeof(double)));
    return bytes;
}

std::int64_t surface_chunk_points(std::vector<std::int64_t> const& shape)
{
    return chunk_steps(shape, h5::chunk_shape(shape, chunk_elements)).first;
}

std::int64_t surface_chunk_begin(std::vector<std::int64_t> const& shape, std::int64_t point)
{
    auto const [step, row] = chunk_steps(shape, h5::chunk_shape(shape, chunk_elements));
    return point / row * row + point % row / step * step;
}

std::int64_t surface_chunk_end(std::vector<std::int64_t> const& shape, std::int64_t point)
{
    auto const [step, row] = chunk_steps(shape, h5::chunk_shape(shape, chunk_elements));
    return std::min(surface_chunk_begin(shape, point) + step, point / row * row + row);
}

// --- writer ---------------------------------------------------------------------------------------------------------------------

struct SurfaceWriter::Impl
{
    fs::path path;
    SurfaceLayout layout;
    std::vector<SurfacePart> parts; ///< of a virtual surface
    std::int64_t next = 0;          ///< flat index of the next point
    h5::File file;
    std::vector<h5::Handle> axes;
    std::vector<h5::Handle> datasets;               ///< all of the grid, chi^2 first
    std::uint64_t place = h5::File::reserved_begin; ///< of the next dataset's chunks
    // Not for a virtual surface:
    std::optional<ChunkStream<double>> chi2;
    std::optional<ChunkStream<std::uint8_t>> status;
    std::vector<ChunkStream<double>> pulls;
    std::vector<ChunkStream<double>> rates;

    Impl(fs::path to, SurfaceLayout what, std::vector<SurfacePart> where, Existing existing)
        : path{std::move(to)}
        , layout{std::move(what)}
        , parts{std::move(where)}
        , next{parts.empty() ? layout.range.begin : layout.range.end}
        , file{h5::File::create(path, existing == Existing::keep)}
    {
        create();
        file.check_disk();
    }

    /// Creates a dataset of the grid. \param add  takes what constructs its stream
    template<class T, class Add>
    h5::Handle const& create_values(hid_t parent, std::string const& name, Dims const& dims, T fill, Add&& add)
    {
        std::int64_t const per_point = *element_count(dims) / layout.size(); // rates have a last dimension of bins
        if (parts.empty())
        {
            h5::Handle dataset = h5::create_dataset(parent, name, dims, h5::chunk_shape(dims, chunk_elements), fill);
            ChunkRun const chunks = chunks_of(dims, layout.range, per_point, sizeof(T));
            for (std::int64_t i = 0; i < chunks.size(); ++i)
                file.place_chunk(dataset.id(), node_of(dims, chunks.begin_of_chunk(i)), chunks.chunk_bytes(),
                                 place + static_cast<std::uint64_t>(i) * chunks.chunk_bytes());
            add(file, chunks, place, fill, layout.range.begin * per_point);
            place += chunks.bytes();
            return datasets.emplace_back(std::move(dataset));
        }
        std::vector<h5::VirtualSource> sources;
        for (SurfacePart const& part : parts)
            sources.push_back({part.file, part.range.begin * per_point, part.range.end * per_point});
        return datasets.emplace_back(h5::create_virtual_dataset(parent, name, dims, sources, fill));
    }

    void create()
    {
        if (parts.empty())
        {
            std::vector<std::int64_t> all_bins;
            for (RateRecord const& rate : layout.rates)
                all_bins.push_back(bins(rate));
            file.reserve(value_bytes(grid_dims(layout.axes), layout.range, layout.pulls.size(), all_bins));
        }
        hid_t const root = file.id();
        h5::write_attribute(root, "NX_class", "NXroot");
        h5::write_attribute(root, "default", "grid");
        h5::write_attribute(root, "creator", "nuscan");
        h5::write_attribute(root, "schema_major", std::int64_t{schema_major});
        h5::write_attribute(root, "schema_minor", std::int64_t{schema_minor});

        h5::Handle const axis_group = create_group(root, "axes", "NXcollection");
        h5::write_attribute(axis_group.id(), "order", axis_names(layout));
        h5::Handle const grid = create_group(root, "grid", "NXdata");
        write_plot_attributes(grid.id(), layout);
        for (AxisRecord const& axis : layout.axes)
        {
            axes.push_back(write_axis(axis_group.id(), axis));
            h5::check(H5Lcreate_hard(axis_group.id(), axis.name.c_str(), grid.id(), axis.name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
                      "cannot link axis " + axis.name);
        }

        Dims const dims = grid_dims(layout.axes);
        auto const& values = create_values(grid.id(), "chi2", dims, not_a_number,
                                           [&](auto&&... stream) { chi2.emplace(stream...); });
        attach_axes(values);
        h5::write_attribute(values.id(), "units", "1");
        h5::write_attribute(values.id(), "long_name", "chi^2");

        auto const& flags = create_values(grid.id(), "status", dims, status_not_computed,
                                          [&](auto&&... stream) { status.emplace(stream...); });
        attach_axes(flags);
        write_status_meanings(flags.id());

        create_pulls(grid.id(), dims);
        create_rates(grid.id(), dims);
    }

    void create_pulls(hid_t grid, Dims const& dims)
    {
        if (layout.pulls.empty())
            return;
        h5::Handle const group = create_group(grid, "pulls", "NXcollection");
        h5::write_attribute(group.id(), "order", layout.pulls);
        for (std::string const& name : layout.pulls)
        {
            auto const& dataset = create_values(group.id(), name, dims, not_a_number,
                                                [&](auto&&... stream) { pulls.emplace_back(stream...); });
            attach_axes(dataset);
            h5::write_attribute(dataset.id(), "units", "1");
            h5::write_attribute(dataset.id(), "long_name", "pull " + name);
        }
    }

    void create_rates(hid_t grid, Dims const& dims)
    {
        if (layout.rates.empty())
            return;
        h5::Handle const group = create_group(grid, "rates", "NXcollection");
        std::vector<std::string> names;
        for (RateRecord const& rate : layout.rates)
        {
            names.push_back(rate.experiment);
            auto const& values = create_values(group.id(), rate.experiment, with_bins(dims, rate), not_a_number,
                                               [&](auto&&... stream) { rates.emplace_back(stream...); });
            attach_axes(values);
            hid_t const dataset = values.id();
            h5::check(H5DSset_label(dataset, static_cast<unsigned>(dims.size()), "bin"), "cannot label a dimension");
            h5::write_attribute(dataset, "units", rate.unit);
            h5::write_attribute(dataset, "long_name", "signal before pulls, " + rate.experiment);
            h5::write_attribute(dataset, "bin_edges", edges_name(rate));
            h5::Handle const edges = h5::write_values(group.id(), edges_name(rate), rate.edges);
            h5::write_attribute(edges.id(), "units", "keV");
            h5::write_attribute(edges.id(), "long_name", "edges of the bins in reconstructed energy, " + rate.experiment);
        }
        h5::write_attribute(group.id(), "order", names);
    }

    void attach_axes(h5::Handle const& dataset)
    {
        for (std::size_t a = 0; a < axes.size(); ++a)
            h5::check(H5DSattach_scale(dataset.id(), axes[a].id(), static_cast<unsigned>(a)), "cannot attach a dimension scale");
    }

    /// Calls \p action with each stream and its values: the first, how many of a point, and how far apart points are.
    template<class Action, class Value, class Status>
    void each_stream(Value* chi2_values, Status* status_values, Value* pull_values, Value* rate_values, Action&& action)
    {
        action(*chi2, chi2_values, 1, 1);
        action(*status, status_values, 1, 1);
        auto const n_pulls = static_cast<std::int64_t>(pulls.size());
        for (std::int64_t i = 0; i < n_pulls; ++i)
            action(pulls[static_cast<std::size_t>(i)], pull_values + i, 1, n_pulls);
        std::int64_t all_bins = 0;
        for (RateRecord const& rate : layout.rates)
            all_bins += bins(rate);
        std::int64_t first = 0;
        for (std::size_t i = 0; i < rates.size(); ++i)
        {
            action(rates[i], rate_values + first, bins(layout.rates[i]), all_bins);
            first += bins(layout.rates[i]);
        }
    }

    void append(std::int64_t n, double const* chi2_values, std::uint8_t const* status_values, double const* pull_values,
                double const* rate_values)
    {
        if (n < 0 || n > layout.range.end - next)
            throw h5::Error{
                fmt::format("{} points after {} of the {} that it was to hold", n, next - layout.range.begin, layout.range.size())};
        if (n == 0) // the arrays may be null
            return;
        each_stream(chi2_values, status_values, pull_values, rate_values,
                    [n](auto& stream, auto const* values, std::int64_t width, std::int64_t stride) {
                        stream.append(n, values, width, stride);
                    });
        next += n;
        file.check_disk();
    }

    void append(StoredChunk const& chunk)
    {
        if (chunk.range.begin != next || chunk.range.end > layout.range.end || !pulls.empty() || !rates.empty())
            throw h5::Error{
                fmt::format("a stored chunk of points [{}, {}) does not belong at {}", chunk.range.begin, chunk.range.end, next)};
        chi2->append_stored(chunk.chi2, chunk.range.size());
        status->append_stored(chunk.status, chunk.range.size());
        next = chunk.range.end;
        file.check_disk();
    }

    void flush()
    {
        file.write_out();
        file.check_disk();
    }

    void recover(IndexRange range, PointOutputs const& to)
    {
        if (range.begin < layout.range.begin || range.end > layout.range.end)
            throw h5::Error{fmt::format("points [{}, {}) are not in it", range.begin, range.end)};
        if (range.size() <= 0)
            return;
        each_stream(to.chi2, to.status, to.pulls, to.rates,
                    [range](auto const& stream, auto* values, std::int64_t width, std::int64_t stride) {
                        stream.read(range.begin * width, range.size(), values, width, stride);
                    });
    }

    void finish(SurfaceMeta meta, PointRecord const& best_fit, PointRecord const& null)
    {
        if (next < layout.range.end)
            throw h5::Error{fmt::format("{} points of {} are missing", layout.range.end - next, layout.range.size())};
        if (parts.empty())
        {
            chi2->complete();
            status->complete();
            for (auto* const streams : {&pulls, &rates})
                for (auto& stream : *streams)
                    stream.complete();
            flush();
        }
        hid_t const values = datasets.front().id();
        h5::write_attribute(values, "chi2_min", best_fit.chi2);
        h5::write_attribute(values, "chi2_sm", null.chi2);
        h5::write_attribute(values, "chi2_zero", meta.chi2_zero);
        write_point(file.id(), "best_fit", best_fit);
        write_point(file.id(), "null", null);
        meta.range = layout.range;
        write_meta(file.id(), "meta", meta);
        for (auto* const handles : {&datasets, &axes})
            for (h5::Handle& handle : *handles)
                handle.close("cannot write");
        file.close();
    }
};

namespace
{

/// Runs \p action; what goes wrong in the file becomes a RunError that names it.
template<class Action>
auto writing(fs::path const& path, Action&& action)
{
    try
    {
        return action();
    }
    catch (h5::Error const& e)
    {
        throw RunError{fmt::format("{}: {}", path.string(), e.what())};
    }
}

} // namespace

SurfaceWriter::SurfaceWriter(fs::path const& path, SurfaceLayout layout, std::vector<SurfacePart> parts, Existing existing)
{
    require_storable(layout);
    std::int64_t covered = 0;
    for (SurfacePart const& part : parts)
    {
        if (part.range.begin != covered || part.range.end <= covered)
            throw RunError{fmt::format("{}: its parts do not follow each other", path.string())};
        covered = part.range.end;
    }
    if (!parts.empty() && covered != layout.size())
        throw RunError{fmt::format("{}: its parts are not the whole grid", path.string())};
    h5::QuietErrors const quiet;
    writing(path, [&] { impl_ = std::make_unique<Impl>(path, std::move(layout), std::move(parts), existing); });
}

SurfaceWriter::~SurfaceWriter()
{
    h5::QuietErrors const quiet;
    impl_.reset();
}

// Values are written past HDF5: no need of QuietErrors.

void SurfaceWriter::append(std::int64_t n, double const* chi2, std::uint8_t const* status, double const* pulls, double const* rates)
{
    writing(impl_->path, [&] { impl_->append(n, chi2, status, pulls, rates); });
}

void SurfaceWriter::append(StoredChunk const& chunk)
{
    writing(impl_->path, [&] { impl_->append(chunk); });
}

void SurfaceWriter::flush()
{
    writing(impl_->path, [&] { impl_->flush(); });
}

void SurfaceWriter::when_written(std::function<void(int error)> done)
{
    writing(impl_->path, [&] { impl_->file.when_written(std::move(done)); });
}

RunError SurfaceWriter::write_error(int error) const
{
    return RunError{fmt::format("{}: {}", impl_->path.string(), h5::File::write_error(error).what())};
}

void SurfaceWriter::recover(IndexRange range, PointOutputs const& values) const
{
    h5::QuietErrors const quiet;
    writing(impl_->path, [&] { impl_->recover(range, values); });
}

void SurfaceWriter::finish(SurfaceMeta const& meta, PointRecord const& best_fit, PointRecord const& null)
{
    h5::QuietErrors const quiet;
    writing(impl_->path, [&] { impl_->finish(meta, best_fit, null); });
}

// --- reader ---------------------------------------------------------------------------------------------------------------------

struct SurfaceReader::Impl
{
    fs::path path;
    h5::File file;
    std::optional<h5::File> virtual_file; ///< the same one for the values of a virtual surface
    SurfaceLayout layout;
    SurfaceMeta meta;
    PointRecord best_fit;
    PointRecord null;
    h5::Handle grid;                                                        ///< values and edges
    std::map<std::string, std::vector<h5::VirtualTarget>> virtual_datasets; ///< by their paths

    /// \param part_of_virtual  it is a shard that a virtual surface refers to
    explicit Impl(fs::path const& from, bool part_of_virtual = false) : path{from}, file{h5::File::open(from)}
    {
        require_schema(file.id());
        meta = read_meta(file.id(), "meta", true);
        h5::Handle const axes = h5::open_group(file.id(), "axes");
        if (!meta.shards.empty() && !part_of_virtual)
        {
            allow_open_files(meta.shards.size()); // HDF5 keeps them open, and reads fill values where it cannot
            virtual_file.emplace(h5::File::open_for_virtual(path));
        }
        grid = h5::open_group(virtual_file ? virtual_file->id() : file.id(), "grid");
        std::vector<std::string> const names = read_order(axes.id());
        if (names.empty() || names.size() > static_cast<std::size_t>(max_axes))
            throw h5::Error{fmt::format("{} axes; 1 to {} are possible", names.size(), max_axes)};
        for (std::string const& name : names)
            layout.axes.push_back(read_axis(file, axes.id(), name));
        read_range();
        Dims const dims = grid_dims(layout.axes);
        require_doubles(open("chi2"), dims);
        h5::Handle const status = open("status");
        h5::require_byte(status.id());
        require_dataset(status, dims, sizeof(std::uint8_t));
        read_pulls(dims);
        read_rates(dims);
        best_fit = read_point(file.id(), "best_fit");
        null = read_point(file.id(), "null");
        if (part_of_virtual && !virtual_datasets.empty())
            throw h5::Error{fmt::format("'{}' keeps its values in other files", virtual_datasets.begin()->first)};
        if (!virtual_datasets.empty())
            require_shards();
    }

    /// HDF5 reads fill values where a file of a virtual dataset is missing, does not notice another one in its place, and never comes back
    /// from a dataset that refers to itself. Shards keep their values themselves, so that what they hold bounds what is read.
    void require_shards() const
    {
        std::int64_t next = layout.range.begin;
        std::set<std::string> files;
        for (SurfaceMeta const& shard : meta.shards)
        {
            fs::path const place = path.parent_path() / shard.file;
            if (shard.range.begin > next) // they may overlap
                throw h5::Error{fmt::format("its values are in shards, and none holds point {}", next)};
            next = std::max(next, shard.range.end);
            files.insert(shard.file);
            try
            {
                Impl const found{place, true};
                SurfaceMeta const& now = found.meta;
                if (now.configuration_sha256 != shard.configuration_sha256 || now.range.begin != shard.range.begin
                    || now.range.end != shard.range.end || now.start_utc != shard.start_utc || now.stop_utc != shard.stop_utc)
                    throw h5::Error{"is not the shard that was merged; merge again"};
            }
            catch (h5::Error const& e)
            {
                throw h5::Error{fmt::format("its values are in shards, and {}: {}", place.string(), e.what())};
            }
        }
        if (next < layout.range.end)
            throw h5::Error{fmt::format("its values are in shards, and none holds point {}", next)};
        for (auto const& [name, targets] : virtual_datasets)
            for (h5::VirtualTarget const& target : targets)
                if (target.dataset != name || !files.contains(target.file))
                    throw h5::Error{
                        fmt::format("'{}' refers to '{}' of '{}', which is no shard", name, target.dataset, target.file)};
    }

    h5::Handle open(std::string const& name) const { return h5::open_dataset(grid.id(), name); }

    h5::Handle open(std::string const& group, std::string const& name) const
    {
        return h5::open_dataset(h5::open_group(grid.id(), group).id(), name);
    }

    void read_range()
    {
        IndexRange const range = meta.range;
        std::int64_t const size = layout.size();
        if (range.begin < 0 || range.end < range.begin || range.end > size)
            throw h5::Error{fmt::format("'/meta' says points [{}, {}) of a grid of {}", range.begin, range.end, size)};
        layout.range = range;
    }

    /// Checks shape and, so that no file makes us allocate what it does not hold, size.
    void require_dataset(h5::Handle const& dataset, Dims const& dims, std::size_t element_size)
    {
        require_shape(dataset.id(), dims);
        std::int64_t const per_point = dims.size() > layout.axes.size() ? dims.back() : 1;
        if (h5::is_virtual(dataset.id()))
            virtual_datasets.emplace(h5::object_name(dataset.id()), h5::virtual_targets(dataset.id()));
        else
            h5::require_stored(file, dataset.id(), layout.range.size() * per_point, element_size);
    }

    void require_doubles(h5::Handle const& dataset, Dims const& dims)
    {
        h5::require_double(dataset.id());
        require_dataset(dataset, dims, sizeof(double));
    }

    void read_pulls(Dims const& dims)
    {
        if (!h5::exists(grid.id(), "pulls"))
            return;
        layout.pulls = read_order(h5::open_group(file.id(), "grid/pulls").id());
        for (std::string const& name : layout.pulls)
            require_doubles(open("pulls", name), dims);
    }

    void read_rates(Dims const& dims)
    {
        if (!h5::exists(grid.id(), "rates"))
            return;
        for (std::string const& name : read_order(h5::open_group(file.id(), "grid/rates").id()))
        {
            RateRecord rate;
            rate.experiment = name;
            h5::Handle const dataset = open("rates", name);
            rate.edges = h5::read_values(file, open("rates", edges_name(rate)).id());
            if (bins(rate) < 1)
                throw h5::Error{fmt::format("'/grid/rates/{}' has no bins", edges_name(rate))};
            require_doubles(dataset, with_bins(dims, rate));
            rate.unit = h5::read_string(file.id(), "grid/rates/" + name, "units");
            layout.rates.push_back(std::move(rate));
        }
    }

    template<class T>
    std::vector<T> values(h5::Handle const& dataset, Dims const& dims, IndexRange range) const
    {
        if (range.begin < layout.range.begin || range.end < range.begin || range.end > layout.range.end)
            throw h5::Error{fmt::format("points [{}, {}) are not in this file, which holds [{}, {})", range.begin, range.end,
                                        layout.range.begin, layout.range.end)};
        std::int64_t const per_point = dims.size() > layout.axes.size() ? dims.back() : 1;
        std::vector<T> all(static_cast<std::size_t>(range.size() * per_point));
        try
        {
            h5::read_flat(dataset.id(), dims, range.begin * per_point, range.end * per_point, all.data());
            if (virtual_file)
                virtual_file->check_sources();
        }
        catch (h5::Error const&)
        {
            find_bad_shard<T>(h5::object_name(dataset.id()), dims, range);
            throw;
        }
        return all;
    }

    /// Throws Error naming the shard of a virtual surface whose values cannot be read.
    template<class T>
    void find_bad_shard(std::string const& dataset, Dims const& dims, IndexRange range) const
    {
        for (SurfaceMeta const& shard : meta.shards)
        {
            IndexRange const part{std::max(range.begin, shard.range.begin), std::min(range.end, shard.range.end)};
            if (!virtual_datasets.contains(dataset) || part.size() <= 0)
                continue;
            fs::path const place = path.parent_path() / shard.file;
            try
            {
                Impl const found{place, true};
                found.values<T>(h5::open_dataset(found.file.id(), dataset), dims, part);
            }
            catch (h5::Error const& e)
            {
                throw h5::Error{fmt::format("its values are in shards, and {}: {}", place.string(), e.what())};
            }
        }
    }
};

namespace
{

/// Runs \p action; what is wrong with the file becomes an InputError that names it.
template<class Action>
auto reading(fs::path const& path, Action&& action)
{
    try
    {
        return action();
    }
    catch (h5::Error const& e)
    {
        throw InputError{fmt::format("{}: {}", path.string(), e.what())};
    }
    catch (std::bad_alloc const&)
    {
        throw InputError{fmt::format("{}: does not fit into memory", path.string())};
    }
    catch (RunError const& e) // of SurfaceLayout::size()
    {
        throw InputError{fmt::format("{}: {}", path.string(), e.what())};
    }
}

} // namespace

SurfaceReader::SurfaceReader(fs::path const& path)
{
    h5::QuietErrors const quiet;
    reading(path, [&] { impl_ = std::make_unique<Impl>(path); });
}

SurfaceReader::~SurfaceReader()
{
    h5::QuietErrors const quiet;
    impl_.reset();
}

SurfaceLayout const& SurfaceReader::layout() const
{
    return impl_->layout;
}

SurfaceMeta const& SurfaceReader::meta() const
{
    return impl_->meta;
}

PointRecord const& SurfaceReader::best_fit() const
{
    return impl_->best_fit;
}

PointRecord const& SurfaceReader::null() const
{
    return impl_->null;
}

std::vector<double> SurfaceReader::chi2(IndexRange range) const
{
    h5::QuietErrors const quiet;
    return reading(impl_->path, [&] { return impl_->values<double>(impl_->open("chi2"), grid_dims(impl_->layout.axes), range); });
}

std::vector<std::uint8_t> SurfaceReader::status(IndexRange range) const
{
    h5::QuietErrors const quiet;
    return reading(impl_->path,
                   [&] { return impl_->values<std::uint8_t>(impl_->open("status"), grid_dims(impl_->layout.axes), range); });
}

std::vector<double> SurfaceReader::pull(std::string const& name, IndexRange range) const
{
    h5::QuietErrors const quiet;
    return reading(impl_->path, [&] {
        auto const& pulls = impl_->layout.pulls;
        if (std::find(pulls.begin(), pulls.end(), name) == pulls.end())
            throw h5::Error{fmt::format("no pull '{}' stored", name)};
        return impl_->values<double>(impl_->open("pulls", name), grid_dims(impl_->layout.axes), range);
    });
}

bool SurfaceReader::is_virtual() const
{
    return !impl_->virtual_datasets.empty();
}

bool SurfaceReader::has_stored_chunks() const
{
    h5::QuietErrors const quiet;
    return reading(impl_->path, [&] {
        if (!impl_->layout.pulls.empty() || !impl_->layout.rates.empty())
            return false;
        Dims const chunk = h5::chunk_shape(grid_dims(impl_->layout.axes), chunk_elements);
        return h5::has_plain_chunks(impl_->open("chi2").id(), chunk) && h5::has_plain_chunks(impl_->open("status").id(), chunk)
               && h5::is_little_endian(impl_->open("chi2").id());
    });
}

void SurfaceReader::stored_chunk(IndexRange range, StoredChunk& chunk) const
{
    h5::QuietErrors const quiet;
    reading(impl_->path, [&] {
        Dims const dims = grid_dims(impl_->layout.axes);
        auto const n = static_cast<std::size_t>(*element_count(h5::chunk_shape(dims, chunk_elements)));
        chunk.range = range;
        h5::read_stored_chunk(impl_->open("chi2").id(), node_of(dims, range.begin), n, chunk.chi2);
        h5::read_stored_chunk(impl_->open("status").id(), node_of(dims, range.begin), n, chunk.status);
    });
}

std::vector<double> SurfaceReader::rates(std::string const& experiment, IndexRange range) const
{
    h5::QuietErrors const quiet;
    return reading(impl_->path, [&] {
        Dims const dims = grid_dims(impl_->layout.axes);
        for (RateRecord const& rate : impl_->layout.rates)
            if (rate.experiment == experiment)
                return impl_->values<double>(impl_->open("rates", experiment), with_bins(dims, rate), range);
        throw h5::Error{fmt::format("no rates of '{}' stored", experiment)};
    });
}

} // namespace nuscan
