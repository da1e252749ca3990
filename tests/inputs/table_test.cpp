#include "host/inputs/table.hpp"

#include <cstdlib>
#include <limits>
#include <locale>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "host/support/input_file.hpp"
#include "host/support/sha256.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

constexpr std::string_view header = "# nuscan table\n# title: a test\n# columns: energy [keV], rate [1/(t yr keV)]\n# note: none\n";

Table parse(std::string const& rows)
{
    return Table::parse(std::string{header} + rows, "folder/toy.txt");
}

struct CommaPoint : std::numpunct<char>
{
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

TEST(Table, ReadsColumnsUnitsAndLines)
{
    Table const table = parse("1 10 # first\n\n  # comment\n\t2.5e0\t-2e-1\n+3 0\n");

    EXPECT_EQ(table.rows(), 3U);
    EXPECT_EQ(table.names(), (std::vector<std::string>{"energy", "rate"}));
    EXPECT_EQ(table.column("energy"), (std::vector<double>{1.0, 2.5, 3.0}));
    EXPECT_EQ(table.column("rate", "1/(t yr keV)"), (std::vector<double>{10.0, -0.2, 0.0}));
    EXPECT_EQ(table.unit("energy"), "keV");
    EXPECT_EQ(table.line(0), 5);
    EXPECT_EQ(table.line(1), 8);
    EXPECT_TRUE(table.has("rate"));
    EXPECT_FALSE(table.has("Rate"));
}

TEST(Table, AcceptsByteOrderMarkCrlfAndMissingLastLineEnd)
{
    Table const table = Table::parse("\xEF\xBB\xBF# nuscan table\r\n# columns: a [1]\r\n1\r\n\r\n2", "t");

    EXPECT_EQ(table.column("a"), (std::vector<double>{1.0, 2.0}));
    EXPECT_EQ(table.unit("a"), "1");
    EXPECT_EQ(table.line(1), 5);
}

TEST(Table, IgnoresTheLocale)
{
    std::locale const before = std::locale::global(std::locale{std::locale::classic(), new CommaPoint});
    Table const table = parse("1.5 1000.25\n");
    std::locale::global(before);

    EXPECT_EQ(table.column("energy").front(), 1.5);
    EXPECT_EQ(table.column("rate").front(), 1000.25);
}

TEST(Table, RefusesMalformedRows)
{
    expect_input_error([] { parse("1 2\n3\n"); }, {"folder/toy.txt:6:", "too few columns", "1 values", "2 (energy, rate)"});
    expect_input_error([] { parse("1 2 3\n"); }, {"folder/toy.txt:5:", "too many columns"});
    for (char const* word : {"x", "1,5", "1.0x", "nan", "inf", "-inf", "1e999", "0x10", "--1", "+-1", "1.0;"})
        expect_input_error([&] { parse(std::string{"1 2\n\n3 "} + word + "\n"); },
                           {"folder/toy.txt:7:", "column 'rate'", std::string{"'"} + word + "'", "not a finite number"});
}

TEST(Table, RefusesMalformedHeaders)
{
    auto const parse_all = [](char const* text) { return [text] { Table::parse(text, "t.txt"); }; };
    expect_input_error(parse_all("# nuscan table\n1 2\n"), {"t.txt:2:", "before the header", "# columns:"});
    expect_input_error(parse_all(""), {"t.txt:", "no header '# columns:"});
    expect_input_error(parse_all("# columns: a [1]\n# note: no rows\n"), {"t.txt:", "empty table"});
    expect_input_error(parse_all("\n# columns: a [1], b\n1 2\n"), {"t.txt:2:", "column 'b'", "name [unit]"});
    expect_input_error(parse_all("# columns:\n1\n"), {"t.txt:1:", "name [unit]"});
    expect_input_error(parse_all("# columns: a [1], a [1]\n1 2\n"), {"t.txt:1:", "column 'a' appears twice"});
    expect_input_error(parse_all("# columns: a [1]\n1\n# columns: a [1]\n"), {"t.txt:3:", "a second", "line 1"});
}

TEST(Table, NamesTheColumnsThereAre)
{
    Table const table = parse("1 2\n");
    expect_input_error([&] { table.column("enrgy"); }, {"folder/toy.txt:3:", "no column 'enrgy'", "did you mean 'energy'?"});
    expect_input_error([&] { table.column("something"); }, {"no column 'something'", "valid: energy, rate"});
    expect_input_error([&] { table.column("energy", "MeV"); }, {"folder/toy.txt:3:", "'energy' is in [keV]", "must be in [MeV]"});
}

TEST(Table, TellsDuplicateFromUnsorted)
{
    EXPECT_NO_THROW(parse("1 0\n2 0\n").require_ascending("energy"));
    expect_input_error([] { parse("1 0\n2 0\n2 0\n").require_ascending("energy"); },
                       {"folder/toy.txt:7:", "column 'energy'", "duplicate value 2", "line 6", "strictly ascending"});
    expect_input_error([] { parse("1 0\n2 0\n1.5 0\n").require_ascending("energy"); },
                       {"folder/toy.txt:7:", "column 'energy'", "not sorted: 1.5 follows 2"});
}

TEST(Table, ChecksRanges)
{
    Table const table = parse("1 0\n2 1\n3 1.5\n");
    EXPECT_NO_THROW(table.require_range("energy", 1.0, 3.0, "an energy"));
    expect_input_error([&] { table.require_range("rate", 0.0, 1.0, "an efficiency"); },
                       {"folder/toy.txt:7:", "column 'rate'", "an efficiency of 1.5", "[0, 1]"});
}

class DataFolderTest : public testing::Test
{
protected:
    DataFolderTest()
    {
        for (char const* part : {"solar", "xenon", "experiments"})
            std::filesystem::create_directories(temp_.path() / part);
    }

    ~DataFolderTest() override { unsetenv("NUSCAN_DATA_DIR"); }

    std::string path(char const* file) const { return (temp_.path() / file).string(); }

    TempDir temp_;
};

TEST_F(DataFolderTest, RecordsHashesByRelativePath)
{
    TempDir const elsewhere;
    temp_.write("xenon/abc.txt", "abc");
    auto const outside = elsewhere.write("abc.txt", "abc");
    DataFolder data{temp_.path() / ""};

    EXPECT_EQ(data.read("solar/../xenon/abc.txt"), "abc");
    EXPECT_EQ(data.read(outside), "abc");

    EXPECT_EQ(data.hashes(), (std::map<std::string, std::string>{{"xenon/abc.txt", sha256("abc")}, {outside, sha256("abc")}}));
}

TEST_F(DataFolderTest, NamesMissingFilesAndWhoWantsThem)
{
    DataFolder data{temp_.path()};
    expect_input_error([&] { data.read("solar/no.txt", "a.toml:3: key 'table'"); },
                       {"a.toml:3: key 'table': ", path("solar/no.txt"), "No such file"});
    expect_input_error([&] { data.read("solar"); }, {path("solar"), "it is a folder"});
}

TEST_F(DataFolderTest, RefusesWhatIsNoFileOrTooLong)
{
    DataFolder data{temp_.path()};
    ASSERT_EQ(mkfifo(path("xenon/pipe.txt").c_str(), 0600), 0);
    std::filesystem::create_symlink("/dev/zero", path("xenon/endless.txt"));
    for (char const* const file : {"xenon/pipe.txt", "xenon/endless.txt"})
        expect_input_error([&] { data.read(file, "a.toml:3"); },
                           {"a.toml:3: cannot read ", path(file), "it is not a regular file"});
    temp_.write("long.toml", std::string(longest_toml_file + 1, '#'));
    expect_input_error([&] { data.read("long.toml"); }, {"it is longer than 1048576 bytes"});
    // The same length is no great table.
    temp_.write("long.txt", std::string(longest_toml_file + 1, '#'));
    EXPECT_EQ(data.read("long.txt").size(), longest_toml_file + 1);
    // A sparse file: it takes no room on the disk.
    std::filesystem::resize_file(temp_.path() / "long.txt", longest_table_file + 1);
    expect_input_error([&] { data.read("long.txt"); }, {"it is longer than 67108864 bytes"});
}

TEST_F(DataFolderTest, RefusesOtherFolders)
{
    expect_input_error([&] { DataFolder{temp_.path() / "none"}; }, {path("none"), "no such data folder"});
    expect_input_error([&] { DataFolder{temp_.path() / "solar"}; }, {path("solar"), "not a data folder", "'solar/' is missing"});
}

TEST_F(DataFolderTest, EnvironmentComesFirst)
{
    setenv("NUSCAN_DATA_DIR", temp_.path().c_str(), 1);
    EXPECT_EQ(DataFolder::find().root(), temp_.path());

    setenv("NUSCAN_DATA_DIR", path("none").c_str(), 1);
    expect_input_error([] { DataFolder::find(); }, {"NUSCAN_DATA_DIR", path("none")});

    unsetenv("NUSCAN_DATA_DIR");
    EXPECT_EQ(DataFolder::find().root(), std::filesystem::path{NUSCAN_SOURCE_DATA_DIR}.lexically_normal());
}

TEST_F(DataFolderTest, ListsExperiments)
{
    temp_.write("experiments/b/experiment.toml", "");
    temp_.write("experiments/a/experiment.toml", "");
    temp_.write("experiments/c/notes.txt", "");
    EXPECT_EQ(DataFolder{temp_.path()}.experiments(), (std::vector<std::string>{"a", "b"}));
}

} // namespace
} // namespace nuscan::test
