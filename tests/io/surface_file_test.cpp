#include "host/io/surface_file.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/io/hdf5_file.hpp"
#include "host/support/error.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

/// HDF5 itself loses memory on damaged metadata.
extern "C" char const* __lsan_default_suppressions();
extern "C" char const* __lsan_default_suppressions()
{
    return "leak:libhdf5";
}

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

using Shape = std::vector<std::int64_t>;

// --- a surface whose values tell their place -----------------------------------------------------------------------------------

double chi2_at(std::int64_t i)
{
    return 0.5 + 1e-3 * static_cast<double>(i);
}

std::uint8_t status_at(std::int64_t i)
{
    return static_cast<std::uint8_t>(i % 4);
}

double pull_at(std::int64_t i, std::size_t pull)
{
    return 1e6 * static_cast<double>(pull + 1) + static_cast<double>(i);
}

double rate_at(std::int64_t i, std::int64_t bin)
{
    return static_cast<double>(i) + 1e-3 * static_cast<double>(bin);
}

SurfaceLayout make_layout(Shape const& shape)
{
    SurfaceLayout layout;
    std::int64_t size = 1;
    for (std::size_t a = 0; a < shape.size(); ++a)
    {
        AxisRecord axis;
        axis.name = "axis_" + std::to_string(a);
        axis.unit = "keV";
        axis.long_name = "long name " + std::to_string(a);
        axis.label = "$\\mu_{\\nu_e}$";
        axis.scale = a % 2 == 0 ? AxisScale::log : AxisScale::linear;
        for (std::int64_t i = 0; i < shape[a]; ++i)
            axis.values.push_back(1.0 + 0.1 * static_cast<double>(i) + static_cast<double>(a));
        layout.axes.push_back(axis);
        size *= shape[a];
    }
    layout.range = {0, size};
    return layout;
}

SurfaceMeta make_meta()
{
    SurfaceMeta meta;
    meta.title = "Vector mediator, χ² of \"everything\"";
    meta.experiments = {"xenonnt_sr0", "lz_2022"};
    meta.configuration = "[scan]\n# größer\n" + std::string(70000, 'x') + "\n";
    meta.configuration_canonical = "{\"scan\":{}}";
    meta.configuration_sha256 = std::string(64, 'a');
    meta.data_sha256 = {{"solar/pp.txt", "0123"}, {"/somewhere else/ä.txt", "4567"}};
    for (int i = 0; i < 20; ++i)
        meta.data_sha256["xenon/table_" + std::to_string(i) + ".txt"] = std::string(64, 'b');
    meta.data_folder = "/somewhere else/ä";
    meta.command_line = "nuscan scan grid.toml -o out.h5";
    meta.version = "0.1.0";
    meta.commit = "abc";
    meta.dirty = true;
    meta.compiler = "GCC 12";
    meta.cuda = "";
    meta.backend = "cpu";
    meta.device = "some device";
    meta.route = "factored";
    meta.threads = 7;
    meta.host = "node1";
    meta.start_utc = "2025-01-01T00:00:00Z";
    meta.stop_utc = "2025-01-01T00:00:01Z";
    meta.wall_time_s = 1.25;
    meta.compute_time_s = 1.0;
    meta.points_per_s = 1e6;
    meta.failed = false;
    meta.not_converged = 3;
    meta.not_finite = 4;
    meta.direct_fallback = 5;
    meta.self_check = {16, 1e-9, 1e-6, true};
    return meta;
}

PointRecord make_best_fit()
{
    return {2, {{"axis_0", 1.5}, {"axis_1", -2.5}}, 0.125, {{"beta", 0.1}}};
}

PointRecord make_null()
{
    return {-1, {}, 7.5, {{"beta", -0.2}}};
}

std::int64_t all_bins(SurfaceLayout const& layout)
{
    std::int64_t n = 0;
    for (RateRecord const& rate : layout.rates)
        n += static_cast<std::int64_t>(rate.edges.size()) - 1;
    return n;
}

void append_points(SurfaceWriter& writer, SurfaceLayout const& layout, std::int64_t begin, std::int64_t n)
{
    std::int64_t const n_bins = all_bins(layout);
    std::vector<double> chi2;
    std::vector<std::uint8_t> status;
    std::vector<double> pulls;
    std::vector<double> rates;
    for (std::int64_t i = begin; i < begin + n; ++i)
    {
        chi2.push_back(chi2_at(i));
        status.push_back(status_at(i));
        for (std::size_t p = 0; p < layout.pulls.size(); ++p)
            pulls.push_back(pull_at(i, p));
        for (std::int64_t b = 0; b < n_bins; ++b)
            rates.push_back(rate_at(i, b));
    }
    writer.append(n, chi2.data(), status.data(), pulls.empty() ? nullptr : pulls.data(), rates.empty() ? nullptr : rates.data());
}

/// Writes the points of the layout's range in runs of random length up to \p longest.
void write_surface(fs::path const& path, SurfaceLayout const& layout, std::int64_t longest = 1000, unsigned seed = 1)
{
    std::mt19937_64 random{seed};
    SurfaceWriter writer{path, layout};
    for (std::int64_t i = layout.range.begin; i < layout.range.end;)
    {
        std::int64_t const n = std::min(std::uniform_int_distribution<std::int64_t>{0, longest}(random), layout.range.end - i);
        append_points(writer, layout, i, n);
        i += n;
    }
    writer.finish(make_meta(), make_best_fit(), make_null());
}

void expect_values(SurfaceReader const& reader, IndexRange range)
{
    SurfaceLayout const& layout = reader.layout();
    auto const chi2 = reader.chi2(range);
    auto const status = reader.status(range);
    ASSERT_EQ(static_cast<std::int64_t>(chi2.size()), range.size());
    ASSERT_EQ(chi2.size(), status.size());
    std::size_t wrong = 0;
    for (std::size_t k = 0; k < chi2.size(); ++k)
    {
        std::int64_t const i = range.begin + static_cast<std::int64_t>(k);
        wrong += chi2[k] != chi2_at(i) || status[k] != status_at(i);
    }
    for (std::size_t p = 0; p < layout.pulls.size(); ++p)
    {
        auto const pull = reader.pull(layout.pulls[p], range);
        ASSERT_EQ(pull.size(), chi2.size());
        for (std::size_t k = 0; k < pull.size(); ++k)
            wrong += pull[k] != pull_at(range.begin + static_cast<std::int64_t>(k), p);
    }
    std::int64_t first = 0;
    for (RateRecord const& rate : layout.rates)
    {
        auto const values = reader.rates(rate.experiment, range);
        std::size_t const bins = rate.edges.size() - 1;
        ASSERT_EQ(values.size(), chi2.size() * bins);
        for (std::size_t k = 0; k < values.size(); ++k)
        {
            std::int64_t const i = range.begin + static_cast<std::int64_t>(k / bins);
            wrong += values[k] != rate_at(i, first + static_cast<std::int64_t>(k % bins));
        }
        first += static_cast<std::int64_t>(bins);
    }
    EXPECT_EQ(wrong, 0U) << "of points [" << range.begin << ", " << range.end << ")";
}

/// The range of a file, whole and in random parts.
void expect_all_values(fs::path const& path, unsigned seed = 1)
{
    SurfaceReader const reader{path};
    IndexRange const range = reader.layout().range;
    expect_values(reader, range);
    std::mt19937_64 random{seed};
    std::uniform_int_distribution<std::int64_t> any{range.begin, range.end};
    for (int i = 0; i < 20; ++i)
    {
        std::int64_t const a = any(random);
        std::int64_t const b = any(random);
        expect_values(reader, {std::min(a, b), std::max(a, b)});
    }
}

SurfaceLayout with_pulls_and_rates(SurfaceLayout layout)
{
    layout.pulls = {"beta", "alpha_2", "a third"};
    layout.rates = {{"xenonnt_sr0", "1/(t yr)", {1.0, 2.0, 3.0, 5.0}}, {"lz_2022", "events", {0.5, 1.5}}};
    return layout;
}

// --- files changed by hand -----------------------------------------------------------------------------------------------------

std::string read_file(fs::path const& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// Changes a file through HDF5.
void change(fs::path const& path, std::function<void(hid_t)> const& action)
{
    h5::Handle const file{H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), "open"};
    action(file.id());
}

void replace_attribute(hid_t file, char const* object, char const* name, std::function<void(hid_t)> const& write)
{
    h5::Handle const place{H5Oopen(file, object, H5P_DEFAULT), "open"};
    h5::check(H5Adelete(place.id(), name), "delete");
    write(place.id());
}

void replace_integer(hid_t file, char const* object, char const* name, std::int64_t value)
{
    replace_attribute(file, object, name, [&](hid_t place) { h5::write_attribute(place, name, value); });
}

/// Replaces a dataset by another of that type and shape, of which nothing is stored.
void replace_dataset(hid_t file, char const* name, hid_t type, std::vector<hsize_t> const& dims)
{
    h5::check(H5Ldelete(file, name, H5P_DEFAULT), "delete");
    auto const rank = static_cast<int>(dims.size());
    h5::Handle const space{H5Screate_simple(rank, dims.data(), nullptr), "space"};
    h5::Handle const creation{H5Pcreate(H5P_DATASET_CREATE), "properties"};
    std::vector<hsize_t> chunk;
    for (hsize_t const n : dims)
        chunk.push_back(std::min<hsize_t>(n, 8));
    h5::check(H5Pset_chunk(creation.id(), rank, chunk.data()), "chunk");
    h5::Handle const dataset{H5Dcreate2(file, name, type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), "dataset"};
}

/// Offset in the file of the first chunk of a dataset.
std::size_t chunk_offset(fs::path const& path, char const* name)
{
    h5::Handle const file{H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "open"};
    h5::Handle const dataset{H5Dopen2(file.id(), name, H5P_DEFAULT), "open"};
    h5::Handle const space{H5Dget_space(dataset.id()), "space"};
    hsize_t place[H5S_MAX_RANK] = {};
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    h5::check(H5Dget_chunk_info(dataset.id(), space.id(), 0, place, &mask, &address, &size), "chunk");
    return static_cast<std::size_t>(address);
}

hsize_t stored_bytes(fs::path const& path, char const* name)
{
    h5::Handle const file{H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "open"};
    h5::Handle const dataset{H5Dopen2(file.id(), name, H5P_DEFAULT), "open"};
    return H5Dget_storage_size(dataset.id());
}

void expect_refused(fs::path const& path, std::initializer_list<std::string_view> parts)
{
    expect_input_error([&] { SurfaceReader const reader{path}; }, parts);
    try
    {
        SurfaceReader const reader{path};
    }
    catch (InputError const& e)
    {
        std::string_view const message = e.what();
        EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
        EXPECT_EQ(message.find('\n'), message.npos) << message;
        EXPECT_LT(message.size(), path.string().size() + 300) << message;
    }
}

template<class Action>
void expect_run_error(Action&& action, std::initializer_list<std::string_view> parts)
{
    try
    {
        action();
        ADD_FAILURE() << "no RunError";
    }
    catch (RunError const& e)
    {
        for (std::string_view const part : parts)
            EXPECT_NE(std::string_view{e.what()}.find(part), std::string_view::npos)
                << "message: " << e.what() << "\nwithout: " << part;
    }
}

class SurfaceFile : public testing::Test
{
protected:
    /// A small surface of 5 x 7 points, always the same: written once, for a writer waits for the disk.
    void write_small()
    {
        if (small_.empty())
        {
            write_surface(path, with_pulls_and_rates(make_layout({5, 7})), 9);
            small_ = read_file(path);
        }
        dir.write(path.filename(), small_);
    }

    TempDir dir;
    fs::path path = dir.path() / "surface.h5";

private:
    std::string small_;
};

class SurfaceShape : public testing::TestWithParam<Shape>
{
protected:
    TempDir dir;
    fs::path path = dir.path() / "surface.h5";
};

// --- round trips ---------------------------------------------------------------------------------------------------------------

TEST_P(SurfaceShape, ReadsWhatWasWritten)
{
    SurfaceLayout const layout = make_layout(GetParam());
    std::int64_t const size = layout.size();
    for (std::int64_t const longest : {size, size / 3 + 1, std::max<std::int64_t>(size / 200, 2)})
    {
        write_surface(path, layout, longest);
        expect_all_values(path);
    }

    SurfaceReader const reader{path};
    ASSERT_EQ(reader.layout().axes.size(), layout.axes.size());
    for (std::size_t a = 0; a < layout.axes.size(); ++a)
    {
        AxisRecord const& axis = reader.layout().axes[a];
        EXPECT_EQ(axis.name, layout.axes[a].name);
        EXPECT_EQ(axis.unit, layout.axes[a].unit);
        EXPECT_EQ(axis.long_name, layout.axes[a].long_name);
        EXPECT_EQ(axis.label, layout.axes[a].label);
        EXPECT_EQ(axis.scale, layout.axes[a].scale);
        EXPECT_EQ(axis.values, layout.axes[a].values);
    }
    EXPECT_EQ(reader.layout().size(), size);
    EXPECT_EQ(reader.layout().range.begin, 0);
    EXPECT_EQ(reader.layout().range.end, size);
    EXPECT_TRUE(reader.layout().pulls.empty());
    EXPECT_TRUE(reader.layout().rates.empty());
}

TEST_P(SurfaceShape, BytesAreThoseOfTheFile)
{
    constexpr std::uint64_t provenance = std::uint64_t{1}
                                         << 20; // what comes on top for it, of which the file has as much as it has
    SurfaceLayout layout = make_layout(GetParam());
    std::int64_t const size = layout.size();
    for (bool const with_all : {false, true})
    {
        if (with_all)
            layout = with_pulls_and_rates(layout);
        std::vector<std::int64_t> bins;
        for (RateRecord const& rate : layout.rates)
            bins.push_back(static_cast<std::int64_t>(rate.edges.size()) - 1);
        for (IndexRange const range : {IndexRange{0, size}, IndexRange{size / 3, size / 3 + std::min<std::int64_t>(size / 2, 7)}})
        {
            layout.range = range;
            write_surface(path, layout, size);
            std::uint64_t const bytes = surface_bytes(GetParam(), range, layout.pulls.size(), bins);
            EXPECT_GE(bytes, fs::file_size(path)) << range.size() << " points";
            EXPECT_LE(bytes, fs::file_size(path) + provenance) << range.size() << " points";
        }
    }
}

TEST_P(SurfaceShape, ShardsTogetherHoldTheGrid)
{
    SurfaceLayout layout = make_layout(GetParam());
    std::int64_t const size = layout.size();
    constexpr int shards = 3;
    for (int k = 0; k < shards; ++k)
    {
        layout.range = {size * k / shards, size * (k + 1) / shards};
        write_surface(path, layout, size / 20 + 1, static_cast<unsigned>(k));
        expect_all_values(path);

        // What a shard does not hold reads as fill value.
        h5::File const file = h5::File::open(path);
        h5::Handle const grid = h5::open_group(file.id(), "grid");
        std::vector<double> chi2(static_cast<std::size_t>(size));
        std::vector<std::uint8_t> status(chi2.size());
        h5::read_flat(h5::open_dataset(grid.id(), "chi2").id(), GetParam(), 0, size, chi2.data());
        h5::read_flat(h5::open_dataset(grid.id(), "status").id(), GetParam(), 0, size, status.data());
        std::size_t wrong = 0;
        for (std::int64_t i = 0; i < size; ++i)
        {
            bool const mine = i >= layout.range.begin && i < layout.range.end;
            auto const at = static_cast<std::size_t>(i);
            wrong += mine ? chi2[at] != chi2_at(i) : !std::isnan(chi2[at]);
            wrong += status[at] != (mine ? status_at(i) : status_not_computed);
        }
        EXPECT_EQ(wrong, 0U) << "shard " << k;
    }
}

/// Points of a range as an unfinished writer left them, in the file of \p writer.
struct Recovered
{
    std::vector<double> chi2;
    std::vector<std::uint8_t> status;
    std::vector<double> pulls;
    std::vector<double> rates;

    Recovered(SurfaceWriter const& writer, SurfaceLayout const& layout, IndexRange range)
    {
        auto const n = static_cast<std::size_t>(range.size());
        // Whatever is not given back stays this number, which no point has.
        constexpr double nothing = -1.0;
        chi2.assign(n, nothing);
        status.assign(n, 0xEE);
        pulls.assign(n * layout.pulls.size(), nothing);
        rates.assign(n * static_cast<std::size_t>(all_bins(layout)), nothing);
        writer.recover(range, {chi2.data(), status.data(), pulls.data(), rates.data()});
    }
};

/// Points of a range, as append_points() appends them, that an unfinished writer did not leave in the file of \p writer.
std::size_t lost_points(SurfaceWriter const& writer, SurfaceLayout const& layout, IndexRange range)
{
    Recovered const found{writer, layout, range};
    auto const bins = static_cast<std::size_t>(all_bins(layout));
    std::size_t const n_pulls = layout.pulls.size();
    std::size_t lost = 0;
    for (std::size_t k = 0; k < found.chi2.size(); ++k)
    {
        std::int64_t const i = range.begin + static_cast<std::int64_t>(k);
        bool good = found.chi2[k] == chi2_at(i) && found.status[k] == status_at(i);
        for (std::size_t p = 0; p < n_pulls; ++p)
            good = good && found.pulls[k * n_pulls + p] == pull_at(i, p);
        for (std::size_t b = 0; b < bins; ++b)
            good = good && found.rates[k * bins + b] == rate_at(i, static_cast<std::int64_t>(b));
        lost += good ? 0 : 1;
    }
    return lost;
}

/// Waits for all that was appended, in one of two ways.
void flush(SurfaceWriter& writer, bool told)
{
    if (!told)
    {
        writer.flush();
        return;
    }
    std::promise<int> written;
    writer.when_written([&](int error) { written.set_value(error); });
    EXPECT_EQ(written.get_future().get(), 0);
}

TEST_P(SurfaceShape, AnUnfinishedWriterLeavesItsPointsToTheNext)
{
    std::mt19937_64 random{5};
    std::int64_t const size = make_layout(GetParam()).size();
    for (bool const with_all : {false, true})
    {
        SurfaceLayout layout = make_layout(GetParam());
        if (with_all)
            layout = with_pulls_and_rates(layout);
        for (IndexRange const range : {IndexRange{0, size}, IndexRange{size / 3, size - size / 4}})
        {
            layout.range = range;
            // In three runs, each cut off somewhere; the last one finishes.
            std::int64_t done = range.begin;
            for (int run = 0; run < 3; ++run)
            {
                SurfaceWriter writer{path, layout, {}, run == 0 ? SurfaceWriter::Existing::discard : SurfaceWriter::Existing::keep};
                std::int64_t const cut = run == 2 ? range.end
                                                  : std::uniform_int_distribution<std::int64_t>{done, range.end}(random);
                EXPECT_EQ(lost_points(writer, layout, {range.begin, done}), 0U) << "run " << run;
                // What was there is appended again, in other pieces than before.
                for (std::int64_t i = range.begin; i < cut;)
                {
                    std::int64_t const n = std::min(std::uniform_int_distribution<std::int64_t>{1, size / 5 + 1}(random), cut - i);
                    append_points(writer, layout, i, n);
                    i += n;
                }
                done = cut;
                if (run == 2)
                    writer.finish(make_meta(), make_best_fit(), make_null());
                else
                    flush(writer, run == 0);
            }
            expect_all_values(path);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SurfaceShape,
                         testing::Values(Shape{1}, Shape{17}, Shape{300001}, Shape{1, 1}, Shape{13, 29}, Shape{37, 5003},
                                         Shape{2, 140001}, Shape{5, 7, 11}, Shape{3, 401, 301}, Shape{7, 1, 5, 3},
                                         Shape{2, 3, 251, 401}));

TEST_F(SurfaceFile, KeepsPullsAndRates)
{
    SurfaceLayout layout = with_pulls_and_rates(make_layout({211, 331}));
    write_surface(path, layout, 20000);
    expect_all_values(path);
    {
        SurfaceReader const reader{path};
        EXPECT_EQ(reader.layout().pulls, layout.pulls);
        ASSERT_EQ(reader.layout().rates.size(), layout.rates.size());
        for (std::size_t i = 0; i < layout.rates.size(); ++i)
        {
            EXPECT_EQ(reader.layout().rates[i].experiment, layout.rates[i].experiment);
            EXPECT_EQ(reader.layout().rates[i].unit, layout.rates[i].unit);
            EXPECT_EQ(reader.layout().rates[i].edges, layout.rates[i].edges);
        }
        expect_input_error([&] { reader.pull("gamma", {0, 1}); }, {path.string(), "no pull 'gamma'"});
        expect_input_error([&] { reader.rates("gamma", {0, 1}); }, {path.string(), "no rates of 'gamma'"});
    }

    layout.range = {12345, 54321};
    write_surface(path, layout, 20000);
    expect_all_values(path);
}

TEST_F(SurfaceFile, EveryDatasetSaysWhatItIs)
{
    // Viewers label with long_name and units.
    write_surface(path, with_pulls_and_rates(make_layout({3, 4})));
    h5::File const file = h5::File::open(path);
    for (auto const& [group, names] : std::map<std::string, std::vector<std::string>>{
             {"/axes", {"axis_0", "axis_1"}},
             {"/grid", {"chi2", "status", "axis_0", "axis_1"}},
             {"/grid/pulls", {"beta", "alpha_2", "a third"}},
             {"/grid/rates", {"lz_2022", "lz_2022_bin_edges", "xenonnt_sr0", "xenonnt_sr0_bin_edges"}}})
    {
        h5::Handle const parent{H5Gopen2(file.id(), group.c_str(), H5P_DEFAULT), "open"};
        for (std::string const& name : names)
        {
            h5::Handle const dataset = h5::open_dataset(parent.id(), name);
            EXPECT_FALSE(h5::read_string(dataset.id(), "long_name").empty()) << group << "/" << name;
            EXPECT_FALSE(h5::read_string(dataset.id(), "units").empty()) << group << "/" << name;
        }
    }
}

TEST_F(SurfaceFile, KeepsMetaAndPoints)
{
    write_surface(path, make_layout({5, 7}));
    SurfaceReader const reader{path};
    SurfaceMeta const expected = make_meta();
    SurfaceMeta const& meta = reader.meta();
    EXPECT_EQ(meta.title, expected.title);
    EXPECT_EQ(meta.experiments, expected.experiments);
    EXPECT_EQ(meta.configuration, expected.configuration);
    EXPECT_EQ(meta.configuration_canonical, expected.configuration_canonical);
    EXPECT_EQ(meta.configuration_sha256, expected.configuration_sha256);
    EXPECT_EQ(meta.data_sha256, expected.data_sha256);
    EXPECT_EQ(meta.data_folder, expected.data_folder);
    EXPECT_EQ(meta.command_line, expected.command_line);
    EXPECT_EQ(meta.version, expected.version);
    EXPECT_EQ(meta.commit, expected.commit);
    EXPECT_EQ(meta.dirty, expected.dirty);
    EXPECT_EQ(meta.compiler, expected.compiler);
    EXPECT_EQ(meta.cuda, expected.cuda);
    EXPECT_EQ(meta.backend, expected.backend);
    EXPECT_EQ(meta.device, expected.device);
    EXPECT_EQ(meta.route, expected.route);
    EXPECT_EQ(meta.threads, expected.threads);
    EXPECT_EQ(meta.host, expected.host);
    EXPECT_EQ(meta.start_utc, expected.start_utc);
    EXPECT_EQ(meta.stop_utc, expected.stop_utc);
    EXPECT_EQ(meta.wall_time_s, expected.wall_time_s);
    EXPECT_EQ(meta.compute_time_s, expected.compute_time_s);
    EXPECT_EQ(meta.points_per_s, expected.points_per_s);
    EXPECT_EQ(meta.failed, expected.failed);
    EXPECT_EQ(meta.not_converged, expected.not_converged);
    EXPECT_EQ(meta.not_finite, expected.not_finite);
    EXPECT_EQ(meta.direct_fallback, expected.direct_fallback);
    EXPECT_EQ(meta.range.begin, 0);
    EXPECT_EQ(meta.range.end, 35);
    EXPECT_EQ(meta.self_check.points, expected.self_check.points);
    EXPECT_EQ(meta.self_check.worst, expected.self_check.worst);
    EXPECT_EQ(meta.self_check.tolerance, expected.self_check.tolerance);
    EXPECT_EQ(meta.self_check.passed, expected.self_check.passed);

    for (auto const& [found, wanted] : {std::pair{reader.best_fit(), make_best_fit()}, std::pair{reader.null(), make_null()}})
    {
        EXPECT_EQ(found.index, wanted.index);
        EXPECT_EQ(found.parameters, wanted.parameters);
        EXPECT_EQ(found.chi2, wanted.chi2);
        EXPECT_EQ(found.pulls, wanted.pulls);
    }
}

TEST_F(SurfaceFile, EmptyMetaIsKept)
{
    SurfaceLayout const layout = make_layout({2});
    {
        SurfaceWriter writer{path, layout};
        append_points(writer, layout, 0, 2);
        writer.finish({}, {}, {});
    }
    SurfaceReader const reader{path};
    EXPECT_TRUE(reader.meta().title.empty());
    EXPECT_TRUE(reader.meta().configuration.empty());
    EXPECT_TRUE(reader.meta().experiments.empty());
    EXPECT_TRUE(reader.meta().data_sha256.empty());
}

TEST_F(SurfaceFile, EmptyShardIsKept)
{
    SurfaceLayout layout = make_layout({2, 2});
    layout.range = {4, 4};
    write_surface(path, layout);
    EXPECT_TRUE(SurfaceReader{path}.chi2({4, 4}).empty());
    EXPECT_EQ(stored_bytes(path, "/grid/chi2"), 0U);
}

TEST_F(SurfaceFile, ShardsTakeLittleRoom)
{
    SurfaceLayout layout = make_layout({40, 300, 300}); // a chunk is one node of the first axis
    std::int64_t const plane = 300 * 300;
    layout.range = {10 * plane + 5, 13 * plane};
    write_surface(path, layout, plane);
    constexpr hsize_t checksum = 4;
    EXPECT_EQ(stored_bytes(path, "/grid/chi2"), 3 * (static_cast<hsize_t>(plane) * sizeof(double) + checksum));
    EXPECT_EQ(stored_bytes(path, "/grid/status"), 3 * (static_cast<hsize_t>(plane) + checksum));
    EXPECT_LT(fs::file_size(path), 3U * static_cast<hsize_t>(plane) * 9U + 200000U);
}

TEST_F(SurfaceFile, ChunksAreContiguousAndOfMeasuredSize)
{
    constexpr std::int64_t target = 131072;
    EXPECT_EQ(h5::chunk_shape({7}, target), (Shape{7}));
    EXPECT_EQ(h5::chunk_shape({131072}, target), (Shape{131072}));
    EXPECT_EQ(h5::chunk_shape({1000, 1000}, target), (Shape{125, 1000}));
    EXPECT_EQ(h5::chunk_shape({50, 300, 300}, target), (Shape{1, 300, 300}));
    EXPECT_EQ(h5::chunk_shape({3, 5, 1000000}, target), (Shape{1, 1, 125000}));
    EXPECT_EQ(h5::chunk_shape({9, 8, 7, 6}, target), (Shape{9, 8, 7, 6}));
}

TEST_F(SurfaceFile, ChunksOfAnyBitsCarryTheChecksumOfHdf5)
{
    // Whole chunks are stored with a checksum computed here; HDF5 verifies it in reading.
    constexpr std::int64_t n = 2 * 131072;
    SurfaceLayout layout;
    layout.axes = {{"g_V", "1", "coupling", "g", AxisScale::linear, std::vector<double>(n, 1.0)}};
    layout.range = {0, n};
    std::mt19937_64 random{32};
    // All bits set: the largest sums that there are, which vanish modulo 65535.
    for (bool const ones : {true, false})
    {
        std::vector<std::uint64_t> bits(n, ~std::uint64_t{0});
        std::vector<std::uint8_t> status(n, 255);
        if (!ones)
        {
            std::generate(bits.begin(), bits.end(), random);
            std::generate(status.begin(), status.end(), [&] { return static_cast<std::uint8_t>(random()); });
        }
        std::vector<double> chi2(n);
        std::memcpy(chi2.data(), bits.data(), n * sizeof(double));
        SurfaceWriter writer{path, layout};
        writer.append(n, chi2.data(), status.data(), nullptr, nullptr);
        writer.finish({}, {}, {});
        SurfaceReader const reader{path};
        EXPECT_EQ(reader.status({0, n}), status);
        auto const found = reader.chi2({0, n});
        EXPECT_EQ(std::memcmp(found.data(), bits.data(), n * sizeof(double)), 0);
        // And the other way round: chunks as they are stored, verified here.
        StoredChunk chunk;
        ASSERT_TRUE(reader.has_stored_chunks());
        reader.stored_chunk({n / 2, n}, chunk);
        EXPECT_EQ(std::memcmp(chunk.chi2_values(), bits.data() + n / 2, n / 2 * sizeof(double)), 0);
    }
}

TEST_F(SurfaceFile, WhatWasNeverThereIsNotRecovered)
{
    // Another file of that name, one cut off, none at all: other bits, and no harm to what is written.
    SurfaceLayout const layout = with_pulls_and_rates(make_layout({61, 1009}));
    std::int64_t const size = layout.size();
    {
        SurfaceWriter writer{path, layout};
        append_points(writer, layout, 0, size);
    }
    std::string const whole = read_file(path);
    for (std::string const& left :
         {whole.substr(0, whole.size() / 2), whole.substr(0, 1), std::string{}, std::string(1000000, 'x')})
    {
        dir.write("surface.h5", left);
        SurfaceWriter writer{path, layout, {}, SurfaceWriter::Existing::keep};
        EXPECT_GT(lost_points(writer, layout, {0, size}), static_cast<std::size_t>(size) / 3);
        append_points(writer, layout, 0, size);
        writer.finish(make_meta(), make_best_fit(), make_null());
        expect_all_values(path);
    }
    EXPECT_TRUE(fs::remove(path));
    {
        SurfaceWriter const writer{path, layout, {}, SurfaceWriter::Existing::keep};
        EXPECT_EQ(lost_points(writer, layout, {0, size}), static_cast<std::size_t>(size));
    }
    SurfaceWriter const writer{path, layout, {}, SurfaceWriter::Existing::keep};
    expect_run_error([&] { Recovered(writer, layout, {0, size + 1}); }, {path.string(), "points [0, "});
}

TEST_F(SurfaceFile, ValuesAreWhereTheLayoutSays)
{
    // A file of the program that continues may be another build: the places are part of the format of unfinished surfaces.
    SurfaceLayout const layout = make_layout({61, 1009});
    auto const n = static_cast<std::size_t>(layout.size());
    write_surface(path, layout, 20000);
    EXPECT_EQ(chunk_offset(path, "/grid/chi2"), h5::File::reserved_begin);
    EXPECT_EQ(chunk_offset(path, "/grid/status"), h5::File::reserved_begin + n * sizeof(double) + h5::checksum_bytes);
}

TEST_F(SurfaceFile, ReplacesAFile)
{
    dir.write("surface.h5", std::string(100000, 'x'));
    write_small();
    expect_all_values(path);
}

TEST_F(SurfaceFile, AttributesServePlottingTools)
{
    write_small();
    h5::File const file = h5::File::open(path);
    EXPECT_EQ(h5::read_string(file.id(), "NX_class"), "NXroot");
    EXPECT_EQ(h5::read_string(file.id(), "default"), "grid");
    h5::Handle const grid = h5::open_group(file.id(), "grid");
    EXPECT_EQ(h5::read_string(grid.id(), "NX_class"), "NXdata");
    EXPECT_EQ(h5::read_string(grid.id(), "signal"), "chi2");
    EXPECT_EQ(h5::read_strings(grid.id(), "axes"), (std::vector<std::string>{"axis_0", "axis_1"}));
    EXPECT_EQ(h5::shape(h5::open_dataset(grid.id(), "axis_1").id()), (Shape{7}));
    h5::Handle const chi2 = h5::open_dataset(grid.id(), "chi2");
    EXPECT_EQ(h5::read_double(chi2.id(), "chi2_min"), make_best_fit().chi2);
    EXPECT_EQ(h5::read_double(chi2.id(), "chi2_sm"), make_null().chi2);
    EXPECT_TRUE(h5::has_attribute(chi2.id(), "DIMENSION_LIST"));
    EXPECT_TRUE(h5::has_attribute(h5::open_dataset(grid.id(), "status").id(), "flag_meanings"));
}

// --- what a writer refuses -----------------------------------------------------------------------------------------------------

TEST_F(SurfaceFile, RefusesWhatCannotBeStored)
{
    expect_run_error([&] { SurfaceWriter const writer{path, make_layout({})}; }, {"0 axes"});
    expect_run_error([&] { SurfaceWriter const writer{path, make_layout({1, 1, 1, 1, 1})}; }, {"5 axes"});
    expect_run_error([&] { SurfaceWriter const writer{path, make_layout({3, 0})}; }, {"axis_1", "no values"});
    SurfaceLayout layout = make_layout({3});
    layout.axes[0].name = "chi2";
    expect_run_error([&] { SurfaceWriter const writer{path, layout}; }, {"'chi2' cannot name an axis"});
    layout = make_layout({3});
    layout.range = {0, 4};
    expect_run_error([&] { SurfaceWriter const writer{path, layout}; }, {"points [0, 4) of a grid of 3"});
    EXPECT_FALSE(fs::exists(path));
}

TEST_F(SurfaceFile, RefusesTooManyOrTooFewPoints)
{
    SurfaceLayout const layout = make_layout({3});
    SurfaceWriter writer{path, layout};
    append_points(writer, layout, 0, 2);
    expect_run_error([&] { append_points(writer, layout, 2, 2); }, {path.string(), "2 points after 2 of the 3"});
    expect_run_error([&] { writer.finish({}, {}, {}); }, {path.string(), "1 points of 3 are missing"});
}

TEST_F(SurfaceFile, UnfinishedFileIsRefused)
{
    SurfaceLayout const layout = make_layout({3});
    {
        SurfaceWriter writer{path, layout};
        append_points(writer, layout, 0, 3);
    }
    // Nor does another program find a file where holes pass for values.
    expect_refused(path, {"not an HDF5 file"});
}

TEST_F(SurfaceFile, NamesPathAndReasonWhereItCannotWrite)
{
    auto const write_to = [](fs::path const& to) { SurfaceWriter const writer{to, make_layout({3})}; };
    fs::path const nowhere = dir.path() / "no" / "such" / "file.h5";
    expect_run_error([&] { write_to(nowhere); }, {nowhere.string() + ": cannot create: No such file or directory"});
    expect_run_error([&] { write_to(dir.path()); }, {dir.path().string() + ": cannot create: Is a directory"});
    fs::path const below_file = dir.write("file", "text") / "out.h5";
    expect_run_error([&] { write_to(below_file); }, {below_file.string() + ": cannot create: Not a directory"});
}

TEST_F(SurfaceFile, ReadOnlyFolderIsNamed)
{
    if (::geteuid() == 0)
        GTEST_SKIP() << "root may write anywhere: run it as an ordinary user; of the program it is tested as root, too";
    fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
    expect_run_error(
        [&] {
            SurfaceWriter const writer{path, make_layout({3})};
        },
        {path.string() + ": cannot create: Permission denied"});
    fs::permissions(dir.path(), fs::perms::owner_all);
}

std::ptrdiff_t open_files()
{
    return std::distance(fs::directory_iterator{"/proc/self/fd"}, {});
}

/// Lets no file grow beyond a number of bytes: writing then fails as on a full disk.
class FileSizeLimit
{
public:
    explicit FileSizeLimit(rlim_t bytes)
    {
        handler_ = std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        rlimit const limit = {bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit()
    {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(FileSizeLimit const&) = delete;
    FileSizeLimit& operator=(FileSizeLimit const&) = delete;

private:
    void (*handler_)(int);
    rlimit before_ = {};
};

TEST_F(SurfaceFile, FullDiskIsAnErrorWhereverItStrikes)
{
    SurfaceLayout const layout = with_pulls_and_rates(make_layout({61, 1009}));
    write_surface(path, layout, 20000);
    auto const size = static_cast<rlim_t>(fs::file_size(path));
    auto const open_before = open_files();
    constexpr rlim_t steps = 50;
    for (rlim_t i = 0; i < steps; ++i)
    {
        // The last bytes are metadata, written on closing only.
        rlim_t const limit = i % 2 == 0 ? size * i / steps : size - 1 - i * 37;
        FileSizeLimit const full{limit};
        testing::internal::CaptureStderr();
        expect_run_error([&] { write_surface(path, layout, 20000); }, {path.string() + ": cannot write: File too large"});
        EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "limit " << limit;
    }
    EXPECT_EQ(open_files(), open_before);
    {
        FileSizeLimit const enough{2 * size}; // HDF5 allocates generously and cuts the file in the end
        write_surface(path, layout, 20000);
    }
    expect_all_values(path);
}

// --- what a reader refuses -----------------------------------------------------------------------------------------------------

TEST_F(SurfaceFile, RefusesWhatIsNoSurface)
{
    expect_refused(path, {"No such file or directory"});
    expect_refused(dir.path(), {"a folder, not an HDF5 file"});
    expect_refused(dir.write("empty.h5", ""), {"empty"});
    expect_refused(dir.write("text.h5", "chi2 = 3\n"), {"not an HDF5 file"});
    expect_refused(dir.write("long.h5", std::string(100000, 'x')), {"not an HDF5 file"});
    {
        h5::File file = h5::File::create(path);
        file.close();
    }
    expect_refused(path, {"no attribute 'schema_major'", "not a surface written by nuscan"});
}

TEST_F(SurfaceFile, RefusesTruncatedFiles)
{
    write_surface(path, with_pulls_and_rates(make_layout({61, 109})));
    std::string const whole = read_file(path);
    std::size_t const size = whole.size();
    for (std::size_t const length : {size - 1, size * 9 / 10, size / 2, size / 100, std::size_t{4096}, std::size_t{49},
                                     std::size_t{48}, std::size_t{47}, std::size_t{13}, std::size_t{9}})
        expect_refused(dir.write("cut.h5", whole.substr(0, length)), {"truncated"});
    for (std::size_t const length : {8U, 7U, 1U})
        expect_refused(dir.write("cut.h5", whole.substr(0, length)), {"HDF5 file"});
}

TEST_F(SurfaceFile, SchemaDecides)
{
    write_small();
    change(path, [](hid_t file) { replace_integer(file, "/", "schema_minor", 99); });
    expect_all_values(path);
    change(path, [](hid_t file) { replace_integer(file, "/", "schema_major", 2); });
    expect_refused(path, {"schema 2.99; this program reads 1.x"});
    change(path, [](hid_t file) {
        replace_attribute(file, "/", "schema_major", [](hid_t root) { h5::write_attribute(root, "schema_major", "one"); });
    });
    expect_refused(path, {"attribute 'schema_major' of '/' is not an integer"});
}

TEST_F(SurfaceFile, FilesOfSchema10NameNoDataFolder)
{
    write_small();
    change(path, [](hid_t file) {
        replace_integer(file, "/", "schema_minor", 0);
        h5::check(H5Ldelete(file, "/meta/data_folder", H5P_DEFAULT), "delete");
        h5::remove_attribute(h5::open_group(file, "meta").id(), "sha256");
    });
    expect_all_values(path);
    EXPECT_EQ(SurfaceReader{path}.meta().data_folder, "");
}

TEST_F(SurfaceFile, NamesWhatIsMissing)
{
    for (char const* const name :
         {"/axes", "/grid", "/best_fit", "/null", "/meta", "/meta/data_sha256", "/meta/self_check", "/best_fit/parameters",
          "/best_fit/pulls", "/axes/axis_0", "/grid/chi2", "/grid/status", "/grid/pulls/beta", "/grid/rates/lz_2022",
          "/grid/rates/lz_2022_bin_edges", "/meta/title", "/meta/configuration", "/meta/command_line"})
    {
        write_small();
        change(path, [&](hid_t file) { h5::check(H5Ldelete(file, name, H5P_DEFAULT), "delete"); });
        expect_refused(path, {"no ", std::string{"'"} + name + "'"});
    }
    using Place = std::pair<char const*, char const*>;
    for (auto const& [object, name] :
         {Place{"/axes", "order"}, Place{"/axes/axis_0", "units"}, Place{"/axes/axis_0", "long_name"},
          Place{"/axes/axis_0", "label"}, Place{"/axes/axis_0", "scale"}, Place{"/grid/pulls", "order"},
          Place{"/grid/rates", "order"}, Place{"/grid/rates/lz_2022", "units"}, Place{"/best_fit", "chi2"}, Place{"/null", "index"},
          Place{"/meta", "host"}, Place{"/meta", "threads"}, Place{"/meta", "range_end"}, Place{"/meta/self_check", "passed"}})
    {
        write_small();
        // Clang 14 captures no structured bindings.
        change(path, [object = object, name = name](hid_t file) { replace_attribute(file, object, name, [](hid_t) {}); });
        expect_refused(path, {std::string{"no attribute '"} + name + "' of '" + object + "'"});
    }
}

TEST_F(SurfaceFile, NamesWrongTypesAndShapes)
{
    auto const refused_with = [&](std::initializer_list<std::string_view> parts, std::function<void(hid_t)> const& action) {
        write_small();
        change(path, action);
        expect_refused(path, parts);
    };
    refused_with({"'/grid/chi2' is not of type float64"}, [](hid_t file) {
        replace_dataset(file, "/grid/chi2", H5T_IEEE_F32LE, {5, 7});
    });
    refused_with({"'/grid/status' is not of type uint8"}, [](hid_t file) {
        replace_dataset(file, "/grid/status", H5T_STD_I32LE, {5, 7});
    });
    refused_with({"'/grid/chi2' has shape (5, 8), the axes make (5, 7)"}, [](hid_t file) {
        replace_dataset(file, "/grid/chi2", H5T_IEEE_F64LE, {5, 8});
    });
    refused_with({"'/grid/chi2' has shape (35), the axes make (5, 7)"},
                 [](hid_t file) { replace_dataset(file, "/grid/chi2", H5T_IEEE_F64LE, {35}); });
    refused_with({"'/grid/pulls/beta' has shape (5, 7, 1)"}, [](hid_t file) {
        replace_dataset(file, "/grid/pulls/beta", H5T_IEEE_F64LE, {5, 7, 1});
    });
    refused_with({"'/grid/rates/lz_2022' has shape (5, 7, 2), the axes make (5, 7, 1)"}, [](hid_t file) {
        replace_dataset(file, "/grid/rates/lz_2022", H5T_IEEE_F64LE, {5, 7, 2});
    });
    refused_with({"'/axes/axis_0' has shape (5, 1), not one axis"}, [](hid_t file) {
        replace_dataset(file, "/axes/axis_0", H5T_IEEE_F64LE, {5, 1});
    });
    refused_with({"'/grid/chi2' is not a dataset"}, [](hid_t file) {
        h5::check(H5Ldelete(file, "/grid/chi2", H5P_DEFAULT), "delete");
        h5::create_group(file, "/grid/chi2");
    });
    refused_with({"cannot open '/grid/chi2'"}, [](hid_t file) {
        h5::check(H5Ldelete(file, "/grid/chi2", H5P_DEFAULT), "delete");
        h5::check(H5Lcreate_soft("/grid/chi2", file, "/grid/chi2", H5P_DEFAULT, H5P_DEFAULT), "link");
    });
    refused_with({"attribute 'threads' of '/meta' is not an integer"}, [](hid_t file) {
        replace_attribute(file, "/meta", "threads", [](hid_t meta) { h5::write_attribute(meta, "threads", 2.0); });
    });
    refused_with({"attribute 'threads' of '/meta' is 4294967296, out of range"},
                 [](hid_t file) { replace_integer(file, "/meta", "threads", std::int64_t{1} << 32); });
    refused_with({"attribute 'host' of '/meta' is not text"}, [](hid_t file) {
        replace_attribute(file, "/meta", "host", [](hid_t meta) { h5::write_attribute(meta, "host", 2.0); });
    });
    refused_with({"attribute 'host' of '/meta' is not a single value"}, [](hid_t file) {
        replace_attribute(file, "/meta", "host", [](hid_t meta) {
            h5::write_attribute(meta, "host", std::vector<std::string>{"a", "b"});
        });
    });
    refused_with({"attribute 'scale' of '/axes/axis_0' is 'cubic'; valid: linear, log"}, [](hid_t file) {
        replace_attribute(file, "/axes/axis_0", "scale", [](hid_t axis) { h5::write_attribute(axis, "scale", "cubic"); });
    });
    refused_with({"attribute 'order' of '/axes' holds '../grid'"}, [](hid_t file) {
        replace_attribute(file, "/axes", "order", [](hid_t axes) {
            h5::write_attribute(axes, "order", std::vector<std::string>{"axis_0", "../grid"});
        });
    });
    refused_with({"attribute 'order' of '/axes' holds 'axis_0'"}, [](hid_t file) {
        replace_attribute(file, "/axes", "order", [](hid_t axes) {
            h5::write_attribute(axes, "order", std::vector<std::string>{"axis_0", "axis_0"});
        });
    });
    refused_with({"0 axes; 1 to 4"}, [](hid_t file) {
        replace_attribute(file, "/axes", "order",
                          [](hid_t axes) { h5::write_attribute(axes, "order", std::vector<std::string>{}); });
    });
    refused_with({"what '/meta' says is not what was written there (checksum)"},
                 [](hid_t file) { replace_integer(file, "/meta", "range_end", 34); });
    refused_with({"'/meta' says points [0, 36) of a grid of 35"}, [](hid_t file) {
        replace_integer(file, "/meta", "range_end", 36);
        h5::remove_attribute(h5::open_group(file, "meta").id(), "sha256");
    });
}

TEST_F(SurfaceFile, HugeSizesAreRefusedBeforeMemoryIsTaken)
{
    constexpr hsize_t huge = hsize_t{1} << 50;
    write_small();
    change(path, [](hid_t file) { replace_dataset(file, "/axes/axis_0", H5T_IEEE_F64LE, {huge}); });
    expect_refused(path, {"'/axes/axis_0' is incomplete: 0 bytes where 9007199254740992 belong"});
    write_small();
    change(path, [](hid_t file) { replace_dataset(file, "/axes/axis_0", H5T_IEEE_F64LE, {hsize_t{1} << 62}); });
    expect_refused(path, {"'/axes/axis_0' has an impossible shape"});
    write_small();
    change(path, [](hid_t file) { replace_dataset(file, "/grid/chi2", H5T_IEEE_F64LE, {hsize_t{1} << 40, hsize_t{1} << 40}); });
    expect_refused(path, {"'/grid/chi2' has an impossible shape"});
    write_small();
    change(path, [](hid_t file) { replace_dataset(file, "/grid/chi2", H5T_IEEE_F64LE, {5, 7}); });
    expect_refused(path, {"'/grid/chi2' is incomplete: 0 bytes where 280 belong"});
    write_small();
    change(path, [](hid_t file) {
        h5::check(H5Ldelete(file, "/meta/configuration", H5P_DEFAULT), "delete");
        h5::Handle const type{H5Tcopy(H5T_C_S1), "type"};
        h5::check(H5Tset_size(type.id(), std::size_t{1} << 31), "size");
        h5::Handle const space{H5Screate(H5S_SCALAR), "space"};
        h5::Handle const text{H5Dcreate2(file, "/meta/configuration", type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                              "dataset"};
    });
    expect_refused(path, {"'/meta/configuration' is longer than 67108864 bytes"});
}

TEST_F(SurfaceFile, ValuesInOtherFilesAreRefused)
{
    // Axes and texts that are elsewhere: in an endless file, in the dataset itself.
    auto const replace = [this](char const* name, bool external) {
        write_small();
        change(path, [&](hid_t file) {
            h5::Handle const old{H5Dopen2(file, name, H5P_DEFAULT), "open"};
            h5::Handle const type{H5Dget_type(old.id()), "type"};
            h5::Handle const space{H5Dget_space(old.id()), "space"};
            h5::Handle const creation{H5Pcreate(H5P_DATASET_CREATE), "properties"};
            h5::check(external ? H5Pset_external(creation.id(), "/dev/zero", 0, H5F_UNLIMITED)
                               : H5Pset_virtual(creation.id(), space.id(), ".", name, space.id()),
                      "properties");
            h5::check(H5Ldelete(file, name, H5P_DEFAULT), "delete");
            h5::Handle const made{H5Dcreate2(file, name, type.id(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), "create"};
        });
    };
    for (char const* const name : {"/axes/axis_0", "/meta/configuration", "/grid/chi2"})
    {
        replace(name, true);
        expect_refused(path, {name, "keeps its values in other files"});
    }
    for (char const* const name : {"/axes/axis_0", "/meta/configuration"})
    {
        replace(name, false);
        expect_refused(path, {name, "keeps its values in other files"});
    }
    replace("/grid/chi2", false);
    expect_refused(path, {"its values are in shards, and none holds point 0"});
}

TEST_F(SurfaceFile, VirtualDatasetsReferToShardsOnly)
{
    // A shard that is the surface itself, a shard that is virtual, a source that is no shard, one that is another dataset.
    auto const whole = make_layout({3, 4});
    SurfaceMeta meta = make_meta();
    meta.shards = {make_meta()};
    meta.shards[0].range = whole.range;
    write_surface(dir.path() / "solid.h5", whole);
    auto const write_virtual = [&](char const* name, char const* shard, char const* source) {
        meta.shards[0].file = shard;
        SurfaceWriter writer{dir.path() / name, whole, {{source, whole.range}}};
        writer.finish(meta, make_best_fit(), make_null());
    };
    write_virtual("good.h5", "solid.h5", "solid.h5");
    SurfaceReader{dir.path() / "good.h5"};
    write_virtual("itself.h5", "itself.h5", "itself.h5");
    expect_refused(dir.path() / "itself.h5", {"its values are in shards", "keeps its values in other files"});
    write_virtual("nested.h5", "good.h5", "good.h5");
    expect_refused(dir.path() / "nested.h5", {"its values are in shards", "good.h5", "keeps its values in other files"});
    write_virtual("elsewhere.h5", "solid.h5", "/dev/zero");
    expect_refused(dir.path() / "elsewhere.h5", {"refers to '/grid/chi2' of '/dev/zero', which is no shard"});
    meta.shards[0].range = {0, 5};
    write_virtual("part.h5", "solid.h5", "solid.h5");
    expect_refused(dir.path() / "part.h5", {"its values are in shards"});
}

/// A surface of twelve points over two shards.
class VirtualSurface : public SurfaceFile
{
protected:
    /// Writes the shards and what refers to them, in which every point has a place whether a shard holds it or not.
    /// \param parts  ranges of the shards
    void write_parts(std::vector<IndexRange> const& parts)
    {
        SurfaceMeta meta = make_meta();
        std::vector<SurfacePart> sources;
        for (std::size_t k = 0; k < parts.size(); ++k)
        {
            auto const name = "shard" + std::to_string(k) + ".h5";
            write_shard(name, parts[k], make_meta());
            meta.shards.push_back(make_meta());
            meta.shards.back().file = name;
            meta.shards.back().range = parts[k];
            sources.push_back({name, {k == 0 ? 0 : sources.back().range.end, k + 1 == parts.size() ? 12 : parts[k].end}});
        }
        SurfaceWriter writer{path, make_layout({3, 4}), sources};
        writer.finish(meta, make_best_fit(), make_null());
    }

    void write_shard(std::string const& name, IndexRange range, SurfaceMeta const& meta)
    {
        SurfaceLayout layout = make_layout({3, 4});
        layout.range = range;
        SurfaceWriter writer{dir.path() / name, layout};
        append_points(writer, layout, range.begin, range.size());
        writer.finish(meta, make_best_fit(), make_null());
    }
};

TEST_F(VirtualSurface, DamagedNamesOfShardsAreRefused)
{
    // HDF5 reads them to wherever they end.
    write_parts({{0, 5}, {5, 12}});
    std::string const whole = read_file(path);
    for (std::string_view const name : {"shard0.h5", "shard1.h5", "/grid/chi2", "/grid/status"})
    {
        std::size_t const place = whole.find(name.data(), whole.find("GCOL"));
        ASSERT_NE(place, whole.npos) << name;
        for (std::size_t i = 0; i <= name.size(); ++i) // and what ends it
        {
            std::string bytes = whole;
            bytes[place + i] = static_cast<char>(bytes[place + i] ^ 0x11);
            expect_input_error([&] { SurfaceReader const reader{dir.write("damaged.h5", bytes)}; }, {"damaged.h5: "});
        }
    }
    expect_all_values(path);
}

TEST_F(VirtualSurface, ReadsItsShards)
{
    write_parts({{0, 5}, {5, 12}});
    expect_all_values(path);
    // The same points twice: whichever is taken.
    write_parts({{0, 7}, {5, 12}});
    expect_all_values(path);
}

TEST_F(VirtualSurface, ShardsMustBeThere)
{
    write_parts({{0, 5}, {5, 12}});
    fs::path const shard = dir.path() / "shard1.h5";
    std::string const whole = read_file(shard);
    fs::remove(shard);
    expect_refused(path, {"its values are in shards, and " + shard.string() + ": No such file"});
    fs::create_directory(shard);
    expect_refused(path, {"its values are in shards, and " + shard.string() + ": a folder"});
    fs::remove(shard);
    dir.write("shard1.h5", whole.substr(0, whole.size() / 2));
    expect_refused(path, {"its values are in shards, and " + shard.string() + ": damaged, truncated"});
    dir.write("shard1.h5", "something else");
    expect_refused(path, {"its values are in shards, and " + shard.string() + ": not an HDF5 file"});
    dir.write("shard1.h5", whole);
    expect_all_values(path);
}

TEST_F(VirtualSurface, ShardsMustBeThoseThatWereMerged)
{
    auto const expect_replaced = [this](IndexRange range, std::function<void(SurfaceMeta&)> const& edit) {
        write_parts({{0, 5}, {5, 12}});
        SurfaceMeta meta = make_meta();
        edit(meta);
        write_shard("shard1.h5", range, meta);
        expect_refused(path, {"shard1.h5: is not the shard that was merged; merge again"});
    };
    expect_replaced({5, 12}, [](SurfaceMeta& meta) { meta.configuration_sha256 = std::string(64, 'b'); });
    expect_replaced({5, 12}, [](SurfaceMeta& meta) { meta.start_utc = "2025-01-01T00:00:02Z"; });
    expect_replaced({5, 12}, [](SurfaceMeta& meta) { meta.stop_utc = "2025-01-01T00:00:02Z"; });
    expect_replaced({4, 12}, [](SurfaceMeta&) {});
    expect_replaced({5, 11}, [](SurfaceMeta&) {});
}

TEST_F(VirtualSurface, ShardsMustLeaveNoHole)
{
    write_parts({{1, 5}, {5, 12}});
    expect_refused(path, {"its values are in shards, and none holds point 0"});
    write_parts({{0, 5}, {6, 12}});
    expect_refused(path, {"its values are in shards, and none holds point 5"});
    write_parts({{0, 5}, {5, 11}});
    expect_refused(path, {"its values are in shards, and none holds point 11"});
}

TEST_F(VirtualSurface, TargetsMustBeTheSameDatasetOfAShard)
{
    // The dataset is that of a shard, the shard is one, but not both.
    for (auto const& [file_name, dataset] : {std::pair{"shard0.h5", "/grid/other"}, {"other.h5", "/grid/chi2"}})
    {
        write_parts({{0, 12}});
        change(dir.path() / "shard0.h5", [](hid_t file) {
            h5::check(H5Lcreate_hard(file, "/grid/chi2", file, "/grid/other", H5P_DEFAULT, H5P_DEFAULT), "link");
        });
        fs::copy_file(dir.path() / "shard0.h5", dir.path() / "other.h5", fs::copy_options::overwrite_existing);
        // Clang 14 captures structured bindings by no other way.
        change(path, [&, target_file = file_name, target = dataset](hid_t file) {
            h5::Handle const old{H5Dopen2(file, "/grid/chi2", H5P_DEFAULT), "open"};
            h5::Handle const type{H5Dget_type(old.id()), "type"};
            h5::Handle const space{H5Dget_space(old.id()), "space"};
            h5::Handle const creation{H5Pcreate(H5P_DATASET_CREATE), "properties"};
            h5::check(H5Pset_virtual(creation.id(), space.id(), target_file, target, space.id()), "properties");
            h5::check(H5Ldelete(file, "/grid/chi2", H5P_DEFAULT), "delete");
            h5::Handle const made{H5Dcreate2(file, "/grid/chi2", type.id(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                                  "create"};
        });
        expect_refused(path, {"'/grid/chi2' refers to '" + std::string{dataset} + "' of '" + file_name + "', which is no shard"});
    }
}

TEST_F(VirtualSurface, ShardsKeepTheirValuesThemselves)
{
    write_parts({{0, 12}});
    fs::rename(path, dir.path() / "inner.h5");
    SurfaceMeta meta = make_meta();
    meta.shards = {make_meta()};
    meta.shards[0].file = "inner.h5";
    meta.shards[0].range = {0, 12};
    {
        SurfaceWriter writer{path, make_layout({3, 4}), {{"inner.h5", {0, 12}}}};
        writer.finish(meta, make_best_fit(), make_null());
    }
    SurfaceReader{dir.path() / "inner.h5"};
    expect_refused(path, {"inner.h5: '/grid/chi2' keeps its values in other files"});
}

TEST_F(SurfaceFile, NothingWaitsForAPipe)
{
    write_small();
    fs::path const pipe = dir.path() / "pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    change(path, [&](hid_t file) {
        h5::check(H5Ldelete(file, "/grid/chi2", H5P_DEFAULT), "delete");
        h5::check(H5Lcreate_external(pipe.c_str(), "/x", file, "/grid/chi2", H5P_DEFAULT, H5P_DEFAULT), "link");
    });
    expect_refused(path, {"cannot open '/grid/chi2'"});
}

TEST_F(SurfaceFile, RefusesPointsThatItDoesNotHold)
{
    SurfaceLayout layout = make_layout({5, 7});
    layout.range = {7, 21};
    write_surface(path, layout);
    SurfaceReader const reader{path};
    for (IndexRange const range : {IndexRange{6, 10}, IndexRange{20, 22}, IndexRange{10, 9}, IndexRange{-1, 8}})
        expect_input_error([&] { reader.chi2(range); }, {path.string(), "not in this file, which holds [7, 21)"});
}

TEST_F(SurfaceFile, ChecksumsFindAFlippedBit)
{
    SurfaceLayout const layout = with_pulls_and_rates(make_layout({61, 1009}));
    write_surface(path, layout, 20000);
    std::string const whole = read_file(path);
    auto const damage = [&](char const* name) {
        std::string bytes = whole;
        bytes[chunk_offset(path, name) + 3] ^= 1;
        return dir.write("damaged.h5", bytes);
    };
    constexpr std::string_view fletcher = "data error detected by Fletcher32 checksum";
    IndexRange const some = {0, 10};
    expect_input_error([&] { SurfaceReader{damage("/grid/chi2")}.chi2(some); }, {"damaged.h5", "'/grid/chi2'", fletcher});
    expect_input_error([&] { SurfaceReader{damage("/grid/status")}.status(some); }, {"damaged.h5", "'/grid/status'", fletcher});
    expect_input_error([&] { SurfaceReader{damage("/grid/pulls/beta")}.pull("beta", some); }, {"'/grid/pulls/beta'", fletcher});
    expect_input_error([&] { SurfaceReader{damage("/grid/rates/lz_2022")}.rates("lz_2022", some); },
                       {"'/grid/rates/lz_2022'", fletcher});
    expect_refused(damage("/axes/axis_1"), {"'/axes/axis_1'", fletcher});
    expect_refused(damage("/grid/rates/lz_2022_bin_edges"), {"'/grid/rates/lz_2022_bin_edges'", fletcher});
}

/// Reads all there is. Whatever the file holds, only InputError is allowed.
void read_or_refuse(fs::path const& path)
{
    try
    {
        SurfaceReader const reader{path};
        IndexRange const range = reader.layout().range;
        reader.chi2(range);
        reader.status(range);
        for (std::string const& pull : reader.layout().pulls)
            reader.pull(pull, range);
        for (RateRecord const& rate : reader.layout().rates)
            reader.rates(rate.experiment, range);
    }
    catch (InputError const&)
    {
    }
}

TEST_F(SurfaceFile, FlippedBitsNeverCrash)
{
    write_small();
    std::string const whole = read_file(path);
    std::mt19937_64 random{1};
    std::uniform_int_distribution<std::size_t> any_place{0, whole.size() - 1};
    std::uniform_int_distribution<int> any_bit{0, 7};
    constexpr int flips = 300;
    auto const open_before = open_files();
    for (int i = 0; i < flips; ++i)
    {
        std::string bytes = whole;
        std::size_t const place = any_place(random);
        bytes[place] = static_cast<char>(bytes[place] ^ (1 << any_bit(random)));
        read_or_refuse(dir.write("damaged.h5", bytes));
    }
    EXPECT_EQ(open_files(), open_before);
}

TEST_F(SurfaceFile, DamagedHeapOfStringsNeverCrashes)
{
    // HDF5 keeps strings in a heap without checksum and crashes on wrong sizes there.
    write_small();
    std::string const whole = read_file(path);
    std::size_t const heap = whole.find("GCOL");
    ASSERT_NE(heap, whole.npos);
    constexpr std::size_t heap_size = 4096;
    std::size_t const last_used = whole.find_last_not_of('\0', heap + heap_size - 1);
    // The second time it is said to be larger than what HDF5 reads of it first.
    for (char const size_low : {'\x00', '\x20'})
    {
        int refused = 0;
        for (std::size_t place = heap; place <= last_used; place += 8) // sizes are 8 bytes long and aligned
            for (std::size_t const byte : {0U, 2U, 3U})
            {
                std::string bytes = whole;
                bytes[heap + 8] = size_low;
                bytes[place + byte] = static_cast<char>(bytes[place + byte] ^ 0x10);
                fs::path const damaged = dir.write("damaged.h5", bytes);
                try
                {
                    SurfaceReader const reader{damaged};
                }
                catch (InputError const& e)
                {
                    refused += std::string_view{e.what()}.find("damaged heap of strings") != std::string_view::npos;
                }
            }
        EXPECT_GT(refused, 150);
    }
}

/// What a virtual dataset refers to is in the heap of strings, and longer than any.
TEST_F(SurfaceFile, LongListsAreShownOnlyWhereNoStringsAreRead)
{
    h5::QuietErrors const quiet;
    constexpr std::int64_t sources = 100;
    std::string const text(3000, 'x');
    {
        h5::File file = h5::File::create(path);
        h5::write_attribute(file.id(), "before", std::vector<std::string>(3, text));
        std::vector<h5::VirtualSource> parts;
        for (std::int64_t i = 0; i < sources; ++i)
            parts.push_back({"part-" + std::to_string(i) + ".h5", i, i + 1});
        h5::Handle const dataset = h5::create_virtual_dataset(file.id(), "values", {sources}, parts, 0.0);
        h5::write_attribute(dataset.id(), "of", "dataset");
        h5::write_attribute(file.id(), "after", std::vector<std::string>{"a", text, "b"});
        file.close();
    }
    {
        h5::File const file = h5::File::open(path);
        EXPECT_EQ(h5::read_strings(file.id(), "before"), std::vector<std::string>(3, text));
        EXPECT_THROW(h5::open_dataset(file.id(), "values"), h5::Error);
        EXPECT_EQ(h5::read_string(file.id(), "values", "of"), "dataset");
        EXPECT_EQ(h5::read_strings(file.id(), "after"), (std::vector<std::string>{"a", text, "b"}));
    }
    h5::File const file = h5::File::open_for_virtual(path);
    h5::Handle const dataset = h5::open_dataset(file.id(), "values");
    auto const targets = h5::virtual_targets(dataset.id());
    ASSERT_EQ(targets.size(), static_cast<std::size_t>(sources));
    EXPECT_EQ(targets.back().file, "part-99.h5");
}

TEST_F(SurfaceFile, AStringThatSwallowsTheNextIsNotRead)
{
    h5::QuietErrors const quiet;
    std::string const text(3000, 'x');
    {
        h5::File file = h5::File::create(path);
        h5::write_attribute(file.id(), "strings", std::vector<std::string>(4, text));
        file.close();
    }
    std::string bytes = read_file(path);
    constexpr std::size_t header = 16; // of the heap and of each object, whose sizes are in its second half
    int tried = 0;
    for (std::size_t heap = bytes.find("GCOL"); heap != bytes.npos; heap = bytes.find("GCOL", heap + 1))
    {
        std::uint64_t size = 0;
        std::memcpy(&size, &bytes[heap + 8], sizeof size);
        std::size_t const first = heap + header;
        std::uint64_t swallowed = header + 2 * text.size();
        if (size < 2 * header + swallowed)
            continue;
        ++tried;
        std::memcpy(&bytes[first + 8], &swallowed, sizeof swallowed);
    }
    ASSERT_GT(tried, 0);
    fs::path const damaged = dir.write("damaged.h5", bytes);
    h5::File const file = h5::File::open(damaged);
    EXPECT_THROW(h5::read_strings(file.id(), "strings"), h5::Error);
}

TEST_F(SurfaceFile, ValuesPackedByBitsAreNotRead)
{
    write_small();
    for (char const* const filter : {"nbit", "scaleoffset"})
    {
        fs::path const packed = dir.path() / (std::string{filter} + ".h5");
        fs::copy_file(path, packed);
        {
            h5::QuietErrors const quiet;
            h5::File file = h5::File::open_to_change(packed);
            h5::Handle const dataset = h5::open_dataset(file.id(), "/grid/chi2");
            std::vector<hsize_t> dims;
            for (std::int64_t const n : h5::shape(dataset.id()))
                dims.push_back(static_cast<hsize_t>(n));
            h5::remove_child(file.id(), "/grid/chi2");
            h5::Handle const space{H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), "space"};
            h5::Handle const creation{H5Pcreate(H5P_DATASET_CREATE), "properties"};
            H5Pset_chunk(creation.id(), static_cast<int>(dims.size()), dims.data());
            if (std::string_view{filter} == "nbit")
                H5Pset_nbit(creation.id());
            else
                H5Pset_scaleoffset(creation.id(), H5Z_SO_FLOAT_DSCALE, 3);
            h5::Handle const made{
                H5Dcreate2(file.id(), "/grid/chi2", H5T_IEEE_F64LE, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                "dataset"};
            file.close();
        }
        expect_refused(packed, {"/grid/chi2' is stored with filter ", "h5repack -f GZIP=4"});
    }
}

} // namespace
} // namespace nuscan::test
