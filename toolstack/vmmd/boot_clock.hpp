// SPDX-License-Identifier: Apache-2.0
#pragma once
// Seconds since dom0 started, sleep included: the clock that survives a restart of the daemon and nobody
// sets.

#include <cstdint>
#include <ctime>

namespace vmm
{

[[nodiscard]] inline std::int64_t boot_seconds()
{
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

} // namespace vmm
