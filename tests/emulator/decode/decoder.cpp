#include "decode/decoder.hpp"

#include "decode/mnemonic.hpp"
#include "execute/address_space.hpp"
#include "execute/operations.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace emulator
{

namespace
{

using ptx::Operand;
using ptx::PtxError;
using ptx::Space;
using ptx::Statement;
using ptx::Type;

constexpr int deepest_call = 24;

struct Symbol
{
    enum class Kind : std::uint8_t
    {
        register_,
        predicate,
        shared,
        local,
        parameter
    };
    Kind kind = Kind::register_;
    Type type = Type::none;
    std::uint64_t place = 0; // number of a register or predicate, offset of a variable
};

// Names of one pair of braces.
struct Scope
{
    struct Range // %r<20>: %r0 ... %r19
    {
        std::string_view prefix;
        std::uint32_t count = 0;
        Symbol first;
    };
    std::unordered_map<std::string_view, Symbol> names;
    std::vector<Range> ranges;
};

// One function while it is written out: its names, and the jumps that wait for their labels.
struct Frame
{
    std::vector<Scope> scopes;
    std::unordered_map<std::string_view, std::uint32_t> labels;
    std::unordered_map<std::string_view, std::vector<std::string_view>> tables;
    struct Jump
    {
        std::uint32_t instruction;
        std::string_view to; // label, or table of an indexed branch
        int line;
    };
    std::vector<Jump> branches;
    std::vector<Jump> indexed_branches;
    std::vector<std::uint32_t> returns;
};

std::optional<Special> special_named(std::string_view name)
{
    static std::unordered_map<std::string_view, Special> const specials{
        {"%tid.x", Special::tid_x},
        {"%tid.y", Special::tid_y},
        {"%tid.z", Special::tid_z},
        {"%ntid.x", Special::ntid_x},
        {"%ntid.y", Special::ntid_y},
        {"%ntid.z", Special::ntid_z},
        {"%ctaid.x", Special::ctaid_x},
        {"%ctaid.y", Special::ctaid_y},
        {"%ctaid.z", Special::ctaid_z},
        {"%nctaid.x", Special::nctaid_x},
        {"%nctaid.y", Special::nctaid_y},
        {"%nctaid.z", Special::nctaid_z},
        {"%laneid", Special::laneid},
        {"%warpid", Special::warpid},
        {"%lanemask_lt", Special::lanemask_lt},
        {"%lanemask_le", Special::lanemask_le},
        {"%lanemask_gt", Special::lanemask_gt},
        {"%lanemask_ge", Special::lanemask_ge},
        {"%lanemask_eq", Special::lanemask_eq},
        {"%nwarpid", Special::nwarpid},
        {"%dynamic_smem_size", Special::dynamic_smem_size},
        {"%total_smem_size", Special::total_smem_size},
        {"%smid", Special::zero},
        {"%gridid", Special::zero},
        {"%nsmid", Special::one},
        {"%clock", Special::clock},
        {"%clock64", Special::clock},
        {"%globaltimer", Special::clock},
    };
    auto const found = specials.find(name);
    return found == specials.end() ? std::nullopt : std::optional(found->second);
}

std::uint64_t aligned(std::uint64_t offset, std::uint64_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

std::uint64_t cut(std::uint64_t bits, Type type)
{
    unsigned const bytes = size_of(type);
    return bytes == 0 || bytes == 8 ? bits : bits & ((std::uint64_t{1} << (8 * bytes)) - 1);
}

class Decoder
{
public:
    Decoder(ptx::Module const& module, AddressOf const& address_of, Kernel& kernel)
        : module_(module)
        , address_of_(address_of)
        , kernel_(kernel)
    {
    }

    void kernel(ptx::Function const& function);

private:
    // --- statements, by what they do
    void statement(Statement const& statement);
    bool decode_operation(Mnemonic& mnemonic);
    bool decode_move(Mnemonic& mnemonic);
    bool decode_memory(Mnemonic& mnemonic);
    bool decode_comparison(Mnemonic& mnemonic);
    bool decode_conversion(Mnemonic& mnemonic);
    bool decode_predicate_logic(Mnemonic& mnemonic);
    bool decode_special_arithmetic(Mnemonic& mnemonic);
    bool decode_atomic(Mnemonic& mnemonic);
    bool decode_flow(Mnemonic& mnemonic);
    bool decode_barrier(Mnemonic& mnemonic);
    bool decode_warp_wide(Mnemonic& mnemonic);
    bool decode_call(Mnemonic& mnemonic);
    bool decode_ignored(Mnemonic& mnemonic);
    void body(ptx::Function const& function, Scope names, int line);
    void resolve_jumps(Frame& frame);
    void declare(ptx::Item const& item, Scope& scope);

    // --- operands of the statement at hand
    Operand const& operand(std::size_t k) const;
    std::uint32_t value(Operand const& operand, Type type);
    std::uint32_t source(std::size_t k, Type type) { return value(operand(k), type); }
    std::uint32_t destination(Operand const& operand);
    std::uint32_t predicate(std::string_view name);
    void predicate_source(Operand const& operand);
    void sources(std::size_t first, unsigned count, Type type);
    void address(Operand const& operand);
    void vector(Operand const& operand, Type type, bool written);
    Space space(Mnemonic& mnemonic) const;
    std::optional<Symbol> find(std::string_view name) const;
    Symbol slot(Operand const& operand) const;

    // --- registers and memory
    std::uint32_t new_register() { return kernel_.registers++; }
    std::uint32_t constant(std::uint64_t bits);
    std::uint32_t special(Special special);
    std::uint64_t constant_of(std::uint32_t number) const;
    std::uint64_t place_shared(ptx::Variable const& variable);
    std::uint64_t place_local(std::uint64_t bytes, std::uint64_t alignment);
    std::uint32_t mnemonic_number(std::string_view mnemonic);

    [[noreturn]] void fail(std::string const& what) const { throw PtxError(line_, what); }

    ptx::Module const& module_;
    AddressOf const& address_of_;
    Kernel& kernel_;
    std::unordered_map<std::uint64_t, std::uint32_t> constants_;
    std::unordered_map<std::uint32_t, std::uint64_t> constant_bits_;
    std::unordered_map<Special, std::uint32_t> specials_;
    std::unordered_map<std::string_view, std::uint32_t> mnemonics_;
    std::unordered_map<std::string_view, std::uint64_t> shared_variables_; // of module scope
    std::unordered_map<ptx::Function const*, std::vector<ptx::Item>> bodies_;
    std::vector<std::uint32_t> dynamic_shared_; // constants that are to hold where dynamic shared memory begins
    std::uint32_t carry_ = none;
    int depth_ = 0;

    Frame* frame_ = nullptr;
    Statement const* statement_ = nullptr;
    Instruction now_;
    int line_ = 0;
};

// --- operands ---------------------------------------------------------------------------------------------------------------------

Operand const& Decoder::operand(std::size_t k) const
{
    if (k >= statement_->operands.size())
    {
        fail("operand " + std::to_string(k + 1) + " of " + std::string(statement_->mnemonic) + " is missing");
    }
    return statement_->operands[k];
}

std::optional<Symbol> Decoder::find(std::string_view name) const
{
    std::size_t const digits = name.find_last_not_of("0123456789") + 1;
    std::uint32_t index = 0;
    bool const numbered = digits < name.size()
                          && std::from_chars(name.data() + digits, name.data() + name.size(), index).ec == std::errc{};
    for (auto scope = frame_->scopes.rbegin(); scope != frame_->scopes.rend(); ++scope)
    {
        if (auto const named = scope->names.find(name); named != scope->names.end())
        {
            return named->second;
        }
        for (Scope::Range const& range : scope->ranges)
        {
            if (numbered && range.prefix == name.substr(0, digits) && index < range.count)
            {
                Symbol found = range.first;
                found.place += index;
                return found;
            }
        }
    }
    return std::nullopt;
}

std::uint32_t Decoder::constant(std::uint64_t bits)
{
    auto const [at, fresh] = constants_.try_emplace(bits, 0);
    if (fresh)
    {
        at->second = new_register();
        constant_bits_[at->second] = bits;
        kernel_.constants.emplace_back(at->second, bits);
    }
    return at->second;
}

std::uint64_t Decoder::constant_of(std::uint32_t number) const
{
    auto const found = constant_bits_.find(number);
    if (found == constant_bits_.end())
    {
        fail("a constant operand is expected");
    }
    return found->second;
}

std::uint32_t Decoder::special(Special special)
{
    auto const [at, fresh] = specials_.try_emplace(special, 0);
    if (fresh)
    {
        at->second = new_register();
        kernel_.specials.emplace_back(at->second, special);
    }
    return at->second;
}

std::uint64_t Decoder::place_shared(ptx::Variable const& variable)
{
    std::uint64_t const offset = aligned(kernel_.static_shared_bytes, variable.alignment);
    kernel_.static_shared_bytes = offset + variable.bytes;
    return offset;
}

std::uint64_t Decoder::place_local(std::uint64_t bytes, std::uint64_t alignment)
{
    std::uint64_t const offset = aligned(kernel_.local_bytes, alignment);
    kernel_.local_bytes = offset + bytes;
    return offset;
}

// A register that holds the operand: a register itself, a constant, a special register or the address of a variable.
std::uint32_t Decoder::value(Operand const& operand, Type type)
{
    if (operand.kind == Operand::Kind::integer)
    {
        return constant(cut(operand.bits + static_cast<std::uint64_t>(operand.offset), type));
    }
    if (operand.kind == Operand::Kind::floating)
    {
        bool const widen = operand.single_precision && type == Type::f64;
        bool const narrow = !operand.single_precision && type == Type::f32;
        auto const as_float = std::bit_cast<float>(static_cast<std::uint32_t>(operand.bits));
        auto const as_double = std::bit_cast<double>(operand.bits);
        return constant(widen    ? std::bit_cast<std::uint64_t>(static_cast<double>(as_float))
                        : narrow ? std::bit_cast<std::uint32_t>(static_cast<float>(as_double))
                                 : operand.bits);
    }
    if (operand.kind != Operand::Kind::name && operand.kind != Operand::Kind::address)
    {
        fail("a register or a constant is expected");
    }
    auto const offset = operand.kind == Operand::Kind::name ? static_cast<std::uint64_t>(operand.offset) : 0;
    if (operand.name.empty())
    {
        return constant(operand.bits); // an address without a register
    }
    if (auto const symbol = find(operand.name))
    {
        switch (symbol->kind)
        {
        case Symbol::Kind::register_:
            return static_cast<std::uint32_t>(symbol->place);
        case Symbol::Kind::predicate:
            fail("predicate " + std::string(operand.name) + " in the place of a value");
        case Symbol::Kind::parameter:
            return constant(window::parameter + symbol->place + offset);
        default:
            return constant(symbol->place + offset);
        }
    }
    if (auto const kind = special_named(operand.name))
    {
        if (*kind == Special::clock)
        {
            fail("a clock can only be moved to a register");
        }
        return special(*kind);
    }
    if (operand.name == "WARP_SZ")
    {
        return constant(warp_size);
    }
    if (auto const known = module_.variables().find(std::string(operand.name)); known != module_.variables().end())
    {
        ptx::Variable const& variable = known->second;
        if (variable.space != Space::shared)
        {
            return constant(address_of_(variable.name).value() + offset);
        }
        if (variable.open)
        {
            // Dynamic shared memory begins behind the static one, whose size is not known yet. All such variables are one.
            std::uint32_t const number = new_register();
            kernel_.constants.emplace_back(number, offset);
            dynamic_shared_.push_back(number);
            return number;
        }
        auto const [at, fresh] = shared_variables_.try_emplace(variable.name, 0);
        if (fresh)
        {
            at->second = place_shared(variable);
        }
        return constant(at->second + offset);
    }
    fail("unknown operand '" + std::string(operand.name) + "'");
}

std::uint32_t Decoder::destination(Operand const& operand)
{
    if (operand.kind == Operand::Kind::discarded)
    {
        return new_register();
    }
    auto const symbol = operand.kind == Operand::Kind::name ? find(operand.name) : std::nullopt;
    if (!symbol || symbol->kind != Symbol::Kind::register_)
    {
        fail("a register is expected as the first operand");
    }
    now_.register_bytes = static_cast<std::uint8_t>(size_of(symbol->type));
    return static_cast<std::uint32_t>(symbol->place);
}

std::uint32_t Decoder::predicate(std::string_view name)
{
    auto const symbol = find(name);
    if (!symbol || symbol->kind != Symbol::Kind::predicate)
    {
        fail("'" + std::string(name) + "' is not a predicate");
    }
    return static_cast<std::uint32_t>(symbol->place);
}

void Decoder::predicate_source(Operand const& operand)
{
    now_.source_negated = operand.negated;
    if (operand.kind == Operand::Kind::integer)
    {
        // A constant: a fresh predicate is false.
        now_.source_predicate = kernel_.predicates++;
        now_.source_negated = operand.bits != 0;
        return;
    }
    now_.source_predicate = predicate(operand.name);
}

void Decoder::sources(std::size_t first, unsigned count, Type type)
{
    for (unsigned k = 0; k < count; ++k)
    {
        now_.source[k] = source(first + k, type);
    }
}

void Decoder::address(Operand const& operand)
{
    if (operand.kind != Operand::Kind::address)
    {
        fail("an address is expected");
    }
    auto const symbol = operand.name.empty() ? std::nullopt : find(operand.name);
    if (symbol && symbol->kind == Symbol::Kind::local && now_.space == Space::parameter)
    {
        now_.space = Space::local; // arguments of calls lie in local memory
    }
    now_.source[0] = value(operand, Type::u64);
    now_.offset = operand.offset;
}

void Decoder::vector(Operand const& operand, Type type, bool written)
{
    if (operand.kind != Operand::Kind::tuple)
    {
        now_.count = 1;
        if (!written)
        {
            now_.source[1] = value(operand, type);
        }
        else if (operand.kind != Operand::Kind::discarded)
        {
            now_.destination = destination(operand);
        }
        return;
    }
    std::array<std::uint32_t, 4> elements{none, none, none, none};
    if (operand.elements.empty() || operand.elements.size() > elements.size())
    {
        fail("a vector of more than 4 elements");
    }
    for (std::size_t k = 0; k < operand.elements.size(); ++k)
    {
        Operand const& element = operand.elements[k];
        if (element.kind != Operand::Kind::discarded)
        {
            elements[k] = written ? destination(element) : value(element, type);
        }
    }
    now_.count = static_cast<std::uint8_t>(operand.elements.size());
    now_.vector_written = written;
    now_.vector_read = !written;
    now_.auxiliary = static_cast<std::uint32_t>(kernel_.vectors.size());
    kernel_.vectors.push_back(elements);
    if (now_.count == 1)
    {
        fail("a vector of one element");
    }
}

Space Decoder::space(Mnemonic& mnemonic) const
{
    switch (mnemonic.choose({"global", "shared", "shared::cta", "local", "param", "param::entry", "param::func", "const"}, -1))
    {
    case 0:
        return Space::global;
    case 1:
    case 2:
        return Space::shared;
    case 3:
        return Space::local;
    case 4:
    case 5:
    case 6:
        return Space::parameter;
    case 7:
        return Space::constant;
    default:
        return Space::generic;
    }
}

// --- groups of statements: each returns whether the opcode is one of its own ------------------------------------------------------

bool Decoder::decode_move(Mnemonic& mnemonic)
{
    if (mnemonic.opcode() != "mov")
    {
        return false;
    }
    Type const type = mnemonic.type();
    now_.type = type;
    if (type == Type::pred)
    {
        now_.predicate = predicate(operand(0).name);
        predicate_source(operand(1));
        now_.auxiliary = none;
        now_.run = handlers::predicate_move;
    }
    else if (operand(0).kind == Operand::Kind::tuple)
    {
        vector(operand(0), type, true);
        now_.source[0] = source(1, type);
        now_.run = handlers::unpack;
    }
    else if (operand(1).kind == Operand::Kind::tuple)
    {
        vector(operand(1), type, false);
        now_.destination = destination(operand(0));
        now_.run = handlers::pack;
    }
    else
    {
        now_.destination = destination(operand(0));
        if (operand(1).kind == Operand::Kind::name && special_named(operand(1).name) == Special::clock)
        {
            now_.run = handlers::clock;
            return true;
        }
        now_.source[0] = source(1, type);
        now_.run = size_of(type) == 8 ? handlers::move : size_of(type) == 4 ? handlers::move_32 : handlers::move_16;
    }
    return true;
}

bool Decoder::decode_memory(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    if (op == "cvta" || op == "isspacep")
    {
        now_.space = space(mnemonic);
        if (op == "isspacep")
        {
            now_.predicate = predicate(operand(0).name);
            now_.run = handlers::is_space;
        }
        else
        {
            now_.destination = destination(operand(0));
            now_.run = mnemonic.has("to") ? handlers::from_generic : handlers::to_generic;
            bool const same = now_.space != Space::shared && now_.space != Space::local;
            now_.run = same ? handlers::move : now_.run;
        }
        now_.source[0] = source(1, Type::u64);
        return true;
    }
    if (op != "ld" && op != "ldu" && op != "st")
    {
        return false;
    }
    mnemonic.ignore({"ca",
                     "cg",
                     "cs",
                     "lu",
                     "cv",
                     "wb",
                     "wt",
                     "nc",
                     "volatile",
                     "weak",
                     "gpu",
                     "sys",
                     "cta",
                     "L1::evict_last",
                     "L1::evict_first",
                     "L1::no_allocate",
                     "L1::evict_normal",
                     "L1::evict_unchanged",
                     "L2::64B",
                     "L2::128B",
                     "L2::256B",
                     "L2::cache_hint",
                     "v2",
                     "v4"});
    now_.unordered = mnemonic.choose({"relaxed", "acquire", "release", "mmio"}, -1) >= 0;
    now_.space = space(mnemonic);
    now_.type = mnemonic.type();
    bool const loads = op != "st";
    address(operand(loads ? 1 : 0));
    vector(operand(loads ? 0 : 1), now_.type, loads);
    now_.run = loads ? handlers::load : handlers::store;
    return true;
}

bool Decoder::decode_comparison(Mnemonic& mnemonic)
{
    if (mnemonic.opcode() != "setp")
    {
        return false;
    }
    now_.type = mnemonic.type();
    now_.variant = static_cast<std::uint8_t>(mnemonic.choose({"and", "or", "xor"}, -1) + 1);
    auto const relation = comparison_named(mnemonic, now_.type);
    if (!relation)
    {
        fail("unknown comparison " + std::string(statement_->mnemonic));
    }
    if (operand(0).kind != Operand::Kind::discarded)
    {
        now_.predicate = predicate(operand(0).name);
    }
    if (!operand(0).companion.empty() && operand(0).companion != "_")
    {
        now_.second_predicate = predicate(operand(0).companion);
    }
    sources(1, 2, now_.type);
    if (now_.variant != 0)
    {
        predicate_source(operand(3));
    }
    now_.run = comparison(*relation, now_.type);
    return true;
}

bool Decoder::decode_conversion(Mnemonic& mnemonic)
{
    if (mnemonic.opcode() != "cvt")
    {
        return false;
    }
    if (mnemonic.type_count() != 2)
    {
        fail(std::string(statement_->mnemonic) + " is not supported");
    }
    now_.type = mnemonic.first_type();
    now_.source_type = mnemonic.type();
    bool const to_integral_value = mnemonic.choose({"rni", "rzi", "rmi", "rpi"}, -1) >= 0;
    now_.variant = to_integral_value ? 1 : 0;
    now_.rounding = mnemonic.rounding();
    now_.saturate = mnemonic.has("sat");
    now_.destination = destination(operand(0));
    now_.source[0] = source(1, now_.source_type);
    now_.run = conversion(now_.type, now_.source_type, now_.rounding, to_integral_value, now_.saturate);
    return true;
}

bool Decoder::decode_predicate_logic(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    if (mnemonic.type() != Type::pred || (op != "and" && op != "or" && op != "xor" && op != "not"))
    {
        return false;
    }
    now_.predicate = predicate(operand(0).name);
    predicate_source(operand(1));
    now_.auxiliary = op == "not" ? none : predicate(operand(2).name);
    now_.run = op == "and"   ? handlers::predicate_and
               : op == "or"  ? handlers::predicate_or
               : op == "xor" ? handlers::predicate_xor
                             : handlers::predicate_not;
    return true;
}

// Operations whose operands are not all of one kind.
bool Decoder::decode_special_arithmetic(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    Type const type = mnemonic.type();
    now_.type = type;
    if (op == "selp")
    {
        now_.destination = destination(operand(0));
        sources(1, 2, type);
        predicate_source(operand(3));
        now_.run = handlers::select;
        return true;
    }
    if (op == "lop3")
    {
        now_.destination = destination(operand(0));
        sources(1, 3, type);
        now_.operation = static_cast<std::uint8_t>(constant_of(source(4, Type::b32)));
        now_.run = handlers::logic_3;
        if (statement_->operands.size() > 5)
        {
            fail("lop3 with a predicate is not supported");
        }
        return true;
    }
    if (op == "bfi")
    {
        now_.destination = destination(operand(0));
        sources(1, 4, type);
        now_.run = size_of(type) == 8 ? handlers::bit_field_insert_64 : handlers::bit_field_insert_32;
        return true;
    }
    if (op == "testp")
    {
        now_.operation = static_cast<std::uint8_t>(
            mnemonic.choose({"finite", "infinite", "number", "notanumber", "normal", "subnormal"}, 0));
        now_.predicate = predicate(operand(0).name);
        now_.source[0] = source(1, type);
        now_.run = handlers::test_property;
        return true;
    }
    if (auto const operation = carry_arithmetic(mnemonic, now_))
    {
        carry_ = carry_ == none ? kernel_.predicates++ : carry_;
        now_.source_predicate = carry_;
        now_.destination = destination(operand(0));
        sources(1, operation->sources, type);
        now_.run = operation->run;
        return true;
    }
    return false;
}

bool Decoder::decode_atomic(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    if (op != "atom" && op != "red")
    {
        return false;
    }
    mnemonic.ignore({"relaxed", "acquire", "release", "acq_rel", "gpu", "sys", "cta", "noftz"});
    now_.space = space(mnemonic);
    now_.type = mnemonic.type();
    int const operation = mnemonic.choose({"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"}, -1);
    if (operation < 0)
    {
        fail(std::string(statement_->mnemonic) + " is not supported");
    }
    now_.operation = static_cast<std::uint8_t>(operation);
    bool const returns = op == "atom";
    if (returns && operand(0).kind != Operand::Kind::discarded)
    {
        now_.destination = destination(operand(0));
    }
    std::size_t const at = returns ? 1 : 0;
    address(operand(at));
    now_.source[1] = source(at + 1, now_.type);
    if (static_cast<AtomicOperation>(operation) == AtomicOperation::compare_and_swap)
    {
        now_.source[2] = source(at + 2, now_.type);
    }
    now_.run = handlers::atomic(now_.type);
    return true;
}

bool Decoder::decode_flow(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    auto const here = static_cast<std::uint32_t>(kernel_.code.size());
    now_.run = handlers::nothing;
    if (op == "bra")
    {
        now_.flow = Flow::branch;
        frame_->branches.push_back({here, operand(0).name, line_});
    }
    else if (op == "brx")
    {
        mnemonic.has("idx");
        now_.flow = Flow::indexed_branch;
        now_.source[0] = source(0, Type::u32);
        frame_->indexed_branches.push_back({here, operand(1).name, line_});
    }
    else if (op == "ret" && depth_ > 1)
    {
        now_.flow = Flow::branch;
        frame_->returns.push_back(here);
    }
    else if (op == "ret" || op == "exit")
    {
        now_.flow = Flow::exit;
    }
    else if (op == "trap" || op == "brkpt")
    {
        now_.run = handlers::trap;
    }
    else
    {
        return false;
    }
    mnemonic.ignore({"uni"});
    return true;
}

bool Decoder::decode_barrier(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    if (op != "bar" && op != "barrier")
    {
        return false;
    }
    mnemonic.ignore({"sync", "aligned", "cta"});
    now_.run = handlers::nothing;
    if (mnemonic.has("warp"))
    {
        now_.flow = Flow::warp_wide;
        now_.source[3] = source(0, Type::u32);
        return true;
    }
    now_.flow = Flow::block_barrier;
    std::size_t next = 0;
    if (mnemonic.has("red"))
    {
        // 1 and, 2 or, 3 population count
        now_.variant = static_cast<std::uint8_t>(mnemonic.choose({"and", "or", "popc"}, -1) + 1);
        if (now_.variant == 3)
        {
            now_.destination = destination(operand(next++));
        }
        else
        {
            now_.predicate = predicate(operand(next++).name);
        }
    }
    now_.source[0] = source(next++, Type::u32);
    std::size_t const last = statement_->operands.size() - (now_.variant != 0 ? 1 : 0);
    if (next < last)
    {
        now_.source[1] = source(next++, Type::u32);
    }
    if (now_.variant != 0)
    {
        predicate_source(operand(next));
    }
    return true;
}

bool Decoder::decode_warp_wide(Mnemonic& mnemonic)
{
    std::string_view const op = mnemonic.opcode();
    Type const type = mnemonic.type();
    now_.type = type;
    if (op == "activemask")
    {
        now_.destination = destination(operand(0));
        now_.run = handlers::active_mask;
        return true;
    }
    if (op != "shfl" && op != "vote" && op != "match" && op != "redux")
    {
        return false;
    }
    if (!mnemonic.has("sync"))
    {
        fail(std::string(statement_->mnemonic) + ": operations without a member mask are not supported");
    }
    now_.flow = Flow::warp_wide;
    if (type == Type::pred)
    {
        now_.predicate = predicate(operand(0).name);
    }
    else
    {
        now_.destination = destination(operand(0));
    }
    if (!operand(0).companion.empty())
    {
        now_.predicate = predicate(operand(0).companion);
    }
    if (op == "shfl")
    {
        now_.operation = static_cast<std::uint8_t>(mnemonic.choose({"up", "down", "bfly", "idx"}, 3));
        sources(1, 4, type);
        now_.run = handlers::shuffle;
        return true;
    }
    now_.source[3] = source(2, Type::u32);
    if (op == "vote")
    {
        now_.operation = static_cast<std::uint8_t>(mnemonic.choose({"all", "any", "uni", "ballot"}, 3));
        predicate_source(operand(1));
        now_.run = handlers::vote;
        return true;
    }
    now_.source[0] = source(1, type);
    if (op == "match")
    {
        now_.variant = mnemonic.choose({"any", "all"}, 0) == 1 ? 1 : 0;
        now_.run = handlers::match;
        return true;
    }
    now_.operation = static_cast<std::uint8_t>(mnemonic.choose({"add", "min", "max", "and", "or", "xor"}, 0));
    now_.run = handlers::reduce;
    return true;
}

Symbol Decoder::slot(Operand const& operand) const
{
    auto const symbol = find(operand.name);
    if (!symbol || symbol->kind != Symbol::Kind::local)
    {
        fail("'" + std::string(operand.name) + "' is no argument of a call");
    }
    return *symbol;
}

// call (results), function, (arguments); where either list may be missing
bool Decoder::decode_call(Mnemonic& mnemonic)
{
    if (mnemonic.opcode() != "call")
    {
        return false;
    }
    mnemonic.ignore({"uni"});
    std::size_t next = 0;
    std::vector<Operand> const no_operands;
    bool const has_results = operand(0).kind == Operand::Kind::tuple;
    std::vector<Operand> const& results = has_results ? operand(next++).elements : no_operands;
    std::string_view const name = operand(next++).name;
    bool const has_arguments = next < statement_->operands.size() && operand(next).kind == Operand::Kind::tuple;
    std::vector<Operand> const& arguments = has_arguments ? operand(next).elements : no_operands;
    now_.run = handlers::nothing;
    if (name == "vprintf" || name == "__assertfail")
    {
        if (arguments.empty())
        {
            fail(std::string(name) + " without arguments");
        }
        now_.offset = static_cast<std::int64_t>(slot(arguments[0]).place);
        now_.auxiliary = arguments.size() > 1 ? static_cast<std::uint32_t>(slot(arguments[1]).place) : 0;
        now_.run = name == "vprintf" ? handlers::device_printf : handlers::device_assert;
        return true;
    }
    ptx::Function const* const function = module_.function(name);
    if (function == nullptr || function->body.empty())
    {
        fail("call of '" + std::string(name) + "', which this module does not define, or indirect call");
    }
    if (!statement_->guard.empty() || arguments.size() != function->parameters.size() || results.size() != function->results.size())
    {
        fail("unsupported form of call");
    }
    Scope names;
    for (std::size_t k = 0; k < arguments.size(); ++k)
    {
        names.names[function->parameters[k].name] = slot(arguments[k]);
    }
    for (std::size_t k = 0; k < results.size(); ++k)
    {
        names.names[function->results[k].name] = slot(results[k]);
    }
    // The call itself counts as one instruction; what follows is the function.
    kernel_.code.push_back(now_);
    Statement const* const call = statement_;
    Frame* const caller = frame_;
    int const line = line_;
    body(*function, std::move(names), line);
    statement_ = call;
    frame_ = caller;
    line_ = line;
    now_.run = {}; // nothing more to add
    return true;
}

// What has no effect where every access is in order and there are no caches.
bool Decoder::decode_ignored(Mnemonic& mnemonic)
{
    static constexpr std::array<std::string_view, 8> ignored{"membar",  "fence",          "nanosleep",     "prefetch",
                                                             "discard", "griddepcontrol", "applypriority", "prefetchu"};
    if (std::find(ignored.begin(), ignored.end(), mnemonic.opcode()) == ignored.end())
    {
        return false;
    }
    mnemonic.ignore({"cta",
                     "gl",
                     "sys",
                     "gpu",
                     "sc",
                     "acq_rel",
                     "acquire",
                     "release",
                     "global",
                     "local",
                     "L1",
                     "L2",
                     "proxy",
                     "alias",
                     "async",
                     "wait",
                     "launch_dependents",
                     "L2::evict_last",
                     "L2::evict_normal",
                     "L2::128B",
                     "cluster"});
    now_.run = handlers::nothing;
    return true;
}

bool Decoder::decode_operation(Mnemonic& mnemonic)
{
    if (decode_move(mnemonic) || decode_memory(mnemonic) || decode_comparison(mnemonic) || decode_conversion(mnemonic)
        || decode_predicate_logic(mnemonic) || decode_special_arithmetic(mnemonic) || decode_atomic(mnemonic)
        || decode_barrier(mnemonic) || decode_warp_wide(mnemonic) || decode_call(mnemonic) || decode_ignored(mnemonic)
        || decode_flow(mnemonic))
    {
        return true;
    }
    now_.run = {};
    Type const type = mnemonic.type();
    auto const operation = arithmetic(mnemonic);
    if (!operation)
    {
        return false;
    }
    now_.type = type;
    now_.rounding = is_floating(type) ? mnemonic.rounding() : std::uint8_t{0};
    now_.destination = destination(operand(0));
    sources(1, operation->sources, type);
    now_.run = operation->run;
    return true;
}

// --- functions --------------------------------------------------------------------------------------------------------------------

std::uint32_t Decoder::mnemonic_number(std::string_view mnemonic)
{
    auto const [at, fresh] = mnemonics_.try_emplace(mnemonic, static_cast<std::uint32_t>(kernel_.mnemonics.size()));
    if (fresh)
    {
        kernel_.mnemonics.emplace_back(mnemonic);
    }
    return at->second;
}

void Decoder::statement(Statement const& statement)
{
    statement_ = &statement;
    line_ = statement.line;
    now_ = Instruction{};
    if (!statement.guard.empty())
    {
        now_.guard = predicate(statement.guard);
        now_.guard_negated = statement.guard_negated;
    }
    Mnemonic mnemonic(statement.mnemonic);
    // A call adds the instructions of the function it calls.
    kernel_.origin.push_back({statement.line, mnemonic_number(statement.mnemonic), {}});
    bool const known = decode_operation(mnemonic);
    bool const is_call = known && kernel_.code.size() == kernel_.origin.size();
    if (!known || (!is_call && now_.run.all == nullptr))
    {
        fail("instruction " + std::string(statement.mnemonic) + " is not supported");
    }
    if (std::string_view const modifier = mnemonic.unknown(); !modifier.empty())
    {
        fail("modifier ." + std::string(modifier) + " of " + std::string(statement.mnemonic) + " is not supported");
    }
    if (!is_call)
    {
        kernel_.code.push_back(now_);
    }
}

void Decoder::declare(ptx::Item const& item, Scope& scope)
{
    if (item.kind == ptx::Item::Kind::variable)
    {
        ptx::Variable const& variable = item.variable;
        bool const shared = variable.space == Space::shared;
        scope.names[variable.name] = {shared ? Symbol::Kind::shared : Symbol::Kind::local, Type::none,
                                      shared ? place_shared(variable) : place_local(variable.bytes, variable.alignment)};
        return;
    }
    bool const is_predicate = item.type == Type::pred;
    std::uint32_t& next = is_predicate ? kernel_.predicates : kernel_.registers;
    Symbol const symbol{is_predicate ? Symbol::Kind::predicate : Symbol::Kind::register_, item.type, next};
    if (item.count == 0)
    {
        scope.names[item.name] = symbol;
        next += 1;
    }
    else
    {
        scope.ranges.push_back({item.name, item.count, symbol});
        next += item.count;
    }
}

void Decoder::resolve_jumps(Frame& frame)
{
    auto const place = [&](std::string_view label, int line) {
        auto const found = frame.labels.find(label);
        if (found == frame.labels.end())
        {
            throw PtxError(line, "no label '" + std::string(label) + "'");
        }
        return found->second;
    };
    for (Frame::Jump const& jump : frame.branches)
    {
        kernel_.code[jump.instruction].auxiliary = place(jump.to, jump.line);
    }
    for (Frame::Jump const& jump : frame.indexed_branches)
    {
        auto const table = frame.tables.find(jump.to);
        if (table == frame.tables.end())
        {
            throw PtxError(jump.line, "no table of branch targets '" + std::string(jump.to) + "'");
        }
        std::vector<std::uint32_t> targets;
        for (std::string_view const label : table->second)
        {
            targets.push_back(place(label, jump.line));
        }
        kernel_.code[jump.instruction].auxiliary = static_cast<std::uint32_t>(kernel_.branch_tables.size());
        kernel_.branch_tables.push_back(std::move(targets));
    }
    for (std::uint32_t const instruction : frame.returns)
    {
        kernel_.code[instruction].auxiliary = static_cast<std::uint32_t>(kernel_.code.size());
    }
}

void Decoder::body(ptx::Function const& function, Scope names, int line)
{
    if (++depth_ > deepest_call)
    {
        throw PtxError(line, "calls are nested too deeply, or recursive, in " + function.name);
    }
    auto const [at, fresh] = bodies_.try_emplace(&function);
    if (fresh)
    {
        at->second = parse_body(function);
    }
    Frame frame;
    frame.scopes.push_back(std::move(names));
    frame_ = &frame;
    std::vector<ptx::Item> const& items = at->second; // stays where it is when others are added
    for (ptx::Item const& item : items)
    {
        line_ = item.line;
        switch (item.kind)
        {
        case ptx::Item::Kind::open_scope:
            frame.scopes.emplace_back();
            break;
        case ptx::Item::Kind::close_scope:
            frame.scopes.pop_back();
            break;
        case ptx::Item::Kind::label:
            frame.labels[item.name] = static_cast<std::uint32_t>(kernel_.code.size());
            break;
        case ptx::Item::Kind::branch_targets:
            frame.tables[item.name] = item.names;
            break;
        case ptx::Item::Kind::registers:
        case ptx::Item::Kind::variable:
            declare(item, frame.scopes.back());
            break;
        case ptx::Item::Kind::statement:
            statement(item.statement);
            break;
        }
    }
    resolve_jumps(frame);
    --depth_;
}

void Decoder::kernel(ptx::Function const& function)
{
    Scope names;
    for (ptx::Variable const& parameter : function.parameters)
    {
        std::uint64_t const offset = aligned(kernel_.parameter_bytes, parameter.alignment);
        kernel_.parameters.push_back({offset, parameter.bytes});
        kernel_.parameter_bytes = offset + parameter.bytes;
        names.names[parameter.name] = {Symbol::Kind::parameter, Type::none, offset};
    }
    kernel_.max_threads = function.max_threads;
    body(function, std::move(names), function.body_line);
    Instruction end;
    end.flow = Flow::exit;
    end.run = handlers::nothing;
    kernel_.code.push_back(end);
    kernel_.origin.push_back({line_, mnemonic_number("(end)"), {}});
    constexpr std::uint64_t widest_access = 16;
    kernel_.static_shared_bytes = aligned(kernel_.static_shared_bytes, widest_access);
    kernel_.local_bytes = aligned(kernel_.local_bytes, widest_access);
    for (auto& [number, bits] : kernel_.constants)
    {
        bool const dynamic = std::find(dynamic_shared_.begin(), dynamic_shared_.end(), number) != dynamic_shared_.end();
        bits += dynamic ? kernel_.static_shared_bytes : 0;
    }
}

} // namespace

std::unique_ptr<Kernel> decode(ptx::Module const& module, std::string const& name, AddressOf const& address_of)
{
    ptx::Function const* const function = module.function(name);
    if (function == nullptr || !function->is_kernel || function->body.empty())
    {
        throw PtxError(0, "no kernel '" + name + "'");
    }
    auto kernel = std::make_unique<Kernel>();
    kernel->name = name;
    Decoder(module, address_of, *kernel).kernel(*function);
    fold_constants(*kernel);
    assign_registers(*kernel);
    find_straight_runs(*kernel);
    return kernel;
}

} // namespace emulator
