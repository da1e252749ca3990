#include "host/prepare/quadrature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <stdexcept>

#include "host/support/error.hpp"

namespace nuscan
{

namespace
{

/// Beyond this many panels a folding matrix takes minutes and gigabytes: the input is a mistake.
constexpr std::size_t most_panels = 50000;

template<unsigned n>
QuadratureRule make_rule()
{
    using Rule = boost::math::quadrature::gauss<double, n>;
    QuadratureRule rule;
    // Boost lists the non-negative half of the nodes on [-1, 1].
    auto append = [&rule](double x, double weight) {
        rule.node.push_back(0.5 * (1.0 + x));
        rule.weight.push_back(0.5 * weight);
    };
    auto const& x = Rule::abscissa();
    auto const& weight = Rule::weights();
    for (std::size_t i = x.size(); i-- > 0;)
        if (x[i] > 0.0)
            append(-x[i], weight[i]);
    for (std::size_t i = 0; i < x.size(); ++i)
        append(x[i], weight[i]);
    return rule;
}

} // namespace

QuadratureRule const& gauss_legendre(int n)
{
    static QuadratureRule const rule4 = make_rule<4>();
    static QuadratureRule const rule5 = make_rule<5>();
    static QuadratureRule const rule8 = make_rule<8>();
    static QuadratureRule const rule10 = make_rule<10>();
    switch (n)
    {
    case 4:
        return rule4;
    case 5:
        return rule5;
    case 8:
        return rule8;
    case 10:
        return rule10;
    default:
        throw std::invalid_argument("gauss_legendre: no rule of this size");
    }
}

std::vector<double> panel_ends(double lo, double hi, std::vector<double> breaks, std::function<double(double)> const& width)
{
    breaks.push_back(hi);
    std::sort(breaks.begin(), breaks.end());
    std::vector<double> ends{lo};
    for (double const end : breaks)
    {
        double const start = ends.back();
        // Breaks closer than rounding would make panels of no width.
        if (end <= start * (1.0 + 1e-12) || end > hi)
            continue;
        double left = start;
        // Equal panels between two breaks, renewed while the allowed width grows.
        while (end - left > width(left) * (1.0 + 1e-12))
        {
            double const step = width(left);
            double const remaining = std::ceil((end - left) / step);
            left += std::min(step, (end - left) / remaining);
            ends.push_back(left);
            if (ends.size() > most_panels)
                throw InputError(
                    fmt::format("more than {} quadrature panels are needed between {:g} and {:g} keV: a resolution or an "
                                "efficiency threshold is too narrow for this range",
                                most_panels, lo, hi));
        }
        ends.push_back(end);
    }
    return ends;
}

} // namespace nuscan
