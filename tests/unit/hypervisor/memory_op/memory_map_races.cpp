// SPDX-License-Identifier: Apache-2.0
//
// A guest asks for its memory map on one CPU while it is replaced on another, under ThreadSanitizer: it gets
// the old one or the new one, whole.
#include "memory_op/race_cpus.hpp"
#include "world.hpp"

#include "exit/guest_memory.hpp"

#include <catch2/catch.hpp>

#include <xen/memory.h>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kArg    = 0x8000;
constexpr u64 kList   = 0x9000;
constexpr u32 kMost   = Guest_memory_map::kMaxEntries;
constexpr u32 kRounds = 200;

// A map of `count` entries that says so in each of them.
bool set_map(Domain& control, u32 count)
{
    const std::vector<E820_entry> entries(count, E820_entry{count, count, 1});
    auto& arg = *guest<xen_foreign_memory_map>(control, kArg);
    arg       = {1, {count, {reinterpret_cast<void*>(kList)}}};
    Hypercall_args args{{XENMEM_set_memory_map, kArg, 0, 0, 0}};
    return copy_to_guest(*control.vcpu(0), Gva(kList), entries.data(), count * sizeof(E820_entry)) &&
           do_memory_op(*control.vcpu(0), args);
}

bool get_map(Domain& d)
{
    auto& arg = *guest<xen_memory_map>(d, kArg);
    arg       = {kMost, {reinterpret_cast<void*>(kList)}};
    Hypercall_args args{{XENMEM_memory_map, kArg, 0, 0, 0}};
    std::vector<E820_entry> entries(kMost);
    if (!do_memory_op(*d.vcpu(0), args) || arg.nr_entries > kMost ||
        !copy_from_guest(*d.vcpu(0), entries.data(), Gva(kList), arg.nr_entries * sizeof(E820_entry)))
        return false;
    for (u32 i = 0; i < arg.nr_entries; ++i) {
        if (entries[i].address != arg.nr_entries)
            return false;
    }
    return true;
}

} // namespace

TEST_CASE("a memory map that is replaced is read whole")
{
    World world;
    Domain& control = world.make(0, true);
    Domain& d       = world.make(1);
    REQUIRE(set_map(control, kMost));
    std::atomic<u32> wrong{0};
    on_cpus(2, [&](u32 cpu) {
        for (u32 round = 0; round < kRounds; ++round) {
            wrong += cpu == 0 ? !set_map(control, round % 2 ? kMost : 1) : !get_map(d);
            run_guest();
        }
    });
    CHECK(wrong == 0);
}
