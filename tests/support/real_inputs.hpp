/// \file
/// The shipped data, prepared once per test program.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/prepare/prepared.hpp"

namespace nuscan
{

inline DataFolder shipped_data()
{
    return DataFolder(NUSCAN_SOURCE_DATA_DIR);
}

/// Prepared inputs of the named experiments with default choices, shared between tests.
inline std::shared_ptr<Prepared const> prepared(std::vector<std::string> const& experiments, int refinement = 1)
{
    static std::map<std::pair<std::vector<std::string>, int>, std::shared_ptr<Prepared const>> cache;
    auto& entry = cache[{experiments, refinement}];
    if (!entry)
    {
        DataFolder data = shipped_data();
        entry = std::make_shared<Prepared const>(load_inputs(data, {}, experiments), refinement);
    }
    return entry;
}

inline std::vector<std::vector<std::string>> const all_experiment_sets{
    {"xenonnt_sr0"}, {"lz_ws2022"}, {"lz_ws2022_arxiv2208"}, {"xenonnt_sr0", "lz_ws2022"}};

} // namespace nuscan
