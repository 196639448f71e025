// SPDX-License-Identifier: Apache-2.0
//
// A domain for APIC tests: vCPUs that are nothing but an APIC, a TPR and a diary, under a clock that the
// test moves.
#pragma once

#include "arch/x86/regs/local_apic.hpp"
#include "emul/apic_bus.hpp"
#include "emul/local_apic.hpp"

#include <memory>
#include <vector>

namespace vmm
{

class Test_clock : public Clock
{
  public:
    [[nodiscard]] Time now() const override { return now_; }
    // Lets time pass and fires what becomes due on the way.
    void advance(u64 ns);

  private:
    Time now_{1'000'000};
};

// A CPU that delivers interrupts itself: what it was handed, and what a guest on it does.
class Delivering_cpu final : public Interrupt_delivery
{
  public:
    void start(const State& given, const Vectors& level) override;
    State stop() override;
    void request(const Vectors& requested, const Vectors& level) override;
    [[nodiscard]] State state() const override { return state_; }

    // The guest takes the highest that `tpr` lets through: the vector, or -1.
    int take(u8 tpr);
    // The guest's EOI: its vector where that exits, or -1.
    int end();

    bool on = false;

  private:
    State state_;
    Vectors level_{};
};

class Vcpu
{
  public:
    Vcpu(Domain& its_domain, unsigned id, const Clock& clock)
        : domain(its_domain), apic(*this, Vcpu_id(id), clock)
    {
    }

    u64 read(u32 offset);
    void write(u32 offset, u64 value);
    [[nodiscard]] bool refuses(u32 offset, u64 value);
    [[nodiscard]] bool refuses_read(u32 offset);
    void enable() { write(apic::reg_spurious, 0x1ff); }
    // What the exit loop does when the guest takes interrupts: the vector, or -1.
    int take();
    // The same where the CPU does it, or only the hand-over.
    int take_by_cpu();
    void enter() { (void)apic.next_to_inject(); }

    Domain& domain;
    Local_apic apic;
    Delivering_cpu cpu;
    bool cpu_delivers = false;
    u8 tpr            = 0;
    unsigned wakes    = 0;
    unsigned nmis     = 0;
    unsigned inits    = 0;
    std::vector<u8> startups;
    std::vector<u8> level_ends;
};

class Domain
{
  public:
    explicit Domain(unsigned count);
    Vcpu& operator[](unsigned i) { return *vcpus[i]; }

    Test_clock clock;
    std::vector<std::unique_ptr<Vcpu>> vcpus;
};

} // namespace vmm
