#include "host/backends/reference_response.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/backends/reference_numerics.hpp"
#include "host/support/error.hpp"

namespace nuscan::reference
{

double curve_value(Curve const& curve, double x)
{
    if (curve.x.empty() || x < curve.x.front())
        return 0.0;
    if (x >= curve.x.back())
        return curve.y.back();
    auto const above = std::upper_bound(curve.x.begin(), curve.x.end(), x);
    auto const i = static_cast<std::size_t>(above - curve.x.begin());
    return (curve.y[i - 1] * (curve.x[i] - x) + curve.y[i] * (x - curve.x[i - 1])) / (curve.x[i] - curve.x[i - 1]);
}

double efficiency_value(EfficiencyDefinition const& efficiency, double energy)
{
    if (efficiency.table)
        return curve_value(*efficiency.table, energy);
    // erfc(-x) = 1 + erf(x), without loss of digits far below the threshold.
    return 0.5 * efficiency.plateau * std::erfc((efficiency.threshold - energy) / (std::sqrt(2.0) * efficiency.width));
}

double total_efficiency(ExperimentDefinition const& experiment, EnergyScale scale, double energy)
{
    double product = 1.0;
    for (EfficiencyDefinition const& efficiency : experiment.efficiencies)
        if (efficiency.energy == scale)
            product *= efficiency_value(efficiency, energy);
    return product;
}

double resolution_width(ResolutionDefinition const& resolution, double energy)
{
    return resolution.constant + resolution.sqrt * std::sqrt(energy) + resolution.linear * energy;
}

double resolution_kernel(ResolutionDefinition const& resolution, double reconstructed, double recoil)
{
    double const sigma = resolution_width(resolution, resolution.width_of == EnergyScale::reconstructed ? reconstructed : recoil);
    double const x = (reconstructed - recoil) / sigma;
    return std::exp(-0.5 * x * x) / (std::sqrt(2.0 * pi) * sigma);
}

double electrons_below(AtomicShells const& shells, double recoil)
{
    double electrons = 0.0;
    for (std::size_t i = 0; i < shells.binding_energy.size(); ++i)
        if (shells.binding_energy[i] < recoil)
            electrons += shells.electrons[i];
    return electrons;
}

double exposure_factor(ExperimentDefinition const& experiment, Constants const& constants)
{
    constexpr double grams_per_tonne = 1e6;
    constexpr double seconds_per_day = 86400.0;
    double const per_tonne_year = constants.avogadro / constants.molar_mass * grams_per_tonne * constants.days_per_year
                                  * seconds_per_day;
    return experiment.rate_unit == RateUnit::events ? per_tonne_year * experiment.exposure : per_tonne_year;
}

namespace
{

/// Root of a rising function in [lo, hi], by bisection to rounding; the nearer end if there is none.
double bisect(std::function<double(double)> const& function, double lo, double hi)
{
    for (int i = 0; i < 200; ++i)
    {
        double const mid = 0.5 * (lo + hi);
        (function(mid) < 0.0 ? lo : hi) = mid;
    }
    return 0.5 * (lo + hi);
}

/// Breaks at the nodes of tables and the thresholds of error functions on one energy scale.
std::vector<double> efficiency_breaks(ExperimentDefinition const& experiment, EnergyScale scale)
{
    std::vector<double> breaks;
    for (EfficiencyDefinition const& efficiency : experiment.efficiencies)
    {
        if (efficiency.energy != scale)
            continue;
        if (efficiency.table)
            breaks.insert(breaks.end(), efficiency.table->x.begin(), efficiency.table->x.end());
        else
            breaks.push_back(efficiency.threshold);
    }
    return breaks;
}

/// Longest panel at \p energy that resolves the error functions on one energy scale.
double efficiency_scale(ExperimentDefinition const& experiment, EnergyScale scale, double energy)
{
    double length = std::numeric_limits<double>::infinity();
    for (EfficiencyDefinition const& efficiency : experiment.efficiencies)
    {
        if (efficiency.energy != scale || efficiency.table)
            continue;
        // Constant to rounding beyond ten widths; a panel may reach into that range but not across it.
        double const distance = std::abs(energy - efficiency.threshold) / efficiency.width;
        length = std::min(length, efficiency.width * std::max(0.5, distance - 10.0));
    }
    return length;
}

} // namespace

Response::Response(ExperimentDefinition const& experiment, AtomicShells const& shells, Constants const& constants,
                   std::vector<double> const& kinks)
{
    ResolutionDefinition const& resolution = experiment.resolution;
    bool const width_of_reconstructed = resolution.width_of == EnergyScale::reconstructed;
    double const recoil_min = *std::min_element(shells.binding_energy.begin(), shells.binding_energy.end());
    double const recoil_end = *std::max_element(kinks.begin(), kinks.end());
    if (!(resolution_width(resolution, recoil_min) > 0.0))
        throw RunError("reference: experiment '" + experiment.name + "' has no resolution");

    double const reconstructed_min = std::max(experiment.edges.front(), experiment.cut_min);
    double const reconstructed_max = std::min(experiment.edges.back(), experiment.cut_max);
    kernel_.resize(experiment.bins());
    if (!(reconstructed_min < reconstructed_max))
        return;

    // The recoils that are seen at a reconstructed energy.
    auto least_recoil = [&](double reconstructed) {
        if (width_of_reconstructed)
            return std::max(recoil_min, reconstructed - n_sigma * resolution_width(resolution, reconstructed));
        return bisect([&](double t) { return t + n_sigma * resolution_width(resolution, t) - reconstructed; }, recoil_min,
                      std::max(recoil_min, reconstructed));
    };
    auto greatest_recoil = [&](double reconstructed) {
        if (width_of_reconstructed)
            return std::min(recoil_end, reconstructed + n_sigma * resolution_width(resolution, reconstructed));
        return bisect([&](double t) { return t - n_sigma * resolution_width(resolution, t) - reconstructed; }, recoil_min,
                      recoil_end);
    };

    // Nodes in T. The integrand has kinks or steps at shells, efficiency nodes and images of the neutrino spectrum; it may go as
    // 1/T^2, hence panels short against T, and with the resolution, hence panels short against sigma.
    double const recoil_max = greatest_recoil(reconstructed_max);
    if (!(recoil_min < recoil_max))
        return;
    std::vector<double> breaks = kinks;
    breaks.insert(breaks.end(), shells.binding_energy.begin(), shells.binding_energy.end());
    auto const true_breaks = efficiency_breaks(experiment, EnergyScale::true_recoil);
    breaks.insert(breaks.end(), true_breaks.begin(), true_breaks.end());
    auto const recoil_nodes = composite_nodes(breaks_between(recoil_min, recoil_max, breaks), [&](double t) {
        return std::min(
            {t / 3.0, resolution_width(resolution, t) / 2.0, efficiency_scale(experiment, EnergyScale::true_recoil, t)});
    });
    std::vector<double> recoil_weight;
    for (Node const& node : recoil_nodes)
    {
        recoils_.push_back(node.x);
        recoil_weight.push_back(node.w * exposure_factor(experiment, constants)
                                * total_efficiency(experiment, EnergyScale::true_recoil, node.x) * electrons_below(shells, node.x));
    }

    // Nodes in E'. sqrt(E') is singular at 0: panels halve towards it, down to where nothing is left.
    double const least = 1e-12 * reconstructed_max;
    auto max_length = [&](double e) {
        double const narrowest = resolution_width(resolution, width_of_reconstructed ? e : least_recoil(e));
        return std::min({std::max(e / 2.0, least), std::max(narrowest / 2.0, least),
                         efficiency_scale(experiment, EnergyScale::reconstructed, e)});
    };
    auto const reconstructed_breaks = efficiency_breaks(experiment, EnergyScale::reconstructed);
    std::vector<double> kernel(recoils_.size());
    for (std::size_t bin = 0; bin < experiment.bins(); ++bin)
    {
        double const lo = std::max(experiment.edges[bin], experiment.cut_min);
        double const hi = std::min(experiment.edges[bin + 1], experiment.cut_max);
        if (!(lo < hi))
            continue;
        std::fill(kernel.begin(), kernel.end(), 0.0);
        for (Node const& node : composite_nodes(breaks_between(lo, hi, reconstructed_breaks), max_length))
        {
            ++reconstructed_nodes_;
            double const weight = node.w * total_efficiency(experiment, EnergyScale::reconstructed, node.x);
            if (weight == 0.0)
                continue;
            auto const begin = std::lower_bound(recoils_.begin(), recoils_.end(), least_recoil(node.x));
            auto const end = std::upper_bound(begin, recoils_.end(), greatest_recoil(node.x));
            for (auto i = static_cast<std::size_t>(begin - recoils_.begin()); i < static_cast<std::size_t>(end - recoils_.begin());
                 ++i)
                kernel[i] += weight * resolution_kernel(resolution, node.x, recoils_[i]);
        }
        for (std::size_t i = 0; i < kernel.size(); ++i)
            kernel[i] *= recoil_weight[i];
        auto const nonzero = [](double k) { return k != 0.0; };
        auto const first = std::find_if(kernel.begin(), kernel.end(), nonzero);
        auto const last = std::find_if(kernel.rbegin(), kernel.rend(), nonzero).base();
        if (first < last)
            kernel_[bin] = {static_cast<std::size_t>(first - kernel.begin()), {first, last}};
    }
}

std::vector<double> Response::fold(std::vector<double> const& spectrum) const
{
    std::vector<double> rates(kernel_.size());
    for (std::size_t bin = 0; bin < kernel_.size(); ++bin)
    {
        BinKernel const& kernel = kernel_[bin];
        CompensatedSum sum;
        for (std::size_t j = 0; j < kernel.weight.size(); ++j)
            sum.add(kernel.weight[j] * spectrum[kernel.first + j]);
        rates[bin] = sum.value();
    }
    return rates;
}

} // namespace nuscan::reference
