/// \file
/// Body of the files that are compiled once per instruction set. Everything here is a template on `Lanes`, a type of its own in
/// every set, or local to the file: of an inline function that two sets share the linker might keep code that the processor does not
/// know. A test looks for such functions.
#pragma once

#include <cstddef>

#include "host/backends/lanes/lane_kernels.hpp"
#include "host/backends/lanes/lanes.hpp"

namespace nuscan
{
namespace
{

constexpr int n_lanes = static_cast<int>(Lanes::size());
using Ops = RealOps<Lanes>;

/// Templates that all lanes share.
struct SharedBlock
{
    double const* block;
    double operator()(int index) const { return block[index]; }
};

/// Templates of different combinations of masses, brought side by side.
struct GatheredBlock
{
    Lanes const* block;
    Lanes operator()(int index) const { return block[index]; }
};

Lanes load(double const* values, int n)
{
    // The last points of a batch fill a register with copies of the first of them.
    return Lanes([=](auto lane) { return values[static_cast<int>(lane) < n ? static_cast<int>(lane) : 0]; });
}

/// Results of \p n points from number \p first of a batch on. Points of \p skip get the status \p skipped instead.
template<int static_pulls>
void write(Profile<static_pulls, Lanes> const& profile, Ops::Mask skip, std::uint8_t skipped, int n_pulls, int first, int n,
           LaneOutputs const& outputs)
{
    if (n == n_lanes && outputs.pulls == nullptr && Ops::all(profile.finite && profile.converged && !skip))
    {
        profile.chi2.copy_to(outputs.chi2 + first, std::experimental::element_aligned);
        for (int l = 0; l < n_lanes; ++l)
            outputs.status[first + l] = static_cast<std::uint8_t>(PointStatus::ok);
        return;
    }
    for (int l = 0; l < n; ++l)
    {
        auto const lane = static_cast<std::size_t>(l);
        int const point = first + l;
        bool const ok = profile.finite[lane] && profile.converged[lane];
        auto const status = ok ? PointStatus::ok : profile.finite[lane] ? PointStatus::not_converged : PointStatus::not_finite;
        outputs.status[point] = skip[lane] ? skipped : static_cast<std::uint8_t>(status);
        outputs.chi2[point] = ok ? profile.chi2[lane] : NAN;
        if (outputs.pulls == nullptr)
            continue;
        double* const pulls = outputs.pulls + static_cast<std::ptrdiff_t>(point) * (1 + n_pulls);
        pulls[0] = ok ? profile.signal_scale[lane] - 1.0 : NAN;
        for (int p = 0; p < n_pulls; ++p)
            pulls[1 + p] = ok ? profile.pulls[p][lane] : NAN;
    }
}

template<int static_monomials, int static_pulls, class Block>
void factored_register(FactoredBatch const& batch, Block const& block, int first, int n, Lanes* rates)
{
    FitView const& fit = *batch.fit;
    FactoredLayout const& layout = *batch.layout;
    constexpr auto capacity = static_cast<std::size_t>(static_monomials < 0 ? max_monomials : static_monomials);
    Lanes monomials[capacity];
    int const n_monomials = static_monomials < 0 ? layout.n_monomials : static_monomials;
    for (int m = 0; m < n_monomials; ++m)
        monomials[m] = load(batch.monomials + static_cast<std::ptrdiff_t>(m) * batch.stride + first, n);
    FactoredPoints<static_monomials, static_pulls, Lanes, Block> points(fit, fit.counted, layout, block, monomials);
    Profile<static_pulls, Lanes> result;
    Ops::Mask accurate(false);
    if (!fit.has_poisson && !fit.fix_pulls)
        result = points.closed_form(accurate);
    if (!Ops::all(accurate))
    {
        // A point's result may not depend on its neighbours: lanes that are done keep what they have.
        Ops::Mask const done = accurate;
        Ops::Mask const good = store_rates<static_monomials>(layout, block, points.monomials(), rates);
        auto const other = points.by_bins(RatesInMemory<Lanes>{rates});
        if (!Ops::any(done))
            result = other;
        else
        {
            result.chi2 = Ops::select(done, result.chi2, other.chi2);
            result.signal_scale = Ops::select(done, result.signal_scale, other.signal_scale);
            for (int p = 0; p < fit.n_pulls; ++p)
                result.pulls[p] = Ops::select(done, result.pulls[p], other.pulls[p]);
            result.finite = (done && result.finite) || (!done && other.finite);
            result.converged = (done && result.converged) || (!done && other.converged);
        }
        accurate = accurate || good;
    }
    write(result, !accurate, wants_direct_route, fit.n_pulls, first, n, batch.outputs);
}

template<int static_monomials, int static_pulls>
void factored_batch(FactoredBatch const& batch)
{
    auto* const rates = static_cast<Lanes*>(batch.workspace);
    Lanes* const gathered = rates + batch.layout->n_slots;
    for (int first = 0; first < batch.n_points; first += n_lanes)
    {
        int const n = batch.n_points - first < n_lanes ? batch.n_points - first : n_lanes;
        double const* const* const blocks = batch.blocks + first;
        bool shared = true;
        for (int l = 1; l < n; ++l)
            shared = shared && blocks[l] == blocks[0];
        if (shared)
            factored_register<static_monomials, static_pulls>(batch, SharedBlock{blocks[0]}, first, n, rates);
        else
        {
            int const size = batch.layout->size();
            for (int i = 0; i < size; ++i)
                gathered[i] = Lanes([=](auto lane) { return blocks[static_cast<int>(lane) < n ? static_cast<int>(lane) : 0][i]; });
            factored_register<static_monomials, static_pulls>(batch, GatheredBlock{gathered}, first, n, rates);
        }
    }
}

constexpr ExtrapolationWeights extrapolation_weights;

Lanes load_all(double const* values)
{
    return Lanes(values, std::experimental::element_aligned);
}

/// Points of a row that stand for themselves: those of a fit without Poisson bins.
template<int static_pulls>
void gaussian_row_batch(RowBatch const& batch)
{
    FitView const& fit = *batch.fit;
    SharedBlock const block{batch.row->block};
    for (int first = 0; first < batch.n_points; first += n_lanes)
    {
        int const n = batch.n_points - first < n_lanes ? batch.n_points - first : n_lanes;
        Lanes const strength = n == n_lanes ? load_all(batch.strengths + first) : load(batch.strengths + first, n);
        Lanes const monomials[3] = {1.0, strength, strength * strength};
        FactoredPoints<3, static_pulls, Lanes, SharedBlock> const points(fit, fit.counted, batch.row->layout, block, monomials);
        Ops::Mask accurate(false);
        auto const result = points.closed_form(accurate);
        write(result, !accurate, wants_general_route, fit.n_pulls, first, n, batch.outputs);
    }
}

/// Points of a row of a fit with Poisson bins: each block begins where the one before it leads.
template<int static_pulls>
void poisson_row_batch(RowBatch const& batch)
{
    FitView const& fit = *batch.fit;
    RowView const& row = *batch.row;
    SharedBlock const block{row.block};
    auto* const products = static_cast<Lanes*>(batch.workspace);
    constexpr std::size_t capacity = pull_capacity<static_pulls> + 1;
    double minima[capacity][row_block_size];
    bool known = false; // minima are those of the block before
    for (int first = 0; first < batch.n_points; first += row_block_size)
    {
        double next[capacity][row_block_size];
        bool complete = first + row_block_size <= batch.n_points;
        for (int part = 0; part < row_block_size && first + part < batch.n_points; part += n_lanes)
        {
            int const begin = first + part;
            int const n = batch.n_points - begin < n_lanes ? batch.n_points - begin : n_lanes;
            Lanes const strength = n == n_lanes ? load_all(batch.strengths + begin) : load(batch.strengths + begin, n);
            Lanes const monomials[3] = {1.0, strength, strength * strength};
            RowPoints<static_pulls, Lanes, SharedBlock> points(fit, row, block, monomials);
            Lanes unknowns[capacity];
            if (known)
                for (int a = 0; a <= fit.n_pulls; ++a)
                {
                    Lanes value = 0.0;
                    for (int j = 0; j < row_block_size; ++j)
                        value = Ops::multiply_add(load_all(extrapolation_weights.of[j] + part), Lanes(minima[a][j]), value);
                    unknowns[a] = value;
                }
            Ops::Mask left(false);
            auto const result = points.minimise(known, unknowns, products, left);
            write(result, left, wants_general_route, fit.n_pulls, begin, n, batch.outputs);
            complete = complete && !Ops::any(left);
            for (int a = 0; a <= fit.n_pulls; ++a)
                unknowns[a].copy_to(next[a] + part, std::experimental::element_aligned);
        }
        known = complete;
        for (int a = 0; known && a <= fit.n_pulls; ++a)
            for (int i = 0; i < row_block_size; ++i)
                minima[a][i] = next[a][i];
    }
}

template<int static_pulls>
void row_batch(RowBatch const& batch)
{
    if (batch.fit->has_poisson)
        poisson_row_batch<static_pulls>(batch);
    else
        gaussian_row_batch<static_pulls>(batch);
}

template<int static_pulls>
void rate_batch(RateBatch const& batch)
{
    FitView const& fit = *batch.fit;
    auto* const rates = static_cast<Lanes*>(batch.workspace);
    for (int first = 0; first < batch.n_points; first += n_lanes)
    {
        int const n = batch.n_points - first < n_lanes ? batch.n_points - first : n_lanes;
        double const* const values = batch.rates + static_cast<std::ptrdiff_t>(first) * fit.n_slots;
        Lanes total = 0.0;
        for (int slot = 0; slot < fit.n_slots; ++slot)
        {
            rates[slot] = Lanes([=, &fit](auto lane) {
                return values[(static_cast<int>(lane) < n ? static_cast<int>(lane) : 0) * fit.n_slots + slot];
            });
            total = Ops::multiply_add(Ops::abs(rates[slot]), Lanes(fit.used[slot]), total);
        }
        Lanes const inverse_unit = 1.0 / signal_scale_unit(fit, total);
        for (int slot = 0; slot < fit.n_slots; ++slot)
            rates[slot] *= inverse_unit;
        RatesInMemory<Lanes> const source{rates};
        SignalSums<static_pulls, Lanes> sums;
        add_up_signal(fit, source, sums);
        write(profile(fit, fit.counted, source, sums, inverse_unit, Ops::is_finite(total)), Ops::Mask(false), wants_direct_route,
              fit.n_pulls, first, n, batch.outputs);
    }
}

/// The numbers of monomials and pulls that occur most are compiled in: one coupling, and the pulls of the experiments at hand.
void evaluate_factored(FactoredBatch const& batch)
{
    bool const one_coupling = batch.layout->n_monomials == 3;
    switch (batch.fit->n_pulls)
    {
    case 0:
        return one_coupling ? factored_batch<3, 0>(batch) : factored_batch<-1, 0>(batch);
    case 2:
        return one_coupling ? factored_batch<3, 2>(batch) : factored_batch<-1, 2>(batch);
    default:
        return factored_batch<-1, -1>(batch);
    }
}

void evaluate_row(RowBatch const& batch)
{
    switch (batch.fit->n_pulls)
    {
    case 0:
        return row_batch<0>(batch);
    case 2:
        return row_batch<2>(batch);
    default:
        return row_batch<-1>(batch);
    }
}

void evaluate_rates(RateBatch const& batch)
{
    switch (batch.fit->n_pulls)
    {
    case 0:
        return rate_batch<0>(batch);
    case 2:
        return rate_batch<2>(batch);
    default:
        return rate_batch<-1>(batch);
    }
}

/// Points side by side; the last of a batch fill a register with copies of the first of them.
ModelPointOf<Lanes> side_by_side(ModelPoint const* points, int n)
{
    ModelPointOf<Lanes> result;
    auto const gather = [=](auto const& member) {
        return Lanes([&](auto lane) { return member(points[static_cast<int>(lane) < n ? static_cast<int>(lane) : 0]); });
    };
    for (int i = 0; i < n_interactions; ++i)
    {
        result.mass[i] = gather([i](ModelPoint const& point) { return point.mass[i]; });
        for (int s = 0; s < n_species; ++s)
            result.strength[i][s] = gather([i, s](ModelPoint const& point) { return point.strength[i][s]; });
    }
    for (int l = 0; l < n; ++l)
        result.active |= points[l].active;
    return result;
}

/// Hands \p size results of \p n points over, one point behind the other.
void scatter(Lanes const* results, int size, double* const* to, int n)
{
    for (int i = 0; i < size; ++i)
        for (int l = 0; l < n; ++l)
            to[l][i] = results[i][static_cast<std::size_t>(l)];
}

void evaluate_direct_rates(SpectrumBatch const& batch)
{
    ProblemView const& problem = *batch.problem;
    auto* const rates = static_cast<Lanes*>(batch.workspace);
    for (int first = 0; first < batch.n_points; first += n_lanes)
    {
        int const n = batch.n_points - first < n_lanes ? batch.n_points - first : n_lanes;
        ModelPointOf<Lanes> const point = side_by_side(batch.points + first, n);
        Lanes* next = rates;
        for (int e = 0; e < problem.n_experiments; ++e)
        {
            direct_rates(problem.response[e], point, problem.constants, next);
            next += problem.response[e].stride;
        }
        scatter(rates, problem.layout.n_slots, batch.results + first, n);
    }
}

void evaluate_templates(SpectrumBatch const& batch)
{
    ProblemView const& problem = *batch.problem;
    FactoredLayout const& layout = problem.layout;
    auto* const block = static_cast<Lanes*>(batch.workspace);
    for (int first = 0; first < batch.n_points; first += n_lanes)
    {
        int const n = batch.n_points - first < n_lanes ? batch.n_points - first : n_lanes;
        ModelPointOf<Lanes> const base = side_by_side(batch.points + first, n);
        Lanes* next = block;
        for (int e = 0; e < problem.n_experiments; ++e)
        {
            fold_templates(problem.response[e], problem.basis, base, problem.constants, layout.n_slots, next);
            next += problem.response[e].stride;
        }
        add_up_templates(problem.fit, layout, block);
        scatter(block, layout.size(), batch.results + first, n);
    }
}

void logarithms(double const* x, double* result, int n)
{
    for (int first = 0; first < n; first += n_lanes)
    {
        int const size = n - first < n_lanes ? n - first : n_lanes;
        Lanes const values = Ops::log(load(x + first, size));
        for (int l = 0; l < size; ++l)
            result[first + l] = values[static_cast<std::size_t>(l)];
    }
}

} // namespace
} // namespace nuscan
