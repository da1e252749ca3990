#include "host/backends/lanes/lane_kernels_impl.hpp"

namespace nuscan
{

LaneKernels const lane_kernels_avx512{"avx512",           evaluate_factored, evaluate_row, evaluate_rates, evaluate_direct_rates,
                                      evaluate_templates, logarithms,        true};

} // namespace nuscan
