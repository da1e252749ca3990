/// The reference calculation defines what is correct, so it is checked against integration by brute force (adaptive
/// Gauss-Kronrod, zones summed at every energy, both detector integrals nested) and against the numbers of physics.md.
#include "host/backends/reference.hpp"

#include <gtest/gtest.h>

#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/backends/reference_cross_section.hpp"
#include "host/backends/reference_likelihood.hpp"
#include "host/backends/reference_numerics.hpp"
#include "host/backends/reference_response.hpp"
#include "host/backends/reference_sun.hpp"
#include "tests/support/toy_experiments.hpp"

namespace nuscan
{
namespace
{

// Two quadratures of one smooth integral; the adaptive one is asked for 1e-12.
constexpr double quadrature_tolerance = 2e-12;
// Nested adaptive quadrature: limited by the kinks that it has to find by itself.
constexpr double nested_quadrature_tolerance = 1e-10;
// Same formula written in two ways: rounding, enlarged by cancellation between powers of 1/E.
constexpr double formula_tolerance = 1e-12;
// Minimum of chi^2 against a closed form: rounding of chi^2 itself.
constexpr double minimum_tolerance = 1e-12;
// Pulls from a minimum of chi^2: known to the square root of that.
constexpr double pull_tolerance = 1e-7;

/// Half a unit in the last printed digit.
constexpr double printed(double unit)
{
    return 0.5000001 * unit;
}

using Setting = std::initializer_list<std::pair<char const*, double>>;

ParameterValues point(Setting settings)
{
    ParameterValues values;
    for (auto const& [name, value] : settings)
    {
        int const index = find_parameter(name);
        EXPECT_GE(index, 0) << name;
        values[index] = value;
    }
    return values;
}

Inputs load(std::vector<std::string> const& experiments, InputChoice const& choice = {})
{
    DataFolder data = DataFolder::find();
    return load_inputs(data, choice, experiments);
}

double sum(std::vector<double> const& values)
{
    double total = 0.0;
    for (double const value : values)
        total += value;
    return total;
}

std::size_t source_index(SolarModel const& solar, std::string const& name)
{
    for (std::size_t i = 0; i < solar.sources.size(); ++i)
        if (solar.sources[i].name == name)
            return i;
    ADD_FAILURE() << "no source " << name;
    return 0;
}

template<unsigned Points, class F>
double adaptive(F const& function, double lo, double hi, double tolerance, unsigned depth = 15)
{
    return boost::math::quadrature::gauss_kronrod<double, Points>::integrate(function, lo, hi, depth, tolerance);
}

/// Adaptive Gauss-Kronrod quadrature over all panels between \p breaks together: the panel with the largest error is halved until
/// the sum of the errors is below the tolerance. (Boost asks every panel for its share of the tolerance, which rounding of a
/// nested integrand cannot always meet.)
template<unsigned Points, class F>
double adaptive_together(F const& function, std::vector<double> const& breaks, double tolerance)
{
    struct Panel
    {
        double lo;
        double hi;
        double value;
        double error;
        bool operator<(Panel const& other) const { return error < other.error; }
    };
    double total = 0.0;
    double error = 0.0;
    auto panel = [&](double lo, double hi) {
        // Boost's error is that of the integral over [-1, 1].
        double unscaled = 0.0;
        double const value = boost::math::quadrature::gauss_kronrod<double, Points>::integrate(function, lo, hi, 0, 1.0, &unscaled);
        Panel const result{lo, hi, value, 0.5 * (hi - lo) * unscaled};
        total += result.value;
        error += result.error;
        return result;
    };
    std::priority_queue<Panel> panels;
    for (std::size_t i = 1; i < breaks.size(); ++i)
        panels.push(panel(breaks[i - 1], breaks[i]));
    constexpr int max_halvings = 5000;
    for (int i = 0; error > tolerance * std::abs(total) && i < max_halvings; ++i)
    {
        Panel const worst = panels.top();
        panels.pop();
        total -= worst.value;
        error -= worst.error;
        double const mid = 0.5 * (worst.lo + worst.hi);
        panels.push(panel(worst.lo, mid));
        panels.push(panel(mid, worst.hi));
    }
    // Summed afresh: the running total has seen many subtractions.
    total = 0.0;
    for (; !panels.empty(); panels.pop())
        total += panels.top().value;
    return total;
}

/// Solar neutrinos by brute force: probabilities averaged zone by zone at every energy (and remembered).
class BruteForceSun
{
public:
    explicit BruteForceSun(Inputs const& inputs) : inputs_(inputs), known_(inputs.solar.sources.size()) {}

    struct Probabilities
    {
        double species[4];
    };

    Probabilities const& probabilities(std::size_t source, double energy)
    {
        auto const [entry, fresh] = known_[source].try_emplace(energy);
        if (!fresh)
            return entry->second;
        auto const& osc = inputs_.oscillation;
        double const theta12 = std::asin(std::sqrt(osc.sin2_theta12));
        double const c13_2 = 1.0 - osc.sin2_theta13;
        double p_ee = 0.0;
        double p_e1 = 0.0;
        auto const& weight = inputs_.solar.sources[source].zone_weight;
        for (std::size_t zone = 0; zone < weight.size(); ++zone)
        {
            double const b = 2.0 * 7.632e-14 * inputs_.solar.electron_density[zone] * 1e3 * energy * c13_2 / osc.dm21_ev2;
            double const d = std::cos(2.0 * theta12) - b;
            double const cos_matter = d / std::hypot(d, std::sin(2.0 * theta12));
            double const p2 = 0.5 * (1.0 + cos_matter * std::cos(2.0 * theta12));
            p_ee += weight[zone] * (c13_2 * c13_2 * p2 + osc.sin2_theta13 * osc.sin2_theta13);
            p_e1 += weight[zone] * 0.5 * (1.0 + cos_matter);
        }
        entry->second = {{p_ee, (1.0 - p_ee) * (1.0 - osc.sin2_theta23), (1.0 - p_ee) * osc.sin2_theta23, p_e1}};
        return entry->second;
    }

    /// Sum over sources of integral_{Emin(T)} Phi(E) function(source, E) dE.
    template<class F>
    double integrate(F const& function, double recoil)
    {
        double const m = inputs_.constants.electron_mass;
        double const energy_min = 0.5 * (recoil + std::sqrt(recoil * recoil + 2.0 * m * recoil));
        double total = 0.0;
        for (std::size_t i = 0; i < inputs_.solar.sources.size(); ++i)
        {
            SolarSource const& source = inputs_.solar.sources[i];
            for (NeutrinoLine const& line : source.lines)
                if (line.energy > energy_min)
                    total += line.flux * function(i, line.energy);
            for (std::size_t node = 1; node < source.energy.size(); ++node)
            {
                double const e0 = source.energy[node - 1];
                double const e1 = source.energy[node];
                if (e1 <= energy_min)
                    continue;
                double const slope = (source.density[node] - source.density[node - 1]) / (e1 - e0);
                total += adaptive<15>(
                    [&](double e) { return source.flux * (source.density[node - 1] + slope * (e - e0)) * function(i, e); },
                    std::max(e0, energy_min), e1, 1e-12);
            }
        }
        return total;
    }

private:
    Inputs const& inputs_;
    std::vector<std::unordered_map<double, Probabilities>> known_;
};

struct Model
{
    char const* name;
    ParameterValues values;
};

std::vector<Model> models()
{
    return {
        {"SM", {}},
        {"moments", point({{"mu_e", 1e-11}, {"mu_tau", 2e-11}})},
        {"millicharge", point({{"q_e", 5e-13}})},
        {"huge millicharge", point({{"q_mu", -1e-6}})},
        {"radius and anapole", point({{"r2_e", -8e-31}, {"a_mu", 5e-32}})},
        {"light vector", point({{"g_V", 4e-7}, {"m_V", 1e-6}})},
        {"cancelling", point({{"g_V", 4e-7}, {"m_V", 0.05}, {"r2_e", -1e-30}})},
        {"heavy axial", point({{"g_A", 10.0}, {"m_A", 1e4}})},
        {"scalar", point({{"g_S", 1e-6}, {"m_S", 0.1}})},
        {"pseudoscalar", point({{"g_P", 1e-5}, {"m_P", 1e-3}})},
        {"tensor", point({{"g_T", 5e-7}, {"m_T", 0.02}})},
    };
}

TEST(ReferenceSurvival, ValuesOfThePhysicsNotes)
{
    Inputs const inputs = load({"xenonnt_sr0"});
    ReferenceCalculation const reference(inputs);
    auto p = [&](char const* source, double energy) {
        return reference.p_ee(static_cast<int>(source_index(inputs.solar, source)), energy);
    };
    EXPECT_NEAR(p("pp", 300.0), 0.5365, printed(1e-4));
    EXPECT_NEAR(p("pp", 861.3), 0.5255, printed(1e-4));
    EXPECT_NEAR(p("7Be", 861.3), 0.520, printed(1e-3));
    EXPECT_NEAR(p("8B", 1e4), 0.335, printed(1e-3));
}

TEST(ReferenceSurvival, VacuumAndDenseMatter)
{
    Inputs const inputs = load({"xenonnt_sr0"});
    ReferenceCalculation const reference(inputs);
    auto const& osc = inputs.oscillation;
    double const c13_4 = (1.0 - osc.sin2_theta13) * (1.0 - osc.sin2_theta13);
    double const s13_4 = osc.sin2_theta13 * osc.sin2_theta13;
    double const vacuum = c13_4 * (1.0 - 2.0 * osc.sin2_theta12 * (1.0 - osc.sin2_theta12)) + s13_4;
    EXPECT_NEAR(reference.p_ee(0, 1e-9), vacuum, 1e-10);
    EXPECT_NEAR(reference.p_ee(0, 1e12), c13_4 * osc.sin2_theta12 + s13_4, 1e-8);
}

TEST(ReferenceEnergyIntegrals, AgreeWithAdaptiveIntegrationOverZonesAndEnergy)
{
    Inputs const inputs = load({"xenonnt_sr0"});
    ReferenceCalculation const reference(inputs);
    BruteForceSun sun(inputs);
    // Outermost electron, millicharge range, both experiments, and beyond the pp end and either 7Be line.
    for (double const recoil : {0.0121, 0.2, 1.0, 4.9, 17.3, 45.0, 250.0, 700.0, 5000.0})
        for (int species = 0; species < 4; ++species)
            for (int power = 0; power < 3; ++power)
            {
                double const expected = sun.integrate(
                    [&](std::size_t source, double energy) {
                        return sun.probabilities(source, energy).species[species] * std::pow(energy, -power);
                    },
                    recoil);
                EXPECT_NEAR(reference.energy_integral(species, power, recoil) / expected, 1.0, quadrature_tolerance)
                    << "species " << species << " power " << power << " T " << recoil;
            }
}

TEST(ReferenceEnergyIntegrals, StepAtTheLineAndEndOfTheSpectrum)
{
    Inputs const inputs = load({"xenonnt_sr0"});
    ReferenceCalculation const reference(inputs);
    double const m = inputs.constants.electron_mass;
    auto const& be7 = inputs.solar.sources[source_index(inputs.solar, "7Be")];
    ASSERT_EQ(be7.lines.size(), 2u);
    for (NeutrinoLine const& line : be7.lines)
    {
        double const edge = 2.0 * line.energy * line.energy / (m + 2.0 * line.energy);
        double const step = reference.energy_integral(0, 0, edge * (1.0 - 1e-9))
                            - reference.energy_integral(0, 0, edge * (1.0 + 1e-9));
        double const p = reference.p_ee(static_cast<int>(source_index(inputs.solar, "7Be")), line.energy);
        EXPECT_NEAR(step / (line.flux * p), 1.0, 1e-5);
    }
    EXPECT_EQ(reference.energy_integral(0, 0, 1e5), 0.0);
}

TEST(ReferenceCrossSection, CoefficientsAreThePaperForm)
{
    Inputs const inputs = load({"xenonnt_sr0"});
    for (Model const& model : models())
    {
        reference::CrossSection const sigma(inputs.constants, inputs.oscillation, model.values, false);
        for (int f = 0; f < 3; ++f)
            for (double const t : {0.013, 0.7, 5.0, 40.0})
                for (double const excess : {1.0, 1.3, 3.0, 100.0})
                {
                    double const e = excess * reference::least_neutrino_energy(t, inputs.constants.electron_mass);
                    auto const c = sigma.coefficients(f, t);
                    double const expected = sigma(f, t, e);
                    double const size = std::abs(c[0]) + std::abs(c[1] / e) + std::abs(c[2] / (e * e));
                    EXPECT_NEAR((c[0] + c[1] / e + c[2] / (e * e)) / size, expected / size, formula_tolerance)
                        << model.name << " f " << f << " T " << t << " E " << e;
                    EXPECT_GE(expected, -formula_tolerance * size) << model.name;
                }
    }
}

TEST(ReferenceCrossSection, KnownValues)
{
    Constants const constants;
    double const m = constants.electron_mass;
    double const area = constants.hbar_c * constants.hbar_c;
    // T -> 0 at high energy: G_F^2 m_e/pi (gV^2 + gA^2), with 2 G_F^2 m_e^2/pi = 88.06e-46 cm^2 as every review says.
    reference::CrossSection const sm(constants, {}, {}, false);
    double const g_v = -0.5 + 2.0 * 0.23857;
    double const unit = constants.fermi_constant * constants.fermi_constant * m / pi * area;
    EXPECT_NEAR(2.0 * unit * m, 88.06e-46, printed(1e-48));
    EXPECT_NEAR(sm(1, 1e-9, 1e6) / (unit * (g_v * g_v + 0.25)), 1.0, 1e-6);
    EXPECT_NEAR(sm(0, 1e-9, 1e6) / (unit * ((g_v + 1.0) * (g_v + 1.0) + 0.25)), 1.0, 1e-6);
    // Magnetic moment: pi r_e^2 = 2.49467e-25 cm^2, r_e the classical electron radius.
    reference::CrossSection const moment(constants, {}, point({{"mu_tau", 1e-10}}), false);
    EXPECT_NEAR((moment(2, 2.0, 300.0) - sm(2, 2.0, 300.0)) / (2.49467e-45 * (1.0 / 2.0 - 1.0 / 300.0)), 1.0, 1e-5);
    EXPECT_EQ(moment(1, 2.0, 300.0), sm(1, 2.0, 300.0));
    // An anapole moment is a charge radius of -6 a, whatever Eq. 7 prints.
    reference::CrossSection const radius(constants, {}, point({{"r2_mu", -6e-31}}), false);
    reference::CrossSection const anapole(constants, {}, point({{"a_mu", 1e-31}}), false);
    EXPECT_NEAR(anapole(1, 3.0, 200.0) / radius(1, 3.0, 200.0), 1.0, formula_tolerance);
    // A millicharge is a charge radius of -3 q (hbar c)^2/(m_e T).
    reference::CrossSection const charge(constants, {}, point({{"q_e", 1e-12}}), false);
    reference::CrossSection const equivalent(constants, {}, point({{"r2_e", -3e-12 * area / (m * 3.0)}}), false);
    EXPECT_NEAR(charge(0, 3.0, 200.0) / equivalent(0, 3.0, 200.0), 1.0, formula_tolerance);
    // A heavy vector shifts gV by g^2/(2 sqrt2 G_F m^2), as one charge radius for all flavours does.
    double const g = 2e-3;
    double const mass_mev = 1e4;
    double const shift = g * g / (2.0 * sqrt2 * constants.fermi_constant * mass_mev * mass_mev * 1e6);
    double const r2 = 3.0 * shift * constants.fermi_constant * area / (sqrt2 * pi * constants.alpha());
    reference::CrossSection const vector(constants, {}, point({{"g_V", g}, {"m_V", mass_mev}}), false);
    reference::CrossSection const all(constants, {}, point({{"r2_e", r2}, {"r2_mu", r2}, {"r2_tau", r2}}), false);
    for (int f = 0; f < 3; ++f)
        EXPECT_NEAR(vector(f, 3.0, 200.0) / all(f, 3.0, 200.0), 1.0, 1e-9);
    // A mass without a coupling does nothing.
    reference::CrossSection const idle(constants, {}, point({{"m_S", 0.1}}), false);
    EXPECT_EQ(idle(0, 3.0, 200.0), sm(0, 3.0, 200.0));
}

TEST(ReferenceCrossSection, TransitionMomentsActAsUniversalOnes)
{
    // Weights printed in physics.md section 2.
    std::pair<char const*, double> const weights[] = {{"Lambda_1", 0.34767}, {"Lambda_2", 0.67433}, {"Lambda_3", 0.978}};
    for (auto const& [name, weight] : weights)
    {
        reference::CrossSection const transition({}, {}, point({{name, 1e-11}}), false);
        reference::CrossSection const universal({}, {}, point({{"mu_universal", 1e-11}}), false);
        reference::CrossSection const sm({}, {}, {}, false);
        for (int f = 0; f < 3; ++f)
            EXPECT_NEAR((transition(f, 2.0, 300.0) - sm(f, 2.0, 300.0)) / (universal(f, 2.0, 300.0) - sm(f, 2.0, 300.0)), weight,
                        printed(1e-5));
    }
}

TEST(ReferenceRates, TransitionMomentsWithOwnSurvivalProbability)
{
    InputChoice adiabatic;
    adiabatic.transition_survival = "adiabatic";
    // Without matter P_e1 = cos^2 theta_12 at every energy.
    Inputs vacuum = load({"xenonnt_sr0"}, adiabatic);
    vacuum.solar.electron_density.assign(vacuum.solar.electron_density.size(), 0.0);
    Inputs constant = vacuum;
    constant.choice.transition_survival = "constant";
    constant.constants.transition_p_e1 = 1.0 - constant.oscillation.sin2_theta12;
    ParameterValues const lambda = point({{"Lambda_1", 1e-11}, {"Lambda_2", 2e-11}, {"Lambda_3", 0.5e-11}});
    auto const expected = ReferenceCalculation(constant).rates(0, lambda);
    auto const rates = ReferenceCalculation(vacuum).rates(0, lambda);
    for (std::size_t i = 1; i < rates.size(); ++i)
        EXPECT_NEAR(rates[i] / expected[i], 1.0, formula_tolerance);

    // In the Sun, against the spectrum at one recoil by brute force.
    Inputs const inputs = load({"xenonnt_sr0"}, adiabatic);
    ReferenceCalculation const reference(inputs);
    BruteForceSun sun(inputs);
    reference::CrossSection const sigma(inputs.constants, inputs.oscillation, lambda, true);
    double const t = 1.7;
    double const m = inputs.constants.electron_mass;
    double const c13_2 = 1.0 - inputs.oscillation.sin2_theta13;
    reference::CrossSection const sm(inputs.constants, inputs.oscillation, {}, true);
    double const brute_force = sun.integrate(
        [&](std::size_t source, double e) {
            auto const& p = sun.probabilities(source, e).species;
            double const l1 = 1e-22;
            double const l2 = 4e-22;
            double const l3 = 0.25e-22;
            double const moment_squared = l1 + l2 + l3 - c13_2 * l2 + (c13_2 - 1.0) * l3 + c13_2 * p[3] * (l2 - l1);
            double const magnetic = pi * std::pow(inputs.constants.alpha() * inputs.constants.hbar_c / m, 2) * (1.0 / t - 1.0 / e)
                                    * moment_squared;
            return magnetic + p[0] * sm(0, t, e) + p[1] * sm(1, t, e) + p[2] * sm(2, t, e);
        },
        t);
    double spectrum = 0.0;
    for (int k = 0; k < 3; ++k)
    {
        auto const power = static_cast<std::size_t>(k);
        for (int f = 0; f < 3; ++f)
            spectrum += sigma.coefficients(f, t)[power] * reference.energy_integral(f, k, t);
        spectrum += sigma.transition_coefficients(t)[power] * reference.energy_integral(3, k, t);
    }
    EXPECT_NEAR(spectrum / brute_force, 1.0, quadrature_tolerance);

    // The constant 0.667 is the adiabatic value for the neutrinos that matter.
    auto const printed_value = ReferenceCalculation(load({"xenonnt_sr0"})).rates(0, lambda);
    EXPECT_NEAR(sum(reference.rates(0, lambda)) / sum(printed_value), 1.0, 0.01);
}

/// Rates of one bin by nested adaptive quadrature: T outside, E' inside, the neutrino-energy integrals at every T.
class NestedQuadrature
{
public:
    NestedQuadrature(Inputs const& inputs, ReferenceCalculation const& reference, std::size_t experiment, std::size_t bin)
        : inputs_(inputs)
        , reference_(reference)
        , experiment_(inputs.experiments[experiment])
        , lo_(std::max(experiment_.edges[bin], experiment_.cut_min))
        , hi_(std::min(experiment_.edges[bin + 1], experiment_.cut_max))
    {
        inner_ = {lo_, hi_};
        for (auto const& efficiency : experiment_.efficiencies)
            if (efficiency.table && efficiency.energy == EnergyScale::reconstructed)
                inner_.insert(inner_.end(), efficiency.table->x.begin(), efficiency.table->x.end());
        inner_ = reference::breaks_between(lo_, hi_, inner_);
    }

    double rate(ParameterValues const& values)
    {
        reference::CrossSection const sigma(inputs_.constants, inputs_.oscillation, values, false);
        double const reach = 10.0 * experiment_.resolution(hi_ + 2.0);
        double const begin = inputs_.shells.binding_energy.front();
        // Only what is discontinuous, and what keeps the adaptive rule from overlooking the peak.
        std::vector<double> breaks = inputs_.shells.binding_energy;
        breaks.insert(breaks.end(), {lo_, hi_, 0.5 * lo_, 0.03, 0.1, 0.3});
        for (auto const& efficiency : experiment_.efficiencies)
            if (efficiency.table && efficiency.energy == EnergyScale::true_recoil)
                breaks.insert(breaks.end(), efficiency.table->x.begin(), efficiency.table->x.end());
        breaks = reference::breaks_between(begin, hi_ + reach, breaks);
        auto integrand = [&](double t) {
            auto const& known = at(t);
            double spectrum = 0.0;
            for (int f = 0; f < 3; ++f)
            {
                auto const c = sigma.coefficients(f, t);
                for (std::size_t k = 0; k < 3; ++k)
                    spectrum += c[k] * known.integrals[static_cast<std::size_t>(f)][k];
            }
            return known.kernel * spectrum;
        };
        return adaptive_together<31>(integrand, breaks, 1e-11);
    }

private:
    struct AtRecoil
    {
        double kernel;
        double integrals[3][3];
    };

    AtRecoil const& at(double t)
    {
        auto const [entry, fresh] = known_.try_emplace(t);
        if (!fresh)
            return entry->second;
        auto accepted = [&](double e) {
            double efficiency = 1.0;
            for (auto const& factor : experiment_.efficiencies)
                if (factor.energy == EnergyScale::reconstructed)
                    efficiency *= factor(e);
            double const width = experiment_.resolution(experiment_.resolution.width_of == EnergyScale::reconstructed ? e : t);
            double const x = (e - t) / width;
            return efficiency * std::exp(-0.5 * x * x) / (width * std::sqrt(2.0 * pi));
        };
        double kernel = adaptive_together<15>(accepted, inner_, 1e-13);
        double electrons = 0.0;
        for (std::size_t s = 0; s < inputs_.shells.electrons.size(); ++s)
            electrons += inputs_.shells.binding_energy[s] < t ? inputs_.shells.electrons[s] : 0.0;
        kernel *= electrons * inputs_.constants.avogadro / inputs_.constants.molar_mass * 1e6 * inputs_.constants.days_per_year
                  * 86400.0;
        if (experiment_.rate_unit == RateUnit::events)
            kernel *= experiment_.exposure;
        for (auto const& factor : experiment_.efficiencies)
            if (factor.energy == EnergyScale::true_recoil)
                kernel *= factor(t);
        AtRecoil result{kernel, {}};
        if (kernel != 0.0)
            for (int f = 0; f < 3; ++f)
                for (int k = 0; k < 3; ++k)
                    result.integrals[f][k] = reference_.energy_integral(f, k, t);
        entry->second = result;
        return entry->second;
    }

    Inputs const& inputs_;
    ReferenceCalculation const& reference_;
    ExperimentDefinition const& experiment_;
    double lo_;
    double hi_;
    std::vector<double> inner_;
    std::unordered_map<double, AtRecoil> known_;
};

void expect_rates_by_nested_quadrature(Inputs const& inputs, std::vector<std::size_t> const& bins)
{
    ReferenceCalculation const reference(inputs);
    for (std::size_t const bin : bins)
    {
        NestedQuadrature quadrature(inputs, reference, 0, bin);
        for (Model const& model : models())
        {
            double const rate = reference.rates(0, model.values)[bin];
            EXPECT_NEAR(rate / quadrature.rate(model.values), 1.0, nested_quadrature_tolerance)
                << inputs.experiments[0].name << " bin " << bin << " " << model.name;
        }
    }
}

TEST(ReferenceRates, XenonntByNestedQuadrature)
{
    expect_rates_by_nested_quadrature(load({"xenonnt_sr0"}), {1, 2, 9, 29});
}

TEST(ReferenceRates, LzByNestedQuadrature)
{
    expect_rates_by_nested_quadrature(load({"lz_ws2022"}), {1, 2, 5, 20, 50});
}

TEST(ReferenceRates, LzWithErrorFunctionByNestedQuadrature)
{
    expect_rates_by_nested_quadrature(load({"lz_ws2022_arxiv2208"}), {2, 3, 8, 40});
}

TEST(ReferenceRates, WidthOfTheTrueEnergyByNestedQuadrature)
{
    Inputs inputs = load({"lz_ws2022_arxiv2208"});
    auto& experiment = inputs.experiments[0];
    experiment.resolution.width_of = EnergyScale::true_recoil;
    experiment.resolution.constant = 0.02;
    experiment.resolution.linear = 0.004;
    expect_rates_by_nested_quadrature(inputs, {1, 4});
}

TEST(ReferenceRates, UnitsAndLinearity)
{
    Inputs events = load({"lz_ws2022"});
    Inputs per_tonne_year = events;
    per_tonne_year.experiments[0].rate_unit = RateUnit::per_tonne_year;
    for (auto& background : per_tonne_year.experiments[0].backgrounds)
        for (double& content : background.per_bin)
            content /= events.experiments[0].exposure;
    ReferenceCalculation const a(events);
    ReferenceCalculation const b(per_tonne_year);
    ParameterValues const values = point({{"mu_e", 1e-11}});
    auto const counts = a.rates(0, values);
    auto const rates = b.rates(0, values);
    for (std::size_t i = 0; i < counts.size(); ++i)
        EXPECT_NEAR(counts[i], rates[i] * events.experiments[0].exposure, formula_tolerance * counts[i]);
    // Eq. 14 holds for counts, whatever unit the rates have.
    EXPECT_NEAR(a.evaluate(values).chi2, b.evaluate(values).chi2, 1e-10);
}

TEST(ReferenceRates, BoundElectronFactors)
{
    // LZ's own number of solar neutrino events, 27.1 +- 1.6, has them.
    InputChoice choice;
    choice.electrons = "rrpa";
    Inputs const inputs = load({"lz_ws2022"}, choice);
    ASSERT_EQ(inputs.rrpa.size(), 3u);
    EXPECT_NEAR(sum(ReferenceCalculation(inputs).rates(0, {})), 27.1, 1.6);

    // A factor of 2 on one flavour halves its share.
    Inputs halved = load({"lz_ws2022"});
    Inputs doubled = halved;
    halved.rrpa = {{{0.0, 1.0}, {2.0, 2.0}}, {{0.0, 1.0}, {1.0, 1.0}}, {{0.0, 1.0}, {1.0, 1.0}}};
    doubled.rrpa = {{{0.0, 1.0}, {0.5, 0.5}}, {{0.0, 1.0}, {1.0, 1.0}}, {{0.0, 1.0}, {1.0, 1.0}}};
    auto const plain = ReferenceCalculation(load({"lz_ws2022"})).rates(0, {});
    auto const half = ReferenceCalculation(halved).rates(0, {});
    auto const twice = ReferenceCalculation(doubled).rates(0, {});
    for (std::size_t i = 1; i < plain.size(); ++i)
    {
        EXPECT_LT(half[i], plain[i]);
        EXPECT_NEAR((twice[i] - plain[i]) / (plain[i] - half[i]), 2.0, 1e-9);
    }
}

TEST(ReferenceChecks, XenonntStandardModel)
{
    ReferenceCalculation const reference(load({"xenonnt_sr0"}));
    auto const result = reference.evaluate({});
    ASSERT_EQ(result.rates.size(), 1u);
    double const first_bins[] = {0.0, 1.104, 2.071, 2.143, 2.227, 2.404};
    for (std::size_t i = 0; i < std::size(first_bins); ++i)
        EXPECT_NEAR(result.rates[0][i], first_bins[i], printed(1e-3)) << i;
    EXPECT_NEAR(sum(result.rates[0]), 68.84, printed(1e-2));
    EXPECT_NEAR(result.chi2, 17.756, printed(1e-3));
    // The cut leaves the first bin without acceptance: no rate, no part in chi^2.
    EXPECT_EQ(result.rates[0][0], 0.0);
    EXPECT_EQ(result.chi2_bins[0][0], 0.0);
    EXPECT_NEAR(sum(result.chi2_bins[0]) + std::pow(result.pulls[0] / 0.07, 2), result.chi2, minimum_tolerance * result.chi2);
}

TEST(ReferenceChecks, LzStandardModel)
{
    auto const own = ReferenceCalculation(load({"lz_ws2022"})).evaluate({});
    EXPECT_NEAR(sum(own.rates[0]), 32.81, printed(1e-2));
    EXPECT_NEAR(own.chi2, 44.78, printed(1e-2));
    ASSERT_EQ(own.pulls.size(), 3u);
    // physics.md lists (alpha, beta, delta); here the shared beta comes first.
    EXPECT_NEAR(own.pulls[1], 0.014, printed(1e-3));
    EXPECT_NEAR(own.pulls[0], -0.001, printed(1e-3));
    EXPECT_NEAR(own.pulls[2], -0.443, printed(1e-3));

    auto const fitted = ReferenceCalculation(load({"lz_ws2022_arxiv2208"})).evaluate({});
    EXPECT_NEAR(sum(fitted.rates[0]), 31.67, printed(1e-2));
    EXPECT_NEAR(fitted.chi2, 44.70, printed(1e-2));
}

TEST(ReferenceChecks, SharedFluxPull)
{
    auto const result = ReferenceCalculation(load({"xenonnt_sr0", "lz_ws2022"})).evaluate({});
    // 62.53365 here: one unit of the last printed digit. LZ rates lower by 5e-4, or LZ backgrounds higher by 1.1e-4, give 62.5335.
    EXPECT_NEAR(result.chi2, 62.533, 1e-3);
    ASSERT_EQ(result.pulls.size(), 3u);
    EXPECT_NEAR(result.pulls[0], -0.0104, printed(1e-4));
    // The penalty of beta counts once.
    double expected = std::pow(result.pulls[0] / 0.07, 2) + std::pow(result.pulls[1] / 0.13, 2) + std::pow(result.pulls[2], 2);
    for (auto const& bins : result.chi2_bins)
        expected += sum(bins);
    EXPECT_NEAR(result.chi2, expected, minimum_tolerance * result.chi2);
}

TEST(ReferenceChecks, HugeCouplingsProfileTheSignalAway)
{
    ReferenceCalculation const xenonnt(load({"xenonnt_sr0"}));
    for (double const charge : {1e-10, 1e-6, 1.0})
    {
        auto const result = xenonnt.evaluate(point({{"q_e", charge}}));
        EXPECT_EQ(result.status, PointStatus::ok);
        EXPECT_NEAR(result.chi2, 229.717, printed(1e-3)) << charge;
        EXPECT_NEAR(result.pulls[0], -1.0, 1e-5);
    }
    for (char const* name : {"lz_ws2022", "lz_ws2022_arxiv2208"})
    {
        ReferenceCalculation const lz(load({name}));
        for (double const charge : {1e-9, 1e-3, 1e3})
        {
            auto const result = lz.evaluate(point({{"q_e", charge}}));
            EXPECT_EQ(result.status, PointStatus::ok);
            // 249.39455: how the shapes are normalised (a sum of 222.0005 for 222) moves the fourth digit.
            EXPECT_NEAR(result.chi2, 249.394, 1e-3) << name << " " << charge;
        }
    }
}

TEST(ReferenceChecks, ChargeRadiusHasTwoMinima)
{
    ReferenceCalculation const reference(load({"xenonnt_sr0"}));
    auto chi2 = [&](double r2) { return reference.evaluate(point({{"r2_e", r2 * 1e-32}})).chi2; };
    double const lowest = chi2(-6.4);
    EXPECT_NEAR(chi2(-43.0) - lowest, 2.699, printed(1e-3));
    // The printed edges of Delta chi^2 < 1 are multiples of 0.2.
    constexpr double half_step = 0.1;
    for (double const edge : {-86.8, -66.4, -20.2, 3.6})
        EXPECT_LT((chi2(edge - half_step) - lowest - 1.0) * (chi2(edge + half_step) - lowest - 1.0), 0.0) << edge;
}

TEST(ReferenceMinimum, GaussianClosedForm)
{
    Inputs const inputs = load({"xenonnt_sr0"});
    auto const& experiment = inputs.experiments[0];
    ReferenceCalculation const reference(inputs);
    auto const sm = reference.rates(0, {});
    for (Model const& model : models())
    {
        auto const result = reference.evaluate(model.values);
        // chi^2 = sum ((B + s R - D)/e)^2 + ((s - 1)/0.07)^2 is a parabola in s.
        double a = 1.0 / (0.07 * 0.07);
        double b = a;
        double c = a;
        for (std::size_t i = 1; i < experiment.bins(); ++i)
        {
            double const error = reference::garwood_error(experiment.counts[i]) / experiment.exposure;
            double const x = (experiment.counts[i] / experiment.exposure - experiment.backgrounds[0].per_bin[i] + sm[i]) / error;
            double const y = result.rates[0][i] / error;
            a += y * y;
            b += x * y;
            c += x * x;
        }
        double const scale = std::max(0.0, b / a);
        EXPECT_NEAR(result.pulls[0], scale - 1.0, pull_tolerance) << model.name;
        EXPECT_NEAR(result.chi2, c - 2.0 * b * scale + a * scale * scale, minimum_tolerance * (1.0 + c)) << model.name;
    }
}

TEST(ReferenceMinimum, PoissonMinimumIsStationary)
{
    Inputs const inputs = load({"lz_ws2022"});
    auto const& experiment = inputs.experiments[0];
    ReferenceCalculation const reference(inputs);
    for (Model const& model : models())
    {
        auto const result = reference.evaluate(model.values);
        ASSERT_EQ(result.status, PointStatus::ok) << model.name;
        auto chi2 = [&](std::vector<double> const& pulls) {
            double total = std::pow(pulls[0] / 0.07, 2) + std::pow(pulls[1] / 0.13, 2) + std::pow(pulls[2], 2);
            for (std::size_t i = 0; i < experiment.bins(); ++i)
            {
                double prediction = (1.0 + pulls[0]) * result.rates[0][i];
                for (auto const& background : experiment.backgrounds)
                    prediction += (1.0 + pulls[static_cast<std::size_t>(background.pull) + 1]) * background.per_bin[i];
                double const n = experiment.counts[i];
                total += 2.0 * (prediction - n + (n > 0.0 ? n * std::log(n / prediction) : 0.0));
            }
            return total;
        };
        EXPECT_NEAR(chi2(result.pulls), result.chi2, minimum_tolerance * (1.0 + result.chi2)) << model.name;
        // chi^2 is convex: no lower neighbour means no lower point.
        for (std::size_t p = 0; p < 3; ++p)
            for (double const step : {-1e-4, 1e-4})
            {
                auto moved = result.pulls;
                moved[p] += p == 0 ? step * (1.0 + result.pulls[0]) : step;
                EXPECT_GE(chi2(moved), result.chi2 - minimum_tolerance * (1.0 + result.chi2)) << model.name << " pull " << p;
            }
    }
}

TEST(ReferenceMinimum, BackgroundBelowTheSignalItContains)
{
    // The prediction of the last bin is positive from some scale on only, which signals at low energy put far above their own.
    test::ToyData const data;
    for (double const part : {0.99, 0.9, 0.3})
    {
        std::string const name = fmt::format("part_{}", std::lround(100.0 * part));
        data.add_with_signal(name, {10.0, 10.0, 20.0, part * 24.6, part * 38.0});
        Inputs const inputs = data.inputs({name});
        auto const& experiment = inputs.experiments[0];
        ReferenceCalculation const reference(inputs);
        auto const sm = reference.rates(0, {});
        for (auto const& setting : {Setting{}, Setting{{"mu_e", 1e-10}}, Setting{{"q_e", 1e-11}}, Setting{{"q_e", 1e-8}},
                                    Setting{{"g_V", 1e-5}, {"m_V", 1e-3}}, Setting{{"g_S", 1e-2}, {"m_S", 1e-3}}})
        {
            auto const result = reference.evaluate(point(setting));
            ASSERT_EQ(result.status, PointStatus::ok) << part;
            auto const& rates = result.rates[0];
            // Half the slope of chi^2 rises with the scale: its root by bisection.
            double lo = 0.0;
            for (std::size_t i = 0; i < sm.size(); ++i)
                lo = std::max(lo, (sm[i] - experiment.backgrounds[0].per_bin[i]) / rates[i]);
            auto const slope = [&](double scale) {
                double total = (scale - 1.0) / (0.07 * 0.07);
                for (std::size_t i = 0; i < sm.size(); ++i)
                    total += rates[i]
                             * (1.0 - experiment.counts[i] / (experiment.backgrounds[0].per_bin[i] - sm[i] + scale * rates[i]));
                return total;
            };
            double hi = lo + 10.0;
            for (int i = 0; i < 200; ++i)
                (slope(0.5 * (lo + hi)) < 0.0 ? lo : hi) = 0.5 * (lo + hi);
            // A pull near -1 has lost the digits of a small scale.
            EXPECT_NEAR(result.pulls[0] + 1.0, lo, 1e-9 * lo + 1e-15) << part;
        }
    }
}

TEST(ReferenceMinimum, FixedPullsAreZero)
{
    ReferenceCalculation const reference(load({"xenonnt_sr0", "lz_ws2022"}), {.fix_pulls = true});
    auto const result = reference.evaluate({});
    EXPECT_EQ(result.status, PointStatus::ok);
    for (double const pull : result.pulls)
        EXPECT_EQ(pull, 0.0);
    double expected = 0.0;
    for (auto const& bins : result.chi2_bins)
        expected += sum(bins);
    EXPECT_NEAR(result.chi2, expected, minimum_tolerance * expected);
    EXPECT_GT(result.chi2, ReferenceCalculation(load({"xenonnt_sr0", "lz_ws2022"})).evaluate({}).chi2);
}

TEST(ReferenceMinimum, OverflowIsReported)
{
    ReferenceCalculation const reference(load({"lz_ws2022"}));
    auto const result = reference.evaluate(point({{"g_T", 1e200}, {"m_T", 1.0}}));
    EXPECT_EQ(result.status, PointStatus::not_finite);
    EXPECT_TRUE(std::isnan(result.chi2));
    auto const huge = reference.evaluate(point({{"g_T", 1e30}, {"m_T", 1e-3}}));
    EXPECT_EQ(huge.status, PointStatus::ok);
    EXPECT_TRUE(std::isfinite(huge.chi2));
}

TEST(ReferenceMinimum, GarwoodErrors)
{
    // Central 68.27% intervals: [0, 1.841], [0.173, 3.300], [6.891, 14.267].
    EXPECT_NEAR(reference::garwood_error(0.0), 1.841 / 2.0, 1e-3);
    EXPECT_NEAR(reference::garwood_error(1.0), (3.300 - 0.173) / 2.0, 1e-3);
    EXPECT_NEAR(reference::garwood_error(10.0), (14.267 - 6.891) / 2.0, 1e-3);
}

/// 1e4 u^2 + v^2 + x1^2 + x0 - ln x0 with u = x0 + x1 + x2 - 3 and v = x1 - x2: strong correlation, and an edge of the domain at
/// x0 = 0. \p slope_error spoils one derivative.
reference::ConvexFunction correlated_function(double slope_error = 0.0)
{
    reference::ConvexFunction function;
    function.value = [](std::vector<double> const& x) {
        if (x[0] <= 0.0)
            return std::numeric_limits<double>::infinity();
        double const u = x[0] + x[1] + x[2] - 3.0;
        double const v = x[1] - x[2];
        return 1e4 * u * u + v * v + x[1] * x[1] + x[0] - std::log(x[0]);
    };
    function.derivatives = [=](std::vector<double> const& x) {
        double const u = x[0] + x[1] + x[2] - 3.0;
        double const v = x[1] - x[2];
        reference::Derivatives at(3);
        at.gradient = {2e4 * u + 1.0 - 1.0 / x[0], 2e4 * u + 2.0 * v + 2.0 * x[1] + slope_error, 2e4 * u - 2.0 * v};
        at.hessian = {{2e4 + 1.0 / (x[0] * x[0]), 2e4, 2e4}, {2e4, 2e4 + 4.0, 2e4 - 2.0}, {2e4, 2e4 - 2.0, 2e4 + 2.0}};
        return at;
    };
    return function;
}

TEST(ReferenceMinimum, ConvexMinimumInABoundedDomain)
{
    auto const function = correlated_function();
    double const inf = std::numeric_limits<double>::infinity();
    for (double const start : {1e-9, 0.5, 1e6})
    {
        std::vector<double> x{start, 5.0, -3.0};
        auto const minimum = reference::minimise_convex(function, x, {-inf, -inf, -inf});
        for (double const slope : function.derivatives(x).gradient)
            EXPECT_NEAR(slope, 0.0, 1e-10) << start;
        EXPECT_LT(minimum.excess, 1e-20) << start;
        EXPECT_LT(minimum.gain, minimum_tolerance) << start;
        EXPECT_EQ(minimum.value, function.value(x)) << start;
    }
    // Free, x1 is some 0.7: a bound above that holds it, and the others follow.
    std::vector<double> x{0.5, 5.0, -3.0};
    auto const bounded = reference::minimise_convex(function, x, {-inf, 4.0, -inf});
    EXPECT_EQ(x[1], 4.0);
    auto const gradient = function.derivatives(x).gradient;
    EXPECT_NEAR(gradient[0], 0.0, 1e-10);
    EXPECT_GT(gradient[1], 0.1);
    EXPECT_NEAR(gradient[2], 0.0, 1e-10);
    EXPECT_LT(bounded.gain, minimum_tolerance);
}

TEST(ReferenceMinimum, WrongDerivativesAreSeenFromTheValues)
{
    double const inf = std::numeric_limits<double>::infinity();
    std::vector<double> x{0.5, 5.0, -3.0};
    EXPECT_GT(reference::minimise_convex(correlated_function(10.0), x, {-inf, -inf, -inf}).gain, 1e-6);
}

TEST(ReferenceNumerics, ChebyshevAndCompensatedSum)
{
    reference::Chebyshev const table([](double x) { return 1.0 / (1.0 + x); }, 0.0, 3.0, 40);
    for (double const x : {0.0, 0.3, 1.7, 3.0})
        EXPECT_NEAR(table(x), 1.0 / (1.0 + x), 1e-14);
    EXPECT_LT(table.truncation(), 1e-14);
    reference::CompensatedSum total;
    for (double const term : {1.0, 1e100, 1.0, -1e100})
        total.add(term);
    EXPECT_EQ(total.value(), 2.0);
}

} // namespace
} // namespace nuscan
