// SPDX-License-Identifier: Apache-2.0
//
// FIFO delivery, with a guest that consumes as the ABI says and one that does what it likes.
#include "world.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u32 kPending = 1u << EVTCHN_FIFO_PENDING;
constexpr u32 kMasked  = 1u << EVTCHN_FIFO_MASKED;
constexpr u32 kLinked  = 1u << EVTCHN_FIFO_LINKED;

constexpr u64 kControlGfn = 10; // one page for each vCPU
constexpr u64 kArrayGfn   = 20;

struct Fifo_guest {
    World world;
    Domain& d = world.make(1);

    Fifo_guest()
    {
        for (u32 v = 0; v < 2; ++v)
            REQUIRE(d.events().init_control(v, Gfn(kControlGfn + v), 64));
        REQUIRE(d.events().expand_array(Gfn(kArrayGfn)));
    }

    evtchn_fifo_control_block& control(u32 vcpu = 0)
    {
        return *guest<evtchn_fifo_control_block>(d, ((kControlGfn + vcpu) << 12) + 64);
    }
    event_word_t& word(u32 port) { return *guest<event_word_t>(d, (kArrayGfn << 12) + port * 4); }

    // Takes every event of a queue off, as a guest does; their ports in order.
    std::vector<u32> consume(u32 queue, u32 vcpu = 0)
    {
        std::vector<u32> ports;
        u32 port = control(vcpu).head[queue];
        control(vcpu).ready &= ~(1u << queue);
        while (port != 0) {
            const u32 seen = word(port);
            word(port)     = seen & ~(kLinked | kPending | EVTCHN_FIFO_LINK_MASK);
            if (seen & kPending)
                ports.push_back(port);
            port = seen & EVTCHN_FIFO_LINK_MASK;
        }
        control(vcpu).head[queue]                   = 0;
        d.vcpu(vcpu)->info()->evtchn_upcall_pending = 0;
        return ports;
    }
    Evtchn_port ipi(u32 vcpu = 0) { return *d.events().bind_ipi(vcpu); }
};

} // namespace

TEST_CASE("events queue in the order they were sent")
{
    Fifo_guest g;
    const Evtchn_port a = g.ipi();
    const Evtchn_port b = g.ipi();
    const Evtchn_port c = g.ipi();
    for (const Evtchn_port port : {b, a, c, a})
        REQUIRE(g.d.events().send(port));
    CHECK(g.control().ready == 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    CHECK(kicks(*g.d.vcpu(0)) == 1);
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT) == std::vector<u32>{b.value(), a.value(), c.value()});
    // The queue is found empty and started anew.
    REQUIRE(g.d.events().send(c));
    CHECK(kicks(*g.d.vcpu(0)) == 1);
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT) == std::vector<u32>{c.value()});
}

TEST_CASE("priorities choose the queue, and bad ones are refused")
{
    Fifo_guest g;
    const Evtchn_port high = g.ipi();
    CHECK(g.d.events().set_priority(high, 16).error() == Errc::einval);
    CHECK(g.d.events().set_priority(Evtchn_port(99), 3).error() == Errc::eacces);
    CHECK(g.d.events().set_priority(Evtchn_port(1u << 20), 3).error() == Errc::einval);
    REQUIRE(g.d.events().set_priority(high, 3));
    REQUIRE(g.d.events().send(high));
    CHECK(g.consume(3) == std::vector<u32>{high.value()});
    // Whoever binds the port next starts with the default.
    REQUIRE(g.d.events().close(high));
    REQUIRE(g.ipi() == high);
    REQUIRE(g.d.events().send(high));
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT) == std::vector<u32>{high.value()});
}

TEST_CASE("a masked event is linked when it is unmasked")
{
    Fifo_guest g;
    const Evtchn_port port = g.ipi();
    g.word(port.value())   = kMasked;
    REQUIRE(g.d.events().send(port));
    CHECK(g.word(port.value()) == (kMasked | kPending));
    CHECK(kicks(*g.d.vcpu(0)) == 0);
    REQUIRE(g.d.events().unmask(port));
    CHECK(kicks(*g.d.vcpu(0)) == 1);
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT) == std::vector<u32>{port.value()});
}

TEST_CASE("an event that moves to another vCPU leaves its old queue intact")
{
    World world;
    Fifo_guest g;
    const Evtchn_port far  = *g.d.events().alloc_unbound(g.d, kDomidSelf);
    const Evtchn_port near = *g.d.events().bind_interdomain(g.d, far);
    g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT);
    const Evtchn_port other = g.ipi();

    REQUIRE(g.d.events().send(near));
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT) == std::vector<u32>{far.value()});
    // far was the tail of vCPU 0's queue; from now on it must not be linked behind there.
    REQUIRE(g.d.events().bind_vcpu(far, 1));
    REQUIRE(g.d.events().send(near));
    REQUIRE(g.d.events().send(other));
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT, 1) == std::vector<u32>{far.value()});
    CHECK(g.consume(EVTCHN_FIFO_PRIORITY_DEFAULT, 0) == std::vector<u32>{other.value()});
}

TEST_CASE("what was pending before the switch arrives when the array does")
{
    World world;
    Domain& d              = world.make(1);
    const Evtchn_port port = *d.events().bind_ipi(0);
    REQUIRE(d.events().send(port));
    CHECK(d.events().expand_array(Gfn(kArrayGfn)).error() == Errc::eopnotsupp);
    REQUIRE(d.events().init_control(0, Gfn(kControlGfn), 0));
    CHECK(*d.events().is_pending(port));
    kicks(*d.vcpu(0));
    d.vcpu(0)->info()->evtchn_upcall_pending = 0;
    REQUIRE(d.events().expand_array(Gfn(kArrayGfn)));
    CHECK(kicks(*d.vcpu(0)) == 1);
    CHECK(guest<evtchn_fifo_control_block>(d, kControlGfn << 12)->head[EVTCHN_FIFO_PRIORITY_DEFAULT] ==
          port.value());
}

TEST_CASE("control blocks: place, alignment, once only")
{
    World world;
    Domain& d = world.make(1);
    CHECK(d.events().init_control(2, Gfn(kControlGfn), 0).error() == Errc::enoent);
    CHECK(d.events().init_control(0, Gfn(kControlGfn), 4).error() == Errc::einval);
    CHECK(d.events().init_control(0, Gfn(kControlGfn), 4096 - 64).error() == Errc::einval);
    CHECK(d.events().init_control(0, Gfn(kControlGfn), ~0u & ~7u).error() == Errc::einval);
    CHECK(d.events().init_control(0, Gfn(1000), 0).error() == Errc::einval);
    CHECK(d.events().init_control(0, Gfn(~0ull), 0).error() == Errc::einval);
    // Nothing of this switched the form.
    CHECK(d.events().set_priority(*d.events().bind_ipi(0), 3).error() == Errc::enosys);
    REQUIRE(d.events().init_control(0, Gfn(kControlGfn), 4096 - 72));
    CHECK(d.events().init_control(0, Gfn(kControlGfn), 0).error() == Errc::einval);
}

TEST_CASE("an event for a vCPU without a control block stays pending")
{
    World world;
    Domain& d = world.make(1);
    REQUIRE(d.events().init_control(0, Gfn(kControlGfn), 0));
    REQUIRE(d.events().expand_array(Gfn(kArrayGfn)));
    const Evtchn_port port = *d.events().bind_ipi(1);
    REQUIRE(d.events().send(port));
    CHECK(*d.events().is_pending(port));
    CHECK(kicks(*d.vcpu(1)) == 0);
}

TEST_CASE("ports go as far as the limit and the array; a linked port is not given out")
{
    Fifo_guest g;
    for (u32 n = 1; n < 4096 * 4; ++n)
        REQUIRE(g.d.events().bind_ipi(0));
    CHECK(g.d.events().bind_ipi(0).error() == Errc::enospc);
    // Port 2000 has no event word yet: the event waits for it.
    REQUIRE(g.d.events().send(Evtchn_port(2000)));
    CHECK(g.control().ready == 0);
    REQUIRE(g.d.events().expand_array(Gfn(kArrayGfn + 1)));
    CHECK(g.control().head[EVTCHN_FIFO_PRIORITY_DEFAULT] == 2000);

    REQUIRE(g.d.events().send(Evtchn_port(5)));
    REQUIRE(g.d.events().close(Evtchn_port(5)));
    CHECK(g.d.events().bind_ipi(0).error() == Errc::enospc); // 5 is still in the guest's queue
    g.word(5) = 0;
    CHECK(g.d.events().bind_ipi(0)->value() == 5);
}

TEST_CASE("array pages end at the 17 bits of a link")
{
    Fifo_guest g;
    for (u32 page = 1; page < 128; ++page)
        REQUIRE(g.d.events().expand_array(Gfn(kArrayGfn)));
    CHECK(g.d.events().expand_array(Gfn(kArrayGfn)).error() == Errc::enospc);
    CHECK(g.d.events().expand_array(Gfn(kArrayGfn)).error() == Errc::enospc);
}

TEST_CASE("words full of nonsense never lead anywhere")
{
    Fifo_guest g;
    for (u32 n = 1; n < 300; ++n)
        g.ipi();
    u64 random = 1;
    for (unsigned round = 0; round < 20000; ++round) {
        random                       = random * 6364136223846793005ull + 1442695040888963407ull;
        g.word((random >> 40) % 300) = static_cast<u32>(random >> 8);
        g.control((random >> 33) & 1).head[random >> 60] = static_cast<u32>(random >> 16);
        g.control((random >> 34) & 1).ready              = static_cast<u32>(random >> 24);
        const Evtchn_port port(1 + static_cast<u32>((random >> 20) % 299));
        switch (random >> 62) {
        case 0: CHECK(g.d.events().unmask(port)); break;
        case 1: CHECK(g.d.events().set_priority(port, (random >> 50) & 15)); break;
        default: CHECK(g.d.events().send(port)); break;
        }
    }
}

TEST_CASE("a guest that never stops changing the tail costs bounded time")
{
    Fifo_guest g;
    for (u32 n = 1; n < 10; ++n)
        g.ipi();
    std::atomic<bool> stop{false};
    event_word_t* words = &g.word(0);
    std::thread hostile([&] {
        for (u32 n = 0; !stop; ++n)
            std::atomic_ref(words[1 + n % 8]).fetch_xor(0x0fff0000u | (n & 0xffff));
    });
    for (unsigned round = 0; round < 30000; ++round)
        REQUIRE(g.d.events().send(Evtchn_port(1 + round % 9)));
    stop = true;
    hostile.join();
}

TEST_CASE("the pages stay held until reset, whatever the guest does to its map")
{
    Fifo_guest g;
    const Evtchn_port port = g.ipi();
    const u64 free_before  = frames.free_count();
    for (const u64 gfn : {kControlGfn, kArrayGfn}) {
        const P2m_entry entry = g.d.p2m().lookup(Gfn(gfn));
        REQUIRE(g.d.p2m().remove(Gfn(gfn), 0));
        frames.release(entry.mfn, 0, &g.d.memory());
    }
    CHECK(frames.free_count() == free_before);
    REQUIRE(g.d.events().send(port));
    while (!g.d.events().reset()) {
    }
    CHECK(frames.free_count() == free_before + 2);
    CHECK(g.d.events().set_priority(g.ipi(), 1).error() == Errc::enosys);
    REQUIRE(g.d.events().init_control(0, Gfn(kControlGfn + 1), 0));
}
