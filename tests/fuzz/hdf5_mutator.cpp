// Where NUSCAN_FUZZ_FORGE is set: changes metadata of surface files in place and makes their checksums right again. HDF5 1.10 does not
// stand that (README.md), so that it is not set where findings count.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/checksums.hpp"
#include "tests/fuzz/surfaces.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace
{

/// Metadata and the checksum behind them.
struct Region
{
    std::size_t begin;
    std::size_t size; ///< without the checksum
};

std::uint32_t number_at(std::uint8_t const* bytes)
{
    std::uint32_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

/// Regions of a valid file: what begins with a signature and ends where a checksum is right.
std::vector<Region> find_regions(std::string const& bytes)
{
    constexpr std::array<std::string_view, 14> signatures = {"\x89HDF", "OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD",
                                                             "BTLF",    "BTIN", "FADB", "FAHD", "EAHD", "FSHD", "SMTB"};
    constexpr std::size_t longest = 4096;
    auto const* const data = reinterpret_cast<std::uint8_t const*>(bytes.data());
    std::vector<Region> regions;
    for (std::size_t at = 0; at + 8 < bytes.size(); ++at)
    {
        std::string_view const here{bytes.data() + at, 4};
        if (std::find(signatures.begin(), signatures.end(), here) == signatures.end())
            continue;
        for (std::size_t n = 4; n < longest && at + n + 4 <= bytes.size(); ++n)
            if (number_at(data + at + n) == nuscan::fuzz::lookup3(data + at, n))
            {
                regions.push_back({at, n});
                break;
            }
    }
    return regions;
}

std::vector<Region> const* regions_of(std::size_t size)
{
    using nuscan::fuzz::surface_bytes;
    using nuscan::fuzz::SurfaceKind;
    static std::array const kinds = {SurfaceKind::whole, SurfaceKind::shard, SurfaceKind::virtual_};
    static std::array const regions = {find_regions(surface_bytes(kinds[0])), find_regions(surface_bytes(kinds[1])),
                                       find_regions(surface_bytes(kinds[2]))};
    for (std::size_t i = 0; i < kinds.size(); ++i)
        if (surface_bytes(kinds[i]).size() == size)
            return &regions[i];
    return nullptr;
}

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed)
{
    static bool const forge = std::getenv("NUSCAN_FUZZ_FORGE") != nullptr;
    auto const* const regions = regions_of(size);
    if (!forge || !regions || regions->empty() || seed % 8 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    Region const region = (*regions)[seed / 8 % regions->size()];
    // A few bytes somewhere in it, the signature left alone.
    std::size_t const begin = region.begin + 4 + seed / 1024 % (region.size - 4);
    std::size_t const n = std::min<std::size_t>(1 + seed / 65536 % 8, region.begin + region.size - begin);
    std::vector<std::uint8_t> part(data + begin, data + begin + n);
    std::size_t const left = LLVMFuzzerMutate(part.data(), n, n);
    std::copy_n(part.begin(), std::min(left, n), data + begin);
    std::uint32_t const sum = nuscan::fuzz::lookup3(data + region.begin, region.size);
    std::memcpy(data + region.begin + region.size, &sum, sizeof sum);
    return size;
}
