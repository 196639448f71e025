// SPDX-License-Identifier: Apache-2.0
#include "fakes/memory.hpp"

#include "arch/x86/intr/ipi.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <sys/mman.h>

namespace vmm
{

std::uintptr_t direct_map_base = 0;

void make_leave_guest(u64 cpus)
{
    if (fakes::on_make_leave_guest)
        fakes::on_make_leave_guest(cpus);
}

namespace fakes
{

Memory::Memory(u64 frame_count, bool scrubbed)
    : table_(std::calloc(1, Frame_allocator::table_bytes(Mfn(frame_count)))), bytes_(frame_count * kPageSize),
      old_base_(direct_map_base)
{
    arena_ =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    direct_map_base = reinterpret_cast<std::uintptr_t>(arena_);
    std::destroy_at(&frames);
    std::construct_at(&frames);
    frames.init(Mfn(frame_count), table_);
    frames.add_free(Mfn(1), frame_count - 1);
    if (scrubbed) {
        while (frames.scrub_some()) {
        }
    }
}

Memory::~Memory()
{
    std::destroy_at(&frames);
    std::construct_at(&frames);
    direct_map_base = old_base_;
    munmap(arena_, bytes_);
    std::free(table_);
}

bool Memory::is_zero(Mfn mfn, unsigned order) const
{
    const u8* const bytes = to_virtual<u8>(mfn);
    return std::all_of(bytes, bytes + (kPageSize << order), [](u8 b) { return b == 0; });
}

} // namespace fakes
} // namespace vmm
