// SPDX-License-Identifier: Apache-2.0
//
// The VT-x backend of one vCPU: its VMCS, its FPU, debug and SYSCALL registers, its VPID. [SDM3 25 to 28]
#pragma once

#include "arch/x86/decode/vmx_exit.hpp"
#include "arch/x86/vmx/vmx_apic.hpp"
#include "arch/x86/vmx/vmx_host.hpp"
#include "base/per_cpu.hpp"
#include "domain/vcpu_backend.hpp"

namespace vmm
{
class Vcpu;
}

namespace vmm::vmx
{

class Vmx_vcpu final : public Vcpu_backend
{
  public:
    static constexpr unsigned kPagesOrder = 2;
    // Takes over its pages: the VMCS, the virtual-APIC page, the FPU area.
    Vmx_vcpu(Vcpu& vcpu, Mfn pages);
    ~Vmx_vcpu() override;

    void run(const std::atomic<bool>& stop) override;
    Vm_exit enter(Guest_registers& regs);
    void load() override;
    void store() override;
    [[nodiscard]] bool event_queued() const override;
    void inject(const Injection& event) override;
    void request_window(u8 priority) override;
    void cancel_window() override;
    [[nodiscard]] Paging_state paging() const override;
    [[nodiscard]] bool paging_is(const Paging_state& state) const override { return paging() == state; }
    [[nodiscard]] u64 cr4() const override;
    [[nodiscard]] System_state read_system() const override;
    std::byte* fpu_area() override { return fpu_; }
    Expected<void> write_system(const System_state& state) override;
    void flush_tlb() override;
    void give_spec_ctrl(u32 value) override;
    [[nodiscard]] u32 spec_ctrl() const override;
    void set_tpr(u8 tpr) override;
    [[nodiscard]] u8 tpr() const override;
    [[nodiscard]] Interrupt_delivery* interrupt_delivery() override;

  private:
    struct In_vmcs {
        u64 rip = ~0ull, rsp = ~0ull, rflags = ~0ull;
    };

    void finish_skipping(Guest_registers& regs) override;
    void use() const;      // makes the VMCS current
    void take_out() const; // on the way to another CPU: it is not loaded here
    void set_up_controls(Hpa virtual_apic);
    void set_up_guest();

    void explain_refusal(std::string_view what_the_cpu_says) const;
    void prepare_translation();
    void watch_interrupts_off(bool off);
    void start_timer();
    void write_event();
    void write_registers(const Guest_registers& regs);
    void read_registers(Guest_registers& regs);
    void after_exit(const Exit_fields& fields);
    void requeue_cut_event(u32 cut);
    void finish_debug_exception(const Exit_fields& fields, Guest_registers& regs);
    void set_cpu_controls(u32 set, u32 clear);
    void save_resident(Resident_state& to) const;
    void restore_resident() const;
    [[nodiscard]] bool in_long_code() const;
    [[nodiscard]] u8 cpl() const;
    void set_efer(u64 value);

    // control_access.cpp. False: not an access that can be emulated.
    bool move_to_control_register(const Exit_fields& fields, Guest_registers& regs);
    bool write_guest_cr0(u64 value); // false: #GP
    bool write_guest_cr4(u64 value);
    bool load_pdptes();
    [[nodiscard]] u64 guest_cr0() const; // as the guest sees it
    [[nodiscard]] u64 guest_cr4() const;
    void set_cr0(u64 value);
    void set_cr4(u64 value);

    Vcpu& vcpu_;
    Hpa vmcs_;
    Vmx_apic apic_;
    std::byte* fpu_;
    u64 eptp_;
    Resident_state resident_{}; // neither entry nor exit moves it: in the CPU while the vCPU is loaded
    u64 cr2_ = 0;
    u32 cpu_ = this_cpu(); // whose host state is in the VMCS
    Address_space_ids::Id vpid_;
    u32 event_        = 0; // for the next entry, as its VMCS field
    u32 event_error_  = 0;
    u32 cpu_controls_ = 0; // as in the VMCS
    In_vmcs in_vmcs_;
    bool watched_          = false; // the preemption timer is set to a millisecond
    mutable bool launched_ = false;
    bool loaded_           = false;
    bool ept_changed_      = true;
};

// CR0 and CR4 bits that the guest writes without an exit. [SDM3 25.6.6]
[[nodiscard]] u64 guest_owned_cr0();
[[nodiscard]] u64 guest_owned_cr4();

} // namespace vmm::vmx
