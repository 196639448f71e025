// SPDX-License-Identifier: Apache-2.0
// An IPv4 or IPv6 address with the length of its network's prefix, as in 10.76.0.1/24. Without a length it is
// a host: /32 or /128. Text and bits only: nothing here asks the system about its networks.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm::config
{

struct Ip_network {
    bool is_v6 = false;
    std::array<std::uint8_t, 16> bytes{}; // network order; an IPv4 address takes the first four
    unsigned prefix = 0;

    [[nodiscard]] static std::expected<Ip_network, std::string> parse(std::string_view text);

    [[nodiscard]] unsigned bits() const { return is_v6 ? 128 : 32; }
    [[nodiscard]] bool is_host() const { return prefix == bits(); }
    [[nodiscard]] bool contains(const Ip_network& other) const; // every address of `other`
    [[nodiscard]] Ip_network network() const;                   // with all bits behind the prefix zero
    [[nodiscard]] Ip_network host() const;                      // the address alone
    [[nodiscard]] std::string address() const;                  // "10.76.0.1"
    [[nodiscard]] std::string to_string() const;                // "10.76.0.1/24", a host without the length

    friend bool operator==(const Ip_network&, const Ip_network&) = default;
};

} // namespace vmm::config
