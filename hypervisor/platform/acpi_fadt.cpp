// SPDX-License-Identifier: Apache-2.0
//
// Fixed hardware and its registers. [ACPI 5.2.9] Newer tables give 64-bit generic addresses ("X_" fields)
// beside the old port numbers; a generic address that is not zero wins.
#include "platform/acpi_reader.hpp"

namespace vmm
{
namespace
{

constexpr u32 kMinLength = 116; // ACPI 1.0

Generic_address generic(const Acpi_bytes& t, u32 offset)
{
    Generic_address a;
    a.address = t.get<u64>(offset + 4);
    if (a.address == 0)
        return {};
    a.space      = static_cast<Generic_address::Space>(t.get<u8>(offset, 0xff));
    a.bit_width  = t.get<u8>(offset + 1);
    a.bit_offset = t.get<u8>(offset + 2);
    return a;
}

// A register block that has been a port number since ACPI 1.0.
Generic_address block(const Acpi_bytes& t, u32 generic_offset, u32 port_offset, u8 bytes)
{
    const Generic_address modern = generic(t, generic_offset);
    if (modern.present())
        return modern;
    const u32 port = t.get<u32>(port_offset);
    if (port == 0)
        return {};
    return {Generic_address::Space::io, static_cast<u8>(bytes * 8), 0, port};
}

} // namespace

Expected<Fadt_info> read_fadt(const Acpi_tables& tables, const Physical_reader& memory)
{
    const Acpi_table* table = tables.find("FACP");
    if (!table)
        return fail(Errc::enoent);
    const Acpi_bytes t(memory, table->address, table->length);
    if (!t.has(0, kMinLength))
        return fail(Errc::einval);

    Fadt_info f;
    const u64 x_facs   = t.get<u64>(132);
    const u64 x_dsdt   = t.get<u64>(140);
    f.facs             = Hpa(x_facs != 0 ? x_facs : t.get<u32>(36));
    f.dsdt             = Hpa(x_dsdt != 0 ? x_dsdt : t.get<u32>(40));
    f.sci_interrupt    = t.get<u16>(46);
    f.pm1_event_length = t.get<u8>(88);
    f.century          = t.get<u8>(108);
    f.boot_flags       = t.get<u16>(109);
    f.flags            = t.get<u32>(112);
    f.reset_register   = generic(t, 116);
    f.reset_value      = t.get<u8>(128);
    f.pm1a_event       = block(t, 148, 56, t.get<u8>(88));
    f.pm1b_event       = block(t, 160, 60, t.get<u8>(88));
    f.pm1a_control     = block(t, 172, 64, t.get<u8>(89));
    f.pm1b_control     = block(t, 184, 68, t.get<u8>(89));
    f.pm_timer         = block(t, 208, 76, t.get<u8>(91));
    f.sleep_control    = generic(t, 244);
    f.sleep_status     = generic(t, 256);
    return f;
}

} // namespace vmm
