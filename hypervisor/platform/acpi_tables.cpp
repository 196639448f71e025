// SPDX-License-Identifier: Apache-2.0
//
// What the tables say: interrupt controllers, PCI Express configuration space, fixed hardware.
// [ACPI 5.2.9, 5.2.12; PCI Firmware Specification 4.1.2]
#include "debug/log.hpp"
#include "platform/acpi.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

enum Madt_record : u8 {
    local_apic         = 0,
    io_apic            = 1,
    interrupt_override = 2,
    address_override   = 5,
    local_x2apic       = 9
};

constexpr u32 kFirstRecord = 44; // of MADT and MCFG
constexpr u32 kMcfgEntry   = 16; // bytes
constexpr u32 kOldestFadt  = 116;

// Some firmware lists a CPU by both kinds of record.
bool add_cpu(Madt_info& madt, const Madt_cpu& cpu)
{
    const bool known =
        std::ranges::any_of(madt.cpus, [&](const Madt_cpu& c) { return c.apic_id == cpu.apic_id; });
    return known || madt.cpus.push(cpu);
}

// False when there was no room for it.
bool read_record(const Physical_bytes& r, Madt_info& madt)
{
    switch (r.get<u8>(0)) {
    case local_apic: return !(r.get<u32>(4) & 1) || add_cpu(madt, {r.get<u8>(3), r.get<u8>(2)});
    case local_x2apic: return !(r.get<u32>(8) & 1) || add_cpu(madt, {r.get<u32>(4), r.get<u32>(12)});
    case io_apic: return madt.io_apics.push({r.get<u8>(2), Hpa(r.get<u32>(4)), r.get<u32>(8)});
    case interrupt_override: return madt.overrides.push({r.get<u8>(3), r.get<u32>(4), r.get<u16>(8)});
    case address_override: madt.local_apic_address = Hpa(r.get<u64>(4)); return true;
    default: return true;
    }
}

// The least a record of a kind can have.
u32 record_size(u8 kind)
{
    switch (kind) {
    case local_apic: return 8;
    case local_x2apic: return 16;
    case io_apic:
    case address_override: return 12;
    case interrupt_override: return 10;
    default: return 2;
    }
}

Generic_address generic(const Physical_bytes& t, u32 offset)
{
    const u64 address = t.get<u64>(offset + 4);
    if (address == 0)
        return {};
    return {static_cast<Generic_address::Space>(t.get<u8>(offset, 0xff)), address};
}

// A register block that has been a port number since ACPI 1.0: newer tables give a 64-bit generic address (an
// "X_" field) beside it, which wins unless it is zero.
Generic_address block(const Physical_bytes& t, u32 generic_offset, u32 port_offset)
{
    const Generic_address modern = generic(t, generic_offset);
    if (modern.present())
        return modern;
    const u32 port = t.get<u32>(port_offset);
    return port != 0 ? Generic_address{Generic_address::Space::io, port} : Generic_address{};
}

} // namespace

Expected<void> read_madt(const Acpi_tables& tables, const Physical_reader& memory, Madt_info& madt)
{
    const auto t            = TRY(tables.open("APIC", memory, kFirstRecord));
    madt.local_apic_address = Hpa(t.get<u32>(36));
    for (u32 at = kFirstRecord; t.has(at, 2);) {
        const u8 kind   = t.get<u8>(at);
        const u8 length = t.get<u8>(at + 1);
        if (length < record_size(kind) || !t.has(at, length)) {
            log::warning("ACPI MADT: record of type {} with length {} at offset {} is corrupt; "
                         "the rest of the table is ignored",
                         kind, length, at);
            break;
        }
        if (!read_record(t.part(at, length), madt))
            log::warning("ACPI MADT: more records of type {} than expected; one is ignored", kind);
        at += length;
    }
    return {};
}

Expected<void> read_mcfg(const Acpi_tables& tables, const Physical_reader& memory, Mcfg_info& mcfg)
{
    const auto t = TRY(tables.open("MCFG", memory, kFirstRecord));
    for (u32 at = kFirstRecord; t.has(at, kMcfgEntry); at += kMcfgEntry) {
        const Pci_ecam window{t.get<u64>(at), t.get<u16>(at + 8), t.get<u8>(at + 10), t.get<u8>(at + 11)};
        if (window.last_bus < window.first_bus)
            log::warning("ACPI MCFG: buses {} to {} make no sense; entry ignored", window.first_bus,
                         window.last_bus);
        else if (!mcfg.push(window))
            log::warning("ACPI MCFG: more segments than expected; segment {} is ignored", window.segment);
    }
    return {};
}

Expected<Fadt_info> read_fadt(const Acpi_tables& tables, const Physical_reader& memory)
{
    const auto t     = TRY(tables.open("FACP", memory, kOldestFadt));
    const u64 x_dsdt = t.get<u64>(140);
    return Fadt_info{.dsdt           = Hpa(x_dsdt != 0 ? x_dsdt : t.get<u32>(40)),
                     .flags          = t.get<u32>(112),
                     .century        = t.get<u8>(108),
                     .pm_timer       = block(t, 208, 76),
                     .pm1a_control   = block(t, 172, 64),
                     .pm1b_control   = block(t, 184, 68),
                     .reset_register = generic(t, 116),
                     .reset_value    = t.get<u8>(128)};
}

} // namespace vmm
