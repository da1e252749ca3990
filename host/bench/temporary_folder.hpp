/// \file
/// A folder for files that go when the object does.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "host/support/error.hpp"

namespace nuscan::bench
{

class TemporaryFolder
{
public:
    /// Makes one below \p parent. Throws InputError if it cannot.
    explicit TemporaryFolder(std::filesystem::path const& parent)
    {
        std::string name = (parent / "nuscan-bench-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr)
            throw InputError(fmt::format("{}: no folder can be made in it: {}; name another with --folder", parent.string(),
                                         std::generic_category().message(errno)));
        path_ = name;
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(TemporaryFolder const&) = delete;
    TemporaryFolder& operator=(TemporaryFolder const&) = delete;
    std::filesystem::path const& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace nuscan::bench
