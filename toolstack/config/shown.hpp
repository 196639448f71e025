// SPDX-License-Identifier: Apache-2.0
// The user's own text inside an error message: kept to one line and to a sensible length.
#pragma once

#include <string>
#include <string_view>

namespace vmm::config
{

// Control characters become '?', and what is longer than 40 bytes ends with "...".
[[nodiscard]] std::string shown(std::string_view text);

// One character on its own: 'x', or "byte 0x1b" for what is not printable ASCII.
[[nodiscard]] std::string shown(char c);

} // namespace vmm::config
