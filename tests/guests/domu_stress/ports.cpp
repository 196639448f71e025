// SPDX-License-Identifier: Apache-2.0
#include "domu_stress/ports.hpp"

#include "domu_stress/worker.hpp"

#include "guest/events.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"

namespace vmm::stress::ports
{

using namespace vmm::guest;

namespace
{

constexpr u32 kPorts = 1024;

struct Use {
    u32 vcpu        = 0;
    Handler handler = nullptr;
    void* of        = nullptr;
};
Use uses[kPorts];

// Of a word that is shared, each vCPU takes what is bound to it.
void run_word(u32 selector, const Worker& here)
{
    const u64 ready = std::atomic_ref(shared().evtchn_pending[selector]).load() &
                      ~std::atomic_ref(shared().evtchn_mask[selector]).load();
    for (u64 left = ready; left != 0; left &= left - 1) {
        const u64 bit = left & -left;
        const Use use = uses[selector * 64 + static_cast<u32>(__builtin_ctzll(left))];
        if (use.vcpu != here.id)
            continue;
        if ((std::atomic_ref(shared().evtchn_pending[selector]).fetch_and(~bit) & bit) && use.handler)
            use.handler(use.of);
    }
}

void upcall(Interrupt_frame&)
{
    const Worker& here = me();
    vcpu_info& info    = shared().vcpu_info[here.id];
    while (std::atomic_ref(info.evtchn_upcall_pending).exchange(0) != 0) {
        u64 selectors = std::atomic_ref(info.evtchn_pending_sel).exchange(0);
        for (; selectors != 0; selectors &= selectors - 1) {
            const auto selector = static_cast<u32>(__builtin_ctzll(selectors));
            if (selector < kPorts / 64)
                run_word(selector, here);
        }
    }
}

} // namespace

void install() { set_handler(kEventVector, upcall); }

void handle(evtchn_port_t port, u32 vcpu, Handler handler, void* of)
{
    if (port >= kPorts) {
        fail("port ", port, " is more than this guest knows");
        return;
    }
    uses[port] = {vcpu, handler, of};
    events::unmask(port);
}

void close(evtchn_port_t port)
{
    events::mask(port);
    if (const s64 rc = events::close(port); rc != 0)
        fail("port ", port, " cannot be closed: ", rc);
    events::clear(port);
    uses[port] = {};
}

} // namespace vmm::stress::ports
