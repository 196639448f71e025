// SPDX-License-Identifier: Apache-2.0
//
// The command line in force, kept for whoever asks later (XENVER_commandline). Set once during boot.
#pragma once

#include <string_view>

namespace vmm
{

void set_hypervisor_command_line(std::string_view text); // lives for ever
[[nodiscard]] std::string_view hypervisor_command_line();

} // namespace vmm
