// Commands on single points and single parameters: chi2, spectrum, limits, tmm.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "host/cli/cli.hpp"
#include "host/scan/limits.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"
#include "nuscan/physics/transition_moments.hpp"

namespace nuscan::cli
{

namespace
{

Inputs load(CommonOptions const& options)
{
    DataFolder data = DataFolder::find();
    spdlog::debug("data from {}", data.root().string());
    InputChoice choice;
    options.apply_inputs(choice);
    Inputs inputs = load_inputs(data, choice, options.experiments);
    for (auto const& experiment : inputs.experiments)
        if (experiment.events_outside > 0)
            spdlog::info("{}: {} events lie outside all bins and are not used", experiment.name, experiment.events_outside);
    return inputs;
}

char const* status_text(PointStatus status)
{
    switch (status)
    {
    case PointStatus::ok:
        return "ok";
    case PointStatus::ok_direct:
        return "ok_direct";
    case PointStatus::not_converged:
        return "not_converged";
    case PointStatus::not_finite:
        break;
    }
    return "not_finite";
}

/// Says on standard error why the numbers of a point are missing.
void warn_of_failure(PointStatus status)
{
    if (status == PointStatus::not_finite)
        spdlog::warn("chi^2 is not finite at this point: couplings overflow, or a bin with data has no positive prediction");
    if (status == PointStatus::not_converged)
        spdlog::warn("the minimisation over the pulls did not converge at this point");
}

/// Pulls are free wherever bins with data keep a positive prediction; an empty bin's may fall below 0, and its chi^2 with it.
void warn_of_negative_predictions(PointEvaluation const& point)
{
    for (auto const& bins : point.chi2_bins)
        if (std::any_of(bins.begin(), bins.end(), [](double chi2) { return chi2 < 0.0; }))
        {
            spdlog::warn("pulls drive the prediction of an empty bin below 0; smaller pull uncertainties or wider bins avoid that");
            return;
        }
}

/// A point on the device asked for.
PointEvaluation evaluate_on(std::shared_ptr<Prepared const> const& prepared, FixedParameters const& fixed,
                            CommonOptions const& options, bool fix_pulls)
{
    std::vector<int> given;
    for (auto const& [parameter, value] : fixed)
        given.push_back(parameter);
    check_parameter_set(given, prepared->inputs());
    return evaluate_point_on(options.device_for_points(), prepared, fixed, parse_route(options.route), fix_pulls);
}

/// An end where the parameter's own bound is, or none at all, is not named.
std::string interval_text(Interval const& interval, bool bounded)
{
    bool const has_lower = std::isfinite(interval.lo) && !(bounded && interval.lo == 0.0);
    bool const has_upper = std::isfinite(interval.hi);
    if (!has_lower && !has_upper)
        return "no limit";
    if (!has_lower)
        return fmt::format("< {:.4g}", interval.hi);
    if (!has_upper)
        return fmt::format("> {:.4g}", interval.lo);
    return fmt::format("[{:.4g}, {:.4g}]", interval.lo, interval.hi);
}

/// "re", "re+imi" or "re-imi".
Complex parse_complex(std::string const& text)
{
    Complex value;
    if (parse_double(text, value.re))
        return value;
    if (!text.empty() && text.back() == 'i')
    {
        std::string const body = text.substr(0, text.size() - 1);
        // The sign that splits real and imaginary part is the last one that does not belong to an exponent.
        for (auto split = body.size(); split-- > 1;)
            if ((body[split] == '+' || body[split] == '-') && body[split - 1] != 'e' && body[split - 1] != 'E')
            {
                std::string const imaginary = body[split] == '+' ? body.substr(split + 1) : body.substr(split);
                if (parse_double(body.substr(0, split), value.re) && parse_double(imaginary, value.im))
                    return value;
                break;
            }
        value.re = 0.0;
        if (parse_double(body, value.im))
            return value;
    }
    throw InputError(
        fmt::format("--lambda: '{}' is not a number of the form re, re+imi or re-imi, for example 1e-11-2e-12i", text));
}

std::vector<std::string> split(std::string const& text, char separator)
{
    std::vector<std::string> parts{""};
    for (char const c : text)
    {
        if (c == separator)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

} // namespace

void add_chi2(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("chi2", "chi^2 of one parameter point: pulls, chi^2 per bin, status");
    struct Options : CommonOptions
    {
        bool fix_pulls = false;
    };
    auto const options = std::make_shared<Options>();
    options->add_experiments(*command, true);
    options->add_settings(*command, "Set a parameter; none means the Standard Model");
    command->add_flag("--fix-pulls", options->fix_pulls, "Keep all pulls at 0");
    options->add_json(*command);
    options->add_device(*command);
    options->add_inputs(*command);
    command->footer("Example: nuscan chi2 --experiment xenonnt_sr0 --set g_V=3e-7 --set m_V=0.05");
    command->callback([options] {
        FixedParameters const fixed = parse_settings(options->settings);
        options->device_for_points();
        parse_route(options->route);
        auto const prepared = std::make_shared<Prepared const>(load(*options));
        auto const point = evaluate_on(prepared, fixed, *options, options->fix_pulls);
        auto const names = prepared->pull_names();
        Json json{{"experiment", experiment_json(options->experiments)}, {"chi2", point.fit.chi2}};
        json["pulls"] = Json::object();
        for (std::size_t p = 0; p < names.size(); ++p)
            json["pulls"][names[p]] = point.pulls[p];
        for (std::size_t e = 0; e < options->experiments.size(); ++e)
            json["per_bin"][options->experiments[e]] = point.chi2_bins[e];
        json["status"] = status_text(point.fit.status);
        warn_of_negative_predictions(point);
        if (options->json)
            print_json(json);
        else
        {
            fmt::print("chi2    {:.6f}\nstatus  {}\n", point.fit.chi2, status_text(point.fit.status));
            std::size_t width = 6;
            for (auto const& name : names)
                width = std::max(width, name.size());
            for (std::size_t p = 0; p < names.size(); ++p)
                fmt::print("{:<{}}  {:+.6f}\n", names[p], width, point.pulls[p]);
            for (std::size_t e = 0; e < options->experiments.size(); ++e)
            {
                auto const& edges = prepared->experiments()[e].definition().edges;
                fmt::print("\n{}\n{:>18}  {:>10}\n", options->experiments[e], "bin [keV]", "chi2");
                for (std::size_t i = 0; i < point.chi2_bins[e].size(); ++i)
                    fmt::print("{:>8.3f} - {:>7.3f}  {:>10.5f}{}\n", edges[i], edges[i + 1], point.chi2_bins[e][i],
                               prepared->experiments()[e].used()[i] != 0 ? "" : "  (no acceptance)");
            }
        }
        warn_of_failure(point.fit.status);
    });
}

void add_spectrum(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("spectrum", "Binned data, background, signal and total of one parameter point");
    struct Options : CommonOptions
    {
        bool csv = false;
    };
    auto const options = std::make_shared<Options>();
    options->add_experiments(*command, false);
    options->add_settings(*command, "Set a parameter; none means the Standard Model");
    options->add_json(*command);
    command->add_flag("--csv", options->csv, "Print CSV");
    options->add_device(*command);
    options->add_inputs(*command);
    command->footer("`signal` is all that neutrinos do at the point, SM included, before pulls; `background` excludes it.\n"
                    "Example: nuscan spectrum --experiment lz_ws2022 --set mu_universal=1e-11");
    command->callback([options] {
        if (options->json && options->csv)
            throw InputError("--json and --csv exclude each other");
        FixedParameters const fixed = parse_settings(options->settings);
        auto const prepared = std::make_shared<Prepared const>(load(*options));
        auto const point = evaluate_on(prepared, fixed, *options, true);
        auto const& experiment = prepared->experiments().front();
        auto const& definition = experiment.definition();
        std::string const unit = definition.rate_unit == RateUnit::events ? "events" : "1/(t yr)";
        Json json{{"experiment", definition.name}, {"exposure_t_yr", definition.exposure}, {"unit", unit}, {"bins", Json::array()}};
        if (options->csv)
            fmt::print("# {}, exposure {:.10g} t yr, contents in {}\nlo_keV,hi_keV,observed,background,signal,signal_sm,total\n",
                       definition.name, definition.exposure, unit);
        else if (!options->json)
            fmt::print("{} ({}), per bin in {}\n{:>18}{:>11}{:>12}{:>12}{:>12}{:>12}\n", definition.name, definition.title, unit,
                       "bin [keV]", "observed", "background", "signal", "signal SM", "total");
        double sums[5] = {};
        for (std::size_t i = 0; i < definition.bins(); ++i)
        {
            double const lo = definition.edges[i];
            double const hi = definition.edges[i + 1];
            double const signal = point.rates.front()[i];
            double const background = experiment.background()[i];
            double const values[5] = {experiment.observed()[i], background, signal, experiment.sm_signal()[i], background + signal};
            for (int k = 0; k < 5; ++k)
                sums[k] += values[k];
            if (options->json)
                json["bins"].push_back({{"lo_keV", lo},
                                        {"hi_keV", hi},
                                        {"observed", values[0]},
                                        {"background", values[1]},
                                        {"signal", values[2]},
                                        {"signal_sm", values[3]},
                                        {"total", values[4]}});
            else if (options->csv)
                fmt::print("{:.10g},{:.10g},{:.10g},{:.10g},{:.10g},{:.10g},{:.10g}\n", lo, hi, values[0], values[1], values[2],
                           values[3], values[4]);
            else
                fmt::print("{:>8.3f} - {:>7.3f}{:>11.4g}{:>12.5g}{:>12.5g}{:>12.5g}{:>12.5g}\n", lo, hi, values[0], values[1],
                           values[2], values[3], values[4]);
        }
        if (options->json)
            print_json(json);
        else if (!options->csv)
            fmt::print("{:>18}{:>11.4g}{:>12.5g}{:>12.5g}{:>12.5g}{:>12.5g}\n", "sum", sums[0], sums[1], sums[2], sums[3], sums[4]);
        warn_of_failure(point.fit.status);
    });
}

void add_limits(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("limits", "Limits of parameters, from experiments or from a finished surface");
    struct Options : CommonOptions
    {
        std::vector<std::string> parameters;
        std::vector<double> cls{0.90};
        double cl = 0.90; ///< the one of experiments
        int dof = 1;
        bool fix_pulls = false;
        bool convergence = false;
        SurfaceLimitsCommand surface;
    };
    auto const options = std::make_shared<Options>();
    options->add_experiments(*command, true);
    command->get_option("--experiment")->required(false); // not with a file
    options->surface.add_options(*command);
    command->add_option("-p,--parameter", options->parameters, "Parameter; none means all mu, Lambda, q, r2 and a")->type_name("P");
    options->add_settings(*command, "Keep a parameter at a value");
    command->add_option("--cl", options->cls, "Confidence level; of a surface several")->capture_default_str()->type_name("CL");
    whole_number(
        command->add_option("--dof", options->dof, "Degrees of freedom of Delta chi^2; of contours and plane curves 2 by default"))
        ->capture_default_str();
    command->add_flag("--fix-pulls", options->fix_pulls, "Keep all pulls at 0");
    command->add_flag("--convergence", options->convergence, "Relative change of the limits when all quadrature nodes are doubled");
    options->add_json(*command);
    options->add_device(*command);
    options->add_inputs(*command);
    command->footer("Example: nuscan limits --experiment xenonnt_sr0 lz_ws2022 --parameter mu_e --cl 0.9\n"
                    "         nuscan limits --experiment xenonnt_sr0 --parameter g_V --set m_V=0.05\n"
                    "Of a surface: crossings of one axis; limits on a mediator's coupling mass by mass (per mass: against the\n"
                    "minimum at that mass; plane: against that of the whole plane), contours (by Python's contourpy).\n"
                    "         nuscan limits vector.h5 --cl 0.9 0.68\n"
                    "         nuscan limits lambda.h5 --keep Lambda_1 Lambda_2");
    command->callback([command, options] {
        for (double const cl : options->cls)
            if (!(cl > 0.0 && cl < 1.0))
                throw InputError(fmt::format("--cl {:g}: a confidence level lies between 0 and 1, for example 0.9", cl));
        for (auto cl = options->cls.begin(); cl != options->cls.end(); ++cl)
            if (std::find(options->cls.begin(), cl, *cl) != cl)
                throw InputError(fmt::format("--cl {:g} is given twice", *cl));
        if (options->dof < 1)
            throw InputError(fmt::format("--dof {}: there must be at least one degree of freedom", options->dof));
        if (!options->surface.file.empty())
            return options->surface.run(*command, options->cls, options->json);
        if (options->experiments.empty())
            throw CLI::RequiredError("--experiment or a surface file");
        if (!options->surface.keep.empty())
            throw InputError("--keep: goes with a surface file only; name one");
        if (options->cls.size() != 1)
            throw InputError("--cl: limits of experiments take one confidence level; those of a surface file several");
        options->cl = options->cls.front();
        FixedParameters const fixed = parse_settings(options->settings);
        LimitOptions limit_options;
        limit_options.cl = options->cl;
        limit_options.dof = options->dof;
        limit_options.fix_pulls = options->fix_pulls;
        limit_options.threads = options->thread_count();
        limit_options.device = options->device_for_points();
        limit_options.route = parse_route(options->route);

        std::vector<int> parameters;
        for (auto const& name : options->parameters)
        {
            int const parameter = require_parameter(name);
            if (fixed.contains(parameter))
                throw InputError(fmt::format("{} is fixed by --set and cannot have a limit at the same time", name));
            if (std::find(parameters.begin(), parameters.end(), parameter) != parameters.end())
                throw InputError(fmt::format("--parameter {} is given twice", name));
            parameters.push_back(parameter);
        }
        Inputs const inputs = load(*options);
        if (parameters.empty())
        {
            std::vector<int> fixed_alone;
            for (auto const& [parameter, value] : fixed)
                fixed_alone.push_back(parameter);
            check_parameter_set(fixed_alone, inputs);
            for (int const parameter : default_limit_parameters())
            {
                std::vector<int> given{parameter};
                for (auto const& [other, value] : fixed)
                    given.push_back(other);
                bool possible = !fixed.contains(parameter);
                try
                {
                    check_parameter_set(given, inputs);
                }
                catch (InputError const&)
                {
                    possible = false;
                }
                if (possible)
                    parameters.push_back(parameter);
                else
                    spdlog::info("{} is left out: it does not go with what --set fixes", parameter_info(parameter).name);
            }
        }
        if (parameters.empty())
            throw InputError("no parameter goes with what --set fixes; name one with --parameter");

        auto const prepared = std::make_shared<Prepared const>(inputs);
        std::shared_ptr<Prepared const> refined;
        if (options->convergence)
            refined = std::make_shared<Prepared const>(inputs, 2);
        auto const limits = find_limits(prepared, refined, parameters, fixed, limit_options);
        double const chi2_sm = evaluate_point(*prepared, {}, options->fix_pulls).fit.chi2;

        Json json{{"experiment", experiment_json(options->experiments)},
                  {"cl", options->cl},
                  {"dof", options->dof},
                  {"delta_chi2", delta_chi2(options->cl, options->dof)},
                  {"chi2_sm", chi2_sm}};
        std::vector<std::string> kept;
        for (auto const& [parameter, value] : fixed)
        {
            json["fixed"][parameter_info(parameter).name] = value;
            kept.push_back(
                fmt::format("{} = {}", parameter_info(parameter).name, value_text(value, parameter_info(parameter).unit)));
        }
        json["limits"] = Json::array();
        if (!options->json)
            fmt::print("{}: {:g}% C.L. ({} dof, Delta chi2 = {:.5f}), chi2(SM) = {:.4f}\n{}\n{:<14}{:<6}{:>12}{:>11}{}  allowed\n",
                       join(options->experiments, " + "), 100.0 * options->cl, options->dof, delta_chi2(options->cl, options->dof),
                       chi2_sm, kept.empty() ? "" : fmt::format("fixed: {}\n", join(kept)), "parameter", "unit", "best fit",
                       "chi2 min", options->convergence ? "  convergence" : "");
        for (auto const& limit : limits)
        {
            auto const& info = parameter_info(limit.parameter);
            bool const bounded = info.bound != ParameterBound::none;
            Json intervals = Json::array();
            std::vector<std::string> texts;
            for (Interval const& interval : limit.region.intervals)
            {
                Json lo = interval.lo;
                if (!std::isfinite(interval.lo) || (bounded && interval.lo == 0.0))
                    lo = nullptr;
                Json hi = interval.hi;
                if (!std::isfinite(interval.hi))
                    hi = nullptr;
                intervals.push_back(Json::array({lo, hi}));
                texts.push_back(interval_text(interval, bounded));
            }
            Json entry{{"parameter", info.name},
                       {"unit", info.unit},
                       {"best_fit", std::isfinite(limit.region.best_fit) ? Json(limit.region.best_fit) : Json(nullptr)},
                       {"chi2_min", limit.region.chi2_min},
                       {"intervals", intervals},
                       {"marginal", limit.region.marginal}};
            if (limit.convergence)
                entry["convergence"] = *limit.convergence;
            json["limits"].push_back(entry);
            if (!options->json)
                fmt::print("{:<14}{:<6}{:>12.4g}{:>11.4f}{}  {}{}\n", info.name, info.unit, limit.region.best_fit,
                           limit.region.chi2_min, limit.convergence ? fmt::format("{:>13.1e}", *limit.convergence) : "",
                           join(texts, " or "), limit.region.marginal ? "  (marginal)" : "");
        }
        if (options->json)
            print_json(json);
        for (auto const& limit : limits)
            if (limit.signal_is_off())
                spdlog::warn("{}: at its best fit the flux pull is {:.4g}: the fit switches the neutrino signal off, and the limit "
                             "means little{}",
                             parameter_info(limit.parameter).name, limit.flux_pull,
                             fixed.empty() ? "" : "; the values of --set contradict the data");
    });
}

void add_tmm(CLI::App& app, Program&)
{
    auto* const command = app.add_subcommand("tmm", "Effective moment of transition magnetic moments after a baseline (Eq. 5)");
    struct Options : CommonOptions
    {
        std::string flavour;
        double baseline = 0.0;
        double energy = 0.0;
        std::string lambda;
        std::string majorana;
        bool antineutrino = false;
    };
    auto const options = std::make_shared<Options>();
    command->add_option("--flavour,--flavor", options->flavour, "e, mu or tau")->required();
    command->add_option("--baseline", options->baseline, "Baseline [km]")->required()->type_name("KM");
    command->add_option("--energy", options->energy, "Neutrino energy [MeV]")->required()->type_name("MEV");
    command->add_option("--lambda", options->lambda, "Lambda_1,Lambda_2,Lambda_3 [mu_B], each re or re+imi")
        ->required()
        ->type_name("L1,L2,L3");
    command->add_option("--majorana", options->majorana, "Majorana phases alpha_21,alpha_31 [rad] (default 0,0)");
    command->add_flag("--antineutrino", options->antineutrino, "For antineutrinos");
    options->add_json(*command);
    options->add_inputs(*command);
    command->footer("Example: nuscan tmm --flavour e --baseline 1 --energy 3 --lambda 1e-11,2e-11+1e-12i,0");
    command->callback([options] {
        std::vector<std::string> const flavours{"e", "mu", "tau"};
        auto const flavour = std::find(flavours.begin(), flavours.end(), options->flavour);
        if (flavour == flavours.end())
            throw InputError(fmt::format("--flavour {}: unknown{}", options->flavour, suggestion(options->flavour, flavours)));
        if (!(options->energy > 0.0) || !std::isfinite(options->energy))
            throw InputError(fmt::format("--energy {:g}: the energy must be positive", options->energy));
        if (!(options->baseline >= 0.0) || !std::isfinite(options->baseline))
            throw InputError(fmt::format("--baseline {:g}: the baseline must be 0 or positive", options->baseline));
        auto const parts = split(options->lambda, ',');
        if (parts.size() != 3)
            throw InputError(fmt::format("--lambda {}: three moments are needed, separated by commas", options->lambda));
        TransitionMoments moments;
        for (std::size_t i = 0; i < 3; ++i)
            moments.lambda[i] = parse_complex(parts[i]);
        double phases[2] = {0.0, 0.0};
        if (!options->majorana.empty())
        {
            auto const values = split(options->majorana, ',');
            if (values.size() != 2 || !parse_double(values[0], phases[0]) || !parse_double(values[1], phases[1]))
                throw InputError(
                    fmt::format("--majorana {}: two phases in radian are needed, separated by a comma", options->majorana));
        }
        DataFolder data = DataFolder::find();
        InputChoice choice;
        options->apply_inputs(choice);
        Inputs const inputs = load_inputs(data, choice, {});
        auto const mixing = mixing_matrix(inputs.oscillation, phases[0], phases[1]);
        double const squared = effective_moment_squared(static_cast<int>(flavour - flavours.begin()), options->baseline,
                                                        options->energy, moments, mixing, inputs.oscillation, inputs.constants,
                                                        options->antineutrino);
        double const solar = solar_moment_squared(moments, inputs.constants.transition_p_e1, inputs.oscillation);
        if (options->json)
            print_json({{"flavour", options->flavour},
                        {"antineutrino", options->antineutrino},
                        {"baseline_km", options->baseline},
                        {"energy_mev", options->energy},
                        {"mu_eff_mu_B", std::sqrt(squared)},
                        {"mu_eff_solar_mu_B", std::sqrt(solar)}});
        else
            fmt::print("mu_eff of {}{} at {:g} km, {:g} MeV   {:.8g} mu_B\nmu_eff of solar neutrinos (Eq. 6)   {:.8g} mu_B\n",
                       options->antineutrino ? "anti-nu_" : "nu_", options->flavour, options->baseline, options->energy,
                       std::sqrt(squared), std::sqrt(solar));
        if (!std::isfinite(squared) || !std::isfinite(solar))
            spdlog::warn("an effective moment is not finite: the moments or the phases of the oscillation overflow");
    });
}

} // namespace nuscan::cli
