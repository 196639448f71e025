// SPDX-License-Identifier: Apache-2.0
//
// The guest-physical map of one domain: which machine frame is behind each guest frame and what the guest
// may do with it. It is the nested page table itself; there is no second copy. It maps and forgets, and
// knows nothing of holds and accounts: who replaces or removes an entry first looks up what was there and
// lets go of it (mm/reservation.hpp does both), except when the whole map is torn down. Owned by its Domain.
//
// Lookups take no lock. A change that takes something away advances generation(): a CPU that is about to
// enter the guest with an older generation must first forget its nested translations. New entries where
// nothing was need no flush and do not advance it.
#pragma once

#include "arch/x86/paging/entry_formats.hpp"
#include "base/relaxed.hpp"
#include "base/spinlock.hpp"
#include "base/unique.hpp"
#include "mm/copies.hpp"
#include "mm/direct_memory.hpp"
#include "mm/memory_account.hpp"
#include "mm/page_table.hpp"

#include <array>

namespace vmm
{

enum class P2m_type : u8 {
    invalid,  // nothing: an access exits
    ram,      // the domain's own memory, or a page the hypervisor shares with it
    foreign,  // another domain's memory, held
    grant_rw, // granted by another domain; the grant table has the hold
    grant_ro,
    mmio,       // the machine's, at its own address; the guest chooses the memory type
    ram_common, // the domain's memory, in common with other domains: a copy is made before it writes
};

constexpr bool is_writable(P2m_type type)
{
    return type != P2m_type::invalid && type != P2m_type::grant_ro && type != P2m_type::ram_common;
}
constexpr bool is_ram(P2m_type type) { return type == P2m_type::ram || type == P2m_type::ram_common; }
constexpr bool is_mmio(P2m_type type) { return type == P2m_type::mmio; }

// Of an entry of a map; invalid for what is not present, whatever its owner noted there.
inline P2m_type type_of(u64 entry)
{
    return Nested_format::present(entry) ? static_cast<P2m_type>(Nested_format::kind(entry))
                                         : P2m_type::invalid;
}

struct P2m_entry {
    Mfn mfn; // of exactly the frame asked for
    P2m_type type;
    u8 order;     // of the mapping it is part of; for an absent entry, of the hole
    bool written; // the guest wrote to that mapping (since its log was last taken)

    [[nodiscard]] bool present() const { return type != P2m_type::invalid; }
};

class P2m
{
  public:
    // `account`: what the memory in it counts on, for when it is torn down. `table_limit`: the most frames
    // its tables may take, so that a guest cannot spend the machine's memory by spreading its pages.
    static Expected<Unique<P2m>> create(Domid owner, Memory_account* account,
                                        u64 table_limit = kDefaultTableLimit);
    ~P2m();

    // Maps 2^order frames, replacing what is there or, if only a hole will do, nothing: eexist. Enomem, or
    // einval for a gfn or an alignment out of range. They change nothing.
    enum class Where : bool { anywhere, in_hole };
    Expected<void> set(Gfn gfn, Mfn mfn, unsigned order, P2m_type type, Where where = Where::anywhere);
    // gfn = mfn for a range, in the largest pages that fit.
    Expected<void> set_identity(Gfn first, u64 count, P2m_type type);
    // The same for single pages that must not replace, or remove, anything else: eexist, einval otherwise.
    // A page may be added where the machine shows through.
    // One look at the tables serves for both, which is what mapping a grant lives on. CPUs may use what was
    // removed until forget_everywhere(), which the caller calls once for all that it removes together.
    Expected<void> add_page(Gfn gfn, Mfn mfn, P2m_type type);
    Expected<void> remove_page(Gfn gfn, Mfn mfn, P2m_type type);
    // Enomem when a larger mapping cannot be split; nothing changes then.
    Expected<void> remove(Gfn gfn, unsigned order);
    // The same, but CPUs may use what was removed until forget_removed(), which the caller calls once for all
    // that it removes together.
    Expected<void> remove_quietly(Gfn gfn, unsigned order);
    void forget_removed();

    [[nodiscard]] P2m_entry lookup(Gfn gfn) const;

    // Where a series of lookups was last: neighbouring pages need no second way down the tables. Good for one
    // map, as long as no large mapping of it changed.
    struct Cursor {
        u64 region     = ~0ull; // gfn >> 9
        u64 generation = 0;
        Hpa table{0}; // of the region's single pages, or 0:
        u64 leaf = 0; // the large mapping it is part of
        u64 base = 0; // first frame of the region in it
    };
    // The frame of the domain's own memory there; kInvalidMfn when it is none.
    [[nodiscard]] Mfn ram_frame(Gfn gfn, Cursor& cursor) const
    {
        // Should another CPU free the table between this check and the look, what is found is still judged
        // by the frame's owner before it is used.
        const bool here =
            cursor.region == gfn.value() / kEntriesPerTable && cursor.generation == large_generation();
        if (!here && !find_region(gfn, cursor)) [[unlikely]]
            return kInvalidMfn;
        const u64 index   = gfn.value() % kEntriesPerTable;
        const bool single = cursor.table != Hpa(0);
        const u64 entry   = single ? Direct_memory::read(cursor.table + index * sizeof(u64)) : cursor.leaf;
        if (type_of(entry) != P2m_type::ram) [[unlikely]]
            return kInvalidMfn;
        return single ? to_mfn(Nested_format::leaf_address(entry)) : Mfn(cursor.base + index);
    }

    [[nodiscard]] Mfn root() const { return root_; }
    // Highest guest frame that was ever mapped.
    [[nodiscard]] Gfn max_gfn() const { return max_gfn_; }
    [[nodiscard]] u64 generation() const { return generation_.load(std::memory_order_acquire); }
    // Advanced when a mapping of 2 MiB or more goes or changes, also into smaller ones.
    [[nodiscard]] u64 large_generation() const { return large_generation_.load(std::memory_order_acquire); }
    // That CPU, numbered, begins or ends to run a vCPU with this map.
    void used_by(u32 cpu) { cpus_.fetch_or(bit(cpu), std::memory_order_seq_cst); }
    void unused_by(u32 cpu) { cpus_.fetch_and(~bit(cpu), std::memory_order_release); }
    // Every CPU forgets what it knows of the map, before its guest runs on.
    void forget_everywhere();
    [[nodiscard]] static bool in_range(Gfn gfn) { return gfn.value() <= kLastGfn; }
    void set_table_limit(u64 tables) { tables_.limit = tables; }
    [[nodiscard]] u64 table_limit() const { return tables_.limit; }
    [[nodiscard]] u64 table_count() const { return tables_.used; }

    // The log of writes (p2m_log.cpp): which frames of the domain's memory were written, by whomever, came or
    // went since somebody last took the log. There is no bitmap: the log is the dirty flags of leaves of 4
    // KiB, on CPUs without them the right to write, which the first write to each page then asks for by an
    // exit; marks on frames that others wrote (Frame_allocator::is_logged), and notes where there is nothing
    // any more. All of it goes by regions of 512 frames, so that who calls can stop between two.
    static constexpr unsigned kRegionFrames = kEntriesPerTable;
    using Region_log                        = std::array<u64, kRegionFrames / 64>; // a bit for each frame
    enum class Log_access : bool { peek, take };
    [[nodiscard]] bool logs_writes() const { return logging_; }
    // From now on. Each region is then to be prepared: its leaves become small, and what was written until
    // now is forgotten. Enomem when there is no room for the tables.
    void start_log() { logging_ = true; }
    Expected<void> prepare_log(Gfn region);
    // A mapping larger than a region that came meanwhile counts as written, again and again if it cannot be
    // split.
    void read_log(Gfn region, Log_access access, Region_log& log);
    // Each region is then to be restored: what can be one leaf of 2 MiB is one again.
    void stop_log() { logging_ = false; }
    void restore_after_log(Gfn region);
    // Frames from there on of which the log says nothing, as nothing is mapped there.
    [[nodiscard]] u64 silent_frames(Gfn region) const;
    // A write fault at a leaf that may be written.
    void permit_write(Gfn gfn);

    // Whether only mappings of 4 KiB are executable: on a CPU that does not survive a guest that executes
    // from one address by translations of two sizes. Set at boot. [CVE-2018-12207]
    static inline constinit bool small_code = false;
    // A fetch found a mapping that is not executable: its region becomes small mappings that are. Enomem.
    Expected<void> permit_execute(Gfn gfn);

    // Memory in common with other domains (p2m_sharing.cpp). Whoever is to write it, or to use it for longer
    // than a look, asks for a frame of the domain's own first. What is in common at gfn is replaced by a
    // copy; nothing happens where nothing is. Enomem.
    Expected<void> make_own(Gfn gfn);
    // The domain's own, writable memory at gfn, with a hold; kInvalidMfn if there is none.
    [[nodiscard]] Mfn hold_own(Gfn gfn);
    // Nothing is mapped there any more, if this frame in common was, for 2^order frames; ebusy if it no
    // longer was. As remove_quietly().
    Expected<void> remove_common(Gfn gfn, Mfn mfn, unsigned order);
    // What a child gets of the memory at gfn, which is put in common, or copied where it is in use by others.
    struct Heir {
        Domid id;
        Copies copies;
        Mfn shared_page; // of the domain's with the hypervisor: the one of which it gets a copy, too
    };
    struct Inherited {
        static constexpr unsigned kMost = 64;
        struct Page {
            Mfn mfn;
            P2m_type type; // invalid: nothing; ram: a copy, the child's; ram_common: a hold for the child
        };
        u64 frames     = 0; // of guest memory that this says something about
        unsigned order = 0; // of each of the pages
        unsigned count = 0;
        std::array<Page, kMost> pages;
    };
    // Ebusy while writes are logged; enomem. What is in `to` then is still the child's.
    Expected<void> bequeath(Gfn gfn, const Heir& heir, Inherited& to);
    // The child's part: all of it is mapped at gfn, or, on enomem, what has a type is left.
    Expected<void> inherit(Gfn gfn, Copies copies, Inherited& from);

    // Lets go of what was mapped, all of it: own memory is released, a foreign hold dropped. The entry is
    // gone, and CPUs were told.
    void let_go(const P2m_entry& was);
    // Gives back everything that is mapped, in bounded pieces: own memory is released, foreign holds are
    // dropped. Erestart while there is more.
    Expected<void> destroy_some();

    P2m(Domid owner, Memory_account* account, u64 table_limit)
        : owner_(owner), account_(account), tables_{.limit = table_limit, .used = 0}
    {
    }

    static constexpr u64 kDefaultTableLimit = 4096;
    static constexpr u64 kLastGfn           = (1ull << (Nested_format::address_bits - kPageShift)) - 1;

  private:
    // Where the engine gets its tables from: clean frames, counted. What falls out of the tree may be known
    // to CPUs in the guest still, and is free when they were told.
    struct Tables {
        static constexpr u32 kNone = ~0u;
        u64 limit;
        u64 used;
        u32 fallen_out = kNone; // linked by Frame::next
        Expected<Hpa> allocate();
        void free(Hpa table);
        void give_back();
    };
    using Table = Page_table<Nested_format, Direct_memory, Tables>;

    // What remove() leaves while writes are logged: an entry that is not present, and none that anybody maps.
    static constexpr u64 kWentWhileLogged = 0xfull << Entry_format::kind_shift;

    [[nodiscard]] bool executes_large() const { return !small_code || owner_ == Domid(0); }
    [[nodiscard]] Table table() { return Table(to_hpa(root_), tables_); }
    // Table::place, out of line, for who is not in a hurry.
    [[nodiscard]] Table::Place place(Gfn gfn) const;
    Expected<void> set_one(Gfn gfn, Mfn mfn, unsigned level, P2m_type type);
    [[nodiscard]] bool is_hole(Gfn gfn, u64 count) const;
    bool find_region(Gfn gfn, Cursor& cursor) const;
    void forgotten(Flush flush);
    void changed(Flush flush);
    Expected<Flush> clear(Gfn gfn, unsigned order);
    Expected<Table::Place> split_down(Gfn gfn, unsigned level);
    // For what a large mapping in common is split into.
    Expected<void> promise_table();
    void use_promised_table();
    Expected<bool> bequeath_large(const Table::Place& at, const Heir& heir, Inherited& to);
    Expected<Inherited::Page> bequeath_page(Hpa at, const Heir& heir);
    bool read_entry(Hpa at, Log_access access, Flush& flush);
    void restore_entry(Hpa at);
    void merge_region(Gfn region, Hpa table);
    bool destroy_table(Hpa table, unsigned level, u64& budget);

    Domid owner_;
    Memory_account* account_;
    Spinlock lock_{Lock_rank::p2m};
    Tables tables_;
    Mfn root_ = kInvalidMfn;
    Relaxed<Gfn> max_gfn_{Gfn(0)};
    std::atomic<bool> logging_{false};
    std::atomic<u64> generation_{1}; // guests may advance it at will: it must not come round
    std::atomic<u64> large_generation_{1};
    std::atomic<u64> cpus_{0}; // that run a vCPU with it
    u64 promised_tables_ = 0;
};

} // namespace vmm
