// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/end_policy.hpp"

#include <algorithm>

namespace vmm
{

std::string_view name_of(Shutdown_reason reason)
{
    switch (reason) {
    case Shutdown_reason::poweroff: return "poweroff";
    case Shutdown_reason::reboot: return "reboot";
    case Shutdown_reason::suspend: return "suspend";
    case Shutdown_reason::crash: return "crash";
    case Shutdown_reason::watchdog: return "watchdog";
    case Shutdown_reason::soft_reset: return "soft-reset";
    }
    return "unknown";
}

config::End_action end_action(const config::Domain_config& config, Shutdown_reason reason)
{
    switch (reason) {
    case Shutdown_reason::poweroff: return config.on_poweroff;
    case Shutdown_reason::reboot:
    case Shutdown_reason::soft_reset: return config.on_reboot;
    case Shutdown_reason::watchdog: return config.on_watchdog;
    case Shutdown_reason::suspend: return config::End_action::preserve; // somebody wanted its memory
    case Shutdown_reason::crash: break;
    }
    return config.on_crash;
}

std::chrono::seconds restart_delay(unsigned quick_ends)
{
    if (quick_ends <= 1) {
        return std::chrono::seconds(0);
    }
    constexpr unsigned kLongest = 60;
    return std::chrono::seconds(std::min(kLongest, 1U << std::min(quick_ends - 2, 16U)));
}

} // namespace vmm
