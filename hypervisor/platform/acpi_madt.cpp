// SPDX-License-Identifier: Apache-2.0
//
// Interrupt controllers. [ACPI 5.2.12]
#include "base/bits.hpp"
#include "debug/log.hpp"
#include "platform/acpi_reader.hpp"

namespace vmm
{
namespace
{

enum Record : u8 {
    local_apic         = 0,
    io_apic            = 1,
    interrupt_override = 2,
    nmi_source         = 3,
    local_nmi          = 4,
    address_override   = 5,
    x2apic             = 9,
    x2apic_nmi         = 10
};

constexpr u32 kFirstRecord     = 44;
constexpr u8 kAllProcessorsOld = 0xff;

Polarity polarity(u16 flags)
{
    const u64 value = field(flags, 1, 0);
    return value == 1 ? Polarity::high : value == 3 ? Polarity::low : Polarity::conforming;
}

Trigger trigger(u16 flags)
{
    const u64 value = field(flags, 3, 2);
    return value == 1 ? Trigger::edge : value == 3 ? Trigger::level : Trigger::conforming;
}

// False when there was no room for it.
bool read_record(const Acpi_bytes& r, Madt_info& madt)
{
    switch (r.get<u8>(0)) {
    case local_apic: {
        const u32 flags = r.get<u32>(4);
        return madt.local_apics.push({r.get<u8>(3), r.get<u8>(2), (flags & 1) != 0, (flags & 2) != 0, false});
    }
    case x2apic: {
        const u32 flags = r.get<u32>(8);
        return madt.local_apics.push(
            {r.get<u32>(4), r.get<u32>(12), (flags & 1) != 0, (flags & 2) != 0, true});
    }
    case io_apic: return madt.io_apics.push({r.get<u8>(2), Hpa(r.get<u32>(4)), r.get<u32>(8)});
    case interrupt_override: {
        const u16 flags = r.get<u16>(8);
        return madt.overrides.push({r.get<u8>(3), r.get<u32>(4), polarity(flags), trigger(flags)});
    }
    case nmi_source: {
        const u16 flags = r.get<u16>(2);
        return madt.nmi_sources.push({r.get<u32>(4), polarity(flags), trigger(flags)});
    }
    case local_nmi: {
        const u8 uid    = r.get<u8>(2);
        const u16 flags = r.get<u16>(3);
        return madt.local_nmis.push(
            {uid == kAllProcessorsOld ? kAllProcessors : uid, r.get<u8>(5), polarity(flags), trigger(flags)});
    }
    case x2apic_nmi: {
        const u16 flags = r.get<u16>(2);
        return madt.local_nmis.push({r.get<u32>(4), r.get<u8>(8), polarity(flags), trigger(flags)});
    }
    case address_override: madt.local_apic_address = Hpa(r.get<u64>(4)); return true;
    default: return true;
    }
}

// The least a record of a kind can have; 0 for kinds that are not looked at.
u32 record_size(u8 kind)
{
    switch (kind) {
    case local_apic: return 8;
    case io_apic: return 12;
    case interrupt_override: return 10;
    case nmi_source: return 8;
    case local_nmi: return 6;
    case address_override: return 12;
    case x2apic: return 16;
    case x2apic_nmi: return 12;
    default: return 2;
    }
}

} // namespace

Expected<void> read_madt(const Acpi_tables& tables, const Physical_reader& memory, Madt_info& madt)
{
    const Acpi_table* table = tables.find("APIC");
    if (!table)
        return fail(Errc::enoent);
    const Acpi_bytes bytes(memory, table->address, table->length);
    if (!bytes.has(0, kFirstRecord))
        return fail(Errc::einval);
    madt.local_apic_address = Hpa(bytes.get<u32>(36));
    madt.has_legacy_pic     = bytes.get<u32>(40) & 1;

    for (u32 at = kFirstRecord; bytes.has(at, 2);) {
        const u8 kind   = bytes.get<u8>(at);
        const u8 length = bytes.get<u8>(at + 1);
        if (length < record_size(kind) || !bytes.has(at, length)) {
            log::warning("ACPI MADT: record of type {} with length {} at offset {} is corrupt; "
                         "the rest of the table is ignored",
                         kind, length, at);
            break;
        }
        if (!read_record(bytes.part(at, length), madt))
            log::warning("ACPI MADT: more records of type {} than expected; one is ignored", kind);
        at += length;
    }
    return {};
}

} // namespace vmm
