// SPDX-License-Identifier: Apache-2.0
// The names of a guest's disks ("xvda", "sdb1", "hdc", "d0p0") and the numbers they stand for on the wire, as
// xen-vbd-interface(7) encodes them. The guest's kernel chooses its own name from the number: Linux shows the
// xvd family as /dev/xvd*.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm::config
{

// A decimal or hexadecimal number stands for itself. The error is a full clause.
[[nodiscard]] std::expected<std::uint32_t, std::string> virtual_disk_number(std::string_view name);

} // namespace vmm::config
