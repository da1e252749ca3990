#include "host/io/contour_program.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "host/support/error.hpp"
#include "host/support/process.hpp"

namespace fs = std::filesystem;

namespace nuscan
{

namespace
{

/// Exit code by which the module says that a package is missing.
constexpr int packages_missing = 3;

/// Folder that holds the Python package.
fs::path python_folder()
{
    try
    {
        return find_shipped_folder(
            {"NUSCAN_PYTHON_DIR", "share/nuscan/python", NUSCAN_SOURCE_PYTHON_DIR, "nuscan_plots/contours.py"});
    }
    catch (NoShippedFolder const& problem)
    {
        throw NoContourProgram{problem.what()};
    }
}

std::vector<std::vector<ContourPiece>> parse(std::string const& text, std::size_t levels)
{
    std::vector<std::vector<ContourPiece>> all;
    auto const json = nlohmann::json::parse(text);
    for (auto const& level : json.at("levels"))
    {
        auto& pieces = all.emplace_back();
        for (auto const& entry : level.at("pieces"))
            pieces.push_back({entry.at("closed").get<bool>(), entry.at("points").get<std::vector<std::array<double, 2>>>()});
    }
    if (all.size() != levels)
        throw RunError{fmt::format("nuscan_plots.contours: {} levels where {} were asked for", all.size(), levels)};
    return all;
}

} // namespace

std::vector<std::vector<ContourPiece>> draw_contours(fs::path const& path, std::string const& profile,
                                                     std::vector<double> const& levels)
{
    fs::path const folder = python_folder();
    std::string reason;
    for (std::string const& interpreter : python_interpreters())
    {
        // -B: an installed package may lie in a folder of another user.
        std::vector<std::string> words{interpreter, "-B", "-m", "nuscan_plots.contours", fs::absolute(path).string()};
        if (!profile.empty())
            words.insert(words.end(), {"--profile", profile});
        for (double const level : levels)
            words.insert(words.end(), {"--level", fmt::format("{}", level)});
        std::string search = folder.string();
        if (std::string const other = environment_variable("PYTHONPATH"); !other.empty())
            search += ":" + other;
        FinishedProcess const finished = run_process(
            words, {{"PYTHONPATH", search}, {"PYTHONSAFEPATH", "1"}}); // files here are no modules
        if (finished.exit_code == packages_missing || finished.exit_code == process_cannot_start)
        {
            reason += fmt::format("{}{}: {}", reason.empty() ? "" : "; ", interpreter, one_line(finished.err));
            continue;
        }
        if (finished.exit_code != 0)
            throw RunError{fmt::format("{}: no contours: {} -m nuscan_plots.contours failed: {}", path.string(), interpreter,
                                       one_line(finished.err))};
        try
        {
            return parse(finished.out, levels.size());
        }
        catch (nlohmann::json::exception const& problem)
        {
            throw RunError{fmt::format("{}: no contours: what nuscan_plots.contours printed cannot be read: {}", path.string(),
                                       problem.what())};
        }
    }
    throw NoContourProgram{fmt::format("{}. Install python3-h5py, python3-numpy and python3-contourpy (Debian; comes with "
                                       "python3-matplotlib), or name another interpreter in NUSCAN_PYTHON",
                                       reason)};
}

} // namespace nuscan
