// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/vmx_entry_judge.hpp"

#include <array>

namespace vmm::vmx
{
namespace
{

constexpr std::string_view kControl = "control";
constexpr std::string_view kHost    = "host";

} // namespace

// [SDM3 27.2.1.1, 27.2.1.2]
void Entry_judge::controls()
{
    const Capabilities& c = rules_.capabilities;
    need_allowed("pin-based controls", Field::pin_controls, c.pin);
    need_allowed("primary processor-based controls", Field::cpu_controls, c.cpu);
    need_allowed("secondary processor-based controls", Field::cpu_controls_2, c.cpu_2);
    need_allowed("VM-exit controls", Field::exit_controls, c.exit);
    need_allowed("VM-entry controls", Field::entry_controls, c.entry);

    need(at(Field::cr3_targets) <= field(c.misc, 24, 16), kControl, "CR3-target count", Field::cr3_targets,
         "has to be one that the CPU has");
    need(has(Field::pin_controls, pin::nmis) || !has(Field::pin_controls, pin::virtual_nmis), kControl,
         "pin-based controls", Field::pin_controls, "virtual NMIs need NMI exiting");
    need(has(Field::pin_controls, pin::virtual_nmis) || !has(Field::cpu_controls, cpu_control::nmi_window),
         kControl, "primary processor-based controls", Field::cpu_controls,
         "NMI-window exiting needs virtual NMIs");
    need(has(Field::pin_controls, pin::preemption_timer) ||
             !has(Field::exit_controls, exit_control::save_timer),
         kControl, "pin-based controls", Field::pin_controls,
         "a preemption timer that exits save has to be on");
    need(has(Field::cpu_controls_2, cpu_control_2::ept), kControl, "secondary processor-based controls",
         Field::cpu_controls_2, "unrestricted guests need EPT");
    need(has(Field::cpu_controls, cpu_control::tpr_shadow) || !has(Field::cpu_controls_2, kVirtualApic),
         kControl, "secondary processor-based controls", Field::cpu_controls_2,
         "a virtual APIC needs the TPR shadow");
    for (const Field count : {Field::exit_msr_stores, Field::exit_msr_loads, Field::entry_msr_loads})
        need(at(count) == 0, kControl, "MSR list", count, "has to be empty: it has no address");
}

// [SDM3 27.2.1.1]
void Entry_judge::addresses()
{
    if (has(Field::cpu_controls, cpu_control::io_bitmaps)) {
        need_page(kControl, "address of I/O bitmap A", Field::io_bitmap_a);
        need_page(kControl, "address of I/O bitmap B", Field::io_bitmap_b);
    }
    if (has(Field::cpu_controls, cpu_control::msr_bitmaps))
        need_page(kControl, "address of the MSR bitmap", Field::msr_bitmap);
    if (has(Field::cpu_controls, cpu_control::tpr_shadow)) {
        need_page(kControl, "virtual-APIC address", Field::virtual_apic);
        const u64 threshold = at(Field::tpr_threshold);
        need(has(Field::cpu_controls_2, cpu_control_2::delivery) ||
                 (threshold <= 0xf && threshold <= rules_.virtual_tpr >> 4),
             kControl, "TPR threshold", Field::tpr_threshold,
             "has to be at most the class of the virtual TPR");
    }
    if (has(Field::cpu_controls_2, cpu_control_2::vpid))
        need(at(Field::vpid) != 0, kControl, "VPID", Field::vpid, "has to be other than 0, the host's");
    constexpr u64 write_back = 6, four_levels = 3u << 3, accessed_dirty = bit(6);
    const u64 eptp       = at(Field::eptp);
    const bool can_track = rules_.capabilities.ept_vpid & bit(21);
    need((eptp & low_bits(6)) == (write_back | four_levels), kControl, "EPT pointer", Field::eptp,
         "has to say write-back memory and four levels");
    need((eptp & (bit(7) | field(~0ull, 11, 8) << 8 | beyond_physical())) == 0 &&
             (can_track || !(eptp & accessed_dirty)),
         kControl, "EPT pointer", Field::eptp, "bits that the CPU does not have must be 0");
}

// [SDM3 27.2.1.3]
void Entry_judge::injection()
{
    const u64 what = at(Field::entry_event);
    if (!(what & event::valid))
        return;
    constexpr std::string_view name = "VM-entry interruption information";
    const u64 vector                = what & event::vector_mask;
    const auto rule                 = [&](bool holds, std::string_view words) {
        need(holds, kControl, name, Field::entry_event, words);
    };
    rule((what & event::type_mask) >> event::type_shift != 1, "type 1 is none");
    rule(!injects(2) || vector == 2, "an NMI has vector 2");
    rule(!injects(3) || vector < 32, "an exception has a vector below 32");
    rule((what & field(~0ull, 30, 12) << 12) == 0, "bits 30:12 have to be 0");
    const bool takes_error =
        injects(3) && (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21);
    const bool with = what & event::error_valid;
    rule(!with || takes_error, "this event has no error code");
    rule(!with || at(Field::guest_cr0) & cr0::pe, "without protection there are no error codes");
    if (with)
        need(at(Field::entry_error_code) < bit(16), kControl, "VM-entry exception error code",
             Field::entry_error_code, "bits 31:16 have to be 0");
}

// [SDM3 27.2.2, 27.2.4]
void Entry_judge::host_registers()
{
    const Capabilities& c = rules_.capabilities;
    need_fixed(kHost, "CR0", Field::host_cr0, c.cr0_fixed0, c.cr0_fixed1);
    need_fixed(kHost, "CR4", Field::host_cr4, c.cr4_fixed0, c.cr4_fixed1);
    need(at(Field::host_cr4) & cr4::pae, kHost, "CR4", Field::host_cr4, "a 64-bit host needs PAE");
    need(!(at(Field::host_cr3) & beyond_physical()), kHost, "CR3", Field::host_cr3,
         "has to be a physical address");
    need_canonical(kHost, "IA32_SYSENTER_ESP", Field::host_sysenter_esp);
    need_canonical(kHost, "IA32_SYSENTER_EIP", Field::host_sysenter_eip);
    need_pat(kHost, Field::host_pat);
    constexpr u64 both = efer::lme | efer::lma;
    const u64 efer     = at(Field::host_efer);
    need((efer & ~kGuestEfer) == 0 && (efer & both) == both, kHost, "IA32_EFER", Field::host_efer,
         "a 64-bit host has LME and LMA, and no unknown bit");
    need_canonical(kHost, "RIP", Field::host_rip);
}

// [SDM3 27.2.3]
void Entry_judge::host_segments()
{
    static constexpr std::array<std::string_view, 7> kSelectors = {
        "ES selector", "CS selector", "SS selector", "DS selector",
        "FS selector", "GS selector", "TR selector"};
    for (unsigned i = 0; i < kSelectors.size(); ++i)
        need((at(nth(Field::host_es, i)) & 7) == 0, kHost, kSelectors[i], nth(Field::host_es, i),
             "has to be of the GDT and of ring 0");
    need(at(Field::host_cs) != 0, kHost, "CS selector", Field::host_cs, "must not be null");
    need(at(Field::host_tr) != 0, kHost, "TR selector", Field::host_tr, "must not be null");
    need_canonical(kHost, "FS base", Field::host_fs_base);
    need_canonical(kHost, "GS base", Field::host_gs_base);
    need_canonical(kHost, "TR base", Field::host_tr_base);
    need_canonical(kHost, "GDTR base", Field::host_gdtr_base);
    need_canonical(kHost, "IDTR base", Field::host_idtr_base);
}

std::optional<Entry_fault> find_entry_fault(Read_field read, const Entry_rules& rules)
{
    Entry_judge judge(read, rules);
    judge.controls();
    judge.addresses();
    judge.injection();
    judge.host_registers();
    judge.host_segments();
    judge.guest_registers();
    judge.guest_modes();
    judge.guest_segments();
    judge.guest_system_segments();
    judge.guest_flags();
    judge.guest_activity();
    judge.guest_pdptes();
    return judge.fault();
}

} // namespace vmm::vmx
