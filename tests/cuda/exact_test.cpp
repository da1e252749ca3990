// Device code without fused multiply-add against the host, bit by bit, where only IEEE operations are involved: rates, and the chi^2
// of Gaussian data. Logarithms differ in the last place.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "emulator.hpp"
#include "host/backends/backend.hpp"
#include "tests/backends/evaluate.hpp"
#include "tests/backends/random_points.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

class ExactDeviceCode : public ::testing::Test
{
protected:
    void SetUp() override { emulator::restart(); }

    static Results on_cuda(std::shared_ptr<Problem const> const& problem, Route route)
    {
        return evaluate(*make_cuda_backend(problem, route, 0), *problem, {0, problem->size()});
    }

    /// Rates of a point in the layout of outputs.
    static std::vector<double> without_padding(ProblemView const& view, std::vector<double> const& rates)
    {
        std::vector<double> result;
        auto next = rates.begin();
        for (int e = 0; e < view.n_experiments; ++e)
        {
            result.insert(result.end(), next, next + view.response[e].n_bins);
            next += view.response[e].stride;
        }
        return result;
    }
};

TEST_F(ExactDeviceCode, DirectRatesAndGaussianChi2)
{
    RandomProblems problems(61);
    for (std::string const experiment : {"xenonnt_sr0", "lz_ws2022"})
        for (int p = 0; p < 20; ++p)
        {
            auto const problem = problems.next(prepared({experiment}), 6);
            auto const& view = problem->view();
            auto const results = on_cuda(problem, Route::direct);
            auto const bins = static_cast<std::ptrdiff_t>(bin_count(view));
            std::vector<double> rates(static_cast<std::size_t>(view.layout.n_slots));
            for (std::int64_t i = 0; i < problem->size(); ++i)
            {
                std::int64_t node[max_axes];
                view.grid.nodes(i, node);
                point_rates_direct(view, node, rates.data());
                auto const first = results.rates.begin() + i * bins;
                EXPECT_TRUE(same_bits({first, first + bins}, without_padding(view, rates))) << experiment << " point " << i;
                double const chi2 = profile_chi2(view.fit, rates.data()).chi2;
                double const found = results.chi2[static_cast<std::size_t>(i)];
                if (view.fit.has_poisson)
                {
                    EXPECT_TRUE(chi2_agrees(found, chi2, tolerance::summation));
                }
                else
                {
                    EXPECT_EQ(found, chi2);
                }
            }
        }
}

TEST_F(ExactDeviceCode, TemplatesAndFactoredRates)
{
    RandomProblems problems(62);
    for (auto const& experiments : all_experiment_sets)
        for (int p = 0; p < 10; ++p)
        {
            auto const problem = problems.next(prepared(experiments), 8);
            auto const& view = problem->view();
            auto const results = on_cuda(problem, Route::factored);
            auto const bins = static_cast<std::ptrdiff_t>(bin_count(view));
            std::vector<double> templates(static_cast<std::size_t>(view.layout.size()));
            std::vector<double> rates(static_cast<std::size_t>(view.layout.n_slots));
            auto const block = [&](int index) { return templates[static_cast<std::size_t>(index)]; };
            for (std::int64_t i = 0; i < problem->size(); ++i)
            {
                if (results.status[static_cast<std::size_t>(i)] != static_cast<std::uint8_t>(PointStatus::ok))
                    continue;
                std::int64_t node[max_axes];
                view.grid.nodes(i, node);
                fold_combination(view, mass_combination(view, node), templates.data());
                double monomials[max_monomials];
                for (int m = 0; m < view.layout.n_monomials; ++m)
                    monomials[m] = point_monomial(view, m, node);
                ComputedRates<-1, double, decltype(block)> const computed(view.layout, block, monomials);
                for (int slot = 0; slot < view.layout.n_slots; ++slot)
                    rates[static_cast<std::size_t>(slot)] = computed(slot);
                auto const first = results.rates.begin() + i * bins;
                EXPECT_TRUE(same_bits({first, first + bins}, without_padding(view, rates)))
                    << experiments.front() << " point " << i;
            }
        }
}

} // namespace
} // namespace nuscan
