// SPDX-License-Identifier: Apache-2.0
//
// A domain: a virtual machine with its vCPUs, its guest-physical memory, its event channels and its
// grants, all of which it owns. It is created paused and empty by DOMCTL_createdomain (or by the dom0
// builder) and dies in two steps: kill() makes it unable to run and starts giving everything back in
// bounded pieces; when the last hold (Ref) goes, the object goes. Its id can be used again from then on.
//
// Locks: `lock()` (Lock_rank::domain) covers what memory it has at which address (mm/reservation.hpp), its
// claim, watchdogs and places of vcpu_info. Lifecycle is changed by the control domain's calls, one of which
// runs at a time (hypercall/control_lock.hpp), or is atomic. The tables it owns have locks of their own. The
// vCPU array is fixed once set by max_vcpus.
#pragma once

#include "base/bits.hpp"
#include "base/ref.hpp"
#include "base/relaxed.hpp"
#include "base/spinlock.hpp"
#include "base/unique.hpp"
#include "domain/watchdog.hpp"
#include "exit/cpu_policy.hpp"
#include "mm/guest_memory_map.hpp"
#include "mm/p2m.hpp"
#include "sched/policy.hpp"

#include <array>
#include <atomic>

#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/xen.h>

namespace vmm
{

class Domain_devices;
class Event_table;
class Grant_table;
class Vcpu;

inline constexpr unsigned kMaxVcpus = 64;

inline constexpr Domid kDom0{0};
inline constexpr Domid kDomidSelf{DOMID_SELF};
inline constexpr Domid kDomidFirstReserved{DOMID_FIRST_RESERVED};

enum class Dying : u8 { no, tearing_down, dead };

// Who a domain is, given once at creation.
struct Domain_identity {
    Domid id;
    bool control;              // may use domctl, sysctl, platform_op and act for other domains (dom0)
    bool identity_mapped;      // gfn = mfn for its RAM, real devices (dom0)
    std::array<u8, 16> handle; // the UUID the toolstack gave
};

// Where an operation on the log of writes has got to (hypercall/dirty_log_op): the control domain's call.
struct Log_walk {
    u32 op    = 0; // which, or 0
    u64 next  = 0; // frame
    u32 dirty = 0; // frames so far
};

// How far the memory of a domain that is being forked from another has come (mm/fork.hpp).
struct Fork_walk {
    Ref<Domain> parent; // while it lasts, paused; only one operation at a time looks
    u64 next      = 0;  // frame
    u64 promised  = 0;  // frames, for the copies of what is not in common yet
    Copies copies = Copies::not_promised;
};

// The HVM parameters: numbered 64-bit values that the toolstack and the guest leave for each other (store and
// console page and port), plus the callback vector. [xen/include/public/hvm/params.h]
struct Hvm_params {
    Hvm_params() { value[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot; } // as a PC would

    std::array<u64, HVM_NR_PARAMS> value{};
    // Vector by which "an event is pending" is delivered to every vCPU; 0 while none is set.
    Relaxed<u8> callback_vector;
};

class Domain : public Counted<Domain>
{
  public:
    static Expected<Ref<Domain>> create(const Domain_identity& identity, unsigned max_event_ports,
                                        unsigned max_grant_frames, unsigned max_maptrack_frames);
    ~Domain();

    [[nodiscard]] Domid id() const { return identity_.id; }
    [[nodiscard]] bool is_control() const { return identity_.control; }
    [[nodiscard]] bool is_identity_mapped() const { return identity_.identity_mapped; }
    [[nodiscard]] const std::array<u8, 16>& handle() const { return identity_.handle; }
    void set_handle(const std::array<u8, 16>& handle) { identity_.handle = handle; }

    [[nodiscard]] Spinlock& lock() { return lock_; }
    [[nodiscard]] P2m& p2m() { return *p2m_; }
    [[nodiscard]] Event_table& events() { return *events_; }
    [[nodiscard]] Grant_table& grants() { return *grants_; }
    [[nodiscard]] Hvm_params& params() { return params_; }
    [[nodiscard]] Watchdogs& watchdogs() { return watchdogs_; }
    // The emulated machine around the vCPUs (IO-APIC, PCI configuration, RTC): only dom0 has one.
    [[nodiscard]] Domain_devices* devices() { return devices_; }
    void set_devices(Domain_devices* devices) { devices_ = devices; }

    // vCPUs: set once, when others know the domain already; nullptr for an id that does not exist.
    Expected<void> set_max_vcpus(unsigned count);
    [[nodiscard]] unsigned max_vcpus() const { return max_vcpus_.load(std::memory_order_acquire); }
    // What DOMCTL_createdomain announced; DOMCTL_max_vcpus must say the same.
    [[nodiscard]] unsigned configured_vcpus() const { return configured_vcpus_; }
    void set_configured_vcpus(unsigned count) { configured_vcpus_ = count; }
    // What its vCPUs have in common to the scheduler; rearrange_vcpus() after a change.
    [[nodiscard]] Sched_group& scheduling() { return scheduling_; }
    void rearrange_vcpus();
    [[nodiscard]] Vcpu* vcpu(u64 id) const
    {
        const unsigned count = max_vcpus();
        return id < count ? vcpus_[clip_index(id, count)].get() : nullptr;
    }

    // What CPUID tells the vCPUs. May change until the domain has run.
    [[nodiscard]] const Cpu_policy& cpu_policy() const { return cpu_policy_; }
    void set_cpu_policy(const Cpu_policy& policy) { cpu_policy_ = policy; }
    // The toolstack has finished building it: it was unpaused once.
    [[nodiscard]] bool has_run() const { return has_run_; }

    // True the first time.
    bool note_32bit_call() { return !called_from_32bit_.exchange(true, std::memory_order_relaxed); }

    // The shared page, always there (hypervisor memory of the domain); mapped where the guest asks.
    [[nodiscard]] shared_info* shared() const { return shared_; }
    [[nodiscard]] Mfn shared_mfn() const { return shared_mfn_; }

    // Pause counts nest: a domain runs only while nobody pauses it.
    void pause();
    void unpause();
    // After pause(), by another domain's vCPU, with no lock of the domain's: returns when none of the vCPUs
    // runs.
    void wait_until_stopped() const;
    // The toolstack's pause (DOMCTL_pausedomain) is one bit of that count, set at creation.
    Expected<void> pause_by_control();
    Expected<void> unpause_by_control();
    [[nodiscard]] bool paused_by_control() const { return paused_by_control_; }
    [[nodiscard]] bool runnable() const { return pause_count_.load(std::memory_order_relaxed) == 0; }

    // SHUTDOWN_*: the guest asked to stop (SCHEDOP_shutdown) or misbehaved (crash). The control domain is
    // told by VIRQ_DOM_EXC; the domain stays, paused, until the toolstack decides.
    void shut_down(u8 reason);
    void crash(const char* why);
    void resume_after_suspend();
    [[nodiscard]] bool is_shut_down() const { return shutdown_reason_ != kNotShutDown; }
    // All ones if it is not.
    [[nodiscard]] u8 shutdown_reason() const { return static_cast<u8>(shutdown_reason_); }

    // DOMCTL_destroydomain: erestart while there is more to give back. When it succeeds, the domain has left
    // the domain table.
    Expected<void> kill();
    [[nodiscard]] Dying dying() const { return dying_; }

    // Memory accounting, in 4 KiB frames.
    Expected<void> account(u64 add); // enomem when over max_frames
    [[nodiscard]] Memory_account& memory() { return *memory_; }
    [[nodiscard]] u64 owned_frames() const { return memory_->owned(); }
    [[nodiscard]] u64 max_frames() const { return memory_->limit(); }
    void set_max_frames(u64 frames) { memory_->set_limit(frames); }
    // Frames promised by XENMEM_claim_pages and not yet taken.
    [[nodiscard]] u64 claimed_frames() const { return claimed_frames_; }
    Expected<void> claim_frames(u64 frames);

    // The claim is the caller's.
    [[nodiscard]] u64 take_claim();

    Fork_walk fork_walk;
    Log_walk log_walk;
    Guest_memory_map memory_map; // what XENMEM_memory_map tells the guest
    s64 time_offset_seconds = 0; // DOMCTL_settimeoffset; wall clock = system wall clock + this
    // Writes the wall clock into shared_info.
    void update_wall_clock();

    Domain* next_in_table = nullptr; // belongs to the domain table

    Domain(const Domain_identity& identity, Ref<Memory_account> memory, Unique<P2m> p2m);

  private:
    Expected<void> make_shared_page();

    Domain_identity identity_;
    Spinlock lock_{Lock_rank::domain};
    std::atomic<u32> pause_count_{0};
    bool paused_by_control_ = false;
    std::atomic<bool> has_run_{false};
    std::atomic<bool> called_from_32bit_{false};
    static constexpr u32 kNotShutDown = ~0u;
    std::atomic<u32> shutdown_reason_{kNotShutDown};
    std::atomic<Dying> dying_{Dying::no};
    std::atomic<unsigned> max_vcpus_{0}; // of vcpus_, all of which are there first
    unsigned configured_vcpus_ = 0;
    Relaxed<u64> claimed_frames_;
    Ref<Memory_account> memory_;
    Cpu_policy cpu_policy_;
    Unique<P2m> p2m_;
    Unique<Event_table> events_;
    Unique<Grant_table> grants_;
    Domain_devices* devices_ = nullptr;
    Hvm_params params_;
    Sched_group scheduling_;
    Watchdogs watchdogs_{*this};
    shared_info* shared_ = nullptr;
    Mfn shared_mfn_      = kInvalidMfn;
    std::array<Unique<Vcpu>, kMaxVcpus> vcpus_;
};

// None of the domain's vCPUs runs while this lives: what each has is in its place, to be read and written.
// Created by another domain's vCPU, with no lock of that domain's.
class [[nodiscard]] Stopped
{
  public:
    explicit Stopped(Domain& domain) : domain_(domain)
    {
        domain_.pause();
        domain_.wait_until_stopped();
    }
    ~Stopped() { domain_.unpause(); }
    Stopped(const Stopped&)            = delete;
    Stopped& operator=(const Stopped&) = delete;

  private:
    Domain& domain_;
};

// An event of the hypervisor's for the control domain, as long as there is one.
void raise_for_dom0(u32 virq);

} // namespace vmm
