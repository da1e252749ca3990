#include "host/backends/lanes/lane_kernels.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "host/support/error.hpp"

namespace nuscan
{

LaneKernelList available_lane_kernels()
{
    LaneKernelList list;
#ifdef NUSCAN_X86_LANES
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        list.kernels[list.n++] = &lane_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        list.kernels[list.n++] = &lane_kernels_avx2;
#endif
    list.kernels[list.n++] = &lane_kernels_baseline;
    return list;
}

LaneKernels const& choose_lane_kernels()
{
    LaneKernelList const list = available_lane_kernels();
    char const* const wanted = std::getenv("NUSCAN_SIMD");
    if (wanted == nullptr || *wanted == '\0')
        return *list.kernels[0];
    std::string names;
    for (int i = 0; i < list.n; ++i)
    {
        if (std::string_view(wanted) == list.kernels[i]->name)
            return *list.kernels[i];
        names += (i > 0 ? ", " : "") + std::string(list.kernels[i]->name);
    }
    throw InputError(fmt::format("NUSCAN_SIMD = '{}' is not available on this processor; choose from: {}", wanted, names));
}

} // namespace nuscan
