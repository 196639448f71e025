// SPDX-License-Identifier: Apache-2.0
//
// A vCPU that spins waits for another of its domain, most likely for one that holds a lock and has lost its
// CPU: that one gets the CPU of the one that spins.
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/exit_handlers.hpp"
#include "sched/scheduler.hpp"

namespace vmm
{
namespace
{

// Looked at from outside, so that it may be different by now.
bool waits_for_cpu(const Vcpu& vcpu)
{
    return vcpu.is_up() && !vcpu.blocked.load(std::memory_order_relaxed) &&
           vcpu.running_on.load(std::memory_order_relaxed) == Vcpu::kNowhere;
}

// For which one is not known: the next by number each time. Those that spun themselves when they last had a
// CPU come last, for they would most likely only pass it on.
Vcpu* choose_waited_for(const Vcpu& vcpu)
{
    const Domain& domain = vcpu.domain();
    const unsigned count = domain.max_vcpus();
    Vcpu* second_choice  = nullptr;
    for (unsigned step = 1; step <= count; ++step) {
        Vcpu* const other = domain.vcpu((vcpu.yielded_to + step) % count);
        if (other == &vcpu || !waits_for_cpu(*other))
            continue;
        if (!other->spins.load(std::memory_order_relaxed))
            return other;
        if (!second_choice)
            second_choice = other;
    }
    return second_choice;
}

} // namespace

void handle_spinning(Vcpu& vcpu)
{
    if (Vcpu* const other = choose_waited_for(vcpu)) {
        vcpu.yielded_to = other->id().value();
        vcpu.spins.store(true, std::memory_order_relaxed);
        scheduler::yield_to(vcpu, *other);
    }
}

} // namespace vmm
