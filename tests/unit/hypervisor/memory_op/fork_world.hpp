// SPDX-License-Identifier: Apache-2.0
#pragma once
// Forks as tests make them, and what a domain sees of its memory.
#include "world.hpp"

#include "mm/fork.hpp"

namespace vmm::test
{

// What a CPU does at a write: nothing is written that is in common.
inline bool write(Domain& d, u64 gfn, u64 value)
{
    if (!d.p2m().make_own(Gfn(gfn)))
        return false;
    *guest<u64>(d, gfn << kPageShift) = value;
    frames.note_written(d.p2m().lookup(Gfn(gfn)).mfn); // as the dirty flag would
    return true;
}
inline u64 read(Domain& d, u64 gfn) { return *guest<u64>(d, gfn << kPageShift); }

inline P2m_type type(Domain& d, u64 gfn) { return d.p2m().lookup(Gfn(gfn)).type; }

inline Expected<void> fork(Domain& child, Domain& parent)
{
    for (;;) {
        const auto done = fork_memory(child, parent);
        if (done || done.error() != Errc::erestart)
            return done ? Expected<void>() : fail(done.error());
    }
}

inline constexpr Limits kEmpty{.pages = 0};

// What is promised beyond the copies themselves: for the last one of each frame, on one CPU.
inline constexpr u64 kLastCopies = 1;

} // namespace vmm::test
