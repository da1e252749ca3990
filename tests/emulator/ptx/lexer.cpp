#include "ptx/lexer.hpp"

#include <cctype>
#include <charconv>

namespace emulator::ptx
{

namespace
{

bool is_word(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.';
}

} // namespace

void Lexer::skip_blanks()
{
    while (at_ < text_.size())
    {
        char const c = text_[at_];
        if (c == '\n')
        {
            ++line_;
            ++at_;
        }
        else if (c == '\0' || std::isspace(static_cast<unsigned char>(c)) != 0)
        {
            ++at_;
        }
        else if (text_.substr(at_, 2) == "//")
        {
            at_ = std::min(text_.find('\n', at_), text_.size());
        }
        else if (text_.substr(at_, 2) == "/*")
        {
            std::size_t const end = std::min(text_.find("*/", at_ + 2), text_.size() - 2);
            for (; at_ < end + 2; ++at_)
            {
                line_ += text_[at_] == '\n' ? 1 : 0;
            }
        }
        else
        {
            return;
        }
    }
}

void Lexer::advance()
{
    skip_blanks();
    token_at_ = at_;
    token_line_ = line_;
    if (at_ < text_.size() && text_[at_] == '"')
    {
        at_ = std::min(text_.find('"', at_ + 1), text_.size() - 1) + 1;
    }
    else if (at_ < text_.size() && is_word(text_[at_]))
    {
        // "::" joins the parts of a modifier: ld.global.L2::128B
        while (at_ < text_.size() && (is_word(text_[at_]) || text_.substr(at_, 2) == "::"))
        {
            at_ += text_[at_] == ':' ? 2U : 1U;
        }
    }
    else if (at_ < text_.size())
    {
        ++at_;
    }
    token_ = text_.substr(token_at_, at_ - token_at_);
}

void Lexer::skip_line()
{
    int const line = token_line_;
    while (!at_end() && token_line_ == line)
    {
        advance();
    }
}

std::string_view Lexer::block(int& line)
{
    std::size_t const begin = token_at_;
    line = token_line_;
    for (int depth = 1;; advance())
    {
        if (at_end())
        {
            throw PtxError(line, "a brace is not closed");
        }
        depth += at("{") ? 1 : at("}") ? -1 : 0;
        if (depth == 0)
        {
            break;
        }
    }
    std::string_view const inside = text_.substr(begin, token_at_ - begin);
    advance();
    return inside;
}

std::uint64_t integer(std::string_view token, int line)
{
    std::string_view digits = token;
    int base = 10;
    if (digits.ends_with('U'))
    {
        digits.remove_suffix(1);
    }
    if (digits.starts_with("0x") || digits.starts_with("0X"))
    {
        digits.remove_prefix(2);
        base = 16;
    }
    else if (digits.starts_with("0b"))
    {
        digits.remove_prefix(2);
        base = 2;
    }
    std::uint64_t value = 0;
    auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc{} || end != digits.data() + digits.size())
    {
        throw PtxError(line, "'" + std::string(token) + "' is not an integer");
    }
    return value;
}

} // namespace emulator::ptx
