// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ACPI tables of a domain without any legacy device: RSDP, XSDT, FADT with HW_REDUCED_ACPI, MADT with one
// local APIC per vCPU, and an empty DSDT [ACPI 6.0, 5.2]. One block of bytes for a fixed address; the RSDP is
// its start. Stock Linux needs the MADT even with one vCPU: without it, its Xen timer is never set up.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmm
{

// vCPU n has ACPI processor UID n, because Linux takes that for Xen's vCPU number, and local APIC id 2n.
[[nodiscard]] std::vector<std::byte> make_acpi_tables(std::uint64_t address, unsigned vcpus);

[[nodiscard]] constexpr std::uint32_t apic_id_of(unsigned vcpu) { return 2 * vcpu; }

} // namespace vmm
