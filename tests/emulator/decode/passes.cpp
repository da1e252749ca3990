#include "decode/decoder.hpp"

#include "execute/operations.hpp"

#include <algorithm>
#include <queue>

namespace emulator
{

namespace
{

// --- control flow -----------------------------------------------------------------------------------------------------------------

std::vector<std::uint32_t> successors(Kernel const& kernel, std::uint32_t at)
{
    Instruction const& i = kernel.code[at];
    std::vector<std::uint32_t> next;
    if (i.flow == Flow::branch)
    {
        next.push_back(i.auxiliary);
    }
    else if (i.flow == Flow::indexed_branch)
    {
        next = kernel.branch_tables[i.auxiliary];
    }
    bool const always_leaves = i.guard == none
                               && (i.flow == Flow::branch || i.flow == Flow::indexed_branch || i.flow == Flow::exit);
    if (!always_leaves && at + 1 < kernel.code.size())
    {
        next.push_back(at + 1);
    }
    return next;
}

std::vector<char> branch_targets(Kernel const& kernel)
{
    std::vector<char> is_target(kernel.code.size() + 1, 0);
    for (Instruction const& i : kernel.code)
    {
        if (i.flow == Flow::branch)
        {
            is_target[i.auxiliary] = 1;
        }
    }
    for (auto const& table : kernel.branch_tables)
    {
        for (std::uint32_t const target : table)
        {
            is_target[target] = 1;
        }
    }
    return is_target;
}

// --- folding ----------------------------------------------------------------------------------------------------------------------

bool is_move(Instruction const& i)
{
    return i.guard == none && i.flow == Flow::straight
           && (i.run.all == handlers::move.all || i.run.all == handlers::move_32.all || i.run.all == handlers::move_16.all);
}

// Where each instruction goes when the removed ones are gone; those that jump to a removed one go to the next that stays.
std::vector<std::uint32_t> places_after_removal(std::vector<char> const& removed)
{
    std::vector<std::uint32_t> place(removed.size());
    std::uint32_t next = 0;
    for (std::size_t k = 0; k < removed.size(); ++k)
    {
        place[k] = next;
        next += removed[k] != 0 ? 0U : 1U;
    }
    return place;
}

void remove_instructions(Kernel& kernel, std::vector<char> const& removed)
{
    std::vector<std::uint32_t> const place = places_after_removal(removed);
    std::vector<Instruction> code;
    std::vector<Origin> origin;
    std::vector<std::uint32_t> folded;
    for (std::size_t k = 0; k < kernel.code.size(); ++k)
    {
        if (removed[k] != 0)
        {
            folded.push_back(kernel.origin[k].mnemonic);
            continue;
        }
        Instruction i = kernel.code[k];
        if (i.flow == Flow::branch)
        {
            i.auxiliary = place[i.auxiliary];
        }
        code.push_back(i);
        origin.push_back(kernel.origin[k]);
        origin.back().folded = std::move(folded);
        folded.clear();
    }
    for (auto& table : kernel.branch_tables)
    {
        for (std::uint32_t& target : table)
        {
            target = place[target];
        }
    }
    kernel.code = std::move(code);
    kernel.origin = std::move(origin);
}

// --- liveness ---------------------------------------------------------------------------------------------------------------------

class BitSet
{
public:
    explicit BitSet(std::size_t size) : words_((size + 63) / 64) {}
    void set(std::uint32_t k) { words_[k / 64] |= std::uint64_t{1} << (k % 64); }
    void clear(std::uint32_t k) { words_[k / 64] &= ~(std::uint64_t{1} << (k % 64)); }
    bool has(std::uint32_t k) const { return (words_[k / 64] >> (k % 64) & 1) != 0; }
    // this |= a & ~without; whether that changed anything
    bool add(BitSet const& a, BitSet const* without)
    {
        bool changed = false;
        for (std::size_t w = 0; w < words_.size(); ++w)
        {
            std::uint64_t const more = (without == nullptr ? a.words_[w] : a.words_[w] & ~without->words_[w]) & ~words_[w];
            words_[w] |= more;
            changed = changed || more != 0;
        }
        return changed;
    }
    template<class Use>
    void for_each(Use&& use) const
    {
        for (std::size_t w = 0; w < words_.size(); ++w)
        {
            for (std::uint64_t bits = words_[w]; bits != 0; bits &= bits - 1)
            {
                use(static_cast<std::uint32_t>(64 * w) + static_cast<std::uint32_t>(std::countr_zero(bits)));
            }
        }
    }

private:
    std::vector<std::uint64_t> words_;
};

struct BasicBlock
{
    BasicBlock(std::uint32_t first, std::size_t registers)
        : begin(first)
        , used(registers)
        , defined(registers)
        , in(registers)
        , out(registers)
    {
    }
    std::uint32_t begin;
    std::uint32_t end = 0;
    BitSet used; // before they are defined here
    BitSet defined;
    BitSet in;
    BitSet out;
};

std::vector<BasicBlock> basic_blocks(Kernel& kernel)
{
    std::vector<char> leader = branch_targets(kernel);
    leader[0] = 1;
    for (std::size_t k = 0; k < kernel.code.size(); ++k)
    {
        if (kernel.code[k].flow != Flow::straight)
        {
            leader[k + 1] = 1;
        }
    }
    std::vector<BasicBlock> blocks;
    for (std::uint32_t k = 0; k < kernel.code.size(); ++k)
    {
        if (leader[k] != 0)
        {
            blocks.emplace_back(k, kernel.registers);
        }
        BasicBlock& block = blocks.back();
        block.end = k + 1;
        Instruction& i = kernel.code[k];
        for_each_register(kernel, i, [&](std::uint32_t const& number, bool written) {
            if (!written && !block.defined.has(number))
            {
                block.used.set(number);
            }
        });
        for_each_register(kernel, i, [&](std::uint32_t const& number, bool written) {
            if (written && i.guard == none)
            {
                block.defined.set(number);
            }
        });
    }
    return blocks;
}

void solve_liveness(Kernel const& kernel, std::vector<BasicBlock>& blocks)
{
    std::vector<std::uint32_t> block_of(kernel.code.size());
    for (std::uint32_t b = 0; b < blocks.size(); ++b)
    {
        std::fill(block_of.begin() + blocks[b].begin, block_of.begin() + blocks[b].end, b);
    }
    for (BasicBlock& block : blocks)
    {
        block.in.add(block.used, nullptr);
    }
    for (bool changed = true; changed;)
    {
        changed = false;
        for (auto block = blocks.rbegin(); block != blocks.rend(); ++block)
        {
            for (std::uint32_t const next : successors(kernel, block->end - 1))
            {
                block->out.add(blocks[block_of[next]].in, nullptr);
            }
            changed = block->in.add(block->out, &block->defined) || changed;
        }
    }
}

// From the first to the last moment at which a register matters. An instruction reads at 2k and writes at 2k + 1.
struct Interval
{
    std::uint32_t number = 0;
    std::uint64_t begin = ~std::uint64_t{0};
    std::uint64_t end = 0;
    void include(std::uint64_t moment)
    {
        begin = std::min(begin, moment);
        end = std::max(end, moment);
    }
};

std::vector<Interval> intervals(Kernel& kernel)
{
    std::vector<BasicBlock> blocks = basic_blocks(kernel);
    solve_liveness(kernel, blocks);
    std::vector<Interval> all(kernel.registers);
    for (std::uint32_t number = 0; number < kernel.registers; ++number)
    {
        all[number].number = number;
    }
    for (BasicBlock const& block : blocks)
    {
        block.in.for_each([&](std::uint32_t number) { all[number].include(2 * std::uint64_t{block.begin}); });
        block.out.for_each([&](std::uint32_t number) { all[number].include(2 * std::uint64_t{block.end}); });
        for (std::uint32_t k = block.begin; k < block.end; ++k)
        {
            for_each_register(kernel, kernel.code[k], [&](std::uint32_t const& number, bool written) {
                all[number].include(2 * std::uint64_t{k} + (written ? 1 : 0));
            });
        }
    }
    return all;
}

} // namespace

void fold_constants(Kernel& kernel)
{
    std::vector<std::uint32_t> definitions(kernel.registers, 0);
    std::vector<std::uint32_t> stands_for(kernel.registers, none);
    for (Instruction& i : kernel.code)
    {
        for_each_register(kernel, i, [&](std::uint32_t const& number, bool written) { definitions[number] += written ? 1U : 0U; });
    }
    for (auto const& [number, bits] : kernel.constants)
    {
        stands_for[number] = number;
    }
    for (auto const& [number, kind] : kernel.specials)
    {
        stands_for[number] = number;
    }
    // A register with one definition, a move of a constant, is that constant.
    std::vector<char> removed(kernel.code.size(), 0);
    for (std::size_t k = 0; k < kernel.code.size(); ++k)
    {
        Instruction const& i = kernel.code[k];
        if (is_move(i) && definitions[i.destination] == 1 && stands_for[i.source[0]] != none)
        {
            stands_for[i.destination] = stands_for[i.source[0]];
            removed[k] = 1;
        }
    }
    for (Instruction& i : kernel.code)
    {
        for_each_register(kernel, i, [&](std::uint32_t& number, bool written) {
            number = !written && stands_for[number] != none ? stands_for[number] : number;
        });
    }
    // A removed move is counted with the instruction after it, so nothing may jump in between.
    std::vector<char> const is_target = branch_targets(kernel);
    for (std::size_t k = kernel.code.size(); k-- > 0;)
    {
        removed[k] = removed[k] != 0 && is_target[k + 1] == 0 ? 1 : 0;
    }
    remove_instructions(kernel, removed);
}

void assign_registers(Kernel& kernel)
{
    std::vector<std::uint32_t> place(kernel.registers, none);
    std::uint32_t fixed = 0;
    for (auto const& [number, bits] : kernel.constants)
    {
        place[number] = fixed++;
    }
    for (auto const& [number, kind] : kernel.specials)
    {
        place[number] = fixed++;
    }
    std::vector<Interval> all = intervals(kernel);
    std::sort(all.begin(), all.end(), [](Interval const& a, Interval const& b) { return a.begin < b.begin; });
    using Ending = std::pair<std::uint64_t, std::uint32_t>; // when, place
    std::priority_queue<Ending, std::vector<Ending>, std::greater<>> busy;
    std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> free;
    std::uint32_t places = fixed;
    for (Interval const& interval : all)
    {
        if (place[interval.number] != none || interval.begin > interval.end)
        {
            continue; // a constant, or not used at all
        }
        for (; !busy.empty() && busy.top().first < interval.begin; busy.pop())
        {
            free.push(busy.top().second);
        }
        std::uint32_t chosen = places;
        if (free.empty())
        {
            ++places;
        }
        else
        {
            chosen = free.top();
            free.pop();
        }
        place[interval.number] = chosen;
        busy.emplace(interval.end, chosen);
    }
    for (Instruction& i : kernel.code)
    {
        for_each_register(kernel, i, [&](std::uint32_t& number, bool) { number = place[number] * warp_size; });
    }
    for (auto& [number, bits] : kernel.constants)
    {
        number = place[number] * warp_size;
    }
    for (auto& [number, kind] : kernel.specials)
    {
        number = place[number] * warp_size;
    }
    kernel.registers = std::max(places, 1U);
    kernel.registers_alive = places - fixed;
}

void find_straight_runs(Kernel& kernel)
{
    kernel.straight_end.resize(kernel.code.size());
    for (std::size_t k = kernel.code.size(); k-- > 0;)
    {
        Instruction const& i = kernel.code[k];
        bool const plain = i.flow == Flow::straight && i.guard == none;
        kernel.straight_end[k] = plain && k + 1 < kernel.code.size() ? kernel.straight_end[k + 1] : static_cast<std::uint32_t>(k);
    }
}

} // namespace emulator
