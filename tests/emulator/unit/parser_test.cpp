#include "ptx/lexer.hpp"
#include "ptx/module.hpp"

#include <gtest/gtest.h>

using namespace emulator::ptx;

namespace
{

std::string const header = ".version 9.0\n.target sm_80\n.address_size 64\n";

// The items of a kernel with this body.
std::vector<Item> items_of(Module const& module)
{
    return parse_body(*module.function("k"));
}

std::string kernel(std::string const& body)
{
    return header + ".visible .entry k()\n{\n" + body + "\n}\n";
}

TEST(Lexer, SkipsCommentsAndCountsLines)
{
    Lexer lexer("a // b c\n /* d\n e */ f.g::h\n \"x y\" ;", 1);
    EXPECT_EQ(lexer.next(), "a");
    EXPECT_EQ(lexer.line(), 3);
    EXPECT_EQ(lexer.next(), "f.g::h");
    EXPECT_EQ(lexer.line(), 4);
    EXPECT_EQ(lexer.next(), "\"x y\"");
    EXPECT_EQ(lexer.next(), ";");
    EXPECT_TRUE(lexer.at_end());
    EXPECT_THROW(lexer.next(), PtxError);
}

TEST(Lexer, ReadsIntegers)
{
    EXPECT_EQ(integer("42", 1), 42U);
    EXPECT_EQ(integer("0xffU", 1), 255U);
    EXPECT_EQ(integer("0b101", 1), 5U);
    EXPECT_EQ(integer("18446744073709551615", 1), ~std::uint64_t{0});
    EXPECT_THROW(integer("4x", 1), PtxError);
    EXPECT_THROW(integer("", 1), PtxError);
}

TEST(Types, HaveNamesAndSizes)
{
    EXPECT_EQ(type_named("f64"), Type::f64);
    EXPECT_EQ(type_named("f16"), Type::none);
    EXPECT_EQ(size_of(Type::s16), 2U);
    EXPECT_EQ(size_of(Type::b64), 8U);
}

TEST(Parser, ReadsTargetAndFunctions)
{
    Module const module(header
                        + ".func (.param .b64 r) f(.param .b64 a, .param .align 8 .b8 s[24]);\n"
                          ".func (.param .b64 r) f(.param .b64 a, .param .align 8 .b8 s[24])\n{\n ret;\n}\n"
                          ".visible .entry k(.param .u64 .ptr .align 8 p)\n.maxntid 128, 2, 1\n.minnctapersm 2\n{\n ret;\n}\n");
    EXPECT_EQ(module.target(), 80);
    Function const* const f = module.function("f");
    ASSERT_NE(f, nullptr);
    EXPECT_FALSE(f->is_kernel);
    ASSERT_EQ(f->parameters.size(), 2U);
    EXPECT_EQ(f->parameters[1].bytes, 24U);
    EXPECT_EQ(f->parameters[1].alignment, 8U);
    EXPECT_EQ(f->results.size(), 1U);
    EXPECT_FALSE(f->body.empty());
    Function const* const k = module.function("k");
    ASSERT_NE(k, nullptr);
    EXPECT_TRUE(k->is_kernel);
    EXPECT_EQ(k->max_threads, 256U);
    EXPECT_EQ(module.function("g"), nullptr);
}

TEST(Parser, ReadsVariablesWithTheirFirstValues)
{
    Module const module(header
                        + ".global .align 8 .b64 where = generic(text)+2;\n"
                          ".global .align 1 .b8 text[4] = {104, 105, 0};\n"
                          ".const .align 8 .f64 numbers[2][2] = {{0d3FF0000000000000, -1}, {2, 0d4000000000000000}};\n"
                          ".shared .align 4 .b8 block[64];\n"
                          ".extern .shared .align 16 .b8 open[];\n");
    auto const& variables = module.variables();
    Variable const& numbers = variables.at("numbers");
    EXPECT_EQ(numbers.space, Space::constant);
    EXPECT_EQ(numbers.bytes, 32U);
    ASSERT_EQ(numbers.initial.size(), 4U);
    EXPECT_EQ(numbers.initial[0].bits, 0x3FF0000000000000U);
    EXPECT_EQ(numbers.initial[1].bits, ~std::uint64_t{0});
    EXPECT_EQ(numbers.initial[3].offset, 24U);
    Variable const& text = variables.at("text");
    EXPECT_EQ(text.bytes, 4U);
    EXPECT_EQ(text.initial.size(), 3U);
    EXPECT_EQ(text.initial[1].bytes, 1U);
    Variable const& where = variables.at("where");
    ASSERT_EQ(where.initial.size(), 1U);
    EXPECT_EQ(where.initial[0].symbol, "text");
    EXPECT_EQ(where.initial[0].bits, 2U);
    EXPECT_EQ(variables.at("block").bytes, 64U);
    EXPECT_TRUE(variables.at("open").open);
}

TEST(Parser, ReadsStatements)
{
    Module const module(kernel(".reg .pred %p<3>;\n.reg .b32 %r<5>, %x;\n"
                               "@!%p1 bra $L1;\n"
                               "$L1:\n"
                               "setp.lt.s32 %p1|%p2, %r1, -7;\n"
                               "ld.global.v2.u32 {%r1, _}, [%rd1+-8];\n"
                               "add.f64 %fd1, %fd2, 0d3FF0000000000000;\n"
                               "mov.f32 %f1, 0f3F800000;\nmov.f64 %fd1, 1.5;"));
    std::vector<Item> const items = items_of(module);
    ASSERT_EQ(items.size(), 10U);
    EXPECT_EQ(items[0].kind, Item::Kind::registers);
    EXPECT_EQ(items[0].count, 3U);
    EXPECT_EQ(items[2].name, "%x");
    EXPECT_EQ(items[2].count, 0U);
    Statement const& branch = items[3].statement;
    EXPECT_EQ(branch.guard, "%p1");
    EXPECT_TRUE(branch.guard_negated);
    EXPECT_EQ(branch.line, 8);
    EXPECT_EQ(items[4].kind, Item::Kind::label);
    EXPECT_EQ(items[4].name, "$L1");
    Statement const& compare = items[5].statement;
    EXPECT_EQ(compare.operands[0].companion, "%p2");
    EXPECT_EQ(compare.operands[2].bits, static_cast<std::uint64_t>(-7));
    Statement const& load = items[6].statement;
    EXPECT_EQ(load.operands[0].elements[1].kind, Operand::Kind::discarded);
    EXPECT_EQ(load.operands[1].kind, Operand::Kind::address);
    EXPECT_EQ(load.operands[1].offset, -8);
    EXPECT_EQ(items[7].statement.operands[2].bits, 0x3FF0000000000000U);
    EXPECT_TRUE(items[8].statement.operands[1].single_precision);
    EXPECT_EQ(items[9].statement.operands[1].bits, 0x3FF8000000000000U);
}

TEST(Parser, ReadsCallsScopesAndTablesOfBranches)
{
    Module const module(kernel("{ // callseq\n.param .b64 param0;\ncall.uni (retval0),\n f,\n (param0,\n param1);\n}\n"
                               "$T: .branchtargets $A, $B;\n"
                               ".pragma \"nounroll\";\n"));
    std::vector<Item> const items = items_of(module);
    ASSERT_EQ(items.size(), 5U);
    EXPECT_EQ(items[0].kind, Item::Kind::open_scope);
    EXPECT_EQ(items[1].kind, Item::Kind::variable);
    Statement const& call = items[2].statement;
    EXPECT_EQ(call.operands[0].elements.size(), 1U);
    EXPECT_EQ(call.operands[1].name, "f");
    EXPECT_EQ(call.operands[2].elements.size(), 2U);
    EXPECT_EQ(items[3].kind, Item::Kind::close_scope);
    EXPECT_EQ(items[4].kind, Item::Kind::branch_targets);
    EXPECT_EQ(items[4].names.size(), 2U);
}

TEST(Parser, NamesTheLineOfAnError)
{
    try
    {
        Module const module(header + "\n.something else\n");
        FAIL() << "accepted";
    }
    catch (PtxError const& error)
    {
        EXPECT_EQ(error.line, 5);
        EXPECT_NE(std::string(error.what()).find(".something"), std::string::npos);
    }
    EXPECT_THROW(Module(header + ".entry k() { "), PtxError);
    EXPECT_THROW(Module(header + ".global .f16 x;"), PtxError);
}

} // namespace
