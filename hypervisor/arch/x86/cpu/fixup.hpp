// SPDX-License-Identifier: Apache-2.0
//
// Instructions that are allowed to fault: each has an entry {its address, where to go on} in the section
// .fixups, and the fault continues there instead of being a panic. Used for registers and memory of which
// only the attempt tells whether they are there.
#pragma once

#include "base/types.hpp"

namespace vmm
{

// Where to go on after a fault at `rip`, or 0 when that instruction must not fault.
u64 fixup_for(u64 rip);

} // namespace vmm
