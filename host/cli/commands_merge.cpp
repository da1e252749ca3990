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
        "Every checksum of every shard is verified. Where points are missing nothing is written, the commands that compute them\n"
        "are printed, and the exit code is 3.\n"
        "Example: nuscan merge vector.shard-*.h5 -o vector.h5");
    command->callback([options, shards, output, &program] {
        options->shards.assign(shards->begin(), shards->end());
        options->output = *output;
        options->command_line = program.command_line;
        MergeResult const result = merge_surfaces(*options);
        for (auto const& note : result.notes)
            spdlog::warn("{}", note);
        for (Overlap const& overlap : result.overlaps)
            spdlog::warn("points [{}, {}) are in {} and in {}; those of the first are taken", overlap.range.begin,
                         overlap.range.end, overlap.first, overlap.second);
        if (!result.holes.empty())
        {
            for (IndexRange const& hole : result.holes)
                spdlog::error("points [{}, {}) are in no shard", hole.begin, hole.end);
            spdlog::error("nothing is written; {}", result.missing_commands.empty() ? "compute the missing shards and merge again"
                                                                                    : "these commands compute what is missing:");
            for (auto const& missing : result.missing_commands)
                fmt::print("{}\n", missing);
            program.exit_code = exit_incomplete;
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
