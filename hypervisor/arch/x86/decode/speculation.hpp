// SPDX-License-Identifier: Apache-2.0
//
// Which measures against leaks by speculative execution this machine gets: a pure decision over what CPUID,
// ARCH_CAPABILITIES and the option spec-ctrl= say. It carries nothing out; that is arch/x86/cpu/hardening and
// the world switches. [SDM4 2.1 IA32_ARCH_CAPABILITIES; APM2 3.2.9; the vendors' papers named in
// speculation.cpp]
#pragma once

#include "arch/x86/cpu/features.hpp"

#include <initializer_list>
#include <span>
#include <string_view>

namespace vmm
{

enum class Measure : u8 {
    retpoline, // indirect branches by way of a return whose prediction is known
    ibrs,      // SPEC_CTRL.IBRS while the hypervisor runs: predictions made by guests do not count
    auto_ibrs, // the same by EFER.AIBRSE, which also empties the return predictor at exits
    bhi_dis,   // SPEC_CTRL.BHI_DIS_S: nor does the history of guests' branches
    rsb,       // the return predictor is overwritten at exits
    ibpb,      // branch predictions are forgotten when the CPU goes to another vCPU
    ibpb_exit, // and at exits
    verw,      // the CPU's buffers are cleared before entries
    l1d_flush, // the first-level data cache is flushed before entries
    l1d_fill,  // and when the CPU goes to another vCPU, by reading other data
    tsx_off,   // no transactions, for anybody
    lfence,    // LFENCE waits for all that is before it
    ssbd,      // loads do not overtake stores in the hypervisor
    msr_sc,    // guests have the MSRs to protect themselves
    // Beside speculation proper, what a guest could do to the machine by its translations and registers.
    small_code, // guests execute from 4 KiB mappings only
    fp_backup,  // DE_CFG[9]: vector registers that are zeroed are not taken for what was there before
    div_scrub,  // a division before entries, so that one by zero gives no quotient of others
};
inline constexpr unsigned kMeasures = 17;

class Measures
{
  public:
    constexpr Measures() = default;
    constexpr Measures(std::initializer_list<Measure> all)
    {
        for (const Measure m : all)
            bits_ |= 1u << static_cast<unsigned>(m);
    }
    [[nodiscard]] static constexpr Measures every() { return Measures((1u << kMeasures) - 1); }
    [[nodiscard]] constexpr bool has(Measure m) const { return bits_ >> static_cast<unsigned>(m) & 1; }
    [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
    constexpr void add(bool when, Measures more) { bits_ |= when ? more.bits_ : 0; }
    constexpr Measures operator|(Measures other) const { return Measures(bits_ | other.bits_); }
    constexpr Measures operator&(Measures other) const { return Measures(bits_ & other.bits_); }
    constexpr Measures operator-(Measures other) const { return Measures(bits_ & ~other.bits_); }
    bool operator==(const Measures&) const = default;

  private:
    explicit constexpr Measures(u32 bits) : bits_(bits) {}
    u32 bits_ = 0;
};

struct Speculation_facts {
    Cpu_facts::Vendor vendor = Cpu_facts::Vendor::other;
    u32 signature            = 0; // CPUID 1 EAX: family, model and stepping
    u32 leaf7_ebx            = 0; // CPUID 7.0
    u32 leaf7_edx            = 0;
    u32 leaf7_2_edx          = 0; // CPUID 7.2
    u32 extended8_ebx        = 0; // CPUID 8000_0008
    u32 extended21_eax       = 0; // CPUID 8000_0021
    u32 extended21_ecx       = 0;
    bool virtual_spec_ctrl   = false; // CPUID 8000_000A EDX: the VMCB has the guest's SPEC_CTRL
    u64 arch_capabilities    = 0;
    u32 microcode            = 0;     // its revision
    bool interpreted         = false; // one instruction after the other, by an emulator that says so
};

// What spec-ctrl= asks for beside or instead of what the machine needs.
struct Speculation_wishes {
    Measures on, off;
};

struct Speculation_plan {
    Measures done;
    Measures off;                        // needed, but spec-ctrl= says no
    Measures lacking;                    // needed, but the CPU with its microcode has no means
    u32 host_spec_ctrl          = 0;     // while the hypervisor runs
    bool switch_spec_ctrl       = false; // the register has to be changed at entries and exits
    bool renew_ibrs             = false; // at every exit, even if the value is the same
    bool virtual_spec_ctrl      = false;
    bool distrust_dom0          = false; // ibpb_exit is for dom0's exits too
    u64 ls_cfg                  = 0;     // bits to set in LS_CFG, for ssbd where SPEC_CTRL has none
    u64 guest_arch_capabilities = 0;

    [[nodiscard]] bool has(Measure m) const { return done.has(m); }
};

Speculation_plan plan_speculation(const Speculation_facts& cpu, const Speculation_wishes& wishes);

// One word of spec-ctrl=a,b,c. False: there is none of that name.
bool parse_spec_ctrl_word(std::string_view word, Speculation_wishes& wishes);

// What is done, what is off and what is lacking, in one line.
std::string_view describe(const Speculation_plan& plan, std::span<char> out);

} // namespace vmm
