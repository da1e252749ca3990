/// \file
/// Instruction sets that this processor has, one after the other.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "host/backends/lanes/lane_kernels.hpp"

namespace nuscan
{

/// Sets NUSCAN_SIMD as long as it lives.
class ChosenSet
{
public:
    explicit ChosenSet(char const* name)
    {
        if (char const* const before = std::getenv("NUSCAN_SIMD"))
            before_ = before;
        setenv("NUSCAN_SIMD", name, 1);
    }
    ~ChosenSet()
    {
        if (before_)
            setenv("NUSCAN_SIMD", before_->c_str(), 1);
        else
            unsetenv("NUSCAN_SIMD");
    }
    ChosenSet(ChosenSet const&) = delete;
    ChosenSet& operator=(ChosenSet const&) = delete;

private:
    std::optional<std::string> before_;
};

inline std::vector<LaneKernels const*> all_sets()
{
    auto const list = available_lane_kernels();
    return {list.kernels, list.kernels + list.n};
}

} // namespace nuscan
