// SPDX-License-Identifier: Apache-2.0
//
// The xenbus handshake as a frontend sees it: what to do next, given how far it has got and what the
// backend's `state` node says. A pure decision: no store, no waiting, the same for every class of device. A
// state that cannot be read counts as a device that is not there. [xen/include/public/io/xenbus.h]
#pragma once

#include "protocol/xenbus.hpp"

namespace vmm::protocol
{

enum class Front_phase : unsigned char {
    waiting, // nothing is shared; the backend is not ready
    offered, // rings, grants and port are in the store; the backend has not answered
    running,
    draining, // nothing new is asked; what is on its way is waited for, then Closed is said
    leaving,  // says Closed; the backend may still use what was offered
    closed,   // nothing is shared, and nothing will be unless somebody asks
    gone,     // the device is not there any more
};

enum class Front_step : unsigned char {
    wait,
    offer,      // share rings and tell the backend
    accept,     // the backend is connected: read what it says of itself
    refresh,    // it may say something new (a size)
    let_go,     // ask nothing more, and say Closed when all is answered; take nothing back yet
    finish,     // say Closed if all is answered
    take_back,  // the backend has let go
    start_over, // a new backend has come for the old one: take back, say Initialising
    vanish,     // no device: take back
};

constexpr Front_step front_step(Front_phase phase, Xenbus_state backend)
{
    using enum Xenbus_state;
    if (backend == unknown)
        return phase == Front_phase::gone ? Front_step::wait : Front_step::vanish;
    const bool ends  = backend == closing || backend == closed;
    const bool fresh = backend == initialising || backend == init_wait;
    switch (phase) {
    case Front_phase::waiting:
        if (backend == init_wait)
            return Front_step::offer;
        // Closed is where a backend waits for a frontend that comes back.
        return backend == closing ? Front_step::let_go : Front_step::wait;
    case Front_phase::offered:
        if (backend == connected)
            return Front_step::accept;
        return ends ? Front_step::let_go : Front_step::wait;
    case Front_phase::running:
        if (ends)
            return Front_step::let_go;
        return fresh || backend == initialised ? Front_step::start_over : Front_step::refresh;
    case Front_phase::draining: return fresh ? Front_step::start_over : Front_step::finish;
    case Front_phase::leaving: return backend == closed || fresh ? Front_step::take_back : Front_step::wait;
    case Front_phase::closed:
    case Front_phase::gone: break;
    }
    return Front_step::wait;
}

} // namespace vmm::protocol
