#include "host/backends/lanes/lane_kernels_impl.hpp"

namespace nuscan
{

LaneKernels const lane_kernels_avx512{"avx512", evaluate_factored, evaluate_rates, logarithms, true};

} // namespace nuscan
