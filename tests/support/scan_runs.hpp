/// \file
/// Scans run as a user would, in a folder of their own.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "host/io/journal.hpp"
#include "host/io/surface_file.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::test
{

/// Every bit of a surface: a NaN equals itself.
struct SurfaceBits
{
    std::string chi2;
    std::vector<std::uint8_t> status;
    std::string pulls;
    std::string rates;

    explicit SurfaceBits(SurfaceReader const& surface)
    {
        auto const bytes = [](std::vector<double> const& values) {
            return std::string(reinterpret_cast<char const*>(values.data()), values.size() * sizeof(double));
        };
        IndexRange const range = surface.layout().range;
        chi2 = bytes(surface.chi2(range));
        status = surface.status(range);
        for (auto const& name : surface.layout().pulls)
            pulls += bytes(surface.pull(name, range));
        for (auto const& rate : surface.layout().rates)
            rates += bytes(surface.rates(rate.experiment, range));
    }

    bool operator==(SurfaceBits const&) const = default;
};

/// Prints little: the bits of two surfaces fill many screens.
inline void PrintTo(SurfaceBits const& bits, std::ostream* out)
{
    *out << bits.status.size() << " points";
}

/// Points that a journal lists, 0 where there is none.
inline std::int64_t points_listed(std::filesystem::path const& journal)
{
    if (!std::filesystem::exists(journal))
        return 0;
    auto const contents = Journal::inspect(journal);
    return contents ? contents->next - contents->head.range.begin : 0;
}

/// A folder with a grid file that scans run in.
class ScanFolder : public testing::Test
{
protected:
    std::filesystem::path file(std::string const& name) const { return temp_.path() / name; }

    std::string text_of(std::string const& name) const
    {
        std::ifstream in{file(name), std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    std::uintmax_t size_of(std::string const& name) const
    {
        std::error_code missing;
        auto const size = std::filesystem::file_size(file(name), missing);
        return missing ? 0 : size;
    }

    /// Points that the journal of that name lists, 0 where there is none.
    std::int64_t points_in(std::string const& journal) const { return points_listed(file(journal)); }

    /// A vector mediator, masses times couplings, as grid.toml.
    void write_grid(int masses, int couplings, std::string const& more = {}) const
    {
        temp_.write("grid.toml",
                    "[scan]\ntitle = \"test\"\nexperiments = [\"xenonnt_sr0\"]\n[axes]\nm_V = { min = 1e-3, max = 1e2, n = "
                        + std::to_string(masses) + ", scale = \"log\" }\ng_V = { min = 1e-8, max = 1e-5, n = "
                        + std::to_string(couplings) + ", scale = \"log\" }\n" + more);
    }

    RunOptions options() const
    {
        RunOptions options;
        options.folder = temp_.path();
        for (char const* const variable : {"ID", "MIN", "MAX", "COUNT"})
            options.environment[std::string{"SLURM_ARRAY_TASK_"} + variable] = std::nullopt;
        return options;
    }

    RunResult run(Arguments const& arguments) const { return run_nuscan(arguments, options()); }

    static Arguments scan_command(std::string const& output, Arguments const& more = {})
    {
        Arguments arguments{"scan", "grid.toml", "-o", output, "--threads", "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        if (std::find(more.begin(), more.end(), "--device") == more.end())
            arguments.insert(arguments.end(), {"--device", "cpu"});
        return arguments;
    }

    RunResult scan(std::string const& output, Arguments const& more = {}) const
    {
        auto const result = run(scan_command(output, more));
        EXPECT_EQ(result.exit_code, 0) << result;
        return result;
    }

    SurfaceBits bits(std::string const& output) const { return SurfaceBits{SurfaceReader{file(output)}}; }

    TempDir temp_;
};

} // namespace nuscan::test
