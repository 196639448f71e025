// SPDX-License-Identifier: Apache-2.0
#include "emul/local_apic.hpp"

#include "base/bits.hpp"
#include "emul/apic_bus.hpp"
#include "emul/apic_host.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

using namespace apic;

// The timer counts cycles of a 100 MHz bus, as on Xen.
constexpr u64 kBusCycleNs       = 10;
constexpr u64 kShortestPeriodNs = 100'000;

constexpr u8 priority_class(unsigned vector) { return static_cast<u8>(vector & 0xf0); }

} // namespace

Local_apic::Local_apic(Vcpu& vcpu, Vcpu_id id, const Clock& clock)
    : vcpu_(vcpu), base_(kDefaultBase | kBaseEnable | kBaseX2apic | (id.value() == 0 ? kBaseBootCpu : 0)),
      id_(id_of(id)), clock_(clock), timer_(timer_fired, this)
{
    clear();
}

void Local_apic::reset()
{
    clear();
    apic_host::set_tpr(vcpu_, 0);
}

void Local_apic::clear()
{
    timer_.stop();
    if (delivery_)
        (void)delivery_->stop();
    delivery_ = nullptr;
    irr_.clear();
    isr_.clear();
    tmr_.clear();
    spurious_            = kSpuriousAfterReset;
    timer_divide_        = 0;
    timer_initial_count_ = 0;
    error_status_        = 0;
    errors_              = 0;
    command_             = 0;
    for (auto& entry : lvt_)
        entry = kLvtMasked;
}

// Whoever is switched off delivers nothing, and a CPU would not know.
void Local_apic::choose_delivery()
{
    Interrupt_delivery* const wanted =
        x2apic() && accepts_interrupts() ? apic_host::interrupt_delivery(vcpu_) : nullptr;
    if (wanted == delivery_)
        return;
    if (wanted) {
        wanted->start({irr_.take(), isr_.take()}, tmr_.vectors());
    } else {
        const auto left = delivery_->stop();
        irr_.add(left.requested);
        isr_.add(left.in_service);
    }
    delivery_ = wanted;
}

// The IRR is emptied before the TMR is read: each vector found in the one was put into the other before.
int Local_apic::offer()
{
    if (!delivery_)
        return find_deliverable();
    const Vectors requested = irr_.take();
    delivery_->request(requested, tmr_.vectors());
    return -1;
}

Vectors Local_apic::requested() const
{
    Vectors all = irr_.vectors();
    if (delivery_) {
        const Vectors handed_over = delivery_->state().requested;
        for (unsigned i = 0; i < all.size(); ++i)
            all[i] |= handed_over[i];
    }
    return all;
}

Vectors Local_apic::in_service() const { return delivery_ ? delivery_->state().in_service : isr_.vectors(); }

u8 Local_apic::tpr() const { return apic_host::tpr(vcpu_); }

u8 Local_apic::processor_priority() const
{
    const int serving = delivery_ ? highest(in_service()) : highest(isr_);
    const u8 task     = tpr();
    if (serving < 0 || priority_class(task) >= priority_class(static_cast<u8>(serving)))
        return task;
    return priority_class(static_cast<u8>(serving));
}

void Local_apic::set_irq(u8 vector, bool level_triggered)
{
    if (!accepts_interrupts())
        return;
    if (vector < kFirstLegalVector)
        return report_error(kReceivedIllegalVector);
    if (tmr_.contains(vector) != level_triggered) [[unlikely]] {
        if (level_triggered)
            tmr_.add(vector);
        else
            tmr_.remove(vector);
    }
    if (irr_.add(vector))
        apic_host::wake(vcpu_);
}

int Local_apic::find_deliverable() const
{
    const int vector = delivery_ ? highest(requested()) : highest(irr_);
    if (vector < 0 || !accepts_interrupts())
        return -1;
    const u8 wanted = priority_class(static_cast<u8>(vector));
    return wanted > priority_class(processor_priority()) ? vector : -1;
}

bool Local_apic::wait_for_tpr() const
{
    const int requested = highest(irr_);
    if (requested < 0 || !accepts_interrupts())
        return false;
    const u8 wanted = priority_class(static_cast<u8>(requested));
    return highest(isr_) < wanted && wanted <= priority_class(tpr());
}

void Local_apic::accept(u8 vector)
{
    irr_.remove(vector);
    isr_.add(vector);
}

void Local_apic::give_back(u8 vector)
{
    isr_.remove(vector);
    irr_.add(vector);
}

void Local_apic::end_of_interrupt()
{
    const int in_service = highest(isr_);
    if (in_service < 0)
        return;
    const u8 vector = static_cast<u8>(in_service);
    isr_.remove(vector);
    in_service_ended(vector);
}

void Local_apic::in_service_ended(u8 vector)
{
    if (tmr_.contains(vector))
        apic_host::level_interrupt_ended(vcpu_, vector);
}

void Local_apic::self_ipi(u8 vector)
{
    if (vector < kFirstLegalVector)
        report_error(kSendIllegalVector);
    else if (accepts_interrupts()) {
        tmr_.remove(vector);
        irr_.add(vector); // nobody to wake: the sender runs
    }
}

// [SDM3 11.12.9, 11.12.10.1]
Expected<void> Local_apic::send_ipi(u64 command)
{
    if (command & kCommandReserved)
        return fail(Errc::einval);
    command_ = command;

    const auto message = make_message(static_cast<u32>(command >> 32), command & kCommandLogical, command);
    const bool fixed = message.mode == Delivery_mode::fixed || message.mode == Delivery_mode::lowest_priority;
    if (fixed && message.vector < kFirstLegalVector) {
        report_error(kSendIllegalVector);
        return {};
    }
    // The de-assert message of INIT, which no CPU since the Pentium 4 acts on.
    if (message.mode == Delivery_mode::init && (command & kCommandLevelTriggered) &&
        !(command & kCommandAssert))
        return {};

    switch (static_cast<Shorthand>(field(command, 19, 18))) {
    case Shorthand::none: deliver(apic_host::domain_of(vcpu_), message); break;
    case Shorthand::self:
        if (fixed)
            self_ipi(message.vector);
        break;
    case Shorthand::all: deliver_to_all(vcpu_, message, true); break;
    case Shorthand::others: deliver_to_all(vcpu_, message, false); break;
    }
    return {};
}

// Accumulates until the guest writes the error status register; each kind interrupts once. [SDM3 11.5.3]
void Local_apic::report_error(u32 error)
{
    const u32 before = errors_.fetch_or(error, std::memory_order_relaxed);
    const u32 entry  = lvt_[lvt_error].load(std::memory_order_relaxed);
    const u8 vector  = static_cast<u8>(entry);
    if ((before & error) == 0 && !(entry & kLvtMasked) && vector >= kFirstLegalVector)
        set_irq(vector, false);
}

// The timer counts 2^this bus cycles: the three bits say 2, 4, ... 128, 1. [SDM3 figure 11-10]
u32 Local_apic::timer_shift() const
{
    const u32 divide = timer_divide_;
    return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

u64 Local_apic::timer_ns(u32 count) const { return (static_cast<u64>(count) * kBusCycleNs) << timer_shift(); }

void Local_apic::start_countdown(u32 count) { timer_.start(clock_.now() + timer_ns(count)); }

void Local_apic::start_timer(u32 initial_count)
{
    timer_initial_count_ = initial_count;
    if (initial_count == 0)
        timer_.stop();
    else
        start_countdown(initial_count);
}

u32 Local_apic::timer_count() const
{
    const Time now = clock_.now();
    if (!timer_.armed() || timer_.when() <= now)
        return 0;
    return static_cast<u32>((timer_.when() - now) / (kBusCycleNs << timer_shift()));
}

void Local_apic::timer_fired(void* apic) { static_cast<Local_apic*>(apic)->timer_fired(); }

void Local_apic::timer_fired()
{
    const u32 entry = lvt_[lvt_timer].load(std::memory_order_relaxed);
    if (entry & kLvtPeriodic) {
        // Skips what was missed, and never runs so fast that the guest would occupy the host with it.
        const u64 period = std::max(timer_ns(timer_initial_count_), kShortestPeriodNs);
        const u64 late   = clock_.now() - timer_.when();
        timer_.start(timer_.when() + (late / period + 1) * period);
    }
    if (!(entry & kLvtMasked))
        set_irq(static_cast<u8>(entry), false);
}

} // namespace vmm
