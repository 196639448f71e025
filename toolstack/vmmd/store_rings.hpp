// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store's rings as Store_server wants them: of a domain (granted page and event channel) and of dom0's
// own kernel (the page and port it publishes in /proc/xen). Destroying one unmaps the page and closes the
// channel.

#include "toolstack/base/error.hpp"
#include "toolstack/store/ring_channel.hpp"
#include "toolstack/vmmd/guest_links.hpp"

#include <functional>
#include <memory>

namespace vmm
{

// `on_event` runs when the domain has put something on its ring or taken something off it.
[[nodiscard]] Result<std::unique_ptr<store::Ring_channel>>
open_domain_ring(Guest_links& links, Domid id, Gfn page, Evtchn_port port, std::function<void()> on_event);

// dom0's kernel waits with its bus until it is notified once; the store does that when it is introduced.
[[nodiscard]] Result<std::unique_ptr<store::Ring_channel>> open_dom0_ring(Guest_links& links,
                                                                          std::function<void()> on_event);

} // namespace vmm
