// SPDX-License-Identifier: Apache-2.0
//
// Interrupt messages on their way to the local APICs of one domain: IPIs, IO-APIC pins and MSIs all become
// an Interrupt_message and take the same path. Nothing is kept here. Malformed messages reach nobody, as
// on hardware. [SDM3 11.6, 11.11; APM2 16.5]
#pragma once

#include "base/types.hpp"

#include <optional>

namespace vmm
{

class Domain;
class Vcpu;

enum class Delivery_mode : u8 {
    fixed           = 0,
    lowest_priority = 1,
    smi             = 2,
    nmi             = 4,
    init            = 5,
    startup         = 6,
    external        = 7
};

inline constexpr u32 kBroadcast = 0xffffffff;

struct Interrupt_message {
    u32 destination; // an x2APIC id, or cluster and members when logical
    bool logical;
    Delivery_mode mode;
    u8 vector;
    bool level;

    bool operator==(const Interrupt_message&) const = default;
};

// A destination of IO-APIC and MSI has eight bits: those ids and the first cluster, or everybody.
constexpr u32 wide_destination(u8 destination) { return destination == 0xff ? kBroadcast : destination; }

// IO-APIC entries, the APIC's command register and MSI data have vector and mode in the same place.
constexpr Interrupt_message make_message(u32 destination, bool logical, u64 low_word, bool level = false)
{
    return {destination, logical, static_cast<Delivery_mode>(low_word >> 8 & 7), static_cast<u8>(low_word),
            level};
}

// What a guest wrote into an MSI capability or an MSI-X table. The redirection hint changes nothing: who is
// meant follows from the destination mode. Nothing when the address is not that of the local APICs: the write
// would not be an interrupt. [SDM3 11.11]
constexpr std::optional<Interrupt_message> message_of_msi(u64 address, u32 data)
{
    if (address >> 20 != 0xfee)
        return std::nullopt;
    return make_message(wide_destination(static_cast<u8>(address >> 12)), (address >> 2 & 1) != 0, data);
}

constexpr bool is_destination(u32 apic_id, u32 logical_id, const Interrupt_message& message)
{
    if (message.destination == kBroadcast)
        return true;
    if (!message.logical)
        return message.destination == apic_id;
    return message.destination >> 16 == logical_id >> 16 && (message.destination & logical_id & 0xffff) != 0;
}

void deliver(Domain& domain, const Interrupt_message& message);
// The physical CPU where the message's destination is now: best interrupted for it. 0 where there is none.
[[nodiscard]] u32 cpu_of_destination(Domain& domain, const std::optional<Interrupt_message>& message);
// To every vCPU of the sender's domain, or to every other one.
void deliver_to_all(Vcpu& sender, const Interrupt_message& message, bool including_sender);

} // namespace vmm
