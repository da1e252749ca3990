#include "report/report.hpp"

#include "decode/mnemonic.hpp"
#include "execute/launch.hpp"

#include <algorithm>
#include <iomanip>
#include <mutex>
#include <sstream>
#include <stdexcept>

namespace emulator
{

namespace
{

struct Gathered
{
    KernelReport report;
    std::vector<char> run; // by instruction
};

std::mutex mutex;

std::map<std::string, Gathered>& gathered() // by mangled name
{
    static auto& all = *new std::map<std::string, Gathered>; // outlives static objects of the program
    return all;
}

bool is_fp64_arithmetic(std::string_view text)
{
    static constexpr std::array<std::string_view, 12> opcodes{"add", "sub", "mul",  "fma", "mad",   "div",
                                                              "min", "max", "sqrt", "rcp", "rsqrt", "setp"};
    Mnemonic const mnemonic(text);
    return mnemonic.type() == ptx::Type::f64 && std::find(opcodes.begin(), opcodes.end(), mnemonic.opcode()) != opcodes.end();
}

void add(InstructionCount& total, std::uint64_t warps, std::uint64_t lanes)
{
    total.warps += warps;
    total.lanes += lanes;
}

} // namespace

void record_launch(Launch const& launch, Counters const& counters)
{
    Kernel const& kernel = launch.kernel;
    std::lock_guard const lock(mutex);
    Gathered& entry = gathered()[kernel.name];
    KernelReport& report = entry.report;
    entry.run.resize(kernel.code.size());
    report.kernel = demangled(kernel.name);
    report.launches += 1;
    report.blocks += launch.grid.count();
    report.threads += launch.grid.count() * launch.block.count();
    report.divergent_steps += counters.divergent_steps;
    report.static_shared_bytes = kernel.static_shared_bytes;
    report.dynamic_shared_bytes = std::max(report.dynamic_shared_bytes, launch.dynamic_shared_bytes);
    report.local_bytes = kernel.local_bytes;
    report.registers = kernel.registers_alive;
    report.distinct_instructions = kernel.code.size();
    std::vector<char> fp64(kernel.mnemonics.size());
    std::transform(kernel.mnemonics.begin(), kernel.mnemonics.end(), fp64.begin(),
                   [](std::string const& m) { return is_fp64_arithmetic(m) ? 1 : 0; });
    std::vector<InstructionCount> by_mnemonic(kernel.mnemonics.size());
    std::int64_t warps = 0;
    std::int64_t lanes = 0;
    for (std::size_t k = 0; k < kernel.code.size(); ++k)
    {
        warps += counters.begin_warps[k];
        lanes += counters.begin_lanes[k];
        auto const issued = static_cast<std::uint64_t>(warps);
        auto const active = static_cast<std::uint64_t>(lanes - counters.guarded_off[k]);
        Origin const& origin = kernel.origin[k];
        add(by_mnemonic[origin.mnemonic], issued, active);
        for (std::uint32_t const folded : origin.folded)
        {
            add(by_mnemonic[folded], issued, static_cast<std::uint64_t>(lanes));
        }
        entry.run[k] = entry.run[k] != 0 || issued > 0 ? 1 : 0;
        report.global_sectors += counters.sectors[k];
        report.ideal_global_sectors += counters.ideal_sectors[k];
        report.shared_bank_conflicts += counters.bank_conflicts[k];
    }
    for (std::size_t m = 0; m < by_mnemonic.size(); ++m)
    {
        InstructionCount const& count = by_mnemonic[m];
        if (count.warps == 0)
        {
            continue;
        }
        add(report.by_mnemonic[kernel.mnemonics[m]], count.warps, count.lanes);
        add(report.instructions, count.warps, count.lanes);
        if (fp64[m] != 0)
        {
            add(report.fp64, count.warps, count.lanes);
        }
    }
    report.distinct_instructions_run = static_cast<std::uint64_t>(std::count(entry.run.begin(), entry.run.end(), 1));
}

double KernelReport::simd_efficiency() const
{
    return instructions.warps == 0
               ? 0.0
               : static_cast<double>(instructions.lanes) / (double{warp_size} * static_cast<double>(instructions.warps));
}

std::vector<KernelReport> reports()
{
    std::lock_guard const lock(mutex);
    std::vector<KernelReport> all;
    for (auto const& [name, entry] : gathered())
    {
        all.push_back(entry.report);
    }
    return all;
}

KernelReport report(std::string_view name_part)
{
    std::vector<KernelReport> found = reports();
    std::erase_if(found, [&](KernelReport const& r) { return r.kernel.find(name_part) == std::string::npos; });
    if (found.size() != 1)
    {
        throw std::runtime_error(std::to_string(found.size()) + " kernels that ran have '" + std::string(name_part)
                                 + "' in their names");
    }
    return found.front();
}

void reset_reports()
{
    std::lock_guard const lock(mutex);
    gathered().clear();
}

std::string to_text(KernelReport const& report, std::size_t mnemonics)
{
    std::ostringstream text;
    text << std::fixed << std::setprecision(1);
    text << report.kernel << ": " << report.launches << " launches, " << report.blocks << " blocks, " << report.threads
         << " threads\n"
         << "  " << report.instructions.warps << " warp instructions, " << report.fp64.warps
         << " of them fp64 arithmetic, SIMD efficiency " << 100 * report.simd_efficiency() << " %, lanes apart "
         << report.divergent_steps << " times\n"
         << "  global sectors " << report.global_sectors << " (ideal " << report.ideal_global_sectors << "), bank conflicts "
         << report.shared_bank_conflicts << ", shared bytes " << report.static_shared_bytes << " + " << report.dynamic_shared_bytes
         << ", local bytes " << report.local_bytes << ", registers alive " << report.registers << ", instructions run "
         << report.distinct_instructions_run << " of " << report.distinct_instructions << "\n";
    std::vector<std::pair<std::string, InstructionCount>> order(report.by_mnemonic.begin(), report.by_mnemonic.end());
    std::stable_sort(order.begin(), order.end(), [](auto const& a, auto const& b) { return a.second.warps > b.second.warps; });
    order.resize(std::min(order.size(), mnemonics));
    for (auto const& [mnemonic, count] : order)
    {
        text << "  " << std::left << std::setw(24) << mnemonic << std::right << std::setw(14) << count.warps << " warps"
             << std::setw(16) << count.lanes << " lanes\n";
    }
    return text.str();
}

} // namespace emulator
