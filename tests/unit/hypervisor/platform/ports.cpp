// SPDX-License-Identifier: Apache-2.0
#include "ports.hpp"

#include "arch/x86/cpu/port_io.hpp"

namespace vmm
{

test::Ports test::ports;

u8 in8(u16 port) { return test::ports.in(port); }
void out8(u16 port, u8 value) { test::ports.out(port, value); }

} // namespace vmm
