// SPDX-License-Identifier: Apache-2.0
#include "emul/pci/pci_host.hpp"

#include "base/bits.hpp"
#include "debug/log.hpp"
#include "emul/host_access.hpp"
#include "emul/pci/pci_registers.hpp"

namespace vmm
{
namespace
{

constexpr u32 kSelectEnable = 1u << 31;

constexpr u32 all_ones(u8 size) { return static_cast<u32>(low_bits(size * 8u)); }
constexpr bool within_doubleword(u16 offset, u8 size) { return (offset & 3u) + size <= 4; }

// Writes to these may move what the device decodes.
constexpr bool concerns_decoding(u16 offset)
{
    return (offset & 0xffcu) == pci::kCommand ||
           (offset >= pci::kFirstBar && offset < pci::kFirstBar + 6 * 4);
}

} // namespace

bool Pci_host::selected_by_port(u16 port, u8 size, Place& place) const
{
    const u16 lane = port - kDataPort;
    place          = {.function = {.segment = 0,
                                   .bus     = static_cast<u8>(selected_ >> 16),
                                   .devfn   = static_cast<u8>(selected_ >> 8)},
                      .offset   = static_cast<u16>((selected_ & 0xfc) + lane)};
    return (selected_ & kSelectEnable) && within_doubleword(lane, size);
}

// Port 0xcf8 takes doublewords; narrower accesses in its place belong to other registers of the chipset,
// such as reset control at 0xcf9.
u32 Pci_host::read_port(u16 port, u8 size)
{
    const Lock_guard guard(context_.lock);
    if (port < kDataPort)
        return port == kAddressPort && size == 4 ? selected_ : host_access::in(port, size);
    Place place;
    return selected_by_port(port, size, place) ? read_config(place.function, place.offset, size)
                                               : all_ones(size);
}

void Pci_host::write_port(u16 port, u8 size, u32 value)
{
    const Lock_guard guard(context_.lock);
    if (port == kAddressPort && size == 4) {
        selected_ = value;
        return;
    }
    if (port < kDataPort)
        return host_access::out(port, size, value);
    Place place;
    if (selected_by_port(port, size, place))
        write_config(place.function, place.offset, size, value);
}

bool Pci_host::in_window(Gpa gpa, Place& place) const
{
    for (const Pci_ecam& window : context_.config.windows()) {
        if (!window.contains(gpa))
            continue;
        const u64 offset = gpa.value() - window.address;
        place            = {.function = {.segment = window.segment,
                                         .bus     = static_cast<u8>(offset >> 20),
                                         .devfn   = static_cast<u8>(offset >> 12)},
                            .offset   = static_cast<u16>(offset & kPageMask)};
        return true;
    }
    return false;
}

bool Pci_host::owns(Gpa gpa)
{
    const Lock_guard guard(context_.lock);
    Place place;
    return in_window(gpa, place) || msix_at(gpa);
}

u64 Pci_host::read(Gpa gpa, u8 size)
{
    const Lock_guard guard(context_.lock);
    Place place;
    if (!in_window(gpa, place)) {
        const Msix* msix = msix_at(gpa);
        return msix ? msix->read_page(gpa, size) : low_bits(size * 8u);
    }
    if (size == 8 && (place.offset & 3) == 0) {
        const u64 low = read_config(place.function, place.offset, 4);
        return low | static_cast<u64>(read_config(place.function, place.offset + 4, 4)) << 32;
    }
    return within_doubleword(place.offset, size) ? read_config(place.function, place.offset, size)
                                                 : low_bits(size * 8u);
}

void Pci_host::write(Gpa gpa, u8 size, u64 value)
{
    const Lock_guard guard(context_.lock);
    Place place;
    if (!in_window(gpa, place)) {
        if (Msix* msix = msix_at(gpa))
            msix->write_page(gpa, size, value);
    } else if (size == 8 && (place.offset & 3) == 0) {
        write_config(place.function, place.offset, 4, static_cast<u32>(value));
        write_config(place.function, place.offset + 4, 4, static_cast<u32>(value >> 32));
    } else if (within_doubleword(place.offset, size)) {
        write_config(place.function, place.offset, size, static_cast<u32>(value));
    }
}

u32 Pci_host::read_config(Pci_address address, u16 offset, u8 size)
{
    const Pci_function* function = find_or_probe(address);
    return function ? function->read(offset, size) : all_ones(size);
}

void Pci_host::write_config(Pci_address address, u16 offset, u8 size, u32 value)
{
    Pci_function* function = find_or_probe(address);
    if (!function)
        return;
    function->write(offset, size, value);
    if (concerns_decoding(offset))
        follow_table(*function);
}

// Tables may share a page with each other: the one whose entry is meant comes first.
Msix* Pci_host::msix_at(Gpa gpa)
{
    Pci_function* function =
        first_function([gpa](const Pci_function& f) { return f.msix() && f.msix()->in_table(gpa); });
    if (!function)
        function = first_function(
            [gpa](const Pci_function& f) { return f.msix() && f.msix()->in_table_pages(gpa); });
    return function ? function->msix() : nullptr;
}

// Traps the table's pages where they are now. A place that cannot be trapped, such as RAM while a register
// is being sized with decoding on, is no table.
void Pci_host::follow_table(Pci_function& function)
{
    Msix* msix = function.msix();
    if (!msix)
        return;
    const u64 table = function.find_table();
    if (table == msix->table())
        return;
    release_table_pages(*msix);
    msix->move_table(table);
    if (table == 0)
        return;
    const auto [first, last] = msix->table_pages();
    for (Gfn page = first; page <= last; ++page) {
        if (is_shared(page, *msix) || host_access::trap(context_.domain, page, 1))
            continue;
        for (Gfn trapped = first; trapped < page; ++trapped)
            give_back(trapped, *msix);
        return msix->move_table(0);
    }
}

// Whether the page holds entries of another table, too.
bool Pci_host::is_shared(Gfn page, const Msix& msix)
{
    const Gpa gpa(page.value() << kPageShift);
    return first_function([&](const Pci_function& f) {
               return f.msix() && f.msix() != &msix && f.msix()->in_table_pages(gpa);
           }) != nullptr;
}

void Pci_host::give_back(Gfn page, const Msix& leaving)
{
    if (is_shared(page, leaving))
        return;
    if (const auto given = host_access::give(context_.domain, page, 1); !given)
        log::guest(log::Level::warning, "device page {x} is not given back to dom0 (error {})", page,
                   given.error());
}

void Pci_host::release_table_pages(const Msix& leaving)
{
    if (!leaving.table())
        return;
    const auto [first, last] = leaving.table_pages();
    for (Gfn page = first; page <= last; ++page)
        give_back(page, leaving);
}

} // namespace vmm
