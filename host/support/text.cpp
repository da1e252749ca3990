#include "host/support/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace nuscan
{

namespace
{

std::string lower_case(std::string_view text)
{
    std::string lower{text};
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

/// Edit distance with swaps of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
    std::iota(previous.begin(), previous.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i)
    {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j)
        {
            std::size_t const substitution = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, substitution});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = std::min(current[j], before[j - 2] + 1);
        }
        std::swap(before, previous);
        std::swap(previous, current);
    }
    return previous[b.size()];
}

} // namespace

std::string nearest_name(std::string_view name, std::vector<std::string> const& candidates)
{
    std::string const wanted = lower_case(name);
    std::string nearest;
    std::size_t smallest = 0;
    for (auto const& candidate : candidates)
    {
        std::size_t const distance = edit_distance(wanted, lower_case(candidate));
        std::size_t const longest = std::max(name.size(), candidate.size());
        std::size_t const shortest = std::min(name.size(), candidate.size());
        bool const near = distance < shortest && distance <= std::max<std::size_t>(1, (longest + 1) / 3);
        if (near && (nearest.empty() || distance < smallest))
        {
            nearest = candidate;
            smallest = distance;
        }
    }
    return nearest;
}

std::string suggestion(std::string_view name, std::vector<std::string> const& candidates)
{
    if (candidates.empty())
        return {};
    std::string const nearest = nearest_name(name, candidates);
    return nearest.empty() ? fmt::format("; valid: {}", join(candidates)) : fmt::format("; did you mean '{}'?", nearest);
}

std::string join(std::vector<std::string> const& items, std::string_view separator)
{
    return fmt::format("{}", fmt::join(items, separator));
}

std::string counted(long long n, std::string_view noun)
{
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

bool parse_double(std::string_view text, double& value)
{
    // std::from_chars takes no plus sign
    if (text.size() > 1 && text[0] == '+' && text[1] != '-')
        text.remove_prefix(1);
    double parsed = 0.0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(parsed))
        return false;
    value = parsed;
    return true;
}

bool parse_size(std::string_view text, unsigned long long& value)
{
    unsigned long long parsed = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error != std::errc{} || end != text.data() + text.size())
        return false;
    value = parsed;
    return true;
}

std::string shell_quote(std::string_view word)
{
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    if (!word.empty() && word.find_first_not_of(plain) == word.npos)
        return std::string{word};
    std::string quoted = "'";
    for (char const c : word)
        quoted += c == '\'' ? std::string{"'\\''"} : std::string{c};
    return quoted + "'";
}

std::vector<std::string> shell_words(std::string_view line)
{
    std::vector<std::string> words;
    bool inside = false; // a word
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i)
    {
        char const c = line[i];
        if (c == ' ' && !quoted)
        {
            inside = false;
            continue;
        }
        if (!inside)
            words.emplace_back();
        inside = true;
        if (c == '\'')
            quoted = !quoted;
        else if (c == '\\' && !quoted && i + 1 < line.size())
            words.back() += line[++i];
        else
            words.back() += c;
    }
    return words;
}

} // namespace nuscan
