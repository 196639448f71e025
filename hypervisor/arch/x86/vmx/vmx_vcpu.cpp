// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/vmx/vmx_vcpu.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/hardening.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/decode/vmx_entry.hpp"
#include "arch/x86/io_permissions.hpp"
#include "arch/x86/vmx/instructions.hpp"
#include "base/per_cpu.hpp"
#include "debug/log.hpp"
#include "exit/exit_loop.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/cpus.hpp"

#include <cstring>
#include <utility>

extern "C" bool vmx_enter(vmm::Guest_registers* regs, bool launched);

namespace vmm::vmx
{
namespace
{

// Exits that need no look at anything but the reason.
bool is_bare(u32 why) { return why == reason::external || why == reason::interrupt_window; }

Exit_fields read_exit()
{
    Exit_fields fields;
    fields.reason = read32(Field::exit_reason);
    const u32 why = fields.reason & reason::mask;
    if (is_bare(why))
        return fields;
    fields.qualification      = read(Field::exit_qualification);
    fields.instruction_length = read32(Field::instruction_length);
    if (why == reason::ept_violation)
        fields.gpa = read(Field::gpa);
    if (why == reason::exception) {
        fields.event      = read32(Field::exit_event);
        fields.error_code = read32(Field::exit_error_code);
    }
    return fields;
}

} // namespace

Vmx_vcpu::Vmx_vcpu(Vcpu& vcpu, Mfn pages)
    : vcpu_(vcpu), vmcs_(to_hpa(pages)), apic_(to_virtual<u32>(pages + 1)),
      fpu_(to_virtual<std::byte>(pages + 2)), eptp_(make_eptp(to_hpa(vcpu.domain().p2m().root()), controls()))
{
    init_vmcs_region(vmcs_);
    init_fpu_area(fpu_);
    vmclear(vmcs_);
    use();
    set_up_controls(to_hpa(pages + 1));
    set_up_guest();
    vcpu.regs.speculation.distrusted = hardening().distrust_dom0 || vcpu.domain().id() != kDom0;
    take_out();
}

Vmx_vcpu::~Vmx_vcpu()
{
    forget_current(vmcs_);
    frames.free(to_mfn(vmcs_), kPagesOrder);
}

void Vmx_vcpu::use() const { make_current(vmcs_); }

// Where there are several CPUs, a VMCS is active on one only while that has its vCPU. [SDM3 25.1, 25.11.1]
void Vmx_vcpu::take_out() const
{
    if (loaded_ || cpu_count() == 1)
        return;
    forget_current(vmcs_);
    launched_ = false;
}

[[gnu::always_inline]] inline Vm_exit Vmx_vcpu::enter(Guest_registers& regs)
{
    use();
    prepare_translation();
    apic_.write_changes();
    write_event();
    write_registers(regs);
    vmm::write_cr2(cr2_);
    const bool entered = vmx_enter(&regs, launched_);
    turns::come_in();
    cr2_ = read_cr2();
    if (!entered) [[unlikely]] {
        const u64 error = read(Field::instruction_error);
        explain_refusal(instruction_error_words(error));
        return {.kind = Exit_kind::entry_failure, .instruction_length = 0, .code = error};
    }
    const Exit_fields fields = read_exit();
    if (fields.reason & kEntryFailed) [[unlikely]]
        explain_refusal(entry_exit_words(fields.reason, fields.qualification));
    else
        launched_ = true;
    read_registers(regs);
    in_shadow_ = (read32(Field::interruptibility) & (blocking::sti | blocking::mov_ss)) != 0;
    after_exit(fields);
    Vm_exit exit = decode_exit(fields, static_cast<u32>(regs.rcx));
    if ((fields.reason & reason::mask) == reason::control_register && move_to_control_register(fields, regs))
        exit.kind = Exit_kind::external_interrupt; // nothing is left to be done above
    if (exit.kind == Exit_kind::exception && exit.exception.vector == 1) [[unlikely]]
        finish_debug_exception(fields, regs);
    if (exit.kind == Exit_kind::hypercall)
        exit.from_kernel = cpl() == 0 && in_long_code();
    return exit;
}

// What it would have done before its handler begins: DR6 tells of it, and INT1 is behind RIP. [SDM3 28.2.1]
void Vmx_vcpu::finish_debug_exception(const Exit_fields& fields, Guest_registers& regs)
{
    write_dr6((read_dr6() & ~low_bits(4)) | fields.qualification);
    if ((fields.event & event::type_mask) == event::type_int1)
        regs.rip += fields.instruction_length;
    // An entry in such a shadow wants it so; as #DB is injected there, nothing comes of it. [SDM3 27.3.1.5]
    if (in_shadow_ && (regs.rflags & rflags::tf))
        write(Field::pending_debug, kPendingStep);
}

void Vmx_vcpu::run(const std::atomic<bool>& stop) { run_guest(vcpu_, *this, stop); }

// The guest does not run again: its domain is crashed above.
void Vmx_vcpu::explain_refusal(std::string_view what_the_cpu_says) const
{
    const auto fault     = find_entry_fault(read, {capabilities(), physical_bits(), tpr()});
    const Domain& domain = vcpu_.domain();
    if (fault)
        log::error("d{}v{}: VM entry failed, {}: {} {} = {x}: {}", domain.id(), vcpu_.id(), what_the_cpu_says,
                   fault->owner, fault->field, fault->value, fault->rule);
    else
        log::error("d{}v{}: VM entry failed, {}: no field breaks a rule that is known here", domain.id(),
                   vcpu_.id(), what_the_cpu_says);
}

void Vmx_vcpu::write_registers(const Guest_registers& regs)
{
    if (regs.rip != in_vmcs_.rip)
        write(Field::guest_rip, regs.rip);
    if (regs.rsp != in_vmcs_.rsp)
        write(Field::guest_rsp, regs.rsp);
    if (regs.rflags != in_vmcs_.rflags)
        write(Field::guest_rflags, regs.rflags);
    watch_interrupts_off(!(regs.rflags & rflags::if_));
}

void Vmx_vcpu::read_registers(Guest_registers& regs)
{
    regs.rip = in_vmcs_.rip = read(Field::guest_rip);
    regs.rsp = in_vmcs_.rsp = read(Field::guest_rsp);
    regs.rflags = in_vmcs_.rflags = read(Field::guest_rflags);
}

void Vmx_vcpu::prepare_translation()
{
    if (!vpids().is_current(vpid_)) [[unlikely]] {
        bool flush_all = false;
        vpid_          = vpids().next(flush_all);
        if (controls().has_2(cpu_control_2::vpid)) {
            write(Field::vpid, vpid_.number);
            if (flush_all)
                invvpid_all();
        }
    }
    if (ept_changed_) [[unlikely]] {
        ept_changed_ = false;
        invept(eptp_);
    }
}

// When a guest has run for a millisecond with interrupts off, it exits, however often it did before by
// itself. The machine's interrupts end its turn whatever its IF says, by the manual; in Bochs (2.8 at least)
// they do not where IF was clear at the entry and the host has just had it set, and such a guest would keep
// the CPU for ever. With interrupts on the timer is as far away as it can be. [SDM3 26.5.1]
void Vmx_vcpu::watch_interrupts_off(bool off)
{
    if (off == watched_)
        return;
    watched_ = off;
    start_timer();
}

void Vmx_vcpu::start_timer()
{
    if (controls().has_pin(pin::preemption_timer))
        write(Field::preemption_timer,
              watched_ ? tsc_info().khz >> controls().preemption_timer_shift : low_bits(32));
}

void Vmx_vcpu::write_event()
{
    if (!event_queued())
        return;
    write(Field::entry_event, event_);
    if (event_ & event::error_valid)
        write(Field::entry_error_code, event_error_);
    event_ = 0; // the CPU clears its own at the exit
}

// What the exit says besides its reason: about NMIs, and about an event whose delivery it cut short.
void Vmx_vcpu::after_exit(const Exit_fields& fields)
{
    const u32 why = fields.reason & reason::mask;
    if (why == reason::preemption_timer)
        start_timer();
    if (why == reason::exception && (fields.event & event::type_mask) == event::type_nmi)
        asm volatile("int $2"); // the host's: its handler's IRET lets the next one come
    if (why == reason::nmi_window) {
        set_cpu_controls(0, cpu_control::nmi_window);
        event_ = event::valid | event::type_nmi | 2;
    }
    if (fields.reason & kEntryFailed) // no entry: the fields below are an earlier exit's
        return;
    const u32 cut = read32(Field::cut_event);
    if (cut & event::valid) [[unlikely]]
        requeue_cut_event(cut);
    else if ((why == reason::exception && (fields.event & event::nmi_unblocked)) ||
             (why == reason::ept_violation && (fields.qualification & event::nmi_unblocked)))
        write(Field::interruptibility, read(Field::interruptibility) | blocking::nmi);
}

// It is delivered again, but for those of an instruction's: RIP still points at it, and it executes again.
// [SDM3 28.2.4]
void Vmx_vcpu::requeue_cut_event(u32 cut)
{
    const u32 type = cut & event::type_mask;
    if (type > event::type_exception)
        return;
    event_       = cut & ~event::nmi_unblocked; // undefined in this field
    event_error_ = cut & event::error_valid ? read32(Field::cut_error_code) : 0;
    if (type == event::type_nmi)
        write(Field::interruptibility, read(Field::interruptibility) & ~u64{blocking::nmi});
}

void Vmx_vcpu::load()
{
    separate_vcpus(vcpu_.serial);
    use();
    if (std::exchange(cpu_, this_cpu()) != this_cpu()) {
        write_host_state();
        flush_tlb();
    }
    const Hpa ports = io_permission_map(vcpu_.domain());
    write(Field::io_bitmap_a, ports.value());
    write(Field::io_bitmap_b, (ports + kPageSize).value());
    restore_fpu(fpu_, vcpu_.xcr0);
    restore_resident();
    if (controls().has_2(cpu_control_2::rdtscp))
        write_msr(msr::kTscAux, vcpu_.tsc_aux);
    loaded_ = true;
}

void Vmx_vcpu::store()
{
    save_fpu(fpu_);
    save_resident(resident_);
    loaded_ = false;
    take_out();
}

bool Vmx_vcpu::event_queued() const { return event_ & event::valid; }

void Vmx_vcpu::inject(const Injection& what)
{
    use();
    constexpr u32 no_nmi = blocking::sti | blocking::mov_ss | blocking::nmi;
    if (what.type == Injection::Type::nmi && (read32(Field::interruptibility) & no_nmi)) {
        set_cpu_controls(cpu_control::nmi_window, 0);
        return;
    }
    // Without protection no exception has an error code.
    const bool error = what.has_error_code && (read(Field::guest_cr0) & cr0::pe);
    event_           = event::valid | what.vector | static_cast<u32>(what.type) << event::type_shift |
             (error ? event::error_valid : 0);
    event_error_ = what.error_code;
}

void Vmx_vcpu::set_cpu_controls(u32 set, u32 clear)
{
    const u32 value = (cpu_controls_ & ~clear) | set;
    if (value == cpu_controls_)
        return;
    cpu_controls_ = value;
    write(Field::cpu_controls, value);
}

// An interrupt window ignores the TPR; where that holds the interrupt back, its fall is waited for first.
void Vmx_vcpu::request_window(u8 priority)
{
    use();
    if (apic_.delivers() || priority > tpr() >> 4)
        set_cpu_controls(cpu_control::interrupt_window, 0);
    else
        write(Field::tpr_threshold, priority);
}

void Vmx_vcpu::cancel_window()
{
    use();
    set_cpu_controls(0, cpu_control::interrupt_window);
    write(Field::tpr_threshold, 0);
}

void Vmx_vcpu::give_spec_ctrl(u32 value)
{
    use();
    apic_.give_spec_ctrl();
    vcpu_.regs.speculation = {value, true, vcpu_.regs.speculation.distrusted};
    take_out();
}

u32 Vmx_vcpu::spec_ctrl() const { return vcpu_.regs.speculation.spec_ctrl; }

// The threshold may not be above the TPR at an entry; who still waits asks again before the next.
void Vmx_vcpu::set_tpr(u8 tpr)
{
    use();
    apic_.tpr() = tpr;
    write(Field::tpr_threshold, 0);
    take_out();
}

u8 Vmx_vcpu::tpr() const { return static_cast<u8>(apic_.tpr()); }

Interrupt_delivery* Vmx_vcpu::interrupt_delivery() { return controls().virtual_apic ? &apic_ : nullptr; }

void Vmx_vcpu::finish_skipping(Guest_registers& regs)
{
    use();
    if (!in_long_code())
        regs.rip &= 0xffffffff;
    const u32 blocked = read32(Field::interruptibility);
    write(Field::interruptibility, blocked & ~(blocking::sti | blocking::mov_ss));
    in_shadow_ = false;
    if (regs.rflags & rflags::tf) {
        write_dr6(read_dr6() | dr6::bs);
        inject({1, Injection::Type::exception, false, 0});
    }
}

void Vmx_vcpu::flush_tlb()
{
    vpid_        = {};
    ept_changed_ = true;
}

} // namespace vmm::vmx
