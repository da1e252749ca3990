#pragma once
// Everything behind the runtime's functions: devices, modules, what is set, what has failed. One lock for all of it; kernels run
// inside, one launch at a time.

#include "emulator.hpp"
#include "runtime/modules.hpp"
#include "runtime/streams.hpp"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <new>
#include <set>
#include <vector>

namespace emulator
{

// What devices of compute capability 8.x have.
namespace limits
{
constexpr int threads_per_block = 1024;
constexpr int threads_per_multiprocessor = 2048;
constexpr int blocks_per_multiprocessor = 32;
constexpr int registers_per_multiprocessor = 65536;
constexpr std::size_t shared_per_block = std::size_t{48} << 10;
constexpr std::size_t shared_per_multiprocessor = std::size_t{164} << 10;
constexpr std::size_t shared_reserved_per_block = std::size_t{1} << 10;
} // namespace limits

struct DeviceState
{
    DeviceState(int index, Device device) : description(std::move(device)), memory(index), streams(index) {}
    Device description;
    AddressSpace memory;
    StreamSet streams;
    std::map<ModuleText*, std::unique_ptr<Image>> images;
    cudaError_t broken = cudaSuccess; // by a fault; sticks until the device is reset
};

struct FunctionState
{
    ModuleText* module = nullptr;
    std::string name;
    std::map<struct DeviceState const*, std::size_t> dynamic_shared_allowed; // by cudaFuncSetAttribute
};

struct VariableState
{
    ModuleText* module = nullptr;
    std::string name;
};

struct PlannedFailure
{
    std::string function;
    cudaError_t error;
    int calls_left;
};

struct State
{
    std::recursive_mutex mutex;
    // what the program registered; stays
    std::list<ModuleText> modules;
    std::map<void const*, FunctionState> functions; // by the host's stand-in
    std::map<void const*, VariableState> variables;
    // the machine
    Machine machine;
    Execution how;
    std::vector<std::unique_ptr<DeviceState>> devices;
    std::map<std::uint64_t, std::pair<std::size_t, bool>> pinned; // bytes; whether the memory is the emulator's
    std::list<Event> events;
    std::vector<Fault> faults;
    std::vector<PlannedFailure> planned;

    void start(Machine const& pretended);
    DeviceState& current();
    Image& image(ModuleText& module);
    FunctionState* function(void const* host);
    // The device whose memory (not pinned host memory) holds the address.
    DeviceState* owner(std::uint64_t address);
    int capability() const; // 80: that of the newest PTX
    // What the program reads with cudaGetLastError, of this host thread.
    static thread_local cudaError_t last_error;
    static thread_local int current_device;
};

State& state();

// Records a fault and returns the error that stands for it.
cudaError_t record_fault(Fault fault);
cudaError_t record_fault(ptx::PtxError const& problem);
// The error that is planned for this call of a function, or cudaSuccess.
cudaError_t planned_failure(char const* function);
cudaError_t driver_error();

enum class Check
{
    driver_only,
    device
};

// The frame of every function of the runtime: lock, planned failures, driver, device not broken; exceptions become errors, and
// errors are remembered.
template<class Body>
cudaError_t call(char const* function, Check check, Body&& body)
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    cudaError_t error = planned_failure(function);
    error = error != cudaSuccess ? error : driver_error();
    if (error == cudaSuccess && check == Check::device)
    {
        error = s.current().broken;
    }
    if (error == cudaSuccess)
    {
        try
        {
            error = body(s);
        }
        catch (ptx::PtxError const& problem)
        {
            error = record_fault(problem);
        }
        catch (std::bad_alloc const&)
        {
            error = cudaErrorMemoryAllocation;
        }
    }
    if (error != cudaSuccess && error != cudaErrorNotReady)
    {
        State::last_error = error;
    }
    return error;
}

} // namespace emulator
