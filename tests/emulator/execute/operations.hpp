#pragma once
// Finds the handlers of an instruction, by what its mnemonic says. Each returns no handlers where the combination does not exist.

#include "decode/mnemonic.hpp"
#include "decode/program.hpp"

#include <optional>

namespace emulator
{

struct Operation
{
    Handlers run;
    unsigned sources = 0;
};

// add, mul, fma, shl, ... : registers in, one register out.
std::optional<Operation> arithmetic(Mnemonic& mnemonic);
// The same with the carry flag: add.cc, addc, madc, ...
std::optional<Operation> carry_arithmetic(Mnemonic& mnemonic, Instruction& instruction);
// Rounding other than to nearest.
std::optional<Operation> rounded_arithmetic(std::string_view opcode, ptx::Type type);

Handlers conversion(ptx::Type to, ptx::Type from, std::uint8_t rounding, bool to_integral_value, bool saturate);
// A comparison by number as in setp's list of names, on values of this type.
Handlers comparison(std::uint8_t operation, ptx::Type type);
std::optional<std::uint8_t> comparison_named(Mnemonic& mnemonic, ptx::Type type);

namespace handlers
{
extern Handlers const move, move_32, move_16;
extern Handlers const pack, unpack;
extern Handlers const select;
extern Handlers const predicate_to_register;
extern Handlers const logic_3;
extern Handlers const test_property;
extern Handlers const bit_field_insert_32, bit_field_insert_64;
extern Handlers const clock;
extern Handlers const predicate_and, predicate_or, predicate_xor, predicate_not, predicate_move;
extern Handlers const to_generic, from_generic, is_space;
extern Handlers const load, store;
extern Handlers const shuffle, vote, match, reduce, active_mask;
extern Handlers const nothing, trap, device_assert, device_printf;
Handlers atomic(ptx::Type type);
} // namespace handlers

} // namespace emulator
