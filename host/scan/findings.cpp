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

/// Whether any status is not that of a good point. Without an early end, so that vector instructions take many at a time.
bool any_set(std::int64_t n, std::uint8_t const* status)
{
    static_assert(static_cast<int>(PointStatus::ok) == 0);
    unsigned bits = 0;
    for (std::int64_t i = 0; i < n; ++i)
        bits |= status[i];
    return bits != 0;
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
        // The lowest value of nothing but NaN is infinite, and so may a chi^2 be: then the first one counts, if there is one.
        if (all.best.index < 0 || low < all.best.value)
            if (double const* const where = std::find(chi2 + first, chi2 + end, low); where != chi2 + end)
                all.best = {*where, begin + (where - chi2)};
        if (!any_set(end - first, status + first))
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
