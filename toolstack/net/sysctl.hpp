// SPDX-License-Identifier: Apache-2.0
#pragma once
// Settings of dom0's kernel about networks, below /proc/sys/net.

#include "toolstack/base/error.hpp"

#include <string>

namespace vmm::net
{

// `name` as in "ipv4/ip_forward".
[[nodiscard]] Result<void> set_sysctl(const std::string& name, const std::string& value);

} // namespace vmm::net
