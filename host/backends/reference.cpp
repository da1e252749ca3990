#include "host/backends/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/backends/reference_cross_section.hpp"
#include "host/backends/reference_likelihood.hpp"
#include "host/backends/reference_response.hpp"
#include "host/backends/reference_sun.hpp"
#include "host/support/error.hpp"

namespace nuscan
{

namespace
{

using namespace reference;

/// An experiment with everything that does not depend on the physics point.
struct PreparedExperiment
{
    Response response;
    std::vector<EnergyIntegrals> integrals; ///< at response.recoils(), bound-electron factors included
    std::vector<bool> accepts;
};

} // namespace

struct ReferenceCalculation::Impl
{
    Constants constants;
    OscillationParameters oscillation;
    bool adiabatic_transition;
    Options options;
    double sigma_beta;
    Sun sun;
    std::vector<PreparedExperiment> experiments;
    std::vector<ExperimentChi2> chi2;

    Impl(Inputs const& inputs, Options chosen)
        : constants(inputs.constants)
        , oscillation(inputs.oscillation)
        , adiabatic_transition(inputs.choice.transition_survival == "adiabatic")
        , options(chosen)
        , sigma_beta(inputs.experiments.empty() ? 1.0 : inputs.experiments.front().signal_pull.sigma)
        , sun(inputs.solar, inputs.oscillation, inputs.constants.electron_mass)
    {
        std::vector<double> kinks = sun.kinks();
        for (Curve const& factor : inputs.rrpa)
            kinks.insert(kinks.end(), factor.x.begin(), factor.x.end());
        for (ExperimentDefinition const& experiment : inputs.experiments)
        {
            PreparedExperiment prepared{Response(experiment, inputs.shells, constants, kinks), {}, {}};
            for (double const recoil : prepared.response.recoils())
            {
                EnergyIntegrals integrals = sun.energy_integrals(recoil);
                for (std::size_t f = 0; f < inputs.rrpa.size(); ++f)
                {
                    // Where a table gives nothing, there is no rate.
                    double const factor = curve_value(inputs.rrpa[f], recoil);
                    for (double& integral : integrals[f])
                        integral = factor > 0.0 ? integral / factor : 0.0;
                }
                prepared.integrals.push_back(integrals);
            }
            for (std::size_t bin = 0; bin < experiment.bins(); ++bin)
                prepared.accepts.push_back(prepared.response.accepts(bin));
            experiments.push_back(std::move(prepared));
            chi2.emplace_back(experiment, rates(experiments.size() - 1, ParameterValues{}), experiments.back().accepts);
        }
    }

    /// S(T) = sum_f integral dE Phi P_f dsigma_f/dT = sum_f sum_k c_fk(T) J_fk(T), folded into the bins.
    std::vector<double> rates(std::size_t experiment, ParameterValues const& values) const
    {
        PreparedExperiment const& prepared = experiments[experiment];
        CrossSection const cross_section(constants, oscillation, values, adiabatic_transition);
        std::vector<double> const& recoils = prepared.response.recoils();
        std::vector<double> spectrum(recoils.size());
        for (std::size_t i = 0; i < recoils.size(); ++i)
        {
            double sum = 0.0;
            auto add = [&](std::array<double, 3> const& coefficients, std::array<double, n_powers> const& integrals) {
                for (std::size_t k = 0; k < n_powers; ++k)
                    sum += coefficients[k] * integrals[k];
            };
            for (int f = 0; f < 3; ++f)
                add(cross_section.coefficients(f, recoils[i]), prepared.integrals[i][static_cast<std::size_t>(f)]);
            if (adiabatic_transition)
                add(cross_section.transition_coefficients(recoils[i]), prepared.integrals[i][3]);
            spectrum[i] = sum;
        }
        return prepared.response.fold(spectrum);
    }
};

ReferenceCalculation::ReferenceCalculation(Inputs const& inputs) : ReferenceCalculation(inputs, Options{}) {}

ReferenceCalculation::ReferenceCalculation(Inputs const& inputs, Options options) : impl_(std::make_unique<Impl>(inputs, options))
{
}

ReferenceCalculation::~ReferenceCalculation() = default;
ReferenceCalculation::ReferenceCalculation(ReferenceCalculation&&) noexcept = default;
ReferenceCalculation& ReferenceCalculation::operator=(ReferenceCalculation&&) noexcept = default;

ReferenceCalculation::Result ReferenceCalculation::evaluate(ParameterValues const& values) const
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    Result result;
    bool finite = true;
    for (std::size_t e = 0; e < impl_->experiments.size(); ++e)
    {
        result.rates.push_back(impl_->rates(e, values));
        finite = finite && std::all_of(result.rates[e].begin(), result.rates[e].end(), [](double r) { return std::isfinite(r); });
    }

    ProfiledChi2 profiled;
    if (impl_->options.fix_pulls)
    {
        for (std::size_t e = 0; e < impl_->chi2.size(); ++e)
        {
            profiled.pulls.emplace_back(impl_->chi2[e].n_pulls(), 0.0);
            profiled.chi2 += impl_->chi2[e].value(result.rates[e], 1.0, profiled.pulls[e]);
        }
        profiled.converged = true;
    }
    else if (finite)
        profiled = profile_all(impl_->chi2, result.rates, impl_->sigma_beta);

    if (!finite || !std::isfinite(profiled.chi2))
        result.status = PointStatus::not_finite;
    else if (!profiled.converged)
        result.status = PointStatus::not_converged;

    if (result.status != PointStatus::ok)
    {
        std::size_t n_pulls = 1;
        for (ExperimentChi2 const& experiment : impl_->chi2)
        {
            n_pulls += experiment.n_pulls();
            result.chi2_bins.emplace_back(experiment.bins(), nan);
        }
        result.chi2 = nan;
        result.pulls.assign(n_pulls, nan);
        return result;
    }

    result.chi2 = profiled.chi2;
    result.pulls.push_back(profiled.scale - 1.0);
    for (std::size_t e = 0; e < impl_->chi2.size(); ++e)
    {
        result.pulls.insert(result.pulls.end(), profiled.pulls[e].begin(), profiled.pulls[e].end());
        result.chi2_bins.push_back(impl_->chi2[e].per_bin(result.rates[e], profiled.scale, profiled.pulls[e]));
    }
    return result;
}

std::vector<double> ReferenceCalculation::rates(int experiment, ParameterValues const& values) const
{
    return impl_->rates(static_cast<std::size_t>(experiment), values);
}

double ReferenceCalculation::energy_integral(int species, int power, double recoil) const
{
    return impl_->sun.energy_integrals(recoil)[static_cast<std::size_t>(species)][static_cast<std::size_t>(power)];
}

double ReferenceCalculation::p_ee(int source, double energy) const
{
    return impl_->sun.p_ee(static_cast<std::size_t>(source), energy);
}

} // namespace nuscan
