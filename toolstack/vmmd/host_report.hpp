// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `xm info` shows about the machine, the hypervisor and dom0's kernel, in the order and with the names
// that users of Xen know.

#include "toolstack/control/protocol.hpp"
#include "toolstack/xen/control.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace vmm
{

// XEN_SCHEDULER_* as users know them: "credit2".
[[nodiscard]] std::string scheduler_name(unsigned id);
[[nodiscard]] std::optional<unsigned> parse_scheduler(std::string_view name);

[[nodiscard]] control::Json host_report(const Host_info& host, const Version_info& version);

} // namespace vmm
