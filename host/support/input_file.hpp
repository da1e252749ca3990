/// \file
/// Reading files that the user names: whatever stands behind the name, an answer comes soon.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace nuscan
{

/// Longest TOML file that is read [bytes]: a grid file has 1 kB, an experiment 2 kB.
inline constexpr std::size_t longest_toml_file = 1 << 20;
/// Longest table of data that is read [bytes]: some million rows; the largest of those that ship has 0.1 MB.
inline constexpr std::size_t longest_table_file = 64 << 20;

/// How long a program at the other end of a pipe may keep silent.
inline constexpr std::chrono::milliseconds longest_silence{10000};

/// A file that cannot be read; the message says why and does not name it.
class UnreadableFile : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// The whole of a regular file. Throws UnreadableFile for anything else (folder, device, pipe), for a file longer than \p longest bytes,
/// and where the system refuses.
std::string read_input_file(std::filesystem::path const& path, std::size_t longest);

/// The same, but the file may be a pipe, as the shell's `<(command)` is: it is read to its end. Throws UnreadableFile if nothing comes
/// for \p silence.
std::string read_input_file_or_pipe(std::filesystem::path const& path, std::size_t longest,
                                    std::chrono::milliseconds silence = longest_silence);

} // namespace nuscan
