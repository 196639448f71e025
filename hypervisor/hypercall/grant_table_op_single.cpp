// SPDX-License-Identifier: Apache-2.0
//
// GNTTABOP_* about a grant table as a whole, and cache maintenance.
#include "hypercall/grant_table_op.hpp"

#include "base/bits.hpp"
#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "grant/grant_table.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

namespace vmm
{

namespace
{

constexpr u64 kCacheLine       = 64;
constexpr u32 kFlushesPerCall  = 16;
constexpr u32 kFlushOperations = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL;

// The domain an operation is about, if the caller may ask.
struct Target {
    Ref<Domain> domain;
    s16 refusal = GNTST_okay;

    Target(Vcpu& vcpu, domid_t id) : domain(find_domain_or_self(Domid(id), vcpu.domain()))
    {
        if (!domain)
            refusal = GNTST_bad_domain;
        else if (domain.get() != &vcpu.domain() && !vcpu.domain().is_control())
            refusal = GNTST_permission_denied;
    }
};

Expected<s16> write_frame_list(Vcpu& vcpu, Grant_table& grants, const gnttab_setup_table& op)
{
    if (op.nr_frames > grants.max_frames())
        return s16{GNTST_general_error};
    if (op.nr_frames != 0 && !grants.frame(op.nr_frames - 1))
        return s16{GNTST_general_error};
    const Gva list(reinterpret_cast<u64>(op.frame_list.p));
    for (u32 i = 0; i < op.nr_frames; ++i) {
        const xen_pfn_t gfn = grants.frame_gfn(i).value();
        TRY(write_guest_element(vcpu, list, i, gfn));
    }
    return s16{GNTST_okay};
}

Hypercall_result setup_table(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<gnttab_setup_table>(vcpu, arg));
    const Target target(vcpu, op.dom);
    op.status = target.refusal;
    if (op.status == GNTST_okay)
        op.status = TRY(write_frame_list(vcpu, target.domain->grants(), op));
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

Hypercall_result query_size(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<gnttab_query_size>(vcpu, arg));
    const Target target(vcpu, op.dom);
    op.status = target.refusal;
    if (op.status == GNTST_okay) {
        op.nr_frames     = target.domain->grants().frame_count();
        op.max_nr_frames = target.domain->grants().max_frames();
    }
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

// Version 1 is all there is: asking for 2 is answered as by a hypervisor limited to 1, and the version in
// force is told in either case.
Hypercall_result set_version(Vcpu& vcpu, Gva arg)
{
    const u32 wanted = TRY(read_guest<gnttab_set_version>(vcpu, arg)).version;
    TRY(write_guest(vcpu, arg, gnttab_set_version{.version = 1}));
    if (wanted == 1)
        return 0;
    return fail(wanted == 2 ? Errc::enosys : Errc::einval);
}

Hypercall_result get_version(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<gnttab_get_version>(vcpu, arg));
    const Target target(vcpu, op.dom);
    if (target.refusal != GNTST_okay)
        return fail(target.refusal == GNTST_bad_domain ? Errc::esrch : Errc::eperm);
    op.version = 1;
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

// Status frames belong to version 2: there are none to list.
Hypercall_result get_status_frames(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<gnttab_get_status_frames>(vcpu, arg));
    const Target target(vcpu, op.dom);
    op.status = target.refusal;
    if (op.status == GNTST_okay && op.nr_frames != 0)
        op.status = GNTST_general_error;
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

void flush_cache(const u8* from, u64 bytes)
{
    const auto start = reinterpret_cast<std::uintptr_t>(from);
    for (u64 line = align_down(start, kCacheLine); line < start + bytes; line += kCacheLine)
        asm volatile("clflush %0" : "+m"(*reinterpret_cast<u8*>(line)));
    asm volatile("mfence" : : : "memory");
}

Expected<void> cache_flush(Domain& caller, const gnttab_cache_flush& op)
{
    if (u64{op.offset} + op.length > kPageSize || op.offset >= kPageSize ||
        (op.op & ~(kFlushOperations | GNTTAB_CACHE_SOURCE_GREF)))
        return fail(Errc::einval);
    if (op.length == 0 || (op.op & kFlushOperations) == 0)
        return {};
    // Dropping dirty lines would let a guest see what was in the page before.
    if ((op.op & GNTTAB_CACHE_SOURCE_GREF) || !(op.op & GNTTAB_CACHE_CLEAN))
        return fail(Errc::eopnotsupp);

    const Mfn frame = to_mfn(Hpa(op.a.dev_bus_addr));
    if (!frames.get(frame))
        return fail(frames.exists(frame) ? Errc::eperm : Errc::einval);
    const bool allowed = frames.owner(frame) == caller.id() || caller.grants().has_mapped(frame);
    if (allowed)
        flush_cache(to_virtual<u8>(frame) + op.offset, op.length);
    frames.put(frame);
    return allowed ? Expected<void>() : Expected<void>(fail(Errc::eperm));
}

} // namespace

Hypercall_result for_each_cache_flush(Vcpu& vcpu, Hypercall_args& args)
{
    for (u32 done = 0; args.a[2] != 0; ++done) {
        if (done == kFlushesPerCall)
            return fail(Errc::erestart);
        const auto op = TRY(read_guest<gnttab_cache_flush>(vcpu, Gva(args.a[1])));
        TRY(cache_flush(vcpu.domain(), op));
        args.a[1] += sizeof(gnttab_cache_flush);
        --args.a[2];
    }
    return 0;
}

Hypercall_result do_single_grant_table_op(Vcpu& vcpu, u32 command, Gva arg, u32 count)
{
    if (command == GNTTABOP_get_version)
        return get_version(vcpu, arg);
    if (command == GNTTABOP_set_version)
        return set_version(vcpu, arg);
    if (command != GNTTABOP_setup_table && command != GNTTABOP_query_size &&
        command != GNTTABOP_get_status_frames)
        return fail(Errc::enosys);
    if (count != 1)
        return fail(Errc::einval);
    switch (command) {
    case GNTTABOP_setup_table: return setup_table(vcpu, arg);
    case GNTTABOP_query_size: return query_size(vcpu, arg);
    default: return get_status_frames(vcpu, arg);
    }
}

} // namespace vmm
