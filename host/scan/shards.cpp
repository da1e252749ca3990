#include "host/scan/shards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "host/io/file_replacement.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/orchestrator.hpp"
#include "host/support/error.hpp"
#include "host/support/text.hpp"

namespace nuscan
{

namespace
{

/// A shard of at least so many chunks begins with one.
constexpr std::int64_t chunks_worth_aligning = 8;

std::optional<std::int64_t> slurm_number(char const* name)
{
    char const* const text = std::getenv(name);
    unsigned long long value = 0;
    if (text == nullptr || !parse_size(text, value) || value > static_cast<unsigned long long>(most_shards) * 1000)
        return std::nullopt;
    return static_cast<std::int64_t>(value);
}

Shard slurm_shard()
{
    auto const id = slurm_number("SLURM_ARRAY_TASK_ID");
    auto const min = slurm_number("SLURM_ARRAY_TASK_MIN");
    auto const max = slurm_number("SLURM_ARRAY_TASK_MAX");
    auto const count = slurm_number("SLURM_ARRAY_TASK_COUNT");
    if (!id || !min || !max || !count)
        throw InputError("--shard slurm, the default in a Slurm array: this is no task of a Slurm array (SLURM_ARRAY_TASK_ID, "
                         "_MIN, _MAX and _COUNT are not all "
                         "set); give --shard k/N or --shard none, or submit with sbatch --array=1-N");
    if (*min > 1 || *max - *min + 1 != *count)
        throw InputError(
            fmt::format("--shard slurm, the default in a Slurm array: the tasks of this array run from {} to {} and are {}: not "
                        "those of a whole "
                        "scan, which are 1 to N; give --shard k/N with the N of the scan, or --shard none for the whole "
                        "grid",
                        *min, *max, *count));
    if (*id < *min || *id > *max)
        throw InputError(fmt::format("--shard slurm, the default in a Slurm array: SLURM_ARRAY_TASK_ID = {} is outside {} to {}",
                                     *id, *min, *max));
    return {*id - *min + 1, *count, fmt::format("task {} of the Slurm array {}-{}", *id, *min, *max)};
}

/// The words of a command line without the named options; those in \p with_value lose the value too.
std::vector<std::string> without(std::vector<std::string> const& words, std::vector<std::string> const& with_value,
                                 std::vector<std::string> const& flags, std::string* last_value = nullptr)
{
    std::vector<std::string> rest;
    for (std::size_t i = 0; i < words.size(); ++i)
    {
        std::string const& word = words[i];
        if (std::find(flags.begin(), flags.end(), word) != flags.end())
            continue;
        bool taken = false;
        for (std::string const& option : with_value)
        {
            bool const is_long = option.starts_with("--");
            std::string const attached = is_long ? option + "=" : option;
            if (word == option)
            {
                ++i;
                if (last_value && i < words.size())
                    *last_value = words[i];
                taken = true;
            }
            else if (word.starts_with(attached) && (is_long || !word.starts_with("--")))
            {
                if (last_value)
                    *last_value = word.substr(attached.size());
                taken = true;
            }
            if (taken)
                break;
        }
        if (!taken)
            rest.push_back(word);
    }
    return rest;
}

std::string command_text(std::vector<std::string> const& words)
{
    std::vector<std::string> quoted;
    for (auto const& word : words)
        quoted.push_back(shell_quote(word));
    return join(quoted, " ");
}

} // namespace

std::string default_shard()
{
    char const* const task = std::getenv("SLURM_ARRAY_TASK_ID");
    return task != nullptr && *task != '\0' ? "slurm" : "none";
}

std::optional<Shard> parse_shard(std::string const& text)
{
    if (text == "none")
        return std::nullopt;
    if (text == "slurm")
        return slurm_shard();
    auto const slash = text.find('/');
    unsigned long long index = 0;
    unsigned long long count = 0;
    if (slash == std::string::npos || !parse_size(text.substr(0, slash), index) || !parse_size(text.substr(slash + 1), count))
        throw InputError(fmt::format("--shard {}: not of the form k/N, for example 3/64, and neither slurm nor none", text));
    if (count < 1 || count > static_cast<unsigned long long>(most_shards))
        throw InputError(fmt::format("--shard {}: the number of shards must be 1 to {}", text, most_shards));
    if (index < 1 || index > count)
        throw InputError(fmt::format("--shard {}: the shards of {} are 1 to {}", text, count, count));
    return Shard{static_cast<std::int64_t>(index), static_cast<std::int64_t>(count), {}};
}

IndexRange shard_range(std::vector<std::int64_t> const& shape, Shard const& shard)
{
    std::int64_t size = 1;
    for (std::int64_t const n : shape)
        size *= n;
    if (size < shard.count)
        throw InputError(fmt::format("--shard {}/{}: the grid has {} only; use as many shards at most", shard.index, shard.count,
                                     counted(size, "point")));
    auto const border = [&](std::int64_t k) {
        auto const place = size / shard.count * k + size % shard.count * k / shard.count;
        bool const aligned = k < shard.count && size / shard.count >= chunks_worth_aligning * surface_chunk_points(shape);
        return aligned ? surface_chunk_begin(shape, place) : place;
    };
    return {border(shard.index - 1), border(shard.index)};
}

std::filesystem::path shard_path(std::filesystem::path const& output, Shard const& shard)
{
    auto const digits = std::max<std::size_t>(3, std::to_string(shard.count).size());
    auto name = output;
    name.replace_filename(fmt::format("{}.shard-{:0{}}-of-{:0{}}{}", output.stem().string(), shard.index, digits, shard.count,
                                      digits, output.extension().string()));
    return name;
}

std::vector<std::string> without_options(std::vector<std::string> const& words, std::vector<std::string> const& with_value,
                                         std::vector<std::string> const& flags)
{
    return without(words, with_value, flags);
}

std::string with_shard(std::string const& command_line, Shard const& shard)
{
    auto words = without(shell_words(command_line), {"--shard"}, {});
    for (std::string const& word : {std::string("--shard"), fmt::format("{}/{}", shard.index, shard.count)})
        words.push_back(word);
    return command_text(words);
}

std::string shard_command(std::string const& command_line, Shard const& shard, std::string const& output)
{
    auto words = without(shell_words(with_shard(command_line, shard)), {"-o", "--output"}, {"--restart"});
    for (std::string const& word : {std::string("-o"), output})
        words.push_back(word);
    return command_text(words);
}

std::string continue_command(std::string const& command_line, std::string const& folder)
{
    std::error_code error;
    auto words = without(shell_words(command_line), {}, {"--restart"});
    // In a Slurm array a command that was given elsewhere would scan something else.
    bool const scans = std::find(words.begin(), words.end(), "scan") != words.end();
    if (scans && shard_of_command(command_line).empty() && default_shard() != "none")
        words.insert(words.end(), {"--shard", "none"});
    std::string const command = command_text(words);
    bool const here = !std::filesystem::is_directory(folder, error)
                      || std::filesystem::equivalent(folder, std::filesystem::current_path(error), error);
    return here ? command : fmt::format("cd {} && {}", shell_quote(folder), command);
}

std::string command_that_writes(std::string const& command_line, std::string const& folder, std::filesystem::path const& file,
                                std::string const& suffix)
{
    std::string const given = output_of_command(command_line);
    std::string const shard_text = shard_of_command(command_line);
    // Before, "slurm" was recorded as it was given; it means another shard in another task.
    if (given.empty() || shard_text == "slurm")
        return continue_command(command_line, folder);
    auto const shard = shard_text.empty() ? std::nullopt : parse_shard(shard_text);
    auto const file_of = [&](std::filesystem::path const& output) { return shard ? shard_path(output, *shard) : output; };
    std::error_code error;
    auto const expected = link_target(std::filesystem::path(folder) / file_of(given));
    if (std::filesystem::equivalent(expected.string() + suffix, file.string() + suffix, error))
        return continue_command(command_line, folder);
    auto const there = std::filesystem::absolute(file, error);
    auto const moved = shard ? there.parent_path() / std::filesystem::path(given).filename() : there;
    if (file_of(moved) != there)
        return "";
    auto words = without(shell_words(command_line), {"-o", "--output"}, {});
    words.insert(words.end(), {"-o", moved.string()});
    // A folder that was moved as a whole is looked for beside the file.
    bool const gone = !std::filesystem::is_directory(folder, error);
    return continue_command(command_text(words), gone ? there.parent_path().string() : folder);
}

std::string continue_command(JournalDescription const& description, std::filesystem::path const& journal)
{
    auto file = journal;
    file.replace_extension();
    return command_that_writes(description.command_line, description.folder, file, journal.extension().string());
}

std::string shard_of_command(std::string const& command_line)
{
    std::string shard;
    without(shell_words(command_line), {"--shard"}, {}, &shard);
    return shard;
}

std::string output_of_command(std::string const& command_line)
{
    std::string output;
    without(shell_words(command_line), {"-o", "--output"}, {}, &output);
    return output;
}

} // namespace nuscan
