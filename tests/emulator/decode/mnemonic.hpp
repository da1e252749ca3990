#pragma once
// "add.rn.f64" taken apart. Every modifier has to be asked for: one that nobody knew is an error, never ignored.

#include "ptx/module.hpp"

#include <initializer_list>
#include <string_view>
#include <vector>

namespace emulator
{

class Mnemonic
{
public:
    explicit Mnemonic(std::string_view text);

    std::string_view opcode() const { return opcode_; }
    ptx::Type type() const { return types_.empty() ? ptx::Type::none : types_.back(); }
    ptx::Type first_type() const { return types_.empty() ? ptx::Type::none : types_.front(); }
    std::size_t type_count() const { return types_.size(); }
    bool has(std::string_view modifier);
    // Modifiers without influence here: cache hints, memory orders that the interpreter exceeds, hints of uniformity.
    void ignore(std::initializer_list<std::string_view> modifiers);
    // The position of the first of these that is there, or `otherwise`.
    int choose(std::initializer_list<std::string_view> modifiers, int otherwise);
    // 0 nearest, 1 to zero, 2 down, 3 up; of the plain or of the integer kind
    std::uint8_t rounding();
    // The first modifier that was not asked for, empty if there is none.
    std::string_view unknown() const;

private:
    struct Modifier
    {
        std::string_view name;
        bool known = false;
    };
    std::string_view opcode_;
    std::vector<Modifier> modifiers_;
    std::vector<ptx::Type> types_;
};

} // namespace emulator
