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

    Domain& domain;
    Local_apic apic;
    u8 tpr         = 0;
    unsigned wakes = 0;
    unsigned nmis  = 0;
    unsigned inits = 0;
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
