// SPDX-License-Identifier: Apache-2.0
// What the commands for disks and for network interfaces have in common: to attach, detach and list them, and
// how the fields of their rows are shown. What a guest can write is shown on one line or not at all.
#pragma once

#include "toolstack/xm/invocation.hpp"

#include <ostream>
#include <string>

namespace vmm::xm
{

[[nodiscard]] Outcome<Json> device_rows(Invocation& invocation, const std::string& domain, const char* type);

// What is to be attached: the words after the domain, as one text.
[[nodiscard]] std::string spec_of(const Invocation& invocation);

// To and from the domain that the first word names.
[[nodiscard]] Outcome<> attach_device(Invocation& invocation, const char* type, const std::string& spec);
[[nodiscard]] Outcome<> detach_device(Invocation& invocation, const char* type, unsigned number);

// The devices of the domains that the words name, with the columns of xl.
struct Device_table {
    const char* type;
    const char* plural; // their field of the JSON
    const char* heading;
    Json (*shown)(const Json& row);
    void (*print)(const Json& row, std::ostream& out);
};
[[nodiscard]] Outcome<> list_devices(Invocation& invocation, const Device_table& table);

// A field that is text, or "".
[[nodiscard]] std::string text_of(const Json& object, const char* name);

// What the guest told about its ring; -1 as in xl when it told nothing.
[[nodiscard]] std::string ring_field(const Json& row, const char* name);

// One column of a table.
[[nodiscard]] std::string column(std::string text, std::size_t width);

} // namespace vmm::xm
