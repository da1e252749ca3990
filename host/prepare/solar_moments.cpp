#include "host/prepare/solar_moments.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/prepare/quadrature.hpp"
#include "nuscan/physics/kinematics.hpp"
#include "nuscan/physics/survival.hpp"

namespace nuscan
{

namespace
{

/// P_e1 of a source is analytic in E; this many Chebyshev nodes leave an error below 1e-12 up to the end of the hep spectrum.
constexpr int chebyshev_nodes = 96;
/// Gauss-Legendre nodes per piece of a spectrum interval, and the largest ratio of energies within a piece (E^-2 varies fast at
/// low energy).
constexpr int energy_nodes = 5;
constexpr double largest_energy_ratio = 1.5;

/// Chebyshev coefficients of f on [0, length].
template<class Function>
std::vector<double> chebyshev_fit(Function const& f, double length)
{
    constexpr int n = chebyshev_nodes;
    std::vector<double> value(n);
    for (int i = 0; i < n; ++i)
        value[static_cast<std::size_t>(i)] = f(0.5 * length * (1.0 + std::cos(pi * (i + 0.5) / n)));
    std::vector<double> coefficient(n);
    for (int k = 0; k < n; ++k)
    {
        double sum = 0.0;
        for (int i = 0; i < n; ++i)
            sum += value[static_cast<std::size_t>(i)] * std::cos(pi * k * (i + 0.5) / n);
        coefficient[static_cast<std::size_t>(k)] = 2.0 * sum / n;
    }
    coefficient[0] *= 0.5;
    // Trailing coefficients below rounding cost time and give nothing.
    while (coefficient.size() > 1 && std::fabs(coefficient.back()) < 1e-15)
        coefficient.pop_back();
    return coefficient;
}

/// Clenshaw summation at x in [-1, 1].
double chebyshev_sum(std::vector<double> const& coefficient, double x)
{
    double b1 = 0.0;
    double b2 = 0.0;
    for (std::size_t k = coefficient.size(); k-- > 1;)
    {
        double const b0 = 2.0 * x * b1 - b2 + coefficient[k];
        b2 = b1;
        b1 = b0;
    }
    return x * b1 - b2 + coefficient[0];
}

} // namespace

SolarMoments::SolarMoments(Inputs const& inputs, int refinement)
    : constants_(inputs.constants)
    , oscillation_(inputs.oscillation)
    , transition_constant_(inputs.choice.transition_survival == "constant")
    , refinement_(refinement)
{
    double maximum_energy = 0.0;
    for (SolarSource const& input : inputs.solar.sources)
    {
        if (!input.energy.empty())
            maximum_energy = std::max(maximum_energy, input.energy.back());
        for (NeutrinoLine const& line : input.lines)
            maximum_energy = std::max(maximum_energy, line.energy);
    }
    for (SolarSource const& input : inputs.solar.sources)
    {
        Source source;
        source.lines = input.lines;
        source.energy = input.energy;
        source.flux_density.reserve(input.density.size());
        for (double const density : input.density)
            source.flux_density.push_back(density * input.flux);
        source.maximum_energy = maximum_energy;

        auto const averaged = [&](double energy) {
            double sum = 0.0;
            for (std::size_t zone = 0; zone < input.zone_weight.size(); ++zone)
                if (input.zone_weight[zone] > 0.0)
                    sum += input.zone_weight[zone] * solar_p_e1(energy, inputs.solar.electron_density[zone], oscillation_);
            return sum;
        };
        source.chebyshev = chebyshev_fit(averaged, source.maximum_energy);

        if (!source.energy.empty())
        {
            source.cumulative.assign(source.energy.size() * n_moments, 0.0);
            for (std::size_t i = source.energy.size() - 1; i-- > 0;)
            {
                double* const here = source.cumulative.data() + i * n_moments;
                std::copy_n(here + n_moments, n_moments, here);
                // The first interval starts at E = 0, where E^-2 diverges; it is only ever entered part of the way.
                if (source.energy[i] > 0.0)
                    add_interval(source, i, source.energy[i], here);
            }
        }
        sources_.push_back(std::move(source));
    }
}

double SolarMoments::p_e1(Source const& source, double energy) const
{
    return chebyshev_sum(source.chebyshev, 2.0 * energy / source.maximum_energy - 1.0);
}

double SolarMoments::p_e1(std::size_t source, double energy) const
{
    return p_e1(sources_.at(source), energy);
}

double SolarMoments::p_ee(std::size_t source, double energy) const
{
    return solar_p_ee(p_e1(source, energy), oscillation_);
}

void SolarMoments::add_at(Source const& source, double energy, double weight, double* moments) const
{
    double const p1 = p_e1(source, energy);
    double const p_ee = solar_p_ee(p1, oscillation_);
    double const probability[n_species] = {p_ee, solar_p_emu(p_ee, oscillation_), solar_p_etau(p_ee, oscillation_),
                                           transition_constant_ ? constants_.transition_p_e1 : p1};
    for (int s = 0; s < n_species; ++s)
    {
        double term = weight * probability[s];
        for (int k = 0; k < n_energy_powers; ++k)
        {
            moments[s * n_energy_powers + k] += term;
            term /= energy;
        }
    }
}

void SolarMoments::add_interval(Source const& source, std::size_t interval, double from, double* moments) const
{
    double const left = source.energy[interval];
    double const right = source.energy[interval + 1];
    double const slope = (source.flux_density[interval + 1] - source.flux_density[interval]) / (right - left);
    int const pieces = std::max(1, static_cast<int>(std::ceil(std::log(right / from) / std::log(largest_energy_ratio))));
    auto const& rule = gauss_legendre(energy_nodes * refinement_);
    double lower = from;
    for (int piece = 1; piece <= pieces; ++piece)
    {
        double const upper = piece == pieces ? right : from * std::pow(right / from, static_cast<double>(piece) / pieces);
        for (std::size_t n = 0; n < rule.node.size(); ++n)
        {
            double const energy = lower + (upper - lower) * rule.node[n];
            double const flux = source.flux_density[interval] + slope * (energy - left);
            add_at(source, energy, flux * rule.weight[n] * (upper - lower), moments);
        }
        lower = upper;
    }
}

void SolarMoments::operator()(double recoil, double* moments) const
{
    std::fill_n(moments, n_moments, 0.0);
    double const minimum = minimum_neutrino_energy(recoil, constants_.electron_mass);
    for (Source const& source : sources_)
    {
        for (NeutrinoLine const& line : source.lines)
            if (line.energy > minimum)
                add_at(source, line.energy, line.flux, moments);
        if (source.energy.empty() || minimum >= source.energy.back())
            continue;
        auto const next = std::upper_bound(source.energy.begin(), source.energy.end(), minimum);
        auto const after = static_cast<std::size_t>(next - source.energy.begin());
        double const* const rest = source.cumulative.data() + after * n_moments;
        for (int m = 0; m < n_moments; ++m)
            moments[m] += rest[m];
        add_interval(source, after - 1, minimum, moments);
    }
}

std::vector<double> SolarMoments::kinks() const
{
    std::vector<double> kinks;
    for (Source const& source : sources_)
    {
        for (double const energy : source.energy)
            if (energy > 0.0)
                kinks.push_back(maximum_recoil_energy(energy, constants_.electron_mass));
        for (NeutrinoLine const& line : source.lines)
            kinks.push_back(maximum_recoil_energy(line.energy, constants_.electron_mass));
    }
    std::sort(kinks.begin(), kinks.end());
    return kinks;
}

} // namespace nuscan
