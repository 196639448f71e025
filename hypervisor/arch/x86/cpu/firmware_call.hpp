// SPDX-License-Identifier: Apache-2.0
//
// Calls of the firmware's runtime services, at their physical addresses: nobody tells the firmware of others.
// They run in page tables of their own, which have the hypervisor too, with interrupts off, and with the
// floating-point state that they expect; a vCPU's is put aside. Firmware that faults is not called again.
// [UEFI 2.3.4, 8.1]
#pragma once

#include "base/expected.hpp"

#include <array>
#include <span>

namespace vmm
{

struct Efi_region;
struct Exception_frame;

// What the firmware says it needs at runtime becomes reachable for it. Once at boot, after the frame
// allocator is up. Enomem.
Expected<void> map_firmware(std::span<const Efi_region> memory);

// Numbers, or addresses of the hypervisor's own memory. Those that a service has not are zero.
using Firmware_arguments = std::array<u64, 5>;

// The service's status. One call at a time: hypercall/control_lock.hpp. Eopnotsupp when nothing is mapped, or
// it has faulted, now or before.
Expected<u64> call_firmware(u64 service, const Firmware_arguments& arguments);

// Where to go on when it was the firmware, called by this CPU, that faulted; else 0.
u64 give_up_firmware_call(const Exception_frame& frame);

} // namespace vmm
