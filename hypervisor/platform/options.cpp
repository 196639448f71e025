// SPDX-License-Identifier: Apache-2.0
#include "platform/options.hpp"

namespace vmm
{
namespace
{

constinit std::string_view command_line;

} // namespace

void set_hypervisor_command_line(std::string_view text) { command_line = text; }
std::string_view hypervisor_command_line() { return command_line; }

} // namespace vmm
