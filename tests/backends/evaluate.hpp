/// \file
/// Runs a backend and keeps what it wrote.
#pragma once

#include <cstring>
#include <vector>

#include "host/scan/problem.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan
{

struct Results
{
    std::vector<double> chi2;
    std::vector<std::uint8_t> status;
    std::vector<double> pulls;
    std::vector<double> rates;
};

inline Results evaluate(Backend& backend, Problem const& problem, IndexRange range)
{
    auto const n = static_cast<std::size_t>(range.size());
    Results results;
    results.chi2.assign(n, -1.0);
    results.status.assign(n, 77);
    results.pulls.assign(n * pull_count(problem.prepared().inputs()), -2.0);
    results.rates.assign(n * rate_count(problem.prepared().inputs()), -1.0);
    backend.evaluate(range, {results.chi2.data(), results.status.data(), results.pulls.data(), results.rates.data()});
    return results;
}

inline bool same_bits(std::vector<double> const& a, std::vector<double> const& b)
{
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

inline Axis make_axis(char const* parameter, double min, double max, std::int64_t n, AxisScale scale = AxisScale::linear)
{
    return {find_parameter(parameter), min, max, n, scale};
}

} // namespace nuscan
