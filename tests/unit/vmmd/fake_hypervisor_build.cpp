// SPDX-License-Identifier: Apache-2.0
// What domains are built by, and the links to those that run.
#include "fake_hypervisor.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace vmm::test
{

Result<void> Fake_hypervisor::claim(Domid id, std::uint64_t pages)
{
    Fake_domain* domain = TRY(enter("claim", id));
    if (pages > free_pages) {
        return fail(Errc::out_of_memory, "the fake has not that much memory");
    }
    domain->claimed = pages;
    return {};
}

Result<void> Fake_hypervisor::set_table_memory(Domid id, std::uint64_t)
{
    TRY(enter("set_table_memory", id));
    return {};
}

Result<std::size_t> Fake_hypervisor::populate(Domid id, std::span<const std::uint64_t> frames, unsigned order)
{
    Fake_domain* domain = TRY(enter("populate", id));
    std::size_t done    = 0;
    for (const std::uint64_t frame : frames) {
        const std::uint64_t pages = std::uint64_t{1} << order;
        if (free_pages < pages || (order == 9 && large_extents == 0) ||
            (frame + pages) * kPageSize > kGuestSpace) {
            break;
        }
        if (order == 9) {
            --large_extents;
            domain->populated_2m.insert(frame);
        } else {
            domain->populated_4k.insert(frame);
        }
        if (fresh_memory != std::byte{0}) {
            std::memset(domain->memory + frame * kPageSize, std::to_integer<int>(fresh_memory),
                        pages * kPageSize);
        }
        free_pages -= pages;
        ++done;
    }
    return done;
}

Result<void> Fake_hypervisor::set_memory_map(Domid id, std::span<const hvm_memmap_table_entry> map)
{
    TRY(enter("set_memory_map", id))->memory_map.assign(map.begin(), map.end());
    return {};
}

Result<Mapped_pages> Fake_hypervisor::map(Domid id, std::span<const std::uint64_t> frames)
{
    Fake_domain* domain = TRY(enter("map", id));
    for (const std::uint64_t frame : frames) {
        if (!domain->has(frame)) {
            return fail(Errc::invalid, "guest frame " + std::to_string(frame) + " has no memory");
        }
    }
    pages_mapped += frames.size();
    return domain->view(frames);
}

Result<Mapped_pages> Fake_hypervisor::map_present(Domid id, std::span<const std::uint64_t> frames,
                                                  std::vector<bool>& present)
{
    Fake_domain* domain = TRY(enter("map_present", id));
    present.resize(frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
        present[i] = domain->has(frames[i]);
    }
    pages_mapped += frames.size();
    return domain->view_present(frames, present);
}

Result<Mapped_pages> Fake_hypervisor::map_grant_table(Domid id, unsigned frame)
{
    Fake_domain* domain = TRY(enter("map_grant_table", id));
    if (frame != 0) {
        return fail(Errc::invalid, "the fake's grant tables have one frame");
    }
    ++*domain->views;
    return Mapped_pages(domain->grant_table, [count = domain->views](std::span<std::byte>) { --*count; });
}

Result<void> Fake_hypervisor::take_back(Domid id, std::span<const std::uint64_t> frames)
{
    Fake_domain* domain = TRY(enter("take_back", id));
    for (const std::uint64_t frame : frames) {
        domain->release(frame);
        ++free_pages;
    }
    return {};
}

// Without sharing: a copy does.
Result<void> Fake_hypervisor::fork_memory(Domid child, Domid parent)
{
    Fake_domain* to         = TRY(enter("fork_memory", child));
    const Fake_domain* from = TRY(enter("fork_memory of", parent));
    to->populated_2m        = from->populated_2m;
    to->populated_4k        = from->populated_4k;
    free_pages -= from->populated_2m.size() * 512 + from->populated_4k.size();
    for (const std::uint64_t frame : from->populated_2m) {
        std::memcpy(to->memory + frame * kPageSize, from->memory + frame * kPageSize, 512 * kPageSize);
    }
    for (const std::uint64_t frame : from->populated_4k) {
        std::memcpy(to->memory + frame * kPageSize, from->memory + frame * kPageSize, kPageSize);
    }
    return {};
}

Result<void> Fake_hypervisor::log_writes(Domid id, bool on)
{
    TRY(enter("log_writes", id))->logs_writes = on;
    return {};
}

Result<void> Fake_hypervisor::take_write_log(Domid id, std::span<std::uint64_t> log)
{
    Fake_domain* domain = TRY(enter("take_write_log", id));
    if (!domain->logs_writes) {
        return fail(Errc::invalid, "no writes are logged");
    }
    if (domain->before_log_taken) {
        domain->before_log_taken();
    }
    std::fill(log.begin(), log.end(), 0);
    for (const std::uint64_t frame : std::exchange(domain->written, {})) {
        log[frame / 64] |= std::uint64_t{1} << (frame % 64);
    }
    return {};
}

Result<void> Fake_hypervisor::set_param(Domid id, unsigned param, std::uint64_t value)
{
    TRY(enter("set_param", id))->params[param] = value;
    return {};
}

Result<std::uint64_t> Fake_hypervisor::param(Domid id, unsigned param)
{
    return TRY(enter("param", id))->params[param];
}

Result<Evtchn_port> Fake_hypervisor::alloc_unbound(Domid id, Domid)
{
    return Evtchn_port{TRY(enter("alloc_unbound", id))->next_port++};
}

Result<std::vector<std::byte>> Fake_hypervisor::context(Domid id)
{
    return TRY(enter("context", id))->context;
}

Result<void> Fake_hypervisor::set_context(Domid id, std::span<const std::byte> records)
{
    TRY(enter("set_context", id))->context.assign(records.begin(), records.end());
    return {};
}

Result<Mapped_pages> Fake_hypervisor::map_ring(Domid id, Ring, Gfn page)
{
    if (const auto code = ordered("map_ring")) {
        return fail(*code, "the fake refused to map a ring");
    }
    const std::uint64_t frame = raw(page);
    return map(id, std::span(&frame, 1));
}

Result<Evtchn_port> Fake_hypervisor::bind(Domid id, Evtchn_port port, std::function<void()> callback)
{
    if (const auto code = ordered("bind")) {
        return fail(*code, "the fake refused to bind a port");
    }
    const Evtchn_port local{next_local_++};
    bindings_[raw(local)] = {id, port, std::move(callback)};
    return local;
}

void Fake_hypervisor::fire(Domid id, Evtchn_port port)
{
    for (const auto& [local, binding] : bindings_) {
        if (binding.id == id && binding.port == port) {
            const auto callback = binding.callback; // it may unbind
            callback();
            return;
        }
    }
}

} // namespace vmm::test
