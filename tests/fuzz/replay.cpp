// Stands in for libFuzzer where there is none: feeds files, and those of folders, to a target once. A finding ends the program as under
// libFuzzer, with the name of the file printed last.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz.hpp"

namespace fs = std::filesystem;

int main(int count, char** arguments)
{
    std::vector<fs::path> files;
    for (int i = 1; i < count; ++i)
    {
        fs::path const given = arguments[i];
        if (!fs::is_directory(given))
            files.push_back(given);
        else
            for (auto const& entry : fs::recursive_directory_iterator{given})
                if (entry.is_regular_file())
                    files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    if (files.empty())
    {
        fmt::print(stderr, "error: no file to replay; give files or folders\n");
        return 2;
    }
    for (fs::path const& file : files)
    {
        fmt::print("{}\n", file.string());
        std::fflush(stdout);
        std::ifstream in{file, std::ios::binary};
        std::vector<char> const bytes{std::istreambuf_iterator<char>{in}, {}};
        if (!in.good() && !in.eof())
            nuscan::fuzz::report(fmt::format("{} cannot be read", file.string()));
        // A copy of its exact size: reading beyond the end is noticed by sanitizers.
        std::vector<std::uint8_t> data(bytes.begin(), bytes.end());
        data.shrink_to_fit();
        LLVMFuzzerTestOneInput(data.data(), data.size());
    }
    fmt::print("{} files replayed\n", files.size());
    return 0;
}
