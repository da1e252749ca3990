#pragma once
// A test that begins with a fresh machine, and memory that is freed by itself.

#include "emulator.hpp"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <vector>

class DeviceTest : public ::testing::Test
{
protected:
    void SetUp() override
    {
        emulator::configure({});
        emulator::restart();
    }
    // What the last fault says, "" if there was none.
    static std::string fault_text()
    {
        auto const fault = emulator::last_fault();
        return fault ? fault->text : "";
    }
};

#define EXPECT_CUDA(what) EXPECT_EQ(what, cudaSuccess)
#define ASSERT_CUDA(what) ASSERT_EQ(what, cudaSuccess)

template<class T>
class DeviceArray
{
public:
    explicit DeviceArray(std::size_t size) : size_(size) { EXPECT_CUDA(cudaMalloc(&data_, size * sizeof(T))); }
    explicit DeviceArray(std::vector<T> const& values) : DeviceArray(values.size())
    {
        EXPECT_CUDA(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
        EXPECT_CUDA(cudaStreamSynchronize(nullptr)); // it has arrived, also for streams that wait for none
    }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(DeviceArray const&) = delete;
    DeviceArray& operator=(DeviceArray const&) = delete;
    T* get() const { return data_; }
    std::vector<T> values() const
    {
        std::vector<T> all(size_);
        EXPECT_CUDA(cudaMemcpy(all.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
        return all;
    }

private:
    std::size_t size_;
    T* data_ = nullptr;
};
