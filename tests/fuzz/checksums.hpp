/// \file
/// Checksums of the file formats, so that mutated files get past them. Slow and plain: not those of the readers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "host/io/lookup3.hpp"

namespace nuscan::fuzz
{

/// CRC-32C of journals.
inline std::uint32_t crc32c(std::uint8_t const* bytes, std::size_t n, std::uint32_t before = 0)
{
    std::uint32_t crc = ~before;
    for (std::size_t i = 0; i < n; ++i)
    {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0U);
    }
    return ~crc;
}

using h5::lookup3;

} // namespace nuscan::fuzz
