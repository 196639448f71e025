// SPDX-License-Identifier: Apache-2.0
//
// The state in which a PVH guest starts [docs/misc/pvh.pandoc; arch-x86/hvm/start_info.h].
//
// By the time C++ runs, the entry code has switched to 64-bit mode, so what can still be seen is what the
// loader left in memory: the start info, whose address came in EBX. It has to carry its magic number, the
// flags of the privileged first domain and a root pointer to ACPI tables. The memory map, which is in the
// start info from version 1 on and comes by hypercall in any case (Xen gives its dom0 version 0), has to be
// sorted, without overlap, and has the image in memory a guest may use.
// That the image runs at all shows the entry point, protected mode and flat segments. That .bss reads as
// zero shows that the loader cleared it; the image's own data shows that segments are where they belong.
//
// The control registers are what the entry code made of a documented start: CR0.PE and ET were set, CR4
// was 0 (this code set only PAE), interrupts are off. A hypervisor that left CR4 bits on, or IF, is found
// out here. The first hypercalls answer at once, with nothing registered: version, features.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

#include <xen/features.h>

using namespace vmm::guest;

const char* const kTestName = "start_of_day";

namespace
{

constexpr u32 kRam = 1;

u64 zeroed[512];
constinit u64 loaded = 0x0123456789abcdef;

template <class Entry>
void check_memory_map(const Entry* map, u64 count)
{
    u64 end       = 0;
    bool image_in = false;
    for (u64 i = 0; i < count; ++i) {
        CHECK(map[i].addr >= end);
        CHECK(map[i].size > 0);
        end = map[i].addr + map[i].size;
        image_in |= map[i].type == kRam && map[i].addr <= image().start && end >= image().end;
    }
    CHECK(image_in);
}

// As XENMEM_memory_map writes them.
struct [[gnu::packed]] E820_entry {
    u64 addr;
    u64 size;
    u32 type;
};
E820_entry e820[128];

void check_memory_map_by_hypercall()
{
    xen_memory_map map{};
    map.nr_entries = 128;
    set_xen_guest_handle(map.buffer, e820);
    NEED(memory_op(XENMEM_memory_map, &map) == 0);
    CHECK(map.nr_entries > 0 && map.nr_entries <= 128);
    check_memory_map(e820, map.nr_entries);
}

void check_features()
{
    xen_feature_info features{.submap_idx = 0, .submap = 0};
    NEED(version_op(XENVER_get_features, &features) == 0);
    for (const u32 flag : {XENFEAT_auto_translated_physmap, XENFEAT_hvm_callback_vector,
                           XENFEAT_hvm_safe_pvclock, XENFEAT_memory_op_vnode_supported, XENFEAT_dom0})
        CHECK(features.submap & 1u << flag);
    CHECK(!(features.submap & 1u << XENFEAT_hvm_pirqs));
}

} // namespace

void test_main()
{
    const hvm_start_info& info = boot_info();
    CHECK_EQUAL(info.magic, XEN_HVM_START_MAGIC_VALUE);
    CHECK_EQUAL(info.flags & (SIF_PRIVILEGED | SIF_INITDOMAIN), SIF_PRIVILEGED | SIF_INITDOMAIN);
    CHECK(info.rsdp_paddr != 0);
    check_memory_map_by_hypercall();
    if (info.version >= 1) {
        CHECK(info.memmap_entries > 0);
        check_memory_map(at_gpa<hvm_memmap_table_entry>(info.memmap_paddr), info.memmap_entries);
    }

    for (const u64 word : zeroed)
        CHECK_EQUAL(word, 0);
    CHECK_EQUAL(loaded, 0x0123456789abcdef);

    CHECK_EQUAL(read_cr4(), 0x20);
    CHECK_EQUAL(read_cr0() & 0x10, 0x10);
    CHECK_EQUAL(read_flags() & 0x200, 0);

    const s64 version = hypercall(__HYPERVISOR_xen_version, XENVER_version, 0);
    print("version ", version >> 16, ".", version & 0xffff);
    CHECK_EQUAL(version, 4 << 16 | 17);
    check_features();
    // What the hypervisor was started with: the control domain may know.
    static xen_commandline_t command_line;
    NEED(version_op(XENVER_commandline, command_line) == 0);
    CHECK(command_line[0] != 0);
    CHECK_EQUAL(hypercall(63), -XEN_ENOSYS);
}
