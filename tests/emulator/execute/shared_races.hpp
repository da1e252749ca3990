#pragma once
// Races on shared memory: two warps touch the same bytes between two barriers, at least one of them changes them, and not both do so
// by atomic operations. Words of 4 bytes are followed as wholes, smaller accesses byte by byte, so that neighbours in one word are no
// race.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace emulator
{

enum class Access : std::uint8_t
{
    read,
    write,
    atomic
};

class SharedRaces
{
public:
    struct Conflict
    {
        Access other = Access::read;
        std::uint32_t warp = 0;
        bool several = false; // more than one other warp
    };

    void resize(std::uint64_t bytes)
    {
        words_.resize(bytes / 4 + 1);
        summary_.resize(bytes / 4 + 1);
        bytes_.resize(bytes + 1);
    }
    // After a barrier and at the beginning of a block nobody has touched anything.
    void next_phase() { epoch_ += epoch_step; }

    std::optional<Conflict> access(std::uint64_t offset, std::uint64_t size, std::uint32_t warp, Access kind)
    {
        return size >= 4 ? access_words(offset, size, warp, kind) : access_bytes(offset, size, warp, kind);
    }

private:
    static constexpr std::uint64_t epoch_step = 64;
    static constexpr std::uint64_t several = 63; // more than one warp of at most 32
    using Mark = std::array<std::uint64_t, 3>;   // by kind of access: epoch and warp of the last one, 0 in the beginning
    static constexpr bool collide[3][3] = {{false, true, true}, {true, true, true}, {true, true, false}};

    std::optional<Conflict> check(Mark const& mark, std::uint64_t me, Access kind) const
    {
        for (unsigned other = 0; other < mark.size(); ++other)
        {
            if (mark[other] > epoch_ && mark[other] != me && collide[static_cast<unsigned>(kind)][other])
            {
                return Conflict{static_cast<Access>(other), static_cast<std::uint32_t>(mark[other] - epoch_ - 1),
                                mark[other] == epoch_ + several};
            }
        }
        return std::nullopt;
    }
    void leave(Mark& mark, std::uint64_t me, Access kind) const
    {
        std::uint64_t& last = mark[static_cast<unsigned>(kind)];
        last = last > epoch_ && last != me ? epoch_ + several : me;
    }
    std::optional<Conflict> access_words(std::uint64_t offset, std::uint64_t size, std::uint32_t warp, Access kind)
    {
        std::uint64_t const me = epoch_ + warp + 1;
        for (std::uint64_t word = offset / 4; word < (offset + size) / 4; ++word)
        {
            auto conflict = check(words_[word], me, kind);
            if (!conflict && bytes_used_)
            {
                conflict = check(summary_[word], me, kind);
            }
            if (conflict)
            {
                return conflict;
            }
            leave(words_[word], me, kind);
        }
        return std::nullopt;
    }
    std::optional<Conflict> access_bytes(std::uint64_t offset, std::uint64_t size, std::uint32_t warp, Access kind)
    {
        bytes_used_ = true;
        std::uint64_t const me = epoch_ + warp + 1;
        if (auto const conflict = check(words_[offset / 4], me, kind))
        {
            return conflict;
        }
        for (std::uint64_t byte = offset; byte < offset + size; ++byte)
        {
            if (auto const conflict = check(bytes_[byte], me, kind))
            {
                return conflict;
            }
            leave(bytes_[byte], me, kind);
        }
        leave(summary_[offset / 4], me, kind);
        return std::nullopt;
    }

    std::uint64_t epoch_ = epoch_step; // a multiple of epoch_step
    bool bytes_used_ = false;
    std::vector<Mark> words_;   // accesses of whole words
    std::vector<Mark> summary_; // accesses of parts of a word, by word
    std::vector<Mark> bytes_;   // the same, by byte
};

} // namespace emulator
