// SPDX-License-Identifier: Apache-2.0
#include "platform/text_scan.hpp"

#include <algorithm>
#include <array>

namespace vmm
{
namespace
{

std::optional<unsigned> digit(char c)
{
    if (c >= '0' && c <= '9')
        return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f')
        return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

// log2 of the unit a suffix names.
std::optional<unsigned> unit_shift(char suffix)
{
    switch (suffix | 0x20) {
    case 'b': return 0;
    case 'k': return 10;
    case 'm': return 20;
    case 'g': return 30;
    case 't': return 40;
    default: return std::nullopt;
    }
}

} // namespace

std::string_view take_until(std::string_view& text, char separator)
{
    std::size_t at = 0;
    while (at < text.size() && text[at] != separator)
        ++at;
    const std::string_view head(text.data(), at);
    text.remove_prefix(at < text.size() ? at + 1 : at);
    return head;
}

std::optional<u64> parse_number(std::string_view text)
{
    unsigned base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    if (text.empty())
        return std::nullopt;
    u64 value = 0;
    for (char c : text) {
        const auto d = digit(c);
        if (!d || *d >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, *d, &value))
            return std::nullopt;
    }
    return value;
}

std::optional<u64> parse_size(std::string_view text)
{
    if (text.empty())
        return std::nullopt;
    unsigned shift = 10;
    if (const auto unit = unit_shift(text.back()); unit && !text.starts_with("0x")) {
        shift = *unit;
        text.remove_suffix(1);
    }
    const auto number = parse_number(text);
    if (!number || *number > (~0ull >> shift))
        return std::nullopt;
    return *number << shift;
}

unsigned edit_distance(std::string_view a, std::string_view b)
{
    constexpr std::size_t kLongest = 31;
    if (a.size() > kLongest || b.size() > kLongest)
        return kLongest;
    std::array<unsigned, kLongest + 1> row{};
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = static_cast<unsigned>(j);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        unsigned diagonal = row[0];
        row[0]            = static_cast<unsigned>(i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal                = row[j];
            row[j]                  = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

} // namespace vmm
