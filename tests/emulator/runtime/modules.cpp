#include "runtime/modules.hpp"

#include <algorithm>
#include <cstring>

namespace emulator
{

namespace
{

// The container of nvcc: a header, then entries, each with a header of its own. Entries are PTX or machine code, maybe compressed.
constexpr std::uint32_t container_magic = 0xBA55ED50;
constexpr std::uint16_t kind_ptx = 1;

template<class T>
T read(std::byte const* at)
{
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
}

struct Wrapper // what __cudaRegisterFatBinary is given
{
    std::int32_t magic;
    std::int32_t version;
    std::byte const* data;
    void* unused;
};

} // namespace

ModuleText::ModuleText(void const* fat_binary)
{
    std::byte const* const data = static_cast<Wrapper const*>(fat_binary)->data;
    problem_ = "the program has no PTX: compile it for a virtual architecture only (-gencode arch=compute_80,code=compute_80)";
    if (read<std::uint32_t>(data) != container_magic)
    {
        problem_ = "unknown format of the fat binary";
        return;
    }
    std::byte const* entry = data + read<std::uint16_t>(data + 6);
    std::byte const* const end = entry + read<std::uint64_t>(data + 8);
    while (entry < end)
    {
        auto const header = read<std::uint32_t>(entry + 4);
        auto const size = read<std::uint64_t>(entry + 8);
        if (read<std::uint16_t>(entry) == kind_ptx)
        {
            std::string text(reinterpret_cast<char const*>(entry + header), size);
            std::size_t const begin = text.find(".version");
            if (begin == std::string::npos)
            {
                problem_ = "the PTX is compressed: compile with --no-compress";
            }
            else
            {
                text_ = text.substr(begin, text.find('\0', begin) - begin);
                problem_.clear();
            }
        }
        entry += header + size;
    }
    constexpr std::string_view word = ".target sm_";
    if (std::size_t const at = text_.find(word); at != std::string::npos)
    {
        target_ = std::atoi(text_.c_str() + at + word.size());
    }
}

ptx::Module const& ModuleText::parsed()
{
    if (!problem_.empty())
    {
        throw ptx::PtxError(0, problem_);
    }
    if (!module_)
    {
        module_ = std::make_unique<ptx::Module>(text_);
    }
    return *module_;
}

Image::Image(ptx::Module const& module, AddressSpace& memory) : module_(module)
{
    // In the order of their names, so that addresses are the same in every run.
    std::map<std::string, ptx::Variable const*> variables;
    for (auto const& [name, variable] : module.variables())
    {
        if (variable.space != ptx::Space::shared)
        {
            variables[name] = &variable;
        }
    }
    for (auto const& [name, variable] : variables)
    {
        addresses_[name] = memory.allocate(variable->bytes, MemoryKind::variable).begin;
    }
    for (auto const& [name, variable] : variables)
    {
        std::byte* const backing = memory.translate(addresses_[name], variable->bytes);
        for (ptx::InitialValue const& initial : variable->initial)
        {
            std::uint64_t bits = initial.bits;
            if (!initial.symbol.empty())
            {
                auto const target = addresses_.find(initial.symbol);
                if (target == addresses_.end())
                {
                    throw ptx::PtxError(0, name + " begins with the address of '" + initial.symbol + "', which is no variable");
                }
                bits += target->second;
            }
            if (initial.offset + initial.bytes <= variable->bytes)
            {
                std::memcpy(backing + initial.offset, &bits, initial.bytes);
            }
        }
    }
}

std::optional<std::uint64_t> Image::address_of(std::string_view variable) const
{
    auto const found = addresses_.find(variable);
    return found == addresses_.end() ? std::nullopt : std::optional(found->second);
}

std::uint64_t Image::bytes_of(std::string_view variable) const
{
    auto const found = module_.variables().find(std::string(variable));
    return found == module_.variables().end() ? 0 : found->second.bytes;
}

Kernel const& Image::kernel(std::string const& name)
{
    std::unique_ptr<Kernel>& known = kernels_[name];
    if (!known)
    {
        try
        {
            known = decode(module_, name, [this](std::string_view variable) { return address_of(variable); });
        }
        catch (ptx::PtxError& problem)
        {
            problem.kernel = name;
            throw;
        }
    }
    return *known;
}

} // namespace emulator
