/// \file
/// A folder of its own for a test, removed afterwards.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace nuscan::test
{

class TempDir
{
public:
    TempDir()
    {
        std::string name = (std::filesystem::temp_directory_path() / "nuscan-test-XXXXXX").string();
        if (!mkdtemp(name.data()))
            throw std::runtime_error{"no temporary folder: " + name};
        path_ = name;
    }

    ~TempDir()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    TempDir(TempDir const&) = delete;
    TempDir& operator=(TempDir const&) = delete;

    std::filesystem::path const& path() const { return path_; }

    /// Writes a file, folders included, and returns its path.
    std::filesystem::path write(std::filesystem::path const& file, std::string_view text) const
    {
        auto const full = path_ / file;
        std::filesystem::create_directories(full.parent_path());
        std::ofstream out{full, std::ios::binary};
        if (!(out << text))
            throw std::runtime_error{"cannot write " + full.string()};
        return full;
    }

private:
    std::filesystem::path path_;
};

} // namespace nuscan::test
