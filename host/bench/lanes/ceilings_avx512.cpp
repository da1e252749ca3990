#include "host/bench/lanes/ceiling_kernels_impl.hpp"

namespace nuscan::bench
{

constinit CeilingKernels const ceiling_kernels_avx512 = make_ceiling_kernels("avx512");

} // namespace nuscan::bench
