// SPDX-License-Identifier: Apache-2.0
// The hardware address of a network interface: six bytes, written as 00:16:3e:12:34:56. Only addresses that
// one interface may have are addresses here, so neither a group address nor zero can be parsed. Addresses
// that nobody chose are made in the range that Xen's registered prefix 00:16:3e leaves to users.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm::config
{

struct Mac_address {
    std::array<std::uint8_t, 6> bytes{};

    [[nodiscard]] static std::expected<Mac_address, std::string> parse(std::string_view text);

    // The same seed and device number always give the same address. 23 bits are free, so two seeds may share
    // one: who puts interfaces on one network has to look.
    [[nodiscard]] static Mac_address generated(std::string_view seed, unsigned devid);

    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const Mac_address&, const Mac_address&) = default;
};

} // namespace vmm::config
