#include "host/scan/self_check.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "host/support/clock.hpp"
#include "host/support/sha256.hpp"
#include "host/support/start_thread.hpp"

namespace nuscan
{

namespace
{

constexpr std::size_t fewest_points = 4;
constexpr std::size_t most_points = 64;
/// Part of the compute time that the check may take.
constexpr double time_share = 0.1;

} // namespace

CheckedPoint checked_point(std::int64_t index, ReferenceCalculation::Result const& reference)
{
    bool overflows = false;
    for (auto const& rates : reference.rates)
        for (double const rate : rates)
            overflows = overflows || !(std::fabs(rate) <= largest_rate);
    return {index, reference.chi2, overflows};
}

double check_deviation(double chi2, CheckedPoint const& reference)
{
    if (reference.overflows && std::isfinite(chi2) != std::isfinite(reference.chi2))
        return 0.0;
    return check_deviation(chi2, reference.chi2);
}

double check_deviation(double chi2, double reference)
{
    if (std::isfinite(chi2) != std::isfinite(reference))
        return std::numeric_limits<double>::infinity();
    return std::isfinite(chi2) ? std::fabs(chi2 - reference) / (1.0 + std::fabs(reference)) : 0.0;
}

std::vector<std::int64_t> draw_points(std::int64_t size, std::size_t n, std::string const& seed)
{
    std::string const digest = sha256(seed);
    std::seed_seq sequence(digest.begin(), digest.end());
    std::mt19937_64 generator(sequence);
    std::set<std::int64_t> seen;
    std::vector<std::int64_t> points;
    if (static_cast<std::uint64_t>(size) <= n)
    {
        for (std::int64_t i = 0; i < size; ++i)
            points.push_back(i);
        return points;
    }
    while (points.size() < n)
    {
        // The remainder of a 64-bit number: its bias is far below what a spot check could notice, and it is the same everywhere.
        auto const index = static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(size));
        if (seen.insert(index).second)
            points.push_back(index);
    }
    return points;
}

SelfCheck::SelfCheck(std::shared_ptr<Problem const> problem, IndexRange range, std::string const& seed)
    : problem_(std::move(problem))
    , drawn_(draw_points(range.size(), most_points, seed))
    , begin_(range.begin)
    , thread_(start_thread([this] { run(); }))
{
}

SelfCheck::~SelfCheck()
{
    cancelled_ = true;
    if (thread_.joinable())
        thread_.join();
}

void SelfCheck::run()
{
    try
    {
        auto const compute_start = Clock::now();
        ReferenceCalculation const reference(problem_->prepared().inputs());
        double spent = 0.0;
        for (std::size_t i = 0; i < drawn_.size() && !cancelled_; ++i)
        {
            // Beyond the fewest, a point is computed once the compute phase has lasted long enough to afford it.
            while (i >= fewest_points && compute_time_ < 0.0 && spent > time_share * seconds_since(compute_start) && !cancelled_)
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            if (i >= fewest_points && compute_time_ >= 0.0 && spent > time_share * compute_time_)
                break;
            auto const start = Clock::now();
            std::int64_t const index = begin_ + drawn_[i];
            points_.push_back(checked_point(index, reference.evaluate(problem_->values(index))));
            spent += seconds_since(start);
        }
    }
    catch (...)
    {
        failure_ = std::current_exception();
    }
}

std::vector<std::int64_t> SelfCheck::indices() const
{
    auto indices = drawn_;
    for (std::int64_t& index : indices)
        index += begin_;
    return indices;
}

std::vector<CheckedPoint> SelfCheck::finish(double compute_time_s)
{
    compute_time_ = compute_time_s;
    thread_.join();
    if (failure_)
        std::rethrow_exception(failure_);
    std::sort(points_.begin(), points_.end(), [](CheckedPoint const& a, CheckedPoint const& b) { return a.index < b.index; });
    return std::move(points_);
}

} // namespace nuscan
