// Shards put together: merge.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "host/cli/cli.hpp"
#include "host/scan/merge.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan::cli
{

void add_merge(CLI::App& app, Program& program)
{
    auto* const command = app.add_subcommand("merge", "Put the shards of a scan together");
    auto const options = std::make_shared<MergeOptions>();
    auto const shards = std::make_shared<std::vector<std::string>>();
    auto const output = std::make_shared<std::string>();
    command->add_option("shards", *shards, "Shards, in any order and of any names")->required()->type_name("SHARD.h5...");
    command->add_option("-o,--output", *output, "Output file (HDF5)")->required()->type_name("OUT.h5");
    command->add_flag("--virtual", options->as_virtual, "Leave the values in the shards: OUT.h5 refers to them");
    command->add_flag("--replace", options->replace, "Replace an existing output");
    command->footer(
        "Every checksum of every shard is verified. Where shards are damaged (exit code 1), or points missing or in two shards\n"
        "(exit code 3), nothing is written, and the commands that compute what is missing or damaged are printed.\n"
        "Example: nuscan merge vector.shard-*.h5 -o vector.h5");
    command->callback([options, shards, output, command, &program] {
        catch_signals();
        options->shards.assign(shards->begin(), shards->end());
        options->output = *output;
        options->command_line = command_line_of(program, *command);
        options->interrupted = stop_requested;
        MergeResult const result = merge_surfaces(*options);
        if (result.interrupted)
        {
            spdlog::warn("interrupted: nothing is written; the same command merges again");
            program.exit_code = exit_incomplete;
            return;
        }
        for (auto const& note : result.notes)
            spdlog::warn("{}", note);
        for (DamagedShard const& shard : result.damaged)
            spdlog::error("{}", shard.problem);
        for (Overlap const& overlap : result.overlaps)
            spdlog::error("points [{}, {}) are in {} and in {}: name one of them", overlap.range.begin, overlap.range.end,
                          overlap.first, overlap.second);
        for (IndexRange const& hole : result.holes)
            spdlog::error("points [{}, {}) are in no shard{}", hole.begin, hole.end,
                          result.damaged.empty() ? "" : " that is whole");
        if (!result.complete())
        {
            bool const to_compute = !result.damaged.empty() || !result.holes.empty();
            spdlog::error("nothing is written{}", !to_compute ? ""
                                                  : result.commands.empty()
                                                      ? "; compute what is missing or damaged and merge again"
                                                      : "; these commands compute what is missing or damaged:");
            for (auto const& line : result.commands)
                fmt::print("{}\n", line);
            program.exit_code = result.damaged.empty() ? exit_incomplete : exit_failure;
            return;
        }
        auto const& meta = result.meta;
        spdlog::info("{} of {}; chi2 min = {:.6f}, chi2 SM = {:.6f}", counted(meta.range.size(), "point"),
                     counted(static_cast<long long>(meta.shards.size()), "shard"), result.best_fit.chi2, result.null.chi2);
        spdlog::info("self-checks: {} recomputed by the reference, worst |delta chi2|/(1 + chi2) = {:.1e}",
                     counted(meta.self_check.points, "point"), meta.self_check.worst);
        if (meta.failed)
        {
            for (SurfaceMeta const& shard : meta.shards)
                if (shard.failed)
                    spdlog::error("{} failed its self-check; compute this shard again", shard.file);
            program.exit_code = exit_failure;
        }
        if (report_failed_points(*output, meta))
            program.exit_code = exit_failure;
        fmt::print("{}\n", *output);
    });
}

} // namespace nuscan::cli
