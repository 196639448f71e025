// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tells that some network device of dom0 came, went or changed, as rtnetlink announces it. What it was is
// found out by looking (links.hpp): events may be lost when there are many, the last one is not.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"

#include <functional>
#include <memory>

struct nl_sock;

namespace vmm::net
{

class Link_events
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Link_events>> open(Event_loop& loop,
                                                                   std::function<void()> on_change);
    Link_events(const Link_events&)            = delete;
    Link_events& operator=(const Link_events&) = delete;
    ~Link_events();

  private:
    Link_events(Event_loop& loop, nl_sock* socket) : loop_(loop), socket_(socket) {}

    Event_loop& loop_;
    nl_sock* socket_;
};

} // namespace vmm::net
