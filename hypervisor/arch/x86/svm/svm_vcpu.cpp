// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/svm_vcpu.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/hardening.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/decode/svm_exit.hpp"
#include "arch/x86/io_permissions.hpp"
#include "arch/x86/regs/control.hpp"
#include "base/per_cpu.hpp"
#include "exit/exit_loop.hpp"
#include "exit/guest_memory.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <utility>

extern "C" void svm_enter(vmm::Guest_registers* regs, vmm::u64 guest_vmcb_pa, vmm::u64 host_vmcb_pa);

namespace vmm::svm
{
namespace
{

// A loop is so many PAUSEs, no more than so many cycles from one to the next. Without the threshold the CPU
// counts them all, and some exits are for nothing. [APM2 15.14.4]
constexpr u16 kSpinPauses = 3000;
constexpr u16 kSpinGap    = 128;

constexpr u8 kAnyPriority = 0xf;

// V_IRQ without its intercept is an interrupt the CPU delivers itself. A window is V_IRQ with the intercept.
bool interrupt_queued(const Vmcb& vmcb)
{
    return (vmcb.vintr & vintr::v_irq) && !(vmcb.intercept_1 & intercepts(exitcode::vintr));
}

} // namespace

Svm_vcpu::Svm_vcpu(Vcpu& vcpu, Mfn pages)
    : vcpu_(vcpu), vmcb_(to_virtual<Vmcb>(pages)), vmcb_pa_(to_hpa(pages).value()),
      fpu_(to_virtual<std::byte>(pages + 1))
{
    set_up_controls();
    init_fpu_area(fpu_);
    vcpu.regs.speculation.distrusted = hardening().distrust_dom0 || vcpu.domain().id() != kDom0;
}

Svm_vcpu::~Svm_vcpu() { frames.free(to_mfn(Hpa(vmcb_pa_)), kPagesOrder); }

void Svm_vcpu::set_up_controls()
{
    namespace e = exitcode;

    // #DB and #AC can recur for ever while they are being delivered, without the CPU ever leaving the
    // guest; #MC is the host's.
    vmcb_->intercept_exception = intercepts(1, 17, 18);
    vmcb_->intercept_1 = intercepts(e::intr, e::nmi, e::smi, e::init, e::rdpmc, e::cpuid, e::invd, e::hlt,
                                    e::invlpga, e::ioio, e::msr, e::ferr, e::shutdown);
    vmcb_->intercept_2 = intercepts(e::vmrun, e::vmmcall, e::vmload, e::vmsave, e::stgi, e::clgi, e::skinit,
                                    e::wbinvd, e::monitor, e::mwait, e::xsetbv, e::rdpru);
    if (features().pause_filter && vcpu_.domain().configured_vcpus() > 1) {
        vmcb_->intercept_1 |= intercepts(e::pause);
        vmcb_->pause_filter_count     = kSpinPauses;
        vmcb_->pause_filter_threshold = kSpinGap;
    }
    vmcb_->vintr          = vintr::intr_masking;
    vmcb_->msrpm_base_pa  = msr_permission_map_pa(false);
    vmcb_->nested_control = 1;
    vmcb_->n_cr3          = to_hpa(vcpu_.domain().p2m().root()).value();
    (void)write_system({});
}

[[gnu::always_inline]] inline Vm_exit Svm_vcpu::enter(Guest_registers& regs)
{
    Cpu& cpu = cpus.here();
    if (!cpu.asids.is_current(asid_)) [[unlikely]]
        take_asid(cpu.asids);
    Vmcb& vmcb  = *vmcb_;
    vmcb.rax    = regs.rax;
    vmcb.rsp    = regs.rsp;
    vmcb.rip    = regs.rip;
    vmcb.rflags = regs.rflags;

    svm_enter(&regs, vmcb_pa_, cpu.host_vmcb_pa);
    turns::come_in();

    regs.rax         = vmcb.rax;
    regs.rsp         = vmcb.rsp;
    regs.rip         = vmcb.rip;
    regs.rflags      = vmcb.rflags;
    vmcb.tlb_control = 0;
    vmcb.eventinj    = 0;
    in_shadow_       = vmcb.interrupt_shadow & 1;
    if (vmcb.exitintinfo & event::valid) [[unlikely]]
        requeue_interrupted_event();

    if (interrupt_queued(vmcb)) [[unlikely]] {
        vmcb.vintr &= ~vintr::v_irq;
        take_back_injected(vcpu_);
    }
    if (in_nmi_) [[unlikely]]
        follow_nmi(regs.rip);
    Vm_exit exit = decode_exit(vmcb, static_cast<u32>(regs.rcx));
    const auto instruction =
        exiting_instruction(vmcb.exitcode, exit.kind == Exit_kind::msr && exit.msr.write);
    if (instruction != Intercepted_instruction::none) {
        exit.instruction_length = features().next_rip_save ? static_cast<u8>(vmcb.nrip - regs.rip)
                                                           : measure_instruction(regs, instruction);
        // The code is not what it was when the CPU read it: let the guest execute what is there now.
        if (exit.instruction_length == 0) [[unlikely]]
            exit.kind = Exit_kind::external_interrupt;
    }
    return exit;
}

void Svm_vcpu::run(const std::atomic<bool>& stop) { run_guest(vcpu_, *this, stop); }

void Svm_vcpu::take_asid(Address_space_ids& asids)
{
    bool flush_all     = false;
    asid_              = asids.next(flush_all);
    vmcb_->guest_asid  = asid_.number;
    vmcb_->tlb_control = flush_all ? 1 : 0;
}

// An event was being delivered when the exit happened: it is delivered again. A software interrupt is
// not: RIP still points at its instruction, which executes again. [APM2 15.7.2] QEMU reports a virtual
// interrupt that was cut short as an exception, which no vector above 31 is, and leaves V_IRQ set: it waits.
void Svm_vcpu::requeue_interrupted_event()
{
    const u64 type   = vmcb_->exitintinfo & event::type_mask;
    const u64 vector = vmcb_->exitintinfo & event::vector_mask;
    if (type == event::type_software ||
        (type == event::type_exception && (vector == 3 || vector == 4 || vector > 31)))
        return;
    vmcb_->eventinj = vmcb_->exitintinfo;
}

// The CPU leaves the guest before the handler's IRET. That has been executed, or has faulted, when the guest
// is seen elsewhere: where interrupts are on behind it, a window sees to that at once. [APM2 8.2.3, 15.9]
void Svm_vcpu::follow_nmi(u64 rip)
{
    if (vmcb_->exitcode == exitcode::iret) {
        iret_at_ = rip;
        vmcb_->intercept_1 &= ~intercepts(exitcode::iret);
    } else if (iret_at_ && rip != *iret_at_) {
        iret_at_.reset();
        in_nmi_ = false;
        if (std::exchange(nmi_waits_, false))
            vcpu_.nmi_pending = true;
    }
}

u8 Svm_vcpu::measure_instruction(const Guest_registers& regs, Intercepted_instruction which)
{
    u8 bytes[kMaxInstructionLength];
    const auto found = fetch_instruction(vcpu_, Gva(vmcb_->cs.base + regs.rip), bytes);
    return instruction_length(found, which, is_long_code(*vmcb_)).value_or(0);
}

void Svm_vcpu::load()
{
    separate_vcpus(vcpu_.serial);
    if (std::exchange(cpu_, this_cpu()) != this_cpu())
        asid_ = {};
    vmcb_->iopm_base_pa = io_permission_map(vcpu_.domain()).value();
    restore_fpu(fpu_, vcpu_.xcr0);
    write_debug_addresses(debug_address_);
    if (features().rdtscp)
        write_msr(msr::kTscAux, vcpu_.tsc_aux);
}

void Svm_vcpu::store()
{
    vcpu_.xcr0 = read_guest_xcr0();
    save_fpu(fpu_);
    read_debug_addresses(debug_address_);
}

bool Svm_vcpu::event_queued() const { return vmcb_->eventinj & event::valid; }

// External interrupts go by V_IRQ and not by EVENTINJ: the CPU then takes them like any interrupt, on every
// implementation. QEMU (7.2 at least) keeps an interrupt injected by EVENTINJ in mind until the next exit and
// delivers it once more, whatever IF says, when a timer of its own expires first. [APM2 15.21.4]
void Svm_vcpu::inject(const Injection& what)
{
    if (what.type == Injection::Type::external) {
        vmcb_->vintr = (vmcb_->vintr & ~vintr::vector_mask) | vintr::v_irq | vintr::ignore_tpr |
                       static_cast<u64>(what.vector) << vintr::vector_shift;
        vmcb_->intercept_1 &= ~intercepts(exitcode::vintr);
        return;
    }
    if (what.type == Injection::Type::nmi) {
        if (std::exchange(in_nmi_, true)) {
            nmi_waits_ = true;
            return request_window(kAnyPriority);
        }
        vmcb_->intercept_1 |= intercepts(exitcode::iret);
    }
    vmcb_->eventinj =
        what.vector | static_cast<u64>(what.type) << event::type_shift | event::valid |
        (what.has_error_code ? event::error_valid | static_cast<u64>(what.error_code) << 32 : 0);
}

void Svm_vcpu::request_window(u8 priority)
{
    vmcb_->vintr = (vmcb_->vintr & ~(vintr::prio_mask | vintr::ignore_tpr)) | vintr::v_irq |
                   static_cast<u64>(priority) << vintr::prio_shift;
    vmcb_->intercept_1 |= intercepts(exitcode::vintr);
}

void Svm_vcpu::cancel_window()
{
    vmcb_->vintr &= ~(vintr::v_irq | vintr::prio_mask);
    vmcb_->intercept_1 &= ~intercepts(exitcode::vintr);
}

void Svm_vcpu::finish_skipping(Guest_registers& regs)
{
    if (!(vmcb_->cs.attributes & segment_long))
        regs.rip &= 0xffffffff;
    vmcb_->interrupt_shadow = 0;
    in_shadow_              = false;
    if (regs.rflags & rflags::tf) {
        vmcb_->dr6 |= dr6::bs;
        inject({1, Injection::Type::exception, false, 0});
    }
}

Paging_state Svm_vcpu::paging() const
{
    return {vmcb_->cr0, vmcb_->cr3, vmcb_->cr4, vmcb_->efer & ~efer::svme, vmcb_->cpl};
}

bool Svm_vcpu::paging_is(const Paging_state& s) const
{
    const Vmcb& vmcb = *vmcb_;
    return ((vmcb.cr0 ^ s.cr0) | (vmcb.cr3 ^ s.cr3) | (vmcb.cr4 ^ s.cr4) |
            ((vmcb.efer & ~efer::svme) ^ s.efer) | static_cast<u8>(vmcb.cpl ^ s.cpl)) == 0;
}

void Svm_vcpu::flush_tlb() { asid_ = {}; }

void Svm_vcpu::give_spec_ctrl(u32 value)
{
    vmcb_->msrpm_base_pa = msr_permission_map_pa(true);
    if (hardening().virtual_spec_ctrl)
        vmcb_->spec_ctrl = value;
    else
        vcpu_.regs.speculation = {value, true, vcpu_.regs.speculation.distrusted};
}

u32 Svm_vcpu::spec_ctrl() const
{
    return hardening().virtual_spec_ctrl ? static_cast<u32>(vmcb_->spec_ctrl)
                                         : vcpu_.regs.speculation.spec_ctrl;
}

void Svm_vcpu::set_tpr(u8 tpr)
{
    vmcb_->vintr = (vmcb_->vintr & ~vintr::tpr_mask) | (tpr >> 4);
    tpr_         = tpr;
}

// MOV CR8 changes the class, and clears the rest. [APM2 15.21.2, 16.2.4]
u8 Svm_vcpu::tpr() const
{
    const u8 task_class = static_cast<u8>((vmcb_->vintr & vintr::tpr_mask) << 4);
    return task_class == (tpr_ & 0xf0) ? tpr_ : task_class;
}

} // namespace vmm::svm
