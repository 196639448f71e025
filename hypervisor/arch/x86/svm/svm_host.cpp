// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/svm_host.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/regs/control.hpp"
#include "base/bits.hpp"
#include "domain/domain.hpp"
#include "emul/domain_devices.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <cstring>

namespace vmm::svm
{
namespace
{

// Per CPU once there is more than one.
struct Host {
    Features features;
    u64 host_vmcb_pa    = 0;
    u64 msrpm_pa        = 0;
    u64 closed_iopm_pa  = 0;
    u64 spare_iopm_pa   = 0;
    u64 devices_iopm_pa = 0; // dom0's, filled in when it first runs
    u32 next_asid       = 1;
    u64 asid_generation = 1;
};
constinit Host host;

// Two bits an MSR, read and write, in three blocks of 0x2000 MSRs. [APM2 15.11]
void let_through(u8* map, u32 index)
{
    const u32 block  = index >= 0xc0010000 ? 2 : index >= 0xc0000000 ? 1 : 0;
    const u32 offset = block * 0x800 + (index & 0x1fff) / 4;
    map[offset]      = static_cast<u8>(map[offset] & ~(3u << (2 * (index & 3))));
}

Expected<u64> filled_pages(unsigned order, int value)
{
    const Mfn mfn = TRY(frames.allocate(order));
    std::memset(to_virtual(mfn), value, kPageSize << order);
    return to_hpa(mfn).value();
}

Expected<void> make_maps()
{
    host.msrpm_pa       = TRY(filled_pages(1, 0xff));
    host.closed_iopm_pa = TRY(filled_pages(2, 0xff));
    host.spare_iopm_pa  = TRY(filled_pages(2, 0));
    auto* map           = to_virtual<u8>(Hpa(host.msrpm_pa));
    for (const u32 index : {msr::kStar, msr::kLstar, msr::kCstar, msr::kSfmask, msr::kFsBase, msr::kGsBase,
                            msr::kKernelGsBase, msr::kSysenterCs, msr::kSysenterEsp, msr::kSysenterEip})
        let_through(map, index);
    return {};
}

} // namespace

Expected<void> enable_on_this_cpu()
{
    const auto leaf             = cpuid(0x8000000a);
    host.features.asid_count    = leaf.ebx;
    host.features.next_rip_save = leaf.edx & bit(3);
    host.features.rdtscp        = cpuid(0x80000001).edx & bit(27);

    if (host.msrpm_pa == 0)
        TRY(make_maps());
    const u64 save_area = TRY(filled_pages(kOrder4k, 0));
    host.host_vmcb_pa   = TRY(filled_pages(kOrder4k, 0));
    write_msr(msr::kEfer, read_msr(msr::kEfer) | efer::svme);
    write_msr(msr::kVmHsavePa, save_area);
    asm volatile("vmsave %0" ::"a"(host.host_vmcb_pa) : "memory");
    return {};
}

const Features& features() { return host.features; }
u64 host_vmcb_pa() { return host.host_vmcb_pa; }
u64 msr_permission_map_pa() { return host.msrpm_pa; }

u64 io_permission_map_pa(Domain& domain)
{
    const auto* devices = domain.devices();
    if (!devices)
        return host.closed_iopm_pa;
    if (host.devices_iopm_pa == 0) {
        auto* map            = to_virtual<u8>(Hpa(host.spare_iopm_pa));
        host.devices_iopm_pa = host.spare_iopm_pa;
        for (u32 port = 0; port < 0x10000; ++port) {
            if (devices->port_is_trapped(static_cast<u16>(port)))
                map[port / 8] = static_cast<u8>(map[port / 8] | 1u << (port % 8));
        }
    }
    return host.devices_iopm_pa;
}

bool asid_is_current(const Asid& asid) { return asid.generation == host.asid_generation; }

Asid next_asid(bool& flush_all)
{
    flush_all = false;
    if (host.next_asid >= host.features.asid_count) {
        host.next_asid = 1;
        ++host.asid_generation;
        flush_all = true;
    }
    return {host.next_asid++, host.asid_generation};
}

} // namespace vmm::svm
