// SPDX-License-Identifier: Apache-2.0
#include "emul/pci/pci_config.hpp"

#include "base/bits.hpp"
#include "emul/host_access.hpp"

namespace vmm
{
namespace
{

constexpr u16 kAddressPort   = 0xcf8;
constexpr u16 kDataPort      = 0xcfc;
constexpr u16 kFirstExtended = 0x100;
constexpr u32 kAddressEnable = 1u << 31;

bool ports_reach(Pci_address function, u16 offset)
{
    return function.segment == 0 && offset < kFirstExtended;
}

void select(Pci_address function, u16 offset)
{
    host_access::out(kAddressPort, 4,
                     kAddressEnable | static_cast<u32>(function.bus) << 16 |
                         static_cast<u32>(function.devfn) << 8 | (offset & 0xfcu));
}

} // namespace

Expected<void> Pci_config::check(const Pci_ecam& window) const
{
    if (window.first_bus > window.last_bus || window.address == 0 || !is_aligned(window.address, 1u << 20))
        return fail(Errc::einval);
    for (const Pci_ecam& known : windows()) {
        if (known.segment == window.segment && known.first_bus <= window.last_bus &&
            window.first_bus <= known.last_bus)
            return fail(Errc::eexist);
    }
    if (count_ == windows_.size())
        return fail(Errc::enospc);
    return {};
}

// 0 where no window shows the function.
u64 Pci_config::memory_address(Pci_address function, u16 offset) const
{
    for (const Pci_ecam& window : windows()) {
        if (function.segment == window.segment && function.bus >= window.first_bus &&
            function.bus <= window.last_bus)
            return window.address +
                   (static_cast<u64>(function.bus) << 20 | static_cast<u64>(function.devfn) << 12 | offset);
    }
    return 0;
}

u32 Pci_config::read(Pci_address function, u16 offset, u8 size) const
{
    if (ports_reach(function, offset)) {
        select(function, offset);
        return host_access::in(kDataPort + (offset & 3), size);
    }
    const u64 address = memory_address(function, offset);
    return address ? static_cast<u32>(host_access::read_memory(Hpa(address), size))
                   : static_cast<u32>(low_bits(size * 8u));
}

void Pci_config::write(Pci_address function, u16 offset, u8 size, u32 value) const
{
    if (ports_reach(function, offset)) {
        select(function, offset);
        host_access::out(kDataPort + (offset & 3), size, value);
    } else if (const u64 address = memory_address(function, offset)) {
        host_access::write_memory(Hpa(address), size, value);
    }
}

} // namespace vmm
