#pragma once
// PTX text -> module: functions, variables and, on demand, the statements of a function. Knows the grammar, not the meaning.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace emulator::ptx
{

// What is wrong with a piece of PTX, and in which line of the module.
struct PtxError : std::runtime_error
{
    PtxError(int at, std::string const& what) : std::runtime_error("PTX line " + std::to_string(at) + ": " + what), line(at) {}
    int line;
    std::string kernel; // the one that cannot be decoded for it, mangled
};

enum class Type : std::uint8_t
{
    none,
    pred,
    u8,
    s8,
    b8,
    u16,
    s16,
    b16,
    u32,
    s32,
    b32,
    f32,
    u64,
    s64,
    b64,
    f64
};

// The type named so ("f64"), or none.
Type type_named(std::string_view name);
unsigned size_of(Type type);
constexpr bool is_floating(Type type)
{
    return type == Type::f32 || type == Type::f64;
}
constexpr bool is_signed(Type type)
{
    return type == Type::s8 || type == Type::s16 || type == Type::s32 || type == Type::s64;
}

enum class Space : std::uint8_t
{
    generic,
    global,
    shared,
    local,
    parameter,
    constant
};

// One element of an initialiser, at its place in the variable; a symbol stands for its address plus `bits`.
struct InitialValue
{
    std::uint64_t offset = 0;
    unsigned bytes = 0;
    std::uint64_t bits = 0;
    std::string symbol;
};

struct Variable
{
    std::string name;
    Space space = Space::generic;
    std::uint64_t bytes = 0;
    std::uint64_t alignment = 1;
    bool open = false; // extern shared memory, sized by the launch
    std::vector<InitialValue> initial;
};

struct Operand
{
    enum class Kind : std::uint8_t
    {
        name,      // register, variable, label
        integer,   // bits
        floating,  // bits, of a float where `single_precision`
        address,   // [name + offset] or [bits + offset]
        tuple,     // {a, b} or (a, b)
        discarded, // _
    };
    Kind kind = Kind::name;
    std::string_view name;
    std::uint64_t bits = 0;
    std::int64_t offset = 0;
    bool single_precision = false;
    bool negated = false;          // !p
    std::string_view companion;    // q of p|q
    std::vector<Operand> elements; // of a tuple
};

struct Statement
{
    int line = 0;
    std::string_view guard; // of @guard or @!guard
    bool guard_negated = false;
    std::string_view mnemonic; // add.rn.f64
    std::vector<Operand> operands;
};

// What stands between the braces of a function, in its order.
struct Item
{
    enum class Kind : std::uint8_t
    {
        statement,
        label,
        registers,
        variable,
        branch_targets,
        open_scope,
        close_scope
    };
    Kind kind = Kind::statement;
    int line = 0;
    std::string_view name;               // label, register or prefix of registers, table of branch targets
    Type type = Type::none;              // of registers
    std::uint32_t count = 0;             // registers name0 ... name<count-1>; 0: the one called `name`
    Statement statement;                 // of a statement
    Variable variable;                   // of a variable
    std::vector<std::string_view> names; // branch targets
};

struct Function
{
    std::string name;
    bool is_kernel = false;
    std::vector<Variable> parameters;
    std::vector<Variable> results;
    std::uint32_t max_threads = 0; // of .maxntid or .reqntid; 0: not given
    std::string_view body;         // text between the braces; empty for a declaration
    int body_line = 0;
};

// Views point into the text, so a module stays where it was made.
class Module
{
public:
    explicit Module(std::string text);
    Module(Module const&) = delete;
    Module& operator=(Module const&) = delete;

    Function const* function(std::string_view name) const;
    std::unordered_map<std::string, Variable> const& variables() const { return variables_; }
    std::unordered_map<std::string, Function> const& functions() const { return functions_; }
    int target() const { return target_; } // 80 for .target sm_80

private:
    std::string text_;
    std::unordered_map<std::string, Function> functions_;
    std::unordered_map<std::string, Variable> variables_; // of module scope
    int target_ = 0;
};

std::vector<Item> parse_body(Function const& function);

} // namespace emulator::ptx
