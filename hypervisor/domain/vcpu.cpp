// SPDX-License-Identifier: Apache-2.0
#include "domain/vcpu.hpp"

#include "arch/x86/vendor.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "event/event_table.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
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
    vcpu.polling.store(false, std::memory_order_relaxed);
    vcpu.wake();
}

} // namespace

Vcpu::Vcpu(Domain& domain, Vcpu_id id)
    : sched(domain.scheduling(), this), singleshot(fire_singleshot, this),
      poll_timeout(fire_poll_timeout, this), domain_(domain), id_(id), apic_(*this, id, system_clock())
{
    if (id.value() < XEN_LEGACY_MAX_VCPUS)
        info_ = &domain.shared()->vcpu_info[id.value()];
    runstate.start(system_clock().now());
    scheduler::add(*this);
}

Vcpu::~Vcpu()
{
    retire();
    scheduler::forget(*this);
}

Expected<Unique<Vcpu>> Vcpu::create(Domain& domain, Vcpu_id id)
{
    auto vcpu      = TRY(make_unique<Vcpu>(domain, id));
    vcpu->backend_ = TRY(create_backend(*vcpu));
    vcpu->publish_time();
    return vcpu;
}

// The guest's view of the clock does not change once written: the TSC is the machine's and its rate is
// constant. [xen/include/public/xen.h, vcpu_time_info]
vcpu_time_info Vcpu::time_info()
{
    const auto& tsc = tsc_info();
    vcpu_time_info time{};
    time.version           = 2;
    time.tsc_timestamp     = tsc.tsc_at_zero;
    time.system_time       = 0;
    time.tsc_to_system_mul = tsc.scale.mul;
    time.tsc_shift         = tsc.scale.shift;
    time.flags             = XEN_PVCLOCK_TSC_STABLE_BIT;
    return time;
}

void Vcpu::publish_time()
{
    if (info_)
        info_->time = time_info();
}

Expected<void> Vcpu::register_info(Gfn gfn, u32 offset)
{
    if (offset > kPageSize - sizeof(vcpu_info))
        return fail(Errc::enxio);
    if (info_mfn_ != kInvalidMfn)
        return fail(Errc::einval);
    const auto entry = domain_.p2m().lookup(gfn);
    if (entry.type != P2m_type::ram)
        return fail(Errc::einval);
    if (!frames.get_from(entry.mfn, domain_.id()))
        return fail(Errc::einval);
    frames.mark_written(entry.mfn);
    auto* place = reinterpret_cast<vcpu_info*>(to_virtual<std::byte>(entry.mfn) + offset);
    if (info_)
        *place = *info_;
    else
        place->evtchn_upcall_mask = 1;
    info_mfn_ = entry.mfn;
    info_     = place;
    publish_time();
    // Whatever was raised while the place changed is looked for everywhere once.
    place->evtchn_pending_sel = ~0ul;
    std::atomic_ref(place->evtchn_upcall_pending).store(1, std::memory_order_release);
    kick();
    return {};
}

void Vcpu::kick()
{
    if (upcall_vector != 0)
        apic_.set_irq(upcall_vector, false);
    else
        wake();
}

void Vcpu::wake() { scheduler::wake(*this); }

bool Vcpu::has_work() const
{
    const bool event = upcall_vector == 0 && domain_.params().callback_vector != 0 && info_ &&
                       std::atomic_ref(info_->evtchn_upcall_pending).load(std::memory_order_acquire) != 0;
    return event || nmi_pending || apic_.pending_vector() >= 0;
}

void Vcpu::sleep() { scheduler::block(*this); }

void Vcpu::set_up(bool up)
{
    if (up_ == up)
        return;
    up_ = up;
    scheduler::reconsider(*this);
}

void Vcpu::retire()
{
    singleshot.stop();
    poll_timeout.stop();
    runstate.drop_area();
    if (info_mfn_ != kInvalidMfn) {
        info_ = id_.value() < XEN_LEGACY_MAX_VCPUS ? &domain_.shared()->vcpu_info[id_.value()] : nullptr;
        frames.put(std::exchange(info_mfn_, kInvalidMfn));
    }
}

} // namespace vmm
