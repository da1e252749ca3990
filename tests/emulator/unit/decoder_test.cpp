#include "decode/decoder.hpp"
#include "decode/mnemonic.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace emulator;

namespace
{

std::unique_ptr<Kernel> decoded(std::string const& body)
{
    ptx::Module const module(
        ".version 9.0\n.target sm_80\n.address_size 64\n.extern .shared .align 8 .b8 open[];\n"
        ".visible .entry k(.param .u32 a, .param .u64 b)\n{\n.reg .pred %p<9>;\n.reg .b16 %rs<9>;\n.reg .b32 %r<99>;\n"
        ".reg .b64 %rd<99>;\n.reg .f64 %fd<99>;\n"
        + body + "\nret;\n}\n");
    return decode(module, "k", [](std::string_view) { return std::nullopt; });
}

std::string complaint(std::string const& body)
{
    try
    {
        decoded(body);
    }
    catch (ptx::PtxError const& error)
    {
        return error.what();
    }
    return "accepted";
}

TEST(Mnemonic, SplitsTypesFromModifiers)
{
    Mnemonic mnemonic("cvt.rn.sat.f32.f64");
    EXPECT_EQ(mnemonic.opcode(), "cvt");
    EXPECT_EQ(mnemonic.first_type(), ptx::Type::f32);
    EXPECT_EQ(mnemonic.type(), ptx::Type::f64);
    EXPECT_EQ(mnemonic.rounding(), 0);
    EXPECT_EQ(mnemonic.unknown(), "sat");
    EXPECT_TRUE(mnemonic.has("sat"));
    EXPECT_TRUE(mnemonic.unknown().empty());
}

TEST(Decoder, RefusesWhatItDoesNotKnow)
{
    EXPECT_NE(complaint("tex.1d.v4.f32.s32 {%r1, %r2, %r3, %r4}, [%rd1, {%r5}];").find("tex.1d"), std::string::npos);
    EXPECT_NE(complaint("add.sat.s32 %r1, %r2, %r3;").find("modifier .sat"), std::string::npos);
    EXPECT_NE(complaint("add.s32 %r1, %nothing, %r3;").find("%nothing"), std::string::npos);
    EXPECT_NE(complaint("bra $nowhere;").find("$nowhere"), std::string::npos);
    EXPECT_NE(complaint("call.uni (%r1), elsewhere;").find("elsewhere"), std::string::npos);
    EXPECT_NE(complaint("add.s32 %r1, %r2;").find("operand 3"), std::string::npos);
    EXPECT_EQ(complaint("add.s32 %r1, %r2, %r3;"), "accepted");
}

TEST(Decoder, ComplaintsNameTheLine)
{
    EXPECT_NE(complaint("\n\nfoo.b32 %r1;").find("PTX line 14"), std::string::npos);
}

TEST(Decoder, FoldsMovesOfConstants)
{
    // The move costs nothing, is counted with the addition, and the label in front of it stays in front.
    auto const kernel = decoded(
        "$L:\nmov.f64 %fd1, 0d3FF0000000000000;\nadd.f64 %fd2, %fd2, %fd1;\nst.global.f64 [%rd1], %fd2;\nbra $L;");
    ASSERT_EQ(kernel->code.size(), 5U); // add, st, bra, ret, end
    EXPECT_EQ(kernel->origin[0].folded.size(), 1U);
    EXPECT_EQ(kernel->code[2].auxiliary, 0U);
}

TEST(Decoder, KeepsMovesThatAreNotAlone)
{
    // %fd1 has two values; a jump leads between the second move and what follows.
    auto const twice = decoded(
        "mov.f64 %fd1, 0d3FF0000000000000;\n@%p1 mov.f64 %fd1, 0d0000000000000000;\nst.global.f64 [%rd1], %fd1;");
    EXPECT_EQ(twice->code.size(), 5U);
    auto const target = decoded("mov.f64 %fd1, 0d3FF0000000000000;\n$L:\nst.global.f64 [%rd1], %fd1;\nbra $L;");
    EXPECT_EQ(target->code.size(), 5U);
}

TEST(Decoder, RegistersShareAPlaceWhenNeverAliveTogether)
{
    std::string body = "ld.global.f64 %fd1, [%rd1];\n";
    for (int k = 1; k < 50; ++k)
    {
        body += "add.f64 %fd" + std::to_string(k + 1) + ", %fd" + std::to_string(k) + ", %fd" + std::to_string(k) + ";\n";
    }
    auto const kernel = decoded(body + "st.global.f64 [%rd1], %fd50;");
    EXPECT_EQ(kernel->registers_alive, 2U);
}

TEST(Decoder, RegistersOfALoopDoNotShare)
{
    auto const kernel = decoded(
        "mov.u32 %r1, %r2;\n$L:\nadd.s32 %r3, %r1, 1;\nadd.s32 %r4, %r3, %r1;\nsetp.lt.s32 %p1, %r4, 7;\n@%p1 bra $L;\n"
        "st.global.u32 [%rd1], %r1;");
    // %r1 and %rd1 live through the loop, beside %r3 or %r4.
    EXPECT_EQ(kernel->registers_alive, 3U);
}

TEST(Decoder, LaysOutParametersAndSharedMemory)
{
    auto const kernel = decoded(".shared .align 4 .b8 one[5];\n.shared .align 8 .f64 two[3];\n"
                                "mov.u64 %rd1, open;\nld.shared.f64 %fd1, [two];\nst.shared.f64 [%rd1], %fd1;");
    ASSERT_EQ(kernel->parameters.size(), 2U);
    EXPECT_EQ(kernel->parameters[1].offset, 8U);
    EXPECT_EQ(kernel->parameter_bytes, 16U);
    EXPECT_EQ(kernel->static_shared_bytes, 32U);
    // Dynamic shared memory begins behind the static one.
    bool const found = std::any_of(kernel->constants.begin(), kernel->constants.end(),
                                   [](auto const& c) { return c.second == 32; });
    EXPECT_TRUE(found);
}

} // namespace
