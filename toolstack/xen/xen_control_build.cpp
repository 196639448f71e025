// SPDX-License-Identifier: Apache-2.0
// The part of Xen_control that a domain builder uses: memory, parameters, event channels, processor state.
#include "toolstack/xen/refusal.hpp"
#include "toolstack/xen/xen_control.hpp"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>

#include <algorithm>
#include <cstring>

namespace vmm
{

namespace
{

// One entry of XENMEM_set_memory_map: the layout of the BIOS call INT 15h, EAX=E820h.
struct [[gnu::packed]] E820_entry {
    std::uint64_t address;
    std::uint64_t size;
    std::uint32_t type;
};
static_assert(sizeof(E820_entry) == 20);

} // namespace

Result<void> Xen_control::claim(Domid id, std::uint64_t pages)
{
    xen_memory_reservation op{};
    op.domid      = raw(id);
    op.nr_extents = pages;
    if (const auto done = call_.memory_op(XENMEM_claim_pages, op); !done) {
        return refusal(done.error(), "set memory aside for", id);
    }
    return {};
}

Result<void> Xen_control::set_table_memory(Domid id, std::uint64_t kib)
{
    xen_domctl op{};
    op.u.paging_mempool.size = kib * 1024;
    const auto done = simple_domctl(XEN_DOMCTL_set_paging_mempool_size, id, op, "give page-table memory to");
    if (!done && done.error().code != Errc::not_implemented && done.error().code != Errc::unsupported) {
        return done;
    }
    return {};
}

Result<std::size_t> Xen_control::populate(Domid id, std::span<const std::uint64_t> frames, unsigned order)
{
    const auto buffer = TRY(call_.buffer(frames.size_bytes()));
    std::copy(frames.begin(), frames.end(), buffer.as<xen_pfn_t>());
    xen_memory_reservation op{};
    op.domid        = raw(id);
    op.nr_extents   = frames.size();
    op.extent_order = order;
    set_xen_guest_handle_raw(op.extent_start, buffer.as<xen_pfn_t>());
    const auto done = call_.memory_op(XENMEM_populate_physmap, op);
    if (!done) {
        return refusal(done.error(), "give memory to", id);
    }
    return std::min(static_cast<std::size_t>(*done), frames.size());
}

Result<void> Xen_control::fork_memory(Domid child, Domid parent)
{
    xen_mem_sharing_op_t op{};
    op.op                   = XENMEM_sharing_op_fork;
    op.domain               = raw(child);
    op.u.fork.parent_domain = raw(parent);
    if (const auto done = call_.memory_op(XENMEM_sharing_op, op); !done) {
        return refusal(done.error(), "fork", parent);
    }
    return {};
}

Result<void> Xen_control::set_memory_map(Domid id, std::span<const hvm_memmap_table_entry> map)
{
    const auto buffer = TRY(call_.buffer(map.size() * sizeof(E820_entry)));
    auto* entries     = buffer.as<E820_entry>();
    for (std::size_t i = 0; i < map.size(); ++i) {
        entries[i] = {map[i].addr, map[i].size, map[i].type};
    }
    xen_foreign_memory_map op{};
    op.domid          = raw(id);
    op.map.nr_entries = static_cast<unsigned>(map.size());
    set_xen_guest_handle_raw(op.map.buffer, static_cast<void*>(entries));
    if (const auto done = call_.memory_op(XENMEM_set_memory_map, op); !done) {
        return refusal(done.error(), "set the memory map of", id);
    }
    return {};
}

Result<Mapped_pages> Xen_control::map(Domid id, std::span<const std::uint64_t> frames)
{
    return memory_.map(id, frames);
}

Result<Mapped_pages> Xen_control::map_present(Domid id, std::span<const std::uint64_t> frames,
                                              std::vector<bool>& present)
{
    return memory_.map_present(id, frames, present);
}

Result<void> Xen_control::take_back(Domid id, std::span<const std::uint64_t> frames)
{
    const auto buffer = TRY(call_.buffer(frames.size_bytes()));
    std::copy(frames.begin(), frames.end(), buffer.as<xen_pfn_t>());
    xen_memory_reservation op{};
    op.domid      = raw(id);
    op.nr_extents = frames.size();
    set_xen_guest_handle_raw(op.extent_start, buffer.as<xen_pfn_t>());
    const auto done = call_.memory_op(XENMEM_decrease_reservation, op);
    if (!done || static_cast<std::size_t>(*done) != frames.size()) {
        return refusal(done ? Error{Errc::invalid, {}} : done.error(), "take memory from", id);
    }
    return {};
}

Result<void> Xen_control::log_writes(Domid id, bool on)
{
    xen_domctl op{};
    op.u.shadow_op.op = on ? XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY : XEN_DOMCTL_SHADOW_OP_OFF;
    return simple_domctl(XEN_DOMCTL_shadow_op, id, op,
                         on ? "log the writes of" : "stop logging the writes of");
}

Result<void> Xen_control::take_write_log(Domid id, std::span<std::uint64_t> log)
{
    const auto buffer = TRY(call_.buffer(log.size_bytes()));
    std::memset(buffer.data(), 0, log.size_bytes());
    xen_domctl op{};
    op.u.shadow_op.op    = XEN_DOMCTL_SHADOW_OP_CLEAN;
    op.u.shadow_op.pages = log.size() * 64;
    set_xen_guest_handle_raw(op.u.shadow_op.dirty_bitmap, buffer.as<uint8_t>());
    TRY(simple_domctl(XEN_DOMCTL_shadow_op, id, op, "tell the writes of"));
    std::memcpy(log.data(), buffer.data(), log.size_bytes());
    return {};
}

Result<Mapped_pages> Xen_control::map_grant_table(Domid id, unsigned frame)
{
    return memory_.map_grant_table(id, frame);
}

Result<void> Xen_control::set_param(Domid id, unsigned param, std::uint64_t value)
{
    xen_hvm_param op{};
    op.domid = raw(id);
    op.index = param;
    op.value = value;
    if (const auto done = call_.hvm_op(HVMOP_set_param, op); !done) {
        return refusal(done.error(), "set HVM parameter " + std::to_string(param) + " of", id);
    }
    return {};
}

Result<std::uint64_t> Xen_control::param(Domid id, unsigned param)
{
    xen_hvm_param op{};
    op.domid = raw(id);
    op.index = param;
    if (const auto done = call_.hvm_op(HVMOP_get_param, op); !done) {
        return refusal(done.error(), "tell HVM parameter " + std::to_string(param) + " of", id);
    }
    return op.value;
}

Result<Evtchn_port> Xen_control::alloc_unbound(Domid id, Domid remote)
{
    evtchn_alloc_unbound op{};
    op.dom        = raw(id);
    op.remote_dom = raw(remote);
    if (const auto done = call_.event_channel_op(EVTCHNOP_alloc_unbound, op); !done) {
        return refusal(done.error(), "open an event channel in", id);
    }
    return Evtchn_port{op.port};
}

Result<std::vector<std::byte>> Xen_control::context(Domid id)
{
    xen_domctl size_query{};
    TRY(simple_domctl(XEN_DOMCTL_gethvmcontext, id, size_query, "tell the processor state of"));
    const std::size_t size = size_query.u.hvmcontext.size;
    const auto buffer      = TRY(call_.buffer(size));
    xen_domctl op{};
    op.u.hvmcontext.size = static_cast<std::uint32_t>(size);
    set_xen_guest_handle_raw(op.u.hvmcontext.buffer, buffer.as<std::uint8_t>());
    TRY(simple_domctl(XEN_DOMCTL_gethvmcontext, id, op, "tell the processor state of"));
    const std::size_t filled = std::min<std::size_t>(op.u.hvmcontext.size, size);
    return std::vector<std::byte>(buffer.data(), buffer.data() + filled);
}

Result<void> Xen_control::set_context(Domid id, std::span<const std::byte> records)
{
    const auto buffer = TRY(call_.buffer(records.size()));
    std::memcpy(buffer.data(), records.data(), records.size());
    xen_domctl op{};
    op.u.hvmcontext.size = static_cast<std::uint32_t>(records.size());
    set_xen_guest_handle_raw(op.u.hvmcontext.buffer, buffer.as<std::uint8_t>());
    return simple_domctl(XEN_DOMCTL_sethvmcontext, id, op, "set the processor state of");
}

} // namespace vmm
