// SPDX-License-Identifier: Apache-2.0
#include "event/two_level.hpp"

#include "base/bits.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"

namespace vmm
{

namespace
{

constexpr unsigned kWordBits = 64;

// Guests clear and mask at any moment: every access to a shared word is one atomic operation.
std::atomic_ref<xen_ulong_t> word_of(xen_ulong_t* words, Evtchn_port port)
{
    return std::atomic_ref(words[port.value() / kWordBits]);
}

constexpr u64 mask_of(Evtchn_port port) { return bit(port.value() % kWordBits); }

} // namespace

void mark_upcall(Vcpu& vcpu)
{
    vcpu_info* info = vcpu.info();
    if (info && std::atomic_ref(info->evtchn_upcall_pending).exchange(1) == 0)
        vcpu.kick();
}

void Two_level_ops::select(Evtchn_port port, Vcpu& vcpu)
{
    // Without a vcpu_info yet, nothing is lost: everything is marked when one is registered.
    vcpu_info* info = vcpu.info();
    if (!info)
        return;
    const u64 selector = bit(port.value() / kWordBits);
    if (!(std::atomic_ref(info->evtchn_pending_sel).fetch_or(selector) & selector))
        mark_upcall(vcpu);
}

bool Two_level_ops::set_pending(Evtchn_port port, Channel&, Vcpu& vcpu)
{
    shared_info* shared = domain_.shared();
    const u64 mask      = mask_of(port);
    if (word_of(shared->evtchn_pending, port).fetch_or(mask) & mask)
        return false;
    if (!(word_of(shared->evtchn_mask, port).load() & mask))
        select(port, vcpu);
    return true;
}

void Two_level_ops::clear_pending(Evtchn_port port, Channel&)
{
    word_of(domain_.shared()->evtchn_pending, port).fetch_and(~mask_of(port));
}

void Two_level_ops::unmask(Evtchn_port port, Channel&, Vcpu& vcpu)
{
    shared_info* shared = domain_.shared();
    const u64 mask      = mask_of(port);
    if (!(word_of(shared->evtchn_mask, port).fetch_and(~mask) & mask))
        return;
    if (word_of(shared->evtchn_pending, port).load() & mask)
        select(port, vcpu);
}

bool Two_level_ops::is_pending(Evtchn_port port, const Channel&) const
{
    return word_of(domain_.shared()->evtchn_pending, port).load() & mask_of(port);
}

bool Two_level_ops::is_busy(Evtchn_port) const { return false; }

} // namespace vmm
