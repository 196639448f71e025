// SPDX-License-Identifier: Apache-2.0
#pragma once
// How dom0 reaches a domain's rings: the shared page and the event channel. An interface, so that consoles,
// store channels and the supervisor run in tests over ordinary memory.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/mapped_pages.hpp"
#include "toolstack/xen/types.hpp"

#include <functional>

namespace vmm
{

enum class Ring { console, store };

class Guest_links
{
  public:
    virtual ~Guest_links() = default;

    // The page is found by the domain's grant for it; `page` is where it lies, in case the grant is gone.
    [[nodiscard]] virtual Result<Mapped_pages> map_ring(Domid id, Ring ring, Gfn page) = 0;
    // The callback runs from the event loop; it may unbind the port.
    [[nodiscard]] virtual Result<Evtchn_port> bind(Domid id, Evtchn_port port,
                                                   std::function<void()> callback)     = 0;
    virtual void unbind(Evtchn_port local)                                             = 0;
    virtual void notify(Evtchn_port local)                                             = 0;
};

} // namespace vmm
