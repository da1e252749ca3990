/// \file
/// A data folder out of one input: several files, each under a line "=== NAME".
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temp_dir.hpp"

namespace nuscan::fuzz
{

/// Files by name. What comes before the first mark belongs to \p first.
inline std::map<std::string, std::string> split_bundle(std::string_view text, std::string const& first)
{
    constexpr std::string_view mark = "=== ";
    std::map<std::string, std::string> files;
    std::string* file = &files[first];
    while (!text.empty())
    {
        auto const end = std::min(text.find('\n'), text.size() - 1) + 1;
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end);
        if (!line.starts_with(mark))
        {
            file->append(line);
            continue;
        }
        line.remove_prefix(mark.size());
        file = &files[std::string{line.substr(0, line.find_first_of("\r\n"))}];
    }
    return files;
}

/// A data folder of which some files change from input to input.
class BundleFolder
{
public:
    /// \param defaults  the files that an input may replace, with what they hold where it does not; empty: no such file
    explicit BundleFolder(std::map<std::string, std::string> defaults) : defaults_{std::move(defaults)}
    {
        for (char const* const folder : {"solar", "xenon", "experiments"})
            std::filesystem::create_directories(folder_.path() / folder);
        for (auto const& [name, text] : defaults_)
            store(name, text);
    }

    std::filesystem::path const& path() const { return folder_.path(); }

    /// Lays out the files of an input; those of other names are left out.
    void lay_out(std::map<std::string, std::string> const& files)
    {
        for (auto const& [name, text] : defaults_)
        {
            auto const given = files.find(name);
            std::string const& wanted = given == files.end() ? text : given->second;
            if (wanted != stored_[name])
                store(name, wanted);
        }
    }

private:
    void store(std::string const& name, std::string const& text)
    {
        if (text.empty())
            std::filesystem::remove(folder_.path() / name);
        else
            folder_.write(name, text);
        stored_[name] = text;
    }

    test::TempDir folder_;
    std::map<std::string, std::string> defaults_;
    std::map<std::string, std::string> stored_;
};

} // namespace nuscan::fuzz
