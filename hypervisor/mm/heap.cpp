// SPDX-License-Identifier: Apache-2.0
#include "mm/heap.hpp"

#include "base/bits.hpp"
#include "base/panic.hpp"
#include "base/string.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <bit>

namespace vmm::heap
{
namespace
{

constexpr unsigned kSmallestShift = 4;
constexpr unsigned kClasses       = 8; // 16, 32, ... 2048
constexpr u32 kNoObject           = 0xffff;

// Notes about a frame full of small objects, kept in its frame-table entry: `owner` is the class, the
// halves of `holds` are the number of objects in use and the first free one (in units of 16 bytes), the
// links join the frames of a class that have room.
struct Slab {
    Frame& f;

    [[nodiscard]] u32 used() const { return f.holds.load(std::memory_order_relaxed) >> 16; }
    [[nodiscard]] u32 first_free() const { return f.holds.load(std::memory_order_relaxed) & 0xffff; }
    void set(u32 used, u32 first_free) { f.holds.store(used << 16 | first_free, std::memory_order_relaxed); }
};

Spinlock heap_lock{Lock_rank::heap};
constinit std::array<u32, kClasses> with_room = [] {
    std::array<u32, kClasses> none{};
    none.fill(Frame_allocator::kNone);
    return none;
}();

Frame& entry(u32 index) { return frames.frame(Mfn(index)); }
u16* object_at(u32 index, u32 unit) { return to_virtual<u16>(Hpa((u64{index} << kPageShift) + unit * 16)); }

unsigned class_of(std::size_t bytes)
{
    return bytes <= 16 ? 0 : static_cast<unsigned>(std::bit_width(bytes - 1)) - kSmallestShift;
}

bool grow(unsigned size_class)
{
    const auto mfn = frames.allocate_unscrubbed(0);
    if (!mfn)
        return false;
    const u32 index = static_cast<u32>(mfn->value());
    const u32 step  = 1u << size_class;
    const u32 count = static_cast<u32>(kPageSize) >> (size_class + kSmallestShift);
    for (u32 i = 0; i < count; ++i)
        *object_at(index, i * step) = static_cast<u16>(i + 1 < count ? (i + 1) * step : kNoObject);
    Frame& f = entry(index);
    f.state  = Frame_state::heap;
    f.owner  = static_cast<u16>(size_class);
    Slab{f}.set(0, 0);
    frames.link(with_room[size_class], index);
    return true;
}

void* allocate_small(unsigned size_class)
{
    const Lock_guard guard(heap_lock);
    if (with_room[size_class] == Frame_allocator::kNone && !grow(size_class))
        return nullptr;
    const u32 index = with_room[size_class];
    Slab slab{entry(index)};
    u16* const object = object_at(index, slab.first_free());
    slab.set(slab.used() + 1, *object);
    if (*object == kNoObject)
        frames.unlink(with_room[size_class], index);
    return object;
}

void release_small(Mfn mfn, void* object)
{
    const Lock_guard guard(heap_lock);
    const u32 index = static_cast<u32>(mfn.value());
    Slab slab{entry(index)};
    const unsigned size_class = slab.f.owner;
    ASSERT(is_aligned(reinterpret_cast<std::uintptr_t>(object), 16u << size_class) && slab.used() > 0);
    const bool was_full        = slab.first_free() == kNoObject;
    *static_cast<u16*>(object) = static_cast<u16>(slab.first_free());
    slab.set(slab.used() - 1, (reinterpret_cast<std::uintptr_t>(object) & kPageMask) / 16);
    if (was_full)
        frames.link(with_room[size_class], index);
    // One empty frame per class stays, so that a single object coming and going costs little.
    const bool last = with_room[size_class] == index && slab.f.next == Frame_allocator::kNone;
    if (slab.used() > 0 || last)
        return;
    frames.unlink(with_room[size_class], index);
    slab.f.holds.store(0, std::memory_order_relaxed);
    slab.f.state  = Frame_state::hypervisor;
    slab.f.detail = 0;
    frames.free(mfn, 0);
}

// Whole frames: the block's unused tail goes back at once, piece by piece, so that the rest is a run of
// blocks whose sizes are the binary digits of the count, largest first.
void* allocate_frames(std::size_t bytes)
{
    const u64 count      = div_round_up(bytes, kPageSize);
    const unsigned order = static_cast<unsigned>(std::bit_width(count - 1));
    if (order > kMaxOrder)
        return nullptr;
    const auto first = frames.allocate_unscrubbed(order);
    if (!first)
        return nullptr;
    frames.split_allocated(*first, order);
    for (u64 i = count; i < bit(order); ++i)
        frames.free(*first + i, 0);
    Frame& f = frames.frame(*first);
    f.next   = static_cast<u32>(count);
    return to_virtual(*first);
}

void release_frames(Mfn first)
{
    const u64 count = frames.frame(first).next;
    for (u64 i = 0; i < count; ++i)
        frames.free(first + i, 0);
}

} // namespace

void* allocate(std::size_t bytes)
{
    if (bytes <= (16u << (kClasses - 1)))
        return allocate_small(class_of(bytes));
    return allocate_frames(bytes);
}

void* allocate_zeroed(std::size_t bytes)
{
    void* const object = allocate(bytes);
    if (object)
        bytes::fill(object, 0, bytes);
    return object;
}

void release(void* object)
{
    if (!object)
        return;
    const Mfn mfn = to_mfn(to_physical(object));
    switch (frames.state(mfn)) {
    case Frame_state::heap: return release_small(mfn, object);
    case Frame_state::hypervisor: return release_frames(mfn);
    default: PANIC("heap: release of something that is not an object");
    }
}

} // namespace vmm::heap
