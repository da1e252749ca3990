/// \file
/// What the fuzz targets share: files for an input, and what counts as an answer to a hostile file.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "host/support/error.hpp"

// libFuzzer knows the targets by these names.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace nuscan::fuzz
{

/// Ends the program with a message: a finding.
[[noreturn]] inline void report(std::string_view what)
{
    fmt::print(stderr, "finding: {}\n", what);
    std::abort();
}

/// Something that holds whatever the input is.
inline void require(bool holds, std::string_view what)
{
    if (!holds)
        report(what);
}

/// Runs a reader. An InputError, which names what is wrong with a file, is as good an answer as a result; any other exception goes on and
/// ends the program. \returns whether there was a result
template<class Action>
bool answers(Action&& action)
{
    try
    {
        action();
        return true;
    }
    catch (InputError const&)
    {
        return false;
    }
}

inline std::string_view as_text(std::uint8_t const* data, std::size_t size)
{
    return {reinterpret_cast<char const*>(data), size};
}

/// A file for readers that want a path, gone with the object. In the folder for temporary files: set TMPDIR to one in memory.
class InputFile
{
public:
    explicit InputFile(std::string_view contents)
    {
        std::string name = (std::filesystem::temp_directory_path() / "nuscan-fuzz-XXXXXX").string();
        int const descriptor = mkostemp(name.data(), O_CLOEXEC);
        path_ = name;
        bool good = descriptor >= 0;
        for (std::size_t written = 0; good && written < contents.size();)
        {
            ssize_t const n = ::write(descriptor, contents.data() + written, contents.size() - written);
            good = n > 0;
            written += good ? static_cast<std::size_t>(n) : 0;
        }
        if (!good || ::close(descriptor) != 0)
            throw std::system_error{errno, std::generic_category(), "no temporary file " + name};
    }
    ~InputFile() { ::unlink(path_.c_str()); }
    InputFile(InputFile const&) = delete;
    InputFile& operator=(InputFile const&) = delete;

    std::filesystem::path const& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace nuscan::fuzz
