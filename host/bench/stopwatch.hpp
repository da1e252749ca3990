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

/// Times \p work, called with a number of passes, once it has been warmed up. \returns the seconds of one pass
template<class Work>
Timing measure(Effort const& effort, Work&& work)
{
    auto const time = [&](std::int64_t passes) {
        auto const start = Clock::now();
        work(passes);
        return seconds_since(start);
    };
    std::int64_t passes = 1;
    for (;;)
    {
        // The shorter of two: the first may start threads, either may be held up.
        double const elapsed = std::min(time(passes), time(passes));
        if (elapsed >= 0.5 * effort.min_time)
        {
            passes = std::max<std::int64_t>(1, std::llround(static_cast<double>(passes) * effort.min_time / elapsed));
            break;
        }
        double const more = elapsed > 0.0 ? std::clamp(effort.min_time / elapsed, 2.0, 100.0) : 100.0;
        passes = std::llround(static_cast<double>(passes) * more);
    }
    Timing timing;
    for (int repeat = 0; repeat < effort.repeats; ++repeat)
        timing.seconds.push_back(time(passes) / static_cast<double>(passes));
    return timing;
}

} // namespace nuscan::bench
