// SPDX-License-Identifier: Apache-2.0
#include "domu_stress/lanes.hpp"

#include "domu_stress/ports.hpp"

#include "guest/apic.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"

namespace vmm::stress::lanes
{

using namespace vmm::guest;

namespace
{

constexpr u8 kFirstVector         = 0x60; // and one for each vCPU that may have sent it
constexpr const char* kWays[]     = {"APIC message", "event of an IPI port", "event of its own channel"};
constexpr u32 kWayCount           = 3;
constexpr Deed kDeedOf[kWayCount] = {Deed::ipi, Deed::port, Deed::loop};

constexpr s64 kPortsOfWord = 64;
constexpr u32 kWords       = 10; // so that 1,023 ports, a domain's unless it asks for more, do for all vCPUs

struct Lane {
    std::atomic<u64> sent{0};
    std::atomic<u64> arrived{0};
    u64 since          = 0; // the sender's life when it sent the last
    u32 way            = 0;
    u32 from           = 0;
    u32 to             = 0;
    evtchn_port_t port = 0; // that is sent to
};
Lane lanes[kWayCount][kMaxProcessors][kMaxProcessors];

void tell(const Lane& lane, const char* what)
{
    fail(kWays[lane.way], " from vCPU ", lane.from, " to ", lane.to, " ", what, ": sent ", lane.sent.load(),
         ", arrived ", lane.arrived.load());
}

void arrived(void* of)
{
    Lane& lane = *static_cast<Lane*>(of);
    if (me().id != lane.to)
        fail(kWays[lane.way], " for vCPU ", lane.to, " came to ", me().id);
    if (lane.arrived.fetch_add(1) + 1 > lane.sent)
        tell(lane, "came unsent");
}

void message(Interrupt_frame& frame)
{
    arrived(&lanes[0][frame.vector - kFirstVector][me().id]);
    apic::end_of_interrupt();
}

// Goes on to the next word of pending bits, as long as there are more: an upcall for a word looks at all of
// it, and one that was lost would be made good by the next lane's.
void skip_word()
{
    s64 port = 0;
    do
        port = events::alloc_unbound(DOMID_SELF);
    while (port > 0 && port % kPortsOfWord != kPortsOfWord - 1);
}

s64 open_port(Lane& lane)
{
    static u32 words = 1;
    if (words < kWords) {
        skip_word();
        ++words;
    }
    if (lane.way == 1) {
        const s64 port = events::bind_ipi(lane.to);
        if (port > 0)
            ports::handle(static_cast<evtchn_port_t>(port), lane.to, arrived, &lane);
        return port;
    }
    const s64 far = events::alloc_unbound(DOMID_SELF);
    if (far <= 0)
        return far;
    evtchn_bind_vcpu bind{static_cast<evtchn_port_t>(far), lane.to};
    if (const s64 rc = event_op(EVTCHNOP_bind_vcpu, &bind); rc != 0)
        return rc;
    ports::handle(static_cast<evtchn_port_t>(far), lane.to, arrived, &lane);
    return events::bind_interdomain(DOMID_SELF, static_cast<evtchn_port_t>(far));
}

void send_on(Lane& lane)
{
    ++lane.sent;
    if (lane.way == 0) {
        wrmsr(apic::icr, u64{apic_id_of(lane.to)} << 32 | static_cast<u64>(kFirstVector + lane.from));
        return;
    }
    if (const s64 rc = events::send(lane.port); rc != 0)
        fail(kWays[lane.way], " cannot be sent: ", rc);
}

bool is_quiet(const Worker& from, Lane& lane)
{
    if (lane.sent == lane.arrived)
        return true;
    if (from.lived - lane.since > kPatience)
        tell(lane, "is lost");
    return false;
}

} // namespace

void open()
{
    for (u32 from = 0; from < processors; ++from) {
        set_handler(static_cast<u8>(kFirstVector + from), message);
        for (u32 to = 0; to < processors; ++to) {
            for (u32 way = 0; way < kWayCount; ++way) {
                Lane& lane = lanes[way][from][to];
                lane.way   = way;
                lane.from  = from;
                lane.to    = to;
                if (way == 0)
                    continue;
                const s64 port = open_port(lane);
                if (port <= 0)
                    fail(kWays[way], ": no port: ", port);
                lane.port = static_cast<evtchn_port_t>(port);
            }
        }
    }
}

void send(Worker& from)
{
    const u64 way = from.any(kWayCount);
    Lane& lane    = lanes[way][from.id][from.any(processors)];
    if (!is_quiet(from, lane))
        return;
    lane.since = from.lived;
    send_on(lane);
    from.did(kDeedOf[way]);
}

bool quiet(Worker& from)
{
    bool all = true;
    for (auto& way : lanes)
        for (u32 to = 0; to < processors; ++to)
            all = is_quiet(from, way[from.id][to]) && all;
    return all;
}

void compare()
{
    for (auto& way : lanes)
        for (auto& from : way)
            for (Lane& lane : from)
                if (lane.sent != lane.arrived)
                    tell(lane, "does not come out even");
}

} // namespace vmm::stress::lanes
