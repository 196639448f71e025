// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/xen_guest_links.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/build/domain_builder.hpp"

namespace vmm
{

Result<Mapped_pages> Xen_guest_links::map_ring(Domid id, Ring ring, Gfn page)
{
    auto by_grant = grants_.map(id, ring == Ring::console ? kConsoleGrant : kStoreGrant);
    if (by_grant) {
        return by_grant;
    }
    const std::uint64_t frame = raw(page);
    auto by_frame             = memory_.map(id, std::span(&frame, 1));
    if (!by_frame) {
        return fail(by_frame.error().code, by_grant.error().message + "; " + by_frame.error().message);
    }
    return by_frame;
}

Result<Evtchn_port> Xen_guest_links::bind(Domid id, Evtchn_port port, std::function<void()> callback)
{
    return events_.bind_interdomain(id, port, std::move(callback));
}

void Xen_guest_links::notify(Evtchn_port local)
{
    if (const auto done = events_.notify(local); !done) {
        log::debug(done.error().message); // the domain may just be gone
    }
}

} // namespace vmm
