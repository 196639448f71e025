// SPDX-License-Identifier: Apache-2.0
//
// XEN_DOMCTL_shadow_op: the log of writes to a domain's memory, and how much memory its page tables may take.
// Work on the log goes by pieces; how far a call got is kept with the domain, so that one such call is
// carried out for a domain at a time. [xen/include/public/domctl.h]
#include "hypercall/domctl.hpp"

#include "base/bits.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"

#include <algorithm>

namespace vmm
{

namespace
{

// Of 512 frames, between two chances to do something else.
constexpr unsigned kRegionsPerPiece = 32;

using Walk = Log_walk;

// Calls visit(region) for the regions below `end` from where the walk is, a piece of them.
template <class Visit>
Expected<void> walk_regions(Walk& walk, u64 end, Visit visit)
{
    for (unsigned budget = kRegionsPerPiece; walk.next < end; walk.next += P2m::kRegionFrames) {
        if (budget-- == 0)
            return fail(Errc::erestart);
        TRY(visit(Gfn(walk.next)));
    }
    return {};
}

// The same, but what holds nothing is passed over.
template <class Visit>
Expected<void> walk_memory(Walk& walk, P2m& p2m, Visit visit)
{
    const u64 end = p2m.max_gfn().value() + 1;
    for (unsigned budget = kRegionsPerPiece; walk.next < end;) {
        if (const u64 silent = p2m.silent_frames(Gfn(walk.next)); silent != 0) {
            walk.next += silent;
            continue;
        }
        if (budget-- == 0)
            return fail(Errc::erestart);
        TRY(visit(Gfn(walk.next)));
        walk.next += P2m::kRegionFrames;
    }
    return {};
}

Expected<void> enable(Walk& walk, P2m& p2m)
{
    p2m.start_log();
    const auto prepared = walk_memory(walk, p2m, [&](Gfn region) { return p2m.prepare_log(region); });
    if (!prepared && prepared.error() != Errc::erestart)
        p2m.stop_log();
    return prepared;
}

Expected<void> disable(Walk& walk, P2m& p2m)
{
    p2m.stop_log();
    return walk_memory(walk, p2m, [&](Gfn region) -> Expected<void> {
        p2m.restore_after_log(region);
        return {};
    });
}

Expected<void> read(Vcpu& caller, Walk& walk, P2m& p2m, xen_domctl_shadow_op& op)
{
    const u64 pages   = std::min(op.pages, p2m.max_gfn().value() + 1);
    const auto access = op.op == XEN_DOMCTL_SHADOW_OP_CLEAN ? P2m::Log_access::take : P2m::Log_access::peek;
    const u64 bitmap  = reinterpret_cast<u64>(op.dirty_bitmap.p);
    TRY(walk_regions(walk, pages, [&](Gfn region) -> Expected<void> {
        P2m::Region_log log;
        p2m.read_log(region, access, log);
        const u64 count = std::min<u64>(pages - region.value(), P2m::kRegionFrames);
        if (count % 64 != 0)
            log[count / 64] &= low_bits(count % 64);
        for (u64 i = 0; i < count; ++i)
            walk.dirty += (log[i / 64] >> (i % 64)) & 1;
        // A caller without a bitmap wants the log emptied.
        if (bitmap == 0)
            return {};
        return copy_to_guest(caller, Gva(bitmap + region.value() / 8), &log, div_round_up(count, 8));
    }));
    op.pages             = pages;
    op.stats.dirty_count = walk.dirty;
    op.stats.fault_count = 0;
    return {};
}

Expected<void> perform(Vcpu& caller, Domain& domain, xen_domctl_shadow_op& op)
{
    Walk& walk = domain.log_walk;
    switch (op.op) {
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY: return enable(walk, domain.p2m());
    case XEN_DOMCTL_SHADOW_OP_OFF: return disable(walk, domain.p2m());
    default: return read(caller, walk, domain.p2m(), op);
    }
}

// Whether an operation may begin.
Expected<void> check(const Vcpu& caller, Domain& domain, const xen_domctl_shadow_op& op)
{
    if (&caller.domain() == &domain || domain.dying() != Dying::no)
        return fail(Errc::einval);
    const bool logs = domain.p2m().logs_writes();
    switch (op.op) {
    case XEN_DOMCTL_SHADOW_OP_OFF: return {};
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
        if (logs || op.mode != XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY)
            return fail(Errc::einval);
        return {};
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        return logs ? Expected<void>(fail(Errc::einval)) : Expected<void>();
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        if (!logs || (op.mode & ~u32{XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL}) != 0)
            return fail(Errc::einval);
        return {};
    default: return fail(Errc::einval);
    }
}

Expected<void> log_op(Vcpu& caller, Domain& domain, xen_domctl_shadow_op& op)
{
    Walk& walk       = domain.log_walk;
    const u32 wanted = op.op + 1; // nobody has the number of an operation that is not there, and OFF is 0
    if (walk.op != 0 && walk.op != wanted)
        return fail(Errc::ebusy);
    if (walk.op == 0) {
        TRY(check(caller, domain, op));
        walk.op    = wanted;
        walk.next  = 0;
        walk.dirty = 0;
    }
    auto done = perform(caller, domain, op);
    if (done || done.error() != Errc::erestart)
        walk.op = 0;
    return done;
}

} // namespace

Expected<void> set_paging_pool(Domain& domain, u64 bytes)
{
    const u64 tables = bytes / kPageSize;
    if ((bytes & kPageMask) != 0 || tables < domain.p2m().table_count())
        return fail(Errc::einval);
    domain.p2m().set_table_limit(tables);
    return {};
}

Expected<void> shadow_op(Vcpu& caller, Domain& domain, xen_domctl_shadow_op& op)
{
    constexpr u64 mebibyte = 1u << 20;
    switch (op.op) {
    case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
        op.mb = static_cast<u32>(div_round_up(domain.p2m().table_limit() * kPageSize, mebibyte));
        return {};
    case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION: return set_paging_pool(domain, op.mb * mebibyte);
    default: return log_op(caller, domain, op);
    }
}

} // namespace vmm
