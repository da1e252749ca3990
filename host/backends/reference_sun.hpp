/// \file
/// Reference calculation: solar neutrinos, their flavours and the integrals over their energy.
#pragma once

#include <array>
#include <vector>

#include "host/backends/reference_numerics.hpp"
#include "host/inputs/inputs.hpp"

namespace nuscan::reference
{

/// Number of species: e, mu, tau weighted by the oscillation probability, then P_e1^{2nu}; and of powers of 1/E.
inline constexpr int n_weights = 4;
inline constexpr int n_powers = 3;

/// J_sk = sum over sources of integral_{Emin(T)} Phi(E) P_s(E) E^-k dE, indexed [s][k].
using EnergyIntegrals = std::array<std::array<double, n_powers>, n_weights>;

/// Least neutrino energy for a recoil: Emin = (T + sqrt(T^2 + 2 m_e T))/2.
double least_neutrino_energy(double recoil, double electron_mass);
/// Largest recoil of a neutrino: T = 2 E^2/(m_e + 2 E).
double largest_recoil(double energy, double electron_mass);

class Sun
{
public:
    Sun(SolarModel model, OscillationParameters const& oscillation, double electron_mass);

    /// P_e1^{2nu}, averaged over the production zones of a source by direct summation.
    double p_e1(std::size_t source, double energy) const;
    /// P_ee = c13^4 P2 + s13^4 of the same average.
    double p_ee(std::size_t source, double energy) const;

    /// All energy integrals at a recoil T > 0, integrated afresh.
    EnergyIntegrals energy_integrals(double recoil) const;

    /// Recoils at which an energy integral has a kink or a step: the images of spectrum nodes and lines.
    std::vector<double> kinks() const;

    SolarModel const& model() const { return model_; }

private:
    /// Integrals of Phi E^-k and Phi P_e1 E^-k.
    struct Moments
    {
        std::array<double, n_powers> flux{};
        std::array<double, n_powers> flux_p_e1{};
        void add(Moments const& other);
    };

    double p_ee_of(double p_e1) const;
    /// Integral over part [lo, hi] of the segment between nodes \p segment and \p segment + 1.
    Moments segment_integral(std::size_t source, std::size_t segment, double lo, double hi) const;

    SolarModel model_;
    OscillationParameters oscillation_;
    double electron_mass_;
    std::vector<Chebyshev> p_e1_table_;
    /// [source][node]: integral from the node to the end of the spectrum.
    std::vector<std::vector<Moments>> tail_;
    std::vector<std::vector<double>> line_p_e1_;
};

} // namespace nuscan::reference
