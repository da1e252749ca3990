// Blocks in every order: a correct kernel does not notice, one that relies on an order is found out.

#include "device_test.hpp"

namespace
{

using emulator::Order;

constexpr unsigned blocks = 50;
constexpr unsigned block = 64;

__global__ void squares(double* out)
{
    unsigned const i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = static_cast<double>(i) * i;
}
// Every block overwrites what the one before it wrote.
__global__ void last_one_wins(unsigned* out)
{
    if (threadIdx.x == 0)
    {
        *out = blockIdx.x;
    }
}
__global__ void lanes_collide(unsigned* out)
{
    *out = threadIdx.x;
}
__global__ void adds_in_any_order(float* sum)
{
    atomicAdd(sum, 1.0F / static_cast<float>(1 + blockIdx.x * blockDim.x + threadIdx.x));
}
// Each block waits for a later one.
__global__ void waits_for_the_next_block(int volatile* ready, int* out)
{
    if (blockIdx.x + 1 < gridDim.x)
    {
        while (ready[blockIdx.x + 1] == 0)
        {
        }
    }
    __threadfence();
    ready[blockIdx.x] = 1;
    out[blockIdx.x] = 1;
}

class OrderTest : public DeviceTest, public ::testing::WithParamInterface<unsigned>
{
protected:
    static void set(Order order, std::uint64_t seed = 0, unsigned threads = 1)
    {
        emulator::Execution how;
        how.order = order;
        how.seed = seed;
        how.host_threads = threads;
        emulator::configure(how);
    }
    static unsigned last_block()
    {
        DeviceArray<unsigned> const out(1);
        last_one_wins<<<blocks, block>>>(out.get());
        return out.values()[0];
    }
};

TEST_P(OrderTest, CorrectKernelDoesNotNotice)
{
    DeviceArray<double> const out(blocks * block);
    std::vector<std::vector<double>> results;
    for (Order const order : {Order::forward, Order::reversed, Order::shuffled})
    {
        set(order, 7, GetParam());
        squares<<<blocks, block>>>(out.get());
        results.push_back(out.values());
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
    EXPECT_EQ(results[0][100], 10000.0);
}
INSTANTIATE_TEST_SUITE_P(HostThreads, OrderTest, ::testing::Values(1U, 2U, 5U));

TEST_F(OrderTest, OrderOfBlocksShows)
{
    set(Order::forward);
    EXPECT_EQ(last_block(), blocks - 1);
    set(Order::reversed);
    EXPECT_EQ(last_block(), 0U);
    set(Order::shuffled, 1);
    unsigned const one = last_block();
    EXPECT_EQ(last_block(), one);
    set(Order::shuffled, 2);
    unsigned const two = last_block();
    set(Order::shuffled, 3);
    EXPECT_TRUE(one != two || one != last_block());
}

TEST_F(OrderTest, OrderOfLanesShows)
{
    DeviceArray<unsigned> const out(1);
    set(Order::forward);
    lanes_collide<<<1, 64>>>(out.get());
    EXPECT_EQ(out.values()[0], 63U);
    set(Order::reversed);
    lanes_collide<<<1, 64>>>(out.get());
    EXPECT_EQ(out.values()[0], 0U);
}

TEST_F(OrderTest, SumsThatRoundDifferentlyShow)
{
    std::vector<float> sums;
    for (Order const order : {Order::forward, Order::reversed})
    {
        set(order);
        DeviceArray<float> const sum(std::vector<float>{0.0F});
        adds_in_any_order<<<blocks, block>>>(sum.get());
        sums.push_back(sum.values()[0]);
    }
    EXPECT_NE(sums[0], sums[1]);
    EXPECT_NEAR(sums[0], sums[1], 1e-4F);
}

TEST_F(OrderTest, BlocksThatWaitForEachOtherRunSideBySide)
{
    constexpr int count = 8;
    for (Order const order : {Order::forward, Order::reversed})
    {
        set(order);
        DeviceArray<int> const ready(std::vector<int>(count, 0));
        DeviceArray<int> const out(std::vector<int>(count, 0));
        waits_for_the_next_block<<<count, 1>>>(ready.get(), out.get());
        EXPECT_CUDA(cudaDeviceSynchronize()) << fault_text();
        EXPECT_EQ(out.values(), std::vector<int>(count, 1));
    }
}

} // namespace
