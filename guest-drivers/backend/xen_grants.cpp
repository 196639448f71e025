// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/xen_grants.hpp"

#include "toolstack/xen/types.hpp"

#include <sys/mman.h>

namespace vmm::block
{

Result<std::unique_ptr<Xen_grants>> Xen_grants::open(Domid frontend)
{
    xengnttab_handle* handle = xengnttab_open(nullptr, 0);
    if (handle == nullptr) {
        return fail_errno("cannot open /dev/xen/gntdev (is the module xen-gntdev loaded?)");
    }
    return std::unique_ptr<Xen_grants>(new Xen_grants(handle, frontend));
}

Mapped_pages Xen_grants::map(std::span<const grant_ref_t> refs)
{
    std::vector<grant_ref_t> writable(refs.begin(), refs.end()); // the library wants them so
    const auto count = static_cast<std::uint32_t>(refs.size());
    void* view       = xengnttab_map_domain_grant_refs(handle_.get(), count, raw(frontend_), writable.data(),
                                                       PROT_READ | PROT_WRITE);
    if (view == nullptr) {
        return {};
    }
    return Mapped_pages({static_cast<std::byte*>(view), count * kPageSize},
                        [handle = handle_.get(), count](std::span<std::byte> bytes) {
                            xengnttab_unmap(handle, bytes.data(), count);
                        });
}

void Xen_grants::copy(std::span<Grant_copy> pieces)
{
    segments_.assign(pieces.size(), {});
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const Grant_copy& piece = pieces[i];
        auto& segment           = segments_[i];
        const bool to_frontend  = piece.direction == Grant_copy::Direction::to_frontend;
        auto& theirs            = to_frontend ? segment.dest : segment.source;
        auto& ours              = to_frontend ? segment.source : segment.dest;
        theirs.foreign.ref      = piece.ref;
        theirs.foreign.offset   = piece.offset;
        theirs.foreign.domid    = raw(frontend_);
        ours.virt               = piece.local;
        segment.len             = piece.length;
        segment.flags           = to_frontend ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    }
    const bool called = xengnttab_grant_copy(handle_.get(), static_cast<std::uint32_t>(segments_.size()),
                                             segments_.data()) == 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        pieces[i].done = called && segments_[i].status == GNTST_okay;
    }
}

} // namespace vmm::block
