#include "decode/mnemonic.hpp"

namespace emulator
{

Mnemonic::Mnemonic(std::string_view text)
{
    std::size_t end = text.find('.');
    opcode_ = text.substr(0, end);
    while (end != std::string_view::npos)
    {
        std::size_t const begin = end + 1;
        end = text.find('.', begin);
        std::string_view const part = text.substr(begin, end == std::string_view::npos ? end : end - begin);
        if (auto const type = ptx::type_named(part); type != ptx::Type::none)
        {
            types_.push_back(type);
        }
        else
        {
            modifiers_.push_back({part, false});
        }
    }
}

bool Mnemonic::has(std::string_view modifier)
{
    bool found = false;
    for (Modifier& m : modifiers_)
    {
        if (m.name == modifier)
        {
            m.known = true;
            found = true;
        }
    }
    return found;
}

void Mnemonic::ignore(std::initializer_list<std::string_view> modifiers)
{
    for (std::string_view const modifier : modifiers)
    {
        has(modifier);
    }
}

int Mnemonic::choose(std::initializer_list<std::string_view> modifiers, int otherwise)
{
    int chosen = otherwise;
    int position = 0;
    for (std::string_view const modifier : modifiers)
    {
        if (has(modifier) && chosen == otherwise)
        {
            chosen = position;
        }
        ++position;
    }
    return chosen;
}

std::uint8_t Mnemonic::rounding()
{
    int const mode = choose({"rn", "rz", "rm", "rp"}, -1);
    int const integer_mode = choose({"rni", "rzi", "rmi", "rpi"}, -1);
    return static_cast<std::uint8_t>(mode >= 0 ? mode : integer_mode >= 0 ? integer_mode : 0);
}

std::string_view Mnemonic::unknown() const
{
    for (Modifier const& m : modifiers_)
    {
        if (!m.known)
        {
            return m.name;
        }
    }
    return {};
}

} // namespace emulator
