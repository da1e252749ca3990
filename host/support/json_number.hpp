/// \file
/// Whole numbers from JSON texts that others may have changed.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nuscan
{

/// The number \p value as it stands there. The library itself turns 1e30 and 2^64 into something. Throws std::out_of_range if it is no
/// whole number that an int64 holds.
template<class Json>
std::int64_t whole_number(Json const& value)
{
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.template get<std::uint64_t>() > most))
        throw std::out_of_range(
            fmt::format("{} is no whole number of 64 bits", value.dump(-1, ' ', false, Json::error_handler_t::replace)));
    return value.template get<std::int64_t>();
}

} // namespace nuscan
