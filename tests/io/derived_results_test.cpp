#include "host/io/derived_results.hpp"

#include <cmath>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <hdf5_hl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/io/hdf5_file.hpp"
#include "host/io/surface_file.hpp"
#include "host/support/error.hpp"
#include "tests/support/analytic_surface.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

std::string read_file(fs::path const& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

class DerivedFile : public testing::Test
{
protected:
    DerivedFile()
    {
        write_analytic_surface(path, {test_axis("x", 0.0, 1.0, 3), test_axis("y", 1.0, 100.0, 4, AxisScale::log)}, 2.0,
                               [](Point const& point) { return point[0] + point[1]; });
    }

    void expect_refused(std::initializer_list<std::string_view> parts) const
    {
        expect_input_error([&] { read_derived_results(path); }, parts);
    }

    void change(std::function<void(hid_t)> const& action) const
    {
        h5::QuietErrors const quiet;
        h5::File file = h5::File::open_to_change(path);
        action(file.id());
        file.close();
    }

    TempDir dir;
    fs::path path = dir.path() / "surface.h5";
};

DerivedResults example()
{
    DerivedResults results;
    ProfileRecord profile;
    profile.axes = {"y"};
    profile.profiled_axes = {"x"};
    profile.chi2_min = 1.0;
    profile.chi2_zero = 2.0;
    profile.chi2 = {1.0, NAN, 2.5, 3.5};
    profile.index = {{0, -1, 2, 1}};
    results.profiles.push_back(profile);

    LimitRecords own;
    CurveRecord curve;
    curve.parameter = "x";
    curve.mass = "y";
    curve.unit = "1";
    curve.mass_unit = "MeV";
    curve.cl = 0.68;
    curve.dof = 2;
    curve.threshold = 2.28;
    curve.definition = "plane";
    curve.masses = {1.0, 2.0, 3.0};
    curve.upper = {0.5, NAN, 0.75};
    curve.intervals = {{{0.0, 0.5}}, {}, {{0.0, 0.25}, {0.5, 0.75}}};
    curve.chi2_min = {1.0, 1.0, 1.0};
    curve.coarse = {0, 0, 1};
    own.curves.push_back(curve);
    ContourRecord contour;
    contour.axes = {"x", "y"};
    contour.cl = 0.9;
    contour.threshold = 4.6;
    contour.level = 5.6;
    contour.chi2_min = 1.0;
    contour.pieces = {{true, {{0.1, 0.2}, {0.3, 0.4}, {0.1, 0.2}}}, {false, {{0.5, 0.6}, {0.7, 0.8}}}};
    own.contours.push_back(contour);
    results.limits.push_back(own);

    LimitRecords of_profile;
    of_profile.profile = "y";
    IntervalRecord intervals;
    intervals.parameter = "y";
    intervals.unit = "MeV";
    intervals.cl = 0.9;
    intervals.threshold = 2.7;
    intervals.profiled_axes = {"x"};
    intervals.region.best_fit = 1.5;
    intervals.region.chi2_min = 1.0;
    intervals.region.marginal = true;
    intervals.region.intervals = {{{0.0, 2.0}, IntervalEnd::physical_bound, IntervalEnd::crossing},
                                  {{3.0, 4.0}, IntervalEnd::crossing, IntervalEnd::grid_edge}};
    of_profile.intervals.push_back(intervals);
    intervals.cl = 0.5;
    intervals.region.intervals.clear();
    of_profile.intervals.push_back(intervals);
    results.limits.push_back(of_profile);
    return results;
}

void expect_same(double a, double b)
{
    EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << a << " and " << b;
}

TEST_F(DerivedFile, ReadsWhatWasStored)
{
    EXPECT_TRUE(read_derived_results(path).profiles.empty());
    store_derived_results(path, example());
    auto const found = read_derived_results(path);
    auto const wanted = example();
    ASSERT_EQ(found.profiles.size(), 1U);
    ProfileRecord const& profile = found.profiles[0];
    EXPECT_EQ(profile.axes, wanted.profiles[0].axes);
    EXPECT_EQ(profile.profiled_axes, wanted.profiles[0].profiled_axes);
    EXPECT_EQ(profile.chi2_min, 1.0);
    EXPECT_EQ(profile.chi2_zero, 2.0);
    for (std::size_t i = 0; i < 4; ++i)
        expect_same(profile.chi2[i], wanted.profiles[0].chi2[i]);
    EXPECT_EQ(profile.index, wanted.profiles[0].index);
    EXPECT_EQ(found.find_profile("y"), &profile);
    EXPECT_EQ(found.find_profile("x"), nullptr);

    ASSERT_EQ(found.limits.size(), 2U);
    EXPECT_EQ(found.limits[0].profile, "");
    CurveRecord const& curve = found.limits[0].curves.at(0);
    CurveRecord const& curve_wanted = wanted.limits[0].curves[0];
    EXPECT_EQ(curve.parameter, "x");
    EXPECT_EQ(curve.mass, "y");
    EXPECT_EQ(curve.unit, "1");
    EXPECT_EQ(curve.mass_unit, "MeV");
    EXPECT_EQ(curve.cl, 0.68);
    EXPECT_EQ(curve.dof, 2);
    EXPECT_EQ(curve.threshold, 2.28);
    EXPECT_EQ(curve.definition, "plane");
    EXPECT_TRUE(curve.profiled_axes.empty());
    EXPECT_EQ(curve.masses, curve_wanted.masses);
    EXPECT_EQ(curve.chi2_min, curve_wanted.chi2_min);
    EXPECT_EQ(curve.coarse, curve_wanted.coarse);
    for (std::size_t i = 0; i < 3; ++i)
    {
        expect_same(curve.upper[i], curve_wanted.upper[i]);
        ASSERT_EQ(curve.intervals[i].size(), curve_wanted.intervals[i].size());
        for (std::size_t k = 0; k < curve.intervals[i].size(); ++k)
        {
            EXPECT_EQ(curve.intervals[i][k].lo, curve_wanted.intervals[i][k].lo);
            EXPECT_EQ(curve.intervals[i][k].hi, curve_wanted.intervals[i][k].hi);
        }
    }
    ContourRecord const& contour = found.limits[0].contours.at(0);
    EXPECT_EQ(contour.axes, (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(contour.cl, 0.9);
    EXPECT_EQ(contour.dof, 2);
    EXPECT_EQ(contour.threshold, 4.6);
    EXPECT_EQ(contour.level, 5.6);
    EXPECT_EQ(contour.chi2_min, 1.0);
    ASSERT_EQ(contour.pieces.size(), 2U);
    EXPECT_TRUE(contour.pieces[0].closed);
    EXPECT_FALSE(contour.pieces[1].closed);
    EXPECT_EQ(contour.pieces[0].points, wanted.limits[0].contours[0].pieces[0].points);
    EXPECT_EQ(contour.pieces[1].points, wanted.limits[0].contours[0].pieces[1].points);

    EXPECT_EQ(found.limits[1].profile, "y");
    ASSERT_EQ(found.limits[1].intervals.size(), 2U); // by name: 0.5, 0.9
    EXPECT_TRUE(found.limits[1].intervals[0].region.intervals.empty());
    IntervalRecord const& intervals = found.limits[1].intervals[1];
    EXPECT_EQ(intervals.parameter, "y");
    EXPECT_EQ(intervals.profiled_axes, std::vector<std::string>{"x"});
    EXPECT_EQ(intervals.region.best_fit, 1.5);
    EXPECT_TRUE(intervals.region.marginal);
    ASSERT_EQ(intervals.region.intervals.size(), 2U);
    EXPECT_EQ(intervals.region.intervals[0].lo_end, IntervalEnd::physical_bound);
    EXPECT_EQ(intervals.region.intervals[1].hi_end, IntervalEnd::grid_edge);
    EXPECT_EQ(intervals.region.intervals[1].range.lo, 3.0);
}

TEST_F(DerivedFile, HasTheDocumentedLayout)
{
    store_derived_results(path, example());
    h5::QuietErrors const quiet;
    h5::File const file = h5::File::open(path);
    auto const object = [&](char const* name) { return h5::Handle{H5Oopen(file.id(), name, H5P_DEFAULT), name}; };
    for (char const* const name :
         {"/profiles/y/chi2", "/profiles/y/index/x", "/profiles/y/limits/0.9/y/intervals", "/profiles/y/limits/0.9/y/open",
          "/limits/0.68/x_plane/mass", "/limits/0.68/x_plane/upper", "/limits/0.68/x_plane/intervals",
          "/limits/0.68/x_plane/chi2_min", "/contours/0.9/0", "/contours/0.9/1", "/profiles/y/y"})
        EXPECT_NO_THROW(object(name)) << name;
    EXPECT_EQ(h5::read_strings(object("/profiles/y").id(), "axes"), std::vector<std::string>{"y"});
    EXPECT_EQ(h5::read_string(object("/profiles/y").id(), "NX_class"), "NXdata");
    EXPECT_EQ(h5::read_string(object("/limits/0.68/x_plane").id(), "kind"), "curve");
    EXPECT_EQ(h5::read_string(object("/profiles/y/limits/0.9/y").id(), "kind"), "intervals");
    EXPECT_EQ(h5::shape(object("/limits/0.68/x_plane/intervals").id()), (std::vector<std::int64_t>{3, 2, 2}));
    EXPECT_EQ(h5::shape(object("/profiles/y/limits/0.5/y/intervals").id()), (std::vector<std::int64_t>{0, 2}));
    EXPECT_EQ(H5DSis_attached(object("/profiles/y/chi2").id(), object("/axes/y").id(), 0), 1);
    EXPECT_EQ(H5DSis_attached(object("/profiles/y/index/x").id(), object("/axes/y").id(), 0), 1);
    // What a reader of the surface sees is as before.
    SurfaceReader const surface{path};
    EXPECT_EQ(surface.chi2({0, 12})[5], 0.5 + surface.layout().axes[1].values[1]);
}

TEST_F(DerivedFile, RecordsOfTheSameNameAreReplacedAndOthersStay)
{
    store_derived_results(path, example());
    DerivedResults change;
    change.limits = {example().limits[0]};
    change.limits[0].contours.clear();
    change.limits[0].curves[0].upper = {7.0, 8.0, 9.0};
    change.limits[0].curves.push_back(change.limits[0].curves[0]);
    change.limits[0].curves[1].cl = 0.95;
    change.profiles = example().profiles;
    change.profiles[0].chi2 = {0.0, 0.0, 0.0, 0.0}; // a finished surface has one profile only: that which is there
    store_derived_results(path, change);
    auto const found = read_derived_results(path);
    ASSERT_EQ(found.limits.size(), 2U);
    EXPECT_EQ(found.limits[0].curves.size(), 2U);
    EXPECT_EQ(found.limits[0].curves[0].upper, (std::vector<double>{7.0, 8.0, 9.0}));
    EXPECT_EQ(found.limits[0].contours.size(), 1U);
    EXPECT_EQ(found.limits[1].intervals.size(), 2U);
    EXPECT_EQ(found.profiles.at(0).chi2[3], 3.5);
    // Contours with fewer pieces leave none of the old ones.
    DerivedResults fewer;
    fewer.limits = {example().limits[0]};
    fewer.limits[0].contours[0].pieces.pop_back();
    store_derived_results(path, fewer);
    EXPECT_EQ(read_derived_results(path).limits[0].contours[0].pieces.size(), 1U);
}

TEST_F(DerivedFile, OlderMinorSchemasAreReadAndRaised)
{
    change([](hid_t root) {
        h5::remove_attribute(root, "schema_minor");
        h5::write_attribute(root, "schema_minor", std::int64_t{1});
    });
    EXPECT_TRUE(read_derived_results(path).limits.empty());
    SurfaceReader{path};
    store_derived_results(path, example());
    h5::File const file = h5::File::open(path);
    EXPECT_EQ(h5::read_int(file.id(), "schema_minor"), schema_minor);
    EXPECT_EQ(read_derived_results(path).profiles.size(), 1U);
}

TEST_F(DerivedFile, LinksStayLinks)
{
    fs::create_symlink("surface.h5", dir.path() / "link.h5");
    store_derived_results(dir.path() / "link.h5", example());
    EXPECT_TRUE(fs::is_symlink(dir.path() / "link.h5"));
    EXPECT_EQ(read_derived_results(path).profiles.size(), 1U);
}

// --- failures leave the file alone ------------------------------------------------------------------------------------------------

TEST_F(DerivedFile, FullDiskLeavesTheFileAsItWas)
{
    auto const before = read_file(path);
    DerivedResults large = example();
    large.limits[0].contours[0].pieces[0].points.assign(200000, {1.0, 2.0});
    rlimit old = {};
    getrlimit(RLIMIT_FSIZE, &old);
    auto const handler = std::signal(SIGXFSZ, SIG_IGN);
    // While the copy is made, and while it is changed.
    for (rlim_t const size : {rlim_t{100}, rlim_t{before.size()}, rlim_t{before.size() + 50000}, rlim_t{3000000}})
    {
        rlimit const limit{size, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        std::string message;
        try
        {
            store_derived_results(path, large);
        }
        catch (RunError const& e)
        {
            message = e.what();
        }
        setrlimit(RLIMIT_FSIZE, &old);
        EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
        EXPECT_NE(message.find("File too large"), message.npos) << message;
        EXPECT_EQ(message.find('\n'), message.npos);
        EXPECT_EQ(read_file(path), before) << "limit " << size;
        EXPECT_EQ(std::distance(fs::directory_iterator{dir.path()}, {}), 1) << "a file was left behind";
    }
    std::signal(SIGXFSZ, handler);
    store_derived_results(path, large);
    EXPECT_EQ(read_derived_results(path).limits[0].contours[0].pieces[0].points.size(), 200000U);
}

TEST_F(DerivedFile, OneProgramAtATimeChangesIt)
{
    auto const before = read_file(path);
    fs::path const copy = path.string() + ".new";
    int const held = open(copy.c_str(), O_RDWR | O_CREAT, 0666);
    ASSERT_GE(held, 0);
    ASSERT_EQ(flock(held, LOCK_EX), 0);
    try
    {
        store_derived_results(path, example());
        ADD_FAILURE() << "no RunError";
    }
    catch (RunError const& e)
    {
        EXPECT_STREQ(e.what(), (path.string() + ": another nuscan is changing it; try again when that is done").c_str());
    }
    EXPECT_EQ(read_file(path), before);
    EXPECT_TRUE(fs::exists(copy)) << "it belongs to the other program";
    close(held);
    // What a killed program left behind does no harm.
    store_derived_results(path, example());
    EXPECT_FALSE(fs::exists(copy));
}

// --- what a reader refuses ----------------------------------------------------------------------------------------------------------

TEST_F(DerivedFile, NamesWhatIsWrong)
{
    store_derived_results(path, example());
    auto const good = read_file(path);
    auto const spoilt = [&](std::function<void(hid_t)> const& action, std::initializer_list<std::string_view> parts) {
        dir.write("surface.h5", good);
        change(action);
        expect_refused(parts);
    };
    auto const remove = [](char const* name) { return [=](hid_t root) { H5Ldelete(root, name, H5P_DEFAULT); }; };
    spoilt(remove("/profiles/y/chi2"), {path.string(), "no dataset '/profiles/y/chi2'"});
    spoilt(remove("/profiles/y/index/x"), {"no dataset '/profiles/y/index/x'"});
    spoilt(remove("/limits/0.68/x_plane/mass"), {"no dataset '/limits/0.68/x_plane/mass'"});
    spoilt(remove("/profiles/y/limits/0.9/y/open"), {"no dataset '/profiles/y/limits/0.9/y/open'"});
    auto const replace = [](char const* group, char const* name, std::vector<std::int64_t> const& dims) {
        return [=](hid_t root) {
            h5::Handle const parent{H5Gopen2(root, group, H5P_DEFAULT), group};
            h5::remove_child(parent.id(), name);
            std::vector<double> const values(100, 1.0);
            h5::write_array(parent.id(), name, dims, values.data());
        };
    };
    spoilt(replace("/profiles/y", "chi2", {5}), {"'/profiles/y/chi2' has shape (5), expected (4)"});
    spoilt(replace("/profiles/y/index", "x", {4}), {"'/profiles/y/index/x' is not of type int64"});
    spoilt(replace("/contours/0.9", "0", {4}), {"'/contours/0.9/0' has shape (4)"});
    spoilt(replace("/profiles/y/limits/0.9/y", "intervals", {3, 2}),
           {"'/profiles/y/limits/0.9/y/open' has shape (2, 2), expected (3, 2)"});
    spoilt(
        [](hid_t root) {
            h5::Handle const group{H5Gopen2(root, "/limits/0.68/x_plane", H5P_DEFAULT), "open"};
            h5::remove_attribute(group.id(), "definition");
        },
        {"no attribute 'definition' of '/limits/0.68/x_plane'"});
    // A kind of a newer schema is left out.
    dir.write("surface.h5", good);
    change([](hid_t root) {
        h5::Handle const group{H5Gopen2(root, "/limits/0.68/x_plane", H5P_DEFAULT), "open"};
        h5::remove_attribute(group.id(), "kind");
        h5::write_attribute(group.id(), "kind", "band");
    });
    EXPECT_TRUE(read_derived_results(path).limits.at(0).curves.empty());

    dir.write("surface.h5", good.substr(0, good.size() / 2));
    expect_refused({"damaged, truncated or unfinished"});
    dir.write("surface.h5", "nothing");
    expect_refused({"not an HDF5 file"});
}

} // namespace
} // namespace nuscan::test
