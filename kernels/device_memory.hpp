/// \file
/// Owners of what the CUDA runtime hands out, and its error codes as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "host/support/error.hpp"

namespace nuscan::cuda
{

/// A device has less free memory than asked for.
class OutOfMemory : public RunError
{
public:
    using RunError::RunError;
};

/// Throws RunError that names \p action if \p code is an error, OutOfMemory if memory is what is missing. The runtime forgets the
/// error, unless it has broken the device.
void check(cudaError_t code, std::string const& action);

/// Memory of the current device; OutOfMemory says how much was asked for and how much is free.
void* reserve_device_memory(std::size_t bytes);
/// Host memory that no paging moves.
void* reserve_pinned_memory(std::size_t bytes);
/// Copies pageable host memory to the device. It is there for every stream when this returns.
void copy_to_device(void* to, void const* from, std::size_t bytes);

/// Memory of the current device.
template<class T>
class DeviceArray
{
public:
    DeviceArray() = default;
    explicit DeviceArray(std::size_t size) : size_(size)
    {
        if (size > 0)
            data_ = static_cast<T*>(reserve_device_memory(size * sizeof(T)));
    }
    /// A copy of host values.
    DeviceArray(T const* values, std::size_t size) : DeviceArray(size)
    {
        if (size > 0)
            copy_to_device(data_, values, size * sizeof(T));
    }
    DeviceArray(DeviceArray const&) = delete;
    DeviceArray& operator=(DeviceArray const&) = delete;
    DeviceArray(DeviceArray&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    DeviceArray& operator=(DeviceArray&& other) noexcept
    {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~DeviceArray() { cudaFree(data_); }

    T* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Host memory that copies to and from a device run beside kernels.
template<class T>
class PinnedArray
{
public:
    PinnedArray() = default;
    explicit PinnedArray(std::size_t size) : size_(size)
    {
        if (size > 0)
            data_ = static_cast<T*>(reserve_pinned_memory(size * sizeof(T)));
    }
    PinnedArray(PinnedArray&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    PinnedArray& operator=(PinnedArray&& other) noexcept
    {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    PinnedArray(PinnedArray const&) = delete;
    PinnedArray& operator=(PinnedArray const&) = delete;
    ~PinnedArray() { cudaFreeHost(data_); }

    T* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// A stream of the current device.
class Stream
{
public:
    Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream"); }
    Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
    Stream(Stream const&) = delete;
    Stream& operator=(Stream const&) = delete;
    Stream& operator=(Stream&&) = delete;
    ~Stream()
    {
        if (stream_ != nullptr)
            cudaStreamDestroy(stream_);
    }

    cudaStream_t get() const { return stream_; }
    void synchronise() const { check(cudaStreamSynchronize(stream_), "waiting for a kernel"); }

private:
    cudaStream_t stream_ = nullptr;
};

} // namespace nuscan::cuda
