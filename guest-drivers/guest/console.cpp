// SPDX-License-Identifier: Apache-2.0
#include "guest/console.hpp"

#include "guest/byte_ring.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"

namespace vmm::guest
{

bool Console::open()
{
    u64 pfn  = 0;
    u64 port = 0;
    if (get_param(DOMID_SELF, HVM_PARAM_CONSOLE_PFN, pfn) != 0 ||
        get_param(DOMID_SELF, HVM_PARAM_CONSOLE_EVTCHN, port) != 0 || pfn == 0 || port == 0)
        return false;
    ring_ = at_gpa<xencons_interface>(pfn * kPageSize);
    port_ = static_cast<evtchn_port_t>(port);
    events::listen(port_, events::ignore);
    return true;
}

void Console::write(std::string_view text)
{
    Byte_ring out(ring_->out, sizeof ring_->out, ring_->out_cons, ring_->out_prod);
    while (!text.empty()) {
        const u32 done = out.write(text.data(), static_cast<u32>(text.size()));
        text.remove_prefix(done);
        events::send(port_);
        if (done == 0)
            asm volatile("sti; hlt; cli" : : : "memory");
    }
}

u32 Console::read(char* to, u32 count)
{
    Byte_ring in(ring_->in, sizeof ring_->in, ring_->in_cons, ring_->in_prod);
    const u32 done = in.read(to, count);
    if (done != 0)
        events::send(port_);
    return done;
}

bool Console::readable() const
{
    return Byte_ring(ring_->in, sizeof ring_->in, ring_->in_cons, ring_->in_prod).readable();
}

} // namespace vmm::guest
