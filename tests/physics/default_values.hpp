/// \file
/// What formulas are tested with.
#pragma once

#include "nuscan/core/constants.hpp"
#include "nuscan/physics/survival.hpp"

namespace nuscan
{

inline constexpr Constants constants;
inline constexpr OscillationParameters osc;

} // namespace nuscan
