// SPDX-License-Identifier: Apache-2.0
//
// Event channels of the FIFO form. [xen/include/public/event_channel.h]
//
// The guest registers a control block and a page of event words and from then on finds its events in queues:
// they come in the order they were sent, each once however often it was sent, by priority, and a masked one
// only after it is unmasked. An event that was pending in the bitmaps before the switch is in a queue after
// it. The control block has to be aligned, within a page and the only one; priorities end at 15; a second
// page brings ports 1024 and up. EVTCHNOP_reset goes back to the two-level form.
//
// A hypervisor without this form says -ENOSYS, which is allowed: then there is nothing to test.
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

#include <atomic>

using namespace vmm::guest;

const char* const kTestName = "event_fifo";

namespace
{

constexpr u32 kPending = 1u << EVTCHN_FIFO_PENDING;
constexpr u32 kMasked  = 1u << EVTCHN_FIFO_MASKED;
constexpr u32 kLinked  = 1u << EVTCHN_FIFO_LINKED;
constexpr u32 kDefault = EVTCHN_FIFO_PRIORITY_DEFAULT;

constinit Page control_page{};
constinit Page array_pages[2]{};

evtchn_fifo_control_block& control() { return *control_page.as<evtchn_fifo_control_block>(128); }
std::atomic_ref<event_word_t> word(u32 port)
{
    return std::atomic_ref(*array_pages[0].as<event_word_t>(port * sizeof(event_word_t)));
}

s64 init_control(u32 vcpu, u64 gfn, u32 offset)
{
    evtchn_init_control op{.control_gfn = gfn, .offset = offset, .vcpu = vcpu, .link_bits = 0, ._pad = {}};
    const s64 rc = event_op(EVTCHNOP_init_control, &op);
    if (rc == 0)
        CHECK_EQUAL(op.link_bits, EVTCHN_FIFO_LINK_BITS);
    return rc;
}

s64 expand(u64 gfn)
{
    evtchn_expand_array op{.array_gfn = gfn};
    return event_op(EVTCHNOP_expand_array, &op);
}

s64 set_priority(evtchn_port_t port, u32 priority)
{
    evtchn_set_priority op{.port = port, .priority = priority};
    return event_op(EVTCHNOP_set_priority, &op);
}

evtchn_port_t new_ipi()
{
    const s64 port = events::bind_ipi(0);
    NEED(port > 0);
    return static_cast<evtchn_port_t>(port);
}

// Takes all events off a queue as a guest does; how many, and the ports in order.
u32 consume(u32 queue, u32* ports, u32 most)
{
    my_vcpu_info().evtchn_upcall_pending = 0;
    std::atomic_ref(control().ready).fetch_and(~(1u << queue));
    u32 count = 0;
    for (u32 port = control().head[queue]; port != 0 && count < most;) {
        const u32 seen = word(port).fetch_and(~(kLinked | kPending | EVTCHN_FIFO_LINK_MASK));
        if (seen & kPending)
            ports[count++] = port;
        port = seen & EVTCHN_FIFO_LINK_MASK;
    }
    control().head[queue] = 0;
    return count;
}

void check_order()
{
    const evtchn_port_t a = new_ipi();
    const evtchn_port_t b = new_ipi();
    const evtchn_port_t c = new_ipi();
    for (const evtchn_port_t port : {c, a, b, a, c})
        CHECK_EQUAL(events::send(port), 0);
    CHECK_EQUAL(my_vcpu_info().evtchn_upcall_pending, 1);
    CHECK_EQUAL(control().ready, 1u << kDefault);
    u32 ports[8];
    NEED(consume(kDefault, ports, 8) == 3);
    CHECK(ports[0] == c && ports[1] == a && ports[2] == b);

    CHECK_EQUAL(set_priority(b, 2), 0);
    CHECK_EQUAL(events::send(a), 0);
    CHECK_EQUAL(events::send(b), 0);
    CHECK_EQUAL(control().ready, 1u << kDefault | 1u << 2);
    NEED(consume(2, ports, 8) == 1);
    CHECK_EQUAL(ports[0], b);
    NEED(consume(kDefault, ports, 8) == 1);
    CHECK_EQUAL(ports[0], a);

    word(a).fetch_or(kMasked);
    CHECK_EQUAL(events::send(a), 0);
    CHECK_EQUAL(my_vcpu_info().evtchn_upcall_pending, 0);
    events::unmask(a);
    CHECK_EQUAL(word(a).load() & kMasked, 0);
    CHECK_EQUAL(my_vcpu_info().evtchn_upcall_pending, 1);
    CHECK_EQUAL(consume(kDefault, ports, 8), 1);
}

void check_many_ports()
{
    evtchn_port_t last = 0;
    while (last < 1030)
        last = new_ipi();
    CHECK_EQUAL(events::send(1029), 0); // has no event word yet
    CHECK_EQUAL(control().ready, 0);
    CHECK_EQUAL(expand(gfn_of(&array_pages[1])), 0);
    u32 ports[4];
    CHECK_EQUAL(consume(kDefault, ports, 4), 1);
    CHECK_EQUAL(ports[0], 1029);
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    const evtchn_port_t before = new_ipi();
    CHECK_EQUAL(events::send(before), 0);
    CHECK_EQUAL(expand(gfn_of(&array_pages[0])), -XEN_EOPNOTSUPP);
    CHECK_EQUAL(set_priority(before, 1), -XEN_ENOSYS);

    const s64 misaligned = init_control(0, gfn_of(&control_page), 4);
    if (misaligned == -XEN_ENOSYS)
        SKIP("this hypervisor has no FIFO event channels");
    CHECK_EQUAL(misaligned, -XEN_EINVAL);
    CHECK_EQUAL(init_control(0, gfn_of(&control_page), kPageSize - 64), -XEN_EINVAL);
    CHECK_EQUAL(init_control(9, gfn_of(&control_page), 0), -XEN_ENOENT);
    CHECK_EQUAL(init_control(0, 0x60000, 0), -XEN_EINVAL);
    NEED(init_control(0, gfn_of(&control_page), 128) == 0);
    CHECK_EQUAL(init_control(0, gfn_of(&control_page), 256), -XEN_EINVAL);
    my_vcpu_info().evtchn_upcall_pending = 0;
    NEED(expand(gfn_of(&array_pages[0])) == 0);
    u32 ports[4];
    CHECK_EQUAL(consume(kDefault, ports, 4), 1);
    CHECK_EQUAL(ports[0], before);

    CHECK_EQUAL(set_priority(before, 16), -XEN_EINVAL);
    CHECK_EQUAL(set_priority(1u << 20, 1), -XEN_EINVAL);
    check_order();
    check_many_ports();

    evtchn_reset reset{.dom = DOMID_SELF};
    CHECK_EQUAL(event_op(EVTCHNOP_reset, &reset), 0);
    CHECK_EQUAL(set_priority(new_ipi(), 1), -XEN_ENOSYS);
}
