// SPDX-License-Identifier: Apache-2.0
// What the answer to `wait` says: how a domain ended and what became of it. Shared by `shutdown -w` and the
// console.
#pragma once

#include "toolstack/xm/invocation.hpp"

#include <optional>

namespace vmm::xm
{

struct Ending {
    std::string outcome; // gone, preserved, restarted
    std::string reason;  // poweroff, reboot, crash, ...
    std::optional<std::uint64_t> new_domid;

    [[nodiscard]] std::string describe(std::string_view name) const; // "demo has powered off"
};

[[nodiscard]] Outcome<Ending> read_ending(const Json& answer);

} // namespace vmm::xm
