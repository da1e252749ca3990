#pragma once
// Runs CUDA programs where there is no device: a program linked with this library instead of the CUDA runtime executes its own PTX
// on the CPU, checked for bounds, alignment, races, barriers and deadlocks. Tests steer it and read its reports through this header;
// the program under test knows nothing of it. README.md says what a pass proves.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace emulator
{

// --- the machine that is pretended ------------------------------------------------------------------------------------------------

// What cudaGetDeviceCount finds: a driver, none at all or one too old (cudaErrorInsufficientDriver both; cudaDriverGetVersion tells
// them apart), or a driver without a device (cudaErrorNoDevice).
enum class Driver
{
    present,
    missing,
    too_old, // of CUDA 12.4
    no_device
};

struct Device
{
    std::string name = "emulated device (PTX on the CPU)";
    std::size_t memory_bytes = std::size_t{256} << 20; // beyond it cudaMalloc fails with cudaErrorMemoryAllocation
    int multiprocessors = 4;
    std::size_t shared_per_block = std::size_t{163} << 10; // at most, where more than 48 KiB are asked for (of an A100)
};

struct Machine
{
    Driver driver = Driver::present;
    std::vector<Device> devices{Device{}};
};

// Starts again with this machine, as a new process would: no memory, streams, events, errors, faults or reports are left, variables
// of modules have their first values.
void restart(Machine const& machine = {});

// --- how kernels run --------------------------------------------------------------------------------------------------------------

// The order of blocks in a grid and of warps in a block. Reversed also lets the highest lane win where lanes of a warp collide.
// Correct kernels give the same result in each; one that relies on an order does not.
enum class Order
{
    forward,
    reversed,
    shuffled
};

// When work given to a stream is done: as late as the program's waiting allows, so that a missing wait shows; the same, with
// everything that other streams may do done before the stream that is waited for; or at once.
enum class Streams
{
    deferred,
    others_first,
    eager
};

struct Execution
{
    Order order = Order::forward;
    std::uint64_t seed = 0;    // of Order::shuffled
    unsigned host_threads = 0; // 0: as many as there are cores
    Streams streams = Streams::deferred;
    bool check_races = true;
    // Steps of all warps of a block; beyond it the block counts as one that never ends.
    std::uint64_t instruction_limit = 10'000'000'000;
};

void configure(Execution const& execution);
Execution execution();

// --- what went wrong --------------------------------------------------------------------------------------------------------------

enum class FaultKind
{
    out_of_bounds,
    misaligned,
    race,
    barrier, // not reached by all threads, or by different ones
    deadlock,
    warp_operation, // shuffle or vote with a wrong member mask
    trap,           // __trap()
    assertion,      // a failed assert
    unsupported,    // PTX that the emulator does not know
};

struct Fault
{
    FaultKind kind = FaultKind::trap;
    std::string kernel; // demangled
    int line = 0;       // of the PTX
    std::string text;   // what, where, which block and thread
    int error = 0;      // the cudaError_t that the program saw
};

// Faults since the last restart, oldest first. Each also ends up on stderr.
std::vector<Fault> faults();
std::optional<Fault> last_fault();

// Makes the n-th call from now (1: the next) of a runtime function, such as "cudaMemcpyAsync", fail with this cudaError_t.
void fail_call(std::string function, int error, int n = 1);

// What is still held: leaks, at the end of a test.
struct Resources
{
    std::size_t device_bytes = 0; // of all devices
    std::size_t pinned_bytes = 0;
    std::size_t streams = 0;
    std::size_t events = 0;
};
Resources resources();

// --- what was done ----------------------------------------------------------------------------------------------------------------

struct InstructionCount
{
    std::uint64_t warps = 0; // issues
    std::uint64_t lanes = 0; // issues times lanes that took part
};

// All launches of one kernel since the last reset. Counts are of PTX instructions, not of machine code.
struct KernelReport
{
    std::string kernel; // demangled
    std::uint64_t launches = 0;
    std::uint64_t blocks = 0;
    std::uint64_t threads = 0;
    InstructionCount instructions;
    InstructionCount fp64; // arithmetic and comparisons on double
    std::map<std::string, InstructionCount> by_mnemonic;
    std::uint64_t divergent_steps = 0;           // times that lanes of a warp were at different instructions
    std::uint64_t global_sectors = 0;            // of 32 bytes, moved by loads and stores
    std::uint64_t ideal_global_sectors = 0;      // had every access been of neighbours
    std::uint64_t shared_bank_conflicts = 0;     // extra cycles
    std::uint64_t static_shared_bytes = 0;       // of a block
    std::uint64_t dynamic_shared_bytes = 0;      // of a block, the most of any launch
    std::uint64_t local_bytes = 0;               // of a thread
    std::uint64_t registers = 0;                 // 64-bit ones alive at once in PTX; ptxas may need more or fewer
    std::uint64_t distinct_instructions = 0;     // in the kernel
    std::uint64_t distinct_instructions_run = 0; // of them
    double simd_efficiency() const;              // lanes that took part, as a fraction
};

std::vector<KernelReport> reports();
// The report of the only kernel whose name contains this text.
KernelReport report(std::string_view name_part);
void reset_reports();
// A few lines about each kernel, the most frequent instructions first.
std::string to_text(KernelReport const& report, std::size_t mnemonics = 8);

} // namespace emulator
