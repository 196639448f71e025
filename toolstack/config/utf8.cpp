// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/utf8.hpp"

#include <algorithm>

namespace vmm::config
{

namespace
{

constexpr unsigned byte_at(std::string_view text, std::size_t i)
{
    return static_cast<unsigned char>(text[i]);
}

// Bytes in the character that begins with `lead`; 0 when none does.
constexpr std::size_t length_of(unsigned lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2) // a continuation, or an overlong two-byte form
        return 0;
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0)
        return 3;
    return lead < 0xf5 ? 4 : 0;
}

// The lead bytes after which only some second bytes are allowed.
constexpr bool second_fits(unsigned lead, unsigned second)
{
    switch (lead) {
    case 0xe0: return second >= 0xa0; // overlong below
    case 0xed: return second < 0xa0;  // surrogates above
    case 0xf0: return second >= 0x90; // overlong below
    case 0xf4: return second < 0x90;  // beyond U+10FFFF above
    default: return true;
    }
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

} // namespace

bool is_utf8(std::string_view text)
{
    while (!text.empty()) {
        const auto lead   = byte_at(text, 0);
        const auto length = length_of(lead);
        if (length == 0 || length > text.size())
            return false;
        if (!std::ranges::all_of(text.substr(1, length - 1), is_continuation))
            return false;
        if (length > 1 && !second_fits(lead, byte_at(text, 1)))
            return false;
        text.remove_prefix(length);
    }
    return true;
}

} // namespace vmm::config
