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
    auto const pulls = number_at<std::uint64_t>(head + 8);
    auto const rates = number_at<std::uint64_t>(head + 16);
    put(head + 40, crc32c(head + head_size, description_size));
    put(head + 44, crc32c(head, 44));
    std::size_t at = magic_size + head_size + description_size;
    while (size - at >= record_size)
    {
        std::uint8_t* const record = data + at;
        std::uint64_t bytes = 0;
        bool const fits = !__builtin_mul_overflow(number_at<std::uint64_t>(record + 8), 9 + 8 * (pulls + rates), &bytes)
                          && bytes <= size - at - record_size;
        if (fits)
            put(record + 16, crc32c(record + record_size, bytes));
        put(record + 20, crc32c(record, 20));
        if (!fits)
            return;
        at += record_size + bytes;
    }
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
