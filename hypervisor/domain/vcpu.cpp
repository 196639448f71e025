// SPDX-License-Identifier: Apache-2.0
#include "domain/vcpu.hpp"

#include "arch/x86/vendor.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "emul/apic_host.hpp"
#include "event/event_table.hpp"
#include "mm/shared_page.hpp"
#include "sched/scheduler.hpp"

namespace vmm
{
namespace
{

void fire_singleshot(void* context)
{
    auto& vcpu = *static_cast<Vcpu*>(context);
    vcpu.domain().events().raise_virq(vcpu, VIRQ_TIMER);
}

void fire_poll_timeout(void* context)
{
    auto& vcpu = *static_cast<Vcpu*>(context);
    if (vcpu.domain().events().end_poll(vcpu.id()))
        vcpu.wake();
}

} // namespace

Vcpu::Vcpu(Domain& domain, Vcpu_id id, Sched_unit* unit)
    : sched(domain.scheduling(), this), sched_unit(domain.scheduling()), singleshot(fire_singleshot, this),
      poll_timeout(fire_poll_timeout, this), domain_(domain), id_(id), apic_(*this, id, system_clock())
{
    if (id.value() < XEN_LEGACY_MAX_VCPUS)
        info_ = &domain.shared()->vcpu_info[id.value()];
    runstate.start(system_clock().now());
    sched.unit = unit ? unit : &sched_unit;
    scheduler::add(*this);
}

Vcpu::~Vcpu()
{
    retire();
    scheduler::forget(*this);
}

Expected<Unique<Vcpu>> Vcpu::create(Domain& domain, Vcpu_id id, Sched_unit* unit)
{
    auto vcpu      = TRY(make_unique<Vcpu>(domain, id, unit));
    vcpu->backend_ = TRY(create_backend(*vcpu));
    vcpu->publish_time();
    return vcpu;
}

// [xen/include/public/xen.h, vcpu_time_info]
vcpu_time_info Vcpu::time_info()
{
    const Tsc_pace pace = tsc_pace();
    vcpu_time_info time{};
    time.version           = 2;
    time.tsc_timestamp     = pace.tsc;
    time.system_time       = pace.at.value();
    time.tsc_to_system_mul = pace.scale.mul;
    time.tsc_shift         = pace.scale.shift;
    time.flags             = tsc_info().is_clock ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
    return time;
}

// The version is odd while the rest changes. What the guest does to it harms the guest.
void Vcpu::publish_time()
{
    vcpu_info* place = info();
    if (!place)
        return;
    const std::atomic_ref version(place->time.version);
    vcpu_time_info time = time_info();
    time.version        = version.load(std::memory_order_relaxed) | 1;
    version.store(time.version, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    place->time = time;
    version.store(time.version + 1, std::memory_order_release);
}

Expected<void> Vcpu::register_info(Gfn gfn, u32 offset)
{
    if (offset > kPageSize - sizeof(vcpu_info))
        return fail(Errc::enxio);
    const Lock_guard guard(domain_.lock());
    if (info_page_)
        return fail(Errc::einval);
    info_page_  = TRY(Shared_page::hold(domain_.p2m(), gfn));
    auto* place = info_page_.at<vcpu_info>(offset);
    if (const vcpu_info* old = info())
        *place = *old;
    else
        place->evtchn_upcall_mask = 1;
    info_.store(place, std::memory_order_seq_cst);
    publish_time();
    // Whatever was raised while the place changed, perhaps in the old one, is looked for everywhere once.
    place->evtchn_pending_sel = ~0ul;
    std::atomic_ref(place->evtchn_upcall_pending).store(1, std::memory_order_release);
    kick();
    return {};
}

void Vcpu::kick()
{
    if (const u8 vector = upcall_vector.load(std::memory_order_relaxed))
        apic_.set_irq(vector, false);
    else
        wake();
}

void Vcpu::wake() { scheduler::wake(*this); }

bool Vcpu::has_work() const
{
    vcpu_info* place = info();
    const bool event = upcall_vector == 0 && domain_.params().callback_vector != 0 && place &&
                       std::atomic_ref(place->evtchn_upcall_pending).load(std::memory_order_acquire) != 0;
    return event || nmi_pending || start_asked() || apic_.pending_vector() >= 0;
}

void Vcpu::sleep()
{
    // A poll that an upcall or an NMI ended is still noted as one.
    Event_table& events = domain_.events();
    if (events.polls(id_)) [[unlikely]]
        events.end_poll(id_);
    scheduler::block(*this);
}

void Vcpu::set_up(bool up)
{
    if (up_.exchange(up, std::memory_order_acq_rel) != up)
        scheduler::reconsider(*this);
}

void Vcpu::ask_for_init()
{
    initialised = false;
    init_asked_ = true;
    set_up(false);
}

// Without an INIT before it a start-up message does nothing, as the protocol wants; so does a second one. The
// first ends the wait that INIT found the vCPU in; should it be about to wait, it finds the page.
void Vcpu::ask_for_start(u8 page)
{
    if (initialised.exchange(true))
        return;
    start_page_ = page;
    blocked     = false;
    domain_.events().end_poll(id_);
    set_up(true);
}

void Vcpu::start_if_asked()
{
    const s32 page = start_page_.load(std::memory_order_acquire);
    if (page == kNoPage) [[likely]]
        return;
    start_page_ = kNoPage;
    if (init_asked_.exchange(false))
        apic_.reset();
    apic_host::start(*this, static_cast<u8>(page));
}

void Vcpu::stop_timers()
{
    singleshot.stop();
    poll_timeout.stop();
    apic_.stop_timer();
}

void Vcpu::retire()
{
    stop_timers();
    runstate.drop_area();
    if (info_page_) {
        info_      = id_.value() < XEN_LEGACY_MAX_VCPUS ? &domain_.shared()->vcpu_info[id_.value()] : nullptr;
        info_page_ = {};
    }
}

} // namespace vmm
