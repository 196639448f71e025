// SPDX-License-Identifier: Apache-2.0
//
// Several CPUs at once, under ThreadSanitizer: what senders, binders and closers of two domains, or mappers
// and unmappers, do to each other's tables.
#include "../grant/granter.hpp"

#include "base/turns.hpp"
#include "mm/reservation.hpp"
#include "platform/cpus.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr unsigned kRounds = 3000;
constexpr auto kLong       = std::chrono::seconds(10);
constexpr auto kPatience   = std::chrono::seconds(60);

using Steady = std::chrono::steady_clock;

// Catch2's assertions are for one thread: the others count what was not as it has to be.
std::atomic<unsigned> wrong{0};
void expect(bool so)
{
    if (!so)
        ++wrong;
}

// Each is a CPU.
template <class... Work>
void at_once(Work... work)
{
    wrong            = 0;
    known_cpus.count = sizeof...(Work);
    u32 cpu          = 0;
    {
        std::jthread threads[] = {std::jthread([work, cpu = cpu++] {
            hosted_cpu = cpu;
            work();
            turns::go_out();
        })...};
    }
    for (u32 i = 0; i < known_cpus.count; ++i)
        turns::count.of(i) = 0;
    known_cpus.count = 1;
    CHECK(wrong == 0);
}

// Between two hypercalls.
void run_guest()
{
    turns::go_out();
    turns::come_in();
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
            // Each time it yields, a busy host may come back to it late.
            const auto end = Steady::now() + kLong;
            for (unsigned i = 0; i < kRounds && Steady::now() < end; ++i) {
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

TEST_CASE("domains come and go while others look them up, bind to them, map their memory and send to them")
{
    World world(1u << 15);
    Domain& mapper    = world.make(1, true);
    constexpr u16 kId = 5;
    std::atomic<bool> stop{false};
    std::atomic<u32> port{0};
    std::atomic<u64> mapped{0}, bound{0}, placed{0};
    at_once(
        [&] {
            const auto end = Steady::now() + kPatience;
            for (unsigned i = 0; i < 200; ++i) {
                Domain& d = world.make(kId);
                for (u32 ref = 8; ref < 16; ++ref)
                    grant(d, ref, Domid(1), ref);
                port = d.events().alloc_unbound(d, Domid(1))->value();
                // Most go at once, but not all of them before anybody has met one.
                while ((mapped < i / 10 || bound < i / 10 || placed < i / 10) && Steady::now() < end) {
                    run_guest();
                    std::this_thread::yield();
                }
                world.destroy(d);
            }
            stop = true;
        },
        [&] {
            for (u32 i = 0; !stop; ++i) {
                run_guest();
                const auto op = map(mapper, Domid(kId), 8 + i % 8, 500);
                if (op.status != GNTST_okay)
                    continue;
                ++mapped;
                expect(unmap(mapper, op.handle, 500) == GNTST_okay);
            }
        },
        [&] {
            while (!stop) {
                run_guest();
                const auto other = find_domain(Domid(kId));
                if (!other)
                    continue;
                const auto near = mapper.events().bind_interdomain(*other, Evtchn_port(port));
                if (!near)
                    continue;
                ++bound;
                expect(mapper.events().send(*near).has_value());
                expect(close(mapper, *near));
            }
        },
        [&] {
            while (!stop) {
                run_guest();
                if (const auto other = next_domain(Domid(2))) {
                    expect(other->id() == Domid(kId));
                    if (place_foreign(mapper, Gfn(600), *other, Gfn(3))) {
                        ++placed;
                        expect(give_up(mapper, Gfn(600), kOrder4k).has_value());
                    }
                }
            }
        });
    CHECK(mapped > 0);
    CHECK(bound > 0);
    CHECK(placed > 0);
    world.destroy(mapper);
    CHECK(world.memory.all_free());
}

TEST_CASE("a domain's pages come and go, in small and large mappings, while others read and map them")
{
    World world(1u << 15);
    Domain& owner        = world.make(1);
    Domain& mapper       = world.make(2, true);
    constexpr u64 kPages = 64, kLarge = 1024;
    std::atomic<bool> stop{false};
    std::atomic<u64> placed{0}, read{0};
    const auto any = [](u64 i) { return Gfn(i * 7 % kPages); };
    at_once(
        [&] {
            const auto end = Steady::now() + kPatience;
            for (u64 i = 0; i < 2000 || ((placed == 0 || read == 0) && Steady::now() < end); ++i) {
                run_guest();
                expect(give_up(owner, any(i), kOrder4k).has_value());
                expect(populate(owner, any(i), kOrder4k).has_value());
                if (i % 50 == 0) // a large one, that loses a page in its middle
                    expect(populate(owner, Gfn(kLarge), kOrder2m).has_value() &&
                           give_up(owner, Gfn(kLarge + 5), kOrder4k).has_value());
            }
            stop = true;
        },
        [&] {
            for (u64 i = 0; !stop; ++i) {
                run_guest();
                const Gfn from = i % 2 ? any(i) : Gfn(kLarge + i % 512);
                if (!place_foreign(mapper, Gfn(600), owner, from))
                    continue;
                ++placed;
                expect(give_up(mapper, Gfn(600), kOrder4k).has_value());
            }
        },
        [&] {
            P2m::Cursor cursor;
            for (u64 i = 0; !stop; ++i) {
                run_guest();
                const Mfn mfn = owner.p2m().ram_frame(i % 2 ? any(i) : Gfn(kLarge + i % 512), cursor);
                if (mfn == kInvalidMfn || !frames.get_from(mfn, owner.id()))
                    continue;
                ++read;
                frames.put(mfn);
            }
        });
    CHECK(placed > 0);
    CHECK(read > 0);
    world.destroy(mapper);
    world.destroy(owner);
    CHECK(world.memory.all_free());
}
