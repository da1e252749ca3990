// Tests run on the machine's own device. Without one they are skipped, or fail where NUSCAN_REQUIRE_GPU=1 says that there must be one.
#include "tests/cuda/device_test.hpp"

#include <cstdlib>
#include <string>

#include "host/backends/backend.hpp"

namespace nuscan
{

void before_device_test()
{
    std::string reason;
    if (!cuda_devices(reason).empty())
        return;
    char const* const required = std::getenv("NUSCAN_REQUIRE_GPU");
    if (required != nullptr && std::string(required) == "1")
        FAIL() << "NUSCAN_REQUIRE_GPU=1, but no CUDA device can be used: " << reason;
    GTEST_SKIP() << "no CUDA device can be used: " << reason;
}

void after_device_test() {}

} // namespace nuscan
