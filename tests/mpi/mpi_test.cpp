// Scans by several ranks: the numbers of a serial scan, whatever happens to ranks.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "host/io/journal.hpp"
#include "host/scan/chunk_queue.hpp"
#include "host/support/text.hpp"
#include "tests/support/scan_runs.hpp"

namespace fs = std::filesystem;

namespace nuscan::test
{
namespace
{

class Mpi : public ScanFolder
{
protected:
    /// About a second of computing in 2400 pieces, fifths of chunks: whatever is to happen to it happens after the first few.
    static constexpr std::int64_t chunk = 50;
    Arguments const how_{"--route", "direct", "--chunk", "250"};

    Mpi() { write_grid(400, 300); }

    RunOptions mpi_options() const
    {
        auto mpi = options();
        mpi.program = NUSCAN_MPIRUN;
        mpi.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
        mpi.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
        // Containers forbid what Open MPI would copy with, and it says so on standard error.
        mpi.environment["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none";
        mpi.timeout = std::chrono::seconds{120};
        return mpi;
    }

    static Arguments mpi_command(int ranks, Arguments const& what)
    {
        Arguments arguments{"--oversubscribe", "-n", std::to_string(ranks)};
        arguments.insert(arguments.end(), what.begin(), what.end());
        return arguments;
    }

    static Arguments mpi_scan_command(int ranks, std::string const& output, Arguments const& more = {},
                                      std::string const& program = NUSCAN_MPI_BINARY)
    {
        Arguments what{program};
        for (auto const& word : scan_command(output, more))
            what.push_back(word);
        return mpi_command(ranks, what);
    }

    RunResult mpi_scan(int ranks, std::string const& output, Arguments const& more = {}) const
    {
        return run_nuscan(mpi_scan_command(ranks, output, more), mpi_options());
    }

    /// The same for watching: what ranks say goes to files below \p folder too.
    static Arguments watched(Arguments command, std::string const& folder)
    {
        command.insert(command.begin(), {"--output-filename", folder});
        return command;
    }

    /// Whether ranks 1 to \p ranks - 1 take part by now: until then rank 0 computes alone.
    bool all_take_part(std::string const& folder, int ranks) const
    {
        auto const said = contents_of(file(folder) / "1/rank.0/stderr");
        for (int rank = 1; rank < ranks; ++rank)
            if (said.find(fmt::format("rank {} on ", rank)) == said.npos)
                return false;
        return true;
    }

    /// Process of a rank of the program that \p mpirun started, 0 if it is not there.
    static pid_t process_of(RunningProgram const& mpirun, int rank)
    {
        for (auto const& entry : fs::directory_iterator{"/proc"})
        {
            auto const name = entry.path().filename().string();
            if (name.find_first_not_of("0123456789") != name.npos || parent_of(name) != mpirun.id())
                continue;
            auto const environment = contents_of(entry.path() / "environ");
            if (environment.find(fmt::format("OMPI_COMM_WORLD_RANK={}", rank) + '\0') != environment.npos)
                return std::stoi(name);
        }
        return 0;
    }

    static std::string contents_of(fs::path const& path)
    {
        std::ifstream in{path, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    static pid_t parent_of(std::string const& process)
    {
        // "pid (name) state parent ..."
        auto const text = contents_of(fs::path{"/proc"} / process / "stat");
        auto const end = text.rfind(") ");
        return end == text.npos ? 0 : std::stoi(text.substr(end + 4));
    }

    /// Waits until a process that is not ours to wait for has ended; false if it does not.
    static bool gone(pid_t process)
    {
        for (int i = 0; i < 2000; ++i)
        {
            auto const stat = contents_of(fmt::format("/proc/{}/stat", process));
            if (stat.empty() || stat.find(") Z") != stat.npos)
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return false;
    }
};

TEST_F(Mpi, IsTheSerialScanBitByBit)
{
    write_grid(23, 31, "[output]\npulls = true\nrates = true\n");
    for (std::string const route : {"factored", "direct"})
    {
        auto const whole = "whole-" + route + ".h5";
        scan(whole, {"--route", route});
        for (int const ranks : {1, 2, 4})
            for (Arguments const& size : {Arguments{}, {"--chunk", "17"}})
            {
                auto const output = fmt::format("{}-{}-{}.h5", route, ranks, size.size());
                Arguments more{"--route", route};
                more.insert(more.end(), size.begin(), size.end());
                auto const result = mpi_scan(ranks, output, more);
                ASSERT_EQ(result.exit_code, 0) << result;
                EXPECT_EQ(result.out, output + "\n") << result;
                EXPECT_EQ(bits(output), bits(whole)) << ranks << " ranks";
                EXPECT_FALSE(fs::exists(file(output + ".journal")));
                SurfaceReader const mine{file(output)};
                SurfaceReader const serial{file(whole)};
                EXPECT_EQ(mine.best_fit().index, serial.best_fit().index);
                EXPECT_EQ(mine.best_fit().chi2, serial.best_fit().chi2);
                EXPECT_EQ(mine.meta().backend, "cpu");
                EXPECT_TRUE(mine.meta().self_check.passed);
                EXPECT_TRUE(mine.meta().device.starts_with(fmt::format("{} rank", ranks))) << mine.meta().device;
                EXPECT_TRUE(mine.meta().command_line.starts_with(fmt::format("mpirun -n {} ", ranks))) << mine.meta().command_line;
            }
    }
}

TEST_F(Mpi, KillsLoseNothingThatWasWritten)
{
    write_grid(1000, 600);
    scan("whole.h5", how_);
    for (int const ranks : {2, 4})
        for (int const victim : {-1, 0, 1}) // mpirun, the writing rank, another one
        {
            auto const output = fmt::format("out-{}-{}.h5", ranks, victim);
            std::int64_t before = 0;
            for (int kill_number = 1; kill_number <= 3; ++kill_number)
            {
                auto const said = fmt::format("{}.said{}", output, kill_number);
                RunningProgram program{watched(mpi_scan_command(ranks, output, how_), said), mpi_options()};
                ASSERT_TRUE(program.wait_until(
                    [&] { return all_take_part(said, ranks) && points_in(output + ".journal") > before + 20 * chunk; }));
                std::vector<pid_t> processes;
                for (int rank = 0; rank < ranks; ++rank)
                    processes.push_back(process_of(program, rank));
                ASSERT_EQ(std::count(processes.begin(), processes.end(), 0), 0);
                if (victim < 0)
                    program.send(SIGKILL);
                else
                    kill(processes[static_cast<std::size_t>(victim)], SIGKILL);
                auto const result = program.wait();
                EXPECT_NE(result.exit_code, 0) << result;
                EXPECT_FALSE(result.timed_out);
                for (pid_t const process : processes)
                    ASSERT_TRUE(gone(process)) << "a rank outlived the program";
                // Rank 0 outlives mpirun or another rank by a second or so until Open MPI ends it: it may even finish.
                if (victim != 0 && fs::exists(file(output)))
                    break;
                auto const after = points_in(output + ".journal");
                EXPECT_GT(after, before);
                before = after;
            }
            // Any number of ranks continues, and so does the serial program.
            auto const last = victim == 0 ? run(scan_command(output, how_)) : mpi_scan(6 - ranks, output, how_);
            ASSERT_EQ(last.exit_code, 0) << last;
            EXPECT_TRUE(last.said(fmt::format("continued at point {} ", before)) || last.said("is finished already")) << last;
            EXPECT_EQ(bits(output), bits("whole.h5"));
        }
}

TEST_F(Mpi, RanksThatHangHoldNobodyUp)
{
    write_grid(1000, 600);
    scan("whole.h5", how_);
    for (int const ranks : {2, 4})
    {
        auto const output = fmt::format("out-{}.h5", ranks);
        RunningProgram program{watched(mpi_scan_command(ranks, output, how_), output + ".said"), mpi_options()};
        ASSERT_TRUE(program.wait_until([&] { return all_take_part(output + ".said", ranks); }));
        // All but the first.
        std::vector<pid_t> victims;
        for (int rank = 1; rank < ranks; ++rank)
            victims.push_back(process_of(program, rank));
        for (pid_t const victim : victims)
        {
            ASSERT_GT(victim, 0);
            kill(victim, SIGSTOP);
        }
        EXPECT_FALSE(fs::exists(file(output))) << "they hold chunks that are missing";
        auto const result = program.wait();
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_TRUE(result.said(" does not answer and is not waited for; its points were computed by others")) << result;
        EXPECT_EQ(bits(output), bits("whole.h5"));
        for (pid_t const victim : victims)
            EXPECT_TRUE(gone(victim));
    }
}

TEST_F(Mpi, ARankThatComesBackGoesOn)
{
    write_grid(1000, 600);
    scan("whole.h5", how_);
    RunningProgram program{watched(mpi_scan_command(2, "out.h5", how_), "said"), mpi_options()};
    ASSERT_TRUE(program.wait_until([&] { return all_take_part("said", 2); }));
    auto const victim = process_of(program, 1);
    ASSERT_GT(victim, 0);
    kill(victim, SIGSTOP);
    // More than what may wait for a chunk: somebody else has computed the one that the victim held.
    auto const held_up = points_in("out.h5.journal") + 3 * ChunkQueue::chunks_under_way * 2 * chunk;
    EXPECT_TRUE(program.wait_until([&] { return points_in("out.h5.journal") > held_up; }));
    kill(victim, SIGCONT);
    auto const result = program.wait();
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_FALSE(result.said("does not answer")) << result;
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Mpi, MoreRanksThanChunks)
{
    write_grid(2, 2);
    scan("whole.h5");
    for (std::string const size : {"1", "2", "1000"})
    {
        auto const output = size + ".h5";
        auto const result = mpi_scan(5, output, {"--chunk", size});
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_EQ(bits(output), bits("whole.h5"));
    }
}

TEST_F(Mpi, SignalsFinishWhatIsUnderWayAndTheSameCommandContinues)
{
    scan("whole.h5", how_);
    struct Case
    {
        int rank; ///< -1: mpirun, which passes it on
        int signal;
    };
    for (auto const& [rank, signal] : {Case{-1, SIGUSR1}, {0, SIGTERM}, {0, SIGUSR1}, {1, SIGTERM}})
    {
        auto const output = fmt::format("out{}-{}.h5", rank, signal);
        RunningProgram program{mpi_scan_command(2, output, how_), mpi_options()};
        ASSERT_TRUE(program.wait_until([&] { return points_in(output + ".journal") > 10 * chunk; }));
        if (rank < 0)
            program.send(signal);
        else
            kill(process_of(program, rank), signal);
        auto const stopped = program.wait();
        EXPECT_EQ(stopped.exit_code, 3) << stopped;
        auto const done = points_in(output + ".journal");
        EXPECT_TRUE(stopped.said(fmt::format("interrupted after {} of 120000 points; the same command continues", done)))
            << stopped;
        EXPECT_FALSE(fs::exists(file(output)));
        auto const again = mpi_scan(2, output, how_);
        EXPECT_EQ(again.exit_code, 0) << again;
        EXPECT_TRUE(again.said(fmt::format("continued at point {} ", done))) << again;
        EXPECT_EQ(bits(output), bits("whole.h5"));
        auto const finished = mpi_scan(2, output, how_);
        EXPECT_EQ(finished.exit_code, 0) << finished;
        EXPECT_TRUE(finished.said("is finished already")) << finished;
    }
}

TEST_F(Mpi, ARankThatFailsIsNamedAndTheJournalStays)
{
    RunningProgram program{mpi_scan_command(2, "out.h5", how_), mpi_options()};
    ASSERT_TRUE(program.wait_until([&] { return points_in("out.h5.journal") > 10 * chunk; }));
    program.send(SIGUSR1);
    EXPECT_EQ(program.wait().exit_code, 3);
    auto const done = points_in("out.h5.journal");

    // Rank 1 sees other data, or none at all.
    fs::copy(NUSCAN_SOURCE_DATA_DIR, file("other"), fs::copy_options::recursive);
    std::ofstream{file("other/solar/gs98.toml"), std::ios::app} << "# changed\n";
    for (auto const& [folder, message] : {std::pair{"other", "data file solar/gs98.toml differs"}, {"none", "none"}})
    {
        auto const wrapped = fmt::format("[ \"$OMPI_COMM_WORLD_RANK\" != 1 ] || export NUSCAN_DATA_DIR={}; exec {} \"$@\"", folder,
                                         shell_quote(NUSCAN_MPI_BINARY));
        Arguments what{"/bin/sh", "-c", wrapped, "sh"};
        for (auto const& word : scan_command("out.h5", how_))
            what.push_back(word);
        auto const result = run_nuscan(mpi_command(2, what), mpi_options());
        EXPECT_EQ(result.exit_code, 1) << result;
        EXPECT_TRUE(result.said("nuscan: rank 1 on ")) << result;
        EXPECT_TRUE(result.said(message)) << result;
        EXPECT_FALSE(fs::exists(file("out.h5")));
        EXPECT_GE(points_in("out.h5.journal"), done);
    }
    EXPECT_EQ(mpi_scan(2, "out.h5", how_).exit_code, 0);
    scan("whole.h5", how_);
    EXPECT_EQ(bits("out.h5"), bits("whole.h5"));
}

TEST_F(Mpi, MistakesAreSaidOnce)
{
    auto const once = [](RunResult const& result, std::string const& text) {
        auto const first = result.err.find(text);
        return first != std::string::npos && result.err.find(text, first + 1) == std::string::npos;
    };
    auto const unknown = mpi_scan(4, "out.h5", {"--set", "q_ee=1"});
    EXPECT_EQ(unknown.exit_code, 2) << unknown;
    EXPECT_TRUE(once(unknown, "unknown parameter")) << unknown;
    auto const option = mpi_scan(4, "out.h5", {"--no-such-option"});
    EXPECT_EQ(option.exit_code, 2) << option;
    EXPECT_TRUE(once(option, "--no-such-option")) << option;
    auto const shared = run_nuscan(mpi_command(2, {NUSCAN_MPI_BINARY, "scan", "grid.toml", "-o", "out.h5", "--device", "cuda:0"}),
                                   mpi_options());
    EXPECT_EQ(shared.exit_code, 2) << shared;
    EXPECT_TRUE(once(shared, "--device cuda:0: 2 ranks of")) << shared;
    auto const verb = run_nuscan(mpi_command(2, {NUSCAN_MPI_BINARY, "limits", "-e", "xenonnt_sr0"}), mpi_options());
    EXPECT_EQ(verb.exit_code, 2) << verb;
    EXPECT_FALSE(fs::exists(file("out.h5.journal")));
}

TEST_F(Mpi, ShardsAreScannedAsSerially)
{
    scan("whole.h5", {"--route", "direct"});
    for (int k = 1; k <= 2; ++k)
    {
        auto const result = mpi_scan(2, "part.h5", {"--route", "direct", "--shard", fmt::format("{}/2", k)});
        EXPECT_EQ(result.exit_code, 0) << result;
    }
    EXPECT_EQ(run({"merge", "part.shard-001-of-002.h5", "part.shard-002-of-002.h5", "-o", "merged.h5"}).exit_code, 0);
    EXPECT_EQ(bits("merged.h5"), bits("whole.h5"));
}

#ifdef NUSCAN_EMULATED_MPI_BINARY
TEST_F(Mpi, EveryRankHasADeviceOfItsOwn)
{
    write_grid(3, 40);
    auto serial = options();
    serial.program = NUSCAN_EMULATED_BINARY;
    ASSERT_EQ(run_nuscan({"scan", "grid.toml", "-o", "whole.h5", "--device", "cuda"}, serial).exit_code, 0);
    for (std::string const device : {"cuda", "auto"})
    {
        auto mpi = mpi_options();
        mpi.environment["NUSCAN_EMULATOR_DEVICES"] = "2";
        auto const result = run_nuscan(mpi_command(2, {NUSCAN_EMULATED_MPI_BINARY, "scan", "grid.toml", "-o", device + ".h5",
                                                       "--device", device, "--chunk", "7"}),
                                       mpi);
        EXPECT_EQ(result.exit_code, 0) << result;
        EXPECT_TRUE(result.said("rank 0: ")) << result;
        EXPECT_TRUE(result.said("(cuda:0,")) << result;
        EXPECT_TRUE(result.said("(cuda:1,")) << result;
        EXPECT_EQ(bits(device + ".h5"), bits("whole.h5"));
    }
    // With fewer devices than ranks they are shared, and that is said.
    auto const result = run_nuscan(
        mpi_command(2, {NUSCAN_EMULATED_MPI_BINARY, "scan", "grid.toml", "-o", "one.h5", "--device", "cuda"}), mpi_options());
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_TRUE(result.said("share 1 CUDA device")) << result;
    EXPECT_EQ(bits("one.h5"), bits("whole.h5"));
}
#endif

} // namespace
} // namespace nuscan::test
