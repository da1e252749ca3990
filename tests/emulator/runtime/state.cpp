#include "runtime/state.hpp"

#include "execute/launch.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>

namespace emulator
{

namespace
{

// What a test cannot set from inside, for programs run as a whole. Values that are not understood end the program: a test that
// pretends another machine than it thinks would prove nothing.
class Environment
{
public:
    static std::optional<std::string> text(char const* name)
    {
        char const* const value = std::getenv((std::string("NUSCAN_EMULATOR_") + name).c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    }
    static std::optional<std::uint64_t> number(char const* name)
    {
        auto const value = text(name);
        if (!value)
        {
            return std::nullopt;
        }
        if (value->empty() || value->find_first_not_of("0123456789") != std::string::npos)
        {
            reject(name, *value, "a number");
        }
        return std::stoull(*value);
    }
    [[noreturn]] static void reject(char const* name, std::string const& value, char const* wanted)
    {
        std::fprintf(stderr, "emulator: NUSCAN_EMULATOR_%s='%s' is not %s\n", name, value.c_str(), wanted);
        std::exit(2);
    }
};

Machine machine_from_environment()
{
    Machine machine;
    Device device;
    device.memory_bytes = Environment::number("MEMORY").value_or(device.memory_bytes);
    device.multiprocessors = static_cast<int>(
        Environment::number("MULTIPROCESSORS").value_or(static_cast<unsigned>(device.multiprocessors)));
    machine.devices.assign(Environment::number("DEVICES").value_or(1), device);
    std::string const driver = Environment::text("DRIVER").value_or("present");
    static std::map<std::string, Driver> const drivers{
        {"present", Driver::present}, {"missing", Driver::missing}, {"too_old", Driver::too_old}, {"no_device", Driver::no_device}};
    if (!drivers.contains(driver))
    {
        Environment::reject("DRIVER", driver, "present, missing, too_old or no_device");
    }
    machine.driver = drivers.at(driver);
    return machine;
}

Execution execution_from_environment()
{
    Execution how;
    how.host_threads = static_cast<unsigned>(Environment::number("THREADS").value_or(0));
    how.seed = Environment::number("SEED").value_or(0);
    std::string const order = Environment::text("ORDER").value_or("forward");
    if (order != "forward" && order != "reversed" && order != "shuffled")
    {
        Environment::reject("ORDER", order, "forward, reversed or shuffled");
    }
    std::string const streams = Environment::text("STREAMS").value_or("deferred");
    static std::map<std::string, Streams> const kinds{
        {"deferred", Streams::deferred}, {"others_first", Streams::others_first}, {"eager", Streams::eager}};
    if (!kinds.contains(streams))
    {
        Environment::reject("STREAMS", streams, "deferred, others_first or eager");
    }
    how.streams = kinds.at(streams);
    how.order = order == "forward" ? Order::forward : order == "reversed" ? Order::reversed : Order::shuffled;
    return how;
}

void print_reports()
{
    for (KernelReport const& report : reports())
    {
        std::fputs(to_text(report).c_str(), stderr);
    }
}

cudaError_t error_of(FaultKind kind)
{
    switch (kind)
    {
    case FaultKind::out_of_bounds:
        return cudaErrorIllegalAddress;
    case FaultKind::misaligned:
        return cudaErrorMisalignedAddress;
    case FaultKind::deadlock:
        return cudaErrorLaunchTimeout;
    case FaultKind::assertion:
        return cudaErrorAssert;
    case FaultKind::unsupported:
        return cudaErrorInvalidPtx;
    default:
        return cudaErrorLaunchFailure;
    }
}

} // namespace

thread_local cudaError_t State::last_error = cudaSuccess;
thread_local int State::current_device = 0;

State& state()
{
    static State& s = [&]() -> State& {
        auto* const fresh = new State; // outlives static objects of the program
        fresh->how = execution_from_environment();
        fresh->start(machine_from_environment());
        if (Environment::text("REPORT"))
        {
            std::atexit(print_reports);
        }
        return *fresh;
    }();
    return s;
}

void State::start(Machine const& pretended)
{
    for (auto const& device : devices)
    {
        device->streams.forget_all();
    }
    for (auto const& [address, memory] : pinned)
    {
        if (memory.second)
        {
            std::free(reinterpret_cast<void*>(address));
        }
    }
    pinned.clear();
    events.clear();
    faults.clear();
    planned.clear();
    devices.clear();
    machine = pretended;
    for (std::size_t k = 0; k < machine.devices.size(); ++k)
    {
        devices.push_back(std::make_unique<DeviceState>(static_cast<int>(k), machine.devices[k]));
    }
    for (auto& [host, function] : functions)
    {
        function.dynamic_shared_allowed.clear();
    }
    last_error = cudaSuccess;
    current_device = 0;
}

DeviceState& State::current()
{
    // Other host threads may still have a device of an earlier machine.
    auto const device = static_cast<std::size_t>(current_device);
    return *devices[device < devices.size() ? device : 0];
}

Image& State::image(ModuleText& module)
{
    DeviceState& device = current();
    std::unique_ptr<Image>& known = device.images[&module];
    if (!known)
    {
        known = std::make_unique<Image>(module.parsed(), device.memory);
    }
    return *known;
}

FunctionState* State::function(void const* host)
{
    auto const found = functions.find(host);
    return found == functions.end() ? nullptr : &found->second;
}

DeviceState* State::owner(std::uint64_t address)
{
    for (auto const& device : devices)
    {
        Allocation const* const found = device->memory.find(address);
        if (found != nullptr && found->kind != MemoryKind::host)
        {
            return device.get();
        }
    }
    return nullptr;
}

int State::capability() const
{
    int newest = 0;
    for (ModuleText const& module : modules)
    {
        newest = std::max(newest, module.target());
    }
    return newest == 0 ? 80 : newest;
}

cudaError_t record_fault(Fault fault)
{
    cudaError_t const error = error_of(fault.kind);
    fault.error = static_cast<int>(error);
    std::fprintf(stderr, "emulator: %s\n", fault.text.c_str());
    state().faults.push_back(std::move(fault));
    return error;
}

cudaError_t record_fault(ptx::PtxError const& problem)
{
    std::string const kernel = demangled(problem.kernel);
    return record_fault(
        {FaultKind::unsupported, kernel, problem.line, problem.what() + (kernel.empty() ? "" : "; in " + kernel), 0});
}

cudaError_t planned_failure(char const* function)
{
    std::vector<PlannedFailure>& planned = state().planned;
    for (auto failure = planned.begin(); failure != planned.end(); ++failure)
    {
        if (failure->function == function && --failure->calls_left == 0)
        {
            cudaError_t const error = failure->error;
            planned.erase(failure);
            return error;
        }
    }
    return cudaSuccess;
}

cudaError_t driver_error()
{
    State const& s = state();
    switch (s.machine.driver)
    {
    case Driver::missing:
    case Driver::too_old:
        return cudaErrorInsufficientDriver;
    case Driver::no_device:
        return cudaErrorNoDevice;
    default:
        return s.devices.empty() ? cudaErrorNoDevice : cudaSuccess;
    }
}

// --- emulator.hpp -----------------------------------------------------------------------------------------------------------------

void restart(Machine const& machine)
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    s.start(machine);
    reset_reports();
}

void configure(Execution const& execution)
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    s.how = execution;
}

Execution execution()
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    return s.how;
}

std::vector<Fault> faults()
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    return s.faults;
}

std::optional<Fault> last_fault()
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    return s.faults.empty() ? std::nullopt : std::optional(s.faults.back());
}

void fail_call(std::string function, int error, int n)
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    s.planned.push_back({std::move(function), static_cast<cudaError_t>(error), n});
}

Resources resources()
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    Resources held;
    for (auto const& device : s.devices)
    {
        held.device_bytes += device->memory.bytes_in_use();
        held.streams += device->streams.count();
    }
    for (auto const& [address, memory] : s.pinned)
    {
        held.pinned_bytes += memory.first;
    }
    held.events = s.events.size();
    return held;
}

} // namespace emulator
