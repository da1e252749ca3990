/// \file
/// A scan problem: prepared inputs, axes and fixed parameters, checked against the rules of parameters.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/prepare/prepared.hpp"
#include "host/scan/parameters.hpp"
#include "nuscan/scan/problem_view.hpp"

namespace nuscan
{

/// Throws InputError where a set of parameters makes no sense: m_X without g_X or the other way round, mixed descriptions of the
/// magnetic moment, RRPA factors with anything but the SM. \p given lists every parameter that is fixed or scanned.
void check_parameter_set(std::vector<int> const& given, Inputs const& inputs);

/// Values of all parameters from fixed ones.
ParameterValues parameter_values(FixedParameters const& fixed);

/// A point ready for the formulas.
ModelPoint model_point(ParameterValues const& values, OscillationParameters const& oscillation);

/// Points to evaluate on prepared inputs; owns the axis values that the view refers to.
class Problem
{
public:
    /// A grid of up to four axes; no axis is the single point of the fixed parameters.
    Problem(std::shared_ptr<Prepared const> prepared, std::vector<Axis> axes, FixedParameters fixed, bool fix_pulls = false);

    /// A list of points: column a holds the values of parameters[a]. For tests and self-checks.
    Problem(std::shared_ptr<Prepared const> prepared, std::vector<int> parameters, std::vector<std::vector<double>> columns,
            FixedParameters fixed, bool fix_pulls = false);

    Problem(Problem const&) = delete;
    Problem& operator=(Problem const&) = delete;

    std::int64_t size() const { return view_.grid.size; }
    std::vector<Axis> const& axes() const { return axes_; }
    std::vector<std::vector<double>> const& axis_values() const { return values_; }
    FixedParameters const& fixed() const { return fixed_; }
    Prepared const& prepared() const { return *prepared_; }
    std::shared_ptr<Prepared const> shared_prepared() const { return prepared_; }
    ProblemView const& view() const { return view_; }

    /// All parameter values of point \p index.
    ParameterValues values(std::int64_t index) const;

private:
    void build(std::vector<int> const& parameters, bool fix_pulls);

    std::shared_ptr<Prepared const> prepared_;
    std::vector<Axis> axes_;
    std::vector<int> parameters_;
    std::vector<std::vector<double>> values_;
    FixedParameters fixed_;
    std::unique_ptr<FitData const> fit_;
    ProblemView view_;
};

} // namespace nuscan
