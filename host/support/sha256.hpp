/// \file
/// SHA-256 of texts and files (OpenSSL).
#pragma once

#include <string>
#include <string_view>

namespace nuscan
{

/// SHA-256 of \p bytes as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

} // namespace nuscan
