// SPDX-License-Identifier: Apache-2.0
//
// The event channels of one domain: which port is bound to what, and the raising of events. Owned by its
// Domain and as old as it. Every EVTCHNOP [xen/include/public/event_channel.h] is a method on the table of
// the domain whose ports it changes; errors are Xen's. Who may act for another domain is decided here,
// where the order of refusals is part of the ABI.
//
// Locks: lock_ (Lock_rank::event) guards the channels. Two tables are locked in the order of their
// addresses; whoever holds the lock of one end of an interdomain channel may rely on the other end, which
// is only taken apart under both. delivery_ (Lock_rank::delivery) guards how events reach the guest, and is
// all a sender takes of the receiver.
#pragma once

#include "base/spinlock.hpp"
#include "base/unique.hpp"
#include "domain/domain.hpp"
#include "event/channel.hpp"
#include "event/fifo.hpp"
#include "event/two_level.hpp"

namespace vmm
{

class Vcpu;

class Event_table
{
  public:
    // `max_ports`: how many ports the domain may use, port 0 included.
    static Expected<Unique<Event_table>> create(Domain& domain, u32 max_ports);

    // Binding. `caller` is the domain that makes the hypercall.
    Expected<Evtchn_port> alloc_unbound(const Domain& caller, Domid remote);
    Expected<Evtchn_port> bind_interdomain(Domain& remote, Evtchn_port remote_port);
    Expected<Evtchn_port> bind_virq(u32 virq, u32 vcpu);
    Expected<Evtchn_port> bind_ipi(u32 vcpu);
    Expected<void> bind_vcpu(Evtchn_port port, u32 vcpu);
    // Erestart when the other end moved meanwhile.
    Expected<void> close(Evtchn_port port);
    Expected<evtchn_status> status(const Domain& caller, Evtchn_port port);

    // Delivery.
    Expected<void> send(Evtchn_port port);
    Expected<void> unmask(Evtchn_port port);
    Expected<bool> is_pending(Evtchn_port port);
    // SCHEDOP_poll: that vCPU waits for a port that may be masked. Any event of the domain ends the wait of
    // all who do, and each looks for itself. Any CPU.
    void begin_poll(Vcpu_id vcpu) { pollers_.fetch_or(bit_of(vcpu)); }
    // Whether nothing had ended it before.
    bool end_poll(Vcpu_id vcpu) { return pollers_.fetch_and(~bit_of(vcpu)) & bit_of(vcpu); }
    [[nodiscard]] bool polls(Vcpu_id vcpu) const { return pollers_.load() & bit_of(vcpu); }
    // Hypervisor events: nothing happens when the guest did not bind them.
    void raise_virq(Vcpu& vcpu, u32 virq);
    void raise_global_virq(u32 virq);

    // FIFO form.
    Expected<void> init_control(u32 vcpu, Gfn control, u32 offset);
    Expected<void> expand_array(Gfn page);
    Expected<void> set_priority(Evtchn_port port, u32 priority);

    // EVTCHNOP_reset: closes everything and returns to the two-level form. Erestart while there is more.
    Expected<void> reset();
    // For a domain that dies: the same, and no port can be bound any more.
    Expected<void> close_all();

    Event_table(Domain& domain, u32 max_ports) : domain_(domain), max_ports_(max_ports), bits_(domain) {}

  private:
    static constexpr u32 kMaxBuckets = EVTCHN_FIFO_NR_CHANNELS / kChannelsPerBucket;
    using Virq_ports                 = std::array<u32, NR_VIRQS>; // 0: not bound
    static_assert(kMaxVcpus <= 64, "pollers_ has a bit for each");
    static constexpr u64 bit_of(Vcpu_id vcpu) { return 1ULL << vcpu.value(); }

    [[nodiscard]] Channel* find(Evtchn_port port) const;
    Expected<Evtchn_port> free_port();
    Channel& open(Evtchn_port port, Channel::State state, u32 vcpu);
    Expected<Virq_ports*> virq_ports(u32 vcpu);
    void raise(u32 vcpu, u32 virq);

    Ref<Domain> peer_of(Evtchn_port port);
    void close_locked(Evtchn_port port, Channel& channel);
    Expected<void> close_everything();

    void deliver(Evtchn_port port, Channel& channel);
    void deliver_inline(Evtchn_port port, Channel& channel);
    void wake_pollers();
    void adopt_pending_bits();

    Domain& domain_;
    Spinlock lock_{Lock_rank::event};
    u32 max_ports_;
    std::atomic<u32> known_ports_{0}; // those that have a bucket; senders of other domains look too
    u32 open_ports_   = 0;
    u32 lowest_free_  = 1; // no port below is free
    u32 close_cursor_ = 1;
    std::atomic<u64> pollers_{0};
    bool closed_ = false; // the domain dies: nothing is bound any more

    Spinlock delivery_{Lock_rank::delivery};
    Two_level_ops bits_;
    Unique<Fifo_ops> fifo_;
    Port_ops* ops_ = &bits_; // changes only under both locks

    std::array<Unique<Virq_ports>, kMaxVcpus> virqs_;
    std::array<Unique<Channel_bucket>, kMaxBuckets> buckets_;
};

} // namespace vmm
