#include "host/backends/lanes/lane_kernels_impl.hpp"

namespace nuscan
{

LaneKernels const lane_kernels_avx2{"avx2", evaluate_factored, evaluate_rates, logarithms, true};

} // namespace nuscan
