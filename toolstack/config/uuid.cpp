// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/uuid.hpp"

#include "toolstack/base/random_bytes.hpp"
#include "toolstack/config/shown.hpp"

#include <span>

namespace vmm::config
{

namespace
{

constexpr std::size_t kText_length = 36;

constexpr bool is_dash_place(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

std::expected<Uuid, std::string> Uuid::parse(std::string_view text)
{
    const auto bad = [&] {
        return std::unexpected(
            "\"" + shown(text) +
            "\" is not a UUID: write 32 hex digits as 01234567-89ab-cdef-0123-456789abcdef");
    };
    if (text.size() != kText_length)
        return bad();

    Uuid result;
    std::size_t nibble = 0;
    for (std::size_t i = 0; i < kText_length; ++i) {
        if (is_dash_place(i)) {
            if (text[i] != '-')
                return bad();
            continue;
        }
        const int digit = hex_digit(text[i]);
        if (digit < 0)
            return bad();
        auto& byte = result.bytes[nibble++ / 2];
        byte       = static_cast<std::uint8_t>((byte << 4) | digit);
    }
    return result;
}

Uuid Uuid::random()
{
    Uuid result;
    fill_with_random(std::as_writable_bytes(std::span(result.bytes)));
    result.bytes[6] = static_cast<std::uint8_t>((result.bytes[6] & 0x0f) | 0x40); // version 4
    result.bytes[8] = static_cast<std::uint8_t>((result.bytes[8] & 0x3f) | 0x80); // RFC 4122 variant
    return result;
}

std::string Uuid::to_string() const
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(kText_length);
    for (const auto byte : bytes) {
        if (is_dash_place(text.size()))
            text += '-';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0xf];
    }
    return text;
}

} // namespace vmm::config
