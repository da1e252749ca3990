/// \file
/// Preparation of rows: what a backend works out once per problem and once per row before its points are evaluated side by side.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nuscan/scan/backend.hpp"
#include "nuscan/scan/problem_view.hpp"
#include "nuscan/scan/row.hpp"

namespace nuscan
{

/// Points of a row that are worked off one after the other, each from where those before it lead.
inline constexpr std::int64_t row_tile_size = 256;

/// The numbers of LogLevels.
class LogLevelTable
{
public:
    LogLevelTable() = default;
    /// \param data  of the counted bins, in falling order
    explicit LogLevelTable(std::vector<double> const& data);
    LogLevels view() const { return {static_cast<int>(end_.size()), weight_.data(), power_.data(), end_.data(), simple_}; }

private:
    std::vector<double> weight_;
    std::vector<int> power_;
    std::vector<int> end_;
    bool simple_ = true;
};

/// Numbers of one row, reused from row to row.
struct RowMemory
{
    RowView view;
    std::vector<double> block;
    std::vector<double> bins;
    std::vector<double> gaussian_pull;
};

/// Rows of a problem's grid by the factored route.
class Rows
{
public:
    /// \param problem  outlives this
    explicit Rows(ProblemView const& problem);

    /// True if the grid has rows that are worth it: its last axis is a coupling with enough nodes, and pulls are profiled.
    bool any() const { return variable_ >= 0; }
    /// Points of a row.
    std::int64_t length() const { return any() ? problem_.grid.shape[problem_.grid.n_axes - 1] : 0; }
    /// Number of the tile that a point belongs to. Tiles have their place in the grid, whatever the chunks of a scan.
    std::int64_t tile(std::int64_t index) const;
    /// Points of a tile: of one row, the last ones of a row fewer than row_tile_size.
    IndexRange tile_range(std::int64_t tile) const;
    /// Strengths of all points of a row.
    double const* strengths() const { return strengths_.data(); }

    /// Prepares the row of a point. \param node  of any point of the row  \param block  templates of its combination of masses
    /// \returns false if terms of a rate might cancel somewhere in the row, or a number is not finite: such rows take the general way
    bool prepare(std::int64_t const* node, double const* block, RowMemory& memory) const;

private:
    std::int64_t tiles_per_row() const { return (length() + row_tile_size - 1) / row_tile_size; }
    void collapse(std::int64_t const* node, double const* block, RowMemory& memory) const;
    bool never_cancels(std::int64_t const* node, double const* block, RowMemory const& memory) const;
    void fill_bins(RowMemory& memory) const;
    void add_up_gaussian(RowMemory& memory) const;
    /// Monomial \p m without its power of the row's variable.
    double coefficient(int m, std::int64_t const* node) const;

    ProblemView const& problem_;
    FactoredLayout layout_;
    int variable_ = -1; ///< that of the last axis, -1 without rows
    std::array<int, max_monomials> degree_{};
    std::vector<double> strengths_;
    double least_strength_ = 0.0;
    double largest_strength_ = 0.0;

    std::vector<double> templates_; ///< [n_pulls] sums over the counted bins
    double excess_ = 0.0;
    double data_ = 0.0;
    double size_ = 0.0;
    double largest_inverse_ = 0.0;
    std::vector<int> order_; ///< the counted bins by falling data
    bool spanned_ = true;
    LogLevelTable logs_;
};

} // namespace nuscan
