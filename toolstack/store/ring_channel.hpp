// SPDX-License-Identifier: Apache-2.0
#pragma once
// One domain's end of the store: its mapped ring page (struct xenstore_domain_interface, xen/io/xs_wire.h)
// and the event channel to tell it of progress. Whoever maps the page implements this; destroying the channel
// unmaps the page and closes the event channel. The other side writes the page at any time: only the store's
// ring transport may touch it.

struct xenstore_domain_interface;

namespace vmm::store
{

class Ring_channel
{
  public:
    Ring_channel()                               = default;
    Ring_channel(const Ring_channel&)            = delete;
    Ring_channel& operator=(const Ring_channel&) = delete;
    virtual ~Ring_channel()                      = default;

    [[nodiscard]] virtual xenstore_domain_interface* page() = 0; // valid for the life of the channel
    virtual void notify()                                   = 0; // must not block
};

} // namespace vmm::store
