/// \file
/// A cross section as a polynomial of degree 2 in the inverse neutrino energy.
#pragma once

#include "nuscan/core/real.hpp"
#include "nuscan/physics/flavour.hpp"

namespace nuscan
{

/// dsigma/dT = sum_k c[k] E^-k, with c[k] in cm^2 keV^(k-1) at one recoil energy; \p Real for several points side by side.
template<class Real>
struct EnergyPolynomialOf
{
    Real c[n_energy_powers] = {0.0, 0.0, 0.0};

    /// Value at neutrino energy \p energy [keV], in cm^2/keV.
    NUSCAN_HD constexpr Real operator()(double energy) const
    {
        double const inverse = 1.0 / energy;
        return c[0] + inverse * (c[1] + inverse * c[2]);
    }

    NUSCAN_HD constexpr EnergyPolynomialOf& add(double weight, EnergyPolynomialOf const& other)
    {
        for (int k = 0; k < n_energy_powers; ++k)
            c[k] += weight * other.c[k];
        return *this;
    }

    /// sum_k c[k] moments[k]: the cross section folded with a neutrino spectrum.
    NUSCAN_HD constexpr Real dot(double const* moments) const
    {
        using Ops = RealOps<Real>;
        return Ops::multiply_add(c[2], Real(moments[2]), Ops::multiply_add(c[1], Real(moments[1]), c[0] * moments[0]));
    }
};

using EnergyPolynomial = EnergyPolynomialOf<double>;

} // namespace nuscan
