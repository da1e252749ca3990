#pragma once
// The PTX that nvcc left in the program, and its instances on devices: variables with addresses, kernels decoded.

#include "decode/decoder.hpp"
#include "execute/address_space.hpp"
#include "ptx/module.hpp"

#include <map>
#include <memory>
#include <string>

namespace emulator
{

// One translation unit. Its text is parsed when it is first needed.
class ModuleText
{
public:
    // `fat_binary` is what nvcc registers; what is wrong with it is said when it is used.
    explicit ModuleText(void const* fat_binary);
    ptx::Module const& parsed();
    int target() const { return target_; }

private:
    std::string text_;
    std::string problem_;
    std::unique_ptr<ptx::Module> module_;
    int target_ = 0;
};

// A module on a device.
class Image
{
public:
    Image(ptx::Module const& module, AddressSpace& memory);
    std::optional<std::uint64_t> address_of(std::string_view variable) const;
    std::uint64_t bytes_of(std::string_view variable) const;
    Kernel const& kernel(std::string const& name);

private:
    ptx::Module const& module_;
    std::map<std::string, std::uint64_t, std::less<>> addresses_;
    std::map<std::string, std::unique_ptr<Kernel>> kernels_;
};

} // namespace emulator
