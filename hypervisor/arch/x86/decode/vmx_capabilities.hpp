// SPDX-License-Identifier: Apache-2.0
//
// What a CPU's VT-x can do, from its capability MSRs, and which controls its guests run with. Pure, so that
// it is tested against recorded CPUs. [SDM3 Appendix A]
#pragma once

#include "arch/x86/paging/entry_formats.hpp"
#include "arch/x86/regs/control.hpp"
#include "arch/x86/regs/vmcs.hpp"

#include <string_view>

namespace vmm::vmx
{

// One 32-bit control word: bits that have to be 1 (low half of its MSR) and those that may be (high half).
struct Allowed {
    u32 must = 0;
    u32 may  = 0;

    constexpr Allowed() = default;
    constexpr explicit Allowed(u64 msr) : must(static_cast<u32>(msr)), may(static_cast<u32>(msr >> 32)) {}
    bool operator==(const Allowed&) const = default;
};

// The MSRs themselves; of those that have a "true" form, that one where VMX_BASIC says it is there.
struct Capabilities {
    u64 basic = 0;
    Allowed pin, cpu, cpu_2, exit, entry;
    u64 misc       = 0;
    u64 ept_vpid   = 0;
    u64 cr0_fixed0 = 0, cr0_fixed1 = 0;
    u64 cr4_fixed0 = 0, cr4_fixed1 = 0;

    // The host's own registers, with the bits as they have to be while VT-x is on. [SDM3 24.8]
    [[nodiscard]] u64 host_cr0(u64 now) const { return (now | cr0_fixed0) & cr0_fixed1; }
    [[nodiscard]] u64 host_cr4(u64 now) const { return (now | cr4_fixed0) & cr4_fixed1; }

    // Of a linear address.
    [[nodiscard]] unsigned address_bits() const { return cr4_fixed1 & cr4::la57 ? 57 : 48; }

    bool operator==(const Capabilities&) const = default;
};

// What a guest's EFER may have.
inline constexpr u64 kGuestEfer = efer::sce | efer::lme | efer::lma | efer::nxe;

// IA32_FEATURE_CONTROL. The firmware locks it one way or the other; where it did not, we may. [SDM3 24.7]
namespace feature_control
{
inline constexpr u64 locked = bit(0);
inline constexpr u64 vmxon  = bit(2); // outside SMX, where this hypervisor runs

constexpr bool forbids_vmxon(u64 value) { return (value & locked) && !(value & vmxon); }
constexpr u64 with_vmxon(u64 value) { return value & locked ? value : value | locked | vmxon; }
} // namespace feature_control

// Of which this is read.
Capabilities read_capabilities(u64 (*read_msr)(u32));

// Secondary controls of a vCPU whose x2APIC the CPU works.
inline constexpr u32 kVirtualApic =
    cpu_control_2::x2apic | cpu_control_2::apic_reads | cpu_control_2::delivery;

struct Controls {
    u32 pin = 0, cpu = 0, cpu_2 = 0, exit = 0, entry = 0;
    bool accessed_dirty             = false; // EPT has accessed and dirty flags
    bool giant_pages                = false; // EPT has 1 GiB leaves
    bool virtual_apic               = false; // the CPU can work a guest's x2APIC: kVirtualApic may be added
    unsigned preemption_timer_shift = 0;     // it counts once in 2^this ticks of the TSC
    std::string_view missing; // what the hypervisor cannot do without and this CPU lacks; empty: nothing

    [[nodiscard]] bool has_pin(u32 control) const { return (pin & control) != 0; }
    [[nodiscard]] bool has_2(u32 control) const { return (cpu_2 & control) != 0; }
};

Controls choose_controls(const Capabilities& capabilities);

// The format of the tables that guests run on: what this CPU's EPT has of large leaves and of dirty flags.
Nested_format::Places ept_places(const Controls& chosen);
// Of write-back tables in four levels below `root`. [SDM3 25.6.11]
u64 make_eptp(Hpa root, const Controls& chosen);

} // namespace vmm::vmx
