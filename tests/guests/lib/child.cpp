// SPDX-License-Identifier: Apache-2.0
#include "lib/child.hpp"

#include "guest/clock.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "guest/print.hpp"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/save.h>

using namespace vmm::guest;

namespace vmm::guest_test
{

namespace
{

constexpr u64 kWindowStart = 0x1'4000'0000; // above any memory a test machine has, and its devices
constinit u64 window_next  = kWindowStart;

// After the image: the start info, then the mailbox.
u64 info_page() { return image().end; }
u64 mailbox_page() { return info_page() + kPageSize; }
u64 first_gfn() { return image().start / kPageSize; }
u64 page_count() { return mailbox_page() / kPageSize + kMailboxPages - first_gfn(); }

u64 image_pages() { return (image().bss_start - image().start + kPageSize - 1) / kPageSize; }

void unmap(u64 gpa, u64 pages)
{
    for (u64 i = 0; i < pages; ++i) {
        xen_remove_from_physmap op{.domid = DOMID_SELF, .gpfn = gpa / kPageSize + i};
        memory_op(XENMEM_remove_from_physmap, &op);
    }
}

bool okay(s64 result, const char* step, domid_t id = 0)
{
    if (result < 0)
        print("child d", id, ": ", step, " answers ", result);
    return result >= 0;
}

// [docs/misc/pvh.pandoc]
struct Start_context {
    hvm_save_descriptor header_descriptor;
    HVM_SAVE_TYPE(HEADER) header;
    hvm_save_descriptor cpu_descriptor;
    HVM_SAVE_TYPE(CPU) cpu;
    hvm_save_descriptor end_descriptor;
    HVM_SAVE_TYPE(END) end;
} __attribute__((packed));

constinit Page context_page[4]{};
Start_context context;

} // namespace

s64 domctl(xen_domctl& op, u32 command, domid_t domain)
{
    op.cmd               = command;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain            = domain;
    return hypercall(__HYPERVISOR_domctl, gpa_of(&op));
}

u64 window(u64 pages)
{
    const u64 at = window_next;
    window_next += pages * kPageSize;
    return at;
}

s64 map_foreign(domid_t domain, u64 first, u64 pages, u64 gpa)
{
    for (u64 i = 0; i < pages; ++i) {
        xen_ulong_t index = first + i;
        xen_pfn_t gfn     = gpa / kPageSize + i;
        int error         = 0;
        xen_add_to_physmap_batch batch{};
        batch.domid           = DOMID_SELF;
        batch.space           = XENMAPSPACE_gmfn_foreign;
        batch.size            = 1;
        batch.u.foreign_domid = domain;
        set_xen_guest_handle(batch.idxs, &index);
        set_xen_guest_handle(batch.gpfns, &gfn);
        set_xen_guest_handle(batch.errs, &error);
        if (const s64 rc = memory_op(XENMEM_add_to_physmap_batch, &batch); rc < 0)
            return rc;
        if (error != 0)
            return error;
    }
    return 0;
}

xen_domctl_createdomain child_config()
{
    xen_domctl_createdomain config{};
    config.flags                = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    config.max_vcpus            = 1;
    config.max_evtchn_port      = 1023;
    config.max_grant_frames     = 4;
    config.max_maptrack_frames  = 4;
    config.grant_opts           = XEN_DOMCTL_GRANT_version(1);
    config.arch.emulation_flags = XEN_X86_EMU_LAPIC;
    return config;
}

bool Child::create(u64 max_kib)
{
    xen_domctl op{};
    op.u.createdomain           = child_config();
    op.u.createdomain.handle[0] = 0x70;
    if (!okay(domctl(op, XEN_DOMCTL_createdomain, 0), "createdomain"))
        return false;
    id_ = op.domain;

    xen_domctl vcpus{};
    vcpus.u.max_vcpus.max = 1;
    xen_domctl pool{};
    pool.u.paging_mempool.size = 4 << 20;
    xen_domctl memory{};
    memory.u.max_mem.max_memkb = max_kib;
    return okay(domctl(vcpus, XEN_DOMCTL_max_vcpus, id_), "max_vcpus") &&
           okay(domctl(pool, XEN_DOMCTL_set_paging_mempool_size, id_), "set_paging_mempool_size") &&
           okay(domctl(memory, XEN_DOMCTL_max_mem, id_), "max_mem");
}

bool Child::give_memory()
{
    for (u64 i = 0; i < page_count(); ++i) {
        xen_pfn_t gfn = first_gfn() + i;
        xen_memory_reservation reservation{};
        set_xen_guest_handle(reservation.extent_start, &gfn);
        reservation.nr_extents = 1;
        reservation.domid      = id_;
        const s64 done         = memory_op(XENMEM_populate_physmap, &reservation);
        if (done != 1) {
            print("child: populate_physmap answers ", done);
            return false;
        }
    }
    return true;
}

bool Child::map_mailbox()
{
    const u64 place = window(1 + kMailboxPages);
    mailbox_        = at_gpa<Mailbox>(place + kPageSize);
    return okay(map_foreign(id_, info_page() / kPageSize, 1 + kMailboxPages, place), "mapping its mailbox");
}

bool Child::load_image()
{
    const Image own = image();
    const u64 there = window(image_pages());
    image_window_   = there;
    if (!okay(map_foreign(id_, first_gfn(), image_pages(), there), "mapping its image", id_))
        return false;
    __builtin_memcpy(at_gpa(there), at_gpa(own.start), own.data_start - own.start);
    __builtin_memcpy(at_gpa(there + own.data_start - own.start), at_gpa(own.data_copy),
                     own.data_end - own.data_start);

    if (!map_mailbox())
        return false;
    auto& info   = *at_gpa<hvm_start_info>(gpa_of(mailbox_) - kPageSize);
    info.magic   = XEN_HVM_START_MAGIC_VALUE;
    info.version = 1;

    mailbox_->child         = id_;
    const s64 port          = events::alloc_unbound_for(id_, DOMID_SELF);
    mailbox_->port_of_child = static_cast<u32>(port);
    return okay(port, "alloc_unbound for it");
}

bool Child::set_start_state()
{
    // The header has to be that of this hypervisor: it is taken from the state the domain has now.
    xen_domctl get{};
    get.u.hvmcontext.size = sizeof context_page;
    set_xen_guest_handle(get.u.hvmcontext.buffer, context_page[0].bytes);
    if (!okay(domctl(get, XEN_DOMCTL_gethvmcontext, id_), "gethvmcontext"))
        return false;
    __builtin_memcpy(&context, context_page, sizeof context.header_descriptor + sizeof context.header);

    context.cpu_descriptor = {HVM_SAVE_CODE(CPU), 0, sizeof context.cpu};
    context.end_descriptor = {HVM_SAVE_CODE(END), 0, 0};
    HVM_SAVE_TYPE(CPU) cpu{};
    cpu.rip      = image().entry;
    cpu.rbx      = info_page();
    cpu.rflags   = 2;
    cpu.cr0      = 0x11; // PE, ET
    cpu.cs_limit = cpu.ds_limit = cpu.es_limit = cpu.ss_limit = ~0u;
    cpu.cs_arbytes                                            = 0xc9b;
    cpu.ds_arbytes = cpu.es_arbytes = cpu.ss_arbytes = 0xc93;
    cpu.tr_limit                                     = 0x67;
    cpu.tr_arbytes                                   = 0x8b;
    cpu.dr6                                          = 0xffff0ff0;
    cpu.dr7                                          = 0x400;
    context.cpu                                      = cpu;

    xen_domctl set{};
    set.u.hvmcontext.size = sizeof context;
    set_xen_guest_handle(set.u.hvmcontext.buffer, reinterpret_cast<uint8_t*>(&context));
    return okay(domctl(set, XEN_DOMCTL_sethvmcontext, id_), "sethvmcontext");
}

bool Child::build() { return create() && give_memory() && load_image() && set_start_state(); }

bool Child::fork(const Child& parent, u64 max_kib)
{
    if (!create(max_kib))
        return false;
    xen_mem_sharing_op_t op{};
    op.op                   = XENMEM_sharing_op_fork;
    op.domain               = id_;
    op.u.fork.parent_domain = parent.id();
    xen_domctl get{};
    get.u.hvmcontext.size = sizeof context_page;
    set_xen_guest_handle(get.u.hvmcontext.buffer, context_page[0].bytes);
    if (!okay(memory_op(XENMEM_sharing_op, &op), "sharing_op_fork") ||
        !okay(domctl(get, XEN_DOMCTL_gethvmcontext, parent.id()), "gethvmcontext"))
        return false;
    xen_domctl set{};
    set.u.hvmcontext.size = get.u.hvmcontext.size;
    set_xen_guest_handle(set.u.hvmcontext.buffer, context_page[0].bytes);
    return okay(domctl(set, XEN_DOMCTL_sethvmcontext, id_), "sethvmcontext") && map_mailbox();
}

s64 Child::control(u32 command)
{
    xen_domctl op{};
    return domctl(op, command, id_);
}

s64 Child::unpause() { return control(XEN_DOMCTL_unpausedomain); }

s64 Child::info(xen_domctl_getdomaininfo& info)
{
    xen_domctl op{};
    const s64 rc = domctl(op, XEN_DOMCTL_getdomaininfo, id_);
    info         = op.u.getdomaininfo;
    return rc < 0 || op.domain == id_ ? rc : -XEN_ESRCH;
}

void Child::destroy()
{
    if (image_window_ != 0)
        unmap(image_window_, image_pages());
    unmap(gpa_of(mailbox_) - kPageSize, 1 + kMailboxPages);
    okay(control(XEN_DOMCTL_destroydomain), "destroydomain");
}

Page& Child::shared_page(u32 index) const { return *at_gpa<Page>(gpa_of(mailbox_) + index * kPageSize); }
u64 Child::child_gfn(u32 index) const { return mailbox_page() / kPageSize + index; }

bool Child::wait_for_stage(u32 stage, u64 ns)
{
    const u64 deadline = system_time() + ns;
    while (mailbox_->stage < stage) {
        if (system_time() > deadline)
            return false;
        sched_op(SCHEDOP_yield, nullptr);
    }
    return true;
}

u32 Child::wait_for_end(u64 ns)
{
    const u64 deadline = system_time() + ns;
    for (;;) {
        xen_domctl_getdomaininfo now{};
        if (!okay(info(now), "getdomaininfo", id_))
            return kNoEnd;
        if (now.flags & XEN_DOMINF_shutdown)
            return now.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
        if (system_time() > deadline)
            return kNoEnd;
        sched_op(SCHEDOP_yield, nullptr);
    }
}

Mailbox& my_mailbox() { return *at_gpa<Mailbox>(mailbox_page()); }
Page& my_shared_page(u32 index) { return *at_gpa<Page>(mailbox_page() + index * kPageSize); }

} // namespace vmm::guest_test
