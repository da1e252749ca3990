// CUDA runtime API: versions, devices, errors.

#include "runtime/state.hpp"

#include <algorithm>
#include <cstdio>

using namespace emulator;

namespace
{

struct ErrorText
{
    cudaError_t error;
    char const* name;
    char const* text;
};
constexpr ErrorText error_texts[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidSymbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorMissingConfiguration, "cudaErrorMissingConfiguration", "__global__ function call is not configured"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidPtx, "cudaErrorInvalidPtx", "a PTX JIT compilation failed"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorAssert, "cudaErrorAssert", "device-side assert triggered"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

ErrorText text_of(cudaError_t error)
{
    auto const* const found = std::find_if(std::begin(error_texts), std::end(error_texts),
                                           [&](ErrorText const& t) { return t.error == error; });
    return found == std::end(error_texts) ? ErrorText{error, "unrecognized error code", "unrecognized error code"} : *found;
}

// What sticks to the device comes back again and again, anything else is forgotten when it is asked for.
cudaError_t known_error()
{
    State& s = state();
    std::lock_guard const lock(s.mutex);
    bool const usable = driver_error() == cudaSuccess;
    return usable && s.current().broken != cudaSuccess ? s.current().broken : State::last_error;
}

cudaError_t attribute(State& s, DeviceState const& device, cudaDeviceAttr which, int& value)
{
    switch (which)
    {
    case cudaDevAttrMultiProcessorCount:
        value = device.description.multiprocessors;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        value = s.capability() / 10;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        value = s.capability() % 10;
        break;
    case cudaDevAttrWarpSize:
        value = static_cast<int>(warp_size);
        break;
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
        value = limits::threads_per_block;
        break;
    case cudaDevAttrMaxBlockDimZ:
        value = 64;
        break;
    case cudaDevAttrMaxGridDimX:
        value = 2147483647;
        break;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
        value = 65535;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        value = limits::threads_per_multiprocessor;
        break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
        value = limits::blocks_per_multiprocessor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        value = static_cast<int>(limits::shared_per_block);
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        value = static_cast<int>(device.description.shared_per_block);
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        value = static_cast<int>(limits::shared_per_multiprocessor);
        break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
        value = static_cast<int>(limits::shared_reserved_per_block);
        break;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
        value = limits::registers_per_multiprocessor;
        break;
    case cudaDevAttrTotalConstantMemory:
        value = 65536;
        break;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrAsyncEngineCount:
        value = 1;
        break;
    default:
        value = 0;
        break;
    }
    return cudaSuccess;
}

void copy_text(char* to, std::size_t size, std::string const& text)
{
    std::snprintf(to, size, "%s", text.c_str());
}

} // namespace

extern "C"
{
    cudaError_t cudaDriverGetVersion(int* version)
    {
        State& s = state();
        std::lock_guard const lock(s.mutex);
        constexpr int old_version = 12040;
        *version = s.machine.driver == Driver::missing ? 0 : s.machine.driver == Driver::too_old ? old_version : CUDART_VERSION;
        return cudaSuccess;
    }

    cudaError_t cudaRuntimeGetVersion(int* version)
    {
        *version = CUDART_VERSION;
        return cudaSuccess;
    }

    cudaError_t cudaGetDeviceCount(int* count)
    {
        *count = 0;
        return call(__func__, Check::driver_only, [&](State& s) {
            *count = static_cast<int>(s.devices.size());
            return cudaSuccess;
        });
    }

    cudaError_t cudaGetDevice(int* device)
    {
        return call(__func__, Check::driver_only, [&](State&) {
            *device = State::current_device;
            return cudaSuccess;
        });
    }

    cudaError_t cudaSetDevice(int device)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            if (device < 0 || device >= static_cast<int>(s.devices.size()))
            {
                return cudaErrorInvalidDevice;
            }
            State::current_device = device;
            return s.current().broken;
        });
    }

    cudaError_t cudaSetDeviceFlags(unsigned)
    {
        return call(__func__, Check::driver_only, [](State&) { return cudaSuccess; });
    }

    cudaError_t cudaInitDevice(int device, unsigned, unsigned)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            return device >= 0 && device < static_cast<int>(s.devices.size()) ? cudaSuccess : cudaErrorInvalidDevice;
        });
    }

    cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            if (device < 0 || device >= static_cast<int>(s.devices.size()))
            {
                return cudaErrorInvalidDevice;
            }
            return attribute(s, *s.devices[static_cast<std::size_t>(device)], which, *value);
        });
    }

    cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            if (device < 0 || device >= static_cast<int>(s.devices.size()))
            {
                return cudaErrorInvalidDevice;
            }
            DeviceState const& d = *s.devices[static_cast<std::size_t>(device)];
            cudaDeviceProp p{};
            copy_text(p.name, sizeof p.name, d.description.name);
            p.totalGlobalMem = d.description.memory_bytes;
            p.sharedMemPerBlock = limits::shared_per_block;
            p.sharedMemPerBlockOptin = d.description.shared_per_block;
            p.sharedMemPerMultiprocessor = limits::shared_per_multiprocessor;
            p.reservedSharedMemPerBlock = limits::shared_reserved_per_block;
            p.regsPerBlock = limits::registers_per_multiprocessor;
            p.regsPerMultiprocessor = limits::registers_per_multiprocessor;
            p.warpSize = static_cast<int>(warp_size);
            p.maxThreadsPerBlock = limits::threads_per_block;
            p.maxThreadsPerMultiProcessor = limits::threads_per_multiprocessor;
            p.maxBlocksPerMultiProcessor = limits::blocks_per_multiprocessor;
            p.maxThreadsDim[0] = p.maxThreadsDim[1] = limits::threads_per_block;
            p.maxThreadsDim[2] = 64;
            p.maxGridSize[0] = 2147483647;
            p.maxGridSize[1] = p.maxGridSize[2] = 65535;
            p.totalConstMem = 65536;
            p.major = s.capability() / 10;
            p.minor = s.capability() % 10;
            p.multiProcessorCount = d.description.multiprocessors;
            p.unifiedAddressing = 1;
            p.concurrentKernels = 1;
            p.canMapHostMemory = 1;
            p.asyncEngineCount = 1;
            p.memoryPoolsSupported = 1;
            p.pciBusID = device + 1;
            *properties = p;
            return cudaSuccess;
        });
    }

    cudaError_t cudaDeviceCanAccessPeer(int* possible, int, int)
    {
        *possible = 0;
        return cudaSuccess;
    }

    cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest)
    {
        return call(__func__, Check::driver_only, [&](State&) {
            *least = *greatest = 0;
            return cudaSuccess;
        });
    }

    cudaError_t cudaDeviceSetLimit(cudaLimit, std::size_t)
    {
        return call(__func__, Check::device, [](State&) { return cudaSuccess; });
    }

    cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            if (device < 0 || device >= static_cast<int>(s.devices.size()))
            {
                return cudaErrorInvalidDevice;
            }
            std::snprintf(text, static_cast<std::size_t>(size), "0000:%02x:00.0", static_cast<unsigned>(device) + 1);
            return cudaSuccess;
        });
    }

    cudaError_t cudaDeviceReset()
    {
        return call(__func__, Check::driver_only, [](State& s) {
            auto const device = static_cast<std::size_t>(State::current_device);
            std::erase_if(s.events, [&](Event const& event) { return event.device == State::current_device; });
            s.devices[device] = std::make_unique<DeviceState>(State::current_device, s.machine.devices[device]);
            for (auto const& [address, memory] : s.pinned)
            {
                s.devices[device]->memory.add_host(reinterpret_cast<void*>(address), memory.first);
            }
            State::last_error = cudaSuccess;
            return cudaSuccess;
        });
    }

    cudaError_t cudaGetLastError()
    {
        cudaError_t const error = known_error();
        State::last_error = cudaSuccess;
        return error;
    }

    cudaError_t cudaPeekAtLastError()
    {
        return known_error();
    }

    char const* cudaGetErrorName(cudaError_t error)
    {
        return text_of(error).name;
    }

    char const* cudaGetErrorString(cudaError_t error)
    {
        return text_of(error).text;
    }

} // extern "C"
