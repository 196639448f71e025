// SPDX-License-Identifier: Apache-2.0
#pragma once
// The event channels between a backend and one frontend. A seam: the tests ring the bells themselves.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/types.hpp"

#include <functional>

namespace vmm::block
{

class Events
{
  public:
    virtual ~Events() = default;

    // `remote` is the frontend's port; the answer is this end's.
    [[nodiscard]] virtual Result<Evtchn_port> bind(Evtchn_port remote, std::function<void()> rung) = 0;
    virtual void unbind(Evtchn_port port)                                                          = 0;
    virtual void notify(Evtchn_port port)                                                          = 0;
};

} // namespace vmm::block
