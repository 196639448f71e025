// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/svm_host.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/io_permissions.hpp"
#include "arch/x86/paging/entry_formats.hpp"
#include "arch/x86/regs/control.hpp"
#include "base/bits.hpp"
#include "debug/log.hpp"
#include "mm/direct_map.hpp"

#include <cstring>

namespace vmm::svm
{
namespace
{

constinit u64 msrpm_pa = 0;

// There are two maps: the second lets SPEC_CTRL and PRED_CMD through too.
constexpr u64 kMsrMapSize = 2 * kPageSize;

// Two bits an MSR, read and write, in three blocks of 0x2000 MSRs. [APM2 15.11]
void let_through(u8* map, u32 index)
{
    const u32 block  = index >= 0xc0010000 ? 2 : index >= 0xc0000000 ? 1 : 0;
    const u32 offset = block * 0x800 + (index & 0x1fff) / 4;
    map[offset]      = static_cast<u8>(map[offset] & ~(3u << (2 * (index & 3))));
}

Expected<void> make_msr_map()
{
    const Hpa at = TRY(filled_pages(2, 0xff));
    msrpm_pa     = at.value();
    auto* map    = to_virtual<u8>(at);
    for (const u32 index : {msr::kStar, msr::kLstar, msr::kCstar, msr::kSfmask, msr::kFsBase, msr::kGsBase,
                            msr::kKernelGsBase, msr::kSysenterCs, msr::kSysenterEsp, msr::kSysenterEip})
        let_through(map, index);
    auto* second = map + kMsrMapSize;
    std::memcpy(second, map, kMsrMapSize);
    let_through(second, msr::kSpecCtrl);
    let_through(second, msr::kPredCmd);
    return {};
}

} // namespace

Expected<void> enable_on_this_cpu()
{
    const auto leaf     = cpuid(0x8000000a);
    const auto extended = cpuid(0x80000001);
    const Features features{.next_rip_save = (leaf.edx & bit(3)) != 0,
                            .rdtscp        = (extended.edx & bit(27)) != 0,
                            .auto_ibrs     = (cpuid_if_there(0x80000021).eax & bit(8)) != 0,
                            .giant_pages   = (extended.edx & bit(26)) != 0,
                            .pause_filter  = (leaf.edx & bit(10)) != 0};
    if (this_cpu() == 0) {
        machine_features                   = features;
        Nested_format::places              = Nested_format::npt;
        Nested_format::places.largest_leaf = features.giant_pages ? 3 : 2;
        TRY(make_msr_map());
    } else if (features != machine_features) {
        log::error("AMD-V of this CPU offers other features than that of the boot CPU");
        return fail(Errc::einval);
    }
    Cpu& cpu = cpus.here();
    cpu.asids.init(leaf.ebx);
    const Hpa save_area = TRY(filled_pages(kOrder4k, 0));
    const Hpa host_vmcb = TRY(filled_pages(kOrder4k, 0));
    cpu.host_vmcb_pa    = host_vmcb.value();
    write_msr(msr::kEfer, read_msr(msr::kEfer) | efer::svme);
    write_msr(msr::kVmHsavePa, save_area.value());
    asm volatile("vmsave %0" ::"a"(cpu.host_vmcb_pa) : "memory");
    return {};
}

void report()
{
    log::info("AMD-V: nested paging{}, {} ASIDs{}, {}",
              Nested_format::largest_leaf() == 3 ? " with 1 GiB pages" : "", cpus.here().asids.count(),
              machine_features.pause_filter ? ", PAUSE loops noticed" : "",
              machine_features.next_rip_save ? "next RIP saved" : "instructions measured by software");
}

u64 msr_permission_map_pa(bool spec_ctrl) { return msrpm_pa + (spec_ctrl ? kMsrMapSize : 0); }

} // namespace vmm::svm
