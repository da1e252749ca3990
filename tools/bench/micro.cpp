// Micro-benchmarks (Google Benchmark) of the pieces that a scan is made of. Options are those of Google Benchmark: --help.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/backends/cpu.hpp"
#include "host/backends/lanes/lane_kernels.hpp"
#include "host/backends/rows.hpp"
#include "host/bench/cases.hpp"
#include "host/bench/temporary_folder.hpp"
#include "host/io/hdf5_file.hpp"
#include "host/io/journal.hpp"
#include "host/prepare/solar_moments.hpp"

namespace nuscan::bench
{
namespace
{

constexpr int tile_size = 256;

std::shared_ptr<Prepared const> const& prepared(std::string const& experiment)
{
    static std::map<std::string, std::shared_ptr<Prepared const>> all;
    auto& entry = all[experiment];
    if (!entry)
        entry = prepare(experiment);
    return entry;
}

/// A tile of the vector mediator's grid, ready for the kernels.
class TileOfPoints
{
public:
    explicit TileOfPoints(std::string const& experiment)
        : problem_(prepared(experiment), vector_mediator().with_points(1000000), FixedParameters{})
        , view_(problem_.view())
        , block_(static_cast<std::size_t>(view_.layout.size()))
        , monomials_(static_cast<std::size_t>(view_.layout.n_monomials) * tile_size)
        , blocks_(tile_size, block_.data())
        , points_(tile_size)
        , rates_(static_cast<std::size_t>(view_.layout.n_slots) * tile_size)
        , results_(tile_size)
        , chi2_(tile_size)
        , status_(tile_size)
        , workspace_(static_cast<char*>(::operator new (workspace_bytes(view_.layout), std::align_val_t{workspace_alignment})))
    {
        // In the middle of the grid: a row of one mass.
        std::int64_t const mass = view_.grid.shape[0] / 2;
        fold_combination(view_, mass, block_.data());
        for (std::size_t i = 0; i < tile_size; ++i)
        {
            std::int64_t const node[max_axes] = {mass, 300 + static_cast<std::int64_t>(i)};
            for (int m = 0; m < view_.layout.n_monomials; ++m)
                monomials_[static_cast<std::size_t>(m) * tile_size + i] = point_monomial(view_, m, node);
            points_[i] = point_at(view_, node);
            results_[i] = rates_.data() + i * static_cast<std::size_t>(view_.layout.n_slots);
        }
    }
    ~TileOfPoints() { ::operator delete (workspace_, std::align_val_t{workspace_alignment}); }
    TileOfPoints(TileOfPoints const&) = delete;
    TileOfPoints& operator=(TileOfPoints const&) = delete;

    FactoredBatch factored() const
    {
        FactoredBatch batch;
        batch.fit = &view_.fit;
        batch.layout = &view_.layout;
        batch.n_points = tile_size;
        batch.stride = tile_size;
        batch.monomials = monomials_.data();
        batch.blocks = blocks_.data();
        batch.workspace = workspace_;
        batch.outputs = outputs();
        return batch;
    }
    RateBatch rates() const
    {
        RateBatch batch;
        batch.fit = &view_.fit;
        batch.n_points = tile_size;
        batch.rates = rates_.data();
        batch.workspace = workspace_;
        batch.outputs = outputs();
        return batch;
    }
    SpectrumBatch spectra() const
    {
        SpectrumBatch batch;
        batch.problem = &view_;
        batch.n_points = tile_size;
        batch.points = points_.data();
        batch.results = results_.data();
        batch.workspace = workspace_;
        return batch;
    }

private:
    LaneOutputs outputs() const
    {
        LaneOutputs lanes;
        lanes.chi2 = const_cast<double*>(chi2_.data());
        lanes.status = const_cast<std::uint8_t*>(status_.data());
        return lanes;
    }

    Problem problem_;
    ProblemView const& view_;
    std::vector<double> block_;
    std::vector<double> monomials_;
    std::vector<double const*> blocks_;
    std::vector<ModelPoint> points_;
    std::vector<double> rates_;
    std::vector<double*> results_;
    std::vector<double> chi2_;
    std::vector<std::uint8_t> status_;
    void* workspace_;
};

void count_points(benchmark::State& state, std::int64_t points)
{
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * points);
}

// --- kernels of a point, for every instruction set of this processor --------------------------------------------------------------

void factored_kernel(benchmark::State& state, LaneKernels const& kernels, std::string const& experiment)
{
    TileOfPoints const tile(experiment);
    auto const batch = tile.factored();
    for (auto _ : state)
    {
        kernels.factored(batch);
        benchmark::ClobberMemory();
    }
    count_points(state, tile_size);
}

/// Tiles of points spread over the vector mediator's grid, as the CPU backend hands them to its kernel, rows prepared outside the time.
void row_kernel(benchmark::State& state, LaneKernels const& kernels, std::string const& experiment)
{
    constexpr std::int64_t n_rows = 16;
    Problem const problem(prepared(experiment), vector_mediator().with_points(1000000), FixedParameters{});
    ProblemView const& view = problem.view();
    Rows const rows(view);
    std::vector<std::vector<double>> blocks(n_rows, std::vector<double>(static_cast<std::size_t>(view.layout.size())));
    std::vector<RowMemory> memories(n_rows);
    for (std::int64_t r = 0; r < n_rows; ++r)
    {
        auto const row = static_cast<std::size_t>(r);
        std::int64_t const node[max_axes] = {view.grid.shape[0] * r / n_rows, 0};
        fold_combination(view, node[0], blocks[row].data());
        if (!rows.prepare(node, blocks[row].data(), memories[row]))
            return state.SkipWithError("a row takes the general way");
    }
    std::unique_ptr<void, void (*)(void*)> const workspace(
        ::operator new (workspace_bytes(view.layout), std::align_val_t{workspace_alignment}),
        [](void* memory) { ::operator delete (memory, std::align_val_t{workspace_alignment}); });
    std::vector<double> chi2(static_cast<std::size_t>(rows.length()));
    std::vector<std::uint8_t> status(chi2.size());
    for (auto _ : state)
    {
        for (auto const& memory : memories)
            for (std::int64_t begin = 0; begin < rows.length(); begin += row_tile_size)
            {
                RowBatch batch;
                batch.fit = &view.fit;
                batch.row = &memory.view;
                batch.n_points = static_cast<int>(std::min(row_tile_size, rows.length() - begin));
                batch.strengths = rows.strengths() + begin;
                batch.workspace = workspace.get();
                batch.outputs.chi2 = chi2.data() + begin;
                batch.outputs.status = status.data() + begin;
                kernels.row(batch);
            }
        benchmark::ClobberMemory();
    }
    count_points(state, n_rows * rows.length());
}

void direct_kernel(benchmark::State& state, LaneKernels const& kernels, std::string const& experiment)
{
    TileOfPoints const tile(experiment);
    auto const batch = tile.spectra();
    for (auto _ : state)
    {
        kernels.direct_rates(batch);
        benchmark::ClobberMemory();
    }
    count_points(state, tile_size);
}

void rates_kernel(benchmark::State& state, LaneKernels const& kernels, std::string const& experiment)
{
    TileOfPoints const tile(experiment);
    kernels.direct_rates(tile.spectra());
    auto const batch = tile.rates();
    for (auto _ : state)
    {
        kernels.from_rates(batch);
        benchmark::ClobberMemory();
    }
    count_points(state, tile_size);
}

void log_kernel(benchmark::State& state, LaneKernels const& kernels)
{
    std::vector<double> x(tile_size);
    std::vector<double> result(tile_size);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = 0.6 + static_cast<double>(i) / tile_size;
    for (auto _ : state)
    {
        kernels.log(x.data(), result.data(), tile_size);
        benchmark::ClobberMemory();
    }
    count_points(state, tile_size);
}

// --- set-up ------------------------------------------------------------------------------------------------------------------------

void templates_kernel(benchmark::State& state, LaneKernels const& kernels, std::string const& experiment)
{
    constexpr std::int64_t masses = 16;
    Problem const problem(prepared(experiment), vector_mediator().with_points(masses * masses), FixedParameters{});
    ProblemView const& view = problem.view();
    auto const size = static_cast<std::size_t>(view.layout.size());
    std::vector<double> bank(masses * size);
    std::vector<ModelPoint> points;
    std::vector<double*> results;
    for (std::int64_t c = 0; c < masses; ++c)
    {
        points.push_back(combination_base(view, c));
        results.push_back(bank.data() + static_cast<std::size_t>(c) * size);
    }
    std::unique_ptr<void, void (*)(void*)> const workspace(
        ::operator new (workspace_bytes(view.layout), std::align_val_t{workspace_alignment}),
        [](void* memory) { ::operator delete (memory, std::align_val_t{workspace_alignment}); });
    SpectrumBatch batch;
    batch.problem = &view;
    batch.n_points = masses;
    batch.points = points.data();
    batch.results = results.data();
    batch.workspace = workspace.get();
    for (auto _ : state)
    {
        kernels.templates(batch);
        benchmark::ClobberMemory();
    }
    count_points(state, masses);
}

/// Tables read, moments and folding matrices computed: everything before the first axis is looked at.
void inputs_and_folding(benchmark::State& state, std::string const& experiment)
{
    for (auto _ : state)
        benchmark::DoNotOptimize(prepare(experiment));
}

void solar_moments(benchmark::State& state)
{
    auto const& inputs = prepared("lz_ws2022")->inputs();
    for (auto _ : state)
    {
        SolarMoments const moments(inputs, 1);
        benchmark::DoNotOptimize(&moments);
    }
}

/// The set-up that a scan over 1000 masses has, both experiments one after the other, all cores.
void set_up_of_1000_masses(benchmark::State& state)
{
    auto axes = vector_mediator().axes;
    axes[0].n = 1000;
    axes[1].n = 2;
    std::vector<double> chi2(2000);
    std::vector<std::uint8_t> status(chi2.size());
    PointOutputs outputs;
    outputs.chi2 = chi2.data();
    outputs.status = status.data();
    for (auto _ : state)
        for (char const* const experiment : {"xenonnt_sr0", "lz_ws2022"})
        {
            auto const problem = std::make_shared<Problem const>(prepare(experiment), axes, FixedParameters{});
            make_cpu_backend(problem, Route::factored, 0)->evaluate({0, problem->size()}, outputs);
        }
}

// --- output ------------------------------------------------------------------------------------------------------------------------

/// A surface of about 2^22 points, 1000 in a row, with checksums, in chunks of about \p chunk_points.
struct ChunkedSurface
{
    static constexpr std::int64_t columns = 1000;
    static constexpr std::int64_t rows = (std::int64_t{1} << 22) / columns;
    static constexpr std::int64_t size = rows * columns;
    static constexpr std::int64_t piece = std::int64_t{1} << 18;

    explicit ChunkedSurface(std::int64_t chunk_points) : chunk(h5::chunk_shape(dims, chunk_points)), values(size, 17.7559) {}

    /// Through HDF5, in order, in pieces; at the end it is on the disk.
    void write() const
    {
        auto file = h5::File::create(path);
        {
            auto const dataset = h5::create_dataset(file.id(), "chi2", dims, chunk, 0.0);
            for (std::int64_t begin = 0; begin < size; begin += piece)
                h5::write_flat(dataset.id(), dims, begin, std::min(begin + piece, size), values.data());
        }
        file.close();
    }

    std::vector<std::int64_t> const dims{rows, columns};
    std::vector<std::int64_t> const chunk;
    std::vector<double> values;
    TemporaryFolder const folder{std::filesystem::temp_directory_path()};
    std::filesystem::path const path = folder.path() / "chunks.h5";
};

/// All of it, in order, as profiles and limits do. \p state  points of a chunk
void chunks_read(benchmark::State& state)
{
    ChunkedSurface surface(state.range(0));
    surface.write();
    for (auto _ : state)
    {
        auto const file = h5::File::open(surface.path);
        auto const dataset = h5::open_dataset(file.id(), "chi2");
        for (std::int64_t begin = 0; begin < surface.size; begin += surface.piece)
            h5::read_flat(dataset.id(), surface.dims, begin, std::min(begin + surface.piece, surface.size), surface.values.data());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * surface.size
                            * static_cast<std::int64_t>(sizeof(double)));
    state.SetLabel(h5::shape_text(surface.chunk));
}

/// One row, as a plotting tool takes a slice. \p state  points of a chunk
void chunks_sliced(benchmark::State& state)
{
    ChunkedSurface surface(state.range(0));
    surface.write();
    std::int64_t row = 0;
    for (auto _ : state)
    {
        auto const file = h5::File::open(surface.path);
        auto const dataset = h5::open_dataset(file.id(), "chi2");
        row = (row + surface.rows / 3) % surface.rows;
        h5::read_flat(dataset.id(), surface.dims, row * surface.columns, (row + 1) * surface.columns, surface.values.data());
    }
    state.SetLabel(h5::shape_text(surface.chunk));
}

/// \p state  points of a chunk
void journal_append(benchmark::State& state)
{
    TemporaryFolder const folder(std::filesystem::temp_directory_path());
    constexpr std::int64_t points = std::int64_t{1} << 21;
    Chunk chunk;
    chunk.resize(state.range(0), 0, 0);
    std::fill(chunk.chi2.begin(), chunk.chi2.end(), 17.7559);
    for (auto _ : state)
    {
        Journal journal(folder.path() / "journal", {"benchmark", 0, 0, {0, points}}, true);
        for (chunk.begin = 0; chunk.begin < points; chunk.begin += chunk.size())
            journal.append(chunk);
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(Chunk::bytes(points, 0, 0)));
}

void register_all()
{
    LaneKernelList const list = available_lane_kernels();
    for (int i = 0; i < list.n; ++i)
    {
        LaneKernels const& kernels = *list.kernels[i];
        std::string const set = kernels.name;
        benchmark::RegisterBenchmark(("log/" + set).c_str(), [&kernels](benchmark::State& state) { log_kernel(state, kernels); });
        for (std::string const experiment : {"lz_ws2022", "lz_ws2022_arxiv2208", "xenonnt_sr0"})
        {
            auto const add = [&](std::string const& name, auto const& work) {
                benchmark::RegisterBenchmark((name + "/" + experiment + "/" + set).c_str(),
                                             [=, &kernels](benchmark::State& state) { work(state, kernels, experiment); });
            };
            add("factored", factored_kernel);
            add("row", row_kernel);
            add("direct_rates", direct_kernel);
            add("from_rates", rates_kernel);
            add("templates", templates_kernel);
        }
    }
    for (std::string const experiment : {"lz_ws2022", "xenonnt_sr0"})
        benchmark::RegisterBenchmark(("prepare/" + experiment).c_str(),
                                     [experiment](benchmark::State& state) { inputs_and_folding(state, experiment); })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark("solar_moments", solar_moments)->UseRealTime()->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark("set_up_of_1000_masses", set_up_of_1000_masses)->UseRealTime()->Unit(benchmark::kMillisecond);
    for (auto const& [name, function] : {std::pair{"chunks_read", &chunks_read}, {"chunks_sliced", &chunks_sliced}})
        benchmark::RegisterBenchmark(name, function)
            ->RangeMultiplier(2)
            ->Range(1 << 12, 1 << 20)
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark("journal", journal_append)
        ->RangeMultiplier(8)
        ->Range(1 << 12, 1 << 18)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace
} // namespace nuscan::bench

int main(int argc, char** argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    nuscan::bench::register_all();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
