// CUDA runtime API: launches and what is known about kernels.

#include "execute/launch.hpp"
#include "report/report.hpp"
#include "runtime/api.hpp"

#include <algorithm>
#include <cstring>

using namespace emulator;

namespace
{

struct Configuration
{
    dim3 grid;
    dim3 block;
    std::size_t dynamic_shared = 0;
    cudaStream_t stream = nullptr;
};

// Between <<<...>>> and the stub that nvcc wrote for the kernel.
thread_local std::vector<Configuration> pushed;

bool is_valid(Configuration const& c, Kernel const& kernel)
{
    constexpr unsigned greatest_grid = 65535;
    constexpr unsigned greatest_block_z = 64;
    std::uint64_t const threads = std::uint64_t{c.block.x} * c.block.y * c.block.z;
    return c.grid.x > 0 && c.grid.y > 0 && c.grid.z > 0 && c.grid.x <= 2147483647U && c.grid.y <= greatest_grid
           && c.grid.z <= greatest_grid && threads > 0 && threads <= static_cast<unsigned>(limits::threads_per_block)
           && c.block.z <= greatest_block_z && (kernel.max_threads == 0 || threads <= kernel.max_threads);
}

// Shared memory beyond 48 KiB has to be asked for.
std::size_t asked_for(State& s, FunctionState const& function)
{
    auto const found = function.dynamic_shared_allowed.find(&s.current());
    return found == function.dynamic_shared_allowed.end() ? 0 : found->second;
}

bool shared_memory_allowed(State& s, Kernel const& kernel, FunctionState const& function, std::size_t dynamic)
{
    std::size_t const allowed = std::max(limits::shared_per_block
                                             - std::min<std::size_t>(limits::shared_per_block, kernel.static_shared_bytes),
                                         asked_for(s, function));
    return kernel.static_shared_bytes <= limits::shared_per_block && dynamic <= allowed
           && kernel.static_shared_bytes + dynamic <= s.current().description.shared_per_block;
}

cudaError_t run(DeviceState& device, Launch& launch)
{
    launch.allocations = device.memory.allocations();
    launch.memory = &device.memory;
    try
    {
        record_launch(launch, run_launch(launch));
        return cudaSuccess;
    }
    catch (KernelFault const& fault)
    {
        return record_fault(fault.fault);
    }
}

cudaError_t launch(void const* host, Configuration const& c, void** arguments)
{
    return call("cudaLaunchKernel", Check::device, [&](State& s) {
        FunctionState const* const function = s.function(host);
        if (function == nullptr)
        {
            return cudaErrorInvalidDeviceFunction;
        }
        Kernel const& kernel = s.image(*function->module).kernel(function->name);
        Stream* const stream = stream_of(s, c.stream);
        if (stream == nullptr)
        {
            return cudaErrorInvalidResourceHandle;
        }
        if (!is_valid(c, kernel))
        {
            return cudaErrorInvalidConfiguration;
        }
        if (!shared_memory_allowed(s, kernel, *function, c.dynamic_shared))
        {
            return cudaErrorInvalidValue;
        }
        Launch what{kernel, {c.grid.x, c.grid.y, c.grid.z}, {c.block.x, c.block.y, c.block.z}, c.dynamic_shared, {}, nullptr, {},
                    {}};
        what.parameters.resize(kernel.parameter_bytes);
        for (std::size_t k = 0; k < kernel.parameters.size(); ++k)
        {
            std::memcpy(what.parameters.data() + kernel.parameters[k].offset, arguments[k], kernel.parameters[k].bytes);
        }
        return enqueue(s, *stream, [&s, &device = s.current(), what = std::move(what)]() mutable {
            what.how = s.how;
            return run(device, what);
        });
    });
}

int active_blocks(Kernel const& kernel, int threads, std::size_t dynamic_shared)
{
    int const warps = (threads + static_cast<int>(warp_size) - 1) / static_cast<int>(warp_size);
    int const by_threads = limits::threads_per_multiprocessor / (warps * static_cast<int>(warp_size));
    std::size_t const shared = kernel.static_shared_bytes + dynamic_shared + limits::shared_reserved_per_block;
    auto const by_shared = static_cast<int>(limits::shared_per_multiprocessor / shared);
    return std::min({by_threads, by_shared, limits::blocks_per_multiprocessor});
}

} // namespace

extern "C"
{
    // The names of these are nvcc's.
    unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t dynamic_shared, CUstream_st* stream);
    cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* dynamic_shared, void* stream);
    cudaError_t __cudaGetKernel(cudaKernel_t* kernel, void const* host);
    cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t dynamic_shared,
                                   cudaStream_t stream);

    unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t dynamic_shared, CUstream_st* stream)
    {
        pushed.push_back({grid, block, dynamic_shared, stream});
        return 0;
    }

    cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* dynamic_shared, void* stream)
    {
        if (pushed.empty())
        {
            return cudaErrorMissingConfiguration;
        }
        Configuration const c = pushed.back();
        pushed.pop_back();
        *grid = c.grid;
        *block = c.block;
        *dynamic_shared = c.dynamic_shared;
        *static_cast<cudaStream_t*>(stream) = c.stream;
        return cudaSuccess;
    }

    cudaError_t __cudaGetKernel(cudaKernel_t* kernel, void const* host)
    {
        *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
        return cudaSuccess;
    }

    cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t dynamic_shared,
                                   cudaStream_t stream)
    {
        return launch(reinterpret_cast<void const*>(kernel), {grid, block, dynamic_shared, stream}, arguments);
    }

    cudaError_t cudaLaunchKernel(void const* function, dim3 grid, dim3 block, void** arguments, std::size_t dynamic_shared,
                                 cudaStream_t stream)
    {
        return launch(function, {grid, block, dynamic_shared, stream}, arguments);
    }

    cudaError_t cudaLaunchKernelExC(cudaLaunchConfig_t const* c, void const* function, void** arguments)
    {
        return launch(function, {c->gridDim, c->blockDim, c->dynamicSmemBytes, c->stream}, arguments);
    }

    cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void const* host)
    {
        return call(__func__, Check::device, [&](State& s) {
            FunctionState const* const function = s.function(host);
            if (function == nullptr)
            {
                return cudaErrorInvalidDeviceFunction;
            }
            Kernel const& kernel = s.image(*function->module).kernel(function->name);
            cudaFuncAttributes a{};
            a.sharedSizeBytes = kernel.static_shared_bytes;
            a.localSizeBytes = kernel.local_bytes;
            a.maxThreadsPerBlock = kernel.max_threads == 0 ? limits::threads_per_block : static_cast<int>(kernel.max_threads);
            // Only ptxas knows; two 32-bit registers for each 64-bit one is more than it takes.
            constexpr std::uint32_t most = 255;
            a.numRegs = static_cast<int>(std::min(most, 2 * kernel.registers_alive));
            a.ptxVersion = a.binaryVersion = s.capability();
            a.maxDynamicSharedSizeBytes = static_cast<int>(
                std::max(asked_for(s, *function), limits::shared_per_block - kernel.static_shared_bytes));
            *attributes = a;
            return cudaSuccess;
        });
    }

    cudaError_t cudaFuncSetAttribute(void const* host, cudaFuncAttribute which, int value)
    {
        return call(__func__, Check::device, [&](State& s) {
            FunctionState* const function = s.function(host);
            if (function == nullptr)
            {
                return cudaErrorInvalidDeviceFunction;
            }
            if (which == cudaFuncAttributeMaxDynamicSharedMemorySize)
            {
                Kernel const& kernel = s.image(*function->module).kernel(function->name);
                if (value < 0
                    || static_cast<std::size_t>(value) + kernel.static_shared_bytes > s.current().description.shared_per_block)
                {
                    return cudaErrorInvalidValue;
                }
                function->dynamic_shared_allowed[&s.current()] = static_cast<std::size_t>(value);
            }
            return cudaSuccess;
        });
    }

    cudaError_t cudaFuncSetCacheConfig(void const*, cudaFuncCache)
    {
        return call(__func__, Check::device, [](State&) { return cudaSuccess; });
    }

    cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, void const* host, int threads,
                                                                       std::size_t dynamic_shared, unsigned)
    {
        return call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", Check::device, [&](State& s) {
            FunctionState const* const function = s.function(host);
            if (function == nullptr)
            {
                return cudaErrorInvalidDeviceFunction;
            }
            if (threads <= 0)
            {
                return cudaErrorInvalidValue;
            }
            Kernel const& kernel = s.image(*function->module).kernel(function->name);
            bool const possible = threads <= limits::threads_per_block
                                  && shared_memory_allowed(s, kernel, *function, dynamic_shared)
                                  && (kernel.max_threads == 0 || static_cast<std::uint32_t>(threads) <= kernel.max_threads);
            *blocks = possible ? active_blocks(kernel, threads, dynamic_shared) : 0;
            return cudaSuccess;
        });
    }

    cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void const* host, int threads,
                                                              std::size_t dynamic_shared)
    {
        return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, host, threads, dynamic_shared, 0);
    }

} // extern "C"
