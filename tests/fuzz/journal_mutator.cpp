// Makes journals that hold something else behind right checksums.
#include <algorithm>
#include <cstring>

#include "tests/fuzz/checksums.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace
{

// The layout of host/io/journal.cpp.
constexpr std::size_t magic_size = 17;
constexpr std::size_t head_size = 48;
constexpr std::size_t record_size = 24;

template<class T>
T number_at(std::uint8_t const* bytes)
{
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

void put(std::uint8_t* bytes, std::uint32_t value)
{
    std::memcpy(bytes, &value, sizeof value);
}

void repair(std::uint8_t* data, std::size_t size)
{
    using nuscan::fuzz::crc32c;
    if (size < magic_size + head_size)
        return;
    std::uint8_t* const head = data + magic_size;
    auto const description_size = std::min<std::uint64_t>(number_at<std::uint64_t>(head), size - magic_size - head_size);
    put(head + 40, crc32c(head + head_size, description_size));
    put(head + 44, crc32c(head, 44));
    for (std::size_t at = magic_size + head_size + description_size; size - at >= record_size; at += record_size)
        put(data + at + 20, crc32c(data + at, 20));
}

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    // Now and then checksums stay wrong.
    if (seed % 8 != 0)
        repair(data, size);
    return size;
}
