// SPDX-License-Identifier: Apache-2.0
//
// A domain's memory as a whole: p2m, ownership of frames and the account change together here, so that no
// caller has to remember all three. Sizes are orders. What is mapped by grants is never given up here (the
// grant table knows about that); what shows the machine is not given up either, but may be covered by a page
// that is placed there. Each takes the domain's lock; a grant may be mapped meanwhile, and what would cover
// it fails.
#pragma once

#include "mm/p2m.hpp"

#include <array>

namespace vmm
{

class Domain;

// What was taken out of a domain's map and is not free yet, for CPUs may still know where it was: they are
// told once for many pieces, when there are enough of them or at the end of the object's life. Not by who
// holds the domain's p2m lock.
class Giving_up
{
  public:
    explicit Giving_up(Domain& domain) : domain_(domain) {}
    ~Giving_up() { finish(); }
    Giving_up(const Giving_up&)            = delete;
    Giving_up& operator=(const Giving_up&) = delete;

    void add(const P2m_entry& was, unsigned order);
    void finish();

  private:
    struct Piece { // of plain types, that an empty list costs nothing to make
        u64 mfn;
        P2m_type type;
        u8 order;
        bool written;
    };
    Domain& domain_;
    std::array<Piece, 32> pieces_;
    unsigned count_ = 0;
};

// 2^order new, zeroed frames at gfn; what was there is given up. A domain whose memory is identity-mapped
// gets exactly the frames of these numbers. Enomem: over the domain's limit or the machine's memory;
// einval: gfn out of range or misaligned; eexist: something was mapped there meanwhile.
Expected<void> populate(Domain& domain, Gfn gfn, unsigned order);

// Whatever is mapped at gfn goes, for 2^order frames: own memory is given up, a foreign page's hold dropped.
// Enoent when nothing was there at all; enxio for a granted page, which only its unmapping removes; eperm
// for what belongs to the machine.
Expected<void> give_up(Domain& domain, Gfn gfn, unsigned order);
// The same, but a hole anywhere in the range is enoent; what comes before it is given up. It may be used a
// little longer, until `later` is done.
Expected<void> give_up_all(Domain& domain, Gfn gfn, unsigned order, Giving_up& later);

// A frame the hypervisor shares with the domain (see Frame_allocator::share) becomes visible at gfn; what
// was there is given up.
Expected<void> place_shared(Domain& domain, Gfn gfn, Mfn mfn);

// Another domain's frame becomes visible at gfn, with a hold of its own. Einval: not that domain's memory.
Expected<void> place_foreign(Domain& domain, Gfn gfn, Domain& owner, Gfn owner_gfn);
Expected<void> place_foreign_frame(Domain& domain, Gfn gfn, Domain& owner, Mfn mfn);

// The domain's own page moves from one guest frame to another; what was there is given up.
Expected<void> move_page(Domain& domain, Gfn from, Gfn to);

} // namespace vmm
