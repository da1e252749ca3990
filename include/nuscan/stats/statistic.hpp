/// \file
/// The two chi^2 functions an experiment may use.
#pragma once

namespace nuscan
{

enum class Statistic
{
    poisson, ///< 2 sum [mu - n + n ln(n/mu)] (arXiv:2208.06415, Eq. 14)
    gaussian ///< sum [(mu - n)/sigma]^2 (Eq. 15)
};

} // namespace nuscan
