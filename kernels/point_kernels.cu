// Kernels that evaluate points: which thread does what. What is computed is in include/.
#include "kernels/point_kernels.hpp"

#include <algorithm>

#include "kernels/device_memory.hpp"

namespace nuscan::cuda
{

namespace
{

/// Threads per block of every kernel here: four warps share a block's templates.
constexpr int block_size = 128;
/// Blocks on a multiprocessor that the registers must suffice for: a quarter of the threads that it can hold.
constexpr int blocks_per_multiprocessor = 4;
/// Distance of monomials in shared memory: the same node of two of them lies in different banks.
constexpr int density_row = block_size + 1;
/// Longest grid in one dimension.
constexpr std::int64_t max_blocks = 0x7fffffff;

__device__ std::int64_t global_index()
{
    return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// Templates in shared memory, or in global memory where threads of a block have different ones.
struct Block
{
    double const* block;
    __device__ double operator()(int index) const { return block[index]; }
};

/// Rates of one point, written slot after slot over all points.
struct StridedRates
{
    double const* rates;
    std::int64_t stride;
    double inverse_unit;
    __device__ double operator()(int slot) const { return rates[slot * stride] * inverse_unit; }
};

template<int static_pulls>
__device__ __forceinline__ void write(Profile<static_pulls, double> const& result, PointStatus ok, int n_pulls, std::int64_t slot,
                                      DeviceOutputs const& outputs)
{
    PointStatus const status = point_status(result.finite, result.converged);
    bool const good = status == PointStatus::ok;
    outputs.status[slot] = static_cast<std::uint8_t>(good ? ok : status);
    outputs.chi2[slot] = good ? result.chi2 : NAN;
    if (outputs.pulls == nullptr)
        return;
    double* const pulls = outputs.pulls + slot * (1 + n_pulls);
    pulls[0] = good ? result.signal_scale - 1.0 : NAN;
    for (int p = 0; p < n_pulls; ++p)
        pulls[1 + p] = good ? result.pulls[p] : NAN;
}

/// Rates and chi^2 of one point from its templates.
template<int static_monomials, int static_pulls>
__device__ __forceinline__ void evaluate_point(ProblemView const& problem, CountedBins const& counted, Block const& block,
                                               std::int64_t const* node, std::int64_t slot, DeviceOutputs const& outputs)
{
    FitView const& fit = problem.fit;
    int const n_monomials = static_monomials < 0 ? problem.layout.n_monomials : static_monomials;
    double monomials[static_monomials < 0 ? max_monomials : static_monomials];
    for (int m = 0; m < n_monomials; ++m)
        monomials[m] = point_monomial(problem, m, node);
    FactoredPoints<static_monomials, static_pulls, double, Block> point(fit, counted, problem.layout, block, monomials);
    ComputedRates<static_monomials, double, Block> const rates(problem.layout, block, point.monomials());
    if (outputs.rates != nullptr)
    {
        ComputedRates<static_monomials, double, Block> const unscaled(problem.layout, block, monomials);
        for (int i = 0; i < problem.layout.n_slots; ++i)
            outputs.rates[slot * problem.layout.n_slots + i] = unscaled(i);
    }
    Profile<static_pulls, double> result;
    bool accurate = false;
    if (!fit.has_poisson && !fit.fix_pulls)
        result = point.closed_form(accurate);
    if (!accurate)
    {
        if (!rates.accurate())
        {
            // Written in full: the host copies what is here before it has the point done again.
            result.finite = result.converged = false;
            write(result, PointStatus::ok, fit.n_pulls, slot, outputs);
            outputs.status[slot] = wants_direct_route;
            return;
        }
        result = point.by_bins(rates);
    }
    write(result, PointStatus::ok, fit.n_pulls, slot, outputs);
}

/// Copies \p n numbers into shared memory and moves \p source there.
__device__ void share(double const*& source, int n, double*& target)
{
    for (int i = threadIdx.x; i < n; i += blockDim.x)
        target[i] = source[i];
    source = target;
    target += n;
}

/// Numbers of the fit that every step of the minimisation reads.
__host__ __device__ int shared_fit_size(FitView const& fit)
{
    return fit.counted.n * (3 + fit.n_pulls);
}

/// Points of a box, one mass combination per block: its templates and the fit's bins lie in shared memory.
template<int static_monomials, int static_pulls>
__global__ void __launch_bounds__(block_size, blocks_per_multiprocessor)
    factored_kernel(__grid_constant__ ProblemView const problem, IndexRange const range, CombinationBox const box,
                    double const* const bank, DeviceOutputs const outputs, std::int64_t const first_block,
                    std::int64_t const blocks_per_mass)
{
    extern __shared__ double shared[];
    std::int64_t const number = first_block + blockIdx.x;
    std::int64_t const mass = number / blocks_per_mass;
    std::int64_t const coupling = box.first_coupling + (number % blocks_per_mass) * blockDim.x + threadIdx.x;
    double* target = shared;
    double const* templates = bank + mass * problem.layout.size();
    share(templates, problem.layout.size(), target);
    CountedBins counted = problem.fit.counted;
    share(counted.data, counted.n, target);
    share(counted.inverse, counted.n, target);
    share(counted.base, counted.n, target);
    share(counted.templates, counted.n * problem.fit.n_pulls, target);
    __syncthreads();

    if (coupling > box.last_coupling)
        return;
    std::int64_t node[max_axes];
    combined_nodes(problem, box.first_mass + mass, coupling, node);
    std::int64_t const index = problem.grid.index(node);
    if (index >= range.begin && index < range.end)
        evaluate_point<static_monomials, static_pulls>(problem, counted, Block{templates}, node, index - range.begin, outputs);
}

/// Points in order, each with templates of its own from global memory: lists, and grids with few couplings per mass.
template<int static_monomials, int static_pulls>
__global__ void __launch_bounds__(block_size, blocks_per_multiprocessor)
    scattered_kernel(__grid_constant__ ProblemView const problem, IndexRange const range, CombinationBox const box,
                     double const* const bank, DeviceOutputs const outputs)
{
    std::int64_t const slot = global_index();
    if (slot >= range.end - range.begin)
        return;
    std::int64_t node[max_axes];
    problem.grid.nodes(range.begin + slot, node);
    std::int64_t const mass = mass_combination(problem, node) - box.first_mass;
    evaluate_point<static_monomials, static_pulls>(problem, problem.fit.counted, Block{bank + mass * problem.layout.size()}, node,
                                                   slot, outputs);
}

/// One point per thread, from rates.
template<int static_pulls>
__global__ void __launch_bounds__(block_size, blocks_per_multiprocessor)
    rates_kernel(__grid_constant__ ProblemView const problem, IndexRange const range, std::int64_t const* const points,
                 std::int64_t const n_points, double const* const rates, PointStatus const ok, DeviceOutputs const outputs)
{
    std::int64_t const i = global_index();
    if (i >= n_points)
        return;
    FitView const& fit = problem.fit;
    std::int64_t const slot = points == nullptr ? i : points[i] - range.begin;
    double total = 0.0;
    for (int k = 0; k < fit.n_slots; ++k)
    {
        double const rate = rates[k * n_points + i];
        total += fit.used[k] * fabs(rate);
        if (outputs.rates != nullptr)
            outputs.rates[slot * fit.n_slots + k] = rate;
    }
    StridedRates const scaled{rates + i, n_points, 1.0 / signal_scale_unit(fit, total)};
    SignalSums<static_pulls, double> sums;
    add_up_signal(fit, scaled, sums);
    write(profile(fit, fit.counted, scaled, sums, scaled.inverse_unit, isfinite(total)), ok, fit.n_pulls, slot, outputs);
}

/// The threads of a block fold the spectra of all monomials of a basis with all experiments: nodes in tiles, each thread a node; then
/// each thread a bin. Sums run over the nodes in ascending order, as on the CPU. \param density  [n_monomials][density_row] shared
/// \param place  where the result of a monomial and a slot goes
template<class Place>
__device__ void fold_block(ProblemView const& problem, MonomialBasis const& basis, ModelPoint const& point, double* density,
                           Place const& place)
{
    int first_slot = 0;
    for (int e = 0; e < problem.n_experiments; ++e)
    {
        ResponseView const& response = problem.response[e];
        int const n_results = basis.n_monomials * response.stride;
        for (int k = threadIdx.x; k < n_results; k += blockDim.x)
            *place(k / response.stride, first_slot + k % response.stride) = 0.0;
        for (int first = 0; first < response.n_nodes; first += blockDim.x)
        {
            int const n = min(static_cast<int>(blockDim.x), response.n_nodes - first);
            int const own = first + threadIdx.x;
            if (own < response.n_nodes)
                for (int m = 0; m < basis.n_monomials; ++m)
                    density[m * density_row + threadIdx.x] = monomial_density(basis, m, point, response.recoil[own],
                                                                              response.moments + static_cast<long>(own) * n_moments,
                                                                              problem.constants);
            __syncthreads();
            for (int k = threadIdx.x; k < n_results; k += blockDim.x)
            {
                int const m = k / response.stride;
                int const bin = k % response.stride;
                double sum = *place(m, first_slot + bin);
                for (int j = 0; j < n; ++j)
                    sum += response.fold[static_cast<long>(first + j) * response.stride + bin] * density[m * density_row + j];
                *place(m, first_slot + bin) = sum;
            }
            __syncthreads();
        }
        first_slot += response.stride;
    }
}

/// One mass combination per block.
__global__ void __launch_bounds__(block_size)
    fold_kernel(__grid_constant__ ProblemView const problem, std::int64_t const first_mass, double* const bank)
{
    extern __shared__ double shared[];
    double* const block = bank + static_cast<std::int64_t>(blockIdx.x) * problem.layout.size();
    fold_block(problem, problem.basis, combination_base(problem, first_mass + blockIdx.x), shared,
               [&](int m, int slot) { return block + problem.layout.rate(m, slot); });
    __syncthreads();
    for (int k = problem.layout.total(0) + threadIdx.x; k < problem.layout.size(); k += blockDim.x)
        block[k] = template_sum(problem.fit, problem.layout, block, k);
}

/// One point per block.
__global__ void __launch_bounds__(block_size)
    direct_kernel(__grid_constant__ ProblemView const problem, IndexRange const range, std::int64_t const* const points,
                  std::int64_t const first_point, std::int64_t const n_points, double* const rates)
{
    extern __shared__ double shared[];
    std::int64_t const i = first_point + blockIdx.x;
    std::int64_t node[max_axes];
    problem.grid.nodes(points == nullptr ? range.begin + i : points[i], node);
    fold_block(problem, MonomialBasis{}, point_at(problem, node), shared,
               [&](int, int slot) { return rates + slot * n_points + i; });
}

std::int64_t blocks_for(std::int64_t points)
{
    return (points + block_size - 1) / block_size;
}

/// Of a launch whose threads are the points of a chunk.
unsigned chunk_blocks(std::int64_t points)
{
    return static_cast<unsigned>(blocks_for(points));
}

/// What a block of the factored kernel keeps in shared memory.
std::size_t factored_shared_bytes(ProblemView const& problem)
{
    return static_cast<std::size_t>(problem.layout.size() + shared_fit_size(problem.fit)) * sizeof(double);
}

std::size_t largest_shared_bytes()
{
    int device = 0;
    int bytes = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "asking for the size of shared memory");
    return static_cast<std::size_t>(bytes);
}

/// Whether points take their templates from global memory. That is a matter of the whole problem, never of the range at hand: the two
/// kernels are compiled apart, and a point must not depend on what is asked for beside it.
bool takes_scattered_kernel(ProblemView const& problem)
{
    if (problem.grid.is_list)
        return true;
    std::int64_t n_couplings = 1;
    for (int v = 0; v < problem.basis.n_variables; ++v)
        n_couplings *= problem.grid.shape[problem.variable_axis[v]];
    // Below a warp's worth of couplings per mass most threads of a block would have nothing to do.
    return n_couplings < 32 || factored_shared_bytes(problem) > largest_shared_bytes();
}

template<int static_monomials, int static_pulls>
void launch_factored(ProblemView const& problem, IndexRange range, CombinationBox const& box, double const* bank,
                     DeviceOutputs const& outputs, cudaStream_t stream)
{
    if (takes_scattered_kernel(problem))
    {
        scattered_kernel<static_monomials, static_pulls>
            <<<chunk_blocks(range.size()), block_size, 0, stream>>>(problem, range, box, bank, outputs);
        check(cudaGetLastError(), "starting the kernel of scattered points");
        return;
    }
    std::int64_t const blocks_per_mass = blocks_for(box.last_coupling - box.first_coupling + 1);
    std::int64_t const n_blocks = blocks_per_mass * (box.last_mass - box.first_mass + 1);
    std::size_t const bytes = factored_shared_bytes(problem);
    auto const kernel = factored_kernel<static_monomials, static_pulls>;
    // More has to be asked for.
    constexpr std::size_t granted = 48 * 1024;
    if (bytes > granted)
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
              "asking for shared memory");
    for (std::int64_t first = 0; first < n_blocks; first += max_blocks)
    {
        auto const blocks = static_cast<unsigned>(std::min(max_blocks, n_blocks - first));
        kernel<<<blocks, block_size, bytes, stream>>>(problem, range, box, bank, outputs, first, blocks_per_mass);
        check(cudaGetLastError(), "starting the factored kernel");
    }
}

template<int static_monomials>
void dispatch_pulls(ProblemView const& problem, IndexRange range, CombinationBox const& box, double const* bank,
                    DeviceOutputs const& outputs, cudaStream_t stream)
{
    switch (problem.fit.n_pulls)
    {
    case 0:
        return launch_factored<static_monomials, 0>(problem, range, box, bank, outputs, stream);
    case 2:
        return launch_factored<static_monomials, 2>(problem, range, box, bank, outputs, stream);
    default:
        return launch_factored<static_monomials, -1>(problem, range, box, bank, outputs, stream);
    }
}

} // namespace

cudaError_t load_kernels()
{
    cudaFuncAttributes attributes{};
    cudaError_t const code = cudaFuncGetAttributes(&attributes, fold_kernel);
    cudaGetLastError(); // an answer, not a failure
    return code;
}

std::size_t local_memory(ProblemView const& problem, bool direct)
{
    cudaFuncAttributes attributes{};
    // The form for any number of monomials and pulls has the largest variables.
    if (direct)
        check(cudaFuncGetAttributes(&attributes, rates_kernel<-1>), "asking for a kernel's memory");
    else
        check(cudaFuncGetAttributes(&attributes, scattered_kernel<-1, -1>), "asking for a kernel's memory");
    bool const compiled_in = problem.layout.n_monomials == 3 && (problem.fit.n_pulls == 0 || problem.fit.n_pulls == 2);
    if (!direct && compiled_in)
        check(cudaFuncGetAttributes(&attributes, factored_kernel<3, 2>), "asking for a kernel's memory");
    int device = 0;
    int multiprocessors = 0;
    int threads = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "asking for the device's size");
    check(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor, device), "asking for the device's size");
    return attributes.localSizeBytes * static_cast<std::size_t>(multiprocessors) * static_cast<std::size_t>(threads);
}

namespace
{

/// Last index inside a range at which the first axis that its ends differ on changes its node; the beginning where there is none.
std::int64_t last_change(GridView const& grid, IndexRange range)
{
    std::int64_t inner = grid.size;
    for (int a = 0; a < grid.n_axes; ++a)
    {
        inner /= grid.shape[a];
        if (range.begin / inner != (range.end - 1) / inner)
            return (range.end - 1) / inner * inner;
    }
    return range.begin;
}

} // namespace

CombinationBox combination_box(ProblemView const& problem, IndexRange range)
{
    std::int64_t low[max_axes];
    std::int64_t high[max_axes];
    problem.grid.nodes(range.begin, low);
    problem.grid.nodes(range.end - 1, high);
    // Behind the first axis on which the ends differ, every node may occur.
    if (!problem.grid.is_list)
        for (int a = 0; a < problem.grid.n_axes; ++a)
            if (low[a] != high[a])
            {
                for (int b = a + 1; b < problem.grid.n_axes; ++b)
                {
                    low[b] = 0;
                    high[b] = problem.grid.shape[b] - 1;
                }
                break;
            }
    return {mass_combination(problem, low), mass_combination(problem, high), coupling_combination(problem, low),
            coupling_combination(problem, high)};
}

IndexRange compact_part(ProblemView const& problem, IndexRange range)
{
    // Ends on different nodes of an axis open the box to all nodes of the axes behind it: cut where the first of them changes.
    constexpr std::int64_t most_idle = 4;
    while (!problem.grid.is_list)
    {
        CombinationBox const box = combination_box(problem, range);
        double const points = static_cast<double>(box.last_mass - box.first_mass + 1)
                              * static_cast<double>(box.last_coupling - box.first_coupling + 1);
        std::int64_t const cut = last_change(problem.grid, range);
        if (points <= static_cast<double>(most_idle * std::max<std::int64_t>(range.size(), block_size)) || cut <= range.begin)
            break;
        range.end = cut;
    }
    return range;
}

void fold_templates(ProblemView const& problem, std::int64_t first_mass, std::int64_t n_masses, double* bank, cudaStream_t stream)
{
    auto const bytes = static_cast<std::size_t>(problem.basis.n_monomials) * density_row * sizeof(double);
    for (std::int64_t first = 0; first < n_masses; first += max_blocks)
    {
        auto const blocks = static_cast<unsigned>(std::min(max_blocks, n_masses - first));
        fold_kernel<<<blocks, block_size, bytes, stream>>>(problem, first_mass + first, bank + first * problem.layout.size());
        check(cudaGetLastError(), "starting the template kernel");
    }
}

void evaluate_factored(ProblemView const& problem, IndexRange range, CombinationBox const& box, double const* bank,
                       DeviceOutputs const& outputs, cudaStream_t stream)
{
    if (problem.layout.n_monomials == 3)
        dispatch_pulls<3>(problem, range, box, bank, outputs, stream);
    else
        dispatch_pulls<-1>(problem, range, box, bank, outputs, stream);
}

void direct_rates(ProblemView const& problem, IndexRange range, std::int64_t const* points, std::int64_t n_points, double* rates,
                  cudaStream_t stream)
{
    for (std::int64_t first = 0; first < n_points; first += max_blocks)
    {
        auto const blocks = static_cast<unsigned>(std::min(max_blocks, n_points - first));
        direct_kernel<<<blocks, block_size, density_row * sizeof(double), stream>>>(problem, range, points, first, n_points, rates);
        check(cudaGetLastError(), "starting the direct kernel");
    }
}

void evaluate_rates(ProblemView const& problem, IndexRange range, std::int64_t const* points, std::int64_t n_points,
                    double const* rates, PointStatus ok, DeviceOutputs const& outputs, cudaStream_t stream)
{
    if (n_points == 0)
        return;
    unsigned const blocks = chunk_blocks(n_points);
    switch (problem.fit.n_pulls)
    {
    case 0:
        rates_kernel<0><<<blocks, block_size, 0, stream>>>(problem, range, points, n_points, rates, ok, outputs);
        break;
    case 2:
        rates_kernel<2><<<blocks, block_size, 0, stream>>>(problem, range, points, n_points, rates, ok, outputs);
        break;
    default:
        rates_kernel<-1><<<blocks, block_size, 0, stream>>>(problem, range, points, n_points, rates, ok, outputs);
    }
    check(cudaGetLastError(), "starting the chi^2 kernel");
}

} // namespace nuscan::cuda
