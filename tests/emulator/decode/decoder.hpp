#pragma once
// A function of a module -> a kernel that the interpreter can run. Calls are written out in place, so a kernel is one piece of code.

#include "decode/program.hpp"
#include "ptx/module.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace emulator
{

// The device address of a variable of global or constant memory.
using AddressOf = std::function<std::optional<std::uint64_t>(std::string_view)>;

// Throws ptx::PtxError for what the interpreter does not know.
std::unique_ptr<Kernel> decode(ptx::Module const& module, std::string const& name, AddressOf const& address_of);

// Later passes of decode().

// Moves of constants vanish: those who use their results use the constants.
void fold_constants(Kernel& kernel);
// Registers that are never alive together share a place, which keeps the register file in the CPU's cache. Afterwards operands are
// places instead of numbers.
void assign_registers(Kernel& kernel);
void find_straight_runs(Kernel& kernel);

// Calls use(register, is_written) for every register operand; use may change it.
template<class Use>
void for_each_register(Kernel& kernel, Instruction& instruction, Use&& use)
{
    for (std::uint32_t& source : instruction.source)
    {
        if (source != none)
        {
            use(source, false);
        }
    }
    if (instruction.vector_read || instruction.vector_written)
    {
        for (std::uint32_t& element : kernel.vectors[instruction.auxiliary])
        {
            if (element != none)
            {
                use(element, instruction.vector_written);
            }
        }
    }
    if (instruction.destination != none)
    {
        use(instruction.destination, true);
    }
}

} // namespace emulator
