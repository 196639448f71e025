// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include "debug/log.hpp"
#include "exit/guest_memory.hpp"
#include "mm/fork.hpp"
#include "mm/reservation.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

namespace vmm
{

namespace
{

std::mutex kick_lock; // domains come and go on several threads
std::unordered_map<const Vcpu*, unsigned> kick_counts;

void count_kick(const Vcpu& vcpu)
{
    const std::lock_guard guard(kick_lock);
    ++kick_counts[&vcpu];
}

class Stopped_clock final : public Clock
{
    [[nodiscard]] Time now() const override { return Time(0); }
};
const Stopped_clock stopped_clock;

} // namespace

// The parts of a domain that these rooms do not need do nothing.
Domain::Domain(const Domain_identity& identity, Ref<Memory_account> memory, Unique<P2m> p2m)
    : identity_(identity), memory_(std::move(memory)), p2m_(std::move(p2m))
{
}

Domain::~Domain()
{
    for (auto& vcpu : vcpus_)
        vcpu.reset();
    events_.reset();
    grants_.reset();
    frames.release(shared_mfn_, kOrder4k, nullptr);
}

Expected<Ref<Domain>> Domain::create(const Domain_identity& identity, unsigned max_event_ports,
                                     unsigned max_grant_frames, unsigned max_maptrack_frames)
{
    Ref<Memory_account> memory(TRY(make_unique<Memory_account>()).release());
    auto p2m            = TRY(P2m::create(identity.id, memory.get()));
    auto domain         = TRY(make_unique<Domain>(identity, std::move(memory), std::move(p2m)));
    domain->shared_mfn_ = TRY(frames.allocate(kOrder4k));
    frames.share(domain->shared_mfn_, identity.id);
    domain->shared_ = to_virtual<shared_info>(domain->shared_mfn_);
    domain->events_ = TRY(Event_table::create(*domain, max_event_ports));
    domain->grants_ = TRY(Grant_table::create(*domain, max_grant_frames, max_maptrack_frames));
    TRY(insert_domain(*domain));
    domain->try_hold(); // one for the table, one for the caller
    return Ref<Domain>(domain.release());
}

Expected<void> Domain::set_max_vcpus(unsigned count)
{
    for (unsigned i = 0; i < count; ++i)
        vcpus_[i] = TRY(make_unique<Vcpu>(*this, Vcpu_id(i), nullptr));
    max_vcpus_ = count;
    return {};
}

Expected<void> Domain::kill()
{
    {
        const Lock_guard guard(lock_);
        dying_ = Dying::tearing_down;
    }
    end_fork(*this);
    TRY(events_->close_all());
    TRY(grants_->release_mappings());
    TRY(p2m_->destroy_some());
    remove_domain(*this);
    drop(); // the table's
    return {};
}

Expected<void> Domain::account(u64 add) { return memory_->add(add); }

void Domain::pause() { ++pause_count_; }
void Domain::unpause() { --pause_count_; }
void Domain::wait_until_stopped() const {}

Expected<void> Domain::claim_frames(u64 total)
{
    frames.withdraw_promise(claimed_frames_);
    claimed_frames_ = 0;
    if (total == 0)
        return {};
    TRY(frames.promise(total));
    claimed_frames_ = total;
    return {};
}
u64 Domain::take_claim()
{
    const u64 claimed = claimed_frames_;
    claimed_frames_   = 0;
    return claimed;
}

Expected<void> Domain::pause_by_control()
{
    paused_by_control_ = true;
    return {};
}

Local_apic::Local_apic(Vcpu& vcpu, Vcpu_id, const Clock& clock)
    : vcpu_(vcpu), base_(0), id_(0), spurious_(0), clock_(clock), timer_([](void*) {}, nullptr)
{
}

void Timer::stop() {}
void Watchdogs::Slot::fired(void*) {}
const Clock& system_clock() { return stopped_clock; }

Vcpu::Vcpu(Domain& domain, Vcpu_id id, Sched_unit*)
    : sched(domain.scheduling(), this), sched_unit(domain.scheduling()), singleshot([](void*) {}, nullptr),
      poll_timeout([](void*) {}, nullptr), domain_(domain), id_(id), apic_(*this, id, stopped_clock),
      info_(&domain.shared()->vcpu_info[id.value()])
{
}

Vcpu::~Vcpu()
{
    const std::lock_guard guard(kick_lock);
    kick_counts.erase(this);
}

void Vcpu::kick() { count_kick(*this); }
void Vcpu::wake() { count_kick(*this); }

Expected<void> copy_from_guest(Vcpu& vcpu, void* to, Gva from, u64 bytes)
{
    for (u64 done = 0; done < bytes;) {
        const u64 gpa   = from.value() + done;
        const u64 piece = std::min(bytes - done, kPageSize - (gpa & kPageMask));
        const u8* page  = test::guest<u8>(vcpu.domain(), gpa);
        if (!page)
            return fail(Errc::efault);
        std::memcpy(static_cast<u8*>(to) + done, page, piece);
        done += piece;
    }
    return {};
}

Expected<void> copy_to_guest(Vcpu& vcpu, Gva to, const void* from, u64 bytes)
{
    for (u64 done = 0; done < bytes;) {
        const u64 gpa   = to.value() + done;
        const u64 piece = std::min(bytes - done, kPageSize - (gpa & kPageMask));
        u8* page        = test::guest<u8>(vcpu.domain(), gpa);
        if (!page)
            return fail(Errc::efault);
        std::memcpy(page, static_cast<const u8*>(from) + done, piece);
        done += piece;
    }
    return {};
}

namespace log
{
void write_guest(Level, std::string_view, std::span<const Format_arg>) {}
} // namespace log

namespace test
{

unsigned kicks(Vcpu& vcpu)
{
    const std::lock_guard guard(kick_lock);
    return std::exchange(kick_counts[&vcpu], 0);
}

Domain& World::make(u16 id, bool control, const Limits& limits)
{
    const Domain_identity identity{Domid(id), control, false, {}};
    auto created = Domain::create(identity, limits.event_ports, limits.grant_frames, limits.maptrack_frames);
    if (!created || !(*created)->set_max_vcpus(limits.vcpus))
        throw std::runtime_error("no domain");
    for (u64 page = 0; page < limits.pages; ++page) {
        if (!populate(**created, Gfn(page), kOrder4k))
            throw std::runtime_error("no memory");
    }
    domains_.push_back(std::move(*created));
    return *domains_.back();
}

void World::destroy(Domain& domain)
{
    while (!domain.kill()) {
    }
    std::erase_if(domains_, [&](const Ref<Domain>& held) { return held.get() == &domain; });
}

World::~World()
{
    while (!domains_.empty())
        destroy(*domains_.back());
}

} // namespace test
} // namespace vmm
