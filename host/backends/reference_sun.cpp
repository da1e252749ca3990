#include "host/backends/reference_sun.hpp"

#include <algorithm>
#include <cmath>

namespace nuscan::reference
{

namespace
{

/// Number of Chebyshev nodes of P_e1(E): the nearest singularities, cos2th12 - b = +-i sin2th12, lie far from the real axis, and
/// the series for 0-19 MeV falls by a factor of 1.8 per term.
constexpr std::size_t survival_nodes = 96;

/// sqrt2 G_F N_A/cm^3 [eV].
constexpr double potential_per_electron = 7.632e-14;
constexpr double ev_per_kev = 1e3;

} // namespace

double least_neutrino_energy(double recoil, double electron_mass)
{
    return 0.5 * (recoil + std::sqrt(recoil * (recoil + 2.0 * electron_mass)));
}

double largest_recoil(double energy, double electron_mass)
{
    return 2.0 * energy * energy / (electron_mass + 2.0 * energy);
}

void Sun::Moments::add(Moments const& other)
{
    for (std::size_t k = 0; k < n_powers; ++k)
    {
        flux[k] += other.flux[k];
        flux_p_e1[k] += other.flux_p_e1[k];
    }
}

Sun::Sun(SolarModel model, OscillationParameters const& oscillation, double electron_mass)
    : model_(std::move(model))
    , oscillation_(oscillation)
    , electron_mass_(electron_mass)
{
    for (std::size_t i = 0; i < model_.sources.size(); ++i)
    {
        SolarSource const& source = model_.sources[i];
        std::vector<double> line_p_e1;
        for (NeutrinoLine const& line : source.lines)
            line_p_e1.push_back(p_e1(i, line.energy));
        line_p_e1_.push_back(std::move(line_p_e1));

        double const end = source.energy.empty() ? 1.0 : source.energy.back();
        p_e1_table_.emplace_back([&](double energy) { return p_e1(i, energy); }, 0.0, end, survival_nodes);

        std::size_t const nodes = source.energy.size();
        std::vector<Moments> tail(nodes);
        for (std::size_t node = nodes; node-- > 0;)
        {
            // The integral from E = 0 is never asked for, and need not exist.
            if (node + 1 == nodes || source.energy[node] <= 0.0)
                continue;
            tail[node] = tail[node + 1];
            tail[node].add(segment_integral(i, node, source.energy[node], source.energy[node + 1]));
        }
        tail_.push_back(std::move(tail));
    }
}

double Sun::p_e1(std::size_t source, double energy) const
{
    double const cos_2th12 = 1.0 - 2.0 * oscillation_.sin2_theta12;
    double const sin_2th12_squared = 1.0 - cos_2th12 * cos_2th12;
    double const c13_squared = 1.0 - oscillation_.sin2_theta13;
    auto const& weight = model_.sources[source].zone_weight;
    CompensatedSum sum;
    CompensatedSum total;
    for (std::size_t zone = 0; zone < weight.size(); ++zone)
    {
        double const b = 2.0 * potential_per_electron * model_.electron_density[zone] * (energy * ev_per_kev) * c13_squared
                         / oscillation_.dm21_ev2;
        double const cos_2th_matter = (cos_2th12 - b) / std::sqrt((cos_2th12 - b) * (cos_2th12 - b) + sin_2th12_squared);
        sum.add(weight[zone] * (1.0 + cos_2th_matter) / 2.0);
        total.add(weight[zone]);
    }
    return sum.value() / total.value();
}

double Sun::p_ee_of(double p_e1) const
{
    double const cos_2th12 = 1.0 - 2.0 * oscillation_.sin2_theta12;
    double const s13_squared = oscillation_.sin2_theta13;
    double const c13_squared = 1.0 - s13_squared;
    double const cos_2th_matter = 2.0 * p_e1 - 1.0;
    double const p2 = (1.0 + cos_2th_matter * cos_2th12) / 2.0;
    return c13_squared * c13_squared * p2 + s13_squared * s13_squared;
}

double Sun::p_ee(std::size_t source, double energy) const
{
    return p_ee_of(p_e1(source, energy));
}

Sun::Moments Sun::segment_integral(std::size_t source, std::size_t segment, double lo, double hi) const
{
    SolarSource const& spectrum = model_.sources[source];
    double const e0 = spectrum.energy[segment];
    double const e1 = spectrum.energy[segment + 1];
    double const d0 = spectrum.density[segment];
    double const d1 = spectrum.density[segment + 1];
    Moments result;
    // E^-2 needs panels that are short against E.
    while (lo < hi)
    {
        double const from = std::max(lo, 0.5 * hi);
        for (Node const& node : panel_nodes(from, hi))
        {
            double const energy = node.x;
            double flux = node.w * spectrum.flux * (d0 * (e1 - energy) + d1 * (energy - e0)) / (e1 - e0);
            double const probability = p_e1_table_[source](energy);
            for (std::size_t k = 0; k < n_powers; ++k)
            {
                result.flux[k] += flux;
                result.flux_p_e1[k] += flux * probability;
                flux /= energy;
            }
        }
        hi = from;
    }
    return result;
}

EnergyIntegrals Sun::energy_integrals(double recoil) const
{
    double const energy_min = least_neutrino_energy(recoil, electron_mass_);
    Moments sum;
    for (std::size_t i = 0; i < model_.sources.size(); ++i)
    {
        SolarSource const& source = model_.sources[i];
        for (std::size_t l = 0; l < source.lines.size(); ++l)
        {
            NeutrinoLine const& line = source.lines[l];
            if (!(line.energy > energy_min))
                continue;
            Moments moments;
            double flux = line.flux;
            for (std::size_t k = 0; k < n_powers; ++k)
            {
                moments.flux[k] = flux;
                moments.flux_p_e1[k] = flux * line_p_e1_[i][l];
                flux /= line.energy;
            }
            sum.add(moments);
        }
        if (source.energy.empty() || energy_min >= source.energy.back())
            continue;
        auto const above = std::upper_bound(source.energy.begin(), source.energy.end(), energy_min);
        auto const next = static_cast<std::size_t>(above - source.energy.begin());
        sum.add(tail_[i][next]);
        if (next > 0)
            sum.add(segment_integral(i, next - 1, energy_min, source.energy[next]));
    }

    // P_ee is linear in P_e1, so that its integrals are too.
    double const p_ee_0 = p_ee_of(0.0);
    double const p_ee_1 = p_ee_of(1.0);
    EnergyIntegrals integrals;
    for (std::size_t k = 0; k < n_powers; ++k)
    {
        double const electron = p_ee_0 * (sum.flux[k] - sum.flux_p_e1[k]) + p_ee_1 * sum.flux_p_e1[k];
        double const other = (1.0 - p_ee_0) * (sum.flux[k] - sum.flux_p_e1[k]) + (1.0 - p_ee_1) * sum.flux_p_e1[k];
        integrals[0][k] = electron;
        integrals[1][k] = other * (1.0 - oscillation_.sin2_theta23);
        integrals[2][k] = other * oscillation_.sin2_theta23;
        integrals[3][k] = sum.flux_p_e1[k];
    }
    return integrals;
}

std::vector<double> Sun::kinks() const
{
    std::vector<double> recoils;
    for (SolarSource const& source : model_.sources)
    {
        for (double const energy : source.energy)
            recoils.push_back(largest_recoil(energy, electron_mass_));
        for (NeutrinoLine const& line : source.lines)
            recoils.push_back(largest_recoil(line.energy, electron_mass_));
    }
    return recoils;
}

} // namespace nuscan::reference
