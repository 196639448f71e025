// SPDX-License-Identifier: Apache-2.0
//
// System state in and out of the VMCB, for start of day, HVM save records and INIT.
#include "arch/x86/regs/control.hpp"
#include "arch/x86/svm/svm_vcpu.hpp"

namespace vmm::svm
{
namespace
{

Segment from_vmcb(const Vmcb_segment& s) { return {s.selector, s.attributes, s.limit, s.base}; }
Vmcb_segment to_vmcb(const Segment& s) { return {s.selector, s.attributes, s.limit, s.base}; }

constexpr u64 kGuestEfer = efer::sce | efer::lme | efer::lma | efer::nxe | efer::ffxsr;
constexpr u64 kCr0Known  = cr0::pe | cr0::mp | cr0::em | cr0::ts | cr0::et | cr0::ne | cr0::wp | cr0::am |
                          cr0::nw | cr0::cd | cr0::pg;

// What VMRUN would refuse with VMEXIT_INVALID. [APM2 15.5.1, "Canonicalization and Consistency Checks"]
bool enterable(const System_state& s)
{
    if ((s.cr0 & ~kCr0Known) != 0 || ((s.cr0 & cr0::nw) && !(s.cr0 & cr0::cd)))
        return false;
    if ((s.efer & ~kGuestEfer) != 0 || (s.dr6 >> 32) != 0 || (s.dr7 >> 32) != 0)
        return false;
    const bool long_paging = (s.efer & efer::lme) && (s.cr0 & cr0::pg);
    if (long_paging && (!(s.cr4 & cr4::pae) || !(s.cr0 & cr0::pe)))
        return false;
    const bool wide_code = s.cs.attributes & segment_long;
    return !(long_paging && wide_code && (s.cs.attributes & (1u << 10)));
}

} // namespace

void Svm_vcpu::read_system(System_state& s) const
{
    const Vmcb& v    = *vmcb_;
    s                = {};
    s.cr0            = v.cr0;
    s.cr2            = v.cr2;
    s.cr3            = v.cr3;
    s.cr4            = v.cr4;
    s.efer           = v.efer & ~efer::svme;
    s.dr6            = v.dr6;
    s.dr7            = v.dr7;
    s.cs             = from_vmcb(v.cs);
    s.ds             = from_vmcb(v.ds);
    s.es             = from_vmcb(v.es);
    s.fs             = from_vmcb(v.fs);
    s.gs             = from_vmcb(v.gs);
    s.ss             = from_vmcb(v.ss);
    s.tr             = from_vmcb(v.tr);
    s.ldtr           = from_vmcb(v.ldtr);
    s.gdtr           = from_vmcb(v.gdtr);
    s.idtr           = from_vmcb(v.idtr);
    s.pat            = v.g_pat;
    s.star           = v.star;
    s.lstar          = v.lstar;
    s.cstar          = v.cstar;
    s.sfmask         = v.sfmask;
    s.kernel_gs_base = v.kernel_gs_base;
    s.sysenter_cs    = v.sysenter_cs;
    s.sysenter_esp   = v.sysenter_esp;
    s.sysenter_eip   = v.sysenter_eip;
}

Expected<void> Svm_vcpu::write_system(const System_state& s)
{
    if (!enterable(s))
        return fail(Errc::einval);
    Vmcb& v            = *vmcb_;
    v.cr0              = s.cr0;
    v.cr2              = s.cr2;
    v.cr3              = s.cr3;
    v.cr4              = s.cr4;
    v.efer             = s.efer | efer::svme;
    v.dr6              = s.dr6;
    v.dr7              = s.dr7;
    v.cs               = to_vmcb(s.cs);
    v.ds               = to_vmcb(s.ds);
    v.es               = to_vmcb(s.es);
    v.fs               = to_vmcb(s.fs);
    v.gs               = to_vmcb(s.gs);
    v.ss               = to_vmcb(s.ss);
    v.tr               = to_vmcb(s.tr);
    v.ldtr             = to_vmcb(s.ldtr);
    v.gdtr             = to_vmcb(s.gdtr);
    v.idtr             = to_vmcb(s.idtr);
    v.g_pat            = s.pat;
    v.star             = s.star;
    v.lstar            = s.lstar;
    v.cstar            = s.cstar;
    v.sfmask           = s.sfmask;
    v.kernel_gs_base   = s.kernel_gs_base;
    v.sysenter_cs      = s.sysenter_cs;
    v.sysenter_esp     = s.sysenter_esp;
    v.sysenter_eip     = s.sysenter_eip;
    v.cpl              = static_cast<u8>((s.ss.attributes >> 5) & 3);
    v.interrupt_shadow = 0;
    v.eventinj         = 0;
    flush_tlb(Tlb_scope::guest);
    return {};
}

} // namespace vmm::svm
