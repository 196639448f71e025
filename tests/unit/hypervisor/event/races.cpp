// SPDX-License-Identifier: Apache-2.0
//
// Several CPUs at once, under ThreadSanitizer: what senders, binders and closers of two domains, or mappers
// and unmappers, do to each other's tables.
#include "../grant/granter.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr unsigned kRounds = 3000;

// Catch2's assertions are for one thread: the others count what was not as it has to be.
std::atomic<unsigned> wrong{0};
void expect(bool so)
{
    if (!so)
        ++wrong;
}

template <class... Work>
void at_once(Work... work)
{
    wrong                 = 0;
    std::thread threads[] = {std::thread(work)...};
    for (std::thread& thread : threads)
        thread.join();
    CHECK(wrong == 0);
}

bool close(Domain& d, Evtchn_port port)
{
    for (;;) {
        const Expected<void> closed = d.events().close(port);
        if (closed || closed.error() != Errc::erestart)
            return closed.has_value();
    }
}

} // namespace

TEST_CASE("sending while the other end closes and binds again")
{
    World world;
    Domain& a = world.make(1);
    Domain& b = world.make(2);
    std::atomic<u32> at_a{0};
    std::atomic<bool> stop{false};
    at_once(
        [&] {
            for (unsigned i = 0; i < kRounds; ++i) {
                const auto port = a.events().alloc_unbound(a, b.id());
                expect(port.has_value());
                at_a = port->value();
                std::this_thread::yield();
                expect(a.events().send(*port).has_value());
                expect(close(a, *port));
            }
            stop = true;
        },
        [&] {
            while (!stop) {
                const auto port = b.events().bind_interdomain(a, Evtchn_port(at_a));
                if (!port)
                    continue;
                expect(b.events().send(*port).has_value());
                expect(close(b, *port));
            }
        },
        [&] {
            while (!stop) {
                a.events().raise_global_virq(VIRQ_CONSOLE);
                (void)b.events().status(b, Evtchn_port(1));
                (void)a.events().is_pending(Evtchn_port(at_a));
            }
        });
}

TEST_CASE("two domains that send to each other while both switch to the FIFO form")
{
    World world;
    Domain& a            = world.make(1);
    Domain& b            = world.make(2);
    const Evtchn_port pa = *a.events().alloc_unbound(a, b.id());
    const Evtchn_port pb = *b.events().bind_interdomain(a, pa);
    const auto send      = [](Domain& d, Evtchn_port port) {
        for (unsigned i = 0; i < kRounds; ++i)
            expect(d.events().send(port).has_value());
    };
    const auto change = [](Domain& d) {
        expect(d.events().init_control(0, Gfn(10), 0).has_value());
        expect(d.events().expand_array(Gfn(20)).has_value());
    };
    at_once([&] { send(a, pa); }, [&] { send(b, pb); }, [&] { change(a); }, [&] { change(b); });
    CHECK(*a.events().is_pending(pa));
    CHECK(*b.events().is_pending(pb));
}

TEST_CASE("two vCPUs that map and unmap grants of one domain while it grows its table")
{
    World world;
    Domain& granter = world.make(1);
    Domain& mapper  = world.make(2);
    for (u32 ref = 8; ref < 40; ++ref)
        grant(granter, ref, Domid(2), ref);
    const auto work = [&](u64 gfn) {
        for (unsigned i = 0; i < kRounds; ++i) {
            const auto op = map(mapper, Domid(1), 8 + i % 32, gfn);
            expect(op.status == GNTST_okay);
            expect(unmap(mapper, op.handle, gfn) == GNTST_okay);
        }
    };
    at_once([&] { work(500); }, [&] { work(501); },
            [&] {
                for (u32 index = 0; index < 4; ++index)
                    expect(granter.grants().frame(index).has_value());
            });
    for (u32 ref = 8; ref < 40; ++ref)
        CHECK((entry(granter, ref).flags & (GTF_reading | GTF_writing)) == 0);
}
