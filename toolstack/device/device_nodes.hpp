// SPDX-License-Identifier: Apache-2.0
#pragma once
// A device's nodes in the store: how they come, what they say, how they go. Each change is one transaction,
// so that no kernel ever sees half a device. The frontend's directory belongs to the guest; the backend's
// belongs to dom0 and the guest may read it.

#include "toolstack/base/error.hpp"
#include "toolstack/device/address.hpp"
#include "toolstack/device/device_class.hpp"
#include "toolstack/store/store_server.hpp"

#include <string>
#include <string_view>

namespace vmm::device
{

// Numbers as in xen/io/xenbus.h; absent: there is no such node.
enum class State {
    unknown = 0,
    initialising,
    init_wait,
    initialised,
    connected,
    closing,
    closed,
    absent = -1
};

[[nodiscard]] std::string_view name_of(State state);

[[nodiscard]] State backend_state(Store_server& store, const Address& address);
[[nodiscard]] State frontend_state(Store_server& store, const Address& address);

[[nodiscard]] Result<void> write_nodes(Store_server& store, const Address& address, const Prepared& prepared);
[[nodiscard]] Result<void> write_hotplug_status(Store_server& store, const Address& address,
                                                std::string_view status);

// A running guest is asked to let go: it may take its time or never do it.
[[nodiscard]] Result<void> ask_to_close(Store_server& store, const Address& address);
// The frontend is declared closed, since its guest will not say anything any more; the backend lets go at
// once.
[[nodiscard]] Result<void> declare_closed(Store_server& store, const Address& address);

// Whatever is there of it. What cannot be removed goes to the log.
void remove_nodes(Store_server& store, const Address& address);

// What the backend left as the reason of its trouble; empty if nothing.
[[nodiscard]] std::string backend_error(Store_server& store, const Address& address);

} // namespace vmm::device
