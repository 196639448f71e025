// SPDX-License-Identifier: Apache-2.0
//
// The ACPI tables dom0 sees: its own root pointer, XSDT and MADT, and of the machine's tables those that
// speak of what dom0 has (an allow-list). Hidden are the ones about what the hypervisor keeps: IOMMUs, HPET,
// NUMA. The DSDT comes along through the FADT, unmodified. The MADT lists one x2APIC per vCPU (processor
// uid = vCPU id, APIC id = twice that) and the machine's IO-APICs, which are emulated at the same addresses;
// there is no 8259. [ACPI 5.2]
#pragma once

#include "platform/acpi.hpp"

#include <span>

namespace vmm
{

// Bytes build_dom0_acpi needs.
u64 dom0_acpi_size(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus);

// Writes the tables for guest-physical address `at` (16-byte aligned); the root pointer is first.
// Enobufs when `out` is too small.
Expected<void> build_dom0_acpi(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus, Gpa at,
                               std::span<u8> out);

} // namespace vmm
