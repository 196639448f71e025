// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/hardening.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/descriptors.hpp"
#include "arch/x86/cpu/hardening_asm.h"
#include "arch/x86/cpu/image.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/regs/control.hpp"
#include "base/per_cpu.hpp"
#include "debug/log.hpp"
#include "platform/text_scan.hpp"

#include <cstring>
#include <utility>

namespace vmm
{

// Read by the world switches.
extern "C" {
constinit u32 host_spec_ctrl  = 0;
constinit u32 renew_spec_ctrl = 0; // not 0: write it at exits even if the guest's is the same
extern const u16 verw_selector;
constinit const u16 verw_selector = kHostDataSelector;
}

namespace
{

constinit Speculation_plan plan;
constinit Per_cpu<u64> last_vcpu; // its serial number; 0: none yet

// An instruction of the image that stands for "not needed". [hardening_asm.h, UNLESS_NEEDED]
struct Place {
    u8* at;
    u8 piece, length;
    u8 unused[6];
};
extern "C" const Place hardening_start[], hardening_end[];

bool needed(u8 piece)
{
    switch (piece) {
    case PIECE_RETPOLINE: return plan.has(Measure::retpoline);
    case PIECE_SPEC_CTRL: return plan.switch_spec_ctrl;
    case PIECE_EXIT: return needed(PIECE_SPEC_CTRL) || needed(PIECE_IBPB_EXIT) || needed(PIECE_RSB);
    case PIECE_IBPB_EXIT: return plan.has(Measure::ibpb_exit);
    case PIECE_RSB: return plan.has(Measure::rsb);
    case PIECE_VERW: return plan.has(Measure::verw);
    case PIECE_DIV: return plan.has(Measure::div_scrub);
    default: return plan.has(Measure::l1d_flush);
    }
}

void change_image()
{
    // NOPs of two, three and five bytes, as long as jumps are. [SDM2 NOP]
    constexpr u8 nops[][5] = {{0x66, 0x90}, {0x0f, 0x1f, 0x00}, {}, {0x0f, 0x1f, 0x44, 0x00, 0x00}};
    for (const Place* place = hardening_start; place != hardening_end; ++place) {
        if (needed(place->piece))
            std::memcpy(place->at, nops[place->length - 2], place->length);
    }
}

Speculation_facts read_facts(const Cpu_facts& cpu)
{
    constexpr u32 tcg = 0x54474354; // the beginning of TCGTCGTCGTCG
    const Cpuid leaf7 = cpuid_if_there(7);
    Speculation_facts facts;
    facts.vendor    = cpu.vendor;
    facts.signature = cpuid(1).eax;
    facts.leaf7_ebx = leaf7.ebx;
    facts.leaf7_edx = leaf7.edx;
    if (leaf7.eax >= 2)
        facts.leaf7_2_edx = cpuid(7, 2).edx;
    if (leaf7.edx & bit(29))
        facts.arch_capabilities = read_msr_safely(msr::kArchCapabilities).value_or(0);
    facts.extended8_ebx     = cpuid_if_there(0x80000008).ebx;
    facts.virtual_spec_ctrl = cpu.svm && (cpuid_if_there(0x8000000a).edx & bit(20));
    facts.extended21_eax    = cpuid_if_there(0x80000021).eax;
    facts.extended21_ecx    = cpuid_if_there(0x80000021).ecx;
    facts.microcode   = static_cast<u32>(read_msr_safely(msr::kPatchLevel).value_or(0)); // AMD's place for it
    facts.interpreted = (cpuid(1).ecx & bit(31)) && cpuid(0x40000000).ebx == tcg;
    return facts;
}

// Where a hypervisor below does not let it be changed, it has its own reasons.
void set_bits(u32 index, u64 bits)
{
    if (const auto value = read_msr_safely(index); value && (*value & bits) != bits)
        (void)write_msr_safely(index, *value | bits);
}

// Twice what the largest cache of an affected CPU holds of something that nobody wants to know.
void refill_l1d()
{
    constexpr std::size_t size = 64 << 10, line = 64;
#pragma GCC unroll 32
    for (std::size_t i = 0; i < size; i += line)
        (void)*static_cast<const volatile char*>(image::text_start + i);
    asm volatile("lfence" ::: "memory");
}

} // namespace

void plan_hardening(const Cpu_facts& cpu, std::string_view spec_ctrl)
{
    Speculation_wishes wishes;
    while (!spec_ctrl.empty()) {
        const auto word = take_until(spec_ctrl, ',');
        if (!parse_spec_ctrl_word(word, wishes))
            log::warning("option spec-ctrl={}: there is no such word or value; ignored", word);
    }
    plan            = plan_speculation(read_facts(cpu), wishes);
    host_spec_ctrl  = plan.host_spec_ctrl;
    renew_spec_ctrl = plan.renew_ibrs;
    change_image();
    char text[256];
    log::info("against leaks by speculation: {}", describe(plan, text));
}

void harden_this_cpu()
{
    constexpr u64 no_rtm = 3, lfence_serialises = bit(1), fp_backup = bit(9);
    if (plan.has(Measure::tsx_off))
        set_bits(msr::kTsxCtrl, no_rtm);
    if (plan.has(Measure::lfence))
        set_bits(msr::kDeCfg, lfence_serialises);
    if (plan.has(Measure::fp_backup))
        set_bits(msr::kDeCfg, fp_backup);
    if (plan.ls_cfg)
        set_bits(msr::kLsCfg, plan.ls_cfg);
    if (plan.has(Measure::auto_ibrs))
        write_msr(msr::kEfer, read_msr(msr::kEfer) | efer::aibrse);
    if (plan.switch_spec_ctrl || plan.host_spec_ctrl)
        write_msr(msr::kSpecCtrl, plan.host_spec_ctrl);
}

const Speculation_plan& hardening() { return plan; }

void separate_vcpus(u64 serial)
{
    if (std::exchange(last_vcpu.here(), serial) == serial)
        return;
    if (plan.has(Measure::ibpb))
        write_msr(msr::kPredCmd, 1);
    if (plan.has(Measure::l1d_fill))
        refill_l1d();
}

} // namespace vmm
