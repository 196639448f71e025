// SPDX-License-Identifier: Apache-2.0
//
// Hypercalls of 32-bit code: what boot loaders in a guest make before a 64-bit kernel runs (GRUB's
// i386-xen_pvh). Their arguments are in EBX, ECX, EDX, ESI and EDI, and words in structures are of 32 bits.
// [xen/include/public/arch-x86/xen-x86_32.h]
#pragma once

#include "hypercall/hypercall.hpp"

namespace vmm
{

// Enosys also for what only 64-bit code can ask, which the log names, once for a domain.
Hypercall_result narrow_call(Vcpu& vcpu, u64 number, Hypercall_args& args);

} // namespace vmm
