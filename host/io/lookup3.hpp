/// \file
/// The checksum of HDF5's metadata.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nuscan::h5
{

/// Jenkins' lookup3 of \p n bytes, as the HDF5 library computes it for its metadata.
inline std::uint32_t lookup3(unsigned char const* bytes, std::size_t n)
{
    auto const rotate = [](std::uint32_t x, int k) { return x << k | x >> (32 - k); };
    std::uint32_t a = 0xdeadbeefU + static_cast<std::uint32_t>(n);
    std::uint32_t b = a;
    std::uint32_t c = a;
    auto const add = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
        {
            std::uint32_t& word = i < 4 ? a : (i < 8 ? b : c);
            word += static_cast<std::uint32_t>(bytes[i]) << 8 * (i % 4);
        }
    };
    for (; n > 12; n -= 12, bytes += 12)
    {
        add(12);
        a -= c, a ^= rotate(c, 4), c += b;
        b -= a, b ^= rotate(a, 6), a += c;
        c -= b, c ^= rotate(b, 8), b += a;
        a -= c, a ^= rotate(c, 16), c += b;
        b -= a, b ^= rotate(a, 19), a += c;
        c -= b, c ^= rotate(b, 4), b += a;
    }
    if (n == 0)
        return c;
    add(n);
    c ^= b, c -= rotate(b, 14);
    a ^= c, a -= rotate(c, 11);
    b ^= a, b -= rotate(a, 25);
    c ^= b, c -= rotate(b, 16);
    a ^= c, a -= rotate(c, 4);
    b ^= a, b -= rotate(a, 14);
    c ^= b, c -= rotate(b, 24);
    return c;
}

} // namespace nuscan::h5
