/// \file
/// Random scan problems that reach every corner: all parameters, masses from 1e-6 to 1e4 MeV, rates up to 1e20 times the SM,
/// cancelling amplitudes.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "host/scan/problem.hpp"
#include "nuscan/physics/interactions.hpp"

namespace nuscan
{

/// Natural size of a coupling: where it changes the rate of the SM by about its own size.
inline double natural_size(std::string const& name)
{
    switch (name.front())
    {
    case 'm':
    case 'L':
        return 1e-11;
    case 'q':
        return 5e-13;
    case 'r':
        return 5e-31;
    case 'a':
        return 1e-31;
    default:
        return name == "g_T" ? 3e-7 : name == "g_P" ? 3e-6 : 6e-7;
    }
}

class RandomProblems
{
public:
    explicit RandomProblems(unsigned seed) : generator_(seed) {}

    /// A list of \p n points in up to four random parameters, others fixed; with a coupling of \p interaction unless that is -1.
    std::shared_ptr<Problem const> next(std::shared_ptr<Prepared const> const& prepared, int n, int interaction = -1)
    {
        std::vector<int> couplings = random_couplings(interaction);
        std::vector<int> scanned;
        FixedParameters fixed;
        std::vector<std::vector<double>> columns;
        for (int const coupling : couplings)
        {
            int const mass = mass_parameter(parameter_catalogue[static_cast<std::size_t>(coupling)].interaction);
            std::size_t const room = max_axes - scanned.size();
            if (room > 0 && pick(4) != 0)
            {
                scanned.push_back(coupling);
                columns.push_back(values(n, [&] { return random_value(coupling); }));
                if (mass >= 0 && room > 1 && pick(2) == 0)
                {
                    scanned.push_back(mass);
                    columns.push_back(values(n, [&] { return random_mass(); }));
                    continue;
                }
            }
            else
                fixed[coupling] = random_value(coupling);
            if (mass >= 0)
                fixed[mass] = random_mass();
        }
        if (scanned.empty())
        {
            scanned.push_back(find_parameter("r2_tau"));
            columns.push_back(values(n, [&] { return random_value(find_parameter("r2_tau")); }));
            fixed.erase(scanned.front());
        }
        return std::make_shared<Problem const>(prepared, scanned, columns, fixed);
    }

    /// A grid of \p n points or somewhat more: a coupling of \p interaction, its mass if it has one, another coupling or none, in any
    /// order; others fixed.
    std::shared_ptr<Problem const> grid(std::shared_ptr<Prepared const> const& prepared, int n, int interaction)
    {
        std::vector<int> const couplings = random_couplings(interaction);
        std::vector<Axis> axes;
        FixedParameters fixed;
        std::int64_t others = 1;
        auto const scan = [&](Axis const& axis) {
            others *= axis.n;
            axes.push_back(axis);
        };
        for (std::size_t c = 1; c < couplings.size(); ++c)
            if (c == 1 && pick(2) == 0)
                scan(random_axis(couplings[c], 2 + pick(3)));
            else
                fixed[couplings[c]] = random_value(couplings[c]);
        for (std::size_t c = 0; c < couplings.size(); ++c)
        {
            int const mass = mass_parameter(parameter_catalogue[static_cast<std::size_t>(couplings[c])].interaction);
            if (mass < 0)
                continue;
            if (c == 0 && pick(4) != 0)
            {
                double const first = uniform(-6.0, 3.0);
                scan({mass, std::pow(10.0, first), std::pow(10.0, uniform(first + 0.1, 4.0)), 2 + pick(3), AxisScale::log});
            }
            else
                fixed[mass] = random_mass();
        }
        scan(random_axis(couplings.front(), std::max<std::int64_t>(2, (n + others - 1) / others)));
        std::shuffle(axes.begin(), axes.end(), generator_);
        return std::make_shared<Problem const>(prepared, axes, fixed);
    }

    /// Points where the charge radii of all flavours cancel a heavy vector, to a part in 10^2 to 10^8.
    std::shared_ptr<Problem const> cancelling(std::shared_ptr<Prepared const> const& prepared, int n)
    {
        Constants const& constants = prepared->inputs().constants;
        double const mass = std::pow(10.0, uniform(2.0, 4.0)); // MeV: the propagator is flat to a part in 10^3 or better
        std::vector<std::vector<double>> columns(4);
        for (int i = 0; i < n; ++i)
        {
            double const coupling = mass * std::pow(10.0, uniform(-6.0, -3.0));
            double const vector = coupling * coupling * VectorMediator::amplitude(5.0, mass * units::kev_per_mev, constants);
            columns[0].push_back(coupling);
            double const miss = std::pow(10.0, uniform(-8.0, -2.0));
            for (std::size_t f = 0; f < 3; ++f)
                columns[1 + f].push_back(-vector / ChargeRadius::amplitude(5.0, 0.0, constants)
                                         * (1.0 + miss * uniform(-1.0, 1.0)));
        }
        return std::make_shared<Problem const>(
            prepared,
            std::vector<int>{find_parameter("g_V"), find_parameter("r2_e"), find_parameter("r2_mu"), find_parameter("r2_tau")},
            columns, FixedParameters{{find_parameter("m_V"), mass}});
    }

    double uniform(double lo, double hi) { return std::uniform_real_distribution<double>(lo, hi)(generator_); }
    int pick(int n) { return std::uniform_int_distribution<int>(0, n - 1)(generator_); }

private:
    template<class Function>
    static std::vector<double> values(int n, Function const& draw)
    {
        std::vector<double> column;
        for (int i = 0; i < n; ++i)
            column.push_back(draw());
        return column;
    }

    /// One to five couplings that go together: at most one description of the magnetic moment. The first is one of \p interaction
    /// unless that is -1.
    std::vector<int> random_couplings(int interaction)
    {
        auto const moment = static_cast<ParameterGroup>(1 + pick(3));
        std::vector<int> allowed;
        for (int p = 0; p < n_parameters; ++p)
        {
            auto const& info = parameter_info(p);
            if (info.role == ParameterRole::coupling && (info.group == ParameterGroup::none || info.group == moment))
                allowed.push_back(p);
        }
        std::shuffle(allowed.begin(), allowed.end(), generator_);
        if (interaction >= 0)
            std::iter_swap(allowed.begin(), std::find_if(allowed.begin(), allowed.end(), [&](int p) {
                               return parameter_catalogue[static_cast<std::size_t>(p)].interaction == interaction;
                           }));
        allowed.resize(static_cast<std::size_t>(1 + pick(5)));
        return allowed;
    }

    /// From far below the natural size to rates of 1e20 times the SM (rates go as the fourth power of mediator couplings, the
    /// second of the others), with a bias to where the limits are.
    double random_value(int parameter)
    {
        auto const& info = parameter_info(parameter);
        double const top = std::string(info.name).front() == 'g' ? 5.0 : 10.0;
        double const exponent = pick(2) == 0 ? uniform(-1.0, 1.0) : uniform(-3.0, top);
        double const size = natural_size(info.name) * std::pow(10.0, exponent);
        return info.bound == ParameterBound::none && pick(2) == 0 ? -size : size;
    }

    /// Values of a coupling from below to above its natural size, of both signs where it has one.
    Axis random_axis(int parameter, std::int64_t n)
    {
        auto const& info = parameter_info(parameter);
        double const top = natural_size(info.name) * std::pow(10.0, uniform(0.0, 3.0));
        if (info.bound == ParameterBound::none && pick(2) == 0)
            return {parameter, -top * uniform(0.1, 1.0), top, n, AxisScale::linear};
        return {parameter, top * std::pow(10.0, uniform(-6.0, -1.0)), top, n, AxisScale::log};
    }

    double random_mass() { return std::pow(10.0, uniform(-6.0, 4.0)); }

    std::mt19937_64 generator_;
};

} // namespace nuscan
