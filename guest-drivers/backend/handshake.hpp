// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the backend has to do next, from what stands in the store: a pure function, asked again after each
// change. The frontend's state comes from a guest and may be anything at any moment.
// [xen/include/public/io/blkif.h, "STATE DIAGRAMS"]

#include "guest-drivers/protocol/xenbus.hpp"

#include <optional>

namespace vmm::block
{

enum class Step : unsigned char {
    wait,    // for the frontend
    offer,   // publish what there is to choose from: then InitWait
    connect, // take the rings: then Connected
    close,   // tell the frontend that it is heard: Closing
    let_go,  // give the rings back: then Closed
    let_go_and_end,
};

struct Situation {
    protocol::Xenbus_state own = protocol::Xenbus_state::initialising; // what this end last said
    std::optional<protocol::Xenbus_state> frontend;                    // nothing: its node is gone
    bool online    = true;  // the toolstack wants the device to stay
    bool connected = false; // this end has the rings
};

[[nodiscard]] constexpr Step next_step(const Situation& now)
{
    using State = protocol::Xenbus_state;
    if (!now.frontend) {
        return Step::let_go_and_end;
    }
    switch (*now.frontend) {
    case State::unknown:
    case State::initialising:
        if (now.connected) { // it began anew without closing
            return now.online ? Step::let_go : Step::let_go_and_end;
        }
        if (!now.online) { // it may be about to connect: it has heard of the end when it has closed
            return Step::wait;
        }
        return now.own == State::init_wait ? Step::wait : Step::offer;
    case State::initialised:
    case State::connected:
        return now.connected || !now.online || now.own == State::closing ? Step::wait : Step::connect;
    case State::closing: return now.own == State::closing ? Step::wait : Step::close;
    case State::closed:
        if (!now.online) {
            return Step::let_go_and_end;
        }
        return now.own == State::closed && !now.connected ? Step::wait : Step::let_go;
    default: return Step::wait;
    }
}

} // namespace vmm::block
