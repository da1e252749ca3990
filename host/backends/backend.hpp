/// \file
/// Choice of a backend by name.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/backends/cpu.hpp"
#include "host/scan/problem.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan
{

enum class DeviceKind
{
    reference,
    cpu,
    cuda
};

/// A device as asked for and as chosen.
struct Device
{
    DeviceKind kind = DeviceKind::cpu;
    int ordinal = -1;                 ///< of a CUDA device, -1 for all
    int count = 1;                    ///< devices that take part
    std::string description;          ///< "cpu (2 threads)"
    std::string reason;               ///< why `auto` chose it, empty otherwise
    std::string instruction_set = {}; ///< of the CPU's vector registers; empty for other devices
};

/// Parses auto, reference, cpu, cuda or cuda:i and settles what it means on this machine. Throws InputError on another word,
/// NotCompiled or RunError where CUDA is asked for and cannot be had.
Device choose_device(std::string const& text, int threads);

/// Parses auto, direct or factored.
Route parse_route(std::string const& text);
std::string route_name(Route route);

/// Number of threads to use: \p threads, or all cores for 0.
int resolve_threads(int threads);

/// Builds the backend of a device.
std::unique_ptr<Backend> make_backend(Device const& device, std::shared_ptr<Problem const> problem, Route route, int threads);

/// One point in full on any device. From a CUDA device come the rates, the status and chi^2; the rest of the fit is repeated on the
/// host. Throws as make_backend does.
PointEvaluation evaluate_point_on(Device const& device, std::shared_ptr<Prepared const> const& prepared,
                                  FixedParameters const& fixed, Route route, bool fix_pulls);

/// A CUDA device for people.
struct CudaDevice
{
    int ordinal;
    std::string description;
    std::string problem; ///< why it cannot be used; empty if it can
};

/// All CUDA devices, by ordinal; empty with \p reason filled where there are none or no driver.
/// \param only  if not negative, the one that is tried: that takes some memory on a device. The others' problem stays empty
std::vector<CudaDevice> find_cuda_devices(std::string& reason, int only = -1);

/// CUDA devices that can be used; empty with \p reason filled where there are none.
std::vector<CudaDevice> cuda_devices(std::string& reason);

/// Sizes of the CUDA backend's work. They never change results; tests make them small.
struct CudaSizes
{
    /// Points of a chunk at most: enough to fill the largest device many times over.
    std::int64_t factored_chunk = std::int64_t{1} << 20;
    std::int64_t direct_chunk = std::int64_t{1} << 16;
    /// Points that keep the largest device busy: work is not cut finer than that for the sake of overlapping copies.
    std::int64_t busy_factored = std::int64_t{1} << 16;
    std::int64_t busy_direct = std::int64_t{1} << 10;
    /// With less memory than such a chunk needs there is no point in going on.
    std::int64_t smallest_chunk = std::int64_t{1} << 10;
    /// Mass combinations whose templates are kept; 0 for what half of the free memory holds.
    std::int64_t bank = 0;

    /// Points of a device's chunk out of \p points, where memory suffices: several chunks, so that one is copied and handed over
    /// while the next is computed, but none too small for the device.
    std::int64_t chunk(bool direct, std::int64_t points) const
    {
        constexpr std::int64_t chunks = 4;
        return std::min({points, direct ? direct_chunk : factored_chunk,
                         std::max(direct ? busy_direct : busy_factored, (points + chunks - 1) / chunks)});
    }
};

/// The CUDA backend. \param ordinal  of the device, -1 for all that can be used. Throws NotCompiled in a binary without it.
std::unique_ptr<Backend> make_cuda_backend(std::shared_ptr<Problem const> problem, Route route, int ordinal,
                                           CudaSizes const& sizes = {});

} // namespace nuscan
