// SPDX-License-Identifier: Apache-2.0
//
// Where PCI Express configuration space is in memory. [PCI Firmware Specification 4.1.2]
#include "debug/log.hpp"
#include "platform/acpi_reader.hpp"

namespace vmm
{

Expected<void> read_mcfg(const Acpi_tables& tables, const Physical_reader& memory, Mcfg_info& mcfg)
{
    constexpr u32 kFirstEntry = 44;
    constexpr u32 kEntrySize  = 16;

    const Acpi_table* table = tables.find("MCFG");
    if (!table)
        return fail(Errc::enoent);
    const Acpi_bytes t(memory, table->address, table->length);
    if (!t.has(0, kFirstEntry))
        return fail(Errc::einval);
    for (u32 at = kFirstEntry; t.has(at, kEntrySize); at += kEntrySize) {
        const Mcfg_segment segment{Hpa(t.get<u64>(at)), t.get<u16>(at + 8), t.get<u8>(at + 10),
                                   t.get<u8>(at + 11)};
        if (segment.last_bus < segment.first_bus)
            log::warning("ACPI MCFG: buses {} to {} make no sense; entry ignored", segment.first_bus,
                         segment.last_bus);
        else if (!mcfg.push(segment))
            log::warning("ACPI MCFG: more segments than expected; segment {} is ignored", segment.segment);
    }
    return {};
}

} // namespace vmm
