// Shards, merge, diff, info on unfinished scans and scripts for Slurm.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>

#include <fmt/format.h>
#include <sys/resource.h>

#include "host/scan/merge.hpp"
#include "host/support/text.hpp"
#include "tests/support/scan_runs.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

class Shards : public ScanFolder
{
protected:
    static std::string name(int k, int n) { return fmt::format("out.shard-{:03}-of-{:03}.h5", k, n); }

    /// Computes shards 1 to n but \p left_out.
    void scan_shards(int n, int left_out = 0) const
    {
        for (int k = 1; k <= n; ++k)
            if (k != left_out)
            {
                auto const result = scan("out.h5", {"--shard", fmt::format("{}/{}", k, n)});
                EXPECT_EQ(result.out, name(k, n) + "\n");
            }
    }

    RunResult merge(std::vector<std::string> const& shards, std::string const& output = "merged.h5",
                    Arguments const& more = {}) const
    {
        Arguments arguments{"merge"};
        arguments.insert(arguments.end(), shards.begin(), shards.end());
        arguments.insert(arguments.end(), {"-o", output});
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run(arguments);
    }

    static std::vector<std::string> names(int n, int left_out = 0)
    {
        std::vector<std::string> all;
        for (int k = n; k >= 1; --k) // in no good order
            if (k != left_out)
                all.push_back(name(k, n));
        return all;
    }

    /// The values of a shard with other words about them.
    void rewrite(SurfaceReader const& from, std::string const& output, SurfaceLayout const& layout, SurfaceMeta const& meta) const
    {
        IndexRange const range = layout.range;
        SurfaceWriter writer{file(output), layout};
        writer.append(range.size(), from.chi2(range).data(), from.status(range).data(), nullptr, nullptr);
        writer.finish(meta, from.best_fit(), from.null());
    }

    /// Changes one byte in the values of a file, somewhere in its chi^2.
    void flip_value(std::string const& output) const
    {
        auto bytes = text_of(output);
        auto const chi2 = SurfaceBits{SurfaceReader{file(output)}}.chi2;
        auto const at = bytes.find(chi2.substr(chi2.size() / 2, 16));
        ASSERT_NE(at, bytes.npos);
        bytes[at] = static_cast<char>(bytes[at] ^ 8);
        fs::remove(file(output));
        temp_.write(output, bytes);
    }
};

TEST_F(Shards, TogetherAreTheWholeScanBitByBit)
{
    write_grid(37, 29, "[output]\npulls = true\nrates = true\n");
    scan("whole.h5");
    SurfaceReader const whole{file("whole.h5")};
    scan_shards(5);
    auto const first = run({"info", name(2, 5)});
    EXPECT_NE(first.out.find(", shard 2 of 5\n"), first.out.npos) << first;
    for (Arguments const& how : {Arguments{}, {"--virtual"}})
    {
        auto const output = how.empty() ? "solid.h5" : "virtual.h5";
        auto const result = merge(names(5), output, how);
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_EQ(result.out, std::string{output} + "\n");
        EXPECT_FALSE(fs::exists(file(std::string{output} + ".partial")));
        EXPECT_EQ(bits(output), bits("whole.h5"));
        SurfaceReader const merged{file(output)};
        EXPECT_EQ(merged.best_fit().index, whole.best_fit().index);
        EXPECT_EQ(merged.best_fit().chi2, whole.best_fit().chi2);
        EXPECT_EQ(merged.best_fit().parameters, whole.best_fit().parameters);
        EXPECT_EQ(merged.best_fit().pulls, whole.best_fit().pulls);
        EXPECT_EQ(merged.null().chi2, whole.null().chi2);
        auto const& meta = merged.meta();
        EXPECT_EQ(meta.chi2_zero, whole.meta().chi2_zero);
        EXPECT_EQ(meta.configuration_sha256, whole.meta().configuration_sha256);
        EXPECT_EQ(meta.results_version, whole.meta().results_version);
        ASSERT_EQ(meta.shards.size(), 5U);
        std::int64_t checked = 0;
        double computed = 0.0;
        for (std::size_t k = 0; k < 5; ++k)
        {
            auto const& shard = meta.shards[k];
            EXPECT_EQ(shard.file, name(static_cast<int>(k) + 1, 5));
            EXPECT_EQ(shard.shard_index, static_cast<std::int64_t>(k) + 1);
            EXPECT_EQ(shard.shard_count, 5);
            EXPECT_FALSE(shard.host.empty());
            checked += shard.self_check.points;
            computed += shard.compute_time_s;
        }
        EXPECT_EQ(meta.self_check.points, checked);
        EXPECT_TRUE(meta.self_check.passed);
        EXPECT_EQ(meta.compute_time_s, computed);
        auto const validate = run({"validate", output, "--points", "5"});
        EXPECT_EQ(validate.exit_code, 0) << validate;
        auto const diff = run({"diff", "whole.h5", output, "--tolerance", "0"});
        EXPECT_EQ(diff.exit_code, 0) << diff;
        EXPECT_EQ(run_json({"info", output, "--json"}, options()).at("shards").size(), 5U);
        // Everything else works on it, too.
        auto const limits = run({"limits", output});
        EXPECT_EQ(limits.exit_code, 0) << limits;
    }
    EXPECT_LT(size_of("virtual.h5"), size_of("solid.h5") / 2);
}

TEST_F(Shards, TakeRoomForTheirOwnPointsOnly)
{
    write_grid(2000, 1000); // 18 MB in all
    scan("out.h5", {"--shard", "3/8"});
    EXPECT_LT(size_of(name(3, 8)), 2000U * 1000U * 9U / 8U + 2U * 131072U * 9U + 200000U);
    auto const done = scan("out.h5", {"--shard", "3/8"});
    EXPECT_TRUE(done.said(name(3, 8) + " is finished already")) << done;
}

TEST_F(Shards, WholeChunksAreCopiedAsTheyAreStoredAndStillVerified)
{
    write_grid(600, 1000); // five chunks, the third in both shards
    scan("whole.h5");
    scan_shards(2);
    ASSERT_EQ(merge(names(2)).exit_code, 0);
    EXPECT_EQ(bits("merged.h5"), bits("whole.h5"));
    // HDF5 itself accepts the checksums.
    EXPECT_EQ(run({"validate", "merged.h5"}).exit_code, 0);
    flip_value(name(1, 2));
    auto const result = merge(names(2), "other.h5");
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_TRUE(result.err.starts_with("error: " + name(1, 2) + ": cannot read '/grid/chi2': data error")) << result;
    EXPECT_FALSE(fs::exists(file("other.h5")));
}

TEST_F(Shards, AVirtualSurfaceNoticesWhatBecameOfItsShards)
{
    write_grid(12, 10);
    scan_shards(3);
    ASSERT_EQ(merge(names(3), "virtual.h5", {"--virtual"}).exit_code, 0);
    fs::rename(file(name(2, 3)), file("kept.h5"));
    auto missing = run({"info", "virtual.h5"});
    EXPECT_EQ(missing.exit_code, 2) << missing;
    EXPECT_TRUE(missing.said(name(2, 3))) << missing;
    fs::copy_file(file(name(1, 3)), file(name(2, 3)));
    auto other = run({"info", "virtual.h5"});
    EXPECT_EQ(other.exit_code, 2) << other;
    EXPECT_TRUE(other.said(name(2, 3) + ": is not the shard that was merged")) << other;
    fs::remove(file(name(2, 3)));
    fs::rename(file("kept.h5"), file(name(2, 3)));
    // From any folder, and moved together with its shards.
    fs::create_directory(file("elsewhere"));
    for (auto const& shard : names(3))
        fs::rename(file(shard), file("elsewhere/" + shard));
    fs::rename(file("virtual.h5"), file("elsewhere/virtual.h5"));
    auto const valid = run({"validate", "elsewhere/virtual.h5"});
    EXPECT_EQ(valid.exit_code, 0) << valid;
    flip_value("elsewhere/" + name(2, 3));
    auto const flipped = run({"validate", "elsewhere/virtual.h5"});
    EXPECT_EQ(flipped.exit_code, 2) << flipped;
    EXPECT_TRUE(flipped.said("virtual.h5: its values are in shards, and elsewhere/" + name(2, 3) + ": cannot read '/grid/chi2'"))
        << flipped;
}

TEST_F(Shards, HolesAreReportedWithTheCommandThatFillsThem)
{
    write_grid(10, 10);
    scan_shards(4, 3);
    auto const result = merge(names(4, 3));
    EXPECT_EQ(result.exit_code, 3) << result;
    EXPECT_TRUE(result.said("points [50, 75) are in no shard")) << result;
    std::string const scan = shell_quote(NUSCAN_BINARY) + " scan grid.toml ";
    EXPECT_TRUE(result.out.starts_with(scan + "--threads 1 --device cpu --shard 3/4 -o out.h5\n")) << result;
    EXPECT_FALSE(fs::exists(file("merged.h5")));
    EXPECT_FALSE(fs::exists(file("merged.h5.partial")));
    // The command does it.
    RunOptions shell = options();
    shell.program = "/bin/sh";
    EXPECT_EQ(run_nuscan({"-c", result.out}, shell).exit_code, 0);
    EXPECT_EQ(merge(names(4)).exit_code, 0);
    // In another folder, it says where.
    fs::remove(file(name(1, 4)));
    RunOptions elsewhere = options();
    elsewhere.folder = "/";
    auto const far = run_nuscan({"merge", file(name(2, 4)).string(), file(name(4, 4)).string(), "-o", file("x.h5").string()},
                                elsewhere);
    EXPECT_EQ(far.exit_code, 3) << far;
    EXPECT_NE(far.out.find("cd " + fs::canonical(temp_.path()).string() + " && " + scan), far.out.npos) << far;
}

TEST_F(Shards, HolesAtBothEndsAreReported)
{
    write_grid(10, 10);
    scan_shards(4);
    auto const result = merge({name(2, 4), name(3, 4)});
    EXPECT_EQ(result.exit_code, 3) << result;
    EXPECT_TRUE(result.said("points [0, 25) are in no shard")) << result;
    EXPECT_TRUE(result.said("points [75, 100) are in no shard")) << result;
    EXPECT_NE(result.out.find("--shard 1/4 "), result.out.npos) << result;
    EXPECT_NE(result.out.find("--shard 4/4 "), result.out.npos) << result;
    EXPECT_EQ(result.out.find("--shard 2/4 "), result.out.npos) << result;
    EXPECT_FALSE(fs::exists(file("merged.h5")));
}

/// What a shard says of itself has no checksum: it must be what its values say.
TEST_F(Shards, OneThatContradictsItsValuesIsRefused)
{
    write_grid(10, 10);
    scan_shards(2);
    SurfaceReader const good{file(name(2, 2))};
    IndexRange const range = good.layout().range;
    auto const chi2 = good.chi2(range);
    auto status = good.status(range);
    auto const refuse = [&](SurfaceMeta const& meta, PointRecord const& best, std::string const& why) {
        {
            SurfaceWriter writer{file("bad.h5"), good.layout()};
            writer.append(range.size(), chi2.data(), status.data(), nullptr, nullptr);
            writer.finish(meta, best, good.null());
        }
        auto const result = merge({name(1, 2), "bad.h5"});
        EXPECT_EQ(result.exit_code, why.empty() ? 0 : 1) << result;
        EXPECT_TRUE(why.empty() || result.said("bad.h5: " + why)) << result;
        fs::remove(file("bad.h5"));
        EXPECT_EQ(fs::remove(file("merged.h5")), why.empty());
    };
    refuse(good.meta(), good.best_fit(), "");
    auto best = good.best_fit();
    best.index = range.begin + (best.index == range.begin);
    refuse(good.meta(), best, "its best fit is not that of its values");
    best = good.best_fit();
    best.chi2 = std::nextafter(best.chi2, 0.0);
    refuse(good.meta(), best, "its best fit is not that of its values");
    for (auto const count : {&SurfaceMeta::not_converged, &SurfaceMeta::not_finite, &SurfaceMeta::direct_fallback})
    {
        auto meta = good.meta();
        ++(meta.*count);
        refuse(meta, good.best_fit(), "its counts of failed points are not those of its values");
    }
    status[7] = 200;
    refuse(good.meta(), good.best_fit(), "point 57 was never computed");
}

TEST_F(Shards, OverlapsAreReportedAndNothingIsWritten)
{
    write_grid(10, 10);
    scan_shards(4, 2);
    scan("out.h5", {"--shard", "1/2"});
    for (Arguments const& how : {Arguments{}, {"--virtual"}})
    {
        auto const result = merge({name(1, 4), name(3, 4), name(4, 4), name(1, 2)}, "merged.h5", how);
        EXPECT_EQ(result.exit_code, 3) << result;
        EXPECT_TRUE(result.said("points [0, 25) are in " + name(1, 2) + " and in " + name(1, 4) + ": name one of them")) << result;
        EXPECT_TRUE(result.said("nothing is written")) << result;
        EXPECT_EQ(result.out, "");
        auto const twice = merge({name(3, 4), name(4, 4), name(1, 2), name(3, 4)}, "merged.h5", how);
        EXPECT_EQ(twice.exit_code, 3) << twice;
        EXPECT_TRUE(twice.said("points [50, 75) are in " + name(3, 4) + " and in " + name(3, 4))) << twice;
        EXPECT_FALSE(fs::exists(file("merged.h5")));
    }
    EXPECT_EQ(merge({name(3, 4), name(4, 4), name(1, 2)}).exit_code, 0);
}

TEST_F(Shards, OfSeveralRoutesAreMergedWithAWarning)
{
    write_grid(10, 10);
    scan("whole.h5");
    scan("direct.h5", {"--route", "direct"});
    scan("out.h5", {"--shard", "1/2"});
    scan("out.h5", {"--shard", "2/2", "--route", "direct"});
    auto expected = SurfaceReader{file("whole.h5")}.chi2({0, 100});
    auto const direct = SurfaceReader{file("direct.h5")}.chi2({50, 100});
    ASSERT_FALSE(std::equal(direct.begin(), direct.end(), expected.begin() + 50));
    std::copy(direct.begin(), direct.end(), expected.begin() + 50);
    for (Arguments const& how : {Arguments{}, {"--virtual"}})
    {
        auto const output = how.empty() ? "solid.h5" : "virtual.h5";
        auto const result = merge(names(2), output, how);
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_TRUE(result.said("more than one route: factored, direct")) << result;
        EXPECT_EQ(SurfaceReader{file(output)}.chi2({0, 100}), expected);
    }
}

/// The list of what a virtual dataset of many shards refers to is longer than any string may be.
TEST_F(Shards, ManyMakeAVirtualSurfaceLikeAnyOther)
{
    constexpr int count = 48;
    write_grid(count, 3, "[output]\npulls = true\nrates = true\n");
    scan("whole.h5");
    scan_shards(count);
    // More of them than files may be open, unless somebody has that changed.
    struct rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit const few = {count / 2, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    auto const merged = merge(names(count), "virtual.h5", {"--virtual"});
    auto const info = run({"info", "virtual.h5"});
    auto const valid = run({"validate", "virtual.h5", "--points", "5"});
    auto const diff = run({"diff", "whole.h5", "virtual.h5", "--tolerance", "0"});
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (auto const& result : {merged, info, valid, diff})
        EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_EQ(bits("virtual.h5"), bits("whole.h5"));
    EXPECT_EQ(SurfaceReader{file("virtual.h5")}.layout().rates.front().unit,
              SurfaceReader{file("whole.h5")}.layout().rates.front().unit);
    // What is derived from it is stored beside the lists.
    for (Arguments const& derive : {Arguments{"profile", "virtual.h5", "--keep", "g_V"}, {"limits", "virtual.h5"}})
    {
        auto const result = run(derive);
        EXPECT_EQ(result.exit_code, 0) << result;
    }
    EXPECT_EQ(run({"info", "virtual.h5"}).exit_code, 0);
    EXPECT_EQ(bits("virtual.h5"), bits("whole.h5"));
}

/// HDF5 takes names behind a virtual dataset for patterns.
TEST_F(Shards, PercentSignsAreNamesLikeAnyOther)
{
    write_grid(10, 10);
    scan("whole.h5");
    auto const shards = [this](std::string const& output, Arguments more) {
        std::vector<std::string> all;
        for (char const* const shard : {"1/2", "2/2"})
        {
            auto how = more;
            how.insert(how.end(), {"--shard", shard});
            std::string name = scan(output, how).out;
            name.pop_back();
            all.push_back(name);
        }
        return all;
    };
    // Other values under the name that the pattern would stand for.
    shards("p%q.h5", {"--solar", "agss09met"});
    for (std::string const output : {"p%%q.h5", "r%b.h5", "100%.h5"})
    {
        auto const result = merge(shards(output, {}), "virtual.h5", {"--virtual", "--replace"});
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_EQ(bits("virtual.h5"), bits("whole.h5")) << output;
        auto const valid = run({"validate", "virtual.h5"});
        EXPECT_EQ(valid.exit_code, 0) << valid;
    }
}

TEST_F(Shards, AVirtualSurfaceIsNoPartOfAnother)
{
    write_grid(10, 10);
    scan_shards(2);
    ASSERT_EQ(merge(names(2), "virtual.h5", {"--virtual"}).exit_code, 0);
    auto const refused = merge({"virtual.h5"}, "again.h5", {"--virtual"});
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_TRUE(refused.said("virtual.h5: keeps its values in other files")) << refused;
    EXPECT_EQ(merge({"virtual.h5"}, "solid.h5").exit_code, 0);
    EXPECT_EQ(bits("solid.h5"), bits("virtual.h5"));
}

/// Options that take several values must not swallow the grid file when another one, which stood between them, is left out.
TEST_F(Shards, CommandsHoldInWhateverOrderTheOptionsCame)
{
    write_grid(10, 10);
    RunOptions shell = options();
    shell.program = "/bin/sh";
    for (char const* const shard : {"1/3", "3/3"})
    {
        auto const result = run(
            {"scan", "--threads", "1", "-e", "xenonnt_sr0", "-o", "out.h5", "--set", "q_e=-1e-14", "--shard", shard, "grid.toml"});
        EXPECT_EQ(result.exit_code, 0) << result;
    }
    auto const holes = merge(names(3, 2));
    EXPECT_EQ(holes.exit_code, 3) << holes;
    auto const filled = run_nuscan({"-c", holes.out}, shell);
    EXPECT_EQ(filled.exit_code, 0) << filled;
    EXPECT_EQ(merge(names(3)).exit_code, 0);
    auto const script = run({"plan", "--slurm", "-e", "xenonnt_sr0", "lz_ws2022", "--shards", "3", "-o", "out.h5", "grid.toml"});
    EXPECT_NE(script.out.find(" scan grid.toml -e xenonnt_sr0 -e lz_ws2022 --threads "), script.out.npos) << script;
}

TEST_F(Shards, OneThatWasBegunContinuesWithItsOwnOptions)
{
    write_grid(80, 100);
    scan("out.h5", {"--shard", "1/2"});
    RunningProgram program{scan_command("out.h5", {"--device", "reference", "--chunk", "50", "--shard", "2/2"}), options()};
    ASSERT_TRUE(program.wait_until([&] { return points_in(name(2, 2) + ".journal") > 500; }));
    program.send(SIGTERM);
    EXPECT_EQ(program.wait().exit_code, 3);
    auto const holes = merge(names(2, 2));
    EXPECT_EQ(holes.exit_code, 3) << holes;
    EXPECT_NE(holes.out.find("--device reference"), holes.out.npos) << holes;
    RunOptions shell = options();
    shell.program = "/bin/sh";
    auto const filled = run_nuscan({"-c", holes.out}, shell);
    EXPECT_EQ(filled.exit_code, 0) << filled;
    EXPECT_TRUE(filled.said("continued at point")) << filled;
}

TEST_F(Shards, AMergedOneThatIsDamagedIsMergedAnew)
{
    write_grid(10, 10);
    scan_shards(4);
    ASSERT_EQ(merge({name(1, 4), name(2, 4), name(3, 4), name(4, 4)}, "all.h5").exit_code, 0);
    flip_value("all.h5");
    auto const result = merge({"all.h5"});
    EXPECT_EQ(result.exit_code, 1) << result;
    RunOptions shell = options();
    shell.program = "/bin/sh";
    // Where it is: its original may be whole.
    fs::create_directory(file("copies"));
    fs::copy_file(file("all.h5"), file("copies/all.h5"));
    auto const again = run_nuscan({"-c", result.out}, shell);
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_EQ(merge({"all.h5"}).exit_code, 0);
    auto const whole = text_of("all.h5");
    auto const copy = merge({"copies/all.h5"}, "other.h5");
    EXPECT_EQ(copy.exit_code, 1) << copy;
    auto const mended = run_nuscan({"-c", copy.out}, shell);
    EXPECT_EQ(mended.exit_code, 0) << mended;
    EXPECT_EQ(text_of("all.h5"), whole);
    EXPECT_EQ(merge({"copies/all.h5"}, "other.h5").exit_code, 0);
}

/// HDF5 has checksums for some of what a file says of itself, and none for the rest.
TEST_F(Shards, DamageOfWhatAShardSaysOfItselfIsFoundAndNamed)
{
    write_grid(10, 10);
    scan_shards(2);
    auto const good = text_of(name(1, 2));
    auto const meta = SurfaceReader{file(name(1, 2))}.meta();
    for (std::string const& text : {meta.data_sha256.begin()->second, meta.configuration_canonical.substr(0, 40), meta.start_utc})
    {
        auto damaged = good;
        auto const at = damaged.rfind(text);
        ASSERT_NE(at, damaged.npos) << text;
        damaged[at + text.size() - 1] = static_cast<char>(damaged[at + text.size() - 1] ^ 1);
        fs::remove(file(name(1, 2)));
        temp_.write(name(1, 2), damaged);
        auto const valid = run({"validate", name(1, 2)});
        EXPECT_NE(valid.exit_code, 0) << valid;
        auto const result = merge(names(2));
        EXPECT_EQ(result.exit_code, 1) << result;
        EXPECT_TRUE(result.said("error: " + name(1, 2) + ": ")) << result;
        EXPECT_TRUE(result.said("checksum")) << result;
        EXPECT_NE(result.out.find("--shard 1/2 -o out.h5 --restart\n"), result.out.npos) << result;
    }
}

TEST_F(Shards, AFolderIsNoOutput)
{
    write_grid(10, 10);
    fs::create_directory(file("folder"));
    for (std::string const output : {"folder", "folder/", "none/"})
    {
        auto const refused = run(scan_command(output, {"--shard", "1/2"}));
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_TRUE(refused.said(output + ": is a folder; name a file")) << refused;
        auto const script = run({"plan", "grid.toml", "--slurm", "--shards", "2", "-o", output});
        EXPECT_EQ(script.exit_code, 2) << script;
    }
    EXPECT_TRUE(fs::is_empty(file("folder")));
}

TEST_F(Shards, AMergeThatIsStoppedOrRunsOutOfRoomLeavesNothing)
{
    write_grid(400, 1000);
    scan_shards(2);
    auto small = options();
    small.file_size_limit = 1000000;
    auto const full = run_nuscan({"merge", name(1, 2), name(2, 2), "-o", "merged.h5"}, small);
    EXPECT_EQ(full.exit_code, 1) << full;
    EXPECT_TRUE(full.said("merged.h5")) << full;
    auto const nothing_left = [this] {
        for (char const* const left : {"merged.h5", "merged.h5.merging", "merged.h5.journal"})
            EXPECT_FALSE(fs::exists(file(left))) << left;
    };
    nothing_left();
    MergeOptions how;
    how.shards = {file(name(1, 2)), file(name(2, 2))};
    how.output = file("merged.h5");
    int asked = 0;
    how.interrupted = [&] { return ++asked == 3; };
    EXPECT_TRUE(merge_surfaces(how).interrupted);
    nothing_left();
    how.interrupted = nullptr;
    EXPECT_FALSE(merge_surfaces(how).interrupted);
}

/// Of the self-checks the worst counts.
TEST_F(Shards, AFailedSelfCheckFailsTheMergedSurface)
{
    write_grid(10, 10);
    scan_shards(3);
    SurfaceReader const good{file(name(2, 3))};
    auto meta = good.meta();
    meta.failed = true;
    meta.self_check.passed = false;
    meta.self_check.worst = 1e-3;
    rewrite(good, "failed.h5", good.layout(), meta);
    auto const result = merge({name(1, 3), "failed.h5", name(3, 3)});
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_TRUE(result.said("failed.h5 failed its self-check; compute this shard again")) << result;
    auto const merged = SurfaceReader{file("merged.h5")}.meta();
    EXPECT_TRUE(merged.failed);
    EXPECT_FALSE(merged.self_check.passed);
    EXPECT_EQ(merged.self_check.worst, 1e-3);
}

TEST_F(Shards, AxesMayDifferByRoundingOnly)
{
    write_grid(10, 10);
    scan_shards(2);
    SurfaceReader const good{file(name(2, 2))};
    for (auto const& [change, exit_code] : {std::pair{1e-15, 0}, {1e-12, 2}})
    {
        auto layout = good.layout();
        layout.axes[1].values[4] *= 1.0 + change;
        rewrite(good, "other.h5", layout, good.meta());
        auto const result = merge({name(1, 2), "other.h5"});
        EXPECT_EQ(result.exit_code, exit_code) << result;
        EXPECT_EQ(result.said("do not belong together: axis g_V: node 4 is"), exit_code != 0) << result;
        fs::remove(file("merged.h5"));
        fs::remove(file("other.h5"));
    }
}

TEST_F(Shards, EveryBadShardIsNamedWithTheCommandThatMendsIt)
{
    write_grid(10, 10);
    scan("whole.h5");
    scan_shards(5);
    flip_value(name(2, 5));
    auto const good = text_of(name(4, 5));
    temp_.write(name(4, 5), good.substr(0, good.size() / 2));
    fs::remove(file(name(5, 5)));
    RunOptions shell = options();
    shell.program = "/bin/sh";
    for (Arguments const& how : {Arguments{}, {"--virtual"}})
    {
        auto const result = merge(names(5, 5), "merged.h5", how);
        EXPECT_EQ(result.exit_code, 1) << result;
        EXPECT_TRUE(result.said("error: " + name(2, 5) + ": cannot read '/grid/chi2': data error")) << result;
        EXPECT_TRUE(result.said("error: " + name(4, 5) + ": damaged, truncated")) << result;
        EXPECT_TRUE(result.said("points [60, 100) are in no shard that is whole")) << result;
        for (char const* const shard : {"2/5 -o out.h5 --restart\n", "4/5 -o out.h5 --restart\n", "5/5 -o out.h5\n"})
            EXPECT_NE(result.out.find(shard), result.out.npos) << result;
        EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3) << result;
        EXPECT_FALSE(fs::exists(file("merged.h5")));
        EXPECT_FALSE(fs::exists(file("merged.h5.merging")));
        if (!how.empty())
        {
            EXPECT_EQ(run_nuscan({"-c", result.out}, shell).exit_code, 0);
        }
    }
    EXPECT_EQ(merge(names(5)).exit_code, 0);
    EXPECT_EQ(bits("merged.h5"), bits("whole.h5"));
}

TEST_F(Shards, OneThatCannotBeReadIsNotCalledDamaged)
{
    write_grid(10, 10);
    scan_shards(3);
    fs::permissions(file(name(2, 3)), fs::perms::none);
    if (auto const user = obeying_permissions(options()))
    {
        auto const forbidden = run_nuscan({"merge", name(1, 3), name(2, 3), name(3, 3), "-o", "merged.h5"}, *user);
        EXPECT_EQ(forbidden.exit_code, 1) << forbidden;
        EXPECT_TRUE(forbidden.said(name(2, 3) + ": cannot be read: Permission denied; once that is mended, merge again"))
            << forbidden;
    }
    fs::remove(file(name(2, 3)));
    auto const missing = merge(names(3));
    EXPECT_EQ(missing.exit_code, 2) << missing;
    EXPECT_TRUE(missing.said(name(2, 3) + ": there is no such file")) << missing;
    fs::create_directory(file(name(2, 3)));
    auto const folder = merge(names(3));
    EXPECT_EQ(folder.exit_code, 2) << folder;
    EXPECT_TRUE(folder.said(name(2, 3) + ": not a regular file, so no shard")) << folder;
}

TEST_F(Shards, OfAnotherScanAreRefusedWithTheDifference)
{
    write_grid(10, 10);
    scan_shards(3, 3);
    for (auto const& [change, message] :
         {std::pair{Arguments{"--set", "q_e=1e-13"}, "fixed q_e = not set in " + name(1, 3)},
          {Arguments{"--nodes", "9"}, "axis m_V: n = 10 in " + name(1, 3) + ", 9 in " + name(3, 3)}})
    {
        auto more = change;
        more.insert(more.end(), {"--shard", "3/3", "--restart"});
        scan("out.h5", more);
        auto const result = merge({name(1, 3), name(2, 3), name(3, 3)});
        EXPECT_EQ(result.exit_code, 2) << result;
        EXPECT_TRUE(result.said(message)) << result;
    }
    fs::copy(NUSCAN_SOURCE_DATA_DIR, file("data"), fs::copy_options::recursive);
    std::ofstream{file("data/solar/gs98.toml"), std::ios::app} << "# changed\n";
    auto elsewhere = options();
    elsewhere.environment["NUSCAN_DATA_DIR"] = file("data").string();
    EXPECT_EQ(run_nuscan(scan_command("out.h5", {"--shard", "3/3", "--restart"}), elsewhere).exit_code, 0);
    auto const result = merge(names(3));
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_TRUE(result.said("data file solar/gs98.toml differs")) << result;
}

TEST_F(Shards, MergeNeverReplacesUnasked)
{
    write_grid(10, 10);
    scan_shards(2);
    temp_.write("merged.h5", "something else");
    auto const refused = merge(names(2));
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_TRUE(refused.said("merged.h5: is there already")) << refused;
    EXPECT_EQ(text_of("merged.h5"), "something else");
    EXPECT_EQ(merge(names(2), "merged.h5", {"--replace"}).exit_code, 0);
    EXPECT_EQ(merge(names(2), name(1, 2), {"--replace"}).exit_code, 2) << "a shard is no output";
    EXPECT_EQ(merge(names(2), "no/merged.h5").exit_code, 2);
}

TEST_F(Shards, FailedPointsAreCountedAndListed)
{
    temp_.write("grid.toml", "[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nq_e = { min = 0.0, max = 1e300, n = 6 }\n");
    for (int k = 1; k <= 2; ++k)
        EXPECT_EQ(run(scan_command("out.h5", {"--shard", fmt::format("{}/2", k)})).exit_code, 1);
    auto const result = merge(names(2));
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_TRUE(result.said("5 points not finite")) << result;
    EXPECT_TRUE(result.said("merged.h5 is complete but for 5 of 6 points")) << result;
    EXPECT_EQ(SurfaceReader{file("merged.h5")}.meta().not_finite, 5);
}

TEST_F(Shards, ATaskOfASlurmArrayScansItsPartUnlessToldOtherwise)
{
    write_grid(10, 10);
    auto task = options();
    task.environment = {{"SLURM_ARRAY_TASK_ID", "2"},
                        {"SLURM_ARRAY_TASK_MIN", "1"},
                        {"SLURM_ARRAY_TASK_MAX", "4"},
                        {"SLURM_ARRAY_TASK_COUNT", "4"}};
    auto const part = run_nuscan(scan_command("out.h5"), task);
    EXPECT_EQ(part.out, name(2, 4) + "\n") << part;
    EXPECT_TRUE(part.said(
        "shard 2 of 4 (task 2 of the Slurm array 1-4; --shard none: the whole grid): points [25, 50) of 100, into " + name(2, 4)))
        << part;
    // The same by its name, and what is recorded is the same shard anywhere.
    auto const again = run_nuscan(scan_command("out.h5", {"--shard", "slurm"}), task);
    EXPECT_TRUE(again.said(name(2, 4) + " is finished already")) << again;
    EXPECT_TRUE(SurfaceReader{file(name(2, 4))}.meta().command_line.ends_with(" --shard 2/4"));
    for (Arguments const& more : {Arguments{"--shard", "none"}, Arguments{"--shard", "1/2"}})
    {
        auto const other = run_nuscan(scan_command("out.h5", more), task);
        EXPECT_EQ(other.out, (more.back() == "none" ? "out.h5" : name(1, 2)) + "\n") << other;
    }
    // Some tasks submitted again are not all shards.
    task.environment["SLURM_ARRAY_TASK_MIN"] = "2";
    task.environment["SLURM_ARRAY_TASK_COUNT"] = "3";
    auto const gap = run_nuscan(scan_command("gap.h5"), task);
    EXPECT_EQ(gap.exit_code, 2) << gap;
    EXPECT_TRUE(gap.said("run from 2 to 4 and are 3: not those of a whole scan")) << gap;
}

TEST_F(Shards, APlanPrintsAScriptForSlurm)
{
    write_grid(10, 10);
    temp_.write("site.toml",
                "partition = \"gpu\"\naccount = \"nu\"\ntime = \"00:30:00\"\nmodules = [\"gcc/12\", \"hdf5\"]\n"
                "setup = [\"ulimit -c 0\"]\nsbatch = [\"--constraint=a100\"]\ncpus_per_task = 4\ntasks_at_a_time = 8\n");
    auto const result = run(
        {"plan", "grid.toml", "--slurm", "--shards", "4", "-o", "out.h5", "--site", "site.toml", "--device", "cpu"});
    EXPECT_EQ(result.exit_code, 0) << result;
    for (char const* const line :
         {"#!/bin/bash\n", "\n#SBATCH --array=1-4%8\n", "\n#SBATCH --cpus-per-task=4\n", "\n#SBATCH --signal=B:USR1@120\n",
          "\n#SBATCH --requeue\n", "\n#SBATCH --partition=gpu\n", "\n#SBATCH --account=nu\n", "\n#SBATCH --time=00:30:00\n",
          "\n#SBATCH --constraint=a100\n", "\nmodule load gcc/12\nmodule load hdf5\nulimit -c 0\n",
          "--shard \"$SLURM_ARRAY_TASK_ID/4\" -o out.h5 &\n",
          "\n# When all are done: nuscan merge out.shard-*-of-004.h5 -o out.h5\n"})
        EXPECT_NE(result.out.find(line), result.out.npos) << line << result;
    EXPECT_EQ(result.out.find("gpus-per-task"), result.out.npos);

    // It runs, with stand-ins for what a cluster has.
    temp_.write("bin/module", "#!/bin/sh\n");
    temp_.write("bin/scontrol", "#!/bin/sh\necho \"$@\" >> requeued\n");
    for (char const* const tool : {"bin/module", "bin/scontrol"})
        fs::permissions(file(tool), fs::perms::owner_all);
    temp_.write("job.sh", result.out);
    auto job = options();
    job.program = "/bin/bash";
    job.environment["PATH"] = file("bin").string() + ":/usr/bin:/bin";
    job.environment["SLURM_JOB_ID"] = "4711";
    for (int k = 1; k <= 4; ++k)
    {
        job.environment["SLURM_ARRAY_TASK_ID"] = std::to_string(k);
        auto const task = run_nuscan({"job.sh"}, job);
        EXPECT_EQ(task.exit_code, 0) << task;
    }
    EXPECT_FALSE(fs::exists(file("requeued")));
    EXPECT_EQ(merge(names(4)).exit_code, 0);

    // A warning before the end of the time queues it again.
    write_grid(80, 100);
    auto slow = run({"plan", "grid.toml", "--slurm", "--shards", "1", "-o", "slow.h5", "--device", "reference", "--chunk", "50",
                     "--threads", "1"});
    temp_.write("slow.sh", slow.out);
    job.environment["SLURM_ARRAY_TASK_ID"] = "1";
    RunningProgram running{{"slow.sh"}, job};
    ASSERT_TRUE(running.wait_until([&] { return points_in("slow.shard-001-of-001.h5.journal") > 200; }));
    running.send(SIGUSR1);
    auto const stopped = running.wait();
    EXPECT_EQ(stopped.exit_code, 0) << stopped;
    EXPECT_EQ(text_of("requeued"), "requeue 4711\n") << stopped;
    auto const again = run_nuscan({"slow.sh"}, job);
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_TRUE(again.said("continued at point")) << again;

    // So does one at the very beginning, when the program is not even there.
    fs::remove(file("requeued"));
    temp_.write("early.toml", "setup = [\": > begun; sleep 1\"]\n");
    temp_.write("early.sh", run({"plan", "grid.toml", "--slurm", "--shards", "1", "-o", "early.h5", "--site", "early.toml",
                                 "--device", "reference", "--threads", "1"})
                                .out);
    RunningProgram early{{"early.sh"}, job};
    ASSERT_TRUE(early.wait_until([&] { return fs::exists(file("begun")); }));
    early.send(SIGUSR1);
    auto const ended = early.wait();
    EXPECT_EQ(ended.exit_code, 0) << ended;
    EXPECT_EQ(text_of("requeued"), "requeue 4711\n") << ended;

    // Cancelled, it is not: then TERM comes without the warning before. The stand-in for the scan counts what is passed on to it and
    // ends when it may.
    temp_.write("bin/slow",
                "#!/bin/sh\ntrap 'echo signal >> signals' USR1\n: > started\nuntil [ -f go ]; do sleep 0.01; done\nexit 3\n");
    fs::permissions(file("bin/slow"), fs::perms::owner_all);
    temp_.write("site.toml", "nuscan = \"bin/slow\"\n");
    temp_.write("stand-in.sh",
                run({"plan", "grid.toml", "--slurm", "--shards", "1", "-o", "x.h5", "--site", "site.toml", "--device", "cpu"}).out);
    for (auto const& [signals, requeued] : {std::pair{std::vector{SIGTERM}, false}, {{SIGUSR1, SIGTERM}, true}})
    {
        for (char const* const left : {"requeued", "signals", "started", "go"})
            fs::remove(file(left));
        RunningProgram waiting{{"stand-in.sh"}, job};
        ASSERT_TRUE(waiting.wait_until([&] { return fs::exists(file("started")); }));
        std::uintmax_t passed_on = 0;
        for (int const signal : signals)
        {
            waiting.send(signal);
            passed_on += std::string{"signal\n"}.size();
            ASSERT_TRUE(waiting.wait_until([&] { return size_of("signals") == passed_on; }));
        }
        temp_.write("go", "");
        EXPECT_EQ(waiting.wait().exit_code, requeued ? 0 : 3);
        EXPECT_EQ(fs::exists(file("requeued")), requeued);
    }
}

TEST_F(Shards, ScriptsForGpusArePrintedWhereThereIsNone)
{
    write_grid(10, 10);
    auto const script = run({"plan", "grid.toml", "--slurm", "--shards", "2", "--device", "cuda"});
    if (run({"--version"}).out.find("CUDA none") != std::string::npos)
    {
        EXPECT_EQ(script.exit_code, 1) << script;
        return;
    }
    EXPECT_EQ(script.exit_code, 0) << script;
    EXPECT_NE(script.out.find("\n#SBATCH --gpus-per-task=1\n"), script.out.npos) << script;
    EXPECT_NE(script.out.find(" --device cuda "), script.out.npos) << script;
}

TEST_F(Shards, ScriptsRefuseWhatTheyCannotUse)
{
    write_grid(10, 10);
    temp_.write("site.toml", "partitoin = \"gpu\"\n");
    auto const unknown = run({"plan", "grid.toml", "--slurm", "--site", "site.toml"});
    EXPECT_EQ(unknown.exit_code, 2) << unknown;
    EXPECT_TRUE(unknown.said("site.toml:1")) << unknown;
    EXPECT_TRUE(unknown.said("partition")) << unknown;
    EXPECT_EQ(run({"plan", "grid.toml", "--slurm", "--site", "none.toml"}).exit_code, 2);
    EXPECT_EQ(run({"plan", "grid.toml", "--slurm", "--shards", "0"}).exit_code, 2);
    EXPECT_EQ(run({"plan", "grid.toml", "--slurm", "--shards", "101"}).exit_code, 2) << "more shards than points";
    EXPECT_EQ(run({"plan", "grid.toml", "--slurm", "--json"}).exit_code, 2);
    EXPECT_EQ(run({"plan", "grid.toml", "--shards", "4"}).exit_code, 2);
    auto const lines = run({"plan", "grid.toml", "--slurm", "-o", "a\nb.h5"});
    EXPECT_EQ(lines.exit_code, 2) << lines;
    EXPECT_TRUE(lines.said("--output: a name of several lines")) << lines;
    // An unset variable of a script is no reason to scan the whole grid.
    auto const unset = run(scan_command("out.h5", {"--shard", ""}));
    EXPECT_EQ(unset.exit_code, 2) << unset;
    EXPECT_TRUE(unset.said("--shard : not of the form k/N")) << unset;
}

TEST_F(Shards, TheMergeOfAScriptIsACommandWhateverTheName)
{
    write_grid(10, 10);
    for (std::string const output : {"my out.h5", "it's 3 - 4.h5"})
    {
        auto const script = run({"plan", "grid.toml", "--slurm", "--shards", "2", "-o", output}).out;
        std::string const before = "# When all are done: nuscan ";
        auto const at = script.find(before);
        ASSERT_NE(at, script.npos) << script;
        for (char const* const shard : {"1/2", "2/2"})
            scan(output, {"--shard", shard});
        RunOptions shell = options();
        shell.program = "/bin/sh";
        auto const merged = run_nuscan({"-c", shell_quote(NUSCAN_BINARY) + " " + script.substr(at + before.size())}, shell);
        EXPECT_EQ(merged.exit_code, 0) << merged;
        EXPECT_EQ(merged.out, output + "\n");
    }
}

// --- unfinished scans ---------------------------------------------------------------------------------------------------------------

TEST_F(Shards, InfoOnAnUnfinishedScanSaysHowToContinue)
{
    write_grid(80, 100);
    RunningProgram program{scan_command("out.h5", {"--device", "reference", "--chunk", "50", "--shard", "2/2"}), options()};
    ASSERT_TRUE(program.wait_until([&] { return points_in(name(2, 2) + ".journal") > 500; }));
    program.send(SIGTERM);
    EXPECT_EQ(program.wait().exit_code, 3);
    std::string command;
    for (auto const& which : {name(2, 2), name(2, 2) + ".journal", name(2, 2) + ".partial"})
    {
        auto const text = run({"info", which});
        EXPECT_EQ(text.exit_code, 0) << text;
        EXPECT_NE(text.out.find("\nunfinished    "), text.out.npos) << text;
        EXPECT_NE(text.out.find("\nshard         points [4000, 8000) of 8000\n"), text.out.npos) << text;
        auto const json = run_json({"info", which, "--json"}, options());
        EXPECT_EQ(json.at("complete"), false);
        EXPECT_GT(json.at("done"), 0);
        command = json.at("continue");
        EXPECT_NE(text.out.find("\ncontinue with " + command + "\n"), text.out.npos) << text;
    }
    auto const damaged = text_of(name(2, 2) + ".journal");
    auto flipped = damaged;
    flipped[flipped.size() - 5] ^= 1;
    temp_.write(name(2, 2) + ".journal", flipped);
    EXPECT_NE(run({"info", name(2, 2)}).out.find("\nDAMAGED "), std::string::npos);
    EXPECT_EQ(run({"info", name(2, 2)}).out.find("\nMISSING "), std::string::npos);
    fs::rename(file(name(2, 2) + ".partial"), file("elsewhere"));
    EXPECT_NE(run({"info", name(2, 2)}).out.find("\nMISSING       " + name(2, 2) + ".partial, which holds the values"),
              std::string::npos);
    EXPECT_EQ(run_json({"info", name(2, 2), "--json"}, options()).at("values_missing"), true);
    fs::rename(file("elsewhere"), file(name(2, 2) + ".partial"));
    RunOptions shell = options();
    shell.program = "/bin/sh";
    auto const finished = run_nuscan({"-c", command}, shell);
    EXPECT_EQ(finished.exit_code, 0) << finished;
    EXPECT_TRUE(finished.said(name(2, 2) + ".journal: damaged behind point ")) << finished;
    temp_.write("x.journal", "no journal");
    EXPECT_EQ(run({"info", "x.journal"}).exit_code, 2);
}

/// A journal that was moved together with its values is continued where it is.
TEST_F(Shards, InfoOnAScanThatWasMovedContinuesItThere)
{
    write_grid(80, 100);
    fs::create_directory(file("elsewhere"));
    for (Arguments const& shard : {Arguments{}, {"--shard", "2/2"}})
    {
        std::string const output = shard.empty() ? "out.h5" : name(2, 2);
        Arguments how{"--device", "reference", "--chunk", "50"};
        how.insert(how.end(), shard.begin(), shard.end());
        RunningProgram program{scan_command("out.h5", how), options()};
        ASSERT_TRUE(program.wait_until([&] { return points_in(output + ".journal") > 500; }));
        program.send(SIGTERM);
        EXPECT_EQ(program.wait().exit_code, 3);
        for (char const* const part : {".journal", ".partial"})
            fs::rename(file(output + part), file("elsewhere/" + output + part));
        std::string const command = run_json({"info", "elsewhere/" + output, "--json"}, options()).at("continue");
        RunOptions shell = options();
        shell.program = "/bin/sh";
        auto const finished = run_nuscan({"-c", command}, shell);
        EXPECT_EQ(finished.exit_code, 0) << finished;
        EXPECT_TRUE(finished.said("continued at point")) << finished;
        EXPECT_TRUE(fs::exists(file("elsewhere/" + output)));
        EXPECT_FALSE(fs::exists(file(output)));
    }
    // So does one that was begun behind a link, whether it is asked for by the link or from another folder.
    fs::create_symlink("elsewhere/real.h5", file("link.h5"));
    RunningProgram linked{scan_command("link.h5", {"--device", "reference", "--chunk", "50"}), options()};
    ASSERT_TRUE(linked.wait_until([&] { return points_in("elsewhere/real.h5.journal") > 500; }));
    linked.send(SIGTERM);
    EXPECT_EQ(linked.wait().exit_code, 3);
    std::string const by_link = run_json({"info", "link.h5", "--json"}, options()).at("continue");
    EXPECT_NE(by_link.find("-o link.h5"), by_link.npos) << by_link;
    RunOptions from_there = options();
    from_there.folder = file("elsewhere");
    std::string const by_name = run_json({"info", "real.h5", "--json"}, from_there).at("continue");
    EXPECT_NE(by_name.find("-o link.h5"), by_name.npos) << by_name;
    // In a Slurm array it stays what it was.
    auto task = from_there;
    for (auto const& [variable, value] : {std::pair{"ID", "2"}, {"MIN", "1"}, {"MAX", "4"}, {"COUNT", "4"}})
        task.environment[std::string{"SLURM_ARRAY_TASK_"} + variable] = value;
    std::string const in_array = run_json({"info", "real.h5", "--json"}, task).at("continue");
    EXPECT_TRUE(in_array.ends_with(" --shard none")) << in_array;
    task.program = "/bin/sh";
    auto const finished = run_nuscan({"-c", in_array}, task);
    EXPECT_EQ(finished.exit_code, 0) << finished;
    EXPECT_TRUE(fs::exists(file("elsewhere/real.h5")));
    temp_.write("empty.h5.journal", "");
    auto const lock = run({"info", "empty.h5.journal"});
    EXPECT_EQ(lock.exit_code, 2) << lock;
    EXPECT_TRUE(lock.said("is empty: the lock of a merge")) << lock;
}

TEST_F(Shards, ResumeNamesWhatDiffers)
{
    write_grid(90, 40000); // never finished
    Arguments const how{"--route", "direct", "--chunk", "50"};
    RunningProgram program{scan_command("out.h5", how), options()};
    ASSERT_TRUE(program.wait_until([&] { return points_in("out.h5.journal") > 500; }));
    program.send(SIGTERM);
    EXPECT_EQ(program.wait().exit_code, 3);
    auto const journal = text_of("out.h5.journal");
    for (auto const& [change, message] :
         {std::pair{Arguments{"--route", "direct", "--set", "q_e=1e-13"}, "fixed q_e = not set in the journal, 1e-13 now"},
          {Arguments{"--route", "direct", "--nodes", "90"}, "axis g_V: n = 40000 in the journal, 90 now"},
          {Arguments{"--route", "factored"}, "route direct in the journal, factored now"}})
    {
        auto const refused = run(scan_command("out.h5", change));
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_TRUE(refused.said("out.h5.journal: holds an interrupted scan that differs: " + std::string{message})) << refused;
        EXPECT_TRUE(refused.said("--restart")) << refused;
        EXPECT_EQ(text_of("out.h5.journal"), journal);
    }
}

// --- diff ---------------------------------------------------------------------------------------------------------------------------

class Diff : public ScanFolder
{
};

TEST_F(Diff, FindsTheWorstPointAndNamesDifferences)
{
    write_grid(8, 9);
    scan("a.h5");
    scan("direct.h5", {"--route", "direct"});
    scan("other.h5", {"--set", "mu_e=1e-11"});
    auto const same = run({"diff", "a.h5", "direct.h5"});
    EXPECT_EQ(same.exit_code, 0) << same;
    EXPECT_NE(same.out.find("route factored in a.h5, direct in direct.h5\n"), same.out.npos) << same;
    EXPECT_EQ(run({"diff", "a.h5", "direct.h5", "--tolerance", "0"}).exit_code, 1);
    auto const different = run({"diff", "a.h5", "other.h5"});
    EXPECT_EQ(different.exit_code, 1) << different;
    EXPECT_NE(different.out.find("fixed mu_e = not set in a.h5, 1e-11 in other.h5\n"), different.out.npos) << different;

    // The worst point, found another way.
    SurfaceReader const a{file("a.h5")};
    SurfaceReader const b{file("other.h5")};
    auto const x = a.chi2({0, 72});
    auto const y = b.chi2({0, 72});
    std::size_t worst = 0;
    auto const deviation = [&](std::size_t i) { return std::fabs(x[i] - y[i]) / (1.0 + std::fabs(x[i])); };
    for (std::size_t i = 0; i < 72; ++i)
        worst = deviation(i) > deviation(worst) ? i : worst;
    auto const json = run({"diff", "a.h5", "other.h5", "--json"});
    EXPECT_EQ(json.exit_code, 1);
    auto const found = Json::parse(json.out);
    EXPECT_EQ(found.at("same"), false);
    EXPECT_EQ(found.at("worst"), deviation(worst));
    EXPECT_EQ(found.at("worst_at").at("index"), worst);
    EXPECT_EQ(found.at("configuration"), Json::array({"fixed mu_e = not set in a.h5, 1e-11 in other.h5"}));
    EXPECT_EQ(found.at("points"), 72);
    EXPECT_EQ(run({"diff", "a.h5", "other.h5", "--tolerance", Json(deviation(worst) * 1.001).dump()}).exit_code, 0);
    EXPECT_EQ(run({"diff", "a.h5", "other.h5", "--tolerance", "-1"}).exit_code, 2);
}

TEST_F(Diff, NamesPullsAndRatesThatDiffer)
{
    std::string const extras = "[output]\npulls = true\nrates = true\n";
    write_grid(8, 9, extras);
    scan("a.h5");
    scan("direct.h5", {"--route", "direct"});
    write_grid(8, 9);
    scan("bare.h5");
    auto const same = run({"diff", "a.h5", "a.h5"});
    EXPECT_EQ(same.exit_code, 0) << same;
    EXPECT_EQ(same.out.find("rates of"), same.out.npos) << same;
    auto const json = Json::parse(run({"diff", "a.h5", "direct.h5", "--json"}).out);
    EXPECT_EQ(json.at("same"), true);
    auto const& rates = json.at("pulls_and_rates").at("rates of xenonnt_sr0");
    EXPECT_EQ(rates.at("values"), 72 * 30);
    EXPECT_GT(rates.at("different"), 0) << "the routes round differently";
    EXPECT_LT(rates.at("worst"), 1e-10) << "and agree";
    auto const text = run({"diff", "a.h5", "direct.h5"});
    EXPECT_NE(text.out.find("\nrates of xenonnt_sr0: "), text.out.npos) << text;
    auto const one = run({"diff", "bare.h5", "a.h5"});
    EXPECT_EQ(one.exit_code, 0) << "the points are the same\n" << one;
    EXPECT_NE(one.out.find("rates of xenonnt_sr0 in a.h5 only\n"), one.out.npos) << one;
    EXPECT_NE(one.out.find("pull "), one.out.npos) << one;

    // One value of a rate is another, checksum and all.
    {
        SurfaceReader const a{file("a.h5")};
        IndexRange const all = a.layout().range;
        auto const chi2 = a.chi2(all);
        auto const status = a.status(all);
        auto rates_of_all = a.rates("xenonnt_sr0", all);
        std::size_t const n_pulls = a.layout().pulls.size();
        std::vector<double> pulls(chi2.size() * n_pulls);
        for (std::size_t p = 0; p < n_pulls; ++p)
        {
            auto const values = a.pull(a.layout().pulls[p], all);
            for (std::size_t i = 0; i < values.size(); ++i)
                pulls[i * n_pulls + p] = values[i];
        }
        rates_of_all[100] += 1.0 + rates_of_all[100];
        SurfaceWriter writer{file("forged.h5"), a.layout()};
        writer.append(static_cast<std::int64_t>(chi2.size()), chi2.data(), status.data(), pulls.data(), rates_of_all.data());
        writer.finish(a.meta(), a.best_fit(), a.null());
    }
    auto const forged = Json::parse(run({"diff", "a.h5", "forged.h5", "--json"}).out).at("pulls_and_rates");
    EXPECT_EQ(forged.at("rates of xenonnt_sr0").at("different"), 1);
    EXPECT_NEAR(forged.at("rates of xenonnt_sr0").at("worst").get<double>(), 1.0, 1e-12) << "|delta| is 1 + |value|";
}

TEST_F(Diff, OtherAxesCannotBeCompared)
{
    write_grid(8, 9);
    scan("a.h5");
    scan("b.h5", {"--nodes", "8"});
    auto const result = run({"diff", "a.h5", "b.h5"});
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_NE(result.out.find("axis g_V: n = 9 in a.h5, 8 in b.h5\n"), result.out.npos) << result;
    EXPECT_NE(result.out.find("different: the axes are not the same"), result.out.npos) << result;
}

TEST_F(Diff, AShardIsComparedWhereItHasPoints)
{
    write_grid(8, 9);
    scan("a.h5");
    scan("b.h5", {"--shard", "2/3"});
    auto const json = Json::parse(run({"diff", "a.h5", "b.shard-002-of-003.h5", "--json"}).out);
    EXPECT_EQ(json.at("same"), false);
    EXPECT_EQ(json.at("points"), 24);
    EXPECT_EQ(json.at("above_tolerance"), 0);
    EXPECT_EQ(json.at("ranges"), Json::array({"points [0, 24) in a.h5 only", "points [48, 72) in a.h5 only"}));
}

TEST_F(Diff, StatusCounts)
{
    temp_.write("grid.toml", "[scan]\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nq_e = { min = 0.0, max = 1e300, n = 6 }\n");
    EXPECT_EQ(run(scan_command("a.h5")).exit_code, 1);
    SurfaceReader const a{file("a.h5")};
    auto chi2 = a.chi2({0, 6});
    auto status = a.status({0, 6});
    status[3] = 2;
    {
        SurfaceWriter writer{file("b.h5"), a.layout()};
        writer.append(6, chi2.data(), status.data(), nullptr, nullptr);
        writer.finish(a.meta(), a.best_fit(), a.null());
    }
    EXPECT_EQ(run({"diff", "a.h5", "a.h5"}).exit_code, 0) << "NaN is the same as NaN";
    auto const result = run({"diff", "a.h5", "b.h5"});
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_NE(result.out.find("status differs at 1 point, first at point 3: q_e = 6e+299 e\n"), result.out.npos) << result;
}

} // namespace
} // namespace nuscan::test
