// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asks a guest for something through a node of its control/ directory and waits until it has taken note: by
// convention the guest empties the node [Linux drivers/xen/manage.c]. The answer comes once: taken, or not
// within the time given.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/store/store_server.hpp"

#include <functional>
#include <string>

namespace vmm
{

using Request_done = std::function<void(Result<void>)>;

// An error at once (the node cannot be written) is returned; `done` is not called then. A node that
// disappears counts as taken: the domain has ended meanwhile. After a timeout (Errc::timed_out, no message)
// the request still stands.
[[nodiscard]] Result<void> ask_guest(Event_loop& loop, Store_server& store, const std::string& node,
                                     const std::string& value, Event_loop::Duration patience,
                                     Request_done done);

} // namespace vmm
