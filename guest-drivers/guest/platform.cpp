// SPDX-License-Identifier: Apache-2.0
#include "guest/platform.hpp"

#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"

using namespace vmm::guest;

extern "C" {
extern u8 image_start[], image_end[], data_start[], data_end[], data_copy[], bss_start[];
extern u8 start32[];
}

namespace vmm::guest
{

namespace
{

constexpr u64 kSharedPage  = 0;
constexpr u64 kDom0Special = 0x800000; // 8 MiB: memory in any dom0

const hvm_start_info* given = nullptr;
Page special_pages[kSpecialPages];
vcpu_info* my_info = nullptr;

} // namespace

Image image()
{
    return {gpa_of(image_start), gpa_of(image_end), gpa_of(data_start), gpa_of(data_end),
            gpa_of(data_copy),   gpa_of(bss_start), gpa_of(start32)};
}

const hvm_start_info& boot_info() { return *given; }
bool is_dom0() { return given->flags & SIF_INITDOMAIN; }

u32 hypervisor_leaf()
{
    for (u32 base = 0x40000000; base < 0x40010000; base += 0x100) {
        const Cpuid found = cpuid(base);
        if (found.ebx == 0x566e6558 && found.ecx == 0x65584d4d && found.edx == 0x4d4d566e)
            return base;
    }
    return 0;
}

Page& special_page(u32 index) { return is_dom0() ? at_gpa<Page>(kDom0Special)[index] : special_pages[index]; }

s64 map_shared_info()
{
    xen_add_to_physmap place{};
    place.domid  = DOMID_SELF;
    place.space  = XENMAPSPACE_shared_info;
    place.gpfn   = gfn_of(&special_page(kSharedPage));
    const s64 rc = memory_op(XENMEM_add_to_physmap, &place);
    my_info      = &shared().vcpu_info[0];
    return rc;
}

shared_info& shared() { return *special_page(kSharedPage).as<shared_info>(); }
vcpu_info& my_vcpu_info() { return *my_info; }

s64 set_event_vector()
{
    return set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ,
                     u64{HVM_PARAM_CALLBACK_TYPE_VECTOR} << 56 | kEventVector);
}

s64 register_vcpu_info(u32 vcpu, vcpu_info& place)
{
    vcpu_register_vcpu_info where{};
    where.mfn    = gfn_of(&place);
    where.offset = static_cast<u32>(gpa_of(&place) % kPageSize);
    const s64 rc = vcpu_op(VCPUOP_register_vcpu_info, vcpu, &where);
    if (rc == 0 && vcpu == 0)
        my_info = &place;
    return rc;
}

} // namespace vmm::guest

// Nothing may have written .data before it is copied.
extern "C" [[noreturn]] void start64(const hvm_start_info* info)
{
    __builtin_memcpy(data_copy, data_start, static_cast<u64>(data_end - data_start));
    given = info;
    choose_hypercall_instruction();
    load_idt();
    guest_main();
    shut_down(SHUTDOWN_poweroff);
}
