// SPDX-License-Identifier: Apache-2.0
//
// The watchdogs of a domain: unless the guest sets one again in time, the domain is shut down with
// SHUTDOWN_watchdog. Owned by the Domain. [xen/include/public/sched.h, SCHEDOP_watchdog]
#pragma once

#include "base/expected.hpp"
#include "sched/timer.hpp"

namespace vmm
{

class Domain;

class Watchdogs
{
  public:
    explicit Watchdogs(Domain& domain) : domain_(domain), slot_{{domain}, {domain}} {}

    // id 0 asks for a new one and gives its id; otherwise the named one is set again, or stopped when the
    // timeout is 0. Eexist when none is free, einval for an id or a timeout that means nothing.
    Expected<u32> set(u32 id, u32 timeout_seconds, Time now);
    void stop_all();

  private:
    struct Slot {
        Slot(Domain& d) : domain(d), timer(fired, this) {}
        static void fired(void* slot);
        Domain& domain;
        Timer timer;
        bool in_use = false;
    };
    Domain& domain_;
    Slot slot_[2];
};

} // namespace vmm
