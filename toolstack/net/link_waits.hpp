// SPDX-License-Identifier: Apache-2.0
#pragma once
// Waits for network devices that dom0's kernel makes or takes away a moment after it was asked to. Owned by
// who waits, and used on the event loop only.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/net/links.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <string>

namespace vmm::net
{

class Link_waits
{
  public:
    enum class For : bool { device, its_end };
    using Done = std::function<void(Result<void>)>;

    static constexpr auto kLimit = std::chrono::seconds(10);

    Link_waits(Event_loop& loop, Links& links) : loop_(loop), links_(links) {}
    Link_waits(const Link_waits&)            = delete;
    Link_waits& operator=(const Link_waits&) = delete;
    ~Link_waits(); // whoever waits still is not called any more

    // Calls `done` once: at once if it is so already, otherwise from look(); Errc::timed_out after kLimit.
    void wait(const std::string& device, For what, Done done);
    // To be called when devices have changed (link_events.hpp).
    void look();

  private:
    struct Wait {
        std::string device;
        For what;
        Done done;
        Event_loop::Timer_id limit;
    };
    [[nodiscard]] Result<bool> has_come(const std::string& device, For what);

    Event_loop& loop_;
    Links& links_;
    std::list<Wait> waits_;
};

} // namespace vmm::net
