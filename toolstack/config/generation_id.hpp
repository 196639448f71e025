// SPDX-License-Identifier: Apache-2.0
// A domain's generation: 128 random bits, others whenever it goes on from an earlier state or as a copy of
// another, so that what runs in it can tell. The text is what stands in the store (Xen's
// docs/misc/xenstore-paths, platform/generation-id): the lower and the upper 64 bits in decimal, "1:2".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vmm::config
{

struct Generation_id {
    std::uint64_t low  = 0;
    std::uint64_t high = 0;

    [[nodiscard]] static Generation_id random();
    [[nodiscard]] static std::optional<Generation_id> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const Generation_id&, const Generation_id&) = default;
};

} // namespace vmm::config
