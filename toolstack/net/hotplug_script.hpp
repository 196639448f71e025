// SPDX-License-Identifier: Apache-2.0
#pragma once
// A script of the administrator's, run by the conventions of Xen's hotplug scripts
// (docs/misc/xl-network-configuration, "script"): its argument says what happens (online, offline), its
// environment which interface and where it stands in the store. It has time until a limit, then it is killed.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

namespace vmm::net
{

class Hotplug_scripts
{
  public:
    struct Call {
        std::string script;
        std::string action; // "online" or "offline"
        std::string device; // "vif3.0"
        std::string backend_path;
    };
    using Done = std::function<void(Result<void>)>;

    explicit Hotplug_scripts(Event_loop& loop, Event_loop::Duration limit = std::chrono::seconds(30))
        : loop_(loop), limit_(limit)
    {
    }
    Hotplug_scripts(const Hotplug_scripts&)            = delete;
    Hotplug_scripts& operator=(const Hotplug_scripts&) = delete;
    ~Hotplug_scripts(); // those that still run go on; nobody is told

    void run(const Call& call, Done done);

  private:
    struct Running {
        std::string name;
        Event_loop::Timer_id timer;
        bool timed_out = false;
        Done done;
    };
    void ended(pid_t child, int wait_status);

    Event_loop& loop_;
    Event_loop::Duration limit_;
    std::map<pid_t, Running> running_;
};

} // namespace vmm::net
