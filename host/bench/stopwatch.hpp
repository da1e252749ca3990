/// \file
/// Repeated timings: the best counts, the spread says how far it can be trusted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "host/support/clock.hpp"

namespace nuscan::bench
{

/// How long things are measured.
struct Effort
{
    int repeats = 5;
    double min_time = 0.2; ///< of one repeat [s]
};

/// Seconds of one piece of work in each repeat.
struct Timing
{
    std::vector<double> seconds;

    double best() const { return *std::min_element(seconds.begin(), seconds.end()); }
    /// Distance of the median from the best, relative to the best.
    double noise() const
    {
        std::vector<double> sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        std::size_t const n = sorted.size();
        double const median = n % 2 != 0 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
        return median / sorted.front() - 1.0;
    }
};

/// Seconds of \p passes of \p work.
template<class Work>
double time_of(Work&& work, std::int64_t passes)
{
    auto const start = Clock::now();
    work(passes);
    return seconds_since(start);
}

/// Passes of \p work, called with a number of them, that take the least time of a repeat; it is warmed up after that.
template<class Work>
std::int64_t passes_of_a_repeat(Effort const& effort, Work&& work)
{
    std::int64_t passes = 1;
    for (;;)
    {
        // The shorter of two: the first may start threads, either may be held up.
        double const first = time_of(work, passes);
        double const elapsed = std::min(first, time_of(work, passes));
        if (elapsed >= 0.5 * effort.min_time)
            return std::max<std::int64_t>(1, std::llround(static_cast<double>(passes) * effort.min_time / elapsed));
        double const more = elapsed > 0.0 ? std::clamp(effort.min_time / elapsed, 2.0, 100.0) : 100.0;
        passes = std::llround(static_cast<double>(passes) * more);
    }
}

/// Times several pieces of work in turn, a repeat of each after the other: what the machine does besides changes in the course of
/// seconds, and their ratios should not. \returns for each the seconds of one pass
template<class Work>
std::vector<Timing> measure_in_turn(Effort const& effort, std::vector<Work> const& works)
{
    std::vector<std::int64_t> passes;
    for (auto const& work : works)
        passes.push_back(passes_of_a_repeat(effort, work));
    std::vector<Timing> timings(works.size());
    for (int repeat = 0; repeat < effort.repeats; ++repeat)
        for (std::size_t i = 0; i < works.size(); ++i)
            timings[i].seconds.push_back(time_of(works[i], passes[i]) / static_cast<double>(passes[i]));
    return timings;
}

/// Times \p work, called with a number of passes, once it has been warmed up. \returns the seconds of one pass
template<class Work>
Timing measure(Effort const& effort, Work const& work)
{
    return measure_in_turn(effort, std::vector<Work>{work}).front();
}

} // namespace nuscan::bench
