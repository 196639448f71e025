// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/mac_address.hpp"

#include "toolstack/config/shown.hpp"

#include <algorithm>
#include <charconv>

namespace vmm::config
{

namespace
{

constexpr std::size_t kText_length = 17;

// FNV-1a: spreads well enough, and has to stay what it is for as long as addresses have to.
std::uint64_t hash(std::string_view text)
{
    std::uint64_t value = 0xcbf29ce484222325;
    for (const char c : text)
        value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return value;
}

} // namespace

std::expected<Mac_address, std::string> Mac_address::parse(std::string_view text)
{
    const auto bad = [&](std::string_view why) {
        return std::unexpected("\"" + shown(text) + "\" " + std::string{why} +
                               ": expected six bytes as in 00:16:3e:12:34:56");
    };
    Mac_address result;
    if (text.size() != kText_length)
        return bad("is not a MAC address");
    for (std::size_t i = 0; i < result.bytes.size(); ++i) {
        const char* const first = text.data() + 3 * i;
        const auto [end, error] = std::from_chars(first, first + 2, result.bytes[i], 16);
        if (error != std::errc{} || end != first + 2 || (i < 5 && *end != ':'))
            return bad("is not a MAC address");
    }
    if ((result.bytes[0] & 1) != 0)
        return bad("is a group address, which no interface can have");
    if (std::ranges::all_of(result.bytes, [](auto byte) { return byte == 0; }))
        return bad("is the null address, which no interface can have");
    return result;
}

Mac_address Mac_address::generated(std::string_view seed, unsigned devid)
{
    const auto value = hash(std::string{seed} + '/' + std::to_string(devid));
    const auto mixed = value ^ (value >> 24) ^ (value >> 48);
    return {{0x00, 0x16, 0x3e, static_cast<std::uint8_t>((mixed >> 16) & 0x7f),
             static_cast<std::uint8_t>((mixed >> 8) & 0xff), static_cast<std::uint8_t>(mixed & 0xff)}};
}

std::string Mac_address::to_string() const
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const auto byte : bytes) {
        text += text.empty() ? "" : ":";
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0xf];
    }
    return text;
}

} // namespace vmm::config
