// SPDX-License-Identifier: Apache-2.0
//
// The ports of a domU, where no device is: reads give what absent_value() says, writes go nowhere, except
// that characters written to port 0xe9 come out in the hypervisor's guest log (debug/guest_text.hpp). Linux
// writes there what it has to say before its console works.
#pragma once

#include "exit/vm_exit.hpp"

namespace vmm
{

// All ones; but Linux times its CPU by the 8254's last counter when it starts, and reads that 100,000 times
// if it gives all ones.
constexpr u32 absent_value(u16 port) { return port == 0x42 ? 0 : 0xffffffff; }

void absent_port(Domid domain, Io_access access, u32& value);

} // namespace vmm
