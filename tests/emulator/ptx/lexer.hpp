#pragma once
// PTX text -> tokens, one at a time.

#include "ptx/module.hpp"

namespace emulator::ptx
{

class Lexer
{
public:
    Lexer(std::string_view text, int line) : text_(text), line_(line) { advance(); }

    std::string_view peek() const { return token_; } // empty at the end
    int line() const { return token_line_; }
    bool at_end() const { return token_.empty(); }
    bool at(std::string_view token) const { return token_ == token; }

    std::string_view next()
    {
        std::string_view const token = token_;
        if (token.empty())
        {
            throw PtxError(token_line_, "the text ends too early");
        }
        advance();
        return token;
    }
    bool accept(std::string_view token)
    {
        if (!at(token))
        {
            return false;
        }
        advance();
        return true;
    }
    void expect(std::string_view token)
    {
        if (!accept(token))
        {
            throw PtxError(token_line_, "expected '" + std::string(token) + "' at '" + std::string(token_) + "'");
        }
    }
    void skip_past(std::string_view token)
    {
        while (next() != token)
        {
        }
    }
    void skip_line();
    // The text up to the brace that closes the one just read; its line through `line`.
    std::string_view block(int& line);

private:
    void advance();
    void skip_blanks();

    std::string_view text_;
    std::size_t at_ = 0;
    int line_;
    std::string_view token_;
    std::size_t token_at_ = 0;
    int token_line_ = 0;
};

std::uint64_t integer(std::string_view token, int line);

} // namespace emulator::ptx
