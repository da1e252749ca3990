// An emulated device as after a reboot for each test; at its end nothing is held and nothing went wrong.
#include "device_test.hpp"
#include "emulator.hpp"

namespace nuscan
{

void before_device_test()
{
    emulator::restart();
}

void after_device_test()
{
    auto const held = emulator::resources();
    EXPECT_EQ(held.device_bytes, 0u);
    EXPECT_EQ(held.pinned_bytes, 0u);
    EXPECT_EQ(held.streams, 0u);
    EXPECT_EQ(held.events, 0u);
    EXPECT_TRUE(emulator::faults().empty());
    emulator::configure({});
    emulator::restart();
}

} // namespace nuscan
