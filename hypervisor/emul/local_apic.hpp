// SPDX-License-Identifier: Apache-2.0
//
// The virtual local APIC of one vCPU, embedded in it. It is in x2APIC mode from the start: its registers
// are MSRs and there is no register page in memory; a guest may switch the APIC off, but cannot bring it
// back to a working xAPIC mode. APIC id = 2 * vCPU id, as Xen numbers them. Errors are Errc::einval: the
// caller injects #GP. Everything is called on the CPU that runs the vCPU, except set_irq(), which any CPU
// may call. [SDM3 11, above all 11.12; APM2 16]
//
// The TPR has one home, the backend's, which MOV CR8 changes without an exit: this class reads it from there
// whenever it matters. Where the CPU delivers interrupts itself, and while the APIC is on, what is in service
// and what was requested before the last entry are there too; the IRR here then has only what came since.
#pragma once

#include "arch/x86/regs/local_apic.hpp"
#include "base/expected.hpp"
#include "domain/time.hpp"
#include "emul/interrupt_delivery.hpp"
#include "sched/timer.hpp"

#include <array>
#include <atomic>

struct hvm_hw_lapic;
struct hvm_hw_lapic_regs;

namespace vmm
{

class Vcpu;

class Local_apic
{
  public:
    // Does not use `vcpu` before the first access.
    Local_apic(Vcpu& vcpu, Vcpu_id id, const Clock& clock);

    static constexpr u32 id_of(Vcpu_id vcpu) { return 2 * vcpu.value(); }
    [[nodiscard]] u32 id() const { return id_; }
    // [SDM3 11.12.10.2]
    [[nodiscard]] u32 logical_id() const { return ((id_ & 0xffff0) << 12) | 1u << (id_ & 15); }

    // IA32_APIC_BASE (0x1b) and the x2APIC registers (0x800 to 0x8ff).
    static constexpr bool owns_msr(u32 index) { return index == 0x1b || (index & ~0xffu) == 0x800; }
    Expected<u64> read_msr(u32 index);
    Expected<void> write_msr(u32 index, u64 value);

    // A message arrived for this APIC: request the interrupt and wake the vCPU. Any CPU.
    void set_irq(u8 vector, bool level_triggered);

    // What has to be injected at this entry, or -1: nothing, or the CPU delivers it. On the way to every
    // guest entry, so cheap when nothing is requested.
    [[nodiscard]] int next_to_inject() { return irr_.empty() ? -1 : offer(); }
    [[nodiscard]] bool requests_any() const { return !irr_.empty(); }
    // The highest requested vector that the processor priority lets through, or -1.
    [[nodiscard]] int pending_vector() const { return irr_.empty() && !delivery_ ? -1 : find_deliverable(); }
    // Something is requested that only the task priority holds back: it becomes deliverable by a MOV CR8.
    [[nodiscard]] bool held_back_by_tpr() const { return !irr_.empty() && !delivery_ && wait_for_tpr(); }
    // The highest requested vector, deliverable or not, or -1.
    [[nodiscard]] int highest_requested() const { return highest(irr_); }
    // The vCPU takes `vector`, which next_to_inject() just returned.
    void accept(u8 vector);
    // It did not, after all: requested again.
    void give_back(u8 vector);

    // The CPU took the guest's EOI of this vector.
    void in_service_ended(u8 vector);

    // The domain dies.
    void stop_timer() { timer_.stop(); }
    // INIT: as after power-up, but the id and the mode in APIC_BASE stay. [SDM3 11.4.7.1, 11.12.5.1]
    void reset();
    // Hardware enabled, and software enabled in the spurious-vector register.
    [[nodiscard]] bool accepts_interrupts() const
    {
        return (base_ & apic::kBaseEnable) && (spurious_ & apic::kSpuriousEnable);
    }

    // The HVM context's LAPIC and LAPIC_REGS records. [hvm/save.h]
    void save(hvm_hw_lapic& state, hvm_hw_lapic_regs& registers);
    Expected<void> load(const hvm_hw_lapic& state, const hvm_hw_lapic_regs& registers);

  private:
    // Six LVT entries, version 0x14: no CMCI, no directed EOI.
    static constexpr u32 kVersion = 5u << 16 | 0x14;
    enum Lvt : u8 { lvt_timer, lvt_thermal, lvt_performance, lvt_lint0, lvt_lint1, lvt_error, lvt_count };

    void clear();
    void choose_delivery();
    int offer();
    [[nodiscard]] Vectors requested() const;
    [[nodiscard]] Vectors in_service() const;
    [[nodiscard]] int find_deliverable() const;
    [[nodiscard]] bool wait_for_tpr() const;
    [[nodiscard]] u8 tpr() const;
    [[nodiscard]] u8 processor_priority() const;
    [[nodiscard]] bool x2apic() const
    {
        return (base_ & (apic::kBaseEnable | apic::kBaseX2apic)) == (apic::kBaseEnable | apic::kBaseX2apic);
    }
    [[nodiscard]] Expected<u64> read_register(u32 offset) const;
    Expected<void> write_base(u64 value);
    Expected<void> write_register(u32 offset, u32 value);
    Expected<void> write_lvt(Lvt entry, u32 value);
    Expected<void> write_spurious(u32 value);
    Expected<void> write_divide(u32 value);
    static bool lvt_is_valid(Lvt entry, u32 value);
    void end_of_interrupt();
    Expected<void> send_ipi(u64 command);
    void self_ipi(u8 vector);
    void report_error(u32 error);

    [[nodiscard]] u32 timer_shift() const;
    [[nodiscard]] u32 timer_count() const;
    [[nodiscard]] u64 timer_ns(u32 count) const;
    void start_timer(u32 initial_count);
    void start_countdown(u32 count);
    void timer_fired();
    static void timer_fired(void* apic);

    Vector_set irr_;
    Vector_set isr_;
    Vector_set tmr_;
    Interrupt_delivery* delivery_ = nullptr; // of the CPU, while it is in use
    Vcpu& vcpu_;
    std::atomic<u64> base_; // read by senders, as the next but one
    u32 id_;
    std::atomic<u32> spurious_;
    std::atomic<u32> timer_divide_{0}; // the divide configuration register; read where the timer fires
    std::atomic<u32> timer_initial_count_{0};
    u32 error_status_ = 0;
    std::atomic<u32> errors_{0}; // since the last write to the error status register
    u64 command_ = 0;
    std::array<std::atomic<u32>, lvt_count> lvt_;
    const Clock& clock_;
    Timer timer_;
};

} // namespace vmm
