// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/shown.hpp"

namespace vmm::config
{

namespace
{

constexpr std::size_t kShown_length = 40;

constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

} // namespace

std::string shown(std::string_view text)
{
    std::string result;
    for (const char c : text) {
        const bool starts_character = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
        if (result.size() >= kShown_length && starts_character)
            return result + "...";
        result += is_control(c) ? '?' : c;
    }
    return result;
}

std::string shown(char c)
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte                           = static_cast<unsigned char>(c);
    if (byte < 0x80 && !is_control(c))
        return std::string{"'"} + c + "'";
    return std::string{"byte 0x"} + kDigits[byte >> 4] + kDigits[byte & 0xf];
}

} // namespace vmm::config
