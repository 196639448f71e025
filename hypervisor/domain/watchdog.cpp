// SPDX-License-Identifier: Apache-2.0
#include "domain/watchdog.hpp"

#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"

#include <xen/sched.h>

namespace vmm
{

void Watchdogs::Slot::fired(void* slot)
{
    auto& s = *static_cast<Slot*>(slot);
    log::warning("d{}: its watchdog was not set again in time", s.domain.id());
    s.domain.shut_down(SHUTDOWN_watchdog);
}

Expected<u32> Watchdogs::set(u32 id, u32 timeout_seconds, Time now)
{
    const Lock_guard guard(domain_.lock());
    const Time when = now + timeout_seconds * kSecond;
    if (id == 0) {
        if (timeout_seconds == 0)
            return fail(Errc::einval);
        for (u32 i = 0; i < 2; ++i) {
            if (!slot_[i].in_use) {
                slot_[i].in_use = true;
                slot_[i].timer.start(when);
                return i + 1;
            }
        }
        return fail(Errc::eexist);
    }
    if (id > 2 || !slot_[id - 1].in_use)
        return fail(Errc::einval);
    Slot& slot = slot_[id - 1];
    if (timeout_seconds == 0) {
        slot.in_use = false;
        slot.timer.stop();
    } else {
        slot.timer.start(when);
    }
    return 0u;
}

void Watchdogs::stop_all()
{
    for (auto& slot : slot_) {
        slot.in_use = false;
        slot.timer.stop();
    }
}

} // namespace vmm
