// Folders of experiments: experiment.toml and up to four tables.
#include <cmath>

#include "host/inputs/experiment.hpp"
#include "tests/fuzz/bundle.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    static std::string const definition = "experiments/fuzz/experiment.toml";
    static fuzz::BundleFolder folder{{{definition, "schema = 1\n"},
                                      {"experiments/fuzz/a.txt", ""},
                                      {"experiments/fuzz/b.txt", ""},
                                      {"experiments/fuzz/c.txt", ""},
                                      {"experiments/fuzz/d.txt", ""}}};
    auto files = fuzz::split_bundle(fuzz::as_text(data, size), definition);
    for (char const* const table : {"a.txt", "b.txt", "c.txt", "d.txt"})
        if (auto const found = files.find(table); found != files.end())
            files[fmt::format("experiments/fuzz/{}", table)] = found->second;
    if (files[definition].empty()) // no such folder would be there
        files[definition] = "\n";
    folder.lay_out(files);
    fuzz::answers([&] {
        DataFolder data_folder{folder.path()};
        ExperimentDefinition const experiment = load_experiment(data_folder, "fuzz");
        fuzz::require(experiment.bins() > 0 && experiment.edges.size() == experiment.bins() + 1, "bins have edges");
        for (double const counts : experiment.counts)
            fuzz::require(std::isfinite(counts) && counts >= 0.0, "counts are counts");
        for (auto const& background : experiment.backgrounds)
        {
            fuzz::require(background.per_bin.size() == experiment.bins(), "backgrounds have a value for each bin");
            fuzz::require(background.pull < static_cast<int>(experiment.pulls.size()), "pulls of backgrounds are there");
            for (double const events : background.per_bin)
                fuzz::require(std::isfinite(events) && events >= 0.0, "backgrounds are finite");
        }
        for (double const energy : {0.0, 0.5, 5.0, 1e3, 2e4})
        {
            for (auto const& efficiency : experiment.efficiencies)
            {
                double const value = efficiency(energy);
                fuzz::require(value >= 0.0 && value <= 1.0, "an efficiency lies between 0 and 1");
            }
            experiment.resolution(energy);
        }
    });
    return 0;
}
