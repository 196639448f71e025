// SPDX-License-Identifier: Apache-2.0
//
// What UEFI firmware leaves behind when its boot services have ended: tables for who comes next, and runtime
// services, which are code of its own. The hypervisor keeps none of it: dom0 is told of the tables, and asks
// for the services (hypercall/efi_op.hpp). [UEFI 4.3, 4.5, 7.2]
#pragma once

#include "platform/physical_reader.hpp"

#include <optional>

namespace vmm
{

// Of the firmware's memory map.
struct Efi_region {
    static constexpr u64 kWriteBack   = 1u << 3;
    static constexpr u64 kNotExecuted = 1u << 14;
    static constexpr u64 kRuntime     = 1ull << 63; // the runtime services need it

    Hpa start;
    u64 pages;
    u64 attributes;
    u32 type;

    [[nodiscard]] constexpr Hpa end() const { return start + (pages << kPageShift); }
};

// Before both tables.
struct Efi_table_header {
    u64 signature;
    u32 revision;
    u32 size, checksum, reserved;
};

struct Efi_system_table {
    static constexpr u64 kSignature = 0x5453595320494249; // "IBI SYST"

    Efi_table_header header;
    Hpa vendor;
    u32 vendor_revision;
    u64 consoles[6];
    Hpa runtime_services;
    u64 boot_services;
    u64 table_count;
    Hpa tables;
};

// Where each service is. Those that only a boot loader needs have no name.
struct Efi_runtime_services {
    static constexpr u64 kSignature = 0x56524553544e5552; // "RUNTSERV"

    Efi_table_header header;
    u64 get_time, set_time, get_wakeup_time, set_wakeup_time;
    u64 of_the_loader[2];
    u64 get_variable, get_next_variable_name, set_variable;
    u64 get_next_high_monotonic_count;
    u64 reset_system;
    u64 update_capsule, query_capsule_capabilities;
    u64 query_variable_info;
};

struct Efi_firmware {
    Efi_system_table system;
    Efi_runtime_services services;
    std::array<char16_t, 100> vendor; // ends with a zero
};

// Nothing when there is no such table at that place.
std::optional<Efi_firmware> read_efi_firmware(Hpa system_table, const Physical_reader& memory);

// Set once at boot; no firmware: not booted by UEFI.
struct Efi_machine {
    std::optional<Efi_firmware> firmware;
    std::span<const Efi_region> memory;
};
inline constinit Efi_machine efi_machine;

} // namespace vmm
