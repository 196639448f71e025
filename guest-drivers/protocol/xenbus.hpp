// SPDX-License-Identifier: Apache-2.0
//
// The states in which the two ends of a paravirtual device tell each other, through their `state` nodes in
// the store, how far they are; as a type, and as the text that stands there. What the other end wrote may be
// anything. [xen/include/public/io/xenbus.h]
#pragma once

#include <string_view>

#include <xen/io/xenbus.h>

namespace vmm::protocol
{

enum class Xenbus_state : unsigned char {
    unknown       = XenbusStateUnknown,
    initialising  = XenbusStateInitialising,
    init_wait     = XenbusStateInitWait,
    initialised   = XenbusStateInitialised,
    connected     = XenbusStateConnected,
    closing       = XenbusStateClosing,
    closed        = XenbusStateClosed,
    reconfiguring = XenbusStateReconfiguring,
    reconfigured  = XenbusStateReconfigured,
};

// `unknown` for what is no state at all.
constexpr Xenbus_state state_from(std::string_view text)
{
    const bool is_state = text.size() == 1 && text[0] >= '0' && text[0] <= '0' + XenbusStateReconfigured;
    return is_state ? static_cast<Xenbus_state>(text[0] - '0') : Xenbus_state::unknown;
}

constexpr std::string_view text_of(Xenbus_state state)
{
    return std::string_view("012345678").substr(static_cast<unsigned char>(state), 1);
}

} // namespace vmm::protocol
