// SPDX-License-Identifier: Apache-2.0
//
// Every 4 KiB frame of the machine: which are free, who owns the others, and who else still uses them. Free
// frames are kept by a buddy allocator in two colours, clean (known to be all zero) and dirty; nothing that
// a domain gets was ever readable with somebody else's data in it, because only clean frames are handed out,
// and scrubbing is done by the idle loop, or on demand when no clean frame is left. Sizes are orders: 2^order
// frames, naturally aligned. Where there are several CPUs, a frame that was freed is not used again before
// each of the others was out of the hypervisor once (base/turns.hpp): whoever found it through a table,
// without a lock, is done with it by then.
//
// A frame that belongs to a domain carries a count of holds. The owner has the first; every mapping by
// somebody else (foreign, granted) and every page the hypervisor keeps an eye on adds one. The rules:
//   - assign() makes free-standing frames the owner's, each with one hold;
//   - get() adds a hold, put() drops one, and whoever drops the last one frees the frame;
//   - release() is the owner giving up: its hold goes and the frame has no owner from then on. It leaves the
//     owner's account when nobody else uses it any more: at once, or with the last put().
// A frame in common is memory of several domains, which nobody owns and nobody writes, ever: each of the
// domains has one of its holds, and takes a copy when it is to write. It is counted how many they are, and
// for every one but the last a frame is promised for that copy, unless the domains did without. Frames the
// hypervisor shares with a guest (shared_info, grant table) are share()d: the same counts, but the first hold
// belongs to the object that allocated them, which put()s it, and a guest that unmaps one gives nothing up.
#pragma once

#include "base/expected.hpp"
#include "base/panic.hpp"
#include "base/per_cpu.hpp"
#include "base/relaxed.hpp"
#include "base/spinlock.hpp"
#include "mm/copies.hpp"
#include "mm/memory_account.hpp"

#include <array>

namespace vmm
{

inline constexpr unsigned kMaxOrder = 18;
inline constexpr Domid kNobody{0x7ff4}; // DOMID_INVALID of public/xen.h

enum class Frame_state : u8 {
    none,       // not memory, or inside a larger block whose first frame speaks for it
    clean,      // first frame of a free block of zeroes
    dirty,      // first frame of a free block nobody scrubbed yet
    hypervisor, // first frame of an allocated block
    heap,       // holds small objects of the heap
    owned,      // a domain's memory
    shared,     // the hypervisor's, visible to a domain
    common,     // memory that several domains have in common
};

// One entry of the frame table. `next` and `prev` link free blocks, and are the heap's in its frames; a frame
// without an owner that others still use has the account it counts on.
struct Frame {
    std::atomic<u32> holds;
    Relaxed<u16> owner; // who wants a hold looks at these two before, and at the owner once more with it
    Relaxed<Frame_state> state;
    u8 detail; // free and hypervisor: order of the block. owned: kWritten, kLogged
    union {
        struct {
            u32 next;
            u32 prev;
        };
        Memory_account* account;
        struct { // in common; zero when it is no longer
            u32 sharers;
            u32 unused;
        };
    };
};
static_assert(sizeof(Frame) == 16);

class Frame_allocator
{
  public:
    // Bytes of frame table for frames [0, end), and its address: zeroed memory that stays.
    static u64 table_bytes(Mfn end) { return end.value() * sizeof(Frame); }
    void init(Mfn end, void* zeroed_table);
    // Boot memory becomes free, dirty. Each frame once.
    void add_free(Mfn first, u64 count);
    // Boot memory that a domain has from the start, with one hold each. Each frame once.
    void add_owned(Mfn first, u64 count, Domid owner);

    // A naturally aligned block, all zero. Enomem.
    Expected<Mfn> allocate(unsigned order);
    // The same with unknown contents, for what is overwritten at once and never shown to a domain before.
    Expected<Mfn> allocate_unscrubbed(unsigned order);
    // Exactly these frames, zeroed, all or none, as blocks of one frame each. Ebusy when one is not free,
    // einval when one is not memory.
    Expected<void> claim(Mfn first, unsigned order = 0);
    // What the two above gave. The order must be the one it was allocated with.
    void free(Mfn first, unsigned order);
    // Splits an allocated block into 2^order blocks of one frame, to be freed one by one.
    void split_allocated(Mfn first, unsigned order);

    // Ownership; see above. assign and share take allocated blocks.
    void assign(Mfn first, unsigned order, Domid owner);
    void share(Mfn mfn, Domid owner);
    // False when the frame belongs to no domain (any more), or holds are exhausted.
    bool get(Mfn mfn);
    // get() on condition that `owner` owns it.
    bool get_from(Mfn mfn, Domid owner);
    void put(Mfn mfn)
    {
        if (drop_hold(mfn)) [[unlikely]]
            free_held(mfn);
    }
    // The owner gives up 2^order of its frames, which are on `account` if there is one. `written` false
    // promises that the owner never wrote them.
    void release(Mfn first, unsigned order, Memory_account* account, bool written = true);
    [[nodiscard]] Domid owner(Mfn mfn) const;
    [[nodiscard]] Frame_state state(Mfn mfn) const;
    [[nodiscard]] u32 holds(Mfn mfn) const { return frame(mfn).holds.load(std::memory_order_relaxed); }
    // Somebody other than the owner's CPU may have written it: it is scrubbed before its next use, and the
    // next look at the log of writes finds it.
    void mark_written(Mfn mfn) { detail(mfn).store(kWritten | kLogged, std::memory_order_release); }
    // The owner's CPU has, and the note of it is taken away.
    void note_written(Mfn mfn) { detail(mfn).fetch_or(kWritten, std::memory_order_relaxed); }
    // Whether somebody other than the owner's CPU may have written it since the mark was last removed. Who
    // has a hold may do so at any time, so for as long the mark stays.
    [[nodiscard]] bool is_logged(Mfn mfn, bool remove);

    // Memory in common (frame_sharing.cpp). 2^order frames of the owner's, which nobody else has a hold on,
    // become common to two sharers, all or none.
    bool make_common(Mfn first, unsigned order, Domid owner, Copies copies);
    // One sharer more of frames that are in common.
    void join_common(Mfn first, unsigned order, Copies copies);
    // One less, because it goes or because it has its copy.
    void leave_common(Mfn first, unsigned order);
    // For a sharer's copy of that frame: an allocated block, with unknown contents. Enomem.
    Expected<Mfn> allocate_copy(Mfn common);
    // Who is the last sharer needs a frame for a moment, before its old one is free. Enomem.
    Expected<void> promise_last_copies();
    [[nodiscard]] u64 common_count() const { return common_.load(std::memory_order_relaxed); }
    // Frames there would be more if nothing were in common.
    [[nodiscard]] u64 saved_count() const { return saved_.load(std::memory_order_relaxed); }

    // Zeroes at most 256 KiB of dirty memory, for the idle loop; false when there was nothing to do.
    bool scrub_some();

    [[nodiscard]] u64 free_count() const;
    [[nodiscard]] u64 dirty_count() const { return count_[kDirty]; }
    [[nodiscard]] u64 total_count() const { return total_; }
    [[nodiscard]] Mfn end() const { return Mfn(end_); }
    [[nodiscard]] bool exists(Mfn mfn) const { return mfn.value() < end_; }

    // Frames promised to domains (XENMEM_claim_pages) that they did not take yet. Enomem.
    Expected<void> promise(u64 count);
    void withdraw_promise(u64 count);
    [[nodiscard]] u64 promised_count() const { return promised_; }
    [[nodiscard]] u64 unpromised_count() const;

    // For the heap, which keeps its own notes in the entries of its frames.
    [[nodiscard]] Frame& frame(Mfn mfn) { return table_[mfn.value()]; }
    [[nodiscard]] const Frame& frame(Mfn mfn) const { return table_[mfn.value()]; }
    // Lists of frames, by number: `head` is the first, or kNone. Their owner locks them.
    static constexpr u32 kNone = ~0u;
    void link(u32& head, u32 index);
    void unlink(u32& head, u32 index);

  private:
    // Far below the wrap of the counter, so that a frame mapped absurdly often is refused, not freed.
    static constexpr u32 kMaxHolds   = 1u << 30;
    static constexpr u8 kWritten     = 1;        // it may differ from zero
    static constexpr u8 kLogged      = 2;        // see is_logged()
    static constexpr u32 kUnpromised = 1u << 31; // beside the number of sharers
    static constexpr unsigned kClean = 0;
    static constexpr unsigned kDirty = 1;

    std::atomic_ref<u8> detail(Mfn mfn) { return std::atomic_ref<u8>(frame(mfn).detail); }
    static Frame_state free_state(unsigned colour)
    {
        return colour ? Frame_state::dirty : Frame_state::clean;
    }
    void push(u32 index, unsigned order, unsigned colour);
    void pull(u32 index, unsigned order, unsigned colour);
    [[nodiscard]] bool is_free_block(u64 index, unsigned order, unsigned colour) const;
    void insert_merging(u64 index, unsigned order, unsigned colour);
    Expected<u32> take(unsigned order, unsigned colour);
    bool take_containing(u32 index, unsigned order);
    Expected<Mfn> try_allocate(unsigned order, unsigned& colour);
    Expected<void> try_claim(Mfn first, unsigned order);
    template <class Try>
    auto with_all_free(const Try& attempt);
    void rest(u32 index, unsigned order);
    bool wake_rested();
    u32 narrow(u32 index, unsigned from, unsigned to, u32 wanted, unsigned colour);
    void insert_free(Mfn first, unsigned order, unsigned colour);
    void set_allocated(u32 index, unsigned order);
    void set_owned(Frame& frame, Domid owner, bool written);
    // True when that was the last hold: the frame is an allocated block of its own then.
    bool drop_hold(Mfn mfn)
    {
        Frame& f                = frame(mfn);
        const Frame_state state = f.state; // afterwards it may be another's, and anything
        const u32 before        = f.holds.fetch_sub(1, std::memory_order_acq_rel);
        ASSERT(before != 0 && is_domains(state));
        return before == 1;
    }
    void free_held(Mfn mfn);
    static bool is_domains(Frame_state s) { return s >= Frame_state::owned; }
    std::atomic_ref<u32> sharers(Mfn mfn) { return std::atomic_ref<u32>(frame(mfn).sharers); }

    // With the lock held: what is being scrubbed is in no list for a moment.
    [[nodiscard]] u64 count_free() const { return count_[kClean] + count_[kDirty] + scrubbing_ + resting_; }

    mutable Spinlock lock_{Lock_rank::frames};
    Frame* table_ = nullptr;
    u64 end_      = 0;
    u64 total_    = 0;
    Relaxed<u64> promised_;
    Relaxed<u64> count_[2];
    u64 scrubbing_ = 0; // taken out of the lists for that, and free
    std::atomic<u64> common_{0};
    std::atomic<u64> saved_{0};
    std::atomic<bool> last_copies_promised_{false};
    // Freed blocks that other CPUs may still look at: those freed since `rested_since_`, and those before.
    u64 resting_  = 0;
    u32 new_rest_ = kNone; // linked by `next`, the order in `prev`
    u32 old_rest_ = kNone;
    std::array<u64, kMaxCpus> rested_since_{};
    std::array<std::array<u32, kMaxOrder + 1>, 2> head_ = [] {
        std::array<std::array<u32, kMaxOrder + 1>, 2> empty{};
        for (auto& colour : empty)
            colour.fill(kNone);
        return empty;
    }();
};

extern Frame_allocator frames;

inline bool Frame_allocator::get(Mfn mfn)
{
    if (!exists(mfn)) [[unlikely]]
        return false;
    Frame& f = frame(mfn);
    // Heap frames use the counter for themselves, and no frame changes between heap and domain while held.
    if (!is_domains(f.state)) [[unlikely]]
        return false;
    u32 holds = f.holds.load(std::memory_order_relaxed);
    do {
        if (holds == 0 || holds >= kMaxHolds) [[unlikely]]
            return false;
    } while (!f.holds.compare_exchange_weak(holds, holds + 1, std::memory_order_acquire));
    if ((detail(mfn).load(std::memory_order_relaxed) & kWritten) == 0)
        note_written(mfn);
    return true;
}

inline bool Frame_allocator::get_from(Mfn mfn, Domid owner)
{
    if (!get(mfn))
        return false;
    if (frame(mfn).owner == owner.value()) [[likely]]
        return true;
    put(mfn);
    return false;
}

} // namespace vmm
