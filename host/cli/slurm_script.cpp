#include "host/cli/slurm_script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "host/scan/shards.hpp"
#include "host/support/error.hpp"
#include "host/support/input_file.hpp"
#include "host/support/text.hpp"
#include "host/support/toml_reader.hpp"

namespace fs = std::filesystem;

namespace nuscan::cli
{

namespace
{

/// What comes first, so that no signal ends the script: they go on to the scan.
constexpr char const* pass_signals_on = R"(scan=
signalled=
warned=
cancelled=
pass_on() { signalled=yes; [ -z "$scan" ] || kill -USR1 "$scan" 2>/dev/null; }
trap 'warned=yes; pass_on' USR1
trap '[ -n "$warned" ] || cancelled=yes; pass_on' TERM
)";

/// What follows it: a scan that was interrupted is queued again, unless its user cancelled it: then Slurm sends TERM without the warning
/// before. A signal that comes before the program can take it ends it or is lost: such a program has done nothing yet.
constexpr char const* wait_and_requeue = R"(    scan=$!
    [ -z "$signalled" ] || { sleep 1; pass_on; }
    while :; do
        signalled=
        wait "$scan"
        code=$?
        [ -n "$signalled" ] || break
    done
    [ "$code" -ne $((128 + $(kill -l USR1))) ] || code=3
fi
if [ "$code" -eq 3 ] && [ -z "$cancelled" ]; then
    scontrol requeue "$SLURM_JOB_ID" && exit 0
fi
exit "$code"
)";

std::uint64_t megabytes(std::uint64_t bytes)
{
    // Twice the estimate, and never less than a gigabyte.
    return std::max<std::uint64_t>(1024, (2 * bytes >> 20) + 1);
}

} // namespace

SlurmSite read_slurm_site(fs::path const& path)
{
    std::string text;
    try
    {
        text = read_input_file_or_pipe(path, longest_toml_file);
    }
    catch (UnreadableFile const& e)
    {
        throw InputError(fmt::format("--site {}: cannot be read: {}", path.string(), e.what()));
    }
    TomlReader file = TomlReader::parse(text, path.string());
    file.expect({"partition", "account", "qos", "time", "memory", "nuscan", "cpus_per_task", "tasks_at_a_time", "modules", "setup",
                 "sbatch"});
    SlurmSite site;
    auto const words = [&file](char const* key, std::string& value) { value = file.optional_string(key).value_or(value); };
    words("partition", site.partition);
    words("account", site.account);
    words("qos", site.qos);
    words("time", site.time);
    words("memory", site.memory);
    words("nuscan", site.nuscan);
    auto const number = [&file](char const* key, long long least, long long& value) {
        value = file.optional_integer(key).value_or(value);
        if (value < least)
            file.error(key, fmt::format("is {}; must be {} or more", value, least));
    };
    number("cpus_per_task", 1, site.cpus_per_task);
    number("tasks_at_a_time", 0, site.tasks_at_a_time);
    auto const list = [&file](char const* key, std::vector<std::string>& values) {
        if (file.has(key))
            values = file.strings(key);
    };
    list("modules", site.modules);
    list("setup", site.setup);
    list("sbatch", site.sbatch);
    // A line of sbatch ends where the text does: no more options may hide in a value.
    auto lines = site.sbatch;
    lines.insert(lines.end(), {site.partition, site.account, site.qos, site.time, site.memory});
    for (auto const& line : lines)
        if (line.find('\n') != line.npos)
            throw InputError(fmt::format("{}: a value holds a line end; write one option each", path.string()));
    return site;
}

fs::path default_slurm_site()
{
    char const* const config = std::getenv("XDG_CONFIG_HOME");
    char const* const home = std::getenv("HOME");
    if (config != nullptr && *config != '\0')
        return fs::path(config) / "nuscan/slurm.toml";
    return home != nullptr ? fs::path(home) / ".config/nuscan/slurm.toml" : fs::path();
}

std::string slurm_script(SlurmJob const& job)
{
    SlurmSite const& site = job.site;
    std::string name = fs::path(job.output).stem().string();
    for (char& c : name)
        if (c == ' ' || c == '\'' || c == '"' || c == '%')
            c = '-';
    std::string text = "#!/bin/bash\n";
    auto const option = [&text](std::string const& line) { text += "#SBATCH " + line + "\n"; };
    option("--job-name=nuscan-" + name);
    option(fmt::format("--array=1-{}{}", job.shards,
                       site.tasks_at_a_time > 0 ? fmt::format("%{}", site.tasks_at_a_time) : std::string()));
    option("--ntasks=1");
    option(fmt::format("--cpus-per-task={}", site.cpus_per_task));
    if (job.gpu)
        option("--gpus-per-task=1");
    option("--mem=" + (site.memory.empty() ? fmt::format("{}M", megabytes(job.memory_bytes)) : site.memory));
    option("--time=" + site.time);
    option("--signal=B:USR1@120");
    option("--requeue");
    option("--open-mode=append");
    option(fmt::format("--output={}.%A_%a.log", name));
    for (auto const& [key, value] : {std::pair{"partition", site.partition}, {"account", site.account}, {"qos", site.qos}})
        if (!value.empty())
            option(fmt::format("--{}={}", key, value));
    for (auto const& line : site.sbatch)
        option(line);
    std::string title = job.title;
    std::replace(title.begin(), title.end(), '\n', ' ');
    text += fmt::format("# {}: {}. Two minutes before the end of its time a task is warned, finishes its chunk and is queued\n"
                        "# again; it then continues where it was. A task that is cancelled stays so. Single shards: sbatch "
                        "--array=3,17 THIS-SCRIPT\n",
                        title, counted(job.shards, "shard"));
    text += pass_signals_on;
    text += fmt::format("cd {} || exit 2\n", shell_quote(job.folder));
    for (auto const& module : site.modules)
        text += fmt::format("module load {}\n", shell_quote(module));
    for (auto const& line : site.setup)
        text += line + "\n";
    std::vector<std::string> words;
    for (auto const& word : job.scan)
        words.push_back(shell_quote(word));
    if (!job.threads)
        words.push_back("--threads \"${SLURM_CPUS_PER_TASK:-1}\"");
    // The number of shards is that of the scan, even where a few of them are submitted again.
    words.push_back(fmt::format("--shard \"$SLURM_ARRAY_TASK_ID/{}\" -o {}", job.shards, shell_quote(job.output)));
    text += "code=3\nif [ -z \"$signalled\" ]; then\n    " + join(words, " ") + " &\n" + wait_and_requeue;
    auto const first = shard_path(job.output, {1, job.shards, {}});
    auto const file = first.string();
    auto const at = file.rfind(".shard-") + 7;
    auto const pattern = shell_quote(file.substr(0, at)) + "*" + shell_quote(file.substr(file.find('-', at)));
    // A name that begins like an option is none behind a folder.
    std::string const here = job.output.starts_with('-') ? "./" : "";
    text += fmt::format("# When all are done: nuscan merge {}{} -o {}\n", here, pattern, shell_quote(here + job.output));
    return text;
}

} // namespace nuscan::cli
