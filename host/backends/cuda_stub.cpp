// Stands in for the CUDA backend in a binary built without it.
#include "host/backends/backend.hpp"
#include "host/backends/reductions.hpp"
#include "host/support/error.hpp"

namespace nuscan
{

namespace
{
constexpr char const* no_cuda = "this binary has no CUDA backend";
} // namespace

std::vector<CudaDevice> find_cuda_devices(std::string& reason, int)
{
    reason = no_cuda;
    return {};
}

std::unique_ptr<Backend> make_cuda_backend(std::shared_ptr<Problem const>, Route, int, CudaSizes const&)
{
    throw NotCompiled(no_cuda);
}

std::unique_ptr<Reductions> make_cuda_reductions(int, std::int64_t)
{
    throw NotCompiled(no_cuda);
}

} // namespace nuscan
