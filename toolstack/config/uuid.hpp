// SPDX-License-Identifier: Apache-2.0
// A domain's UUID: sixteen bytes in the order they are written, as the hypervisor stores them
// (xen_domain_handle_t in public/xen.h). Parsing accepts the usual 8-4-4-4-12 form in either case;
// printing is always lower case. Not a general UUID library: no versions, no name-based ones.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm::config
{

struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    [[nodiscard]] static std::expected<Uuid, std::string> parse(std::string_view text);
    [[nodiscard]] static Uuid random(); // version 4, from the kernel's generator
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const Uuid&, const Uuid&) = default;
};

} // namespace vmm::config
