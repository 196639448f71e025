// SPDX-License-Identifier: Apache-2.0
//
// A virtual CPU: guest registers, vendor backend, virtual local APIC, shared vcpu_info, timers, run state.
// Owned by its Domain. Fields are touched only by the CPU that runs it or while it does not run, except
// what is marked "any CPU".
#pragma once

#include "base/unique.hpp"
#include "domain/registers.hpp"
#include "domain/runstate.hpp"
#include "domain/vcpu_backend.hpp"
#include "emul/local_apic.hpp"
#include "exit/guest_translation.hpp"
#include "exit/mtrr.hpp"
#include "sched/core_policy.hpp"
#include "sched/timer.hpp"

#include <atomic>
#include <optional>

#include <xen/vcpu.h>
#include <xen/xen.h>

namespace vmm
{

class Domain;

class Vcpu
{
  public:
    // `unit`: that of the vCPU that it shares cores with, which lives longer; nullptr: its own.
    static Expected<Unique<Vcpu>> create(Domain& domain, Vcpu_id id, Sched_unit* unit);
    ~Vcpu();

    [[nodiscard]] Domain& domain() const { return domain_; }
    [[nodiscard]] Vcpu_id id() const { return id_; }
    [[nodiscard]] Vcpu_backend& backend() const { return *backend_; }
    [[nodiscard]] Local_apic& apic() { return apic_; }

    // Where the guest's vcpu_info is: inside shared_info until it registers its own place. Never null for
    // ids below XEN_LEGACY_MAX_VCPUS; for others null until registered.
    [[nodiscard]] vcpu_info* info() const { return info_.load(std::memory_order_acquire); }
    Expected<void> register_info(Gfn gfn, u32 offset);

    // An event became pending for this vCPU (evtchn_upcall_pending is set): it must notice. Any CPU.
    void kick();
    // HLT or SCHEDOP_block: off the CPU until something wakes it, which nothing does that a poll before
    // waited for. The caller looks for work before, which is cheap, and again afterwards, since it may have
    // come in between; then it calls wake().
    void sleep();
    [[nodiscard]] bool has_work() const;

    // Something is pending for it, whatever: it looks, also when it is blocked or runs on another CPU. Any
    // CPU.
    void wake();

    // It waits for an event.
    std::atomic<bool> blocked{false};

    // Online: started by the toolstack (vCPU 0) or by INIT/SIPI; down vCPUs are not scheduled. Any CPU.
    [[nodiscard]] bool is_up() const { return up_.load(std::memory_order_acquire); }
    void set_up(bool up);
    // INIT, and a start-up message to the page of that number: what they change of it is done by the CPU that
    // runs it next.
    void ask_for_init();
    void ask_for_start(u8 page);
    void start_if_asked();
    [[nodiscard]] bool start_asked() const { return start_page_ != kNoPage; }

    // What the guest needs to turn its TSC into system time on this CPU, and putting it where the guest
    // looks: done by the CPU that runs it, or while none does.
    static vcpu_time_info time_info();
    void publish_time();

    // The domain dies: its timers raise nothing any more.
    void stop_timers();
    // Gives back what this vCPU holds outside itself. Nobody sends it events any more.
    void retire();

    // No vCPU before or after has the same.
    const u64 serial = last_serial_.fetch_add(1, std::memory_order_relaxed) + 1;

    Guest_registers regs{};
    Sched_entity sched;
    Sched_unit sched_unit; // where cores are scheduled, of the first vCPU of several
    Runstate runstate;
    Timer singleshot;   // VCPUOP_set_singleshot_timer -> VIRQ_TIMER
    Timer poll_timeout; // ends SCHEDOP_poll
    static constexpr s32 kNowhere = -1;
    std::atomic<s32> running_on{kNowhere};      // the CPU that it has; the scheduler's
    std::optional<Cpu_set> affinity_before_pin; // SCHEDOP_pin_override
    u64 seen_p2m_generation = 0;
    u32 yielded_to          = 0;          // the last one that it spun for
    std::atomic<bool> initialised{false}; // has a start state
    std::atomic<bool> spins{false};       // it left the CPU because it waits for another of its domain
    std::atomic<bool> nmi_pending{false};
    int offered_vector = -1;          // the APIC's, injected at this entry
    std::atomic<u8> upcall_vector{0}; // HVMOP_set_evtchn_upcall_vector: upcalls come through the APIC instead
    u32 tsc_aux = 0;
    u64 xcr0    = 1;
    Mtrr mtrr;
    Guest_translation translation;

    Vcpu(Domain& domain, Vcpu_id id, Sched_unit* unit);

  private:
    static inline constinit std::atomic<u64> last_serial_{0};
    Domain& domain_;
    Vcpu_id id_;
    Unique<Vcpu_backend> backend_;
    Local_apic apic_;
    std::atomic<vcpu_info*> info_{nullptr};
    Shared_page info_page_; // once registered
    std::atomic<bool> up_{false};
    static constexpr s32 kNoPage = -1;
    std::atomic<bool> init_asked_{false};
    std::atomic<s32> start_page_{kNoPage};
};

} // namespace vmm
