// SPDX-License-Identifier: Apache-2.0
//
// The AMD-V backend of one vCPU: its VMCB, its FPU and debug registers, its ASID. [APM2 15]
#pragma once

#include "arch/x86/decode/instruction_length.hpp"
#include "arch/x86/regs/control.hpp"
#include "arch/x86/regs/vmcb.hpp"
#include "arch/x86/svm/svm_host.hpp"
#include "domain/vcpu_backend.hpp"

#include <optional>

namespace vmm
{
class Vcpu;
}

namespace vmm::svm
{

class Svm_vcpu final : public Vcpu_backend
{
  public:
    static constexpr unsigned kPagesOrder = 1;
    // Takes over two pages: the VMCB and the FPU area.
    Svm_vcpu(Vcpu& vcpu, Mfn pages);
    ~Svm_vcpu() override;

    void run(const std::atomic<bool>& stop) override;
    Vm_exit enter(Guest_registers& regs);
    void load() override;
    void store() override;
    [[nodiscard]] bool event_queued() const override;
    void inject(const Injection& event) override;
    void request_window(u8 priority) override;
    void cancel_window() override;
    [[nodiscard]] Paging_state paging() const override;
    [[nodiscard]] bool paging_is(const Paging_state& state) const override;
    [[nodiscard]] u64 cr4() const override { return vmcb_->cr4; }
    [[nodiscard]] System_state read_system() const override;
    std::byte* fpu_area() override { return fpu_; }
    Expected<void> write_system(const System_state& state) override;
    void flush_tlb() override;
    void give_spec_ctrl(u32 value) override;
    [[nodiscard]] u32 spec_ctrl() const override;
    void set_tpr(u8 tpr) override;
    [[nodiscard]] u8 tpr() const override;

  private:
    void finish_skipping(Guest_registers& regs) override;

    void set_up_controls();
    void take_asid(Address_space_ids& asids);
    void requeue_interrupted_event();
    void follow_nmi(u64 rip);
    u8 measure_instruction(const Guest_registers& regs, Intercepted_instruction which);

    Vcpu& vcpu_;
    Vmcb* vmcb_;
    u64 vmcb_pa_;
    std::byte* fpu_;
    u32 cpu_ = 0;                // where it was loaded last
    Address_space_ids::Id asid_; // of that CPU
    u8 tpr_ = 0;                 // as last written, not by MOV CR8
    std::array<u64, 4> debug_address_{};
    bool in_nmi_    = false; // no other NMI is taken until the handler's IRET
    bool nmi_waits_ = false;
    std::optional<u64> iret_at_; // which is about to be executed
};

} // namespace vmm::svm
