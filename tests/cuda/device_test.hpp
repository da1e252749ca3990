/// \file
/// Tests that need a CUDA device. The same tests run on an emulated and on a real one; what surrounds them is the program's.
#pragma once

#include <gtest/gtest.h>

namespace nuscan
{

/// Around each test; a program defines both. The first may skip a test or fail it.
void before_device_test();
void after_device_test();

class DeviceTest : public ::testing::Test
{
protected:
    void SetUp() override { before_device_test(); }
    void TearDown() override { after_device_test(); }
};

} // namespace nuscan
