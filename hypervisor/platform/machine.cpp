// SPDX-License-Identifier: Apache-2.0
#include "platform/machine.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "platform/console.hpp"
#include "platform/power.hpp"

#include <xen/sched.h>

namespace vmm
{

void dom0_has_shut_down(u32 reason)
{
    switch (reason) {
    case SHUTDOWN_poweroff:
        log::info("dom0 has shut down: switching the machine off.");
        console_stop_buffering();
        power::off();
        // Where the firmware knows no way to, the user has to.
        log::error("The machine could not be switched off; it is safe to do so by hand.");
        log::info("The machine is halted.");
        halt_forever();
    case SHUTDOWN_reboot:
        log::info("dom0 has shut down and asks for a reboot.");
        log::info("Restarting the machine.");
        console_stop_buffering();
        power::reset();
    case SHUTDOWN_crash: refuse("dom0 has crashed");
    case SHUTDOWN_watchdog: refuse("dom0 did not serve its watchdog in time");
    default: refuse("dom0 has shut down for the reason {}, which is none that a dom0 can have", reason);
    }
}

} // namespace vmm
