/// \file
/// Neutrino flavours, and the "species" that weight the solar neutrino energy integrals.
#pragma once

namespace nuscan
{

inline constexpr int n_flavours = 3;

/// Order of flavours in every array.
enum class Flavour : int
{
    e = 0,
    mu = 1,
    tau = 2
};

/// Weights of the neutrino-energy integral: the three flavours (P_ee, P_emu, P_etau), then the two-flavour P_e1^{2nu} that the
/// transition moments need (Eq. 6).
inline constexpr int n_species = 4;
inline constexpr int species_p_e1 = 3;

/// Every cross section is sum_{k=0..2} c_k(T) E^-k.
inline constexpr int n_energy_powers = 3;

/// Moment functions I_sk(T) per recoil energy, index s * n_energy_powers + k.
inline constexpr int n_moments = n_species * n_energy_powers;

} // namespace nuscan
