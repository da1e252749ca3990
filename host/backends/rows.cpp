#include "host/backends/rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

namespace nuscan
{

namespace
{

/// Points of a row that pay for its preparation.
constexpr std::int64_t shortest_row = 16;
/// Largest relative difference between a background and the templates that make it up: their rounding.
constexpr double span_tolerance = 8 * std::numeric_limits<double>::epsilon();

std::size_t index(int i)
{
    return static_cast<std::size_t>(i);
}

} // namespace

LogLevelTable::LogLevelTable(std::vector<double> const& data)
{
    int powers = 0;
    int begin = 0;
    for (std::size_t k = 0; k < data.size(); ++k)
    {
        double const next = k + 1 < data.size() ? data[k + 1] : 0.0;
        if (next == data[k])
            continue;
        double const weight = data[k] - next;
        bool const is_power = weight == std::floor(weight) && weight <= std::min(max_log_power, max_log_powers - powers);
        int const end = static_cast<int>(k) + 1;
        weight_.push_back(weight);
        power_.push_back(is_power ? static_cast<int>(weight) : 0);
        end_.push_back(end);
        simple_ = simple_ && is_power && end - begin <= max_log_factors;
        powers += power_.back();
        begin = end;
    }
}

Rows::Rows(ProblemView const& problem) : problem_(problem)
{
    GridView const& grid = problem.grid;
    int const last = grid.n_axes - 1;
    if (grid.is_list || last < 0 || grid.shape[last] < shortest_row || problem.fit.fix_pulls)
        return;
    for (int v = 0; v < problem.basis.n_variables; ++v)
        if (problem.variable_axis[v] == last)
            variable_ = v;
    if (!any())
        return;
    for (int m = 0; m < problem.layout.n_monomials; ++m)
        degree_[index(m)] = (problem.basis.first[m] == variable_) + (problem.basis.second[m] == variable_);
    layout_ = problem.layout;
    layout_.n_monomials = 3;
    for (std::int64_t i = 0; i < grid.shape[last]; ++i)
        strengths_.push_back(coupling_strength(grid.values[last][i], problem.axis_map[last].power));
    auto const [least, largest] = std::minmax_element(strengths_.begin(), strengths_.end());
    least_strength_ = *least;
    largest_strength_ = *largest;

    FitView const& fit = problem.fit;
    templates_.assign(index(fit.n_pulls), 0.0);
    CountedBins const& counted = fit.counted;
    order_.resize(index(counted.n));
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) { return counted.data[a] > counted.data[b]; });
    std::vector<double> data;
    for (int const k : order_)
    {
        data.push_back(counted.data[k]);
        excess_ += counted.base[k] - counted.data[k];
        data_ += counted.data[k];
        size_ += std::max(counted.data[k], std::fabs(counted.base[k]));
        largest_inverse_ = std::max(largest_inverse_, counted.inverse[k]);
        double sum = 0.0;
        for (int p = 0; p < fit.n_pulls; ++p)
        {
            double const pull_template = counted.templates[k * fit.n_pulls + p];
            templates_[index(p)] += pull_template;
            sum += pull_template;
        }
        spanned_ = spanned_ && std::fabs(counted.base[k] - sum) <= span_tolerance * std::fabs(counted.base[k]);
    }
    logs_ = LogLevelTable(data);
}

std::int64_t Rows::tile(std::int64_t index) const
{
    return index / length() * tiles_per_row() + index % length() / row_tile_size;
}

IndexRange Rows::tile_range(std::int64_t tile) const
{
    std::int64_t const row = tile / tiles_per_row() * length();
    std::int64_t const begin = tile % tiles_per_row() * row_tile_size;
    return {row + begin, row + std::min(begin + row_tile_size, length())};
}

double Rows::coefficient(int m, std::int64_t const* node) const
{
    double value = 1.0;
    for (int const variable : {problem_.basis.first[m], problem_.basis.second[m]})
        if (variable >= 0 && variable != variable_)
        {
            int const a = problem_.variable_axis[variable];
            value *= coupling_strength(problem_.grid.values[a][node[a]], problem_.axis_map[a].power);
        }
    return value;
}

bool Rows::prepare(std::int64_t const* node, double const* block, RowMemory& memory) const
{
    memory.view.layout = layout_;
    if (problem_.basis.n_variables == 1 && problem_.layout.n_monomials == 3)
        memory.view.block = block;
    else
    {
        collapse(node, block, memory);
        memory.view.block = memory.block.data();
    }
    if (!problem_.fit.has_poisson)
        return true;
    if (!never_cancels(node, block, memory))
        return false;
    fill_bins(memory);
    if (problem_.fit.n_gaussian > 0)
        add_up_gaussian(memory);
    memory.view.templates = templates_.data();
    memory.view.excess = excess_;
    memory.view.data = data_;
    memory.view.largest_inverse = largest_inverse_;
    memory.view.by_products = size_ <= max_summed_size;
    memory.view.spanned = spanned_;
    memory.view.logs = logs_.view();
    return true;
}

void Rows::collapse(std::int64_t const* node, double const* block, RowMemory& memory) const
{
    FactoredLayout const& from = problem_.layout;
    memory.block.assign(index(layout_.size()), 0.0);
    double* const to = memory.block.data();
    for (int m = 0; m < from.n_monomials; ++m)
    {
        double const factor = coefficient(m, node);
        int const d = degree_[index(m)];
        for (int slot = 0; slot < from.n_slots; ++slot)
            to[layout_.rate(d, slot)] += factor * block[from.rate(m, slot)];
        to[layout_.total(d)] += factor * block[from.total(m)];
        to[layout_.empty(d)] += factor * block[from.empty(m)];
        to[layout_.residual(d)] += factor * block[from.residual(m)];
        // An upper bound, as the sum of all terms' norms is.
        to[layout_.norm(d)] += std::fabs(factor) * block[from.norm(m)];
        for (int p = 0; p < from.n_pulls; ++p)
            to[layout_.pull(p, d)] += factor * block[from.pull(p, m)];
        for (int other = 0; other <= m; ++other)
        {
            int const e = degree_[index(other)];
            to[layout_.square(std::max(d, e), std::min(d, e))] += factor * coefficient(other, node) * block[from.square(m, other)];
        }
    }
}

bool Rows::never_cancels(std::int64_t const* node, double const* block, RowMemory const& memory) const
{
    FactoredLayout const& from = problem_.layout;
    double coefficients[max_monomials];
    for (int m = 0; m < from.n_monomials; ++m)
        coefficients[m] = coefficient(m, node);
    for (int slot = 0; slot < from.n_slots; ++slot)
    {
        double magnitude[3] = {};
        for (int m = 0; m < from.n_monomials; ++m)
            magnitude[degree_[index(m)]] += std::fabs(coefficients[m] * block[from.rate(m, slot)]);
        double const constant = memory.view.block[layout_.rate(0, slot)];
        double const linear = memory.view.block[layout_.rate(1, slot)];
        double const square = memory.view.block[layout_.rate(2, slot)];
        // Terms of degree 0 and 2 add up, or there are none.
        double ratio = 0.0;
        for (auto const& [size, sum] : {std::pair{magnitude[0], constant}, std::pair{magnitude[2], square}})
            if (size > 0.0)
                ratio = std::max(ratio, sum > 0.0 ? size / sum : HUGE_VAL);
        if (magnitude[1] > 0.0)
        {
            bool const helps = linear * least_strength_ >= 0.0 && linear * largest_strength_ >= 0.0;
            if (helps)
                ratio = std::max(ratio, magnitude[1] / std::fabs(linear));
            else
            {
                // |z| <= (T_0 + z^2 T_2)/(2 sqrt(T_0 T_2)).
                double const mean = 2.0 * std::sqrt(constant * square);
                ratio = (ratio + magnitude[1] / mean) / (1.0 - std::fabs(linear) / mean);
                ratio = ratio >= 0.0 ? ratio : HUGE_VAL;
            }
        }
        // The negation also refuses what is no number.
        if (!(ratio <= cancellation_limit))
            return false;
    }
    return true;
}

void Rows::fill_bins(RowMemory& memory) const
{
    FitView const& fit = problem_.fit;
    CountedBins const& counted = fit.counted;
    auto const record = index(RowView::record(fit.n_pulls));
    memory.bins.resize(index(counted.n) * record);
    double* to = memory.bins.data();
    for (double& sum : memory.view.rate)
        sum = 0.0;
    for (int const k : order_)
    {
        double const inverse = counted.inverse[k];
        for (int d = 0; d < 3; ++d)
        {
            double const rate = memory.view.block[layout_.rate(d, counted.slot[k])];
            memory.view.rate[d] += rate;
            *to++ = rate * inverse;
        }
        *to++ = std::sqrt(counted.data[k]);
        *to++ = counted.base[k] * inverse;
        double const* const templates = counted.templates + k * fit.n_pulls;
        for (int p = 0; p < fit.n_pulls; ++p)
            *to++ = templates[p] * inverse;
        for (int p = 0; p < fit.n_pulls; ++p)
            for (int q = 0; q <= p; ++q)
                *to++ = templates[p] * inverse * (templates[q] * inverse);
    }
    memory.view.bins = memory.bins.data();
}

void Rows::add_up_gaussian(RowMemory& memory) const
{
    FitView const& fit = problem_.fit;
    RowView& view = memory.view;
    std::fill(std::begin(view.gaussian_residual), std::end(view.gaussian_residual), 0.0);
    std::fill(std::begin(view.gaussian_square), std::end(view.gaussian_square), 0.0);
    memory.gaussian_pull.assign(3 * index(fit.n_pulls), 0.0);
    for (int k = 0; k < fit.n_gaussian; ++k)
    {
        int const slot = fit.gaussian_slot[k];
        for (int d = 0, pair = 0; d < 3; ++d)
        {
            double const rate = view.block[layout_.rate(d, slot)];
            view.gaussian_residual[d] += fit.gaussian.residual[slot] * rate;
            for (int e = 0; e <= d; ++e, ++pair)
                view.gaussian_square[pair] += (e < d ? 2.0 : 1.0) * fit.gaussian.weight[slot] * rate
                                              * view.block[layout_.rate(e, slot)];
            for (int p = 0; p < fit.n_pulls; ++p)
                memory.gaussian_pull[index(3 * p + d)] += fit.gaussian.weighted[p * fit.n_slots + slot] * rate;
        }
    }
    view.gaussian_pull = memory.gaussian_pull.data();
}

} // namespace nuscan
