/// \file
/// The check that every scan makes of itself: random points computed again by the reference.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "host/backends/reference.hpp"
#include "host/scan/problem.hpp"

namespace nuscan
{

/// Bound on |delta chi^2| / (1 + chi^2) between a backend and the reference; a scan above it is marked failed.
inline constexpr double self_check_tolerance = 1e-6;

/// Rates [events or 1/(t yr)] above this are at the end of what numbers can be: sums of them overflow in one order and not in another,
/// so that of two right calculations one may be without a value.
inline constexpr double largest_rate = 1e290;

/// A point computed again.
struct CheckedPoint
{
    std::int64_t index;
    double chi2;    ///< NaN where the reference gives no finite value either
    bool overflows; ///< whether a rate is above `largest_rate`, or no number: the difference of terms that are
};

CheckedPoint checked_point(std::int64_t index, ReferenceCalculation::Result const& reference);

/// |delta chi^2| / (1 + chi^2); infinite where only one of the two is finite.
double check_deviation(double chi2, double reference);

/// The same, but 0 where only one of the two is finite because rates overflow: that is a failed point, no wrong one.
double check_deviation(double chi2, CheckedPoint const& reference);

/// Draws points of a scan (the same ones for the same configuration) and computes them by the reference in a thread of its own while
/// the scan runs: as many as cost about a tenth of the compute time, at least 4 and at most 64.
class SelfCheck
{
public:
    /// \param range  points to draw from
    /// \param seed   text that the points are drawn from
    SelfCheck(std::shared_ptr<Problem const> problem, IndexRange range, std::string const& seed);
    /// Stops without result.
    ~SelfCheck();

    /// All points that it may come to, in the order of computing them.
    std::vector<std::int64_t> indices() const;

    /// Tells how long the compute phase took, waits for the thread and returns its points, ascending by index.
    std::vector<CheckedPoint> finish(double compute_time_s);

private:
    void run();

    std::shared_ptr<Problem const> problem_;
    std::vector<std::int64_t> drawn_; ///< counted from begin_
    std::int64_t begin_;
    std::vector<CheckedPoint> points_;
    std::atomic<double> compute_time_{-1.0};
    std::atomic<bool> cancelled_{false};
    std::exception_ptr failure_;
    std::thread thread_;
};

/// Indices of \p n random points of a grid of \p size points, distinct where there are enough.
std::vector<std::int64_t> draw_points(std::int64_t size, std::size_t n, std::string const& seed);

} // namespace nuscan
