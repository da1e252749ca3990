/// \file
/// Launches of the kernels that evaluate points. All run in the given stream on the current device; pointers are device memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "nuscan/scan/problem_view.hpp"

namespace nuscan::cuda
{

/// Points of a launch, and where their results go: arrays over the points of the range, in order.
struct DeviceOutputs
{
    double* chi2 = nullptr;
    std::uint8_t* status = nullptr;
    double* pulls = nullptr; ///< [point][1 + n_pulls], null if not wanted
    double* rates = nullptr; ///< [point][n_slots], padding included; null if not wanted
};

/// Smallest box of mass and coupling combinations (both ends included) that holds a range of points.
struct CombinationBox
{
    std::int64_t first_mass, last_mass;
    std::int64_t first_coupling, last_coupling;
};
CombinationBox combination_box(ProblemView const& problem, IndexRange range);
/// The range, shortened at its end such that its box holds at most a few times as many points.
IndexRange compact_part(ProblemView const& problem, IndexRange range);

/// Tries to load a kernel on the current device.
cudaError_t load_kernels();
/// Bytes of device memory that the runtime will take for the threads' local variables once the kernels of the problem start.
std::size_t local_memory(ProblemView const& problem, bool direct);

/// Folds the templates of the mass combinations from \p first_mass on. \param bank  [n_masses][layout.size()]
void fold_templates(ProblemView const& problem, std::int64_t first_mass, std::int64_t n_masses, double* bank, cudaStream_t stream);

/// Rates and profiled chi^2 from templates. \param bank  templates of the box's mass combinations
void evaluate_factored(ProblemView const& problem, IndexRange range, CombinationBox const& box, double const* bank,
                       DeviceOutputs const& outputs, cudaStream_t stream);

/// Rates of points by the direct route. \param points  indices of the points, or null for all of \p range
/// \param rates  [n_slots][n_points]
void direct_rates(ProblemView const& problem, IndexRange range, std::int64_t const* points, std::int64_t n_points, double* rates,
                  cudaStream_t stream);

/// Profiled chi^2 from rates; arguments as in direct_rates. \param ok  status of a point without failure
void evaluate_rates(ProblemView const& problem, IndexRange range, std::int64_t const* points, std::int64_t n_points,
                    double const* rates, PointStatus ok, DeviceOutputs const& outputs, cudaStream_t stream);

} // namespace nuscan::cuda
