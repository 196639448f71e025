// SPDX-License-Identifier: Apache-2.0
#include "emul/apic_host.hpp"

#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "emul/domain_devices.hpp"
#include "sched/scheduler.hpp"

namespace vmm::apic_host
{
namespace
{

constexpr u64 kRflagsAfterInit = 2;

// Real mode with the code segment at `page`, everything else as INIT leaves it. [SDM3 table 9-1; APM2 14.1.3]
System_state state_after_startup(u8 page)
{
    constexpr u16 kCode = 0x9b, kData = 0x93, kLocalTable = 0x82, kBusyTask = 0x8b;
    constexpr u32 kLimit = 0xffff;
    const Segment data{.selector = 0, .attributes = kData, .limit = kLimit, .base = 0};

    System_state state{};
    state.cs = {.selector   = static_cast<u16>(page << 8),
                .attributes = kCode,
                .limit      = kLimit,
                .base       = static_cast<u64>(page) << kPageShift};
    state.ds = state.es = state.fs = state.gs = state.ss = data;
    state.ldtr = {.selector = 0, .attributes = kLocalTable, .limit = kLimit, .base = 0};
    state.tr   = {.selector = 0, .attributes = kBusyTask, .limit = kLimit, .base = 0};
    state.gdtr = state.idtr = {.selector = 0, .attributes = 0, .limit = kLimit, .base = 0};
    return state;
}

} // namespace

u8 tpr(const Vcpu& vcpu) { return vcpu.backend().tpr(); }
void set_tpr(Vcpu& vcpu, u8 tpr) { vcpu.backend().set_tpr(tpr); }
Interrupt_delivery* interrupt_delivery(Vcpu& vcpu) { return vcpu.backend().interrupt_delivery(); }
void wake(Vcpu& vcpu) { vcpu.wake(); }
Domain& domain_of(const Vcpu& vcpu) { return vcpu.domain(); }
Vcpu* vcpu_at(Domain& domain, unsigned index) { return domain.vcpu(index); }
Local_apic& apic_of(Vcpu& vcpu) { return vcpu.apic(); }
u32 cpu_of(const Vcpu& vcpu) { return scheduler::cpu_of(vcpu); }

void level_interrupt_ended(Vcpu& vcpu, u8 vector)
{
    if (Domain_devices* devices = vcpu.domain().devices())
        devices->end_of_interrupt(vector);
}

void raise_nmi(Vcpu& vcpu)
{
    vcpu.nmi_pending = true;
    vcpu.wake();
}

void init(Vcpu& vcpu) { vcpu.ask_for_init(); }
void ask_for_start(Vcpu& vcpu, u8 page) { vcpu.ask_for_start(page); }

void start(Vcpu& vcpu, u8 page)
{
    clear(vcpu.regs);
    vcpu.regs.rflags = kRflagsAfterInit;
    if (!vcpu.backend().write_system(state_after_startup(page)))
        vcpu.domain().crash("a vCPU cannot be started in real mode on this CPU");
}

} // namespace vmm::apic_host
