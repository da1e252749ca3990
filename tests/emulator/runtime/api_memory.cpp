// CUDA runtime API: memory and copies.

#include "runtime/api.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace emulator;

namespace
{

std::uint64_t number_of(void const* pointer)
{
    return reinterpret_cast<std::uint64_t>(pointer);
}

// The pinned memory that holds all of [pointer, pointer + bytes).
bool is_pinned(State const& s, void const* pointer, std::size_t bytes)
{
    auto const after = s.pinned.upper_bound(number_of(pointer));
    if (after == s.pinned.begin())
    {
        return false;
    }
    auto const& [begin, memory] = *std::prev(after);
    return number_of(pointer) + bytes <= begin + memory.first;
}

// One end of a copy.
struct End
{
    std::byte* bytes = nullptr; // nullptr: not there, or not all of it
    bool on_device = false;
    bool pinned = false;
};

End end_of(State& s, void const* pointer, std::size_t size)
{
    if (DeviceState* const owner = s.owner(number_of(pointer)))
    {
        return {owner->memory.translate(number_of(pointer), size), true, false};
    }
    // Freed or made-up device addresses are no host memory.
    bool const looks_like_device = number_of(pointer) >> window::shift != 0;
    auto* const host = static_cast<std::byte*>(const_cast<void*>(pointer));
    return {looks_like_device ? nullptr : host, false, is_pinned(s, pointer, size)};
}

bool fits(cudaMemcpyKind kind, End const& to, End const& from)
{
    switch (kind)
    {
    case cudaMemcpyHostToHost:
        return !to.on_device && !from.on_device;
    case cudaMemcpyHostToDevice:
        return (to.on_device || to.pinned) && !from.on_device;
    case cudaMemcpyDeviceToHost:
        return !to.on_device && (from.on_device || from.pinned);
    case cudaMemcpyDeviceToDevice:
        return (to.on_device || to.pinned) && (from.on_device || from.pinned);
    default:
        return kind == cudaMemcpyDefault;
    }
}

// Copies in stream order. Pageable host memory is read at once, and written before the call returns; pinned memory whenever the
// stream gets there. As with the real runtime, a copy from pageable memory to the device may return before it has arrived there.
cudaError_t copy(State& s, void* to_pointer, void const* from_pointer, std::size_t size, cudaMemcpyKind kind, Stream* stream,
                 bool wait)
{
    if (stream == nullptr)
    {
        return cudaErrorInvalidResourceHandle;
    }
    if (size == 0)
    {
        return cudaSuccess;
    }
    End const to = end_of(s, to_pointer, size);
    End const from = end_of(s, from_pointer, size);
    if (to.bytes == nullptr || from.bytes == nullptr)
    {
        return cudaErrorInvalidValue;
    }
    if (!fits(kind, to, from))
    {
        return cudaErrorInvalidValue;
    }
    bool const staged = !from.on_device && !from.pinned && (!wait || to.on_device);
    if (staged)
    {
        if (wait)
        {
            finish(*stream);
        }
        enqueue(s, *stream, [to = to.bytes, data = std::vector<std::byte>(from.bytes, from.bytes + size)] {
            std::copy(data.begin(), data.end(), to);
            return cudaSuccess;
        });
    }
    else
    {
        enqueue(s, *stream, [to = to.bytes, from = from.bytes, size] {
            std::memmove(to, from, size);
            return cudaSuccess;
        });
    }
    if ((wait && !staged) || (!to.on_device && !to.pinned))
    {
        finish(*stream);
    }
    return s.current().broken;
}

cudaError_t fill(State& s, void* pointer, int value, std::size_t size, Stream* stream)
{
    if (stream == nullptr)
    {
        return cudaErrorInvalidResourceHandle;
    }
    End const to = end_of(s, pointer, size);
    if (size > 0 && (to.bytes == nullptr || !(to.on_device || to.pinned)))
    {
        return cudaErrorInvalidValue;
    }
    return size == 0 ? cudaSuccess : enqueue(s, *stream, [to = to.bytes, value, size] {
        std::memset(to, value, size);
        return cudaSuccess;
    });
}

cudaError_t allocate(State& s, void** pointer, std::size_t size)
{
    *pointer = nullptr;
    if (size == 0)
    {
        return cudaSuccess;
    }
    DeviceState& device = s.current();
    if (size > device.description.memory_bytes || device.memory.bytes_in_use() > device.description.memory_bytes - size)
    {
        return cudaErrorMemoryAllocation;
    }
    *pointer = reinterpret_cast<void*>(device.memory.allocate(size, MemoryKind::device).begin);
    return cudaSuccess;
}

// Waits for the device that the memory belongs to.
cudaError_t release(State& s, void* pointer)
{
    if (pointer == nullptr)
    {
        return cudaSuccess;
    }
    DeviceState* const owner = s.owner(number_of(pointer));
    Allocation const* const found = owner == nullptr ? nullptr : owner->memory.find(number_of(pointer));
    if (found == nullptr || found->begin != number_of(pointer) || found->kind != MemoryKind::device)
    {
        return cudaErrorInvalidValue;
    }
    owner->streams.finish_all();
    owner->memory.release(number_of(pointer));
    return owner->broken;
}

void add_pinned(State& s, void* pointer, std::size_t size, bool owned)
{
    s.pinned[number_of(pointer)] = {size, owned};
    for (auto const& device : s.devices)
    {
        device->memory.add_host(pointer, size);
    }
}

cudaError_t remove_pinned(State& s, void* pointer, bool owned)
{
    auto const found = s.pinned.find(number_of(pointer));
    if (found == s.pinned.end() || found->second.second != owned)
    {
        return owned ? cudaErrorInvalidValue : cudaErrorHostMemoryNotRegistered;
    }
    for (auto const& device : s.devices)
    {
        device->streams.finish_all();
        device->memory.release(number_of(pointer));
    }
    if (owned)
    {
        std::free(pointer);
    }
    s.pinned.erase(found);
    return cudaSuccess;
}

cudaError_t allocate_pinned(char const* function, void** pointer, std::size_t size)
{
    return call(function, Check::device, [&](State& s) {
        constexpr std::size_t page = 4096;
        *pointer = nullptr;
        if (size == 0)
        {
            return cudaSuccess;
        }
        void* const memory = std::aligned_alloc(page, (size + page - 1) / page * page);
        if (memory == nullptr)
        {
            return cudaErrorMemoryAllocation;
        }
        std::memset(memory, 0xCB, size);
        add_pinned(s, memory, size, true);
        *pointer = memory;
        return cudaSuccess;
    });
}

// The device address of a variable, at an offset from which `size` bytes are there.
cudaError_t address_of(State& s, void const* symbol, std::size_t offset, std::size_t size, void** address)
{
    auto const found = s.variables.find(symbol);
    if (found == s.variables.end())
    {
        return cudaErrorInvalidSymbol;
    }
    Image const& image = s.image(*found->second.module);
    auto const begin = image.address_of(found->second.name);
    if (!begin)
    {
        return cudaErrorInvalidSymbol;
    }
    std::uint64_t const bytes = image.bytes_of(found->second.name);
    if (offset > bytes || size > bytes - offset)
    {
        return cudaErrorInvalidValue;
    }
    *address = reinterpret_cast<void*>(*begin + offset);
    return cudaSuccess;
}

cudaError_t copy_to_symbol(char const* function, void const* symbol, void const* from, std::size_t size, std::size_t offset,
                           cudaMemcpyKind kind, cudaStream_t stream, bool wait)
{
    return call(function, Check::device, [&](State& s) {
        void* to = nullptr;
        cudaError_t const error = address_of(s, symbol, offset, size, &to);
        return error != cudaSuccess ? error : copy(s, to, from, size, kind, stream_of(s, stream), wait);
    });
}

cudaError_t copy_from_symbol(char const* function, void* to, void const* symbol, std::size_t size, std::size_t offset,
                             cudaMemcpyKind kind, cudaStream_t stream, bool wait)
{
    return call(function, Check::device, [&](State& s) {
        void* from = nullptr;
        cudaError_t const error = address_of(s, symbol, offset, size, &from);
        return error != cudaSuccess ? error : copy(s, to, from, size, kind, stream_of(s, stream), wait);
    });
}

} // namespace

extern "C"
{
    cudaError_t cudaMalloc(void** pointer, std::size_t size)
    {
        return call(__func__, Check::device, [&](State& s) { return allocate(s, pointer, size); });
    }

    cudaError_t cudaFree(void* pointer)
    {
        return call(__func__, Check::device, [&](State& s) { return release(s, pointer); });
    }

    cudaError_t cudaMallocAsync(void** pointer, std::size_t size, cudaStream_t stream)
    {
        return call(__func__, Check::device, [&](State& s) {
            return stream_of(s, stream) == nullptr ? cudaErrorInvalidResourceHandle : allocate(s, pointer, size);
        });
    }

    cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream* const stream = stream_of(s, handle);
            DeviceState* const owner = s.owner(number_of(pointer));
            if (stream == nullptr || (pointer != nullptr && owner == nullptr))
            {
                return stream == nullptr ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
            }
            return pointer == nullptr ? cudaSuccess : enqueue(s, *stream, [owner, pointer] {
                return owner->memory.release(number_of(pointer)) ? cudaSuccess : cudaErrorInvalidValue;
            });
        });
    }

    cudaError_t cudaMallocManaged(void** pointer, std::size_t size, unsigned)
    {
        return allocate_pinned(__func__, pointer, size);
    }

    cudaError_t cudaMallocHost(void** pointer, std::size_t size)
    {
        return allocate_pinned(__func__, pointer, size);
    }

    cudaError_t cudaHostAlloc(void** pointer, std::size_t size, unsigned)
    {
        return allocate_pinned(__func__, pointer, size);
    }

    cudaError_t cudaFreeHost(void* pointer)
    {
        return call(__func__, Check::device,
                    [&](State& s) { return pointer == nullptr ? cudaSuccess : remove_pinned(s, pointer, true); });
    }

    cudaError_t cudaHostRegister(void* pointer, std::size_t size, unsigned)
    {
        return call(__func__, Check::device, [&](State& s) {
            if (is_pinned(s, pointer, 1))
            {
                return cudaErrorHostMemoryAlreadyRegistered;
            }
            add_pinned(s, pointer, size, false);
            return cudaSuccess;
        });
    }

    cudaError_t cudaHostUnregister(void* pointer)
    {
        return call(__func__, Check::device, [&](State& s) { return remove_pinned(s, pointer, false); });
    }

    cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned)
    {
        return call(__func__, Check::device, [&](State& s) {
            *device = host;
            return is_pinned(s, host, 1) ? cudaSuccess : cudaErrorInvalidValue;
        });
    }

    cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total)
    {
        return call(__func__, Check::device, [&](State& s) {
            DeviceState const& device = s.current();
            *total = device.description.memory_bytes;
            *free = *total - device.memory.bytes_in_use();
            return cudaSuccess;
        });
    }

    cudaError_t cudaMemcpy(void* to, void const* from, std::size_t size, cudaMemcpyKind kind)
    {
        return call(__func__, Check::device, [&](State& s) { return copy(s, to, from, size, kind, stream_of(s, nullptr), true); });
    }

    cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t size, cudaMemcpyKind kind, cudaStream_t stream)
    {
        return call(__func__, Check::device, [&](State& s) { return copy(s, to, from, size, kind, stream_of(s, stream), false); });
    }

    cudaError_t cudaMemset(void* pointer, int value, std::size_t size)
    {
        return call(__func__, Check::device, [&](State& s) { return fill(s, pointer, value, size, stream_of(s, nullptr)); });
    }

    cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t size, cudaStream_t stream)
    {
        return call(__func__, Check::device, [&](State& s) { return fill(s, pointer, value, size, stream_of(s, stream)); });
    }

    cudaError_t cudaMemcpyToSymbol(void const* symbol, void const* from, std::size_t size, std::size_t offset, cudaMemcpyKind kind)
    {
        return copy_to_symbol(__func__, symbol, from, size, offset, kind, nullptr, true);
    }

    cudaError_t cudaMemcpyToSymbolAsync(void const* symbol, void const* from, std::size_t size, std::size_t offset,
                                        cudaMemcpyKind kind, cudaStream_t stream)
    {
        return copy_to_symbol(__func__, symbol, from, size, offset, kind, stream, false);
    }

    cudaError_t cudaMemcpyFromSymbol(void* to, void const* symbol, std::size_t size, std::size_t offset, cudaMemcpyKind kind)
    {
        return copy_from_symbol(__func__, to, symbol, size, offset, kind, nullptr, true);
    }

    cudaError_t cudaMemcpyFromSymbolAsync(void* to, void const* symbol, std::size_t size, std::size_t offset, cudaMemcpyKind kind,
                                          cudaStream_t stream)
    {
        return copy_from_symbol(__func__, to, symbol, size, offset, kind, stream, false);
    }

    cudaError_t cudaGetSymbolAddress(void** address, void const* symbol)
    {
        return call(__func__, Check::device, [&](State& s) { return address_of(s, symbol, 0, 0, address); });
    }

    cudaError_t cudaGetSymbolSize(std::size_t* size, void const* symbol)
    {
        return call(__func__, Check::device, [&](State& s) {
            auto const found = s.variables.find(symbol);
            if (found == s.variables.end())
            {
                return cudaErrorInvalidSymbol;
            }
            *size = s.image(*found->second.module).bytes_of(found->second.name);
            return cudaSuccess;
        });
    }

    cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, void const* pointer)
    {
        return call(__func__, Check::device, [&](State& s) {
            cudaPointerAttributes a{};
            a.type = cudaMemoryTypeUnregistered;
            auto* const address = const_cast<void*>(pointer);
            for (std::size_t k = 0; k < s.devices.size(); ++k)
            {
                if (s.owner(number_of(pointer)) == s.devices[k].get())
                {
                    a.type = cudaMemoryTypeDevice;
                    a.device = static_cast<int>(k);
                    a.devicePointer = address;
                }
            }
            if (is_pinned(s, pointer, 1))
            {
                a.type = cudaMemoryTypeHost;
                a.device = State::current_device;
                a.devicePointer = a.hostPointer = address;
            }
            *attributes = a;
            return cudaSuccess;
        });
    }

} // extern "C"
