// SPDX-License-Identifier: Apache-2.0
#include "efi/memory_map.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"
#include "efi/gnu_efi.hpp"

#include <algorithm>

namespace vmm::efi
{
namespace
{

Memory_type type_of(u32 efi_type)
{
    switch (efi_type) {
    case EfiLoaderCode:
    case EfiLoaderData:
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiConventionalMemory: return Memory_type::ram;
    case EfiACPIReclaimMemory: return Memory_type::acpi;
    case EfiACPIMemoryNVS: return Memory_type::nvs;
    case EfiUnusableMemory: return Memory_type::unusable;
    default: return Memory_type::reserved;
    }
}

} // namespace

template <class Visitor>
void Memory_map::for_each_region(Visitor visit) const
{
    Memory_region region{};
    for (std::size_t at = 0; at + std::max(stride_, sizeof(EFI_MEMORY_DESCRIPTOR)) <= descriptors_.size();
         at += stride_) {
        const auto descriptor = bytes::load<EFI_MEMORY_DESCRIPTOR>(descriptors_.data() + at);
        const Memory_region next{Hpa(descriptor.PhysicalStart), descriptor.NumberOfPages * kPageSize,
                                 type_of(descriptor.Type)};
        if (region.size != 0 && next.start == region.end() && next.type == region.type) {
            region.size += next.size;
            continue;
        }
        if (region.size != 0)
            visit(region);
        region = next;
    }
    if (region.size != 0)
        visit(region);
}

void Memory_map::describe(Information& to) const
{
    to.begin_memory_map();
    for_each_region([&](const Memory_region& region) { to.add_memory(region); });
    to.end_memory_map();
    to.add_efi_memory_map(descriptors_, stride_);
}

bool Memory_map::is_ram(u64 start, u64 end) const
{
    u64 ram = 0; // regions do not overlap, so what of each is inside adds up to all of it
    for_each_region([&](const Memory_region& region) {
        const u64 from = std::max(start, region.start.value());
        const u64 to   = std::min(end, region.end().value());
        if (region.type == Memory_type::ram && from < to)
            ram += to - from;
    });
    return ram == end - start;
}

} // namespace vmm::efi
