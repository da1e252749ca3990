#include "host/backends/cpu.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <new>

#include "host/backends/lanes/lane_kernels.hpp"
#include "host/backends/rows.hpp"
#include "host/support/thread_team.hpp"

namespace nuscan
{

namespace
{

/// Points that one thread takes at a time.
constexpr std::int64_t tile_size = row_tile_size;
/// Mass combinations whose templates one thread folds at a time: a few registers full, and little wasted at the end.
constexpr std::ptrdiff_t fold_size = 16;
/// Templates kept in memory; a grid of more mass combinations is worked off in blocks.
constexpr std::size_t template_budget = std::size_t{512} << 20;

/// Memory of one thread for a tile.
class Tile
{
public:
    explicit Tile(ProblemView const& view)
        : monomials(static_cast<std::size_t>(view.layout.n_monomials) * tile_size)
        , blocks(tile_size)
        , points(tile_size)
        , results(tile_size)
        , rates(static_cast<std::size_t>(view.layout.n_slots))
        , workspace_(::operator new (workspace_bytes(view.layout), std::align_val_t{workspace_alignment}))
    {
    }

    void* workspace() const { return workspace_.get(); }

    std::vector<double> monomials; ///< [n_monomials][tile_size]
    std::vector<double const*> blocks;
    std::vector<ModelPoint> points;
    std::vector<double*> results; ///< where those of a point go
    std::vector<double> rates;    ///< [points][n_slots], one point unless the route is direct
    RowMemory row;
    /// Results of points that are evaluated for their neighbours' sake, or one by one.
    std::vector<double> chi2;
    std::vector<std::uint8_t> status;
    std::vector<double> pulls;

private:
    struct Free
    {
        void operator()(void* memory) const { ::operator delete (memory, std::align_val_t{workspace_alignment}); }
    };
    std::unique_ptr<void, Free> workspace_;
};

class CpuBackend : public Backend
{
public:
    CpuBackend(std::shared_ptr<Problem const> problem, Route route, int threads)
        : problem_(std::move(problem))
        , view_(problem_->view())
        , rows_(view_)
        , kernels_(choose_lane_kernels())
        , direct_(route == Route::direct)
        , team_(threads > 0 ? threads : omp_get_max_threads())
        , tiles_(static_cast<std::size_t>(team_.size()))
    {
    }

    std::string name() const override { return "cpu"; }

    void evaluate(IndexRange range, PointOutputs const& outputs) override
    {
        if (direct_)
        {
            evaluate_block(range, range, outputs, {});
            return;
        }
        auto const size = static_cast<std::int64_t>(view_.layout.size());
        auto const capacity = std::max<std::int64_t>(1, static_cast<std::int64_t>(template_budget / sizeof(double)) / size);
        if (view_.n_mass_combinations <= capacity)
        {
            std::vector<std::int64_t> const combinations = combinations_of(range);
            bank_.resize(static_cast<std::size_t>(view_.n_mass_combinations * size));
            ready_.resize(static_cast<std::size_t>(view_.n_mass_combinations), 0);
            std::vector<std::int64_t> missing;
            for (std::int64_t const c : combinations)
                if (ready_[static_cast<std::size_t>(c)] == 0)
                    missing.push_back(c);
            fold(missing, [](std::size_t, std::int64_t combination) { return combination; });
            for (std::int64_t const c : missing)
                ready_[static_cast<std::size_t>(c)] = 1;
            evaluate_block(range, range, outputs, {});
            return;
        }
        for (std::int64_t begin = range.begin; begin < range.end; begin += capacity)
        {
            IndexRange const block{begin, std::min(begin + capacity, range.end)};
            std::vector<std::int64_t> const combinations = combinations_of(block);
            bank_.resize(combinations.size() * static_cast<std::size_t>(size));
            fold(combinations, [](std::size_t slot, std::int64_t) { return static_cast<std::int64_t>(slot); });
            evaluate_block(block, range, outputs, combinations);
        }
    }

private:
    /// Mass combinations that occur in a range, ascending.
    std::vector<std::int64_t> combinations_of(IndexRange range) const
    {
        std::vector<std::int64_t> combinations;
        std::int64_t node[max_axes];
        if (rows_.any()) // all of a row have one combination
        {
            for (std::int64_t index = range.begin; index < range.end; index += rows_.length() - index % rows_.length())
            {
                view_.grid.nodes(index, node);
                std::int64_t const combination = mass_combination(view_, node);
                if (combinations.empty() || combinations.back() != combination)
                    combinations.push_back(combination);
            }
            sort_unique(combinations);
            return combinations;
        }
        view_.grid.nodes(range.begin, node);
        for (std::int64_t index = range.begin; index < range.end; ++index, view_.grid.advance(node))
        {
            std::int64_t const combination = mass_combination(view_, node);
            if (combinations.empty() || combinations.back() != combination)
                combinations.push_back(combination);
            // Where a mass axis runs fast the same combinations come again and again.
            if (static_cast<std::int64_t>(combinations.size()) > 2 * view_.n_mass_combinations)
                sort_unique(combinations);
        }
        sort_unique(combinations);
        return combinations;
    }

    static void sort_unique(std::vector<std::int64_t>& values)
    {
        std::sort(values.begin(), values.end());
        values.erase(std::unique(values.begin(), values.end()), values.end());
    }

    template<class SlotOf>
    void fold(std::vector<std::int64_t> const& combinations, SlotOf const& slot_of)
    {
        auto const n = static_cast<std::ptrdiff_t>(combinations.size());
        if (n == 0)
            return;
        team_.for_each((n + fold_size - 1) / fold_size, 1, [&](std::int64_t batch, int worker) {
            Tile& tile = tile_of(worker);
            std::ptrdiff_t const first = batch * fold_size;
            auto const size = static_cast<std::size_t>(std::min(fold_size, n - first));
            for (std::size_t i = 0; i < size; ++i)
            {
                auto const index = static_cast<std::size_t>(first) + i;
                tile.points[i] = combination_base(view_, combinations[index]);
                tile.results[i] = bank_.data() + slot_of(index, combinations[index]) * view_.layout.size();
            }
            kernels_.templates(spectrum_batch(tile, size));
        });
    }

    /// The memory of one of the threads.
    Tile& tile_of(int worker)
    {
        auto& tile = tiles_[static_cast<std::size_t>(worker)];
        if (!tile)
            tile = std::make_unique<Tile>(view_);
        return *tile;
    }

    /// Evaluates \p block, a part of the range that \p outputs belongs to. \p combinations lists the combinations in the bank where
    /// it does not hold all of them.
    void evaluate_block(IndexRange block, IndexRange range, PointOutputs const& outputs,
                        std::vector<std::int64_t> const& combinations)
    {
        bool const by_rows = !direct_ && rows_.any();
        auto const tiles = by_rows ? rows_.tile(block.end - 1) - rows_.tile(block.begin) + 1
                                   : (block.size() + tile_size - 1) / tile_size;
        // A tile of a row may take two microseconds: several at once, so that threads do not queue for them.
        constexpr std::int64_t most_at_once = 16;
        std::int64_t const at_once = by_rows ? most_at_once : 1;
        team_.for_each(tiles, at_once, [&](std::int64_t t, int worker) {
            Tile& tile = tile_of(worker);
            IndexRange const whole = by_rows ? rows_.tile_range(rows_.tile(block.begin) + t)
                                             : IndexRange{block.begin + t * tile_size, block.begin + (t + 1) * tile_size};
            IndexRange const points{std::max(whole.begin, block.begin), std::min(whole.end, block.end)};
            PointOutputs const part = outputs.from(points.begin - range.begin, pull_count(view_), bin_count(view_));
            if (direct_)
                evaluate_direct(points, part, tile);
            else if (by_rows)
                evaluate_row(whole.begin, points, part, combinations, tile);
            else
                evaluate_factored(points, part, combinations, tile);
        });
    }

    LaneOutputs lane_outputs(PointOutputs const& outputs, std::ptrdiff_t first) const
    {
        return {outputs.chi2 + first, outputs.status + first,
                outputs.pulls == nullptr ? nullptr : outputs.pulls + first * pull_count(view_)};
    }

    void evaluate_direct(IndexRange points, PointOutputs const& outputs, Tile& tile) const
    {
        auto const stride = static_cast<std::size_t>(view_.layout.n_slots);
        tile.rates.resize(stride * tile_size);
        RateBatch batch;
        batch.fit = &view_.fit;
        batch.n_points = static_cast<int>(points.size());
        batch.rates = tile.rates.data();
        batch.workspace = tile.workspace();
        batch.outputs = lane_outputs(outputs, 0);
        std::int64_t node[max_axes];
        view_.grid.nodes(points.begin, node);
        auto const n = static_cast<std::size_t>(points.size());
        for (std::size_t i = 0; i < n; ++i, view_.grid.advance(node))
        {
            tile.points[i] = point_at(view_, node);
            tile.results[i] = tile.rates.data() + i * stride;
        }
        kernels_.direct_rates(spectrum_batch(tile, n));
        for (std::size_t i = 0; i < n; ++i)
            copy_rates(tile.results[i], outputs, i);
        kernels_.from_rates(batch);
    }

    /// \param tile_begin  where the points' tile begins: its first points come first, wanted or not
    void evaluate_row(std::int64_t tile_begin, IndexRange points, PointOutputs const& outputs,
                      std::vector<std::int64_t> const& combinations, Tile& tile) const
    {
        std::int64_t node[max_axes];
        view_.grid.nodes(points.begin, node);
        double const* const block = bank_.data() + bank_slot(node, combinations) * view_.layout.size();
        if (!rows_.prepare(node, block, tile.row))
        {
            evaluate_factored(points, outputs, combinations, tile);
            return;
        }
        // Without Poisson bins a point stands for itself.
        std::int64_t const begin = view_.fit.has_poisson ? tile_begin : points.begin;
        auto const before = static_cast<std::size_t>(points.begin - begin);
        auto const n = static_cast<std::size_t>(points.size());
        RowBatch batch;
        batch.fit = &view_.fit;
        batch.row = &tile.row.view;
        batch.n_points = static_cast<int>(before + n);
        batch.strengths = rows_.strengths() + begin % rows_.length();
        batch.workspace = tile.workspace();
        batch.outputs = lane_outputs(outputs, 0);
        if (before > 0)
        {
            auto const pulls = static_cast<std::size_t>(pull_count(view_));
            tile.chi2.resize(before + n);
            tile.status.resize(before + n);
            tile.pulls.resize((before + n) * pulls);
            batch.outputs = {tile.chi2.data(), tile.status.data(), outputs.pulls == nullptr ? nullptr : tile.pulls.data()};
            kernels_.row(batch);
            std::copy_n(tile.chi2.data() + before, n, outputs.chi2);
            std::copy_n(tile.status.data() + before, n, outputs.status);
            if (outputs.pulls != nullptr)
                std::copy_n(tile.pulls.data() + before * pulls, n * pulls, outputs.pulls);
        }
        else
            kernels_.row(batch);

        if (std::none_of(outputs.status, outputs.status + n, [](std::uint8_t status) { return status >= wants_general_route; })
            && outputs.rates == nullptr)
            return;
        gather(points, combinations, tile);
        for (std::size_t i = 0; i < n; ++i)
            if (outputs.status[i] == wants_general_route)
            {
                FactoredBatch single = factored_batch(tile, 1);
                single.monomials += i;
                single.blocks += i;
                single.outputs = lane_outputs(outputs, static_cast<std::ptrdiff_t>(i));
                kernels_.factored(single);
            }
        finish(points, outputs, tile);
    }

    void evaluate_factored(IndexRange points, PointOutputs const& outputs, std::vector<std::int64_t> const& combinations,
                           Tile& tile) const
    {
        gather(points, combinations, tile);
        FactoredBatch batch = factored_batch(tile, static_cast<int>(points.size()));
        batch.outputs = lane_outputs(outputs, 0);
        kernels_.factored(batch);
        finish(points, outputs, tile);
    }

    /// Monomials and templates of all points.
    void gather(IndexRange points, std::vector<std::int64_t> const& combinations, Tile& tile) const
    {
        std::int64_t node[max_axes];
        view_.grid.nodes(points.begin, node);
        for (std::size_t i = 0; i < static_cast<std::size_t>(points.size()); ++i, view_.grid.advance(node))
        {
            tile.blocks[i] = bank_.data() + bank_slot(node, combinations) * view_.layout.size();
            for (int m = 0; m < view_.layout.n_monomials; ++m)
                tile.monomials[static_cast<std::size_t>(m) * tile_size + i] = point_monomial(view_, m, node);
        }
    }

    FactoredBatch factored_batch(Tile const& tile, int n) const
    {
        FactoredBatch batch;
        batch.fit = &view_.fit;
        batch.layout = &view_.layout;
        batch.n_points = n;
        batch.stride = static_cast<int>(tile_size);
        batch.monomials = tile.monomials.data();
        batch.blocks = tile.blocks.data();
        batch.workspace = tile.workspace();
        return batch;
    }

    /// What is left to do for gathered points that the factored route has visited: those that cancel, and rates.
    void finish(IndexRange points, PointOutputs const& outputs, Tile& tile) const
    {
        auto const n = static_cast<std::size_t>(points.size());
        std::vector<std::size_t> const repeated = repeat_cancelling(points, outputs, tile);
        if (outputs.rates == nullptr)
            return;
        std::vector<double> rates(static_cast<std::size_t>(view_.layout.n_slots));
        for (std::size_t i = 0; i < n; ++i)
        {
            if (std::binary_search(repeated.begin(), repeated.end(), i))
                continue;
            for (int slot = 0; slot < view_.layout.n_slots; ++slot)
            {
                double sum = 0.0;
                for (int m = 0; m < view_.layout.n_monomials; ++m)
                    sum += tile.monomials[static_cast<std::size_t>(m) * tile_size + i] * tile.blocks[i][view_.layout.rate(m, slot)];
                rates[static_cast<std::size_t>(slot)] = sum;
            }
            copy_rates(rates.data(), outputs, i);
        }
    }

    /// Points that the factored route left alone are done by the direct one. \returns their places in the tile, ascending
    std::vector<std::size_t> repeat_cancelling(IndexRange points, PointOutputs const& outputs, Tile& tile) const
    {
        std::vector<std::size_t> cancelling;
        for (std::size_t i = 0; i < static_cast<std::size_t>(points.size()); ++i)
            if (outputs.status[i] == wants_direct_route)
                cancelling.push_back(i);
        if (cancelling.empty())
            return cancelling;
        auto const stride = static_cast<std::size_t>(view_.layout.n_slots);
        tile.rates.resize(stride * tile_size);
        for (std::size_t k = 0; k < cancelling.size(); ++k)
        {
            std::int64_t node[max_axes];
            view_.grid.nodes(points.begin + static_cast<std::int64_t>(cancelling[k]), node);
            tile.points[k] = point_at(view_, node);
            tile.results[k] = tile.rates.data() + k * stride;
        }
        kernels_.direct_rates(spectrum_batch(tile, cancelling.size()));
        for (std::size_t k = 0; k < cancelling.size(); ++k)
        {
            std::size_t const i = cancelling[k];
            RateBatch single;
            single.fit = &view_.fit;
            single.n_points = 1;
            single.rates = tile.results[k];
            single.workspace = tile.workspace();
            single.outputs = lane_outputs(outputs, static_cast<std::ptrdiff_t>(i));
            kernels_.from_rates(single);
            if (outputs.status[i] == static_cast<std::uint8_t>(PointStatus::ok))
                outputs.status[i] = static_cast<std::uint8_t>(PointStatus::ok_direct);
            copy_rates(tile.results[k], outputs, i);
        }
        return cancelling;
    }

    SpectrumBatch spectrum_batch(Tile const& tile, std::size_t n) const
    {
        SpectrumBatch batch;
        batch.problem = &view_;
        batch.n_points = static_cast<int>(n);
        batch.points = tile.points.data();
        batch.results = tile.results.data();
        batch.workspace = tile.workspace();
        return batch;
    }

    std::int64_t bank_slot(std::int64_t const* node, std::vector<std::int64_t> const& combinations) const
    {
        std::int64_t const combination = mass_combination(view_, node);
        if (combinations.empty())
            return combination;
        return std::lower_bound(combinations.begin(), combinations.end(), combination) - combinations.begin();
    }

    /// Rates of point \p i of the outputs, without the padding.
    void copy_rates(double const* rates, PointOutputs const& outputs, std::size_t i) const
    {
        if (outputs.rates == nullptr)
            return;
        double* out = outputs.rates + static_cast<std::int64_t>(i) * bin_count(view_);
        for (int e = 0; e < view_.n_experiments; ++e)
        {
            out = std::copy_n(rates, view_.response[e].n_bins, out);
            rates += view_.response[e].stride;
        }
    }

    std::shared_ptr<Problem const> problem_;
    ProblemView view_;
    Rows rows_;
    LaneKernels const& kernels_;
    bool direct_;
    ThreadTeam team_;
    std::vector<std::unique_ptr<Tile>> tiles_; ///< of each thread
    std::vector<double> bank_;
    std::vector<unsigned char> ready_;
};

} // namespace

std::unique_ptr<Backend> make_cpu_backend(std::shared_ptr<Problem const> problem, Route route, int threads)
{
    return std::make_unique<CpuBackend>(std::move(problem), route, threads);
}

PointEvaluation evaluate_point(Prepared const& prepared, FixedParameters const& fixed, bool fix_pulls)
{
    ModelPoint const point = model_point(parameter_values(fixed), prepared.inputs().oscillation);
    std::vector<std::vector<double>> rates;
    for (auto const& experiment : prepared.experiments())
    {
        auto const response = experiment.response();
        rates.emplace_back(static_cast<std::size_t>(response.stride));
        direct_rates(response, point, prepared.inputs().constants, rates.back().data());
        rates.back().resize(static_cast<std::size_t>(response.n_bins));
    }
    return evaluate_rates(prepared, std::move(rates), fix_pulls);
}

PointEvaluation evaluate_rates(Prepared const& prepared, std::vector<std::vector<double>> rates, bool fix_pulls)
{
    FitData const data = prepared.fit(fix_pulls);
    FitView const fit = data.view();
    std::vector<double> slots(static_cast<std::size_t>(fit.n_slots));
    double* next = slots.data();
    for (std::size_t e = 0; e < rates.size(); ++e)
    {
        std::copy(rates[e].begin(), rates[e].end(), next);
        next += prepared.experiments()[e].response().stride;
    }
    PointEvaluation evaluation;
    evaluation.fit = profile_chi2(fit, slots.data());
    evaluation.pulls.push_back(evaluation.fit.signal_scale - 1.0);
    evaluation.pulls.insert(evaluation.pulls.end(), evaluation.fit.pulls, evaluation.fit.pulls + fit.n_pulls);
    double const* own_pulls = evaluation.fit.pulls;
    for (std::size_t e = 0; e < rates.size(); ++e)
    {
        LikelihoodView const likelihood = prepared.experiments()[e].likelihood();
        std::vector<double> bins(static_cast<std::size_t>(likelihood.n_bins), NAN);
        if (evaluation.fit.status == PointStatus::ok)
            chi2_per_bin(likelihood, rates[e].data(), evaluation.fit.signal_scale, own_pulls, bins.data());
        evaluation.chi2_bins.push_back(std::move(bins));
        own_pulls += likelihood.n_pulls;
    }
    evaluation.rates = std::move(rates);
    return evaluation;
}

Chi2Line::Chi2Line(std::shared_ptr<Prepared const> prepared, int parameter, FixedParameters const& fixed, Route route,
                   bool fix_pulls)
{
    FixedParameters others = fixed;
    others.erase(parameter);
    // The line is a list of one point whose value is replaced at every call.
    problem_ = std::make_shared<Problem const>(std::move(prepared), std::vector<int>{parameter},
                                               std::vector<std::vector<double>>{{1.0}}, others, fix_pulls);
    auto const& view = problem_->view();
    direct_ = route == Route::direct || view.axis_map[0].is_mass;
    if (!direct_)
    {
        templates_.resize(static_cast<std::size_t>(view.layout.size()));
        fold_combination(view, 0, templates_.data());
    }
}

double Chi2Line::operator()(double value) const
{
    ProblemView view = problem_->view();
    view.grid.values[0] = &value;
    std::int64_t const node[max_axes] = {};
    std::vector<double> rates(static_cast<std::size_t>(view.layout.n_slots));
    bool accurate = false;
    if (!direct_)
    {
        double monomials[max_monomials];
        for (int m = 0; m < view.layout.n_monomials; ++m)
            monomials[m] = point_monomial(view, m, node);
        auto const block = [this](int index) { return templates_[static_cast<std::size_t>(index)]; };
        accurate = store_rates<-1>(view.layout, block, monomials, rates.data());
    }
    if (!accurate)
        point_rates_direct(view, node, rates.data());
    return profile_chi2(view.fit, rates.data()).chi2;
}

} // namespace nuscan
