// SPDX-License-Identifier: Apache-2.0
//
// The vendor seam: what the exit loop needs of a hardware-virtualised CPU, once per vCPU. Each vendor's
// implementation is under arch/, and nothing above knows which it has. A backend never decides policy and
// never touches the domain; it is owned by its Vcpu. Only the CPU that runs the vCPU calls it, with
// interrupts off.
#pragma once

#include "base/unique.hpp"
#include "domain/registers.hpp"
#include "exit/vm_exit.hpp"

#include <atomic>

namespace vmm
{

class Interrupt_delivery;

// An event to be delivered at the next entry. [APM2 15.20, SDM3 25.8.3]
struct Injection {
    enum class Type : u8 { external = 0, nmi = 2, exception = 3 };
    u8 vector;
    Type type;
    bool has_error_code;
    u32 error_code;
};

class Vcpu_backend
{
  public:
    virtual ~Vcpu_backend() = default;

    // Runs the guest and handles its exits until `stop` is set: run_guest() of exit/exit_loop.hpp.
    virtual void run(const std::atomic<bool>& stop) = 0;

    // Called when this vCPU gets, and when it loses, the physical CPU: state that VM entry does not switch.
    virtual void load()  = 0;
    virtual void store() = 0;

    // Whether an external interrupt could be delivered right now (IF set, no shadow, nothing else queued).
    [[nodiscard]] bool can_take_interrupt(const Guest_registers& regs) const
    {
        return (regs.rflags & rflags::if_) && !in_shadow_ && !event_queued();
    }
    // STI, or a load of SS, holds interrupts back for one more instruction: as it was at the last exit.
    [[nodiscard]] bool in_interrupt_shadow() const { return in_shadow_; }
    // True while an event is queued for the next entry, or was cut short and must be delivered again.
    [[nodiscard]] virtual bool event_queued() const = 0;
    // At the next entry. An external interrupt only if can_take_interrupt(); it takes the place of a window.
    virtual void inject(const Injection& event)     = 0;
    // Asks for an interrupt_window exit as soon as the guest can take an interrupt of this priority class
    // (vector >> 4) or above; cancel_window() takes the wish back.
    virtual void request_window(u8 priority)        = 0;
    virtual void cancel_window()                    = 0;
    // The instruction was emulated: RIP moves on, the interrupt shadow ends, a pending TF traps.
    void skip_instruction(Guest_registers& regs, u8 length)
    {
        regs.rip += length;
        // Only in 64-bit code RIP goes on beyond 4 GiB.
        const bool beyond = static_cast<u32>(regs.rip) < length;
        if (in_shadow_ || beyond || (regs.rflags & rflags::tf)) [[unlikely]]
            finish_skipping(regs);
    }

    [[nodiscard]] virtual Paging_state paging() const                     = 0;
    [[nodiscard]] virtual bool paging_is(const Paging_state& state) const = 0;
    [[nodiscard]] virtual u64 cr4() const                                 = 0;
    [[nodiscard]] virtual System_state read_system() const                = 0;
    // Einval for a state this CPU would refuse to enter.
    virtual Expected<void> write_system(const System_state& state)        = 0;
    // The floating-point and vector registers, in the standard form of XSAVE (or of FXSAVE on a CPU that has
    // no more), while the vCPU does not have the physical CPU. arch/x86/cpu/fpu.hpp tells its size.
    [[nodiscard]] virtual std::byte* fpu_area()                           = 0;
    // What the CPU remembers of its translations is forgotten before the next entry.
    virtual void flush_tlb()                                              = 0;
    // The guest has begun to use SPEC_CTRL: with this value, and from now on without exits.
    virtual void give_spec_ctrl(u32 value)                                = 0;
    // What it last wrote there; 0 as long as it does not use it.
    [[nodiscard]] virtual u32 spec_ctrl() const                           = 0;
    virtual void set_tpr(u8 tpr)         = 0; // keeps CR8 and the virtual APIC's TPR one register
    [[nodiscard]] virtual u8 tpr() const = 0;
    // Null where the CPU does not deliver the APIC's interrupts itself.
    [[nodiscard]] virtual Interrupt_delivery* interrupt_delivery() { return nullptr; }

  protected:
    // What else goes with skipping an instruction, RIP being past it.
    virtual void finish_skipping(Guest_registers& regs) = 0;

    bool in_shadow_ = false;
};

} // namespace vmm
