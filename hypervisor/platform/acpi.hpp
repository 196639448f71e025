// SPDX-License-Identifier: Apache-2.0
//
// The static ACPI tables, as far as a hypervisor needs them: which there are, and what MADT, FADT and MCFG
// say, and the values that switch the machine off. No AML is run. Parsers copy through a Physical_reader and
// trust no length or count in a table; a table with a wrong checksum is reported and left out. Results are
// plain values. [ACPI 6.5, chapter 5.2]
#pragma once

#include "base/expected.hpp"
#include "platform/fixed_list.hpp"
#include "platform/pci_address.hpp"
#include "platform/physical_reader.hpp"

#include <numeric>
#include <optional>
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
    // Its bytes. Enoent: there is none; einval: it is shorter than that.
    [[nodiscard]] Expected<Physical_bytes> open(std::string_view signature, const Physical_reader& memory,
                                                u32 least_size) const;
};

// [ACPI 5.2.12]
struct Io_apic_entry {
    u8 id;
    Hpa address;
    u32 gsi_base;
};

// ISA interrupt `source` arrives as `gsi`. Flags: polarity 1:0, trigger 3:2; what they do not say is as on
// the ISA bus.
struct Interrupt_override {
    u8 source;
    u32 gsi;
    u16 flags;

    [[nodiscard]] bool is_active_low() const { return (flags & 3) == 3; }
    [[nodiscard]] bool is_level_triggered() const { return (flags >> 2 & 3) == 3; }
};

// A CPU that the firmware enabled.
struct Madt_cpu {
    u32 apic_id;
    u32 uid; // by which the rest of ACPI names it
};

struct Madt_info {
    Hpa local_apic_address;
    Fixed_list<Madt_cpu, 256> cpus;
    Fixed_list<Io_apic_entry, 16> io_apics;
    Fixed_list<Interrupt_override, 32> overrides;
};

// [ACPI 5.2.3.2]
struct Generic_address {
    enum class Space : u8 { memory = 0, io = 1, pci_config = 2, absent = 0xff };

    Space space = Space::absent;
    u64 address = 0;

    [[nodiscard]] bool present() const { return space != Space::absent; }
};

// [ACPI 5.2.9] As it is by default it says that there is none of all that.
struct Fadt_info {
    Hpa dsdt;
    u32 flags  = 0;
    u8 century = 0; // RTC index of the century, 0 when there is none
    Generic_address pm_timer;
    Generic_address pm1a_control, pm1b_control;
    Generic_address reset_register;
    u8 reset_value = 0;

    [[nodiscard]] bool pm_timer_is_32_bits() const { return flags & (1u << 8); }
    [[nodiscard]] bool can_reset() const { return flags & (1u << 10) && reset_register.present(); }
};

// [PCI Firmware Specification, 4.1.2]
using Mcfg_info = Fixed_list<Pci_ecam, 8>;

struct Sleep_type {
    u8 a, b; // SLP_TYP for PM1a_CNT and PM1b_CNT
};

inline constexpr u32 kAcpiHeaderSize = 36;

// What a table or root pointer with the right checksum adds up to is 0.
constexpr u8 byte_sum(std::span<const u8> bytes)
{
    return std::accumulate(bytes.begin(), bytes.end(), u8{0});
}

// The root pointer: the loader's copy, else the one found in the EBDA or in the BIOS area.
// Enoent when there is none.
Expected<Acpi_root> find_acpi_root(const Boot_info& boot, const Physical_reader& memory);
// Einval when the root table is unreadable or corrupt.
Expected<void> read_acpi_tables(const Acpi_root& root, const Physical_reader& memory, Acpi_tables& tables);

// Enoent: there is no such table. Einval: it is too short to be one.
Expected<void> read_madt(const Acpi_tables& tables, const Physical_reader& memory, Madt_info& madt);
Expected<Fadt_info> read_fadt(const Acpi_tables& tables, const Physical_reader& memory);
Expected<void> read_mcfg(const Acpi_tables& tables, const Physical_reader& memory, Mcfg_info& mcfg);

// The package \_S5 in the DSDT or an SSDT, which firmware always writes as a constant, so that its bytes can
// be looked for. Pure; `aml` is the table, header included. [ACPI 7.4.2.6, 20.2]
std::optional<Sleep_type> find_s5(std::span<const u8> aml);

} // namespace vmm
