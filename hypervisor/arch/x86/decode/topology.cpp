// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/topology.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>

namespace vmm
{
namespace
{

constexpr u32 kTopology = 0xb, kIntelCaches = 4, kAmdCaches = 0x8000001d;
constexpr u32 kAmdTopologyExtensions = bit(22); // leaf 0x80000001, ECX
constexpr unsigned kMaxLevels        = 8;

// As many ids as a power of two has.
unsigned bits_for(u32 count) { return count <= 1 ? 0 : static_cast<unsigned>(std::bit_width(count - 1)); }

// The levels come from the thread upwards; the last one is the package. False: the leaf says nothing.
bool read_levels(Cpuid_function cpuid, Apic_id_layout& layout)
{
    constexpr u32 kind_thread = 1;
    bool any                  = false;
    for (u32 level = 0; level < kMaxLevels; ++level) {
        const Cpuid leaf = cpuid(kTopology, level);
        const u64 kind   = field(leaf.ecx, 15, 8);
        if (kind == 0 || (leaf.ebx & 0xffff) == 0)
            break;
        const unsigned width = leaf.eax & 0x1f;
        if (kind == kind_thread)
            layout.core = width;
        layout.package = std::max(layout.package, width);
        any            = true;
    }
    return any;
}

// Both vendors describe caches in the same form.
void read_caches(Cpuid_function cpuid, u32 leaf_number, Apic_id_layout& layout)
{
    u64 highest = 0;
    for (u32 i = 0; i < kMaxLevels; ++i) {
        const Cpuid leaf = cpuid(leaf_number, i);
        if (field(leaf.eax, 4, 0) == 0)
            break;
        if (const u64 level = field(leaf.eax, 7, 5); level >= highest) {
            highest      = level;
            layout.cache = bits_for(static_cast<u32>(field(leaf.eax, 25, 14)) + 1);
        }
    }
}

} // namespace

Apic_id_layout read_apic_id_layout(Cpuid_function cpuid)
{
    constexpr u32 several_cpus = bit(28); // leaf 1, EDX
    Apic_id_layout layout;
    const Cpuid first  = cpuid(0, 0);
    const u32 extended = cpuid(0x80000000, 0).eax;
    const bool amd     = first.ebx == 0x68747541 || first.ebx == 0x6f677948; // Auth(enticAMD), Hygo(nGenuine)
    if (first.eax < kTopology || !read_levels(cpuid, layout)) {
        const Cpuid leaf1 = cpuid(1, 0);
        if (leaf1.edx & several_cpus)
            layout.package = bits_for(static_cast<u32>(field(leaf1.ebx, 23, 16)));
    }
    layout.cache = layout.package;
    if (amd && extended >= kAmdCaches && (cpuid(0x80000001, 0).ecx & kAmdTopologyExtensions))
        read_caches(cpuid, kAmdCaches, layout);
    else if (!amd && first.eax >= kIntelCaches)
        read_caches(cpuid, kIntelCaches, layout);
    layout.cache   = std::max(layout.cache, layout.core);
    layout.package = std::max(layout.package, layout.cache);
    return layout;
}

} // namespace vmm
