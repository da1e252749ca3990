#include "host/scan/findings.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "nuscan/scan/backend.hpp"

namespace nuscan
{

namespace
{

/// Values compared side by side: as wide as vector registers get.
constexpr std::size_t width = 8;

/// Lowest value by comparisons that vector instructions take; HUGE_VAL if all are NaN.
double lowest(std::size_t n, double const* values)
{
    std::array<double, width> low;
    low.fill(HUGE_VAL);
    std::size_t i = 0;
    for (; i + width <= n; i += width)
        for (std::size_t k = 0; k < width; ++k)
            low[k] = values[i + k] < low[k] ? values[i + k] : low[k];
    for (; i < n; ++i)
        low[0] = values[i] < low[0] ? values[i] : low[0];
    return *std::min_element(low.begin(), low.end());
}

} // namespace

void Findings::add(Findings const& others)
{
    best = LowerValue{}(best, others.best);
    not_converged += others.not_converged;
    not_finite += others.not_finite;
    direct_fallback += others.direct_fallback;
    if (never_computed < 0 || (others.never_computed >= 0 && others.never_computed < never_computed))
        never_computed = others.never_computed;
}

Findings findings_of(std::int64_t begin, std::int64_t n, double const* chi2, std::uint8_t const* status)
{
    constexpr std::int64_t block = 4096;
    Findings all;
    for (std::int64_t first = 0; first < n; first += block)
    {
        std::int64_t const end = std::min(first + block, n);
        double const low = lowest(static_cast<std::size_t>(end - first), chi2 + first);
        // An infinite chi^2 is a number, too, but never below what was found.
        if (all.best.index < 0 || low < all.best.value)
            for (std::int64_t i = first; i < end; ++i)
                all.best = LowerValue{}(all.best, indexed_value(chi2[i], begin + i));
        if (std::all_of(status + first, status + end,
                        [](std::uint8_t value) { return value == static_cast<std::uint8_t>(PointStatus::ok); }))
            continue;
        for (std::int64_t i = first; i < end; ++i)
            switch (static_cast<PointStatus>(status[i]))
            {
            case PointStatus::ok:
                break;
            case PointStatus::ok_direct:
                ++all.direct_fallback;
                break;
            case PointStatus::not_converged:
                ++all.not_converged;
                break;
            case PointStatus::not_finite:
                ++all.not_finite;
                break;
            default:
                if (all.never_computed < 0)
                    all.never_computed = begin + i;
            }
    }
    return all;
}

} // namespace nuscan
