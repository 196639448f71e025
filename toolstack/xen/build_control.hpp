// SPDX-License-Identifier: Apache-2.0
#pragma once
// What making a domain, saving it and taking its memory back ask of a hypervisor: memory for a paused domain,
// views of that memory, its HVM parameters, event channels, grant table and processor state. Most of it takes
// long where there is much memory, and is done on threads; the domain's life as a whole is control.hpp.
// Xen_control implements it; tests put a fake with ordinary memory in its place.

#include "toolstack/xen/control.hpp"
#include "toolstack/xen/mapped_pages.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

struct hvm_memmap_table_entry;

namespace vmm
{

class Build_control
{
  public:
    virtual ~Build_control() = default;

    // Returns when the domain's memory is given back, save pages that others still have mapped.
    [[nodiscard]] virtual Result<void> destroy(Domid id) = 0;

    // Promises `pages` of host memory to the domain, so that populating cannot run out half way. 0 drops the
    // promise.
    [[nodiscard]] virtual Result<void> claim(Domid id, std::uint64_t pages)                        = 0;
    // Memory for the hypervisor's own tables about the domain; a hypervisor without that notion succeeds.
    [[nodiscard]] virtual Result<void> set_table_memory(Domid id, std::uint64_t kib)               = 0;
    // Gives memory at each frame (an extent is 2^order pages); returns how many extents, from the first, now
    // have it.
    [[nodiscard]] virtual Result<std::size_t> populate(Domid id, std::span<const std::uint64_t> frames,
                                                       unsigned order)                             = 0;
    [[nodiscard]] virtual Result<void> set_memory_map(Domid id,
                                                      std::span<const hvm_memmap_table_entry> map) = 0;

    // A writable view of the guest frames given, one behind the other in the order of the list.
    [[nodiscard]] virtual Result<Mapped_pages> map(Domid id, std::span<const std::uint64_t> frames) = 0;
    // A read-only view of those of the guest frames that have memory: present[i] tells it of frames[i]. The
    // rest of the view must not be touched. Any failure but "nothing there" fails the whole call, so that no
    // content is ever taken for absent.
    [[nodiscard]] virtual Result<Mapped_pages> map_present(Domid id, std::span<const std::uint64_t> frames,
                                                           std::vector<bool>& present)              = 0;
    // The memory of `child`, which has none yet, is from now on what that of `parent` is at this moment; the
    // same pages, until one of them writes. Takes a promise of as much memory for the copies that this makes
    // necessary; without a promise whoever writes when no memory is free is crashed.
    [[nodiscard]] virtual Result<void> fork_memory(Domid child, Domid parent)                       = 0;
    // Memory at single frames goes.
    [[nodiscard]] virtual Result<void> take_back(Domid id, std::span<const std::uint64_t> frames)   = 0;

    // From now on it is noted which frames the domain or anybody else writes, and which come and go; or not
    // any more, which is no error when it was not noted before.
    [[nodiscard]] virtual Result<void> log_writes(Domid id, bool on)                          = 0;
    // Sets a bit for each frame noted since this was last done, of the first 64 * log.size() frames; all
    // other bits are cleared.
    [[nodiscard]] virtual Result<void> take_write_log(Domid id, std::span<std::uint64_t> log) = 0;

    // A writable view of one frame of the domain's version-1 grant table.
    [[nodiscard]] virtual Result<Mapped_pages> map_grant_table(Domid id, unsigned frame) = 0;

    [[nodiscard]] virtual Result<void> set_param(Domid id, unsigned param, std::uint64_t value) = 0;
    [[nodiscard]] virtual Result<std::uint64_t> param(Domid id, unsigned param)                 = 0;
    // A port of `id` that `remote` may bind.
    [[nodiscard]] virtual Result<Evtchn_port> alloc_unbound(Domid id, Domid remote)             = 0;

    // The HVM save records of <xen/hvm/save.h>, END record included.
    [[nodiscard]] virtual Result<std::vector<std::byte>> context(Domid id)                       = 0;
    [[nodiscard]] virtual Result<void> set_context(Domid id, std::span<const std::byte> records) = 0;
};

} // namespace vmm
