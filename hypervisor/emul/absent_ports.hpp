// SPDX-License-Identifier: Apache-2.0
//
// The ports of a domU, where no device is: reads give all ones, writes go nowhere, except that characters
// written to port 0xe9 come out, a line at a time, in the hypervisor's guest log. Linux writes there what it
// has to say before its console works. The half-written lines of all domains share a few buffers.
#pragma once

#include "exit/vm_exit.hpp"

namespace vmm
{

void absent_port(Domid domain, Io_access access, u32& value);

} // namespace vmm
