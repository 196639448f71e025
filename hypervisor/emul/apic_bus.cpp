// SPDX-License-Identifier: Apache-2.0
#include "emul/apic_bus.hpp"

#include "emul/apic_host.hpp"
#include "emul/local_apic.hpp"

namespace vmm
{
namespace
{

void deliver_to(Vcpu& vcpu, const Interrupt_message& message)
{
    switch (message.mode) {
    case Delivery_mode::fixed:
    case Delivery_mode::lowest_priority:
        apic_host::apic_of(vcpu).set_irq(message.vector, message.level);
        return;
    case Delivery_mode::nmi: apic_host::raise_nmi(vcpu); return;
    case Delivery_mode::init: apic_host::init(vcpu); return;
    case Delivery_mode::startup: apic_host::ask_for_start(vcpu, message.vector); return;
    case Delivery_mode::smi:      // guests have no SMM
    case Delivery_mode::external: // nor an 8259
        return;
    }
}

bool addressed(Vcpu& vcpu, const Interrupt_message& message)
{
    const Local_apic& apic = apic_host::apic_of(vcpu);
    return is_destination(apic.id(), apic.logical_id(), message);
}

// Lowest-priority delivery goes to one of the vCPUs that accept interrupts; which one is up to the bus.
void deliver_to_one(Domain& domain, const Interrupt_message& message)
{
    for (unsigned i = 0; Vcpu* vcpu = apic_host::vcpu_at(domain, i); ++i) {
        if (addressed(*vcpu, message) && apic_host::apic_of(*vcpu).accepts_interrupts())
            return deliver_to(*vcpu, message);
    }
}

} // namespace

void deliver(Domain& domain, const Interrupt_message& message)
{
    // Nearly every message names one APIC, whose id says which vCPU it is.
    if (!message.logical && message.destination != kBroadcast) {
        if (message.destination % 2 != 0)
            return;
        if (Vcpu* vcpu = apic_host::vcpu_at(domain, message.destination / 2))
            deliver_to(*vcpu, message);
        return;
    }
    if (message.mode == Delivery_mode::lowest_priority)
        return deliver_to_one(domain, message);
    for (unsigned i = 0; Vcpu* vcpu = apic_host::vcpu_at(domain, i); ++i) {
        if (addressed(*vcpu, message))
            deliver_to(*vcpu, message);
    }
}

u32 cpu_of_destination(Domain& domain, const std::optional<Interrupt_message>& message)
{
    for (unsigned i = 0; Vcpu* vcpu = message ? apic_host::vcpu_at(domain, i) : nullptr; ++i) {
        if (addressed(*vcpu, *message))
            return apic_host::cpu_of(*vcpu);
    }
    return 0;
}

void deliver_to_all(Vcpu& sender, const Interrupt_message& message, bool including_sender)
{
    Domain& domain = apic_host::domain_of(sender);
    for (unsigned i = 0; Vcpu* vcpu = apic_host::vcpu_at(domain, i); ++i) {
        if (vcpu != &sender || including_sender)
            deliver_to(*vcpu, message);
    }
}

} // namespace vmm
