// What the kernels cost, counted by the emulator in PTX instructions: a kernel that grows beyond its ceiling fails here.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "emulator.hpp"
#include "host/backends/backend.hpp"
#include "tests/backends/evaluate.hpp"
#include "tests/support/real_inputs.hpp"

namespace nuscan
{
namespace
{

/// Ceilings per unit of work, some 5% above what was counted when they were set: kernels/README.md has the figures.
struct Ceilings
{
    double instructions;
    double fp64;
    double global_sectors;
    double simd_efficiency; ///< a floor
};

class Counts : public ::testing::Test
{
protected:
    void SetUp() override { emulator::restart(); }

    /// Mass and coupling of a vector mediator over the ranges of the paper's figure.
    static std::shared_ptr<Problem const> grid(std::string const& experiment, std::int64_t n_mass, std::int64_t n_coupling)
    {
        return std::make_shared<Problem const>(prepared({experiment}),
                                               std::vector<Axis>{make_axis("m_V", 1e-4, 1e3, n_mass, AxisScale::log),
                                                                 make_axis("g_V", 1e-8, 1e-2, n_coupling, AxisScale::log)},
                                               FixedParameters{});
    }

    static void run(std::shared_ptr<Problem const> const& problem, Route route)
    {
        std::vector<double> chi2(static_cast<std::size_t>(problem->size()));
        std::vector<std::uint8_t> status(chi2.size());
        PointOutputs outputs;
        outputs.chi2 = chi2.data();
        outputs.status = status.data();
        make_cuda_backend(problem, route, 0)->evaluate({0, problem->size()}, outputs);
    }

    /// NUSCAN_COUNTS=1 prints every kind of instruction.
    static void expect_below(emulator::KernelReport const& report, double units, Ceilings const& ceilings)
    {
        double const instructions = static_cast<double>(report.instructions.lanes) / units;
        double const fp64 = static_cast<double>(report.fp64.lanes) / units;
        double const sectors = static_cast<double>(report.global_sectors) / units;
        std::printf("%s\n  per unit: %.0f instructions, %.0f of them fp64; %.2f sectors of 32 bytes; SIMD efficiency %.1f%%, bank "
                    "conflicts %llu\n",
                    report.kernel.substr(0, report.kernel.find('(', report.kernel.find("kernel"))).c_str(), instructions, fp64,
                    sectors, 100.0 * report.simd_efficiency(), static_cast<unsigned long long>(report.shared_bank_conflicts));
        if (std::getenv("NUSCAN_COUNTS") != nullptr)
            std::printf("%s\n", emulator::to_text(report, 40).c_str());
        RecordProperty("instructions", std::to_string(instructions));
        RecordProperty("fp64", std::to_string(fp64));
        EXPECT_LE(instructions, ceilings.instructions);
        EXPECT_LE(fp64, ceilings.fp64);
        EXPECT_LE(sectors, ceilings.global_sectors);
        EXPECT_GE(report.simd_efficiency(), ceilings.simd_efficiency);
        // Copies into shared memory and ends of rows may cost a few per block; the loops over bins none.
        EXPECT_LE(report.shared_bank_conflicts, 4 * report.blocks);
    }
};

TEST_F(Counts, FactoredLzPerPoint)
{
    auto const problem = grid("lz_ws2022", 4, 1024);
    run(problem, Route::factored);
    expect_below(emulator::report("factored_kernel"), static_cast<double>(problem->size()), {12900, 5230, 7.8, 0.85});
}

TEST_F(Counts, FactoredXenonntPerPoint)
{
    auto const problem = grid("xenonnt_sr0", 4, 1024);
    run(problem, Route::factored);
    expect_below(emulator::report("factored_kernel"), static_cast<double>(problem->size()), {480, 72, 1.35, 0.85});
}

TEST_F(Counts, TemplatesPerMass)
{
    auto const problem = grid("lz_ws2022", 16, 32);
    run(problem, Route::factored);
    expect_below(emulator::report("fold_kernel"), 16.0, {1.48e6, 3.4e5, 5.75e4, 0.85});
}

TEST_F(Counts, DirectLzPerPoint)
{
    auto const problem = grid("lz_ws2022", 4, 64);
    run(problem, Route::direct);
    expect_below(emulator::report("direct_kernel"), static_cast<double>(problem->size()), {6.11e5, 1.32e5, 1.95e4, 0.85});
    expect_below(emulator::report("rates_kernel"), static_cast<double>(problem->size()), {11800, 4820, 120, 0.75});
}

} // namespace
} // namespace nuscan
