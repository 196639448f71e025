// SPDX-License-Identifier: Apache-2.0
#include "dom0/start_of_day.hpp"

#include "base/string.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "mm/direct_map.hpp"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/xen.h>

namespace vmm
{
namespace
{

constexpr Segment kFlatCode{0, 0xc9b, 0xffffffff, 0};
constexpr Segment kFlatData{0, 0xc93, 0xffffffff, 0};
constexpr Segment kTask{0, 0x8b, 0x67, 0};

} // namespace

Expected<void> write_start_of_day(const Dom0_layout& layout, const Dom0_map& map,
                                  std::string_view command_line)
{
    struct Page {
        hvm_start_info info;
        hvm_modlist_entry module;
        hvm_memmap_table_entry map[256];
    };
    auto* const page          = to_virtual<Page>(layout.start.start);
    const u64 at              = layout.start.start.value();
    const u64 command_line_at = offsetof(Page, map) + map.size() * sizeof(hvm_memmap_table_entry);
    const bool has_initrd     = layout.initrd.end > layout.initrd.start;
    if (command_line_at + command_line.size() + 1 > layout.start.end - layout.start.start)
        return fail(Errc::e2big);
    page->info   = {.magic          = XEN_HVM_START_MAGIC_VALUE,
                    .version        = 1,
                    .flags          = SIF_PRIVILEGED | SIF_INITDOMAIN,
                    .nr_modules     = has_initrd ? 1u : 0u,
                    .modlist_paddr  = has_initrd ? at + offsetof(Page, module) : 0,
                    .cmdline_paddr  = at + command_line_at,
                    .rsdp_paddr     = layout.tables.start.value(),
                    .memmap_paddr   = at + offsetof(Page, map),
                    .memmap_entries = static_cast<u32>(map.size()),
                    .reserved       = 0};
    page->module = {layout.initrd.start.value(), layout.initrd.end - layout.initrd.start, 0, 0};
    for (std::size_t i = 0; i < map.size(); ++i)
        page->map[i] = {map[i].start.value(), map[i].size, static_cast<u32>(map[i].type), 0};
    bytes::copy(reinterpret_cast<u8*>(page) + command_line_at, command_line.data(), command_line.size());
    return {};
}

Expected<void> store_memory_map(Domain& domain, const Dom0_map& map)
{
    const auto entries = TRY(domain.memory_map.replace(static_cast<u32>(map.size())));
    for (std::size_t i = 0; i < map.size(); ++i)
        entries[i] = {map[i].start.value(), map[i].size, static_cast<u32>(map[i].type)};
    return {};
}

Expected<void> start_vcpu(Vcpu& vcpu, Gpa entry, Gpa start_info)
{
    System_state state{};
    state.cr0 |= cr0::pe;
    state.cs = kFlatCode;
    state.ds = state.es = state.ss = kFlatData;
    state.tr                       = kTask;
    TRY(vcpu.backend().write_system(state));
    clear(vcpu.regs);
    vcpu.regs.rip    = entry.value();
    vcpu.regs.rbx    = start_info.value();
    vcpu.regs.rflags = 2;
    vcpu.initialised = true;
    vcpu.set_up(true);
    return {};
}

} // namespace vmm
