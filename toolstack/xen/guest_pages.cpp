// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xen/guest_pages.hpp"

#include <sys/mman.h>

#include <xen/memory.h>

#include <cerrno>
#include <string>
#include <utility>

namespace vmm
{

namespace
{

static_assert(sizeof(xen_pfn_t) == sizeof(std::uint64_t));

std::string cannot_map(Domid id, std::span<const std::uint64_t> frames)
{
    return "cannot map " + std::to_string(frames.size()) + " pages of domain " + to_string(id) +
           " from guest frame " + std::to_string(frames.empty() ? 0 : frames.front());
}

} // namespace

Result<Foreign_memory> Foreign_memory::open()
{
    xenforeignmemory_handle* handle = xenforeignmemory_open(nullptr, 0);
    if (handle == nullptr) {
        return fail_errno("cannot open /dev/xen/privcmd to map guest memory");
    }
    return Foreign_memory({handle, [](xenforeignmemory_handle* h) { xenforeignmemory_close(h); }});
}

Mapped_pages Foreign_memory::own(void* view, std::size_t pages) const
{
    auto unmap = [handle = handle_](std::span<std::byte> bytes) {
        xenforeignmemory_unmap(handle.get(), bytes.data(), bytes.size() / kPageSize);
    };
    return Mapped_pages({static_cast<std::byte*>(view), pages * kPageSize}, std::move(unmap));
}

Result<Mapped_pages> Foreign_memory::map(Domid id, std::span<const std::uint64_t> frames) const
{
    // Without an error array one frame that cannot be mapped fails the whole call, which is what a builder
    // wants.
    void* view = xenforeignmemory_map(handle_.get(), raw(id), PROT_READ | PROT_WRITE, frames.size(),
                                      frames.data(), nullptr);
    if (view == nullptr) {
        return fail_errno(cannot_map(id, frames));
    }
    return own(view, frames.size());
}

Result<Mapped_pages> Foreign_memory::map_present(Domid id, std::span<const std::uint64_t> frames,
                                                 std::vector<bool>& present) const
{
    std::vector<int> errors(frames.size());
    void* view =
        xenforeignmemory_map(handle_.get(), raw(id), PROT_READ, frames.size(), frames.data(), errors.data());
    if (view == nullptr) {
        return fail_errno(cannot_map(id, frames));
    }
    Mapped_pages pages = own(view, frames.size());
    present.resize(frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
        // What hypervisors answer for a frame with nothing behind it. Anything else, say ENOMEM, is a
        // failure.
        const bool absent = errors[i] == -EINVAL || errors[i] == -ENOENT;
        if (errors[i] != 0 && !absent) {
            return fail_errno(cannot_map(id, frames.subspan(i)), -errors[i]);
        }
        present[i] = !absent;
    }
    return pages;
}

Result<Mapped_pages> Foreign_memory::map_grant_table(Domid id, unsigned frame) const
{
    void* view     = nullptr;
    auto* resource = xenforeignmemory_map_resource(handle_.get(), raw(id), XENMEM_resource_grant_table,
                                                   XENMEM_resource_grant_table_id_shared, frame, 1, &view,
                                                   PROT_READ | PROT_WRITE, 0);
    if (resource == nullptr) {
        return fail_errno("cannot map the grant table of domain " + to_string(id));
    }
    auto unmap = [handle = handle_, resource](std::span<std::byte>) {
        xenforeignmemory_unmap_resource(handle.get(), resource);
    };
    return Mapped_pages({static_cast<std::byte*>(view), kPageSize}, std::move(unmap));
}

Result<Grant_memory> Grant_memory::open()
{
    xengnttab_handle* handle = xengnttab_open(nullptr, 0);
    if (handle == nullptr) {
        return fail_errno("cannot open /dev/xen/gntdev (is the module xen-gntdev loaded?)");
    }
    return Grant_memory({handle, [](xengnttab_handle* h) { xengnttab_close(h); }});
}

Result<Mapped_pages> Grant_memory::map(Domid id, Grant_ref ref) const
{
    void* view = xengnttab_map_grant_ref(handle_.get(), raw(id), raw(ref), PROT_READ | PROT_WRITE);
    if (view == nullptr) {
        return fail_errno("cannot map grant " + std::to_string(raw(ref)) + " of domain " + to_string(id));
    }
    auto unmap = [handle = handle_](std::span<std::byte> bytes) {
        xengnttab_unmap(handle.get(), bytes.data(), 1);
    };
    return Mapped_pages({static_cast<std::byte*>(view), kPageSize}, std::move(unmap));
}

} // namespace vmm
