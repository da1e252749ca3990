#include "host/bench/operation_count.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "host/backends/lanes/lanes.hpp"
#include "host/backends/rows.hpp"
#include "nuscan/scan/problem_view.hpp"

// The kernels' own text, compiled once more with the number that counts in place of the vector register: what they name `Lanes` is
// found in their own unnamed namespace first.
namespace nuscan
{
namespace
{
using Lanes = bench::Counted;
}
} // namespace nuscan
#include "host/backends/lanes/lane_kernels_impl.hpp"

namespace nuscan::bench
{

namespace
{

static_assert(n_lanes == 1 && sizeof(Counted) == sizeof(double), "the kernels have to run with the number that counts");

/// All of them, so that none of the text is left unused.
constexpr LaneKernels counting_kernels{"counting",         evaluate_factored, evaluate_row, evaluate_rates, evaluate_direct_rates,
                                       evaluate_templates, logarithms,        true};

class Counter
{
public:
    Counter(Problem const& problem, std::int64_t tile_size)
        : view_(problem.view())
        , rows_(view_)
        , tile_size_(static_cast<std::size_t>(tile_size))
        , workspace_(workspace_bytes(view_.layout) / sizeof(double))
        , chi2_(tile_size_)
        , status_(tile_size_)
        , points_(tile_size_)
        , rates_(tile_size_ * static_cast<std::size_t>(view_.layout.n_slots))
        , results_(tile_size_)
    {
    }

    /// Counts the points of one tile.
    void add(IndexRange tile, Route route)
    {
        std::vector<std::int64_t> all(static_cast<std::size_t>(tile.size()));
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = tile.begin + static_cast<std::int64_t>(i);
        n_points_ += tile.size();
        if (route == Route::direct)
        {
            direct(all);
            return;
        }
        std::vector<std::int64_t> general = all;
        if (rows_.any())
        {
            row(tile);
            general = of_status(all, wants_general_route);
        }
        if (general.empty())
            return;
        factored(general);
        std::vector<std::int64_t> const left = of_status(general, wants_direct_route);
        n_direct_ += static_cast<std::int64_t>(left.size());
        if (!left.empty())
            direct(left);
    }

    PointOperations result() const
    {
        auto const n = static_cast<double>(std::max<std::int64_t>(1, n_points_));
        auto const mean = [n](std::int64_t count) { return static_cast<double>(count) / n; };
        PointOperations operations;
        operations.points = n_points_;
        operations.multiply_add = mean(counts_.multiply_add);
        operations.multiply = mean(counts_.multiply);
        operations.add = mean(counts_.add);
        operations.divide = mean(counts_.divide);
        operations.sqrt = mean(counts_.sqrt);
        operations.log = mean(counts_.log);
        operations.exp = mean(counts_.exp);
        operations.compare = mean(counts_.compare);
        operations.direct_fallback = mean(n_direct_);
        return operations;
    }

private:
    template<class Work>
    void count(Work&& work)
    {
        OperationCounts const before = operation_counts;
        work();
        counts_ += operation_counts - before;
    }

    /// Those of \p indices, the points evaluated last, that got \p status.
    std::vector<std::int64_t> of_status(std::vector<std::int64_t> const& indices, std::uint8_t status) const
    {
        std::vector<std::int64_t> found;
        for (std::size_t i = 0; i < indices.size(); ++i)
            if (status_[i] == status)
                found.push_back(indices[i]);
        return found;
    }

    /// \p tile is one of the rows'. Its preparation, shared by all its points, is not counted.
    void row(IndexRange tile)
    {
        std::int64_t node[max_axes] = {};
        view_.grid.nodes(tile.begin, node);
        std::vector<double> block(static_cast<std::size_t>(view_.layout.size()));
        fold_combination(view_, mass_combination(view_, node), block.data());
        if (!rows_.prepare(node, block.data(), row_))
        {
            std::fill_n(status_.begin(), tile.size(), wants_general_route);
            return;
        }
        RowBatch batch;
        batch.fit = &view_.fit;
        batch.row = &row_.view;
        batch.n_points = static_cast<int>(tile.size());
        batch.strengths = rows_.strengths() + tile.begin % rows_.length();
        batch.workspace = workspace_.data();
        batch.outputs = outputs();
        count([&] { counting_kernels.row(batch); });
    }

    LaneOutputs outputs()
    {
        LaneOutputs lanes;
        lanes.chi2 = chi2_.data();
        lanes.status = status_.data();
        return lanes;
    }

    void factored(std::vector<std::int64_t> const& indices)
    {
        auto const size = static_cast<std::size_t>(view_.layout.size());
        auto const n_monomials = static_cast<std::size_t>(view_.layout.n_monomials);
        std::vector<std::int64_t> combinations;
        std::vector<std::size_t> slot(indices.size());
        std::vector<double> monomials(n_monomials * indices.size());
        for (std::size_t i = 0; i < indices.size(); ++i)
        {
            std::int64_t node[max_axes] = {};
            view_.grid.nodes(indices[i], node);
            std::int64_t const combination = mass_combination(view_, node);
            auto const found = std::find(combinations.begin(), combinations.end(), combination);
            slot[i] = static_cast<std::size_t>(found - combinations.begin());
            if (found == combinations.end())
                combinations.push_back(combination);
            for (std::size_t m = 0; m < n_monomials; ++m)
                monomials[m * indices.size() + i] = point_monomial(view_, static_cast<int>(m), node);
        }
        std::vector<double> bank(combinations.size() * size);
        for (std::size_t c = 0; c < combinations.size(); ++c)
            fold_combination(view_, combinations[c], bank.data() + c * size);
        std::vector<double const*> blocks(indices.size());
        for (std::size_t i = 0; i < indices.size(); ++i)
            blocks[i] = bank.data() + slot[i] * size;
        FactoredBatch batch;
        batch.fit = &view_.fit;
        batch.layout = &view_.layout;
        batch.n_points = static_cast<int>(indices.size());
        batch.stride = batch.n_points;
        batch.monomials = monomials.data();
        batch.blocks = blocks.data();
        batch.workspace = workspace_.data();
        batch.outputs = outputs();
        count([&] { counting_kernels.factored(batch); });
    }

    void direct(std::vector<std::int64_t> const& indices)
    {
        auto const n_slots = static_cast<std::size_t>(view_.layout.n_slots);
        for (std::size_t i = 0; i < indices.size(); ++i)
        {
            std::int64_t node[max_axes] = {};
            view_.grid.nodes(indices[i], node);
            points_[i] = point_at(view_, node);
            results_[i] = rates_.data() + i * n_slots;
        }
        SpectrumBatch spectra;
        spectra.problem = &view_;
        spectra.n_points = static_cast<int>(indices.size());
        spectra.points = points_.data();
        spectra.results = results_.data();
        spectra.workspace = workspace_.data();
        RateBatch fits;
        fits.fit = &view_.fit;
        fits.n_points = spectra.n_points;
        fits.rates = rates_.data();
        fits.workspace = workspace_.data();
        fits.outputs = outputs();
        count([&] {
            counting_kernels.direct_rates(spectra);
            counting_kernels.from_rates(fits);
        });
    }

    ProblemView const& view_;
    Rows rows_;
    RowMemory row_;
    std::size_t tile_size_;
    std::vector<double> workspace_;
    std::vector<double> chi2_;
    std::vector<std::uint8_t> status_;
    std::vector<ModelPoint> points_;
    std::vector<double> rates_;
    std::vector<double*> results_;
    OperationCounts counts_;
    std::int64_t n_points_ = 0;
    std::int64_t n_direct_ = 0;
};

} // namespace

PointOperations count_operations(Problem const& problem, Route route, std::int64_t tiles, std::int64_t tile_size)
{
    std::int64_t const size = std::min(tile_size, problem.size());
    std::int64_t const number = std::clamp<std::int64_t>(tiles, 1, std::max<std::int64_t>(1, problem.size() / size));
    Rows const rows(problem.view());
    bool const by_rows = rows.any() && route != Route::direct;
    Counter counter(problem, by_rows ? std::max(size, row_tile_size) : size);
    for (std::int64_t t = 0; t < number; ++t)
    {
        // The same piece of every part: not always the beginning of a row.
        std::int64_t const begin = (problem.size() - size) / std::max<std::int64_t>(1, number - 1) * t;
        std::int64_t const aligned = std::min(begin / size * size, problem.size() - size);
        counter.add(by_rows ? rows.tile_range(rows.tile(aligned)) : IndexRange{aligned, aligned + size}, route);
    }
    return counter.result();
}

} // namespace nuscan::bench
