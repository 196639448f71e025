// SPDX-License-Identifier: Apache-2.0
//
// The consoles the hypervisor writes to, chosen by console=.
#pragma once

#include "platform/boot_info.hpp"
#include "platform/command_line.hpp"

namespace vmm
{

class Uart;

void start_consoles(const Options& options, const Boot_info& loader);
// A screen above 4 GiB can be reached only once the frame allocator is up.
void start_far_screen(const Options& options, const Boot_info& loader);
// For a panic: the screen comes back from dom0, with the last lines of the log; and after a failure so early
// that no console was chosen, the usual serial port and the text screen are used.
void start_emergency_consoles();

// From now on dom0 is told of input and of new log lines.
void tell_dom0_of_console();

// The serial console; nullptr when there is none.
Uart* serial_console();

} // namespace vmm
