/// \file
/// Small helpers on names and text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuscan
{

/// The candidate nearest to \p name by edit distance (case-insensitive), or empty if none is near.
std::string nearest_name(std::string_view name, std::vector<std::string> const& candidates);

/// "; did you mean 'x'?" where a candidate is near, else "; valid: a, b, c".
std::string suggestion(std::string_view name, std::vector<std::string> const& candidates);

/// Items joined by \p separator.
std::string join(std::vector<std::string> const& items, std::string_view separator = ", ");

/// "1 point", "2 points".
std::string counted(long long n, std::string_view noun);

/// Parses a whole string as a double independently of the locale ("1e-3", "inf" refused); false if it is not one.
bool parse_double(std::string_view text, double& value);

/// Parses a whole string as a non-negative integer.
bool parse_size(std::string_view text, unsigned long long& value);

/// A word as a POSIX shell takes it: in quotes where it holds anything but letters, digits and @%+=:,./_-.
std::string shell_quote(std::string_view word);

/// The words of a command line made of shell_quote()d ones.
std::vector<std::string> shell_words(std::string_view line);

} // namespace nuscan
