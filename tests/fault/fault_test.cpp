// Kills, damage and files that cannot be used: nothing that was computed is lost, and no wrong number comes of it.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/io/hdf5_file.hpp"
#include "host/io/journal.hpp"
#include "host/scan/identity.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/support/process.hpp"
#include "tests/support/scan_runs.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

class Fault : public ScanFolder
{
protected:
    /// About half a second of computing, in 80 chunks: by the reference, which is slow on any machine.
    static constexpr std::int64_t chunk = 25;
    Arguments const how_{"--device", "reference", "--chunk", "25"};

    Fault() { write_grid(40, 50); }

    RunResult scan_slowly(std::string const& output) const { return scan(output, how_); }

    /// Runs the scan until its journal holds some chunks, then ends it with \p signal.
    void interrupt(std::string const& output, int signal = SIGTERM) const
    {
        RunningProgram program{scan_command(output, how_), options()};
        ASSERT_TRUE(program.wait_until([&] { return points_in(output + ".journal") > 20 * chunk; }));
        program.send(signal);
        program.wait();
    }
};

/// Kills asked for by NUSCAN_FAULT_KILLS, 20 unless it is set.
int wanted_kills()
{
    char const* const text = std::getenv("NUSCAN_FAULT_KILLS");
    int const n = text == nullptr ? 0 : std::atoi(text);
    return n > 0 ? n : 20;
}

class Kills : public Fault
{
protected:
    /// What is recorded is in the file: checksums would tell, and the scan would mend it.
    static void expect_values_where_recorded(RunResult const& result)
    {
        EXPECT_FALSE(result.said("checksum") || result.said("computed again")) << result;
    }

    /// Kills scans of the grid \p wanted times at random instants, each again and again until one run gets to its end; then the next one
    /// begins. \param piece  points that records are multiples of
    void kill_scans(Arguments const& how, int wanted, std::int64_t piece, RunOptions const& with) const
    {
        auto const start = std::chrono::steady_clock::now();
        auto const whole = run_nuscan(scan_command("whole.h5", how), with);
        ASSERT_EQ(whole.exit_code, 0) << whole;
        std::chrono::duration<double> const whole_time = std::chrono::steady_clock::now() - start;
        auto const expected = bits("whole.h5");
        std::mt19937_64 random{2208};
        std::uniform_real_distribution<double> instant{0.0, 1.2 * whole_time.count()};
        int kills = 0;
        int recovered = 0;
        int scans = 0;
        // Each scan is killed again and again until one run gets to its end; then the next scan begins.
        while (kills < wanted)
        {
            auto const output = fmt::format("out{}.h5", scans++);
            int own_kills = 0;
            for (bool finished = false; !finished;)
            {
                auto const before = points_in(output + ".journal");
                RunningProgram program{scan_command(output, how), with};
                std::this_thread::sleep_for(std::chrono::duration<double>(instant(random)));
                program.send(SIGKILL);
                auto const result = program.wait();
                expect_values_where_recorded(result);
                finished = result.exit_code == 0;
                if (finished)
                    break;
                ASSERT_EQ(result.signal, SIGKILL) << result;
                ++kills;
                ++own_kills;
                if (fs::exists(file(output)))
                {
                    // Between the rename and the end of the program.
                    EXPECT_EQ(bits(output), expected) << "a file under its final name is complete";
                    finished = true;
                    break;
                }
                // Nothing that was recorded is lost: what is cut off is less than a chunk.
                EXPECT_GE(points_in(output + ".journal"), before);
                if (fs::exists(file(output + ".journal")))
                    if (auto const contents = Journal::inspect(file(output + ".journal")))
                    {
                        EXPECT_FALSE(contents->damaged);
                        EXPECT_EQ(contents->next % piece, 0);
                        EXPECT_LT(contents->useless_bytes, Journal::record_bytes());
                    }
                if (own_kills == 20 || kills == wanted)
                {
                    auto const last = run_nuscan(scan_command(output, how), with);
                    ASSERT_EQ(last.exit_code, 0) << last;
                    expect_values_where_recorded(last);
                    finished = true;
                }
            }
            // A kill between the rename and the end leaves the journal, which the same command removes or leaves alone.
            auto const again = run(scan_command(output, how));
            EXPECT_EQ(again.exit_code, 0) << again;
            ASSERT_EQ(bits(output), expected) << "after " << own_kills << " kills";
            EXPECT_FALSE(fs::exists(file(output + ".partial")));
            EXPECT_FALSE(fs::exists(file(output + ".journal")));
            recovered += own_kills;
            fs::remove(file(output));
        }
        EXPECT_EQ(recovered, kills);
        fmt::print("{} kills in {} scans, all recovered\n", kills, scans);
        RecordProperty("kills", kills);
    }
};

TEST_F(Kills, AtAnyInstantLoseAChunkAtMost)
{
    // The backend that scans are made by; instants are drawn from the time that it needs.
    write_grid(40, 100, "[output]\npulls = true\nrates = true\n");
    kill_scans({"--route", "direct", "--chunk", "25"}, wanted_kills(), 25, options());
}

/// Whole blocks go past the page cache, where the file system takes them so: pieces as large as those of any long scan.
TEST_F(Kills, WhileLargePiecesAreWrittenLoseNothingThatWasRecorded)
{
    write_grid(1500, 1000);
    kill_scans({}, wanted_kills(), 1, options());
}

/// Between handing values over and having them in the file, most of all.
TEST_F(Kills, OnASlowDiskLoseNothingThatWasRecorded)
{
    write_grid(100, 1000);
    kill_scans({"--chunk", "5000"}, wanted_kills(), 5000, preloading(options(), NUSCAN_SLOW_DISK));
}

/// What a kill costs: points that were computed and that the journal does not list.
TEST_F(Kills, CostAChunkForEachThreadAtMost)
{
    constexpr std::int64_t piece = 50;
    struct Shared
    {
        std::atomic<std::int64_t> done; ///< points of finished chunks
        std::atomic<bool> finished;
    };
    static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);
    void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto* const shared = new (memory) Shared{};
    write_grid(40, 250);
    auto const configuration = read_configuration(file("grid.toml"));
    std::mt19937_64 random{89};
    for (int const threads : {1, 2})
    {
        double most = 0.0;
        int kills = 0;
        for (int scan = 0; kills < wanted_kills(); ++scan)
        {
            ScanOptions options;
            options.output = file(fmt::format("lost{}-{}.h5", threads, scan));
            options.chunk = piece;
            options.threads = threads;
            options.route = Route::direct;
            options.device.kind = DeviceKind::cpu;
            options.progress = [&](ScanProgress const& progress) { shared->done = progress.done; };
            auto const journal = fmt::format("{}.journal", options.output.string());
            shared->finished = false;
            while (kills < wanted_kills())
            {
                shared->done = 0;
                auto const child = fork();
                ASSERT_GE(child, 0);
                if (child == 0)
                {
                    DataFolder data(NUSCAN_SOURCE_DATA_DIR);
                    shared->finished = run_scan(configuration, data, options).outcome == ScanOutcome::finished;
                    _exit(0);
                }
                // Once it computes: before, there is nothing to lose.
                auto const running = [child] {
                    siginfo_t ended = {};
                    return waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
                };
                while (shared->done == 0 && running())
                    std::this_thread::sleep_for(std::chrono::microseconds(100));
                std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution<int>{0, 20000}(random)));
                kill(child, SIGKILL);
                int status = 0;
                waitpid(child, &status, 0);
                if (shared->finished)
                    break;
                ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
                ++kills;
                // The chunk that was being computed is lost whole at worst.
                auto const computed = std::min<std::int64_t>(shared->done + piece, configuration.size());
                auto const listed = points_listed(journal);
                EXPECT_GE(listed, 0);
                most = std::max(most, static_cast<double>(computed - listed) / piece);
            }
            fs::remove(options.output);
        }
        EXPECT_LE(most, threads);
        fmt::print("{} kills of scans by {} threads cost {} chunks at most\n", kills, threads, most);
    }
    munmap(memory, sizeof(Shared));
}

TEST_F(Fault, FlippedBytesInAJournalAreNamedAndComputedAgain)
{
    scan_slowly("whole.h5");
    interrupt("out.h5");
    auto const journal = text_of("out.h5.journal");
    auto const values = text_of("out.h5.partial");
    auto const head = Journal::inspect(file("out.h5.journal"))->head;
    std::int64_t const done = points_in("out.h5.journal");
    std::mt19937_64 random{7};
    std::size_t const data = 65 + head.description.size();
    for (int i = 0; i < 10; ++i)
    {
        auto damaged = journal;
        auto const at = std::uniform_int_distribution<std::size_t>{data, journal.size() - 1}(random);
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << i % 8);
        fs::remove(file("out.h5.journal"));
        temp_.write("out.h5.journal", damaged);
        temp_.write("out.h5.partial", values);
        fs::remove(file("out.h5"));
        auto const result = run(scan_command("out.h5", how_));
        EXPECT_EQ(result.exit_code, 0) << result;
        auto const hit = static_cast<std::int64_t>((at - data) / Journal::record_bytes());
        bool const last = (hit + 1) * static_cast<std::int64_t>(Journal::record_bytes())
                          == static_cast<std::int64_t>(journal.size() - data);
        EXPECT_TRUE(result.said(
            last ? fmt::format("out.h5.journal: damaged behind point {} (checksum)", hit * chunk)
                 : fmt::format(
                     "out.h5.partial: points [{}, {}) are computed again: their record in out.h5.journal is damaged (checksum)",
                     hit * chunk, (hit + 1) * chunk)))
            << result;
        // What is behind it is not lost.
        EXPECT_TRUE(result.said(fmt::format("continued at point {} ", last ? hit * chunk : done))) << result;
        ASSERT_EQ(bits("out.h5"), bits("whole.h5")) << "byte " << at;
    }
}

/// The values that a journal lists are in the unfinished surface: chi^2 of all points in order, then status.
TEST_F(Fault, FlippedBytesInAnUnfinishedSurfaceAreNamedAndComputedAgain)
{
    scan_slowly("whole.h5");
    interrupt("out.h5");
    auto const journal = text_of("out.h5.journal");
    auto const values = text_of("out.h5.partial");
    std::int64_t const done = points_in("out.h5.journal");
    std::mt19937_64 random{8};
    std::size_t const all = 40 * 50;
    for (int i = 0; i < 10; ++i)
    {
        auto const point = std::uniform_int_distribution<std::size_t>{0, static_cast<std::size_t>(done) - 1}(random);
        auto const at = h5::File::reserved_begin
                        + (i % 2 == 0 ? point * sizeof(double) + static_cast<std::size_t>(i) % 8
                                      : all * sizeof(double) + h5::checksum_bytes + point);
        auto damaged = values;
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << i % 8);
        fs::remove(file("out.h5"));
        temp_.write("out.h5.journal", journal);
        temp_.write("out.h5.partial", damaged);
        auto const result = run(scan_command("out.h5", how_));
        EXPECT_EQ(result.exit_code, 0) << result;
        auto const good = static_cast<std::int64_t>(point) / chunk * chunk;
        bool const last = good + chunk >= done;
        EXPECT_TRUE(result.said(
            last ? fmt::format("out.h5.partial: not what out.h5.journal says from point {} on (checksum): {} points", good,
                               done - good)
                 : fmt::format(
                     "out.h5.partial: points [{}, {}) are computed again: they are not what out.h5.journal says (checksum)", good,
                     good + chunk)))
            << result;
        EXPECT_TRUE(result.said(fmt::format("continued at point {} ", last ? good : done)) || good == 0) << result;
        ASSERT_EQ(bits("out.h5"), bits("whole.h5")) << "byte " << at;
    }
    // Without it, there is nothing to continue.
    fs::remove(file("out.h5"));
    temp_.write("out.h5.journal", journal);
    auto const result = run(scan_command("out.h5", how_));
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_TRUE(result.said(fmt::format("from point 0 on (checksum): {} points to be computed again", done))) << result;
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Fault, AReadOnlyFolderIsRefusedBeforeAnythingIsComputed)
{
    scan_slowly("whole.h5");
    fs::create_directory(file("locked"));
    fs::permissions(file("locked"), fs::perms::owner_read | fs::perms::owner_exec);
    auto const user = obeying_permissions(options());
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    auto const scan_there = run_nuscan(scan_command("locked/out.h5", how_), *user);
    EXPECT_EQ(scan_there.exit_code, 2) << scan_there;
    EXPECT_TRUE(scan_there.said("locked is not writable")) << scan_there;
    auto const merge_there = run_nuscan({"merge", "whole.h5", "-o", "locked/merged.h5"}, *user);
    EXPECT_NE(merge_there.exit_code, 0) << merge_there;
    EXPECT_TRUE(merge_there.said("locked/merged.h5")) << merge_there;
    EXPECT_TRUE(merge_there.said("Permission denied")) << merge_there;
    fs::permissions(file("locked"), fs::perms::owner_all);
    EXPECT_TRUE(fs::is_empty(file("locked")));
}

TEST_F(Fault, AnUnreadableShardIsNamed)
{
    for (int k = 1; k <= 3; ++k)
        scan("out.h5", {"--shard", fmt::format("{}/3", k)});
    fs::permissions(file("out.shard-002-of-003.h5"), fs::perms::none);
    auto const user = obeying_permissions(options());
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    auto const result = run_nuscan(
        {"merge", "out.shard-001-of-003.h5", "out.shard-002-of-003.h5", "out.shard-003-of-003.h5", "-o", "merged.h5"}, *user);
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_TRUE(result.err.starts_with("nuscan: out.shard-002-of-003.h5: cannot be read: Permission denied")) << result;
    EXPECT_FALSE(fs::exists(file("merged.h5")));
}

TEST_F(Fault, FlippedBytesInAShardAreFoundWhereverTheyAre)
{
    for (int k = 1; k <= 2; ++k)
        scan("out.h5", {"--shard", fmt::format("{}/2", k)});
    Arguments const merge{"merge", "out.shard-001-of-002.h5", "out.shard-002-of-002.h5", "-o", "merged.h5", "--replace"};
    ASSERT_EQ(run(merge).exit_code, 0);
    auto const expected = bits("merged.h5");
    auto const good = text_of("out.shard-002-of-002.h5");
    std::mt19937_64 random{11};
    int refused = 0;
    for (int i = 0; i < 40; ++i)
    {
        auto damaged = good;
        auto const at = std::uniform_int_distribution<std::size_t>{0, good.size() - 1}(random);
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << i % 8);
        fs::remove(file("out.shard-002-of-002.h5"));
        temp_.write("out.shard-002-of-002.h5", damaged);
        fs::remove(file("merged.h5"));
        auto const result = run(merge);
        ASSERT_EQ(result.signal, 0) << "byte " << at << result;
        // Bytes that belong to nothing do no harm; in texts without a checksum they change no number.
        if (result.exit_code == 0)
            ASSERT_EQ(bits("merged.h5"), expected) << "byte " << at;
        else
        {
            ++refused;
            EXPECT_TRUE(result.said("out.shard-002-of-002.h5")) << "byte " << at << result;
            EXPECT_FALSE(fs::exists(file("merged.h5")));
        }
    }
    EXPECT_GT(refused, 0);
}

TEST_F(Fault, TwoScansOfOneOutputNeverMix)
{
    scan_slowly("whole.h5");
    RunningProgram first{scan_command("out.h5", how_), options()};
    ASSERT_TRUE(first.wait_until([&] { return points_in("out.h5.journal") > 20 * chunk; }));
    ASSERT_TRUE(first.hold());
    auto const second = run(scan_command("out.h5", how_));
    EXPECT_EQ(second.exit_code, 2) << second;
    EXPECT_TRUE(second.said("another scan or merge is writing this output")) << second;
    first.go_on();
    EXPECT_EQ(first.wait().exit_code, 0);
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Fault, TwoMergesIntoOneOutputNeverMix)
{
    scan("whole.h5", {"--route", "direct"});
    for (int k = 1; k <= 2; ++k)
        scan("part.h5", {"--route", "direct", "--shard", fmt::format("{}/2", k)});
    Arguments const merge{"merge", "part.shard-001-of-002.h5", "part.shard-002-of-002.h5", "-o", "merged.h5"};
    RunningProgram first{merge, preloading(options(), NUSCAN_STOP_BEFORE_RENAME)};
    ASSERT_TRUE(first.wait_until_held());
    ASSERT_FALSE(fs::exists(file("merged.h5")));
    auto const second = run(merge);
    EXPECT_EQ(second.exit_code, 2) << second;
    EXPECT_TRUE(second.said("merged.h5: another scan or merge is writing this output")) << second;
    auto const scan_there = run(scan_command("merged.h5"));
    EXPECT_EQ(scan_there.exit_code, 2) << scan_there;
    EXPECT_TRUE(scan_there.said("another scan or merge is writing this output")) << scan_there;
    EXPECT_FALSE(fs::exists(file("merged.h5")));
    // The lock ends with its holder, however that ends.
    first.send(SIGKILL);
    first.wait();
    auto const third = run(merge);
    EXPECT_EQ(third.exit_code, 0) << third;
    EXPECT_EQ(bits("merged.h5"), bits("whole.h5"));
    EXPECT_FALSE(fs::exists(file("merged.h5.journal")));
    EXPECT_FALSE(fs::exists(file("merged.h5.partial")));
}

TEST_F(Fault, AnOutputThatIsFinishedMeanwhileIsNotReplaced)
{
    // The first look at the output finds nothing; when the scan comes to lock it, another process has finished it.
    {
        RunningProgram late{scan_command("out.h5", how_), preloading(options(), NUSCAN_STOP_BEFORE_LOCK)};
        ASSERT_TRUE(late.wait_until_held());
        scan_slowly("out.h5");
        auto const written = fs::last_write_time(file("out.h5"));
        late.send(SIGCONT);
        auto const result = late.wait();
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_TRUE(result.said("finished already")) << result;
        EXPECT_EQ(fs::last_write_time(file("out.h5")), written);
        EXPECT_FALSE(fs::exists(file("out.h5.journal")));
    }
    auto const before = bits("out.h5");
    fs::rename(file("out.h5"), file("kept.h5"));
    write_grid(40, 60);
    RunningProgram late{scan_command("out.h5", how_), preloading(options(), NUSCAN_STOP_BEFORE_LOCK)};
    ASSERT_TRUE(late.wait_until_held());
    fs::rename(file("kept.h5"), file("out.h5"));
    late.send(SIGCONT);
    auto const result = late.wait();
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_TRUE(result.said("out.h5: holds another scan")) << result;
    EXPECT_EQ(bits("out.h5"), before);
    EXPECT_FALSE(fs::exists(file("out.h5.journal")));
    EXPECT_FALSE(fs::exists(file("out.h5.partial")));
}

TEST_F(Fault, AMergeThatASignalStopsSaysSoAndLeavesNothing)
{
    Arguments merge{"merge"};
    for (int k = 1; k <= 2; ++k)
    {
        auto how = how_;
        how.insert(how.end(), {"--shard", fmt::format("{}/2", k)});
        auto name = scan("out.h5", how).out;
        name.pop_back(); // the end of the line
        merge.push_back(name);
    }
    merge.insert(merge.end(), {"-o", "merged.h5"});
    for (bool const as_virtual : {false, true})
        for (int const signal : {SIGINT, SIGTERM, SIGUSR1})
        {
            auto command = merge;
            if (as_virtual)
                command.push_back("--virtual");
            RunningProgram merging{command, preloading(options(), NUSCAN_STOP_BEFORE_LOCK)};
            ASSERT_TRUE(merging.wait_until_held());
            merging.send(signal);
            merging.send(SIGCONT);
            auto const result = merging.wait();
            EXPECT_EQ(result.exit_code, 3) << result;
            EXPECT_TRUE(result.said("interrupted: nothing is written; the same command merges again")) << result;
            EXPECT_EQ(result.out, "");
            for (char const* const left : {"merged.h5", "merged.h5.merging", "merged.h5.journal"})
                EXPECT_FALSE(fs::exists(file(left))) << left;
        }
    EXPECT_EQ(run(merge).exit_code, 0);
}

TEST_F(Fault, AFinishedOutputInAReadOnlyFolderIsFinished)
{
    fs::create_directory(file("done"));
    scan_slowly("done/out.h5");
    fs::permissions(file("done"), fs::perms::owner_read | fs::perms::owner_exec);
    auto const user = obeying_permissions(options());
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    auto const again = run_nuscan(scan_command("done/out.h5", how_), *user);
    fs::permissions(file("done"), fs::perms::owner_all);
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_TRUE(again.said("finished already")) << again;
}

TEST_F(Fault, ARestartThatCannotBeginLeavesTheOutput)
{
    scan_slowly("out.h5");
    auto const before = bits("out.h5");
    temp_.write("out.h5.partial", "");
    fs::permissions(file("out.h5.partial"), fs::perms::owner_read);
    auto const user = obeying_permissions(options());
    if (!user)
        GTEST_SKIP() << cannot_obey_permissions;
    auto restart = how_;
    restart.push_back("--restart");
    auto const refused = run_nuscan(scan_command("out.h5", restart), *user);
    EXPECT_EQ(refused.exit_code, 1) << refused;
    EXPECT_TRUE(refused.said("out.h5.partial: cannot create: Permission denied")) << refused;
    EXPECT_EQ(bits("out.h5"), before);
}

TEST_F(Fault, LinksOfTheOutputAreFollowedAndNoOthers)
{
    fs::create_directory(file("disk"));
    fs::create_symlink("disk/real.h5", file("out.h5"));
    scan_slowly("out.h5");
    EXPECT_TRUE(fs::is_symlink(file("out.h5")));
    EXPECT_FALSE(fs::is_symlink(file("disk/real.h5")));
    EXPECT_EQ(bits("out.h5"), bits("disk/real.h5"));
    EXPECT_TRUE(run(scan_command("disk/real.h5", how_)).said("finished already"));

    fs::create_symlink("circle.h5", file("circle.h5"));
    auto const circle = run(scan_command("circle.h5", how_));
    EXPECT_EQ(circle.exit_code, 2) << circle;
    EXPECT_TRUE(circle.said("circle.h5: a symbolic link that leads nowhere")) << circle;

    temp_.write("precious", "values of somebody");
    for (char const* const suffix : {".partial", ".journal"})
    {
        fs::create_symlink("precious", file(std::string{"next.h5"} + suffix));
        auto const refused = run(scan_command("next.h5", how_));
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_TRUE(refused.said("is no file, but the scan writes there first")) << refused;
        fs::remove(file(std::string{"next.h5"} + suffix));
    }
    EXPECT_EQ(text_of("precious"), "values of somebody");
}

TEST_F(Fault, AMergeWritesOverNothingThatMatters)
{
    for (int k = 1; k <= 2; ++k)
        scan("part.h5", {"--device", "reference", "--shard", fmt::format("{}/2", k)});
    std::string const first = "part.shard-001-of-002.h5";
    std::string const second = "part.shard-002-of-002.h5";
    // The file that a merge writes first is one of its shards, or leads to one, or is none.
    for (int i = 0; i < 3; ++i)
    {
        std::string shard = first;
        if (i == 0)
        {
            shard = "out.h5.merging";
            fs::copy_file(file(first), file(shard));
        }
        else if (i == 1)
            fs::create_symlink(first, file("out.h5.merging"));
        else
            fs::create_directory(file("out.h5.merging"));
        auto const before = bits(shard);
        auto const refused = run({"merge", shard, second, "-o", "out.h5"});
        EXPECT_EQ(refused.exit_code, 2) << refused;
        EXPECT_TRUE(refused.said("out.h5.merging: is in the way of the merge")) << refused;
        EXPECT_TRUE(fs::exists(file("out.h5.merging")));
        EXPECT_EQ(bits(shard), before);
        fs::remove(file("out.h5.merging"));
    }
    EXPECT_EQ(run({"merge", first, second, "-o", "out.h5"}).exit_code, 0);
}

TEST_F(Fault, AMergeDoesNotDisturbAScanOfThatName)
{
    for (int k = 1; k <= 2; ++k)
        scan("part.h5", {"--device", "reference", "--shard", fmt::format("{}/2", k)});
    scan_slowly("whole.h5");
    RunningProgram running{scan_command("out.h5", how_), options()};
    ASSERT_TRUE(running.wait_until([&] { return points_in("out.h5.journal") > 20 * chunk; }));
    ASSERT_TRUE(running.hold());
    Arguments const merge{"merge", "part.shard-001-of-002.h5", "part.shard-002-of-002.h5", "-o", "out.h5"};
    auto const refused = run(merge);
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_TRUE(refused.said("out.h5: another scan or merge is writing this output")) << refused;
    running.send(SIGCONT);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().exit_code, 3);
    // An interrupted scan is not writing; its journal stays for it.
    auto const journal = text_of("out.h5.journal");
    EXPECT_EQ(run(merge).exit_code, 0);
    EXPECT_EQ(text_of("out.h5.journal"), journal);
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Fault, FileLockingMayBeOff)
{
    auto off = options();
    off.environment["HDF5_USE_FILE_LOCKING"] = "FALSE";
    scan_slowly("whole.h5");
    interrupt("out.h5", SIGKILL);
    EXPECT_EQ(run_nuscan(scan_command("out.h5", how_), off).exit_code, 0);
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
    for (int k = 1; k <= 2; ++k)
        EXPECT_EQ(run_nuscan(scan_command("part.h5", {"--device", "reference", "--shard", fmt::format("{}/2", k)}), off).exit_code,
                  0);
    for (Arguments const& how : {Arguments{}, {"--virtual"}})
    {
        Arguments arguments{"merge", "part.shard-001-of-002.h5", "part.shard-002-of-002.h5", "-o", "merged.h5", "--replace"};
        arguments.insert(arguments.end(), how.begin(), how.end());
        auto const merged = run_nuscan(arguments, off);
        EXPECT_EQ(merged.exit_code, 0) << merged;
        EXPECT_EQ(run_nuscan({"diff", "whole.h5", "merged.h5", "--tolerance", "0"}, off).exit_code, 0);
    }
}

TEST_F(Fault, TheWallClockMayJump)
{
    scan_slowly("whole.h5");
    RunOptions const jumping = preloading(options(), NUSCAN_JUMPING_CLOCK);
    {
        RunningProgram program{scan_command("out.h5", how_), jumping};
        ASSERT_TRUE(program.wait_until([&] { return points_in("out.h5.journal") > 20 * chunk; }));
        program.send(SIGTERM);
        EXPECT_EQ(program.wait().exit_code, 3);
    }
    auto const done = points_in("out.h5.journal");
    auto const begun = parse_description(Journal::inspect(file("out.h5.journal"))->head.description).start_utc;
    for (std::string const suffix : {".journal", ".partial"})
        fs::copy_file(file("out.h5" + suffix), file("steady.h5" + suffix));
    auto const finished = run_nuscan(scan_command("out.h5", how_), jumping);
    EXPECT_EQ(finished.exit_code, 0) << finished;
    EXPECT_TRUE(finished.said(fmt::format("continued at point {} ", done))) << finished;
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
    auto const meta = SurfaceReader{file("out.h5")}.meta();
    // It did jump, and back; what was measured is the time that the scan took.
    EXPECT_GT(meta.start_utc, meta.stop_utc);
    // The scan began with its first run, whatever the clock of the last one says.
    scan_slowly("steady.h5");
    EXPECT_EQ(SurfaceReader{file("steady.h5")}.meta().start_utc, begun);
    EXPECT_GT(meta.wall_time_s, 0.0);
    EXPECT_LT(meta.wall_time_s, static_cast<double>(jumping.timeout.count()));
    EXPECT_GT(meta.points_per_s, 0.0);
    auto const again = run_nuscan(scan_command("out.h5", how_), jumping);
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_TRUE(again.said("finished already")) << again;
    EXPECT_EQ(run_nuscan({"validate", "out.h5"}, jumping).exit_code, 0);

    for (int k = 1; k <= 2; ++k)
        EXPECT_EQ(
            run_nuscan(scan_command("part.h5", {"--device", "reference", "--shard", fmt::format("{}/2", k)}), jumping).exit_code,
            0);
    for (Arguments const& how : {Arguments{}, {"--virtual"}})
    {
        Arguments arguments{"merge", "part.shard-001-of-002.h5", "part.shard-002-of-002.h5", "-o", "merged.h5", "--replace"};
        arguments.insert(arguments.end(), how.begin(), how.end());
        auto const merged = run_nuscan(arguments, jumping);
        EXPECT_EQ(merged.exit_code, 0) << merged;
        EXPECT_EQ(bits("merged.h5"), bits("whole.h5"));
    }
}

/// A disk of a few megabytes.
class SmallDisk
{
public:
    SmallDisk(fs::path path, std::size_t megabytes) : path_{std::move(path)}
    {
        fs::create_directory(path_);
        auto const size = fmt::format("size={}m", megabytes);
        mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, size.c_str()) == 0;
    }
    ~SmallDisk()
    {
        if (mounted_)
            umount2(path_.c_str(), MNT_DETACH);
    }
    SmallDisk(SmallDisk const&) = delete;
    SmallDisk& operator=(SmallDisk const&) = delete;

    bool mounted() const { return mounted_; }

private:
    fs::path path_;
    bool mounted_ = false;
};

TEST_F(Fault, AFullDiskIsAClearFailureAndTheScanContinuesOnceThereIsRoom)
{
    SmallDisk const disk{file("disk"), 6};
    if (!disk.mounted())
        GTEST_SKIP() << "a small disk cannot be mounted here: that needs the rights of root";
    write_grid(400, 500); // 1.8 MB
    scan("whole.h5");
    // More than what the scan needs is free when it begins, and something else takes it meanwhile.
    RunningProgram program{scan_command("disk/out.h5", {"--chunk", "100", "--route", "direct"}), options()};
    ASSERT_TRUE(program.wait_until([&] { return points_in("disk/out.h5.journal") > 2000; }));
    {
        std::ofstream filler{file("disk/filler"), std::ios::binary};
        std::string const block(4096, 'x');
        while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush())
        {
        }
    }
    auto const result = program.wait();
    EXPECT_EQ(result.exit_code, 1) << result;
    EXPECT_TRUE(result.said("disk/out.h5.partial: cannot write: No space left on device; once that is mended, the same command")
                // when the pages of the values had more room
                || result.said("disk/out.h5.journal: cannot write the journal: No space left on device; free space and run"))
        << result;
    auto const done = points_in("disk/out.h5.journal");
    EXPECT_GT(done, 0);
    auto const still_full = run(scan_command("disk/out.h5", {"--route", "direct"}));
    EXPECT_EQ(still_full.exit_code, 2) << still_full;
    EXPECT_TRUE(still_full.said("not enough disk")) << still_full;
    EXPECT_EQ(points_in("disk/out.h5.journal"), done);
    fs::remove(file("disk/filler"));
    auto const finished = run(scan_command("disk/out.h5", {"--route", "direct"}));
    EXPECT_EQ(finished.exit_code, 0) << finished;
    EXPECT_TRUE(finished.said(fmt::format("continued at point {} ", done))) << finished;
    auto const diff = run({"diff", "whole.h5", "disk/out.h5"});
    EXPECT_EQ(diff.exit_code, 0) << diff;
}

} // namespace
} // namespace nuscan::test
