// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/uuid.hpp"

#include "toolstack/config/shown.hpp"

#include <cerrno>
#include <cstdlib>
#include <sys/random.h>

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
    std::size_t filled = 0;
    while (filled < result.bytes.size()) {
        // Requests of up to 256 bytes are never cut short once the pool is up; EINTR can only come before
        // that.
        const ssize_t got = ::getrandom(result.bytes.data() + filled, result.bytes.size() - filled, 0);
        if (got > 0)
            filled += static_cast<std::size_t>(got);
        else if (errno != EINTR)
            std::abort();
    }
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
