// SPDX-License-Identifier: Apache-2.0
//
// What the virtual APICs need of the vCPU and the domain around them, and nothing else of either. A link
// seam: apic_host.cpp forwards to Vcpu and Domain, the tests have vCPUs of their own.
#pragma once

#include "base/types.hpp"

namespace vmm
{

class Domain;
class Interrupt_delivery;
class Local_apic;
class Vcpu;

namespace apic_host
{

[[nodiscard]] u8 tpr(const Vcpu& vcpu);
void set_tpr(Vcpu& vcpu, u8 tpr);
// nullptr where the CPU does not deliver interrupts itself.
[[nodiscard]] Interrupt_delivery* interrupt_delivery(Vcpu& vcpu);
// Something was requested for this vCPU. Any CPU.
void wake(Vcpu& vcpu);
[[nodiscard]] Domain& domain_of(const Vcpu& vcpu);
// nullptr for a vCPU that does not exist.
[[nodiscard]] Vcpu* vcpu_at(Domain& domain, unsigned index);
[[nodiscard]] Local_apic& apic_of(Vcpu& vcpu);
// The physical CPU that it runs on, or did last.
[[nodiscard]] u32 cpu_of(const Vcpu& vcpu);
// The guest is done with a level-triggered vector.
void level_interrupt_ended(Vcpu& vcpu, u8 vector);

void raise_nmi(Vcpu& vcpu);
// INIT stops the vCPU until a start-up IPI asks for it to be started, in real mode at page `page`; to one
// that is up the latter does nothing. [SDM3 9.4.4, 11.4.7.1]
void init(Vcpu& vcpu);
void ask_for_start(Vcpu& vcpu, u8 page);
// What the start is, on the CPU that is about to run it.
void start(Vcpu& vcpu, u8 page);

} // namespace apic_host
} // namespace vmm
