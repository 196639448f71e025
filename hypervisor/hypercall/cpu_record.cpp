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

// A segment's four fields in the record, which has them apart.
#define SEGMENT_FIELDS(name) record.name##_sel, record.name##_arbytes, record.name##_limit, record.name##_base

Segment segment(u32 selector, u32 attributes, u32 limit, u64 base)
{
    return {static_cast<u16>(selector), static_cast<u16>(attributes & 0xfff), limit, base};
}

void put_segment(u32& selector, u32& attributes, u32& limit, u64& base, const Segment& s)
{
    selector   = s.selector;
    attributes = s.attributes;
    limit      = s.limit;
    base       = s.base;
}

// `s` as it was: the record does not have PAT.
System_state system_state(const hvm_hw_cpu& record, System_state s)
{
    s.cr0            = record.cr0;
    s.cr2            = record.cr2;
    s.cr3            = record.cr3;
    s.cr4            = record.cr4;
    s.efer           = record.msr_efer;
    s.dr6            = record.dr6 ? record.dr6 : 0xffff0ff0;
    s.debug_address  = {record.dr0, record.dr1, record.dr2, record.dr3};
    s.dr7            = record.dr7 ? record.dr7 : 0x400;
    s.cs             = segment(SEGMENT_FIELDS(cs));
    s.ds             = segment(SEGMENT_FIELDS(ds));
    s.es             = segment(SEGMENT_FIELDS(es));
    s.fs             = segment(SEGMENT_FIELDS(fs));
    s.gs             = segment(SEGMENT_FIELDS(gs));
    s.ss             = segment(SEGMENT_FIELDS(ss));
    s.tr             = segment(SEGMENT_FIELDS(tr));
    s.ldtr           = segment(SEGMENT_FIELDS(ldtr));
    s.gdtr           = {0, 0, record.gdtr_limit, record.gdtr_base};
    s.idtr           = {0, 0, record.idtr_limit, record.idtr_base};
    s.star           = record.msr_star;
    s.lstar          = record.msr_lstar;
    s.cstar          = record.msr_cstar;
    s.sfmask         = record.msr_syscall_mask;
    s.kernel_gs_base = record.shadow_gs;
    s.sysenter_cs    = record.sysenter_cs;
    s.sysenter_esp   = record.sysenter_esp;
    s.sysenter_eip   = record.sysenter_eip;
    return s;
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
    record                   = {};
    const System_state s     = vcpu.backend().read_system();
    const Guest_registers& r = vcpu.regs;
    record.rax = r.rax, record.rbx = r.rbx, record.rcx = r.rcx, record.rdx = r.rdx;
    record.rsi = r.rsi, record.rdi = r.rdi, record.rbp = r.rbp, record.rsp = r.rsp;
    record.r8 = r.r8, record.r9 = r.r9, record.r10 = r.r10, record.r11 = r.r11;
    record.r12 = r.r12, record.r13 = r.r13, record.r14 = r.r14, record.r15 = r.r15;
    record.rip    = r.rip;
    record.rflags = r.rflags;
    record.cr0 = s.cr0, record.cr2 = s.cr2, record.cr3 = s.cr3, record.cr4 = s.cr4;
    const auto& address = s.debug_address;
    record.dr0 = address[0], record.dr1 = address[1], record.dr2 = address[2], record.dr3 = address[3];
    record.dr6 = s.dr6, record.dr7 = s.dr7;
    put_segment(SEGMENT_FIELDS(cs), s.cs);
    put_segment(SEGMENT_FIELDS(ds), s.ds);
    put_segment(SEGMENT_FIELDS(es), s.es);
    put_segment(SEGMENT_FIELDS(fs), s.fs);
    put_segment(SEGMENT_FIELDS(gs), s.gs);
    put_segment(SEGMENT_FIELDS(ss), s.ss);
    put_segment(SEGMENT_FIELDS(tr), s.tr);
    put_segment(SEGMENT_FIELDS(ldtr), s.ldtr);
    record.gdtr_limit = s.gdtr.limit, record.gdtr_base = s.gdtr.base;
    record.idtr_limit = s.idtr.limit, record.idtr_base = s.idtr.base;
    record.msr_efer         = s.efer;
    record.msr_star         = s.star;
    record.msr_lstar        = s.lstar;
    record.msr_cstar        = s.cstar;
    record.msr_syscall_mask = s.sfmask;
    record.shadow_gs        = s.kernel_gs_base;
    record.sysenter_cs      = s.sysenter_cs;
    record.sysenter_esp     = s.sysenter_esp;
    record.sysenter_eip     = s.sysenter_eip;
    record.msr_tsc_aux      = vcpu.tsc_aux;
    record.tsc              = read_tsc();
    record.flags            = XEN_X86_FPU_INITIALISED;
    std::memcpy(record.fpu_regs, vcpu.backend().fpu_area(), sizeof record.fpu_regs);
}

Expected<void> load_cpu_record(Vcpu& vcpu, const hvm_hw_cpu& record)
{
    if (!(record.cs_arbytes & kSegmentPresent) || (record.rflags & ~0x3fffffull) != 0 ||
        record.msr_tsc_aux >> 32)
        return fail(Errc::einval);
    TRY(vcpu.backend().write_system(system_state(record, vcpu.backend().read_system())));
    Guest_registers& r = vcpu.regs;
    r.rax = record.rax, r.rbx = record.rbx, r.rcx = record.rcx, r.rdx = record.rdx;
    r.rsi = record.rsi, r.rdi = record.rdi, r.rbp = record.rbp, r.rsp = record.rsp;
    r.r8 = record.r8, r.r9 = record.r9, r.r10 = record.r10, r.r11 = record.r11;
    r.r12 = record.r12, r.r13 = record.r13, r.r14 = record.r14, r.r15 = record.r15;
    r.rip        = record.rip;
    r.rflags     = record.rflags | 2;
    vcpu.tsc_aux = static_cast<u32>(record.msr_tsc_aux);
    if (record.flags & XEN_X86_FPU_INITIALISED)
        load_legacy_fpu(vcpu.backend().fpu_area(), record);
    vcpu.initialised = true;
    vcpu.set_up(true);
    return {};
}

#undef SEGMENT_FIELDS

} // namespace vmm
