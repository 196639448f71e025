// SPDX-License-Identifier: Apache-2.0
//
// What dom0's kernel asks of UEFI firmware: what is known of it, and its runtime services, which the
// hypervisor calls in its place. Both answer in the operation. Called with control_lock held, for the control
// domain. [xen/include/public/platform.h, XENPF_firmware_info, XENPF_efi_runtime_call]
#pragma once

#include "base/expected.hpp"

#include <xen/platform.h>

namespace vmm
{

class Vcpu;

// Enosys: not booted by UEFI, or a question about another kind of firmware. Esrch, enodata: nothing known.
Expected<void> describe_firmware(Vcpu& vcpu, xenpf_firmware_info& info);

// Enosys: not booted by UEFI, or no such service. Eopnotsupp: dom0 has none (`efi=no-rs`), or they have
// faulted. E2big, enomem: a name or data of that size. What the firmware itself answers is in the status.
Expected<void> call_efi_service(Vcpu& vcpu, xenpf_efi_runtime_call& op);

} // namespace vmm
