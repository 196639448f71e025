// SPDX-License-Identifier: Apache-2.0
#pragma once
// What happens to a domain that has ended: the on_ action for the reason, and how long to wait before a
// restart when it ends again and again right after its start. Pure decisions; the supervisor carries them
// out.

#include "toolstack/config/domain_config.hpp"
#include "toolstack/xen/control.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace vmm
{

[[nodiscard]] std::string_view
name_of(Shutdown_reason reason); // as on the control socket: "poweroff", "crash"...

[[nodiscard]] config::End_action end_action(const config::Domain_config& config, Shutdown_reason reason);

// A domain that lived less than this has not really started.
inline constexpr std::chrono::seconds kQuickEnd{10};

// 0 for the first quick end in a row, then 1, 2, 4... up to 60 seconds.
[[nodiscard]] std::chrono::seconds restart_delay(unsigned quick_ends);

} // namespace vmm
