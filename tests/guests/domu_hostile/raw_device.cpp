// SPDX-License-Identifier: Apache-2.0
#include "domu_hostile/raw_device.hpp"

#include "guest/events.hpp"
#include "guest/grants.hpp"

#include <xen/io/blkif.h>
#include <xen/io/netif.h>
#include <xen/io/protocols.h>

#include <atomic>

namespace vmm::domu
{

using namespace guest;

u64 Raw_device::slot_size(u32 ring) const
{
    if (kind_ == Kind::disk)
        return sizeof(blkif_request);
    return ring == 0 ? sizeof(netif_tx_request) : sizeof(netif_rx_request);
}

void Raw_device::write(u32 ring, u32 counter, const void* request, u64 size)
{
    const u64 at = sizeof(Ring_head) + counter % slots(ring) * slot_size(ring);
    __builtin_memcpy(memory_.rings[ring].bytes + at, request, size);
}

s16 Raw_device::status(u32 ring, u32 counter)
{
    const u64 at   = sizeof(Ring_head) + counter % slots(ring) * slot_size(ring);
    u8* const slot = memory_.rings[ring].bytes + at;
    if (kind_ == Kind::disk)
        return reinterpret_cast<blkif_response*>(slot)->status;
    return ring == 0 ? reinterpret_cast<netif_tx_response*>(slot)->status
                     : reinterpret_cast<netif_rx_response*>(slot)->status;
}

void Raw_device::show(u32 ring, u32 producer)
{
    std::atomic_ref(head(ring).request_producer).store(producer);
}
void Raw_device::notify() { events::send(port_); }

void Raw_device::set_grant(u32 page, u16 flags)
{
    std::atomic_ref(grants::entry(refs_[page]).flags).store(flags);
}

bool Raw_device::share()
{
    const s64 port = events::alloc_unbound(backend());
    if (port <= 0)
        return false;
    port_ = static_cast<evtchn_port_t>(port);
    for (u32 ring = 0; ring < rings(); ++ring) {
        memory_.rings[ring]       = {};
        head(ring).request_event  = 1;
        head(ring).response_event = 1;
        ring_refs_[ring]          = grants::share(backend(), &memory_.rings[ring], true);
    }
    for (u32 i = 0; i < kDataPages; ++i)
        refs_[i] = grants::share(backend(), &memory_.data[i], true);
    next = {};
    events::listen(port_, events::ignore);
    return true;
}

bool Raw_device::tell(std::string_view node, std::string_view value)
{
    for (const Node& lie : lies_) {
        if (lie.name == node)
            return lie.value.empty() || put(node, lie.value);
    }
    return put(node, value);
}

bool Raw_device::tell(std::string_view node, u64 value)
{
    Line text;
    text.put(value);
    return tell(node, text.text());
}

bool Raw_device::publish()
{
    bool told = tell("event-channel", port_);
    if (kind_ == Kind::disk) {
        told = told && tell("ring-ref", ring_refs_[0]) && tell("protocol", XEN_IO_PROTO_ABI_X86_64);
    } else {
        told = told && tell("tx-ring-ref", ring_refs_[0]) && tell("rx-ring-ref", ring_refs_[1]) &&
               tell("request-rx-copy", 1) && tell("feature-rx-notify", 1) && tell("feature-sg", 1) &&
               tell("feature-gso-tcpv4", 1);
    }
    // What is no node of an honest frontend.
    for (const Node& lie : lies_)
        told = told && (lie.value.empty() || put(lie.name, lie.value));
    return told;
}

u32 Raw_device::take_back()
{
    if (port_ != 0)
        events::close(port_);
    port_    = 0;
    u32 held = 0;
    for (grant_ref_t& ring : ring_refs_)
        held += !grants::unshare(ring);
    for (grant_ref_t& page : refs_)
        held += !grants::unshare(page);
    return held;
}

} // namespace vmm::domu
