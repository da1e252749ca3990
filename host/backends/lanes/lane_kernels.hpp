/// \file
/// Points evaluated side by side in the lanes of vector registers, compiled once per instruction set and chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nuscan/scan/problem_view.hpp"
#include "nuscan/scan/row.hpp"

namespace nuscan
{

/// Where a batch writes; arrays over its points.
struct LaneOutputs
{
    double* chi2 = nullptr;
    std::uint8_t* status = nullptr;
    double* pulls = nullptr; ///< [n_points][1 + n_pulls], not filled if null
};

/// Points of the factored route.
struct FactoredBatch
{
    FitView const* fit = nullptr;
    FactoredLayout const* layout = nullptr;
    int n_points = 0;
    int stride = 0;                        ///< distance of monomials, >= n_points
    double const* monomials = nullptr;     ///< [n_monomials][stride]
    double const* const* blocks = nullptr; ///< [n_points] the point's templates, in `layout`
    void* workspace = nullptr;             ///< workspace_bytes, aligned to workspace_alignment
    LaneOutputs outputs;
};

/// Neighbouring points of a row; with Poisson bins each eight of them begin where the eight before them lead.
struct RowBatch
{
    FitView const* fit = nullptr;
    RowView const* row = nullptr;
    int n_points = 0;
    double const* strengths = nullptr; ///< [n_points] z
    void* workspace = nullptr;         ///< workspace_bytes, aligned to workspace_alignment
    /// Points without a result here get the status wants_general_route.
    LaneOutputs outputs;
};
/// Status inside the backend of a point that a row leaves to the factored batch.
inline constexpr std::uint8_t wants_general_route = 254;

/// Points whose rates are known.
struct RateBatch
{
    FitView const* fit = nullptr;
    int n_points = 0;
    double const* rates = nullptr; ///< [n_points][n_slots] signal before pulls
    void* workspace = nullptr;     ///< workspace_bytes, aligned to workspace_alignment
    LaneOutputs outputs;
};

/// Points whose spectra are folded, by the direct route or into templates.
struct SpectrumBatch
{
    ProblemView const* problem = nullptr;
    int n_points = 0;
    /// The points; of templates their base: what is not scanned, and the masses.
    ModelPoint const* points = nullptr;
    double* const* results = nullptr; ///< [n_points] rates [n_slots], or the point's templates in the problem's layout
    void* workspace = nullptr;        ///< workspace_bytes, aligned to workspace_alignment
};

inline constexpr std::size_t workspace_alignment = 64;
/// Memory that a thread gives to the kernels: rates and templates of the widest register.
inline std::size_t workspace_bytes(FactoredLayout const& layout)
{
    constexpr std::size_t most_lanes = 8;
    return static_cast<std::size_t>(layout.n_slots + layout.size()) * most_lanes * sizeof(double);
}

/// The functions of one instruction set. Each point goes through the same operations whatever its neighbours are, and every set
/// with fused multiply-add gives the same bits.
struct LaneKernels
{
    char const* name;
    void (*factored)(FactoredBatch const&);
    void (*row)(RowBatch const&);
    void (*from_rates)(RateBatch const&);
    /// Rates by the direct route.
    void (*direct_rates)(SpectrumBatch const&);
    /// Templates, and their sums over bins, of the factored route.
    void (*templates)(SpectrumBatch const&);
    /// Natural logarithms of \p x [n], as chi^2 takes them.
    void (*log)(double const* x, double* result, int n);
    bool fused; ///< products are added without rounding in between
};

/// Those that this processor can run, the fastest first.
struct LaneKernelList
{
    LaneKernels const* kernels[3] = {};
    int n = 0;
};
LaneKernelList available_lane_kernels();

/// The fastest, or the one named by the environment variable NUSCAN_SIMD. Throws InputError if that is not available.
LaneKernels const& choose_lane_kernels();

extern LaneKernels const lane_kernels_baseline;
#ifdef NUSCAN_X86_LANES
extern LaneKernels const lane_kernels_avx2;
extern LaneKernels const lane_kernels_avx512;
#endif

} // namespace nuscan
