#include "host/bench/lanes/ceiling_kernels_impl.hpp"

namespace nuscan::bench
{

constinit CeilingKernels const ceiling_kernels_avx2 = make_ceiling_kernels("avx2");

} // namespace nuscan::bench
