// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/vmx/vmx_host.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/descriptors.hpp"
#include "arch/x86/cpu/features.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/decode/vmx_apic.hpp"
#include "arch/x86/io_permissions.hpp"
#include "arch/x86/vmx/instructions.hpp"
#include "base/per_cpu.hpp"
#include "debug/log.hpp"
#include "mm/direct_map.hpp"

namespace vmm::vmx
{
namespace
{

// The same for all CPUs.
struct Host {
    Capabilities capabilities;
    Controls controls;
    unsigned physical_bits = 0;
    Hpa msr_bitmaps[2][2]{};
};
constinit Host host;
constinit Per_cpu<Hpa> current;
constinit Per_cpu<Address_space_ids> ids;

constexpr u32 kVpidCount = 1u << 16;

Expected<void> make_msr_bitmaps()
{
    for (const bool apic : {false, true}) {
        for (const bool spec_ctrl : {false, true}) {
            const Hpa page                    = TRY(filled_pages(kOrder4k, 0xff));
            host.msr_bitmaps[apic][spec_ctrl] = page;
            make_msr_bitmap(to_virtual<u8>(page), apic, spec_ctrl);
        }
    }
    return {};
}

struct [[gnu::packed]] Table_register {
    u16 limit;
    u64 base;
};

// Where the task state segment is, by its descriptor.
u64 task_base(u64 gdt)
{
    const auto* descriptor = reinterpret_cast<const u64*>(gdt + kHostTaskSelector);
    return field(descriptor[0], 39, 16) | field(descriptor[0], 63, 56) << 24 | descriptor[1] << 32;
}

// What guests run with, found on the boot CPU.
Expected<void> choose_for_all()
{
    host.capabilities  = read_capabilities(read_msr);
    host.physical_bits = read_cpu_facts().physical_bits;
    host.controls      = choose_controls(host.capabilities);
    if (!host.controls.missing.empty()) {
        log::error("this CPU's VT-x lacks {}, which guests need: a newer CPU is required",
                   host.controls.missing);
        return fail(Errc::einval);
    }
    Nested_format::places = ept_places(host.controls);
    return make_msr_bitmaps();
}

} // namespace

Expected<void> enable_on_this_cpu()
{
    if (this_cpu() == 0) {
        TRY(choose_for_all());
    } else if (read_capabilities(read_msr) != host.capabilities) {
        log::error("VT-x of this CPU offers other features than that of the boot CPU");
        return fail(Errc::einval);
    }
    vpids().init(host.controls.has_2(cpu_control_2::vpid) ? kVpidCount : 1);

    const u64 feature = read_msr(msr::kFeatureControl);
    if (const u64 wanted = feature_control::with_vmxon(feature); wanted != feature)
        write_msr(msr::kFeatureControl, wanted);
    write_cr0(host.capabilities.host_cr0(read_cr0()));
    write_cr4(host.capabilities.host_cr4(read_cr4()));
    const Hpa region = TRY(filled_pages(kOrder4k, 0));
    init_vmcs_region(region);
    if (!vmxon(region)) {
        log::error("VMXON failed, although the CPU and the firmware say that it can be done");
        return fail(Errc::einval);
    }
    return {};
}

void report()
{
    const Controls& c = host.controls;
    log::info("VT-x: EPT{}{}{}{}{}", c.giant_pages ? ", its 1 GiB pages" : "",
              c.accessed_dirty ? ", its dirty flags" : "", c.has_2(cpu_control_2::vpid) ? ", VPID" : "",
              c.has_2(cpu_control_2::pause_loops) ? ", PAUSE loops noticed" : "",
              c.virtual_apic ? ", interrupts delivered by the CPU" : ", interrupts injected");
}

Address_space_ids& vpids() { return ids.here(); }
const Capabilities& capabilities() { return host.capabilities; }
const Controls& controls() { return host.controls; }
unsigned physical_bits() { return host.physical_bits; }
// A guest without restrictions may do without protection and paging. [SDM3 24.8]
u64 cr0_must() { return host.capabilities.cr0_fixed0 & ~(cr0::pe | cr0::pg); }
u64 cr4_must() { return host.capabilities.cr4_fixed0; }
u64 cr4_may() { return host.capabilities.cr4_fixed1; }
Hpa msr_bitmap(bool apic, bool spec_ctrl) { return host.msr_bitmaps[apic][spec_ctrl]; }

void init_vmcs_region(Hpa at)
{
    *to_virtual<u32>(at) = static_cast<u32>(host.capabilities.basic & 0x7fffffff);
}

void write_host_state()
{
    Table_register gdt{}, idt{};
    asm volatile("sgdt %0" : "=m"(gdt));
    asm volatile("sidt %0" : "=m"(idt));
    write(Field::host_cr0, read_cr0());
    write(Field::host_cr3, read_cr3());
    write(Field::host_cr4, read_cr4());
    write(Field::host_cs, kHostCodeSelector);
    for (const Field data : {Field::host_ss, Field::host_ds, Field::host_es})
        write(data, kHostDataSelector);
    write(Field::host_fs, 0);
    write(Field::host_gs, 0);
    write(Field::host_tr, kHostTaskSelector);
    write(Field::host_fs_base, read_msr(msr::kFsBase));
    write(Field::host_gs_base, read_msr(msr::kGsBase));
    write(Field::host_tr_base, task_base(gdt.base));
    write(Field::host_gdtr_base, gdt.base);
    write(Field::host_idtr_base, idt.base);
    for (const Field none : {Field::host_sysenter_cs, Field::host_sysenter_esp, Field::host_sysenter_eip})
        write(none, 0);
    write(Field::host_pat, read_msr(msr::kPat));
    write(Field::host_efer, read_msr(msr::kEfer));
}

void make_current(Hpa vmcs)
{
    if (current.here() == vmcs)
        return;
    vmptrld(vmcs);
    current.here() = vmcs;
}

void forget_current(Hpa vmcs)
{
    vmclear(vmcs);
    if (current.here() == vmcs)
        current.here() = Hpa(0);
}

} // namespace vmm::vmx
