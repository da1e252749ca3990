#include "host/backends/reference_cross_section.hpp"

#include <cmath>

namespace nuscan::reference
{

namespace
{

// Named once and resolved at compile time: a misspelt parameter does not compile.
template<std::size_t N>
consteval int parameter(char const (&name)[N])
{
    int const index = find_parameter(name);
    if (index < 0)
        throw "no such parameter";
    return index;
}

constexpr std::array<int, 3> p_mu{parameter("mu_e"), parameter("mu_mu"), parameter("mu_tau")};
constexpr std::array<int, 3> p_lambda{parameter("Lambda_1"), parameter("Lambda_2"), parameter("Lambda_3")};
constexpr std::array<int, 3> p_q{parameter("q_e"), parameter("q_mu"), parameter("q_tau")};
constexpr std::array<int, 3> p_r2{parameter("r2_e"), parameter("r2_mu"), parameter("r2_tau")};
constexpr std::array<int, 3> p_a{parameter("a_e"), parameter("a_mu"), parameter("a_tau")};
constexpr int p_mu_universal = parameter("mu_universal");
constexpr int p_g_s = parameter("g_S");
constexpr int p_m_s = parameter("m_S");
constexpr int p_g_p = parameter("g_P");
constexpr int p_m_p = parameter("m_P");
constexpr int p_g_v = parameter("g_V");
constexpr int p_m_v = parameter("m_V");
constexpr int p_g_a = parameter("g_A");
constexpr int p_m_a = parameter("m_A");
constexpr int p_g_t = parameter("g_T");
constexpr int p_m_t = parameter("m_T");

constexpr double kev_per_mev_of_masses = 1e3;

double square(double x)
{
    return x * x;
}

} // namespace

CrossSection::CrossSection(Constants const& constants, OscillationParameters const& oscillation, ParameterValues const& values,
                           bool adiabatic_transition)
    : constants_(constants)
    , values_(values)
{
    // Eq. 6: mu^2 = |L|^2 - c13^2 |L2|^2 + (c13^2 - 1) |L3|^2 + c13^2 P (|L2|^2 - |L1|^2)
    double const c13_squared = 1.0 - oscillation.sin2_theta13;
    double const l1 = square(values[p_lambda[0]]);
    double const l2 = square(values[p_lambda[1]]);
    double const l3 = square(values[p_lambda[2]]);
    double transition = (l1 + l2 + l3) - c13_squared * l2 + (c13_squared - 1.0) * l3;
    double const of_p_e1 = c13_squared * (l2 - l1);
    if (adiabatic_transition)
        transition_p_e1_moment_squared_ = of_p_e1;
    else
        transition += of_p_e1 * constants.transition_p_e1;

    for (std::size_t f = 0; f < 3; ++f)
        moment_squared_[f] = square(values[p_mu[f]]) + square(values[p_mu_universal]) + transition;
}

double CrossSection::propagator(int coupling, int mass, double recoil) const
{
    double const g = values_[coupling];
    if (g == 0.0)
        return 0.0;
    double const m = values_[mass] * kev_per_mev_of_masses;
    return g * g / (2.0 * constants_.electron_mass * recoil + m * m);
}

CrossSection::Couplings CrossSection::couplings(int flavour, double recoil) const
{
    auto const f = static_cast<std::size_t>(flavour);
    double const electron = flavour == 0 ? 1.0 : 0.0;
    double const g_f = constants_.fermi_constant;
    double g_v = -0.5 + 2.0 * constants_.sin2_theta_w + electron;
    double g_a = -0.5 + electron;

    // Eq. 7 with -6 a: a = -r^2/6 (appendix of the paper). Lengths to natural units by hbar c.
    double const radius = (values_[p_r2[f]] - 6.0 * values_[p_a[f]]) / square(constants_.hbar_c);
    double const charge = values_[p_q[f]];
    if (radius != 0.0 || charge != 0.0)
        g_v += std::sqrt(2.0) * pi / (constants_.inverse_alpha * g_f)
               * (radius / 3.0 - charge / (constants_.electron_mass * recoil));

    // Eqs. 8 and 9.
    double const contact = 1.0 / (2.0 * std::sqrt(2.0) * g_f);
    g_v += contact * propagator(p_g_v, p_m_v, recoil);
    g_a += contact * propagator(p_g_a, p_m_a, recoil);
    return {g_v, g_a};
}

double CrossSection::operator()(int flavour, double recoil, double energy) const
{
    double const m = constants_.electron_mass;
    double const t = recoil;
    double const e = energy;
    auto const [g_v, g_a] = couplings(flavour, t);

    double sigma = square(constants_.fermi_constant) * m / (2.0 * pi)
                   * (square(g_v + g_a) + square(g_v - g_a) * square(1.0 - t / e) - (g_v * g_v - g_a * g_a) * m * t / (e * e));
    sigma += pi / square(constants_.inverse_alpha * m) * (1.0 / t - 1.0 / e) * moment_squared_[static_cast<std::size_t>(flavour)];
    sigma += square(propagator(p_g_s, p_m_s, t)) / (4.0 * pi) * m * m * t / (e * e);
    sigma += square(propagator(p_g_p, p_m_p, t)) / (8.0 * pi) * m * t * t / (e * e);
    sigma += square(propagator(p_g_t, p_m_t, t)) * m / pi * (1.0 + 2.0 * (1.0 - t / e) + square(1.0 - t / e) - m * t / (e * e));
    return sigma * square(constants_.hbar_c);
}

std::array<double, 3> CrossSection::coefficients(int flavour, double recoil) const
{
    double const m = constants_.electron_mass;
    double const t = recoil;
    double const area = square(constants_.hbar_c);
    std::array<double, 3> c{};

    auto const [g_v, g_a] = couplings(flavour, t);
    double const plus = square(g_v + g_a);
    double const minus = square(g_v - g_a);
    double const weak = area * square(constants_.fermi_constant) * m / (2.0 * pi);
    c[0] += weak * (plus + minus);
    c[1] += weak * (-2.0 * t * minus);
    c[2] += weak * (t * t * minus - m * t * (g_v + g_a) * (g_v - g_a));

    double const magnetic = area * pi / square(constants_.inverse_alpha * m) * moment_squared_[static_cast<std::size_t>(flavour)];
    c[0] += magnetic / t;
    c[1] -= magnetic;

    c[2] += area * square(propagator(p_g_s, p_m_s, t)) / (4.0 * pi) * m * m * t;
    c[2] += area * square(propagator(p_g_p, p_m_p, t)) / (8.0 * pi) * m * t * t;

    // 1 + 2 (1 - T/E) + (1 - T/E)^2 = (2 - T/E)^2
    double const tensor = area * square(propagator(p_g_t, p_m_t, t)) * m / pi;
    c[0] += 4.0 * tensor;
    c[1] -= 4.0 * tensor * t;
    c[2] += tensor * (t * t - m * t);
    return c;
}

std::array<double, 3> CrossSection::transition_coefficients(double recoil) const
{
    double const magnetic = square(constants_.hbar_c) * pi / square(constants_.inverse_alpha * constants_.electron_mass)
                            * transition_p_e1_moment_squared_;
    return {magnetic / recoil, -magnetic, 0.0};
}

} // namespace nuscan::reference
