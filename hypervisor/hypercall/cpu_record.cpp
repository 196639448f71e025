// SPDX-License-Identifier: Apache-2.0
#include "hypercall/cpu_record.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"

#include <cstring>

namespace vmm
{
namespace
{

constexpr u32 kSegmentPresent = 1u << 7;

// The registers that a vCPU and its record both have, pair by pair, whichever way they are to be copied.
template <class Record, class Registers, class System, class Copy>
void for_each_register(Record& record, Registers& r, System& s, Copy copy)
{
    copy(record.rax, r.rax);
    copy(record.rbx, r.rbx);
    copy(record.rcx, r.rcx);
    copy(record.rdx, r.rdx);
    copy(record.rsi, r.rsi);
    copy(record.rdi, r.rdi);
    copy(record.rbp, r.rbp);
    copy(record.rsp, r.rsp);
    copy(record.r8, r.r8);
    copy(record.r9, r.r9);
    copy(record.r10, r.r10);
    copy(record.r11, r.r11);
    copy(record.r12, r.r12);
    copy(record.r13, r.r13);
    copy(record.r14, r.r14);
    copy(record.r15, r.r15);
    copy(record.rip, r.rip);
    copy(record.rflags, r.rflags);
    copy(record.cr0, s.cr0);
    copy(record.cr2, s.cr2);
    copy(record.cr3, s.cr3);
    copy(record.cr4, s.cr4);
    copy(record.dr0, s.debug_address[0]);
    copy(record.dr1, s.debug_address[1]);
    copy(record.dr2, s.debug_address[2]);
    copy(record.dr3, s.debug_address[3]);
    copy(record.dr6, s.dr6);
    copy(record.dr7, s.dr7);
#define SEGMENT(name)                                                                                        \
    copy(record.name##_sel, s.name.selector);                                                                \
    copy(record.name##_arbytes, s.name.attributes);                                                          \
    copy(record.name##_limit, s.name.limit);                                                                 \
    copy(record.name##_base, s.name.base)
    SEGMENT(cs);
    SEGMENT(ds);
    SEGMENT(es);
    SEGMENT(fs);
    SEGMENT(gs);
    SEGMENT(ss);
    SEGMENT(tr);
    SEGMENT(ldtr);
#undef SEGMENT
    copy(record.gdtr_limit, s.gdtr.limit);
    copy(record.gdtr_base, s.gdtr.base);
    copy(record.idtr_limit, s.idtr.limit);
    copy(record.idtr_base, s.idtr.base);
    copy(record.msr_efer, s.efer);
    copy(record.msr_star, s.star);
    copy(record.msr_lstar, s.lstar);
    copy(record.msr_cstar, s.cstar);
    copy(record.msr_syscall_mask, s.sfmask);
    copy(record.shadow_gs, s.kernel_gs_base);
    copy(record.sysenter_cs, s.sysenter_cs);
    copy(record.sysenter_esp, s.sysenter_esp);
    copy(record.sysenter_eip, s.sysenter_eip);
}

// What a record may leave out, or have more of than there is.
void complete(Guest_registers& r, System_state& s)
{
    r.rflags |= 2;
    if (s.dr6 == 0)
        s.dr6 = 0xffff0ff0;
    if (s.dr7 == 0)
        s.dr7 = 0x400;
    for (Segment* segment : {&s.cs, &s.ds, &s.es, &s.fs, &s.gs, &s.ss, &s.tr, &s.ldtr})
        segment->attributes &= 0xfff;
}

// x87 and SSE; a CPU_XSAVE record, which comes later, has them again.
void load_legacy_fpu(std::byte* area, const hvm_hw_cpu& record)
{
    std::memcpy(area, record.fpu_regs, sizeof record.fpu_regs);
    mark_legacy_fpu_used(area);
    sanitise_fpu_area(area);
}

} // namespace

void save_cpu_record(const Vcpu& vcpu, hvm_hw_cpu& record)
{
    record               = {};
    const System_state s = vcpu.backend().read_system();
    for_each_register(record, vcpu.regs, s, [](auto& saved, const auto& here) { saved = here; });
    record.msr_tsc_aux = vcpu.tsc_aux;
    record.tsc         = read_tsc();
    record.flags       = XEN_X86_FPU_INITIALISED;
    std::memcpy(record.fpu_regs, vcpu.backend().fpu_area(), sizeof record.fpu_regs);
}

Expected<void> load_cpu_record(Vcpu& vcpu, const hvm_hw_cpu& record)
{
    if (!(record.cs_arbytes & kSegmentPresent) || (record.rflags & ~0x3fffffull) != 0 ||
        record.msr_tsc_aux >> 32)
        return fail(Errc::einval);
    Guest_registers r = vcpu.regs;
    System_state s    = vcpu.backend().read_system(); // for PAT, which the record does not have
    s.gdtr = s.idtr = {};
    for_each_register(record, r, s,
                      []<class T>(const auto& saved, T& here) { here = static_cast<T>(saved); });
    complete(r, s);
    TRY(vcpu.backend().write_system(s));
    vcpu.regs    = r;
    vcpu.tsc_aux = static_cast<u32>(record.msr_tsc_aux);
    if (record.flags & XEN_X86_FPU_INITIALISED)
        load_legacy_fpu(vcpu.backend().fpu_area(), record);
    vcpu.initialised = true;
    vcpu.set_up(true);
    return {};
}

} // namespace vmm
