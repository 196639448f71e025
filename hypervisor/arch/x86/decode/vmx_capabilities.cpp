// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/vmx_capabilities.hpp"

#include "arch/x86/regs/msr.hpp"

namespace vmm::vmx
{
namespace
{

constexpr u64 kBasicTrueControls = bit(55); // IA32_VMX_BASIC
// IA32_VMX_EPT_VPID_CAP. [SDM3 A.10]
constexpr u64 kEptFourLevels     = bit(6);
constexpr u64 kEptWriteBack      = bit(14);
constexpr u64 kEptLargePages     = bit(16);
constexpr u64 kEptGiantPages     = bit(17);
constexpr u64 kInvept            = bit(20);
constexpr u64 kEptAccessedDirty  = bit(21);
constexpr u64 kInveptSingle      = bit(25);
constexpr u64 kInvvpid           = bit(32);
constexpr u64 kInvvpidAll        = bit(42);

// A control word in the making: the first thing that is needed and not there is noted.
struct Word {
    const Allowed& allowed;
    std::string_view& missing;
    u32 value = allowed.must;

    Word& need(u32 control, std::string_view name)
    {
        if ((allowed.may & control) != control && missing.empty())
            missing = name;
        value |= control & allowed.may;
        return *this;
    }
    Word& like(u32 controls)
    {
        value |= controls & allowed.may;
        return *this;
    }
};

void choose_secondary(const Capabilities& capabilities, Controls& chosen)
{
    Word word{capabilities.cpu_2, chosen.missing};
    word.need(cpu_control_2::ept, "extended page tables (EPT)")
        .need(cpu_control_2::unrestricted, "unrestricted guests")
        .need(cpu_control_2::wbinvd, "exits for WBINVD")
        .like(cpu_control_2::rdtscp | cpu_control_2::invpcid | cpu_control_2::pause_loops);
    chosen.virtual_apic = (capabilities.cpu_2.may & kVirtualApic) == kVirtualApic;
    const u64 vpid      = kInvvpid | kInvvpidAll;
    if ((capabilities.ept_vpid & vpid) == vpid)
        word.like(cpu_control_2::vpid);
    chosen.cpu_2 = word.value;
}

void check_ept(u64 offered, Controls& chosen)
{
    constexpr struct {
        u64 bits;
        std::string_view name;
    } needed[] = {{kEptFourLevels, "EPT tables of four levels"},
                  {kEptWriteBack, "write-back memory for EPT tables"},
                  {kEptLargePages, "EPT pages of 2 MiB"},
                  {kInvept | kInveptSingle, "INVEPT for one guest's tables"}};
    for (const auto& [bits, name] : needed) {
        if ((offered & bits) != bits && chosen.missing.empty())
            chosen.missing = name;
    }
    chosen.accessed_dirty = offered & kEptAccessedDirty;
    chosen.giant_pages    = offered & kEptGiantPages;
}

} // namespace

Capabilities read_capabilities(u64 (*read_msr)(u32))
{
    Capabilities c;
    c.basic             = read_msr(msr::kVmxBasic);
    const bool true_set = c.basic & kBasicTrueControls;
    const auto allowed  = [&](u32 plain) {
        return Allowed(read_msr(true_set ? plain - msr::kVmxPinControls + msr::kVmxTruePinControls : plain));
    };
    c.pin   = allowed(msr::kVmxPinControls);
    c.cpu   = allowed(msr::kVmxCpuControls);
    c.exit  = allowed(msr::kVmxExitControls);
    c.entry = allowed(msr::kVmxEntryControls);
    if (c.cpu.may & cpu_control::secondary) {
        c.cpu_2 = Allowed(read_msr(msr::kVmxCpuControls2));
        if (c.cpu_2.may & (cpu_control_2::ept | cpu_control_2::vpid))
            c.ept_vpid = read_msr(msr::kVmxEptVpid);
    }
    c.misc       = read_msr(msr::kVmxMisc);
    c.cr0_fixed0 = read_msr(msr::kVmxCr0Fixed0);
    c.cr0_fixed1 = read_msr(msr::kVmxCr0Fixed1);
    c.cr4_fixed0 = read_msr(msr::kVmxCr4Fixed0);
    c.cr4_fixed1 = read_msr(msr::kVmxCr4Fixed1);
    return c;
}

Controls choose_controls(const Capabilities& capabilities)
{
    Controls chosen;
    chosen.pin = Word{capabilities.pin, chosen.missing}
                     .need(pin::external_interrupts | pin::nmis, "exits for interrupts")
                     .need(pin::virtual_nmis, "virtual NMIs")
                     .value;
    chosen.preemption_timer_shift = field(capabilities.misc, 4, 0); // [SDM3 A.6]
    namespace cpu                 = cpu_control;
    chosen.cpu                    = Word{capabilities.cpu, chosen.missing}
                     .need(cpu::hlt | cpu::mwait | cpu::monitor | cpu::rdpmc, "exits for HLT and MWAIT")
                     .need(cpu::tpr_shadow, "the TPR shadow")
                     .need(cpu::io_bitmaps | cpu::msr_bitmaps, "I/O and MSR bitmaps")
                     .need(cpu::secondary, "secondary controls (EPT, unrestricted guests)")
                     .value;
    choose_secondary(capabilities, chosen);
    check_ept(capabilities.ept_vpid, chosen);
    namespace out = exit_control;
    chosen.exit   = Word{capabilities.exit, chosen.missing}
                      .need(out::host_64, "64-bit hosts")
                      .need(out::save_debug | out::save_pat | out::load_pat | out::save_efer | out::load_efer,
                            "switching of PAT and EFER")
                      .value;
    if ((capabilities.pin.may & pin::preemption_timer) && (capabilities.exit.may & out::save_timer)) {
        chosen.pin |= pin::preemption_timer;
        chosen.exit |= out::save_timer;
    }
    namespace in = entry_control;
    chosen.entry = Word{capabilities.entry, chosen.missing}
                       .need(in::load_debug | in::load_pat | in::load_efer, "loading of PAT and EFER")
                       .value;
    return chosen;
}

Nested_format::Places ept_places(const Controls& chosen)
{
    auto places = Nested_format::ept;
    if (!chosen.accessed_dirty) {
        places.dirty = 0; // every page may have been written
        places.log   = places.writable;
    }
    if (!chosen.giant_pages)
        places.largest_leaf = 2;
    return places;
}

u64 make_eptp(Hpa root, const Controls& chosen)
{
    constexpr u64 write_back = 6, four_levels = 3u << 3, accessed_dirty = bit(6);
    return root.value() | write_back | four_levels | (chosen.accessed_dirty ? accessed_dirty : 0);
}

} // namespace vmm::vmx
