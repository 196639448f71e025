// SPDX-License-Identifier: Apache-2.0
#include "platform/text_scan.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <numeric>

namespace vmm
{

std::string_view take_until(std::string_view& text, char separator)
{
    const std::string_view head = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(head.size() + 1, text.size()));
    return head;
}

std::optional<bool> parse_truth(std::string_view text)
{
    constexpr std::string_view yes[] = {"", "1", "yes", "true", "on", "enable"};
    constexpr std::string_view no[]  = {"0", "no", "false", "off", "disable"};
    if (std::ranges::find(yes, text) != std::end(yes))
        return true;
    if (std::ranges::find(no, text) != std::end(no))
        return false;
    return std::nullopt;
}

std::optional<u64> parse_number(std::string_view text)
{
    const bool hex = text.starts_with("0x") || text.starts_with("0X");
    text.remove_prefix(hex ? 2 : 0);
    u64 value         = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<u64> parse_size(std::string_view text)
{
    if (text.empty())
        return std::nullopt;
    constexpr std::string_view units = "bkmgt"; // each 1024 times the one before
    const std::size_t unit           = units.find(static_cast<char>(text.back() | 0x20));
    std::size_t shift                = 10;
    if (unit != units.npos && !text.starts_with("0x")) {
        shift = 10 * unit;
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
    std::array<unsigned, kLongest + 1> row;
    std::iota(row.begin(), row.end(), 0u);
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
