// SPDX-License-Identifier: Apache-2.0
//
// The facts are those of Intel's "Affected Processors" table and its guidance on retpoline, BHI, L1TF, MDS,
// TAA, RFDS and machine checks on page size changes; of AMD's "Software techniques for managing speculation",
// "Branch type confusion", "SRSO", "TSA" and "Cross-process information leak".
#include "arch/x86/decode/speculation.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <iterator>

namespace vmm
{
namespace
{

using enum Measure;

namespace leaf7_edx
{
constexpr u32 md_clear = bit(10), ibrs_ibpb = bit(26), stibp = bit(27), l1d_flush = bit(28), ssbd = bit(31);
} // namespace leaf7_edx
namespace extended8_ebx
{
constexpr u32 ibpb = bit(12), ibrs = bit(14), stibp = bit(15), ssbd = bit(24), ssb_no = bit(26),
              btc_no = bit(29);
} // namespace extended8_ebx
namespace extended21_eax
{
constexpr u32 lfence_serialises = bit(2), verw_clears = bit(5), auto_ibrs = bit(8), ibpb_brtype = bit(28),
              srso_no = bit(29);
} // namespace extended21_eax
constexpr u32 kTsa_no = bit(1) | bit(2); // both kinds, in extended21_ecx
constexpr u32 kRtm = bit(11), kBhiCtrl = bit(4);

namespace caps
{
constexpr u64 rdcl_no = bit(0), ibrs_all = bit(1), rsba = bit(2), skip_l1dfl = bit(3), ssb_no = bit(4),
              mds_no = bit(5), if_pschange_mc_no = bit(6), tsx_ctrl = bit(7), taa_no = bit(8),
              sbdr_ssdp_no = bit(13), fbsdp_no = bit(14), psdp_no = bit(15), fb_clear = bit(17),
              rrsba = bit(19), bhi_no = bit(20), pbrsb_no = bit(24), gds_no = bit(26), rfds_no = bit(27),
              rfds_clear = bit(28), its_no = bit(62);
// Those that say something to a guest without naming an MSR that it does not have.
constexpr u64 shown = rdcl_no | ibrs_all | rsba | skip_l1dfl | ssb_no | mds_no | if_pschange_mc_no | taa_no |
                      sbdr_ssdp_no | fbsdp_no | psdp_no | fb_clear | rrsba | bhi_no | pbrsb_no | gds_no |
                      rfds_no | rfds_clear | its_no;
} // namespace caps

namespace spec_ctrl
{
constexpr u32 ibrs = bit(0), ssbd = bit(2), bhi_dis_s = bit(10);
} // namespace spec_ctrl

struct Model {
    unsigned family, model;
};

Model model_of(u32 signature)
{
    const auto base     = static_cast<unsigned>(field(signature, 11, 8));
    const auto extended = static_cast<unsigned>(field(signature, 19, 16));
    return {base == 15 ? base + static_cast<unsigned>(field(signature, 27, 20)) : base,
            static_cast<unsigned>(field(signature, 7, 4)) | extended << 4};
}

// Intel's family 6, by what its kinds have in common. What is not listed is a big core.
enum class Core : u8 { in_order, silvermont, goldmont, big, underflowing };

// The first Atoms do not speculate.
constexpr u8 kInOrder[]      = {0x1c, 0x26, 0x27, 0x35, 0x36};
// Silvermont, Airmont and Knights: no L1TF, of MDS the store buffer, loads do not overtake stores.
constexpr u8 kSilvermont[]   = {0x37, 0x4a, 0x4c, 0x4d, 0x57, 0x5a, 0x5d, 0x65, 0x6e, 0x75, 0x85};
// Goldmont and Tremont: neither L1TF nor MDS.
constexpr u8 kGoldmont[]     = {0x5c, 0x5f, 0x7a, 0x86, 0x8a, 0x96, 0x9c};
// From Skylake to Comet Lake a return whose predictor is empty is predicted as an indirect branch is, so that
// retpoline is not enough.
constexpr u8 kUnderflowing[] = {0x4e, 0x55, 0x5e, 0x66, 0x67, 0x8e, 0x9e, 0xa5, 0xa6};

Core core_of(u32 signature)
{
    const unsigned model = model_of(signature).model;
    const auto among     = [&](const auto& models) {
        return std::ranges::find(models, model) != std::end(models);
    };
    return among(kInOrder)        ? Core::in_order
           : among(kSilvermont)   ? Core::silvermont
           : among(kGoldmont)     ? Core::goldmont
           : among(kUnderflowing) ? Core::underflowing
                                  : Core::big;
}

bool has_spec_ctrl(const Speculation_facts& cpu)
{
    return (cpu.leaf7_edx & (leaf7_edx::ibrs_ibpb | leaf7_edx::stibp | leaf7_edx::ssbd)) ||
           (cpu.extended8_ebx & (extended8_ebx::ibrs | extended8_ebx::stibp | extended8_ebx::ssbd));
}

bool has_ssbd(const Speculation_facts& cpu)
{
    return (cpu.leaf7_edx & leaf7_edx::ssbd) || (cpu.extended8_ebx & extended8_ebx::ssbd);
}

// The bit of LS_CFG that does what SSBD does, on CPUs older than that.
u64 ls_cfg_ssbd(const Speculation_facts& cpu)
{
    if (cpu.vendor != Cpu_facts::Vendor::amd)
        return 0;
    switch (model_of(cpu.signature).family) {
    case 0x15: return bit(54);
    case 0x16: return bit(33);
    case 0x17:
    case 0x18: return bit(10);
    default: return 0;
    }
}

// Whether VERW does more than check a segment, as it does with the microcode that made it clear buffers.
bool verw_clears(const Speculation_facts& cpu)
{
    return (cpu.leaf7_edx & leaf7_edx::md_clear) || (cpu.extended21_eax & extended21_eax::verw_clears) ||
           (cpu.arch_capabilities & (caps::fb_clear | caps::rfds_clear));
}

// Zen 2, up to the microcode that mends it. (CVE-2023-20593)
bool bleeds(const Speculation_facts& cpu)
{
    struct Range {
        unsigned first, last;
        u32 mended; // by this microcode, if any
    };
    static constexpr Range kZen2[] = {{0x30, 0x3f, 0x0830107a}, {0x40, 0x4f, ~0u},
                                      {0x60, 0x67, 0x0860010b}, {0x68, 0x6f, 0x08608105},
                                      {0x70, 0x7f, 0x08701032}, {0xa0, 0xaf, 0x08a00008}};
    const Model m                  = model_of(cpu.signature);
    return m.family == 0x17 && std::ranges::any_of(kZen2, [&](const Range& r) {
               return m.model >= r.first && m.model <= r.last && cpu.microcode < r.mended;
           });
}

Measures possible_on(const Speculation_facts& cpu)
{
    Measures m{retpoline, rsb, small_code, div_scrub};
    const bool ibrs_ibpb = cpu.leaf7_edx & leaf7_edx::ibrs_ibpb;
    const bool amd       = cpu.vendor == Cpu_facts::Vendor::amd;
    m.add(ibrs_ibpb || (cpu.extended8_ebx & extended8_ebx::ibrs), {ibrs});
    m.add(cpu.extended21_eax & extended21_eax::auto_ibrs, {auto_ibrs});
    m.add(cpu.leaf7_2_edx & kBhiCtrl, {bhi_dis});
    m.add(ibrs_ibpb || (cpu.extended8_ebx & extended8_ebx::ibpb), {ibpb, ibpb_exit, msr_sc});
    m.add(verw_clears(cpu), {verw});
    m.add(cpu.leaf7_edx & leaf7_edx::l1d_flush, {l1d_flush});
    m.add(cpu.vendor == Cpu_facts::Vendor::intel, {l1d_fill});
    m.add(cpu.arch_capabilities & caps::tsx_ctrl, {tsx_off});
    m.add(amd && model_of(cpu.signature).family >= 0x10, {lfence});
    m.add(amd && bleeds(cpu), {fp_backup});
    m.add(has_ssbd(cpu) || ls_cfg_ssbd(cpu), {ssbd});
    m.add(has_spec_ctrl(cpu) || cpu.arch_capabilities, {msr_sc});
    return m;
}

// What a machine needs, whether it is possible or not.
Measures needed_on_intel(const Speculation_facts& cpu, Measures possible)
{
    const bool family_6 = model_of(cpu.signature).family == 6;
    const Core core     = family_6 ? core_of(cpu.signature) : Core::big;
    const auto has      = [&](u64 capability) { return (cpu.arch_capabilities & capability) != 0; };
    const bool md_clear = cpu.leaf7_edx & leaf7_edx::md_clear;
    if (core == Core::in_order)
        return {};
    Measures m{rsb, ibpb};
    if (has(caps::ibrs_all) &&
        possible.has(ibrs)) // once and for all; the history of branches is another matter
        m = m | (has(caps::bhi_no) ? Measures{ibrs}
                                   : Measures{ibrs, possible.has(bhi_dis) ? bhi_dis : retpoline});
    else if (core == Core::underflowing || has(caps::rsba))
        m = m | (possible.has(ibrs) ? Measures{ibrs} : Measures{ibrs, retpoline});
    else
        m = m | Measures{retpoline};

    const bool mds = core != Core::goldmont && !has(caps::mds_no) && family_6;
    const bool taa = ((cpu.leaf7_ebx & kRtm) || has(caps::tsx_ctrl)) && !has(caps::taa_no);
    m.add(mds || (has(caps::rfds_clear) && !has(caps::rfds_no)), {verw});
    m.add(taa && !mds, {tsx_off});
    const bool l1tf = family_6 && (core == Core::big || core == Core::underflowing) && !has(caps::rdcl_no);
    if (l1tf && !has(caps::skip_l1dfl)) {
        m = m | Measures{l1d_flush};
        if (!possible.has(l1d_flush))
            m = m | Measures{l1d_fill};
        else if (md_clear) // whose microcode lets the flush clear the buffers too
            m = m - Measures{verw};
    }
    // Two translations of one address, of different sizes, stop the core for good. (CVE-2018-12207)
    m.add(family_6 && core >= Core::big && !has(caps::if_pschange_mc_no), {small_code});
    return m;
}

// Returns and their targets are predicted from what guests did, as far as Zen 2 (branch type confusion) and,
// with more effort, on the later Zens (SRSO). A barrier is the way out that needs no other compiler.
bool needs_barrier_at_exits(const Speculation_facts& cpu)
{
    const unsigned family = model_of(cpu.signature).family;
    const bool confused   = family >= 0x15 && family <= 0x18 && !(cpu.extended8_ebx & extended8_ebx::btc_no);
    const bool srso       = family == 0x19 && !(cpu.extended21_eax & extended21_eax::srso_no);
    return confused || (srso && (cpu.extended21_eax & extended21_eax::ibpb_brtype));
}

// Zen, which has no STIBP as Zen 2 does. (CVE-2023-20588)
bool keeps_quotients(const Speculation_facts& cpu)
{
    const unsigned family = model_of(cpu.signature).family;
    return (family == 0x17 || family == 0x18) && !(cpu.extended8_ebx & extended8_ebx::stibp);
}

Measures needed_on_amd(const Speculation_facts& cpu, Measures possible)
{
    Measures m = possible.has(auto_ibrs) ? Measures{auto_ibrs, ibpb} : Measures{retpoline, rsb, ibpb};
    m.add(possible.has(fp_backup), {fp_backup}); // which only a CPU that needs it has
    m.add(keeps_quotients(cpu), {div_scrub});
    m.add(needs_barrier_at_exits(cpu), {ibpb_exit});
    m.add(possible.has(lfence) && !(cpu.extended21_eax & extended21_eax::lfence_serialises), {lfence});
    m.add((cpu.extended21_eax & extended21_eax::verw_clears) && (cpu.extended21_ecx & kTsa_no) != kTsa_no,
          {verw});
    return m;
}

Measures needed_on(const Speculation_facts& cpu, Measures possible)
{
    const Measures guests = possible & Measures{msr_sc};
    if (cpu.interpreted)
        return guests;
    switch (cpu.vendor) {
    case Cpu_facts::Vendor::intel: return needed_on_intel(cpu, possible) | guests;
    case Cpu_facts::Vendor::amd: return needed_on_amd(cpu, possible) | guests;
    default: return guests | Measures{retpoline, rsb, ibpb};
    }
}

// Loads overtake stores, and guests would have to be able to stop that for some of their programs.
bool guests_need_ssbd(const Speculation_facts& cpu)
{
    const Model m = model_of(cpu.signature);
    switch (cpu.vendor) {
    case Cpu_facts::Vendor::intel:
        return m.family == 6 && core_of(cpu.signature) >= Core::goldmont &&
               !(cpu.arch_capabilities & caps::ssb_no);
    case Cpu_facts::Vendor::amd: return m.family >= 0x15 && !(cpu.extended8_ebx & extended8_ebx::ssb_no);
    default: return false;
    }
}

} // namespace

Speculation_plan plan_speculation(const Speculation_facts& cpu, const Speculation_wishes& wishes)
{
    // What was refused is as if the CPU did not have it, so that what is left is made the best of.
    const Measures possible = possible_on(cpu), allowed = possible - wishes.off;
    const Measures needed = needed_on(cpu, allowed);
    const Measures ideal  = needed_on(cpu, possible);
    Speculation_plan plan;
    plan.done    = (needed | wishes.on) & allowed;
    plan.off     = (ideal & possible) & wishes.off;
    plan.lacking = ideal - possible;
    plan.lacking.add(!cpu.interpreted && guests_need_ssbd(cpu) && !has_ssbd(cpu), {ssbd});

    const bool by_spec_ctrl = plan.has(ssbd) && has_ssbd(cpu);
    plan.host_spec_ctrl     = (plan.has(ibrs) ? spec_ctrl::ibrs : 0) | (by_spec_ctrl ? spec_ctrl::ssbd : 0) |
                          (plan.has(bhi_dis) ? spec_ctrl::bhi_dis_s : 0);
    plan.ls_cfg            = plan.has(ssbd) && !by_spec_ctrl ? ls_cfg_ssbd(cpu) : 0;
    plan.virtual_spec_ctrl = cpu.virtual_spec_ctrl && has_spec_ctrl(cpu);
    plan.switch_spec_ctrl =
        has_spec_ctrl(cpu) && !plan.virtual_spec_ctrl && (plan.has(msr_sc) || plan.host_spec_ctrl != 0);
    plan.renew_ibrs    = plan.has(ibrs) && !(cpu.arch_capabilities & caps::ibrs_all);
    plan.distrust_dom0 = wishes.on.has(ibpb_exit);
    if (plan.has(msr_sc))
        plan.guest_arch_capabilities = cpu.arch_capabilities & caps::shown;
    return plan;
}

} // namespace vmm
