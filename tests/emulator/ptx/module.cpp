#include "ptx/module.hpp"

#include "ptx/lexer.hpp"

#include <array>
#include <bit>
#include <cctype>
#include <charconv>

namespace emulator::ptx
{

namespace
{

struct NamedType
{
    std::string_view name;
    unsigned bytes;
};
// In the order of Type.
constexpr std::array<NamedType, 16> types{{{"", 0},
                                           {"pred", 1},
                                           {"u8", 1},
                                           {"s8", 1},
                                           {"b8", 1},
                                           {"u16", 2},
                                           {"s16", 2},
                                           {"b16", 2},
                                           {"u32", 4},
                                           {"s32", 4},
                                           {"b32", 4},
                                           {"f32", 4},
                                           {"u64", 8},
                                           {"s64", 8},
                                           {"b64", 8},
                                           {"f64", 8}}};

[[noreturn]] void unexpected(Lexer const& lexer, std::string const& wanted)
{
    throw PtxError(lexer.line(), "expected " + wanted + " at '" + std::string(lexer.peek()) + "'");
}

bool is_digit(char c)
{
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// 0d3FF0000000000000 or 0f3F800000
bool is_exact_literal(std::string_view token)
{
    return token.size() > 2 && token[0] == '0' && std::string_view("dDfF").find(token[1]) != std::string_view::npos;
}

bool is_floating_literal(std::string_view token)
{
    return is_exact_literal(token) || (is_digit(token[0]) && token.find('.') != std::string_view::npos);
}

std::uint64_t floating_bits(std::string_view token, int line)
{
    if (!is_exact_literal(token))
    {
        double value = 0;
        std::from_chars(token.data(), token.data() + token.size(), value);
        return std::bit_cast<std::uint64_t>(value);
    }
    std::uint64_t bits = 0;
    auto const [end, error] = std::from_chars(token.data() + 2, token.data() + token.size(), bits, 16);
    if (error != std::errc{} || end != token.data() + token.size())
    {
        throw PtxError(line, "'" + std::string(token) + "' is not a floating-point constant");
    }
    return bits;
}

bool is_single_precision(std::string_view token)
{
    return token[1] == 'f' || token[1] == 'F';
}

// --- declarations -----------------------------------------------------------------------------------------------------------------

std::vector<InitialValue> parse_initialiser(Lexer& lexer, unsigned element_bytes)
{
    std::vector<InitialValue> values;
    std::uint64_t offset = 0;
    int depth = 0;
    do
    {
        if (lexer.accept("{"))
        {
            ++depth;
            continue;
        }
        if (lexer.accept("}"))
        {
            --depth;
            continue;
        }
        if (lexer.accept(","))
        {
            continue;
        }
        bool const generic = lexer.accept("generic");
        if (generic)
        {
            lexer.expect("(");
        }
        bool const negative = lexer.accept("-");
        int const line = lexer.line();
        std::string_view const token = lexer.next();
        InitialValue value{offset, element_bytes, 0, {}};
        if (is_floating_literal(token))
        {
            value.bits = floating_bits(token, line);
        }
        else if (is_digit(token[0]))
        {
            value.bits = integer(token, line);
            if (lexer.at("("))
            {
                throw PtxError(line, "masked addresses in an initialiser are not supported");
            }
        }
        else
        {
            value.symbol = std::string(token);
        }
        if (generic)
        {
            lexer.expect(")");
        }
        if (lexer.accept("+"))
        {
            value.bits = integer(lexer.next(), line);
        }
        value.bits = negative ? 0 - value.bits : value.bits;
        offset += element_bytes;
        values.push_back(std::move(value));
    } while (depth > 0 || lexer.at(","));
    return values;
}

// What follows the state space: [.align n] [.v2] .type name [extent]... [= initialiser]
Variable parse_variable(Lexer& lexer, Space space)
{
    Variable variable;
    variable.space = space;
    unsigned element_bytes = 0;
    unsigned vector = 1;
    variable.alignment = 0;
    while (lexer.peek().starts_with('.'))
    {
        int const line = lexer.line();
        std::string_view const word = lexer.next();
        if (word == ".align")
        {
            variable.alignment = integer(lexer.next(), line);
        }
        else if (word == ".v2" || word == ".v4")
        {
            vector = word == ".v2" ? 2 : 4;
        }
        else if (word == ".attribute")
        {
            lexer.skip_past(")");
        }
        else if (word != ".ptr" && word != ".global" && word != ".shared" && word != ".const" && word != ".local")
        {
            Type const type = type_named(word.substr(1));
            if (type == Type::none)
            {
                throw PtxError(line, "type " + std::string(word) + " is not supported");
            }
            element_bytes = size_of(type);
        }
    }
    variable.name = std::string(lexer.next());
    variable.bytes = std::uint64_t{element_bytes} * vector;
    variable.alignment = variable.alignment == 0 ? std::max<std::uint64_t>(variable.bytes, 1) : variable.alignment;
    while (lexer.accept("["))
    {
        if (lexer.accept("]"))
        {
            variable.open = true;
            variable.bytes = 0;
            continue;
        }
        int const line = lexer.line();
        variable.bytes *= integer(lexer.next(), line);
        lexer.expect("]");
    }
    if (lexer.accept("="))
    {
        variable.initial = parse_initialiser(lexer, element_bytes);
    }
    return variable;
}

std::vector<Variable> parse_parameters(Lexer& lexer)
{
    std::vector<Variable> parameters;
    lexer.expect("(");
    while (!lexer.accept(")"))
    {
        if (lexer.accept(","))
        {
            continue;
        }
        lexer.expect(".param");
        parameters.push_back(parse_variable(lexer, Space::parameter));
    }
    return parameters;
}

Function parse_function(Lexer& lexer, bool is_kernel)
{
    Function function;
    function.is_kernel = is_kernel;
    if (lexer.at("("))
    {
        function.results = parse_parameters(lexer);
    }
    function.name = std::string(lexer.next());
    if (lexer.at("("))
    {
        function.parameters = parse_parameters(lexer);
    }
    while (!lexer.at("{") && !lexer.at(";"))
    {
        int const line = lexer.line();
        std::string_view const word = lexer.next();
        if (word == ".maxntid" || word == ".reqntid")
        {
            std::uint64_t threads = integer(lexer.next(), line);
            while (lexer.accept(","))
            {
                threads *= integer(lexer.next(), line);
            }
            function.max_threads = static_cast<std::uint32_t>(threads);
        }
    }
    if (lexer.next() == "{")
    {
        function.body = lexer.block(function.body_line);
    }
    return function;
}

// --- statements -------------------------------------------------------------------------------------------------------------------

Operand parse_operand(Lexer& lexer);

Operand parse_tuple(Lexer& lexer, std::string_view close)
{
    Operand tuple;
    tuple.kind = Operand::Kind::tuple;
    while (!lexer.accept(close))
    {
        if (!lexer.accept(","))
        {
            tuple.elements.push_back(parse_operand(lexer));
        }
    }
    return tuple;
}

Operand parse_address(Lexer& lexer)
{
    Operand address = parse_operand(lexer);
    if (address.kind == Operand::Kind::floating || address.kind == Operand::Kind::tuple)
    {
        unexpected(lexer, "an address");
    }
    address.kind = Operand::Kind::address;
    while (lexer.accept(",")) // coordinates of a texture
    {
        address.elements.push_back(parse_operand(lexer));
    }
    lexer.expect("]");
    return address;
}

Operand parse_operand(Lexer& lexer)
{
    Operand operand;
    int const line = lexer.line();
    if (lexer.accept("{"))
    {
        return parse_tuple(lexer, "}");
    }
    if (lexer.accept("("))
    {
        return parse_tuple(lexer, ")");
    }
    if (lexer.accept("["))
    {
        return parse_address(lexer);
    }
    if (lexer.accept("_"))
    {
        operand.kind = Operand::Kind::discarded;
    }
    else
    {
        operand.negated = lexer.accept("!");
        bool const minus = lexer.accept("-");
        std::string_view const token = lexer.next();
        if (is_floating_literal(token))
        {
            operand.kind = Operand::Kind::floating;
            operand.bits = floating_bits(token, line);
            operand.single_precision = is_single_precision(token);
        }
        else if (is_digit(token[0]))
        {
            operand.kind = Operand::Kind::integer;
            operand.bits = integer(token, line);
            operand.bits = minus ? 0 - operand.bits : operand.bits;
        }
        else
        {
            operand.name = token;
        }
    }
    while (lexer.at("+") || lexer.at("-"))
    {
        bool minus = lexer.next() == "-";
        minus = lexer.accept("-") ? !minus : minus;
        auto const distance = static_cast<std::int64_t>(integer(lexer.next(), line));
        operand.offset += minus ? -distance : distance;
    }
    if (lexer.accept("|"))
    {
        operand.companion = lexer.next();
    }
    return operand;
}

Statement parse_statement(Lexer& lexer)
{
    Statement statement;
    statement.line = lexer.line();
    if (lexer.accept("@"))
    {
        statement.guard_negated = lexer.accept("!");
        statement.guard = lexer.next();
    }
    statement.mnemonic = lexer.next();
    while (!lexer.accept(";"))
    {
        if (!lexer.accept(","))
        {
            statement.operands.push_back(parse_operand(lexer));
        }
    }
    return statement;
}

void parse_registers(Lexer& lexer, std::vector<Item>& items)
{
    Item item;
    item.kind = Item::Kind::registers;
    item.line = lexer.line();
    std::string_view const type = lexer.next();
    item.type = type_named(type.substr(1));
    if (item.type == Type::none)
    {
        throw PtxError(item.line, "registers of type " + std::string(type) + " are not supported");
    }
    do
    {
        item.name = lexer.next();
        item.count = 0;
        if (lexer.accept("<"))
        {
            item.count = static_cast<std::uint32_t>(integer(lexer.next(), item.line));
            lexer.expect(">");
        }
        items.push_back(item);
    } while (lexer.accept(","));
    lexer.expect(";");
}

// After "name:": a label, or the table of an indexed branch.
void parse_label(Lexer& lexer, std::string_view name, int line, std::vector<Item>& items)
{
    Item item;
    item.line = line;
    item.name = name;
    item.kind = Item::Kind::label;
    if (lexer.accept(".branchtargets"))
    {
        item.kind = Item::Kind::branch_targets;
        while (!lexer.accept(";"))
        {
            if (!lexer.accept(","))
            {
                item.names.push_back(lexer.next());
            }
        }
    }
    else if (lexer.at(".callprototype") || lexer.at(".calltargets"))
    {
        lexer.skip_past(";");
        return;
    }
    items.push_back(std::move(item));
}

} // namespace

Type type_named(std::string_view name)
{
    for (std::size_t i = 1; i < types.size(); ++i)
    {
        if (types[i].name == name)
        {
            return static_cast<Type>(i);
        }
    }
    return Type::none;
}

unsigned size_of(Type type)
{
    return types[static_cast<std::size_t>(type)].bytes;
}

Module::Module(std::string text) : text_(std::move(text))
{
    Lexer lexer(text_, 1);
    while (!lexer.at_end())
    {
        std::string_view const word = lexer.peek();
        if (word == ".target")
        {
            lexer.next();
            std::string_view const target = lexer.peek();
            if (!target.starts_with("sm_"))
            {
                unexpected(lexer, "sm_<number>");
            }
            std::string_view digits = target.substr(3);
            digits = digits.substr(0, digits.find_first_not_of("0123456789"));
            target_ = static_cast<int>(integer(digits, lexer.line()));
            lexer.skip_line();
        }
        else if (word == ".version" || word == ".address_size" || word == ".file" || word == ".loc")
        {
            lexer.skip_line();
        }
        else if (word == ".section")
        {
            int line = 0;
            lexer.skip_past("{");
            lexer.block(line);
        }
        else if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".common")
        {
            lexer.next();
        }
        else if (word == ".alias" || word == ".pragma")
        {
            lexer.skip_past(";");
        }
        else if (word == ".entry" || word == ".func")
        {
            lexer.next();
            Function function = parse_function(lexer, word == ".entry");
            Function& known = functions_[function.name];
            if (known.body.empty())
            {
                known = std::move(function);
            }
        }
        else if (word == ".global" || word == ".const" || word == ".shared")
        {
            lexer.next();
            Space const space = word == ".global" ? Space::global : word == ".const" ? Space::constant : Space::shared;
            Variable variable = parse_variable(lexer, space);
            lexer.expect(";");
            std::string const name = variable.name;
            variables_.insert_or_assign(name, std::move(variable));
        }
        else
        {
            unexpected(lexer, "a function or a variable");
        }
    }
}

Function const* Module::function(std::string_view name) const
{
    auto const found = functions_.find(std::string(name));
    return found == functions_.end() ? nullptr : &found->second;
}

std::vector<Item> parse_body(Function const& function)
{
    std::vector<Item> items;
    Lexer lexer(function.body, function.body_line);
    auto const simple = [&](Item::Kind kind) {
        Item item;
        item.kind = kind;
        item.line = lexer.line();
        lexer.next();
        items.push_back(std::move(item));
    };
    while (!lexer.at_end())
    {
        std::string_view const word = lexer.peek();
        int const line = lexer.line();
        if (word == "{" || word == "}")
        {
            simple(word == "{" ? Item::Kind::open_scope : Item::Kind::close_scope);
        }
        else if (word == ";")
        {
            lexer.next();
        }
        else if (word == ".loc" || word == ".file")
        {
            lexer.skip_line();
        }
        else if (word == ".pragma")
        {
            lexer.skip_past(";");
        }
        else if (word == ".reg")
        {
            lexer.next();
            parse_registers(lexer, items);
        }
        else if (word == ".shared" || word == ".local" || word == ".param")
        {
            lexer.next();
            Item item;
            item.kind = Item::Kind::variable;
            item.line = line;
            item.variable = parse_variable(lexer, word == ".shared" ? Space::shared : Space::local);
            lexer.expect(";");
            items.push_back(std::move(item));
        }
        else if (word == "@")
        {
            Item item;
            item.line = line;
            item.statement = parse_statement(lexer);
            items.push_back(std::move(item));
        }
        else
        {
            // A label or a mnemonic: only the next token tells.
            Lexer ahead = lexer;
            ahead.next();
            if (ahead.at(":"))
            {
                lexer.next();
                lexer.next();
                parse_label(lexer, word, line, items);
                continue;
            }
            Item item;
            item.line = line;
            item.statement = parse_statement(lexer);
            items.push_back(std::move(item));
        }
    }
    return items;
}

} // namespace emulator::ptx
