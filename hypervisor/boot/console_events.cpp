// SPDX-License-Identifier: Apache-2.0
//
// dom0 is told of console input and of new lines in the log by virtual interrupts. Input is told at once,
// from the receive interrupt, where no lock is held. A log line may come from under any lock, so it only
// arms a timer; that also makes one interrupt of many lines.
#include "boot/consoles.hpp"
#include "debug/log.hpp"
#include "domain/domain_table.hpp"
#include "domain/time.hpp"
#include "event/event_table.hpp"
#include "platform/uart.hpp"
#include "sched/timer.hpp"

#include <xen/xen.h>

namespace vmm
{
namespace
{

constexpr u64 kLogDelay = 20 * kMillisecond;

void raise_for_dom0(u32 virq)
{
    if (const auto dom0 = find_domain(kDom0))
        dom0->events().raise_global_virq(virq);
}

constinit Timer log_timer{[](void*) { raise_for_dom0(VIRQ_CON_RING); }, nullptr};

} // namespace

void tell_dom0_of_console()
{
    if (Uart* uart = serial_console())
        uart->start_buffering();
    set_console_input_hook([] { raise_for_dom0(VIRQ_CONSOLE); });
    log::set_ring_hook([] {
        if (!log_timer.armed())
            log_timer.start(system_clock().now() + kLogDelay);
    });
}

} // namespace vmm
