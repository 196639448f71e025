// SPDX-License-Identifier: Apache-2.0
//
// The silicon that dom0's emulated machine passes accesses on to: I/O ports, device memory, and the pages
// of dom0's memory map that it takes out to trap. A link seam: host_access.cpp forwards to arch/x86 and the
// p2m, the tests have a machine of their own. Sizes are 1, 2, 4 (and for memory 8) bytes.
#pragma once

#include "base/expected.hpp"

namespace vmm
{

class Domain;

namespace host_access
{

[[nodiscard]] u32 in(u16 port, u8 size);
void out(u16 port, u8 size, u32 value);

[[nodiscard]] u64 read_memory(Hpa address, u8 size);
void write_memory(Hpa address, u8 size, u64 value);

// From now on accesses of the guest to these frames exit, and read_memory() and write_memory() reach them.
// Refuses (ebusy) what is RAM.
Expected<void> trap(Domain& domain, Gfn first, u64 count);
// Makes them the guest's device memory, or makes them that again. Refuses what is RAM, and (enomem).
Expected<void> give(Domain& domain, Gfn first, u64 count);
// A nested fault of an identity-mapped domain at an address that is not trapped: what is neither RAM nor the
// local APIC's page shows the machine. Device memory above 4 GiB, which no table lists, is mapped so when it
// is first touched, in large pages where it can be. False when the address is none.
bool give_on_touch(Domain& domain, Gpa gpa);

} // namespace host_access
} // namespace vmm
