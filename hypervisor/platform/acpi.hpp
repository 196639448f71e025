// SPDX-License-Identifier: Apache-2.0
//
// The static ACPI tables, as far as a hypervisor needs them: which there are, and what MADT, FADT and MCFG
// say. No AML. Parsers copy through a Physical_reader and trust no length or count in a table; a table with
// a wrong checksum is reported and left out. Results are plain values. [ACPI 6.5, chapter 5.2]
#pragma once

#include "base/expected.hpp"
#include "platform/fixed_list.hpp"
#include "platform/physical_reader.hpp"

#include <string_view>

namespace vmm
{

struct Boot_info;

struct Acpi_table {
    std::array<char, 4> signature;
    Hpa address;
    u32 length; // with the header

    [[nodiscard]] std::string_view name() const { return {signature.data(), 4}; }
};

struct Acpi_root {
    u8 revision = 0;
    std::array<char, 6> oem_id{};
    Hpa rsdt; // 0 when absent
    Hpa xsdt; // 0 when absent
};

struct Acpi_tables {
    Acpi_root root;
    // In the order of the XSDT (or RSDT); the DSDT and FACS hang off the FADT and are not here.
    Fixed_list<Acpi_table, 64> tables;

    // The first with that signature, or nullptr.
    [[nodiscard]] const Acpi_table* find(std::string_view signature) const;
};

// [ACPI 5.2.12]
struct Local_apic_entry {
    u32 apic_id;
    u32 processor_uid;
    bool enabled;        // usable now
    bool online_capable; // could be plugged in
    bool x2apic;         // came as an x2APIC entry
};

struct Io_apic_entry {
    u8 id;
    Hpa address;
    u32 gsi_base;
};

enum class Polarity : u8 { conforming = 0, high = 1, low = 3 };
enum class Trigger : u8 { conforming = 0, edge = 1, level = 3 };

// ISA interrupt `source` arrives as `gsi`.
struct Interrupt_override {
    u8 source;
    u32 gsi;
    Polarity polarity;
    Trigger trigger;
};

struct Nmi_source {
    u32 gsi;
    Polarity polarity;
    Trigger trigger;
};

struct Local_nmi {
    u32 processor_uid; // kAllProcessors: every one
    u8 lint;
    Polarity polarity;
    Trigger trigger;
};
inline constexpr u32 kAllProcessors = ~0u;

struct Madt_info {
    Hpa local_apic_address;
    bool has_legacy_pic = false; // PC-AT compatible dual 8259
    Fixed_list<Local_apic_entry, 512> local_apics;
    Fixed_list<Io_apic_entry, 16> io_apics;
    Fixed_list<Interrupt_override, 32> overrides;
    Fixed_list<Nmi_source, 8> nmi_sources;
    Fixed_list<Local_nmi, 16> local_nmis;
};

// [ACPI 5.2.3.2]
struct Generic_address {
    enum class Space : u8 { memory = 0, io = 1, pci_config = 2, absent = 0xff };

    Space space   = Space::absent;
    u8 bit_width  = 0;
    u8 bit_offset = 0;
    u64 address   = 0;

    [[nodiscard]] bool present() const { return space != Space::absent; }
};

// [ACPI 5.2.9]
struct Fadt_info {
    Hpa dsdt;
    Hpa facs;
    u16 sci_interrupt = 0;
    u32 flags         = 0;
    u16 boot_flags    = 0; // IAPC_BOOT_ARCH
    u8 century        = 0; // RTC index of the century, 0 when there is none
    Generic_address pm_timer;
    Generic_address pm1a_event, pm1b_event;
    Generic_address pm1a_control, pm1b_control;
    u8 pm1_event_length = 0;
    Generic_address reset_register;
    u8 reset_value = 0;
    Generic_address sleep_control, sleep_status;

    [[nodiscard]] bool pm_timer_is_32_bits() const { return flags & (1u << 8); }
    [[nodiscard]] bool can_reset() const { return flags & (1u << 10) && reset_register.present(); }
    [[nodiscard]] bool hardware_reduced() const { return flags & (1u << 20); }
};

// [PCI Firmware Specification, 4.1.2]
struct Mcfg_segment {
    Hpa base; // of bus 0, even when first_bus is larger
    u16 segment;
    u8 first_bus;
    u8 last_bus;
};
using Mcfg_info = Fixed_list<Mcfg_segment, 8>;

// The root pointer: the loader's copy, else the one found in the EBDA or in the BIOS area.
// Enoent when there is none.
Expected<Acpi_root> find_acpi_root(const Boot_info& boot, const Physical_reader& memory);
// Einval when the root table is unreadable or corrupt.
Expected<void> read_acpi_tables(const Acpi_root& root, const Physical_reader& memory, Acpi_tables& tables);

// Enoent: there is no such table. Einval: it is too short to be one.
Expected<void> read_madt(const Acpi_tables& tables, const Physical_reader& memory, Madt_info& madt);
Expected<Fadt_info> read_fadt(const Acpi_tables& tables, const Physical_reader& memory);
Expected<void> read_mcfg(const Acpi_tables& tables, const Physical_reader& memory, Mcfg_info& mcfg);

} // namespace vmm
