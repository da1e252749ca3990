#include "host/backends/cpu.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace nuscan
{

namespace
{

/// Points that one thread takes at a time.
constexpr std::int64_t tile_size = 256;
/// Templates kept in memory; a grid of more mass combinations is worked off in blocks.
constexpr std::size_t template_budget = std::size_t{512} << 20;

class CpuBackend : public Backend
{
public:
    CpuBackend(std::shared_ptr<Problem const> problem, Route route, int threads)
        : problem_(std::move(problem))
        , view_(problem_->view())
        , direct_(route == Route::direct)
        , threads_(threads > 0 ? threads : omp_get_max_threads())
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
        auto const bytes = static_cast<std::size_t>(template_stride(view_)) * sizeof(double);
        auto const capacity = std::max<std::int64_t>(1, static_cast<std::int64_t>(template_budget / bytes));
        if (view_.n_mass_combinations <= capacity)
        {
            std::vector<std::int64_t> const combinations = combinations_of(range);
            bank_.resize(static_cast<std::size_t>(view_.n_mass_combinations * template_stride(view_)));
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
            bank_.resize(combinations.size() * static_cast<std::size_t>(template_stride(view_)));
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
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads_)
        for (std::ptrdiff_t i = 0; i < n; ++i)
        {
            auto const index = static_cast<std::size_t>(i);
            auto const slot = slot_of(index, combinations[index]);
            fold_combination(view_, combinations[index], bank_.data() + slot * template_stride(view_));
        }
    }

    /// Evaluates \p block, a part of the range that \p outputs belongs to. \p combinations lists the combinations in the bank where
    /// it does not hold all of them.
    void evaluate_block(IndexRange block, IndexRange range, PointOutputs const& outputs,
                        std::vector<std::int64_t> const& combinations) const
    {
        auto const tiles = (block.size() + tile_size - 1) / tile_size;
        auto const stride = static_cast<std::size_t>(view_.rate_stride);
#pragma omp parallel num_threads(threads_)
        {
            std::vector<double> rates(stride);
#pragma omp for schedule(dynamic, 1)
            for (std::int64_t tile = 0; tile < tiles; ++tile)
            {
                std::int64_t const begin = block.begin + tile * tile_size;
                std::int64_t const end = std::min(begin + tile_size, block.end);
                std::int64_t node[max_axes];
                view_.grid.nodes(begin, node);
                for (std::int64_t index = begin; index < end; ++index, view_.grid.advance(node))
                    evaluate_point(node, static_cast<std::size_t>(index - range.begin), outputs, combinations, rates.data());
            }
        }
    }

    void evaluate_point(std::int64_t const* node, std::size_t slot, PointOutputs const& outputs,
                        std::vector<std::int64_t> const& combinations, double* rates) const
    {
        auto status = PointStatus::ok;
        if (direct_)
            point_rates_direct(view_, node, rates);
        else
        {
            std::int64_t bank_slot = mass_combination(view_, node);
            if (!combinations.empty())
                bank_slot = std::lower_bound(combinations.begin(), combinations.end(), bank_slot) - combinations.begin();
            if (!point_rates_factored(view_, node, bank_.data() + bank_slot * template_stride(view_), rates))
            {
                point_rates_direct(view_, node, rates);
                status = PointStatus::ok_direct;
            }
        }
        FitResult const result = profile_chi2(view_.fit, rates);
        if (result.status != PointStatus::ok)
            status = result.status;
        outputs.chi2[slot] = result.chi2;
        outputs.status[slot] = static_cast<std::uint8_t>(status);
        if (outputs.pulls != nullptr)
        {
            auto const n_pulls = static_cast<std::size_t>(view_.fit.n_pulls);
            double* const pulls = outputs.pulls + slot * (1 + n_pulls);
            pulls[0] = result.signal_scale - 1.0;
            std::copy_n(result.pulls, n_pulls, pulls + 1);
        }
        if (outputs.rates != nullptr)
        {
            double* out = outputs.rates;
            std::size_t bins = 0;
            for (int e = 0; e < view_.fit.n_experiments; ++e)
                bins += static_cast<std::size_t>(view_.response[e].n_bins);
            out += slot * bins;
            for (int e = 0; e < view_.fit.n_experiments; ++e)
            {
                out = std::copy_n(rates, view_.response[e].n_bins, out);
                rates += view_.response[e].stride;
            }
        }
    }

    std::shared_ptr<Problem const> problem_;
    ProblemView view_;
    bool direct_;
    int threads_;
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
    auto const stride = static_cast<std::size_t>(prepared.rate_stride());
    std::vector<double> rates(stride);
    std::vector<double> bins(stride);
    ModelPoint const point = model_point(parameter_values(fixed), prepared.inputs().oscillation);
    double* next = rates.data();
    for (auto const& experiment : prepared.experiments())
    {
        auto const response = experiment.response();
        direct_rates(response, point, prepared.inputs().constants, next);
        next += response.stride;
    }
    PointEvaluation evaluation;
    FitView const fit = prepared.fit(fix_pulls);
    evaluation.fit = profile_chi2(fit, rates.data(), bins.data());
    if (evaluation.fit.status != PointStatus::ok)
        std::fill(bins.begin(), bins.end(), NAN);
    evaluation.pulls.push_back(evaluation.fit.signal_scale - 1.0);
    evaluation.pulls.insert(evaluation.pulls.end(), evaluation.fit.pulls, evaluation.fit.pulls + fit.n_pulls);
    std::ptrdiff_t offset = 0;
    for (auto const& experiment : prepared.experiments())
    {
        auto const response = experiment.response();
        evaluation.rates.emplace_back(rates.begin() + offset, rates.begin() + offset + response.n_bins);
        evaluation.chi2_bins.emplace_back(bins.begin() + offset, bins.begin() + offset + response.n_bins);
        offset += response.stride;
    }
    return evaluation;
}

Chi2Line::Chi2Line(std::shared_ptr<Prepared const> prepared, int parameter, FixedParameters const& fixed, Route route,
                   bool fix_pulls)
    : prepared_(prepared)
    , map_(resolve_parameter(parameter, prepared->inputs().oscillation))
    , direct_(route == Route::direct || map_.is_mass)
{
    FixedParameters others = fixed;
    others.erase(parameter);
    // The line is a list of one point whose value is replaced at every call.
    Problem const problem(prepared, {parameter}, {{1.0}}, others, fix_pulls);
    view_ = problem.view();
    if (!direct_)
    {
        templates_.resize(static_cast<std::size_t>(template_stride(view_)));
        fold_combination(view_, 0, templates_.data());
    }
}

double Chi2Line::operator()(double value) const
{
    ProblemView view = view_;
    view.grid.values[0] = &value;
    std::int64_t const node[max_axes] = {};
    std::vector<double> rates(static_cast<std::size_t>(view.rate_stride));
    if (direct_ || !point_rates_factored(view, node, templates_.data(), rates.data()))
        point_rates_direct(view, node, rates.data());
    return profile_chi2(view.fit, rates.data()).chi2;
}

} // namespace nuscan
