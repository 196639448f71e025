// SPDX-License-Identifier: Apache-2.0
#include "exit/msr_policy.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/hardening.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/policy/guest_msrs.hpp"
#include "arch/x86/policy/guest_speculation.hpp"
#include "arch/x86/regs/control.hpp"
#include "base/bits.hpp"
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/cpuid_policy.hpp"
#include "exit/exit_handlers.hpp"
#include "exit/exit_loop.hpp"
#include "exit/vm_exit.hpp"
#include "hypercall/dispatch.hpp"
#include "mm/shared_page.hpp"

namespace vmm
{
namespace
{

// EFER bits a guest may change; LMA follows LME and CR0.PG, SVME is ours.
constexpr u64 kEferWritable = efer::sce | efer::lme | efer::nxe | efer::ffxsr;

u64 writable_efer(const Vcpu& vcpu)
{
    return kEferWritable | (vcpu.domain().cpu_policy().has(XEN_X86_FEATURE_AUTO_IBRS) ? efer::aibrse : 0);
}

Expected<void> write_efer(Vcpu& vcpu, u64 value)
{
    System_state s     = vcpu.backend().read_system();
    const u64 writable = writable_efer(vcpu);
    if ((value & ~(writable | efer::lma)) != 0)
        return fail(Errc::einval);
    if ((s.cr0 & cr0::pg) && ((value ^ s.efer) & efer::lme))
        return fail(Errc::einval);
    s.efer = (value & writable) | (s.efer & efer::lma);
    return vcpu.backend().write_system(s);
}

Expected<void> write_pat(Vcpu& vcpu, u64 value)
{
    if (!is_valid_pat(value))
        return fail(Errc::einval);
    System_state s = vcpu.backend().read_system();
    s.pat          = value;
    return vcpu.backend().write_system(s);
}

// Bit 0 of the address would enable what older interfaces meant by it; only whole pages of RAM will do.
Expected<void> write_hypercall_page(Vcpu& vcpu, u64 value)
{
    if ((value & kPageMask) != 0)
        return fail(Errc::einval);
    const auto page = TRY(Shared_page::hold(vcpu.domain().p2m(), to_gfn(Gpa(value))));
    fill_hypercall_page(page.at<std::byte>(0));
    return {};
}

// The commands are carried out at once. SPEC_CTRL stays with the hypervisor for as long as it is 0.
Expected<void> write_speculation_msr(Vcpu& vcpu, u32 index, u64 value)
{
    const u64 bits = speculation_bits(vcpu.domain().cpu_policy(), index);
    if (bits == 0 || (value & ~bits) != 0)
        return fail(Errc::einval);
    if (value == 0)
        return {};
    if (index == msr::kSpecCtrl)
        vcpu.backend().give_spec_ctrl(static_cast<u32>(value));
    else
        write_msr(index, value);
    return {};
}

} // namespace

Expected<u64> read_guest_msr(Vcpu& vcpu, u32 index)
{
    if (Local_apic::owns_msr(index))
        return vcpu.apic().read_msr(index);
    if (Mtrr::owns(index))
        return vcpu.mtrr.read(index);
    switch (index) {
    case msr::kTsc: return read_tsc();
    case msr::kEfer: return vcpu.backend().paging().efer;
    case msr::kPat: return vcpu.backend().read_system().pat;
    case msr::kTscAux: return u64{vcpu.tsc_aux};
    case msr::kSpecCtrl:
        if (speculation_bits(vcpu.domain().cpu_policy(), index) == 0)
            return fail(Errc::einval);
        return u64{0}; // or it would not ask
    case msr::kArchCapabilities:
        if (!vcpu.domain().cpu_policy().has(XEN_X86_FEATURE_ARCH_CAPS))
            return fail(Errc::einval);
        return hardening().guest_arch_capabilities;
    default:
        if (const auto* row = find_fixed_msr(index)) {
            if (const auto host = read_msr_safely(index))
                return (*host & row->from_host) | row->set;
        }
        return fail(Errc::einval);
    }
}

Expected<void> write_guest_msr(Vcpu& vcpu, u32 index, u64 value)
{
    if (Local_apic::owns_msr(index))
        return vcpu.apic().write_msr(index, value);
    if (Mtrr::owns(index))
        return vcpu.mtrr.write(index, value);
    switch (index) {
    case msr::kEfer: return write_efer(vcpu, value);
    case msr::kPat: return write_pat(vcpu, value);
    case msr::kTscAux:
        if (value >> 32 || !write_msr_safely(msr::kTscAux, value)) // not every CPU has it
            return fail(Errc::einval);
        vcpu.tsc_aux = static_cast<u32>(value);
        return {};
    case kHypercallPageMsr: return write_hypercall_page(vcpu, value);
    case msr::kSpecCtrl:
    case msr::kPredCmd:
    case msr::kFlushCmd: return write_speculation_msr(vcpu, index, value);
    default:
        if (const auto* row = find_fixed_msr(index); row && row->ignore_writes && read_msr_safely(index))
            return {};
        return fail(Errc::einval);
    }
}

void handle_msr(Vcpu& vcpu, const Vm_exit& exit)
{
    Guest_registers& regs = vcpu.regs;
    bool done             = false;
    if (exit.msr.write) {
        done = write_guest_msr(vcpu, exit.msr.index, (regs.rdx << 32) | (regs.rax & 0xffffffff)).has_value();
    } else if (const auto value = read_guest_msr(vcpu, exit.msr.index)) {
        regs.rax = *value & 0xffffffff;
        regs.rdx = *value >> 32;
        done     = true;
    }
    if (done) {
        if (exit.instruction_length != 0)
            vcpu.backend().skip_instruction(regs, exit.instruction_length);
        return;
    }
    log::guest(log::Level::debug, "d{}v{}: {} of MSR {x} refused, rip {x}", vcpu.domain().id(), vcpu.id(),
               exit.msr.write ? "write" : "read", exit.msr.index, regs.rip);
    inject_general_protection(vcpu);
}

} // namespace vmm
