#include "host/support/sha256.hpp"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "host/support/error.hpp"

namespace nuscan
{

std::string sha256(std::string_view bytes)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
        throw RunError{"SHA-256 failed (OpenSSL)"};
    return fmt::format("{:02x}", fmt::join(digest.data(), digest.data() + size, ""));
}

} // namespace nuscan
