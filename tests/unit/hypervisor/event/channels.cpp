// SPDX-License-Identifier: Apache-2.0
//
// Binding, two-level delivery and closing of event channels.
#include "world.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;

namespace
{

struct Pair {
    World world;
    Domain& a = world.make(1);
    Domain& b = world.make(2);
    Evtchn_port at_a;
    Evtchn_port at_b;

    Pair()
    {
        at_a = *a.events().alloc_unbound(a, b.id());
        at_b = *b.events().bind_interdomain(a, at_a);
        // Binding raises the new port once; that is tested separately.
        consume(b, at_b);
        kicks(*b.vcpu(0));
    }

    static bool pending(Domain& d, Evtchn_port port)
    {
        return d.shared()->evtchn_pending[port.value() / 64] >> (port.value() % 64) & 1;
    }
    static void mask(Domain& d, Evtchn_port port)
    {
        d.shared()->evtchn_mask[port.value() / 64] |= bit(port.value() % 64);
    }
    static void consume(Domain& d, Evtchn_port port)
    {
        d.shared()->evtchn_pending[port.value() / 64] &= ~bit(port.value() % 64);
        for (unsigned v = 0; v < d.max_vcpus(); ++v) {
            d.vcpu(v)->info()->evtchn_upcall_pending = 0;
            d.vcpu(v)->info()->evtchn_pending_sel    = 0;
        }
    }
};

} // namespace

TEST_CASE("an interdomain event reaches the other end once, and kicks only when the upcall flag was clear")
{
    Pair p;
    REQUIRE(p.a.events().send(p.at_a));
    CHECK(Pair::pending(p.b, p.at_b));
    CHECK(p.b.vcpu(0)->info()->evtchn_pending_sel == bit(p.at_b.value() / 64));
    CHECK(p.b.vcpu(0)->info()->evtchn_upcall_pending == 1);
    CHECK(kicks(*p.b.vcpu(0)) == 1);
    CHECK_FALSE(Pair::pending(p.a, p.at_a));

    REQUIRE(p.a.events().send(p.at_a));
    CHECK(kicks(*p.b.vcpu(0)) == 0);

    Pair::consume(p.b, p.at_b);
    REQUIRE(p.b.events().send(p.at_b));
    CHECK(Pair::pending(p.a, p.at_a));
    CHECK(kicks(*p.a.vcpu(0)) == 1);
}

TEST_CASE("a masked event waits for unmask")
{
    Pair p;
    Pair::mask(p.b, p.at_b);
    REQUIRE(p.a.events().send(p.at_a));
    CHECK(Pair::pending(p.b, p.at_b));
    CHECK(kicks(*p.b.vcpu(0)) == 0);
    CHECK(*p.b.events().is_pending(p.at_b));

    REQUIRE(p.b.events().unmask(p.at_b));
    CHECK(kicks(*p.b.vcpu(0)) == 1);
    CHECK(p.b.vcpu(0)->info()->evtchn_upcall_pending == 1);
}

TEST_CASE("binding raises the new port, because the peer may have sent before")
{
    World world;
    Domain& a             = world.make(1);
    Domain& b             = world.make(2);
    const Evtchn_port far = *a.events().alloc_unbound(a, b.id());
    REQUIRE(a.events().send(far)); // lost: nobody is there
    const Evtchn_port near = *b.events().bind_interdomain(a, far);
    CHECK(Pair::pending(b, near));
}

TEST_CASE("an event goes to the vCPU its port is bound to, and wakes pollers")
{
    Pair p;
    REQUIRE(p.b.events().bind_vcpu(p.at_b, 1));
    p.b.events().begin_poll(Vcpu_id(0));
    REQUIRE(p.a.events().send(p.at_a));
    CHECK(kicks(*p.b.vcpu(1)) == 1);
    CHECK(kicks(*p.b.vcpu(0)) == 1);
    CHECK_FALSE(p.b.events().polls(Vcpu_id(0)));
    CHECK(p.b.events().bind_vcpu(p.at_b, 2).error() == Errc::enoent);
    CHECK(p.b.events().bind_vcpu(Evtchn_port(99), 0).error() == Errc::einval);
}

TEST_CASE("only the domain named at allocation can connect, and only once")
{
    World world;
    Domain& a              = world.make(1);
    Domain& b              = world.make(2);
    Domain& stranger       = world.make(3);
    const Evtchn_port port = *a.events().alloc_unbound(a, b.id());
    CHECK(stranger.events().bind_interdomain(a, port).error() == Errc::einval);
    CHECK(b.events().bind_interdomain(a, Evtchn_port(port.value() + 1)).error() == Errc::einval);
    CHECK(b.events().bind_interdomain(a, Evtchn_port(1u << 20)).error() == Errc::einval);
    REQUIRE(b.events().bind_interdomain(a, port));
    CHECK(b.events().bind_interdomain(a, port).error() == Errc::einval);
}

TEST_CASE("acting for another domain is for the control domain")
{
    World world;
    Domain& control = world.make(0, true);
    Domain& a       = world.make(1);
    Domain& b       = world.make(2);
    CHECK(a.events().alloc_unbound(b, Domid(2)).error() == Errc::eperm);
    const Evtchn_port port = *a.events().alloc_unbound(control, kDomidSelf);
    // DOMID_SELF is the caller, not the domain it acts for.
    CHECK(a.events().status(a, port)->u.unbound.dom == 0);
    CHECK(a.events().status(b, port).error() == Errc::eperm);
    CHECK(a.events().status(b, Evtchn_port(1u << 20)).error() == Errc::einval);
    REQUIRE(control.events().bind_interdomain(a, port));
    CHECK(a.events().status(control, port)->status == EVTCHNSTAT_interdomain);
}

TEST_CASE("closing one end leaves the other waiting for the same domain")
{
    Pair p;
    REQUIRE(p.a.events().close(p.at_a));
    const evtchn_status left = *p.b.events().status(p.b, p.at_b);
    CHECK(left.status == EVTCHNSTAT_unbound);
    CHECK(left.u.unbound.dom == 1);
    CHECK(p.b.events().send(p.at_b)); // lost without complaint
    CHECK(p.a.events().close(p.at_a).error() == Errc::einval);
    CHECK(p.a.events().send(p.at_a).error() == Errc::einval);
    REQUIRE(p.a.events().bind_interdomain(p.b, p.at_b));
}

TEST_CASE("a port that is bound again does not find the old event")
{
    Pair p;
    REQUIRE(p.a.events().send(p.at_a));
    REQUIRE(p.b.events().close(p.at_b));
    const Evtchn_port again = *p.b.events().bind_ipi(0);
    CHECK(again == p.at_b);
    CHECK_FALSE(Pair::pending(p.b, again));
}

TEST_CASE("virtual interrupts: numbers, vCPUs, one binding each")
{
    World world;
    Domain& d = world.make(1);
    CHECK(d.events().bind_virq(NR_VIRQS, 0).error() == Errc::einval);
    CHECK(d.events().bind_virq(VIRQ_CONSOLE, 1).error() == Errc::einval);
    CHECK(d.events().bind_virq(VIRQ_TIMER, 2).error() == Errc::enoent);
    d.events().raise_virq(*d.vcpu(0), VIRQ_TIMER); // nobody listens
    CHECK(kicks(*d.vcpu(0)) == 0);

    const Evtchn_port timer0  = *d.events().bind_virq(VIRQ_TIMER, 0);
    const Evtchn_port timer1  = *d.events().bind_virq(VIRQ_TIMER, 1);
    const Evtchn_port console = *d.events().bind_virq(VIRQ_CONSOLE, 0);
    CHECK(d.events().bind_virq(VIRQ_TIMER, 1).error() == Errc::eexist);
    CHECK(d.events().bind_vcpu(timer1, 0).error() == Errc::einval);
    REQUIRE(d.events().bind_vcpu(console, 1));

    d.events().raise_virq(*d.vcpu(1), VIRQ_TIMER);
    CHECK(Pair::pending(d, timer1));
    CHECK_FALSE(Pair::pending(d, timer0));
    CHECK(kicks(*d.vcpu(1)) == 1);
    d.events().raise_global_virq(VIRQ_CONSOLE);
    CHECK(Pair::pending(d, console));
    CHECK(d.events().send(console).error() == Errc::einval);

    REQUIRE(d.events().close(console));
    REQUIRE(d.events().bind_virq(VIRQ_CONSOLE, 0));
    for (u32 virq = 0; virq < NR_VIRQS; ++virq) {
        if (virq != VIRQ_TIMER && virq != VIRQ_CONSOLE)
            CHECK(d.events().bind_virq(virq, 0));
    }
}

TEST_CASE("interprocessor events")
{
    World world;
    Domain& d = world.make(1);
    CHECK(d.events().bind_ipi(2).error() == Errc::enoent);
    const Evtchn_port ipi = *d.events().bind_ipi(1);
    REQUIRE(d.events().send(ipi));
    CHECK(kicks(*d.vcpu(1)) == 1);
    CHECK(d.events().bind_vcpu(ipi, 0).error() == Errc::einval);
    CHECK(d.events().status(d, ipi)->status == EVTCHNSTAT_ipi);
    CHECK(d.events().status(d, ipi)->vcpu == 1);
}

TEST_CASE("ports run out at the limit, and the lowest free one is used first")
{
    World world;
    Limits limits;
    limits.event_ports = 200;
    Domain& d          = world.make(1, false, limits);
    for (u32 n = 1; n < 200; ++n)
        REQUIRE(d.events().bind_ipi(0)->value() == n);
    CHECK(d.events().bind_ipi(0).error() == Errc::enospc);
    REQUIRE(d.events().close(Evtchn_port(77)));
    CHECK(d.events().bind_ipi(0)->value() == 77);
    CHECK(d.events().bind_ipi(0).error() == Errc::enospc);
}

TEST_CASE("the two-level form ends at 4096 ports whatever the limit")
{
    World world;
    Domain& d = world.make(1);
    for (u32 n = 1; n < 4096; ++n)
        REQUIRE(d.events().bind_ipi(0));
    CHECK(d.events().bind_ipi(0).error() == Errc::enospc);
    CHECK(d.events().set_priority(Evtchn_port(1), 3).error() == Errc::enosys);
}

TEST_CASE("reset closes everything in pieces and leaves the table usable")
{
    World world;
    Domain& a = world.make(1);
    Domain& b = world.make(2);
    for (unsigned i = 0; i < 1000; ++i)
        REQUIRE(b.events().bind_interdomain(a, *a.events().alloc_unbound(a, b.id())));
    unsigned pieces     = 0;
    Expected<void> done = a.events().reset();
    for (; !done; ++pieces, ::new (&done) Expected<void>(a.events().reset()))
        REQUIRE(done.error() == Errc::erestart);
    CHECK(pieces >= 3);
    CHECK(b.events().status(b, Evtchn_port(1))->status == EVTCHNSTAT_unbound);
    CHECK(a.events().bind_ipi(0)->value() == 1);
}

TEST_CASE("a dying domain binds nothing any more, and its peers see it go")
{
    Pair p;
    p.world.destroy(p.a);
    CHECK(p.b.events().status(p.b, p.at_b)->status == EVTCHNSTAT_unbound);
    CHECK(p.b.events().send(p.at_b));
    while (!p.b.events().close_all()) {
    }
    CHECK(p.b.events().bind_ipi(0).error() == Errc::einval);
}

TEST_CASE("a domain can talk to itself")
{
    World world;
    Domain& d              = world.make(1);
    const Evtchn_port far  = *d.events().alloc_unbound(d, kDomidSelf);
    const Evtchn_port near = *d.events().bind_interdomain(d, far);
    REQUIRE(d.events().send(near));
    CHECK(Pair::pending(d, far));
    REQUIRE(d.events().close(far));
    CHECK(d.events().status(d, near)->status == EVTCHNSTAT_unbound);
}
