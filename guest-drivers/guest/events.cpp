// SPDX-License-Identifier: Apache-2.0
#include "guest/events.hpp"

#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"

#include <atomic>

namespace vmm::guest::events
{

namespace
{

constexpr u32 kPorts = 4096;

Handler handlers[kPorts];

std::atomic_ref<xen_ulong_t> word(xen_ulong_t (&words)[64], evtchn_port_t port)
{
    return std::atomic_ref(words[port / 64]);
}
constexpr u64 mask_of(evtchn_port_t port) { return 1ull << port % 64; }

void run_word(u64 selector)
{
    const u64 ready = std::atomic_ref(shared().evtchn_pending[selector]).load() &
                      ~std::atomic_ref(shared().evtchn_mask[selector]).load();
    for (u64 left = ready; left != 0; left &= left - 1) {
        const auto port = static_cast<evtchn_port_t>(selector * 64 + static_cast<u64>(__builtin_ctzll(left)));
        clear(port);
        if (handlers[port])
            handlers[port](port);
    }
}

void upcall(Interrupt_frame&)
{
    vcpu_info& info = my_vcpu_info();
    while (std::atomic_ref(info.evtchn_upcall_pending).exchange(0) != 0) {
        u64 selectors = std::atomic_ref(info.evtchn_pending_sel).exchange(0);
        for (; selectors != 0; selectors &= selectors - 1)
            run_word(static_cast<u64>(__builtin_ctzll(selectors)));
    }
}

} // namespace

s64 alloc_unbound_for(domid_t domain, domid_t remote)
{
    evtchn_alloc_unbound op{.dom = domain, .remote_dom = remote, .port = 0};
    const s64 rc = event_op(EVTCHNOP_alloc_unbound, &op);
    return rc < 0 ? rc : op.port;
}

s64 alloc_unbound(domid_t remote) { return alloc_unbound_for(DOMID_SELF, remote); }

s64 bind_interdomain(domid_t remote, evtchn_port_t remote_port)
{
    evtchn_bind_interdomain op{.remote_dom = remote, .remote_port = remote_port, .local_port = 0};
    const s64 rc = event_op(EVTCHNOP_bind_interdomain, &op);
    return rc < 0 ? rc : op.local_port;
}

s64 bind_virq(u32 virq, u32 vcpu)
{
    evtchn_bind_virq op{.virq = virq, .vcpu = vcpu, .port = 0};
    const s64 rc = event_op(EVTCHNOP_bind_virq, &op);
    return rc < 0 ? rc : op.port;
}

s64 bind_ipi(u32 vcpu)
{
    evtchn_bind_ipi op{.vcpu = vcpu, .port = 0};
    const s64 rc = event_op(EVTCHNOP_bind_ipi, &op);
    return rc < 0 ? rc : op.port;
}

s64 close(evtchn_port_t port)
{
    if (port < kPorts)
        handlers[port] = nullptr;
    evtchn_close op{.port = port};
    return event_op(EVTCHNOP_close, &op);
}

s64 send(evtchn_port_t port)
{
    evtchn_send op{.port = port};
    return event_op(EVTCHNOP_send, &op);
}

void listen(evtchn_port_t port, Handler handler)
{
    handlers[port] = handler;
    unmask(port);
}

void mask(evtchn_port_t port) { word(shared().evtchn_mask, port).fetch_or(mask_of(port)); }

// By hypercall, because an event that waited for it has to be announced.
void unmask(evtchn_port_t port)
{
    evtchn_unmask op{.port = port};
    event_op(EVTCHNOP_unmask, &op);
}

bool pending(evtchn_port_t port) { return word(shared().evtchn_pending, port).load() & mask_of(port); }
void clear(evtchn_port_t port) { word(shared().evtchn_pending, port).fetch_and(~mask_of(port)); }

void install()
{
    for (xen_ulong_t& words : shared().evtchn_mask)
        std::atomic_ref(words).store(~0ul);
    set_handler(kEventVector, upcall);
}

} // namespace vmm::guest::events
