// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/vmx_entry_judge.hpp"

#include <array>
#include <tuple>

namespace vmm::vmx
{
namespace
{

constexpr u64 kDebugctlKnown  = 0xffc3;
constexpr u64 kRflagsReserved = ~low_bits(22) | bit(15) | bit(5) | bit(3);

// Of a segment's access rights. [SDM3 table 25-2]
constexpr unsigned type_of(u64 rights) { return rights & 0xf; }
constexpr unsigned dpl_of(u64 rights) { return rights >> 5 & 3; }
constexpr u64 kRightsSystem   = bit(4); // clear: a system segment
constexpr u64 kRightsPresent  = bit(7);
constexpr u64 kRightsLong     = bit(13);
constexpr u64 kRightsDefault  = bit(14);
constexpr u64 kRightsGranular = bit(15);
constexpr u64 kRightsReserved = 0xfffe0f00;

constexpr std::array<std::string_view, 8> kSegments = {"guest ES", "guest CS", "guest SS",   "guest DS",
                                                       "guest FS", "guest GS", "guest LDTR", "guest TR"};
constexpr std::string_view kGuest                   = "guest";

} // namespace

// [SDM3 27.3.1.1]
void Entry_judge::guest_registers()
{
    const Capabilities& c = rules_.capabilities;
    need_fixed(kGuest, "CR0", Field::guest_cr0, c.cr0_fixed0 & ~(cr0::pe | cr0::pg), c.cr0_fixed1);
    need_fixed(kGuest, "CR4", Field::guest_cr4, c.cr4_fixed0, c.cr4_fixed1);
    need(!(at(Field::guest_cr3) & beyond_physical()), kGuest, "CR3", Field::guest_cr3,
         "has to be a physical address");
    need((at(Field::guest_debugctl) & ~kDebugctlKnown) == 0, kGuest, "IA32_DEBUGCTL", Field::guest_debugctl,
         "bits that no CPU has must be 0");
    need(at(Field::guest_dr7) >> 32 == 0, kGuest, "DR7", Field::guest_dr7, "bits 63:32 have to be 0");
    need_canonical(kGuest, "IA32_SYSENTER_ESP", Field::guest_sysenter_esp);
    need_canonical(kGuest, "IA32_SYSENTER_EIP", Field::guest_sysenter_eip);
    need_pat(kGuest, Field::guest_pat);
    for (const auto& [name, base, limit] :
         {std::tuple{"guest GDTR", Field::guest_gdtr_base, Field::guest_gdtr_limit},
          std::tuple{"guest IDTR", Field::guest_idtr_base, Field::guest_idtr_limit}}) {
        need_canonical(name, "base", base);
        need(at(limit) <= 0xffff, name, "limit", limit, "bits 31:16 have to be 0");
    }
}

// [SDM3 27.3.1.1]
void Entry_judge::guest_modes()
{
    const u64 cr0 = at(Field::guest_cr0), cr4 = at(Field::guest_cr4);
    const u64 efer = at(Field::guest_efer);
    need(!(cr0 & cr0::pg) || (cr0 & cr0::pe), kGuest, "CR0", Field::guest_cr0, "PG needs PE");
    if (long_mode()) {
        need(cr0 & cr0::pg, kGuest, "CR0", Field::guest_cr0, "long mode needs PG");
        need(cr4 & cr4::pae, kGuest, "CR4", Field::guest_cr4, "long mode needs PAE");
    } else {
        need(!(cr4 & cr4::pcide), kGuest, "CR4", Field::guest_cr4, "PCIDE needs long mode");
    }
    need((efer & ~kGuestEfer) == 0, kGuest, "IA32_EFER", Field::guest_efer, "bits that no CPU has must be 0");
    need(!(efer & efer::lma) == !long_mode(), kGuest, "IA32_EFER", Field::guest_efer,
         "LMA has to be as the VM-entry control for long mode");
    need(!(cr0 & cr0::pg) || !(efer & efer::lma) == !(efer & efer::lme), kGuest, "IA32_EFER",
         Field::guest_efer, "with paging, LMA and LME have to be the same");
}

// [SDM3 27.3.1.4]
void Entry_judge::guest_flags()
{
    const u64 rip = at(Field::guest_rip), flags = at(Field::guest_rflags);
    if (long_mode() && (of(Field::guest_es_rights, cs) & kRightsLong))
        need_canonical(kGuest, "RIP", Field::guest_rip);
    else
        need(rip >> 32 == 0, kGuest, "RIP", Field::guest_rip, "outside 64-bit code bits 63:32 have to be 0");
    need((flags & kRflagsReserved) == 0 && (flags & bit(1)), kGuest, "RFLAGS", Field::guest_rflags,
         "reserved bits have to be 0, and bit 1 has to be 1");
    need(!v86() || (!long_mode() && (at(Field::guest_cr0) & cr0::pe)), kGuest, "RFLAGS", Field::guest_rflags,
         "VM needs protected mode, and not long mode");
    need(!injects(0) || (flags & rflags::if_), kGuest, "RFLAGS", Field::guest_rflags,
         "an external interrupt is injected only where IF is set");
}

// What code, data and system segments have in common.
void Entry_judge::need_segment(Segment_row row, bool system)
{
    const Field here = nth(Field::guest_es_rights, row);
    const u64 rights = at(here), limit = of(Field::guest_es_limit, row);
    const auto rule = [&](bool holds, std::string_view words) {
        need(holds, kSegments[row], "access rights", here, words);
    };
    rule(!(rights & kRightsSystem) == system, system ? "S has to be 0" : "S has to be 1");
    rule(rights & kRightsPresent, "P has to be 1");
    rule((rights & kRightsReserved) == 0, "reserved bits have to be 0");
    const bool bytes = (limit & 0xfff) != 0xfff, pages = (limit >> 20) != 0;
    rule(!(bytes && (rights & kRightsGranular)) && !(pages && !(rights & kRightsGranular)),
         "G has to fit the limit");
}

// Code and data. [SDM3 27.3.1.2]
void Entry_judge::guest_segments()
{
    for (const Segment_row row : {cs, ss, ds, es, fs, gs}) {
        const Field here = nth(Field::guest_es_rights, row);
        const u64 rights = at(here);
        const auto rule  = [&](bool holds, std::string_view words) {
            need(holds, kSegments[row], "access rights", here, words);
        };
        if (row == fs || row == gs)
            need_canonical(kSegments[row], "base", nth(Field::guest_es_base, row));
        else if (row == cs || usable(row))
            need(of(Field::guest_es_base, row) >> 32 == 0, kSegments[row], "base",
                 nth(Field::guest_es_base, row), "bits 63:32 have to be 0");
        if (v86()) {
            need(of(Field::guest_es_base, row) == of(Field::guest_es, row) << 4, kSegments[row], "base",
                 nth(Field::guest_es_base, row), "in virtual-8086 mode it is 16 times the selector");
            need(of(Field::guest_es_limit, row) == 0xffff, kSegments[row], "limit",
                 nth(Field::guest_es_limit, row), "in virtual-8086 mode it is 0xffff");
            rule(rights == 0xf3, "in virtual-8086 mode they are 0xf3");
            continue;
        }
        if (row != cs && !usable(row))
            continue;
        const unsigned type = type_of(rights), dpl = dpl_of(rights);
        const u64 stack = of(Field::guest_es_rights, ss);
        if (row == cs) {
            rule(type == 3 || (type & 9) == 9, "has to be accessed code, or writable data");
            rule(type != 3 || dpl == 0, "as data it has DPL 0");
            rule((type & 12) != 8 || dpl == dpl_of(stack), "its DPL has to be that of SS");
            rule((type & 12) != 12 || dpl <= dpl_of(stack), "its DPL must not be above that of SS");
            rule(!long_mode() || !(rights & kRightsLong) || !(rights & kRightsDefault),
                 "L and D/B are not both set");
        } else if (row == ss) {
            const bool ring0 =
                type_of(of(Field::guest_es_rights, cs)) == 3 || !(at(Field::guest_cr0) & cr0::pe);
            rule(type == 3 || type == 7, "has to be accessed, writable data");
            rule(!ring0 || dpl == 0, "its DPL has to be 0");
        } else {
            rule((type & 1) && ((type & 8) == 0 || (type & 2)), "has to be accessed, and readable");
        }
        need_segment(row, false);
    }
}

// [SDM3 27.3.1.2]
void Entry_judge::guest_system_segments()
{
    const u64 task = of(Field::guest_es_rights, tr), local = of(Field::guest_es_rights, ldtr);
    const Field task_at = nth(Field::guest_es_rights, tr), local_at = nth(Field::guest_es_rights, ldtr);
    need(!(of(Field::guest_es, tr) & 4), kSegments[tr], "selector", nth(Field::guest_es, tr),
         "has to be of the GDT");
    need_canonical(kSegments[tr], "base", nth(Field::guest_es_base, tr));
    need(usable(tr), kSegments[tr], "access rights", task_at, "must not be unusable");
    need(type_of(task) == 11 || (type_of(task) == 3 && !long_mode()), kSegments[tr], "access rights", task_at,
         "has to be a busy TSS, in long mode a 64-bit one");
    need_segment(tr, true);
    if (!usable(ldtr))
        return;
    need(!(of(Field::guest_es, ldtr) & 4), kSegments[ldtr], "selector", nth(Field::guest_es, ldtr),
         "has to be of the GDT");
    need_canonical(kSegments[ldtr], "base", nth(Field::guest_es_base, ldtr));
    need(type_of(local) == 2, kSegments[ldtr], "access rights", local_at, "has to be an LDT");
    need_segment(ldtr, true);
}

// [SDM3 27.3.1.5]
void Entry_judge::guest_activity()
{
    const u64 activity = at(Field::activity), blocked = at(Field::interruptibility);
    const u64 debug = at(Field::pending_debug);
    const auto rule = [&](bool holds, std::string_view words) {
        need(holds, kGuest, "interruptibility", Field::interruptibility, words);
    };
    need(activity == 0, kGuest, "activity state", Field::activity, "has to be 0, active");
    rule((blocked & ~low_bits(4)) == 0, "bits 31:4 have to be 0");
    rule((~blocked & (blocking::sti | blocking::mov_ss)) != 0, "STI and MOV SS cannot both block");
    rule(!(blocked & blocking::sti) || (at(Field::guest_rflags) & rflags::if_),
         "STI blocks only where IF is set");
    rule(!injects(0) || !(blocked & (blocking::sti | blocking::mov_ss)),
         "no external interrupt is injected while STI or MOV SS block");
    rule(!injects(2) || !(blocked & (blocking::sti | blocking::mov_ss | blocking::nmi)),
         "no NMI is injected while NMIs are blocked");
    const bool in_shadow = blocked & (blocking::sti | blocking::mov_ss);
    const bool steps     = at(Field::guest_rflags) & rflags::tf;
    need(!in_shadow || (at(Field::guest_debugctl) & 2) || steps == ((debug & kPendingStep) != 0), kGuest,
         "pending debug exceptions", Field::pending_debug,
         "where STI or MOV SS block, a step is pending exactly when TF is set");
    need((debug & ~u64{0x1500f}) == 0, kGuest, "pending debug exceptions", Field::pending_debug,
         "reserved bits have to be 0");
    need(at(Field::link_pointer) == ~0ull, kGuest, "VMCS link pointer", Field::link_pointer,
         "has to be all ones");
}

// [SDM3 27.3.1.6]
void Entry_judge::guest_pdptes()
{
    static constexpr std::array<std::string_view, 4> kNames = {"PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"};
    const bool pae_paging =
        (at(Field::guest_cr0) & cr0::pg) && (at(Field::guest_cr4) & cr4::pae) && !long_mode();
    for (unsigned i = 0; pae_paging && i < kNames.size(); ++i) {
        const u64 entry = at(nth(Field::guest_pdpte0, i));
        need(!(entry & 1) || (entry & (0x1e6 | beyond_physical())) == 0, kGuest, kNames[i],
             nth(Field::guest_pdpte0, i), "reserved bits of a present entry have to be 0");
    }
}

} // namespace vmm::vmx
