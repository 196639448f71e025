// SPDX-License-Identifier: Apache-2.0
//
// Which functions Pci_host knows: scan, hot plug, windows.
#include "debug/log.hpp"
#include "emul/host_access.hpp"
#include "emul/pci/pci_host.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// A CPU may be in a handler of the function's interrupts since before they were switched off, and wait for
// the lock. It looks at the function once more.
void end(Unique<Pci_function> function)
{
    if (function)
        host_interrupts::wait_for_handlers();
}

} // namespace

Pci_host::~Pci_host()
{
    while (Pci_function* function = first_function([](const Pci_function&) { return true; }))
        end(take_out(*function));
}

Pci_function* Pci_host::find(Pci_address address)
{
    return first_function([address](const Pci_function& f) { return f.address() == address; });
}

Pci_function* Pci_host::find_or_probe(Pci_address address)
{
    if (Pci_function* known = find(address))
        return known;
    auto created = Pci_function::create(context_, address);
    if (!created) {
        if (created.error() != Errc::enodev)
            log::guest(log::Level::warning, "PCI function {x}:{x}:{x} is hidden from dom0: out of memory",
                       address.segment, address.bus, address.devfn);
        return nullptr;
    }
    Pci_function* function = created->release();
    function->next         = std::exchange(functions_, function);
    follow_table(*function);
    return function;
}

// What is taken out is given to end() once the lock is released.
Unique<Pci_function> Pci_host::take_out(Pci_function& function)
{
    function.switch_off();
    if (const Msix* msix = function.msix())
        release_table_pages(*msix);
    Pci_function** link = &functions_;
    while (*link != &function)
        link = &(*link)->next;
    *link = function.next;
    return Unique<Pci_function>(&function);
}

Expected<void> Pci_host::add_window(const Pci_ecam& window)
{
    const Lock_guard guard(context_.lock);
    const auto known = context_.config.windows();
    if (std::ranges::find(known, window) != known.end())
        return {};
    TRY(context_.config.check(window));
    const Gfn first = to_gfn(Gpa(window.begin()));
    TRY(host_access::trap(context_.domain, first, to_gfn(Gpa(window.end())) - first));
    context_.config.add(window);
    return {};
}

unsigned Pci_host::scan_bus(u16 segment, u8 bus)
{
    unsigned found = 0;
    for (unsigned devfn = 0; devfn < 256; ++devfn) {
        const Pci_function* function = find_or_probe({segment, bus, static_cast<u8>(devfn)});
        found += function != nullptr;
        if ((devfn & 7) == 0 && (!function || !function->is_multifunction()))
            devfn += 7;
    }
    return found;
}

// Every bus is looked at, not only those behind the bridges that are found: a machine may have host bridges
// whose buses only ACPI names.
unsigned Pci_host::scan()
{
    const Lock_guard guard(context_.lock);
    unsigned found = 0;
    for (unsigned bus = 0; bus < 256; ++bus)
        found += scan_bus(0, static_cast<u8>(bus));
    for (const Pci_ecam& window : context_.config.windows()) {
        for (unsigned bus = window.first_bus; window.segment != 0 && bus <= window.last_bus; ++bus)
            found += scan_bus(window.segment, static_cast<u8>(bus));
    }
    return found;
}

Expected<void> Pci_host::add_function(Pci_address address)
{
    Unique<Pci_function> replaced;
    bool found = false;
    {
        const Lock_guard guard(context_.lock);
        Pci_function* known = find(address);
        if (known && context_.config.read(address, 0, 4) != known->identity())
            replaced = take_out(*known);
        found = find_or_probe(address) != nullptr;
    }
    end(std::move(replaced));
    if (!found)
        return fail(Errc::enodev);
    return {};
}

bool Pci_host::knows(Pci_address address)
{
    const Lock_guard guard(context_.lock);
    return find(address) != nullptr;
}

Expected<void> Pci_host::remove_function(Pci_address address)
{
    Unique<Pci_function> removed;
    {
        const Lock_guard guard(context_.lock);
        Pci_function* known = find(address);
        if (!known)
            return fail(Errc::enodev);
        removed = take_out(*known);
    }
    end(std::move(removed));
    return {};
}

} // namespace vmm
