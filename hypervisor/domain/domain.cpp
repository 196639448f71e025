// SPDX-License-Identifier: Apache-2.0
#include "domain/domain.hpp"

#include "debug/log.hpp"
#include "domain/domain_table.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "event/event_table.hpp"
#include "exit/cpu_policy.hpp"
#include "grant/grant_table.hpp"
#include "mm/fork.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/machine.hpp"
#include "sched/scheduler.hpp"

#include <algorithm>

#include <xen/sched.h>

namespace vmm
{

Domain::Domain(const Domain_identity& identity, Ref<Memory_account> memory, Unique<P2m> p2m)
    : identity_(identity), memory_(std::move(memory)), p2m_(std::move(p2m))
{
}

Domain::~Domain()
{
    for (unsigned i = kMaxVcpus; i-- > 0;) // the first of those that share a core has what they share
        vcpus_[i].reset();
    events_.reset();
    grants_.reset();
    if (shared_mfn_ != kInvalidMfn)
        frames.put(shared_mfn_);
}

Expected<Ref<Domain>> Domain::create(const Domain_identity& identity, unsigned max_event_ports,
                                     unsigned max_grant_frames, unsigned max_maptrack_frames)
{
    Ref<Memory_account> memory(TRY(make_unique<Memory_account>()).release());
    auto p2m    = TRY(P2m::create(identity.id, memory.get()));
    auto domain = TRY(make_unique<Domain>(identity, std::move(memory), std::move(p2m)));
    domain->set_cpu_policy(guest_cpu_policy());
    TRY(domain->make_shared_page());
    domain->events_ = TRY(Event_table::create(*domain, max_event_ports));
    domain->grants_ = TRY(Grant_table::create(*domain, max_grant_frames, max_maptrack_frames));
    TRY(domain->pause_by_control());
    TRY(insert_domain(*domain));
    domain->try_hold(); // one for the table, one for the caller
    return Ref<Domain>(domain.release());
}

Expected<void> Domain::make_shared_page()
{
    shared_mfn_ = TRY(frames.allocate(kOrder4k));
    frames.share(shared_mfn_, id());
    shared_ = to_virtual<shared_info>(shared_mfn_);
    update_wall_clock();
    return {};
}

// [xen/include/public/xen.h, shared_info: wc_version is odd while the rest changes]
void Domain::update_wall_clock()
{
    const u64 ns = wall_clock_at_zero() + static_cast<u64>(time_offset_seconds) * kSecond;
    auto version = std::atomic_ref(shared_->wc_version);
    version.fetch_add(1, std::memory_order_release);
    shared_->wc_sec    = static_cast<u32>(ns / kSecond);
    shared_->wc_sec_hi = static_cast<u32>((ns / kSecond) >> 32);
    shared_->wc_nsec   = static_cast<u32>(ns % kSecond);
    version.fetch_add(1, std::memory_order_release);
}

Expected<void> Domain::set_max_vcpus(unsigned count)
{
    if (count == 0 || count > kMaxVcpus || max_vcpus() != 0)
        return fail(Errc::einval);
    for (unsigned i = 0; i < count; ++i) {
        const unsigned first = i - i % scheduler::vcpus_of_unit();
        auto vcpu = Vcpu::create(*this, Vcpu_id(i), first == i ? nullptr : &vcpus_[first]->sched_unit);
        if (!vcpu) {
            while (i-- > 0)
                vcpus_[i].reset();
            return fail(vcpu.error());
        }
        vcpus_[i] = std::move(*vcpu);
    }
    max_vcpus_.store(count, std::memory_order_release);
    return {};
}

void Domain::rearrange_vcpus()
{
    for (unsigned i = 0; i < max_vcpus(); ++i)
        scheduler::rearrange(*vcpus_[i]);
}

void Domain::pause()
{
    // Not the first one's business alone: who pauses next may go on to wait before the first came to say it.
    pause_count_.fetch_add(1, std::memory_order_acq_rel);
    for (unsigned i = 0; i < max_vcpus(); ++i)
        scheduler::reconsider(*vcpus_[i]);
}

void Domain::unpause()
{
    if (pause_count_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        for (unsigned i = 0; i < max_vcpus(); ++i)
            scheduler::reconsider(*vcpus_[i]);
    }
}

void Domain::wait_until_stopped() const
{
    for (unsigned i = 0; i < max_vcpus(); ++i)
        scheduler::wait_until_stopped(*vcpus_[i]);
}

Expected<void> Domain::pause_by_control()
{
    if (!paused_by_control_) {
        paused_by_control_ = true;
        pause();
        wait_until_stopped();
    }
    return {};
}

Expected<void> Domain::unpause_by_control()
{
    if (dying_ != Dying::no)
        return fail(Errc::einval);
    has_run_ = true;
    if (paused_by_control_) {
        paused_by_control_ = false;
        unpause();
    }
    return {};
}

void Domain::shut_down(u8 reason)
{
    if (is_control())
        dom0_has_shut_down(reason);
    if (u32 none = kNotShutDown; !shutdown_reason_.compare_exchange_strong(none, reason))
        return;
    pause();
    raise_for_dom0(VIRQ_DOM_EXC);
}

void Domain::crash(const char* why)
{
    if (!is_shut_down())
        log::error("d{}: crashed: {}", id(), why);
    shut_down(SHUTDOWN_crash);
}

void Domain::resume_after_suspend()
{
    if (shutdown_reason_.exchange(kNotShutDown) != kNotShutDown)
        unpause();
}

Expected<void> Domain::kill()
{
    if (is_control())
        return fail(Errc::eperm);
    if (dying_ == Dying::dead)
        return fail(Errc::esrch);
    if (dying_ == Dying::no) {
        {
            const Lock_guard guard(lock_); // nothing is placed in its memory from now on
            dying_ = Dying::tearing_down;
        }
        pause();
        wait_until_stopped();
        watchdogs_.stop_all();
        for (unsigned i = 0; i < max_vcpus(); ++i)
            vcpus_[i]->stop_timers();
    }
    end_fork(*this);
    TRY(events_->close_all());
    for (unsigned i = 0; i < max_vcpus(); ++i)
        vcpus_[i]->retire();
    TRY(grants_->release_mappings());
    TRY(p2m_->destroy_some());
    TRY(claim_frames(0));
    dying_ = Dying::dead;
    remove_domain(*this);
    raise_for_dom0(VIRQ_DOM_EXC);
    drop();
    return {};
}

Expected<void> Domain::account(u64 add)
{
    TRY(memory_->add(add)); // by who holds the lock
    const u64 from_claim = std::min<u64>(add, claimed_frames_);
    claimed_frames_ -= from_claim;
    frames.withdraw_promise(from_claim);
    return {};
}

// The claim says how much the domain will have in all; what it has already is not promised again.
// [xen/include/public/memory.h, XENMEM_claim_pages]
Expected<void> Domain::claim_frames(u64 total)
{
    const Lock_guard guard(lock_);
    frames.withdraw_promise(claimed_frames_);
    claimed_frames_ = 0;
    if (total == 0)
        return {};
    if (total > max_frames())
        return fail(Errc::einval);
    if (total <= owned_frames())
        return fail(Errc::einval);
    const u64 missing = total - owned_frames();
    TRY(frames.promise(missing));
    claimed_frames_ = missing;
    return {};
}

u64 Domain::take_claim()
{
    const Lock_guard guard(lock_);
    const u64 claimed = claimed_frames_;
    claimed_frames_   = 0;
    return claimed;
}

void raise_for_dom0(u32 virq)
{
    if (const auto dom0 = find_domain(kDom0))
        dom0->events().raise_global_virq(virq);
}

} // namespace vmm
