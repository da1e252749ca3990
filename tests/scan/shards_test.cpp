#include "host/scan/shards.hpp"

#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "host/io/surface_file.hpp"
#include "host/scan/identity.hpp"
#include "host/support/text.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{
namespace
{

void set_task(std::map<std::string, std::string> const& values)
{
    for (char const* const name : {"ID", "MIN", "MAX", "COUNT"})
    {
        auto const variable = std::string{"SLURM_ARRAY_TASK_"} + name;
        if (auto const found = values.find(name); found != values.end())
            setenv(variable.c_str(), found->second.c_str(), 1);
        else
            unsetenv(variable.c_str());
    }
}

TEST(Shards, AreNamedByNumberAndCount)
{
    auto const shard = parse_shard("3/64").value();
    EXPECT_EQ(shard.index, 3);
    EXPECT_EQ(shard.count, 64);
    EXPECT_EQ(shard.reason, "");
    EXPECT_FALSE(parse_shard("none").has_value());
    for (char const* const wrong : {"0/4", "5/4", "-1/4", "1/0", "1", "1/", "/4", "a/b", "1/2/3", "", "1/99999999999", "1.5/4"})
        expect_input_error([&] { parse_shard(wrong); }, {"--shard " + std::string{wrong}});
}

TEST(Shards, TakeTheTaskOfAWholeSlurmArray)
{
    set_task({{"ID", "3"}, {"MIN", "1"}, {"MAX", "8"}, {"COUNT", "8"}});
    EXPECT_EQ(default_shard(), "slurm");
    auto shard = parse_shard("slurm").value();
    EXPECT_EQ(shard.index, 3);
    EXPECT_EQ(shard.count, 8);
    EXPECT_EQ(shard.reason, "task 3 of the Slurm array 1-8");
    set_task({{"ID", "0"}, {"MIN", "0"}, {"MAX", "7"}, {"COUNT", "8"}});
    EXPECT_EQ(parse_shard("slurm")->index, 1);
    // Some tasks submitted again are not the whole scan.
    set_task({{"ID", "3"}, {"MIN", "3"}, {"MAX", "4"}, {"COUNT", "2"}});
    expect_input_error([] { parse_shard("slurm"); }, {"run from 3 to 4 and are 2", "--shard k/N", "--shard none"});
    set_task({{"ID", "3"}, {"MIN", "1"}, {"MAX", "9"}, {"COUNT", "5"}});
    expect_input_error([] { parse_shard("slurm"); }, {"run from 1 to 9 and are 5"});
    set_task({});
    EXPECT_EQ(default_shard(), "none");
    expect_input_error([] { parse_shard("slurm"); }, {"no task of a Slurm array", "--shard k/N"});
    // What is given counts, not the variables.
    set_task({{"ID", "3"}, {"MIN", "1"}, {"MAX", "8"}, {"COUNT", "8"}});
    EXPECT_EQ(parse_shard("1/2")->count, 2);
    EXPECT_FALSE(parse_shard("none").has_value());
    set_task({});
}

TEST(Shards, AreTheGridWithoutHolesOrOverlaps)
{
    for (std::vector<std::int64_t> const& shape : {std::vector<std::int64_t>{7}, {1000, 1000}, {10000, 10000}, {3, 5, 7, 11}})
        for (std::int64_t const count : {1, 2, 3, 7, 64})
        {
            std::int64_t size = 1;
            for (auto const n : shape)
                size *= n;
            if (count > size)
                continue;
            std::int64_t next = 0;
            for (std::int64_t k = 1; k <= count; ++k)
            {
                auto const range = shard_range(shape, {k, count, {}});
                EXPECT_EQ(range.begin, next);
                // About the same size: within an eighth, or a point.
                EXPECT_LE(std::abs(range.size() - size / count), size / count / 8 + 1);
                next = range.end;
            }
            EXPECT_EQ(next, size);
        }
    expect_input_error([] { shard_range({3, 2}, {1, 7, {}}); }, {"6 points only"});
}

TEST(Shards, LongOnesBeginWithAChunkOfTheFile)
{
    std::vector<std::int64_t> const shape{10000, 10000};
    for (std::int64_t k = 2; k <= 64; ++k)
    {
        auto const begin = shard_range(shape, {k, 64, {}}).begin;
        EXPECT_EQ(surface_chunk_begin(shape, begin), begin);
        EXPECT_NE(surface_chunk_begin(shape, begin + 1), begin + 1);
    }
}

TEST(Shards, NameTheirFiles)
{
    EXPECT_EQ(shard_path("OUT.h5", {3, 64, {}}), "OUT.shard-003-of-064.h5");
    EXPECT_EQ(shard_path("a.b/x.y.h5", {12, 12345, {}}), "a.b/x.y.shard-00012-of-12345.h5");
    EXPECT_EQ(shard_path("out", {1, 2, {}}), "out.shard-001-of-002");
}

TEST(Shards, CommandsOfOthersFollowFromOne)
{
    std::string const first = "nuscan scan 'my grid.toml' --shard=3/4 -s q_e=1e-13 -o 'a b.h5' --restart --threads 2";
    EXPECT_EQ(output_of_command(first), "a b.h5");
    EXPECT_EQ(shard_of_command(first), "3/4");
    EXPECT_EQ(shard_command(first, {4, 4, {}}, "a b.h5"),
              "nuscan scan 'my grid.toml' -s q_e=1e-13 --threads 2 --shard 4/4 -o 'a b.h5'");
    EXPECT_EQ(output_of_command("nuscan scan g.toml -oout.h5"), "out.h5");
    EXPECT_EQ(output_of_command("nuscan scan g.toml --output=out.h5"), "out.h5");
    EXPECT_EQ(continue_command("nuscan scan g.toml --restart -o o.h5", ""), "nuscan scan g.toml -o o.h5");
    TempDir const temp;
    auto const folder = temp.path() / "some where";
    std::filesystem::create_directory(folder);
    EXPECT_EQ(continue_command("nuscan scan g.toml -o o.h5", folder.string()),
              "cd '" + folder.string() + "' && nuscan scan g.toml -o o.h5");
    // What "slurm" was is not known where it is read: in another task it would be another shard.
    EXPECT_EQ(command_that_writes("nuscan scan g.toml -o o.h5 --shard slurm", folder.string(), folder / "o.shard-001-of-002.h5"),
              "cd '" + folder.string() + "' && nuscan scan g.toml -o o.h5 --shard slurm");
    // One that is gone leads nowhere.
    EXPECT_EQ(continue_command("nuscan scan g.toml -o o.h5", (folder / "gone").string()), "nuscan scan g.toml -o o.h5");
    EXPECT_EQ(continue_command("nuscan scan g.toml -o o.h5", std::filesystem::current_path().string()),
              "nuscan scan g.toml -o o.h5");
}

TEST(ShellWords, SurviveQuoting)
{
    std::vector<std::string> const words{"plain", "with space", "", "it's", "a\"b", "$HOME", "back\\slash", "ä", "--x=1,2:3@4%"};
    std::string line;
    for (auto const& word : words)
        line += shell_quote(word) + " ";
    EXPECT_EQ(shell_words(line), words);
    EXPECT_EQ(shell_quote("--x=1,2:3@4%"), "--x=1,2:3@4%");
    EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
}

// --- what tells scans apart ---------------------------------------------------------------------------------------------------------

std::string canonical(std::string const& n = "400", std::string const& fixed = "{}", std::string const& solar = "gs98",
                      std::string const& constants = "{}", std::string const& version = "1")
{
    return R"({"results_version":)" + version
           + R"(,"experiments":["xenonnt_sr0"],"axes":[{"parameter":"g_V","min":1e-8,"max":1e-5,"n":)" + n
           + R"(,"scale":"log"}],"fixed":)" + fixed + R"(,"inputs":{"solar":")" + solar + R"(","constants":)" + constants
           + R"(},"output":{"pulls":false,"rates":false}})";
}

TEST(Differences, NameTheItem)
{
    SideNames const names{"in the journal", "now"};
    auto const differences = [&](std::string const& a, std::string const& b) {
        return differences_text(configuration_differences(a, b, names));
    };
    EXPECT_EQ(differences(canonical(), canonical()), "");
    EXPECT_EQ(differences(canonical(), canonical("500")), "axis g_V: n = 400 in the journal, 500 now");
    EXPECT_EQ(differences(canonical("400", R"({"q_e":1e-13})"), canonical()), "fixed q_e = 1e-13 in the journal, not set now");
    EXPECT_EQ(differences(canonical(), canonical("400", R"({"q_e":1e-13})")), "fixed q_e = not set in the journal, 1e-13 now");
    EXPECT_EQ(differences(canonical(), canonical("400", "{}", "agss09met")), "input solar = gs98 in the journal, agss09met now");
    EXPECT_EQ(differences(canonical(), canonical("400", "{}", "gs98", R"({"s_W2":0.24})")),
              "constant s_W2 = not set in the journal, 0.24 now");
    EXPECT_EQ(differences(canonical("400", "{}", "gs98", "{}", "2"), canonical()), "results version 2 in the journal, 1 now");
    EXPECT_EQ(differences("{}", canonical()), "the configuration");
    EXPECT_EQ(differences(canonical() + " ", canonical()), "the configuration") << "never silent";
}

TEST(Differences, NameDataBackendRouteAndRange)
{
    SideNames const names{"in the journal", "now"};
    ScanIdentity const a{canonical(), {{"solar/pp.txt", "1"}, {"x.txt", "2"}}, "cpu", "auto", {0, 400}};
    EXPECT_TRUE(identity_differences(a, a, names).empty());
    auto b = a;
    b.data_sha256["solar/pp.txt"] = "3";
    EXPECT_EQ(differences_text(identity_differences(a, b, names)), "data file solar/pp.txt differs");
    b = a;
    b.data_sha256.erase("x.txt");
    EXPECT_EQ(differences_text(identity_differences(a, b, names)), "data file x.txt is used in the journal only");
    b = a;
    b.backend = "cuda";
    b.route = "direct";
    EXPECT_EQ(differences_text(identity_differences(a, b, names)),
              "backend cpu in the journal, cuda now; route auto in the journal, direct now");
    b = a;
    b.range = {0, 200};
    EXPECT_EQ(differences_text(identity_differences(a, b, names)), "points [0, 400) in the journal, [0, 200) now");
}

TEST(Differences, DescriptionComesBack)
{
    JournalDescription const description{
        {canonical(), {{"a", "1"}}, "cpu", "auto", {3, 9}}, "χ", "nuscan 'x y'", "/f", "t", "avx2"};
    auto const again = parse_description(description_text(description));
    EXPECT_TRUE(identity_differences(again.identity, description.identity, {}).empty());
    EXPECT_EQ(again.title, "χ");
    EXPECT_EQ(again.command_line, "nuscan 'x y'");
    EXPECT_EQ(again.folder, "/f");
    EXPECT_EQ(again.start_utc, "t");
    EXPECT_EQ(again.instruction_set, "avx2");
    expect_input_error([] { parse_description("{}"); }, {"cannot be read"});
}

} // namespace
} // namespace nuscan::test
