/// \file
/// Experiments as folders: data/experiments/<name>/experiment.toml and the tables it names.
#pragma once

#include <string>

#include "host/inputs/inputs.hpp"

namespace nuscan
{

/// Reads and checks an experiment. Throws InputError (an unknown name is answered with the nearest valid one).
///
/// Not checked here, since it takes the signal: that every open bin with data has a positive prediction.
ExperimentDefinition load_experiment(DataFolder& data, std::string const& name);

/// Throws InputError, beginning with \p where, unless the resolution's width is positive wherever it is used: at reconstructed
/// energies within bins and cut, or at all true energies. At 0 itself it may vanish.
void require_positive_width(ExperimentDefinition const& experiment, std::string const& where);

} // namespace nuscan
