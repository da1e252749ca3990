#include "nuscan/stats/chi2.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "host/prepare/fit_data.hpp"
#include "host/prepare/prepared.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// A likelihood that owns its arrays.
struct Toy
{
    std::vector<double> observed, base, weight, used, templates, sigma;
    LikelihoodView view(Statistic statistic, double sm_total) const
    {
        LikelihoodView v;
        v.statistic = statistic;
        v.n_bins = v.stride = static_cast<int>(observed.size());
        v.n_pulls = static_cast<int>(sigma.size());
        v.sm_total = sm_total;
        v.observed = observed.data();
        v.base = base.data();
        v.weight = weight.data();
        v.used = used.data();
        v.pull_templates = templates.data();
        v.pull_sigma = sigma.data();
        return v;
    }
};

Toy poisson_toy(std::vector<double> observed, std::vector<double> base, std::vector<std::vector<double>> const& pulls = {},
                std::vector<double> sigma = {})
{
    Toy toy{std::move(observed), std::move(base), {}, {}, {}, std::move(sigma)};
    for (double const n : toy.observed)
        toy.weight.push_back(1.0 / std::max(n, 1.0));
    toy.used.assign(toy.observed.size(), 1.0);
    for (auto const& pull : pulls)
        toy.templates.insert(toy.templates.end(), pull.begin(), pull.end());
    return toy;
}

FitData fit_of(LikelihoodView const& likelihood, double signal_sigma, bool fix_pulls = false)
{
    return {{likelihood}, signal_sigma, fix_pulls};
}

FitResult profiled(FitData const& fit, double const* rates)
{
    return profile_chi2(fit.view(), rates);
}

/// chi^2 written out, as a function of s and one pull.
double poisson_chi2(std::vector<double> const& n, std::vector<double> const& b, std::vector<double> const& r,
                    std::vector<double> const& d, double s, double theta, double signal_sigma, double pull_sigma)
{
    double chi2 = std::pow((s - 1.0) / signal_sigma, 2) + std::pow(theta / pull_sigma, 2);
    for (std::size_t i = 0; i < n.size(); ++i)
    {
        double const mu = b[i] + s * r[i] + theta * d[i];
        chi2 += 2.0 * (mu - n[i] + (n[i] > 0.0 ? n[i] * std::log(n[i] / mu) : 0.0));
    }
    return chi2;
}

TEST(ProfiledChi2, IsZeroAtThePrediction)
{
    auto const toy = poisson_toy({4, 7, 0}, {1, 2, 0});
    std::vector<double> const rates{3, 5, 0};
    auto const result = profiled(fit_of(toy.view(Statistic::poisson, 8.0), 0.1), rates.data());
    EXPECT_EQ(result.status, PointStatus::ok);
    EXPECT_NEAR(result.chi2, 0.0, tolerance::rounding);
    EXPECT_NEAR(result.signal_scale, 1.0, tolerance::rounding);
}

TEST(ProfiledChi2, OneBinByHand)
{
    // n = 10, b = 4, r = 3, sigma = 0.5: d/ds [2(b + s r - n ln(b + s r)) + (s - 1)^2/sigma^2] = 0 is quadratic in s:
    // r (b + s r) - n r + (s - 1)(b + s r)/sigma^2 = 0.
    double const n = 10, b = 4, r = 3, sigma = 0.5;
    double const w = 1.0 / (sigma * sigma);
    double const qa = w * r;
    double const qb = r * r + w * (b - r);
    double const qc = r * b - n * r - w * b;
    double const s = (-qb + std::sqrt(qb * qb - 4.0 * qa * qc)) / (2.0 * qa);
    auto const toy = poisson_toy({n}, {b});
    auto const result = profiled(fit_of(toy.view(Statistic::poisson, r), sigma), &r);
    EXPECT_NEAR(result.signal_scale, s, 1e-7); // the minimum is flat: chi^2 below is what counts
    double const mu = b + s * r;
    EXPECT_NEAR(result.chi2, 2.0 * (mu - n + n * std::log(n / mu)) + std::pow((s - 1.0) / sigma, 2), tolerance::rounding);
}

TEST(ProfiledChi2, IsTheMinimumOfTheWrittenOutFunction)
{
    std::mt19937_64 generator(1);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (int trial = 0; trial < 200; ++trial)
    {
        std::vector<double> n, b, r, d;
        for (int i = 0; i < 6; ++i)
        {
            b.push_back(0.5 + 5.0 * uniform(generator));
            r.push_back(std::pow(10.0, -1.0 + 4.0 * uniform(generator)));
            d.push_back(uniform(generator));
            n.push_back(static_cast<double>(std::poisson_distribution<int>(4.0)(generator)));
        }
        double const signal_sigma = 0.07;
        double const pull_sigma = 1.0;
        auto const toy = poisson_toy(n, b, {d}, {pull_sigma});
        auto const result = profiled(fit_of(toy.view(Statistic::poisson, 10.0), signal_sigma), r.data());
        ASSERT_EQ(result.status, PointStatus::ok);
        double const s = result.signal_scale;
        double const theta = result.pulls[0];
        EXPECT_TRUE(chi2_agrees(result.chi2, poisson_chi2(n, b, r, d, s, theta, signal_sigma, pull_sigma), tolerance::summation));
        for (double const step : {1e-4, -1e-4})
        {
            if (s + step * s > 0.0)
            {
                EXPECT_GE(poisson_chi2(n, b, r, d, s * (1.0 + step), theta, signal_sigma, pull_sigma),
                          result.chi2 - tolerance::summation * (1.0 + result.chi2));
            }
            EXPECT_GE(poisson_chi2(n, b, r, d, s, theta + step, signal_sigma, pull_sigma),
                      result.chi2 - tolerance::summation * (1.0 + result.chi2));
        }
    }
}

TEST(ProfiledChi2, HugeRatesProfileTheSignalAway)
{
    // With r -> infinity in a bin without data, s = 0 is the solution: penalty 1/sigma^2 and the background's own chi^2.
    auto const toy = poisson_toy({3, 0}, {2, 1});
    double const sigma = 0.07;
    double const background = 2.0 * (2.0 - 3.0 + 3.0 * std::log(1.5)) + 2.0;
    for (double const size : {1e3, 1e10, 1e20, 1e100, 1e290})
    {
        std::vector<double> const rates{1e-3 * size, size};
        auto const result = profiled(fit_of(toy.view(Statistic::poisson, 1.0), sigma), rates.data());
        EXPECT_EQ(result.status, PointStatus::ok);
        EXPECT_EQ(result.signal_scale, 0.0);
        EXPECT_TRUE(chi2_agrees(result.chi2, background + 1.0 / (sigma * sigma), tolerance::rounding));
    }
}

TEST(ProfiledChi2, HugeRatesThatTheDataWantKeepTheirDigits)
{
    // The signal has the shape of the excess: s r stays at the excess while s goes as 1/size.
    auto const toy = poisson_toy({30, 20}, {10, 10});
    double const sigma = 0.07;
    for (double const size : {1e4, 1e12, 1e20})
    {
        std::vector<double> const rates{2.0 * size, size};
        auto const result = profiled(fit_of(toy.view(Statistic::poisson, 1.0), sigma), rates.data());
        EXPECT_EQ(result.status, PointStatus::ok);
        EXPECT_TRUE(is_close(result.signal_scale * size, 10.0, 112.0 / size + 1e-6)); // 2/(sigma^2 size) over chi2'' = 0.367
        EXPECT_TRUE(chi2_agrees(result.chi2, 1.0 / (sigma * sigma), 1e-2 * 1e4 / size + tolerance::rounding));
    }
}

TEST(ProfiledChi2, PullsAreUnboundedWhereBinsWithDataStayPositive)
{
    // An empty bin under a template wants it gone: theta below -1 is allowed where the bin has no data.
    auto const toy = poisson_toy({0, 5}, {8, 5}, {{8, 0}}, {10.0});
    double const rate[2] = {0.0, 0.0};
    auto const result = profiled(fit_of(toy.view(Statistic::poisson, 1.0), 0.07), rate);
    EXPECT_EQ(result.status, PointStatus::ok);
    EXPECT_LT(result.pulls[0], -1.0);
    EXPECT_TRUE(is_close(result.pulls[0], -8.0 * 100.0, tolerance::summation)); // 2 x 8 theta + theta^2/100 at its minimum
}

TEST(ProfiledChi2, GaussianClosedFormHasTwoBranches)
{
    Toy toy;
    toy.observed = {5, 2, 3};
    toy.base = {4, 3, 3.5};
    toy.weight = {4, 1, 2};
    toy.used = {1, 1, 1};
    double const sigma = 0.07;
    std::vector<double> const up{1.0, 0.2, 0.1};
    auto const fit = fit_of(toy.view(Statistic::gaussian, 1.3), sigma);
    double numerator = 1.0 / (sigma * sigma);
    double denominator = numerator;
    for (std::size_t i = 0; i < 3; ++i)
    {
        numerator += toy.weight[i] * up[i] * (toy.observed[i] - toy.base[i]);
        denominator += toy.weight[i] * up[i] * up[i];
    }
    auto const inside = profiled(fit, up.data());
    EXPECT_NEAR(inside.signal_scale, numerator / denominator, tolerance::rounding);
    // A huge signal where the data want less: s = 0 exactly.
    std::vector<double> const down{0.0, 1e9, 1e9};
    auto const clipped = profiled(fit, down.data());
    EXPECT_EQ(clipped.signal_scale, 0.0);
    double expected = 1.0 / (sigma * sigma);
    for (std::size_t i = 0; i < 3; ++i)
        expected += toy.weight[i] * std::pow(toy.base[i] - toy.observed[i], 2);
    EXPECT_TRUE(chi2_agrees(clipped.chi2, expected, tolerance::rounding));
}

TEST(ProfiledChi2, SharedFluxPullIsCountedOnce)
{
    auto const toy = poisson_toy({12, 9}, {5, 5});
    std::vector<double> const rates{4, 4, 4, 4};
    auto const data = toy.view(Statistic::poisson, 8.0);
    auto const joint = profiled(FitData({data, data}, 0.07), rates.data());
    // Twice the data with one penalty: the same as one experiment with a penalty half as strong, times two.
    auto const half = profiled(fit_of(data, 0.07 * std::sqrt(2.0)), rates.data());
    EXPECT_TRUE(chi2_agrees(joint.chi2, 2.0 * half.chi2, tolerance::summation));
    EXPECT_NEAR(joint.signal_scale, half.signal_scale, 1e-8);
}

TEST(ProfiledChi2, DroppedBinsTakeNoPart)
{
    auto toy = poisson_toy({4, 0}, {1, 100});
    toy.used[1] = 0.0;
    toy.weight[1] = 0.0;
    std::vector<double> const rates{3, 50};
    auto const data = toy.view(Statistic::poisson, 3.0);
    auto const result = profiled(fit_of(data, 0.1), rates.data());
    std::vector<double> bins(2, -1.0);
    chi2_per_bin(data, rates.data(), result.signal_scale, result.pulls, bins.data());
    EXPECT_NEAR(result.chi2, 0.0, tolerance::rounding);
    EXPECT_EQ(bins[1], 0.0);
}

TEST(ProfiledChi2, FixedPullsLeaveTheBareFunction)
{
    auto const toy = poisson_toy({4, 9}, {1, 2}, {{1, 1}}, {0.3});
    std::vector<double> const rates{2, 3};
    auto const result = profiled(fit_of(toy.view(Statistic::poisson, 5.0), 0.1, true), rates.data());
    EXPECT_EQ(result.signal_scale, 1.0);
    EXPECT_EQ(result.pulls[0], 0.0);
    EXPECT_TRUE(chi2_agrees(result.chi2, 2.0 * (3 - 4 + 4 * std::log(4.0 / 3)) + 2.0 * (5 - 9 + 9 * std::log(9.0 / 5)),
                            tolerance::rounding));
}

TEST(ProfiledChi2, NotFiniteRatesEndInAStatus)
{
    auto const toy = poisson_toy({4}, {1});
    for (double const bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    {
        auto const result = profiled(fit_of(toy.view(Statistic::poisson, 1.0), 0.1), &bad);
        EXPECT_EQ(result.status, PointStatus::not_finite);
        EXPECT_TRUE(std::isnan(result.chi2));
    }
}

TEST(ProfiledChi2, ManyPullsConverge)
{
    std::mt19937_64 generator(5);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::vector<double> n, b, r;
    std::vector<std::vector<double>> pulls(6);
    for (int i = 0; i < 20; ++i)
    {
        n.push_back(static_cast<double>(std::poisson_distribution<int>(8.0)(generator)));
        b.push_back(3.0 + uniform(generator));
        r.push_back(uniform(generator));
        for (auto& pull : pulls)
            pull.push_back(uniform(generator));
    }
    auto const toy = poisson_toy(n, b, pulls, std::vector<double>(6, 0.5));
    auto const result = profiled(fit_of(toy.view(Statistic::poisson, 10.0), 0.07), r.data());
    EXPECT_EQ(result.status, PointStatus::ok);
    // The gradient of chi^2/2, written out, vanishes at the minimum.
    double slope[7] = {};
    for (std::size_t i = 0; i < n.size(); ++i)
    {
        double mu = b[i] + result.signal_scale * r[i];
        for (std::size_t p = 0; p < 6; ++p)
            mu += result.pulls[p] * pulls[p][i];
        for (std::size_t p = 0; p < 6; ++p)
            slope[p] += (1.0 - n[i] / mu) * pulls[p][i];
        slope[6] += (1.0 - n[i] / mu) * r[i];
    }
    for (std::size_t p = 0; p < 6; ++p)
        slope[p] += result.pulls[p] / (0.5 * 0.5);
    slope[6] += (result.signal_scale - 1.0) / (0.07 * 0.07);
    for (double const component : slope)
        EXPECT_NEAR(component, 0.0, 1e-6); // decrement below 1e-6 after the last full step
}

TEST(ProfiledChi2, GaussianDataWithPulls)
{
    // Normal equations of mu = b + s r + theta t with both penalties, solved by hand for two unknowns.
    Toy toy;
    toy.observed = {5, 2, 3, 6};
    toy.base = {4, 3, 3.5, 4};
    toy.weight = {4, 1, 2, 0.5};
    toy.used = {1, 1, 1, 1};
    toy.templates = {1, 0.5, 0, 2};
    toy.sigma = {0.4};
    double const sigma = 0.2;
    std::vector<double> const r{0.8, 0.2, 0.5, 0.1};
    double tt = 1.0 / (0.4 * 0.4), ts = 0.0, ss = 1.0 / (sigma * sigma), gt = 0.0, gs = ss;
    for (std::size_t i = 0; i < 4; ++i)
    {
        double const excess = toy.observed[i] - toy.base[i];
        tt += toy.weight[i] * toy.templates[i] * toy.templates[i];
        ts += toy.weight[i] * toy.templates[i] * r[i];
        ss += toy.weight[i] * r[i] * r[i];
        gt += toy.weight[i] * toy.templates[i] * excess;
        gs += toy.weight[i] * r[i] * excess;
    }
    double const s = (gs * tt - gt * ts) / (ss * tt - ts * ts);
    double const theta = (gt * ss - gs * ts) / (ss * tt - ts * ts);
    auto const result = profiled(fit_of(toy.view(Statistic::gaussian, 1.6), sigma), r.data());
    EXPECT_NEAR(result.signal_scale, s, tolerance::rounding);
    EXPECT_NEAR(result.pulls[0], theta, tolerance::rounding);
    double chi2 = std::pow((s - 1.0) / sigma, 2) + std::pow(theta / 0.4, 2);
    for (std::size_t i = 0; i < 4; ++i)
        chi2 += toy.weight[i] * std::pow(toy.base[i] + s * r[i] + theta * toy.templates[i] - toy.observed[i], 2);
    EXPECT_TRUE(chi2_agrees(result.chi2, chi2, tolerance::rounding));
}

TEST(ProfiledChi2, ManyEventsAndFarStarts)
{
    // 10^6 events, and signals of a size and shape that the data do not want at all: the least-squares start is far off.
    std::mt19937_64 generator(11);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (int trial = 0; trial < 300; ++trial)
    {
        std::vector<double> n, b, r, d;
        for (int i = 0; i < 30; ++i)
        {
            b.push_back(uniform(generator) < 0.1 ? 0.01 : 6e4 * uniform(generator));
            n.push_back(std::floor(6e4 * std::pow(uniform(generator), 4.0)));
            r.push_back(std::pow(10.0, 12.0 * uniform(generator) - 2.0));
            d.push_back(b.back() * uniform(generator));
        }
        auto const toy = poisson_toy(n, b, {d}, {1.0});
        auto const result = profiled(fit_of(toy.view(Statistic::poisson, 100.0), 0.07), r.data());
        ASSERT_EQ(result.status, PointStatus::ok) << "trial " << trial << ", " << result.iterations << " iterations";
        EXPECT_LE(result.iterations, 60);
    }
}

TEST(ProfiledChi2, NegativeBackgroundsNeedASignal)
{
    // Backgrounds given with a SM signal inside that is larger than ours leave a negative rest. Only a signal makes such bins positive.
    std::mt19937_64 generator(3);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (int trial = 0; trial < 200; ++trial)
    {
        std::vector<double> n, b, r, d;
        for (int i = 0; i < 5; ++i)
        {
            double const sm = 1.0 + 5.0 * uniform(generator);
            b.push_back(sm * (uniform(generator) - 0.5)); // -0.5 to 0.5 of the SM
            n.push_back(static_cast<double>(1 + std::poisson_distribution<int>(3.0)(generator)));
            r.push_back(sm * std::pow(10.0, 8.0 * uniform(generator) * uniform(generator)));
            d.push_back(std::fabs(b.back()));
        }
        double const signal_sigma = 0.07;
        double const pull_sigma = 0.3;
        auto const toy = poisson_toy(n, b, {d}, {pull_sigma});
        auto const result = profiled(fit_of(toy.view(Statistic::poisson, 10.0), signal_sigma), r.data());
        ASSERT_EQ(result.status, PointStatus::ok) << trial;
        double const s = result.signal_scale;
        double const theta = result.pulls[0];
        EXPECT_TRUE(chi2_agrees(result.chi2, poisson_chi2(n, b, r, d, s, theta, signal_sigma, pull_sigma), tolerance::summation));
        for (double const step : {1e-4, -1e-4})
        {
            double const other_s = poisson_chi2(n, b, r, d, s * (1.0 + step), theta, signal_sigma, pull_sigma);
            double const other_theta = poisson_chi2(n, b, r, d, s, theta + step, signal_sigma, pull_sigma);
            EXPECT_FALSE(other_s < result.chi2 - tolerance::summation * (1.0 + result.chi2));
            EXPECT_FALSE(other_theta < result.chi2 - tolerance::summation * (1.0 + result.chi2));
        }
    }
}

TEST(ProfiledChi2, FractionalCountsConverge)
{
    // Asimov data hold fractions of a count. The slope at the minimum, in units of the curvature, bounds the error of chi^2.
    std::mt19937_64 generator(8);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (double const least : {1e-2, 1e-4, 1e-6})
        for (int trial = 0; trial < 300; ++trial)
        {
            std::vector<double> n, b, r;
            for (int i = 0; i < 4; ++i)
            {
                n.push_back(std::pow(least, uniform(generator)));
                b.push_back(n.back() * std::pow(10.0, uniform(generator) - 0.5));
                r.push_back(std::pow(10.0, 2.0 * uniform(generator) - 1.0) * n.back());
            }
            auto const toy = poisson_toy(n, b);
            double const sigma = 3.0;
            auto const result = profiled(fit_of(toy.view(Statistic::poisson, 1.0), sigma), r.data());
            ASSERT_EQ(result.status, PointStatus::ok);
            double const s = result.signal_scale;
            double slope = (s - 1.0) / (sigma * sigma);
            double curvature = 1.0 / (sigma * sigma);
            for (std::size_t i = 0; i < n.size(); ++i)
            {
                double const mu = b[i] + s * r[i];
                slope += r[i] * (1.0 - n[i] / mu);
                curvature += n[i] * r[i] * r[i] / (mu * mu);
            }
            if (s > 0.0 || slope < 0.0)
            {
                EXPECT_LT(slope * slope / curvature, tolerance::summation);
            }
        }
}

TEST(ProfiledChi2, HugeCountsKeepTheirDigits)
{
    // Deviations of one sigma in every bin: chi^2 is the number of bins to O(1/sqrt(n)), for any size of n.
    for (double const size : {1e4, 1e8, 1e12})
    {
        std::vector<double> n, b;
        for (int i = 0; i < 6; ++i)
        {
            n.push_back(size * (i + 1));
            b.push_back(n.back() + (i % 2 == 0 ? 1.0 : -1.0) * std::sqrt(n.back()));
        }
        std::vector<double> const rates(6, 0.0);
        auto const result = profiled(fit_of(poisson_toy(n, b).view(Statistic::poisson, 1.0), 0.07), rates.data());
        ASSERT_EQ(result.status, PointStatus::ok);
        EXPECT_NEAR(result.chi2, 6.0, 10.0 / std::sqrt(size));
    }
}

TEST(Garwood, HalfWidths)
{
    // Central 68.27% intervals: 0 counts [0, 1.841], 1 count [0.173, 3.300], 10 counts [6.891, 14.267] (PDG, Statistics).
    EXPECT_NEAR(garwood_half_width(0.0), 0.5 * 1.8410, 5e-4);
    EXPECT_NEAR(garwood_half_width(1.0), 0.5 * (3.2995 - 0.1728), 5e-4);
    EXPECT_NEAR(garwood_half_width(10.0), 0.5 * (14.2666 - 6.8914), 5e-4);
}

} // namespace
} // namespace nuscan
