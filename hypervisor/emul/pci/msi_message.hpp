// SPDX-License-Identifier: Apache-2.0
//
// What a guest wrote into an MSI capability or an MSI-X table entry, as an interrupt message. The
// redirection hint changes nothing: who is meant follows from the destination mode. [SDM3 11.11]
#pragma once

#include "emul/apic_bus.hpp"

#include <optional>

namespace vmm
{

// Nothing when the address is not that of the local APICs: the write would not be an interrupt.
constexpr std::optional<Interrupt_message> message_of_msi(u64 address, u32 data)
{
    if (address >> 20 != 0xfee)
        return std::nullopt;
    return Interrupt_message{
        .destination = wide_destination(static_cast<u8>(address >> 12)),
        .logical     = (address >> 2 & 1) != 0,
        .mode        = static_cast<Delivery_mode>(data >> 8 & 7),
        .vector      = static_cast<u8>(data),
        .level       = false,
    };
}

} // namespace vmm
