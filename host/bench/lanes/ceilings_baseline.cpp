#include "host/bench/lanes/ceiling_kernels_impl.hpp"

namespace nuscan::bench
{

constinit CeilingKernels const ceiling_kernels_baseline = make_ceiling_kernels("baseline");

} // namespace nuscan::bench
