// What is noted of results while they pass by, against the plain definition.
#include "host/scan/findings.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "nuscan/scan/backend.hpp"

namespace nuscan::test
{
namespace
{

Findings by_definition(std::int64_t begin, std::vector<double> const& chi2, std::vector<std::uint8_t> const& status)
{
    Findings found;
    for (std::size_t i = 0; i < chi2.size(); ++i)
    {
        auto const index = begin + static_cast<std::int64_t>(i);
        if (!std::isnan(chi2[i]) && (found.best.index < 0 || chi2[i] < found.best.value))
            found.best = {chi2[i], index};
        found.direct_fallback += status[i] == 1;
        found.not_converged += status[i] == 2;
        found.not_finite += status[i] == 3;
        if (status[i] > 3 && found.never_computed < 0)
            found.never_computed = index;
    }
    return found;
}

void expect_same(Findings const& a, Findings const& b)
{
    EXPECT_EQ(a.best.index, b.best.index);
    EXPECT_EQ(a.best.value, b.best.value);
    EXPECT_EQ(a.direct_fallback, b.direct_fallback);
    EXPECT_EQ(a.not_converged, b.not_converged);
    EXPECT_EQ(a.not_finite, b.not_finite);
    EXPECT_EQ(a.never_computed, b.never_computed);
}

TEST(Findings, AreThoseOfTheDefinition)
{
    std::mt19937_64 random{51};
    for (std::size_t const n : {0U, 1U, 7U, 8U, 9U, 4095U, 4096U, 4097U, 20000U})
        for (int round = 0; round < 20; ++round)
        {
            std::vector<double> chi2(n);
            std::vector<std::uint8_t> status(n, 0);
            // Few different values, so that the lowest one is there several times, and failures in some of the rounds.
            std::uniform_int_distribution<int> value{0, 40};
            std::uniform_int_distribution<int> dice{0, 999};
            for (std::size_t i = 0; i < n; ++i)
            {
                chi2[i] = 20.0 + value(random);
                if (round % 2 == 0 || dice(random) > 20)
                    continue;
                status[i] = static_cast<std::uint8_t>(1 + dice(random) % (round % 4 == 1 ? 3 : 5));
                if (status[i] > 1)
                    chi2[i] = std::numeric_limits<double>::quiet_NaN();
            }
            auto const expected = by_definition(1000, chi2, status);
            auto const all = findings_of(1000, static_cast<std::int64_t>(n), chi2.data(), status.data());
            expect_same(all, expected);
            // In two parts, in both orders.
            auto const half = static_cast<std::int64_t>(n / 3);
            auto const first = findings_of(1000, half, chi2.data(), status.data());
            auto const second = findings_of(1000 + half, static_cast<std::int64_t>(n) - half, chi2.data() + half,
                                            status.data() + half);
            Findings forwards = first;
            forwards.add(second);
            expect_same(forwards, expected);
            Findings backwards = second;
            backwards.add(first);
            expect_same(backwards, expected);
        }
}

TEST(Findings, TheLowestValueCountsWhereverItIs)
{
    std::vector<std::uint8_t> const status(4105, 0);
    for (std::size_t const at : {0U, 4095U, 4096U, 4103U, 4104U})
    {
        std::vector<double> chi2(status.size(), 7.0);
        chi2[at] = 6.0;
        auto const best = findings_of(0, std::ssize(chi2), chi2.data(), status.data()).best;
        EXPECT_EQ(best.index, static_cast<std::int64_t>(at));
        EXPECT_EQ(best.value, 6.0);
    }
}

TEST(Findings, NaNIsNoValueAndInfinityIsOne)
{
    double const nan = std::numeric_limits<double>::quiet_NaN();
    double const infinity = std::numeric_limits<double>::infinity();
    std::vector<std::uint8_t> const status(20000, static_cast<std::uint8_t>(PointStatus::not_finite));
    std::vector<double> chi2(status.size(), nan);
    EXPECT_EQ(findings_of(0, 20000, chi2.data(), status.data()).best.index, -1);
    EXPECT_EQ(findings_of(0, 20000, chi2.data(), status.data()).not_finite, 20000);
    chi2[17777] = infinity;
    EXPECT_EQ(findings_of(0, 20000, chi2.data(), status.data()).best.index, 17777);
    chi2[19999] = 3.0;
    EXPECT_EQ(findings_of(0, 20000, chi2.data(), status.data()).best.index, 19999);
}

} // namespace
} // namespace nuscan::test
