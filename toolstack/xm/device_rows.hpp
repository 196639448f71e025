// SPDX-License-Identifier: Apache-2.0
// What the commands for disks and for network interfaces have in common: the rows of `device-list` and how
// their fields are shown. What a guest can write is shown on one line or not at all.
#pragma once

#include "toolstack/xm/invocation.hpp"

#include <string>
#include <vector>

namespace vmm::xm
{

[[nodiscard]] Outcome<Json> device_rows(Invocation& invocation, const std::string& domain, const char* type);

// A field that is text, or "".
[[nodiscard]] std::string text_of(const Json& object, const char* name);

// What the guest told about its ring; -1 as in xl when it told nothing.
[[nodiscard]] std::string ring_field(const Json& row, const char* name);

// One column of a table.
[[nodiscard]] std::string column(std::string text, std::size_t width);

} // namespace vmm::xm
