// SPDX-License-Identifier: Apache-2.0
//
// What ends the machine: dom0's shutdown reasons applied to the real hardware.
#pragma once

#include "base/types.hpp"

namespace vmm
{

// dom0 asked to shut down, or died. [xen/include/public/sched.h, SHUTDOWN_*]
[[noreturn]] void dom0_has_shut_down(u32 reason);

} // namespace vmm
