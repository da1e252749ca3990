#include "host/prepare/prepared.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <set>

#include "host/prepare/quadrature.hpp"
#include "host/prepare/solar_moments.hpp"
#include "host/support/error.hpp"
#include "nuscan/detector/response.hpp"

namespace nuscan
{

namespace
{

/// Gauss-Legendre nodes per panel of recoil and of reconstructed energy (twice as many when refined).
constexpr int panel_nodes = 4;
/// Panels are no wider than this part of the resolution width ...
constexpr double panel_per_sigma = 0.5;
/// ... and of the energy itself: the millicharge goes as 1/T^2, light mediators as 1/T^2 too.
constexpr double panel_per_energy = 0.3;
/// Where the width vanishes at E' = 0, it is so narrow below this reconstructed energy [keV] that no recoil above the lowest shell
/// reaches it.
constexpr double lowest_reconstructed = 1e-6;
/// Where it does not vanish, panels that shrink towards E' = 0, where sqrt(E') is singular, end with one of this part of the width.
constexpr double first_panel_per_sigma = 1e-5;

double efficiency_product(std::vector<EfficiencyDefinition> const& efficiencies, EnergyScale scale, double energy)
{
    double product = 1.0;
    for (auto const& efficiency : efficiencies)
        if (efficiency.energy == scale)
            product *= efficiency(energy);
    return product;
}

std::vector<double> efficiency_nodes(std::vector<EfficiencyDefinition> const& efficiencies, EnergyScale scale)
{
    std::vector<double> nodes;
    for (auto const& efficiency : efficiencies)
        if (efficiency.energy == scale && efficiency.table)
            nodes.insert(nodes.end(), efficiency.table->x.begin(), efficiency.table->x.end());
    return nodes;
}

/// Narrowest threshold of the smooth efficiencies.
double efficiency_width(std::vector<EfficiencyDefinition> const& efficiencies, EnergyScale scale)
{
    double width = INFINITY;
    for (auto const& efficiency : efficiencies)
        if (efficiency.energy == scale && !efficiency.table)
            width = std::min(width, efficiency.width);
    return width;
}

struct ReconstructedNode
{
    double energy;
    double weight; // quadrature weight times efficiency
    double sigma;
    int bin;
};

/// \p lowest_recoil is that of the lowest shell.
std::vector<ReconstructedNode> reconstructed_nodes(ExperimentDefinition const& experiment, double lowest_recoil, int refinement)
{
    auto const& rule = gauss_legendre(panel_nodes * refinement);
    double const threshold_width = efficiency_width(experiment.efficiencies, EnergyScale::reconstructed);
    // Width of the kernels at E' = 0: where it belongs to the recoil, the narrowest there is.
    bool const width_is_true = experiment.resolution.width_of == EnergyScale::true_recoil;
    double const sigma_at_zero = experiment.resolution(width_is_true ? lowest_recoil : 0.0);
    double const start = sigma_at_zero > 0.0 ? 0.0 : lowest_reconstructed;
    double const shortest = first_panel_per_sigma * sigma_at_zero;
    auto const width = [&](double energy) {
        double const sigma = experiment.resolution(width_is_true ? std::max(energy, lowest_recoil) : energy);
        return std::min(
            {panel_per_sigma * sigma, panel_per_sigma * threshold_width, std::max(panel_per_energy * energy, shortest)});
    };
    std::vector<ReconstructedNode> nodes;
    for (std::size_t bin = 0; bin < experiment.bins(); ++bin)
    {
        double const lo = std::max({experiment.edges[bin], experiment.cut_min, start});
        double const hi = std::min(experiment.edges[bin + 1], experiment.cut_max);
        if (!(lo < hi))
            continue;
        auto const ends = panel_ends(lo, hi, efficiency_nodes(experiment.efficiencies, EnergyScale::reconstructed), width);
        for (std::size_t panel = 0; panel + 1 < ends.size(); ++panel)
            for (std::size_t n = 0; n < rule.node.size(); ++n)
            {
                double const length = ends[panel + 1] - ends[panel];
                double const energy = ends[panel] + length * rule.node[n];
                double const efficiency = efficiency_product(experiment.efficiencies, EnergyScale::reconstructed, energy);
                if (efficiency > 0.0)
                    nodes.push_back(
                        {energy, rule.weight[n] * length * efficiency, experiment.resolution(energy), static_cast<int>(bin)});
            }
    }
    return nodes;
}

/// Largest recoil that still reaches reconstructed energy \p reconstructed within the cut-off of the kernel.
/// at most \p endpoint, the largest recoil that the Sun gives.
double largest_recoil(ResolutionDefinition const& resolution, double reconstructed, double endpoint)
{
    if (resolution.width_of == EnergyScale::reconstructed)
        return reconstructed + gaussian_cutoff * resolution(reconstructed);
    double const step = 1.02;
    double recoil = reconstructed;
    while (recoil - gaussian_cutoff * resolution(recoil) < reconstructed && recoil < endpoint)
        recoil *= step;
    return std::min(recoil, endpoint);
}

} // namespace

double effective_charge(AtomicShells const& shells, double recoil)
{
    double charge = 0.0;
    for (std::size_t i = 0; i < shells.binding_energy.size(); ++i)
        if (shells.binding_energy[i] < recoil)
            charge += shells.electrons[i];
    return charge;
}

double garwood_half_width(double counts)
{
    double const tail = 0.5 * std::erfc(1.0 / sqrt2);
    auto const bound = [](double degrees, double probability) {
        return 0.5 * boost::math::quantile(boost::math::chi_squared(degrees), probability);
    };
    double const lower = counts > 0.0 ? bound(2.0 * counts, tail) : 0.0;
    double const upper = 0.5 * boost::math::quantile(boost::math::complement(boost::math::chi_squared(2.0 * counts + 2.0), tail));
    return 0.5 * (upper - lower);
}

PreparedExperiment::PreparedExperiment(ExperimentDefinition definition, Inputs const& inputs, SolarMoments const& moments,
                                       int refinement)
    : definition_(std::move(definition))
{
    // Rows of eight doubles: one cache line, one AVX-512 register.
    stride_ = static_cast<int>((definition_.bins() + 7) / 8 * 8);
    build_response(inputs, moments, refinement);
    build_likelihood(inputs.constants);
}

void PreparedExperiment::build_response(Inputs const& inputs, SolarMoments const& moments, int refinement)
{
    auto const& experiment = definition_;
    double const lowest = inputs.shells.binding_energy.front();
    auto const reconstructed = reconstructed_nodes(experiment, lowest, refinement);

    std::vector<double> breaks = moments.kinks();
    breaks.insert(breaks.end(), inputs.shells.binding_energy.begin(), inputs.shells.binding_energy.end());
    auto const nodes = efficiency_nodes(experiment.efficiencies, EnergyScale::true_recoil);
    breaks.insert(breaks.end(), nodes.begin(), nodes.end());
    double const threshold_width = efficiency_width(experiment.efficiencies, EnergyScale::true_recoil);
    auto const width = [&](double recoil) {
        return std::min(
            {panel_per_sigma * experiment.resolution(recoil), panel_per_sigma * threshold_width, panel_per_energy * recoil});
    };
    double const highest = largest_recoil(experiment.resolution, std::min(experiment.edges.back(), experiment.cut_max),
                                          moments.kinks().back());
    auto const ends = panel_ends(lowest, highest, breaks, width);

    auto const& rule = gauss_legendre(panel_nodes * refinement);
    std::vector<double> weight;
    for (std::size_t panel = 0; panel + 1 < ends.size(); ++panel)
        for (std::size_t n = 0; n < rule.node.size(); ++n)
        {
            double const length = ends[panel + 1] - ends[panel];
            double const recoil = ends[panel] + length * rule.node[n];
            double const efficiency = efficiency_product(experiment.efficiencies, EnergyScale::true_recoil, recoil);
            if (efficiency > 0.0)
            {
                recoil_.push_back(recoil);
                weight.push_back(length * rule.weight[n] * efficiency);
            }
        }

    double widest = 0.0;
    for (ReconstructedNode const& n : reconstructed)
        widest = std::max(widest, n.sigma);
    double const unit = experiment.rate_unit == RateUnit::events ? experiment.exposure : 1.0;
    double const atoms = inputs.constants.atom_seconds_per_tonne_year();
    auto const n_nodes = static_cast<std::ptrdiff_t>(recoil_.size());
    moments_.assign(recoil_.size() * n_moments, 0.0);
    fold_.assign(recoil_.size() * static_cast<std::size_t>(stride_), 0.0);
    first_bin_.assign(recoil_.size(), 0);
    last_bin_.assign(recoil_.size(), 0);
#pragma omp parallel for schedule(dynamic, 16)
    for (std::ptrdiff_t node = 0; node < n_nodes; ++node)
    {
        auto const j = static_cast<std::size_t>(node);
        double const recoil = recoil_[j];
        double* const moment = moments_.data() + j * n_moments;
        moments(recoil, moment);
        double const electrons = atoms * effective_charge(inputs.shells, recoil);
        for (int s = 0; s < n_species; ++s)
        {
            // The bound-electron factors belong to a flavour; the P_e1-weighted species is not used with them.
            double const factor = inputs.rrpa.empty() || s >= n_flavours ? 1.0 : inputs.rrpa[static_cast<std::size_t>(s)](recoil);
            for (int k = 0; k < n_energy_powers; ++k)
                moment[s * n_energy_powers + k] *= electrons / factor;
        }

        double* const row = fold_.data() + j * static_cast<std::size_t>(stride_);
        double const true_sigma = experiment.resolution(recoil);
        bool const width_is_true = experiment.resolution.width_of == EnergyScale::true_recoil;
        // Nodes are ascending: only those within the cut-off of the widest kernel count.
        double const reach = gaussian_cutoff * (width_is_true ? true_sigma : widest);
        auto n = std::lower_bound(reconstructed.begin(), reconstructed.end(), recoil - reach,
                                  [](ReconstructedNode const& at, double energy) { return at.energy < energy; });
        for (; n != reconstructed.end() && n->energy <= recoil + reach; ++n)
            row[n->bin] += n->weight * gaussian_kernel(n->energy - recoil, width_is_true ? true_sigma : n->sigma);
        int first = static_cast<int>(experiment.bins());
        int last = 0;
        for (int i = 0; i < static_cast<int>(experiment.bins()); ++i)
        {
            row[i] *= weight[j] * unit;
            if (row[i] > 0.0)
            {
                first = std::min(first, i);
                last = i + 1;
            }
        }
        first_bin_[j] = std::min(first, last);
        last_bin_[j] = last;
    }
}

void PreparedExperiment::build_likelihood(Constants const& constants)
{
    auto const n_bins = definition_.bins();
    auto const stride = static_cast<std::size_t>(stride_);
    sm_signal_.assign(stride, 0.0);
    direct_rates(response(), ModelPoint{}, constants, sm_signal_.data());

    used_.assign(n_bins, 0);
    for (std::size_t j = 0; j < recoil_.size(); ++j)
        for (std::size_t i = 0; i < n_bins; ++i)
            if (fold_[j * stride + i] > 0.0)
                used_[i] = 1;

    base_.assign(n_bins, 0.0);
    pull_templates_.assign(definition_.pulls.size() * stride, 0.0);
    for (auto const& pull : definition_.pulls)
        pull_sigma_.push_back(pull.sigma);
    for (auto const& background : definition_.backgrounds)
        for (std::size_t i = 0; i < n_bins; ++i)
        {
            double const content = background.per_bin[i] - (background.contains_sm_signal && used_[i] != 0 ? sm_signal_[i] : 0.0);
            base_[i] += content;
            if (background.pull >= 0)
                pull_templates_[static_cast<std::size_t>(background.pull) * stride + i] += content;
        }

    if (definition_.statistic == Statistic::poisson && definition_.rate_unit != RateUnit::events)
        throw InputError(
            fmt::format("experiment {}: statistic = \"poisson\" counts events; set rate_unit = \"events\"", definition_.name));
    double const per_count = definition_.rate_unit == RateUnit::events ? 1.0 : 1.0 / definition_.exposure;
    observed_.assign(n_bins, 0.0);
    weight_.assign(n_bins, 0.0);
    fit_observed_.assign(n_bins, 0.0);
    fit_used_.assign(n_bins, 0.0);
    sm_total_ = 0.0;
    for (std::size_t i = 0; i < n_bins; ++i)
    {
        double const counts = definition_.counts[i];
        observed_[i] = counts * per_count;
        if (used_[i] == 0)
            continue;
        fit_observed_[i] = observed_[i];
        fit_used_[i] = 1.0;
        sm_total_ += sm_signal_[i];
        if (definition_.statistic == Statistic::gaussian)
        {
            double const error = garwood_half_width(counts) * per_count;
            weight_[i] = 1.0 / (error * error);
        }
        else
        {
            weight_[i] = 1.0 / std::max(counts, 1.0);
            if (counts > 0.0 && !(base_[i] + sm_signal_[i] > 0.0))
                throw InputError(
                    fmt::format("experiment {}: bin {} ({:.6g} to {:.6g} keV) has {:g} events but a predicted rate of 0; "
                                "give it a background or merge it with a neighbour",
                                definition_.name, i, definition_.edges[i], definition_.edges[i + 1], counts));
        }
    }
    if (!(sm_total_ > 0.0))
        throw InputError(
            fmt::format("experiment {}: no bin has any acceptance; check its efficiency, cut and bins", definition_.name));

    if (definition_.statistic == Statistic::poisson)
    {
        // Weights of the fit's starting point: from the SM's best fit, found with weights from the data.
        FitData const fit({likelihood()}, definition_.signal_pull.sigma);
        FitResult const best = profile_chi2(fit.view(), sm_signal_.data());
        for (std::size_t i = 0; i < n_bins; ++i)
        {
            double prediction = base_[i] + best.signal_scale * sm_signal_[i];
            for (std::size_t p = 0; p < definition_.pulls.size(); ++p)
                prediction += best.pulls[p] * pull_templates_[p * stride + i];
            if (used_[i] != 0)
                weight_[i] = 1.0 / std::max(prediction, 1.0);
        }
    }
}

ResponseView PreparedExperiment::response() const
{
    ResponseView view;
    view.n_nodes = static_cast<int>(recoil_.size());
    view.n_bins = static_cast<int>(definition_.bins());
    view.stride = stride_;
    view.recoil = recoil_.data();
    view.moments = moments_.data();
    view.fold = fold_.data();
    view.first_bin = first_bin_.data();
    view.last_bin = last_bin_.data();
    return view;
}

LikelihoodView PreparedExperiment::likelihood() const
{
    LikelihoodView view;
    view.statistic = definition_.statistic;
    view.n_bins = static_cast<int>(definition_.bins());
    view.stride = stride_;
    view.n_pulls = static_cast<int>(pull_sigma_.size());
    view.sm_total = sm_total_;
    view.observed = fit_observed_.data();
    view.base = base_.data();
    view.weight = weight_.data();
    view.pull_templates = pull_templates_.data();
    view.pull_sigma = pull_sigma_.data();
    view.used = fit_used_.data();
    return view;
}

void require_fit_size(Inputs const& inputs)
{
    if (inputs.experiments.empty() || inputs.experiments.size() > max_experiments)
        throw InputError(fmt::format("{} experiments given; a fit takes 1 to {}", inputs.experiments.size(), max_experiments));
    std::size_t const pulls = pull_count(inputs) - 1;
    if (pulls > max_pulls)
        throw InputError(fmt::format("{} background pulls in all; at most {} can be fitted", pulls, max_pulls));
}

Prepared::Prepared(Inputs inputs, int refinement)
    : inputs_(std::move(inputs))
    , moments_(std::make_unique<SolarMoments>(inputs_, refinement))
{
    require_fit_size(inputs_);
    for (auto const& experiment : inputs_.experiments)
        experiments_.emplace_back(experiment, inputs_, *moments_, refinement);
}

Prepared::~Prepared() = default;

FitData Prepared::fit(bool fix_pulls) const
{
    std::vector<LikelihoodView> likelihoods;
    for (auto const& experiment : experiments_)
        likelihoods.push_back(experiment.likelihood());
    return {likelihoods, inputs_.experiments.front().signal_pull.sigma, fix_pulls};
}

std::vector<std::string> Prepared::pull_names() const
{
    std::vector<std::string> names{inputs_.experiments.front().signal_pull.name};
    std::multiset<std::string> all;
    for (auto const& experiment : inputs_.experiments)
        for (auto const& pull : experiment.pulls)
            all.insert(pull.name);
    for (auto const& experiment : inputs_.experiments)
        for (auto const& pull : experiment.pulls)
            names.push_back(all.count(pull.name) > 1 || pull.name == names.front() ? experiment.name + "." + pull.name : pull.name);
    return names;
}

} // namespace nuscan
