// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/firmware_call.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/host_paging.hpp"
#include "arch/x86/paging/entry_formats.hpp"
#include "base/panic.hpp"
#include "base/per_cpu.hpp"
#include "base/relaxed.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "mm/direct_memory.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/page_table.hpp"
#include "platform/efi.hpp"

#include <cstring>

namespace vmm
{
namespace
{

constexpr u64 kLowerHalf = bit(47); // of the address space: the firmware's, physical as virtual
constexpr u32 kNobodyCpu = ~0u;
constexpr u64 kNmi = 2, kDoubleFault = 8, kMachineCheck = 18;

struct Frame_tables {
    static Expected<Hpa> allocate() { return to_hpa(TRY(frames.allocate(kOrder4k))); }
    static void free(Hpa table) { frames.free(to_mfn(table), kOrder4k); }
};

constinit Hpa root;
constinit std::byte* fresh_fpu = nullptr;
constinit std::byte* vcpu_fpu  = nullptr;
constinit Relaxed<u32> calling_cpu{kNobodyCpu};
constinit bool has_faulted = false;

Expected<std::byte*> make_fpu_area()
{
    auto* area = to_virtual<std::byte>(TRY(frames.allocate(kOrder4k)));
    init_fpu_area(area);
    return area;
}

// Whatever has come to the hypervisor's half since.
void share_upper_half()
{
    constexpr u64 half = kPageSize / 2;
    std::memcpy(to_virtual<std::byte>(root + half), to_virtual<std::byte>(host_page_tables() + half), half);
}

struct Outcome {
    u64 status;
    u64 faulted;
};

// In enter_firmware.S.
extern "C" Outcome enter_firmware(u64 service, const u64* arguments, u64 root);
extern "C" const char firmware_has_faulted[];

} // namespace

Expected<void> map_firmware(std::span<const Efi_region> memory)
{
    const Hpa top = TRY(Frame_tables::allocate());
    Frame_tables tables;
    Page_table<Firmware_format, Direct_memory, Frame_tables> table(top, tables);
    for (const Efi_region& region : memory) {
        const Leaf_attributes rights{.writable   = true,
                                     .executable = (region.attributes & Efi_region::kNotExecuted) == 0,
                                     .uncached   = (region.attributes & Efi_region::kWriteBack) == 0};
        if ((region.attributes & Efi_region::kRuntime) == 0 || region.end() <= region.start ||
            region.end().value() > kLowerHalf)
            continue;
        (void)TRY(table.map(region.start.value() >> kPageShift, to_mfn(region.start).value(), region.pages,
                            rights));
    }
    fresh_fpu = TRY(make_fpu_area());
    vcpu_fpu  = TRY(make_fpu_area());
    root      = top;
    return {};
}

Expected<u64> call_firmware(u64 service, const Firmware_arguments& arguments)
{
    if (root == Hpa() || has_faulted)
        return fail(Errc::eopnotsupp);
    const u64 xcr0 = read_guest_xcr0();
    save_fpu(vcpu_fpu);
    restore_fpu(fresh_fpu, guest_xcr0_mask());
    share_upper_half();
    calling_cpu        = this_cpu();
    const auto outcome = enter_firmware(service, arguments.data(), root.value());
    calling_cpu        = kNobodyCpu;
    restore_fpu(vcpu_fpu, xcr0);
    if (outcome.faulted)
        return fail(Errc::eopnotsupp);
    return outcome.status;
}

u64 give_up_firmware_call(const Exception_frame& frame)
{
    if (calling_cpu != this_cpu() || frame.rip >= kLowerHalf || frame.vector == kNmi ||
        frame.vector == kDoubleFault || frame.vector == kMachineCheck)
        return 0;
    has_faulted = true;
    log::error(
        "the firmware's runtime services have faulted at {x} (exception {}, address {x}): they are not "
        "called again, and dom0 has no EFI variables any more",
        frame.rip, frame.vector, read_cr2());
    return reinterpret_cast<u64>(firmware_has_faulted);
}

} // namespace vmm
