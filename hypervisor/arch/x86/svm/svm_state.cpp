// SPDX-License-Identifier: Apache-2.0
//
// System state in and out of the VMCB, for start of day, HVM save records and INIT.
#include "arch/x86/regs/control.hpp"
#include "arch/x86/svm/svm_vcpu.hpp"

namespace vmm::svm
{
namespace
{

constexpr u64 kGuestEfer = efer::sce | efer::lme | efer::lma | efer::nxe | efer::ffxsr;

// What VMRUN would refuse with VMEXIT_INVALID. [APM2 15.5.1, "Canonicalization and Consistency Checks"]
bool enterable(const System_state& s)
{
    if ((s.cr0 & ~cr0::known) != 0 || ((s.cr0 & cr0::nw) && !(s.cr0 & cr0::cd)))
        return false;
    if ((s.efer & ~(kGuestEfer | (features().auto_ibrs ? efer::aibrse : 0))) != 0 || (s.dr6 >> 32) != 0 ||
        (s.dr7 >> 32) != 0)
        return false;
    const bool long_paging = (s.efer & efer::lme) && (s.cr0 & cr0::pg);
    if (long_paging && (!(s.cr4 & cr4::pae) || !(s.cr0 & cr0::pe)))
        return false;
    const bool wide_code = s.cs.attributes & segment_long;
    return !(long_paging && wide_code && (s.cs.attributes & segment_default));
}

// The registers that both have, pair by pair, whichever way they are to be copied. EFER is not among them.
template <class System, class Control_block, class Copy>
void for_each_register(System& s, Control_block& v, Copy copy)
{
    copy(s.cr0, v.cr0);
    copy(s.cr2, v.cr2);
    copy(s.cr3, v.cr3);
    copy(s.cr4, v.cr4);
    copy(s.dr6, v.dr6);
    copy(s.dr7, v.dr7);
    copy(s.cs, v.cs);
    copy(s.ds, v.ds);
    copy(s.es, v.es);
    copy(s.fs, v.fs);
    copy(s.gs, v.gs);
    copy(s.ss, v.ss);
    copy(s.tr, v.tr);
    copy(s.ldtr, v.ldtr);
    copy(s.gdtr, v.gdtr);
    copy(s.idtr, v.idtr);
    copy(s.pat, v.g_pat);
    copy(s.star, v.star);
    copy(s.lstar, v.lstar);
    copy(s.cstar, v.cstar);
    copy(s.sfmask, v.sfmask);
    copy(s.kernel_gs_base, v.kernel_gs_base);
    copy(s.sysenter_cs, v.sysenter_cs);
    copy(s.sysenter_esp, v.sysenter_esp);
    copy(s.sysenter_eip, v.sysenter_eip);
}

} // namespace

System_state Svm_vcpu::read_system() const
{
    System_state s{};
    for_each_register(s, *vmcb_, [](auto& system, const auto& in_vmcb) { system = in_vmcb; });
    s.cr0 &= cr0::known; // emulated CPUs keep the others, too
    s.efer          = vmcb_->efer & ~efer::svme;
    s.debug_address = debug_address_;
    return s;
}

Expected<void> Svm_vcpu::write_system(const System_state& s)
{
    if (!enterable(s))
        return fail(Errc::einval);
    for_each_register(s, *vmcb_, [](const auto& system, auto& in_vmcb) { in_vmcb = system; });
    debug_address_          = s.debug_address;
    vmcb_->efer             = s.efer | efer::svme;
    vmcb_->cpl              = static_cast<u8>((s.ss.attributes >> 5) & 3);
    vmcb_->interrupt_shadow = 0;
    in_shadow_              = false;
    vmcb_->eventinj         = 0;
    flush_tlb();
    return {};
}

} // namespace vmm::svm
