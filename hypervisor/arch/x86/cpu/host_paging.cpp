// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/host_paging.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/features.hpp"
#include "arch/x86/cpu/image.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/paging/entry_formats.hpp"
#include "base/panic.hpp"
#include "base/per_cpu.hpp"
#include "mm/direct_memory.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/page_table.hpp"

#include <algorithm>
#include <cstring>

namespace vmm
{
namespace
{

constexpr Hpa kFourGiB{4 * kGiB};

// As large as the boot CPU's, each in a slot of twice the size, whose lower half is empty.
constexpr u64 kStacks          = 0xffffc00000000000;
constexpr unsigned kStackOrder = 3;
constexpr u64 kStackSize       = kPageSize << kStackOrder;
constexpr u64 kAddressMask     = low_bits(Host_format::address_bits);
static_assert(field(kPatAtReset, 31, 24) == 0, "entry 3 (PCD and PWT), Host_format's uncached, is UC");

// During boot, tables come one after another out of one stretch of RAM; later from the frame allocator.
class Table_source
{
  public:
    void use_stretch(Hpa start, u64 tables)
    {
        next_ = start;
        left_ = tables;
    }
    void use_frame_allocator() { boot_ = false; }

    Expected<Hpa> allocate()
    {
        if (!boot_)
            return to_hpa(TRY(frames.allocate(kOrder4k)));
        if (left_ == 0)
            return fail(Errc::enomem);
        --left_;
        const Hpa table = next_;
        next_           = next_ + kPageSize;
        std::memset(to_virtual(table), 0, kPageSize);
        return table;
    }
    // At boot a larger leaf may take the place of a table, which no CPU walks yet. Later nothing is replaced.
    void free(Hpa) { ASSERT(boot_); }

  private:
    Hpa next_;
    u64 left_  = 0;
    bool boot_ = true;
};

constinit Table_source tables;
constinit Hpa root;

using Host_table = Page_table<Host_format, Direct_memory, Table_source>;

constexpr Leaf_attributes kCode{false, true, false};
constexpr Leaf_attributes kConstants{false, false, false};
constexpr Leaf_attributes kData{true, false, false};
constexpr Leaf_attributes kDevice{true, false, true};

u64 page_of(u64 address) { return (address & kAddressMask) >> kPageShift; }

// It replaces what is there at boot only: later CPUs would have to forget it.
Expected<void> map(u64 virtual_address, Hpa start, Hpa end, Leaf_attributes attributes)
{
    if (start < end)
        (void)TRY(Host_table(root, tables)
                      .map(page_of(virtual_address), to_mfn(start).value(), (end - start) >> kPageShift,
                           attributes));
    return {};
}

Expected<void> map_direct(Hpa start, Hpa end, Leaf_attributes attributes)
{
    return map(direct_map_base + start.value(), start, end, attributes);
}

Expected<void> map_image()
{
    const auto part = [](const char* start, const char* end, Leaf_attributes attributes) {
        return map(reinterpret_cast<u64>(start), image::physical(start), image::physical(end), attributes);
    };
    TRY(part(image::text_start, image::text_end, kCode));
    TRY(part(image::rodata_start, image::rodata_end, kConstants));
    TRY(part(image::data_start, image::boot_stack_guard, kData));
    TRY(part(image::boot_stack, image::data_end, kData));
    // The other way to the same memory, with no more rights.
    TRY(map_direct(image::physical(image::text_start), image::physical(image::rodata_end), kConstants));
    return {};
}

Expected<void> map_memory(const Memory_map& memory)
{
    Hpa at;
    for (const Memory_region& region : memory) {
        // ACPI tables and the like are memory; what is between regions and reserved is not, or not ours.
        if (region.type == Memory_type::reserved || region.type == Memory_type::unusable)
            continue;
        const Hpa start(align_down(region.start.value(), kPageSize));
        const Hpa end(align_up(region.end().value(), kPageSize));
        if (at < std::min(start, kFourGiB))
            TRY(map_direct(at, std::min(start, kFourGiB), kDevice));
        TRY(map_direct(std::max(at, start), end, kData));
        at = std::max(at, end);
    }
    if (at < kFourGiB)
        TRY(map_direct(at, kFourGiB, kDevice));
    return {};
}

// Enough for 4 KiB pages around each region's ends, and for 2 MiB pages in between.
u64 tables_needed(const Memory_map& memory)
{
    const u64 end = std::max(memory_end(memory, Memory_type::ram), kFourGiB).value();
    return 64 + 4 * memory.size() + (end >> 30) + 1 + (end >> 39);
}

} // namespace

Expected<void> build_host_page_tables(const Memory_map& memory, Used_ranges& used, const Cpu_facts& cpu)
{
    Host_format::largest = cpu.gigabyte_pages ? 3 : 2;
    const u64 count      = tables_needed(memory);
    const Hpa stretch    = TRY(find_free(memory, used, count * kPageSize, kPageSize, kFourGiB));
    TRY(used.add(stretch, stretch + count * kPageSize));
    tables.use_stretch(stretch, count);
    root = TRY(tables.allocate());
    TRY(map_memory(memory));
    return map_image();
}

void enter_host_page_tables(const Cpu_facts& cpu)
{
    if (cpu.pat)
        write_msr(msr::kPat, kPatAtReset);
    // Global pages of the old tables must not survive.
    write_cr4(read_cr4() & ~cr4::pge);
    write_cr3(root.value());
    write_cr4(read_cr4() | cr4::pge | cr4::mce | (cpu.smep ? cr4::smep : 0) | (cpu.smap ? cr4::smap : 0) |
              (cpu.umip ? cr4::umip : 0));
    write_cr0(read_cr0() | cr0::wp);
    tables.use_frame_allocator();
}

Hpa host_page_tables() { return root; }

// A number is used again when the CPU that had it did not come up: then the stack is there already.
Expected<u64> make_cpu_stack(u32 cpu)
{
    const u64 bottom = kStacks + cpu * 2 * kStackSize + kStackSize;
    if (!Host_format::present(Host_table::place(root, page_of(bottom)).entry)) {
        const Hpa memory = to_hpa(TRY(frames.allocate(kStackOrder)));
        TRY(map(bottom, memory, memory + kStackSize, kData));
    }
    return bottom + kStackSize;
}

bool is_below_cpu_stack(u64 address)
{
    return address >= kStacks && address < kStacks + kMaxCpus * 2 * kStackSize &&
           ((address - kStacks) & kStackSize) == 0;
}

Expected<void> map_device_memory(Hpa start, u64 size)
{
    const Hpa first(align_down(start.value(), kPageSize));
    const Hpa end(align_up(start.value() + size, kPageSize));
    // What is there leads to the same place, and CPUs know it: it stays.
    for (Hpa at = std::max(first, kFourGiB); at < end;) {
        const u64 page   = page_of(direct_map_base + at.value());
        const auto there = Host_table::place(root, page);
        const Hpa next   = std::min(at + (pages_left(page, there.level) << kPageShift), end);
        if (!Host_format::present(there.entry))
            TRY(map_direct(at, next, kDevice));
        at = next;
    }
    return {};
}

} // namespace vmm
