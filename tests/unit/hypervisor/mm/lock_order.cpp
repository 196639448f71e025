// SPDX-License-Identifier: Apache-2.0
//
// Locks taken in the wrong order are noticed by the one who takes them, before two CPUs meet.
#include "base/spinlock.hpp"
#include "fakes/panic.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

TEST_CASE("locks are taken in ascending rank")
{
    Spinlock event(Lock_rank::event), p2m(Lock_rank::p2m), frames(Lock_rank::frames);
    const Lock_guard first(event);
    {
        const Lock_guard second(p2m);
        const Lock_guard third(frames);
    }
    const Lock_guard again(p2m);
    CHECK_THROWS_AS(Spinlock(Lock_rank::domain).lock(), fakes::Panicked);
    CHECK_THROWS_AS(event.lock(), fakes::Panicked); // it is this CPU that holds it: for ever
}

TEST_CASE("a panic takes what it needs, whatever is held")
{
    Spinlock log(Lock_rank::log), timer(Lock_rank::timer);
    log.lock();
    const Lock_guard inner(timer);
    Lock_order::watch(false);
    log.break_open();
    CHECK_NOTHROW(log.lock());
    log.unlock();
    Lock_order::watch(true);
}

TEST_CASE("two of one rank only as a pair")
{
    Spinlock a(Lock_rank::event), b(Lock_rank::event);
    {
        const Lock_pair both(b, a);
        CHECK_THROWS_AS(Spinlock(Lock_rank::event).lock(), fakes::Panicked);
        CHECK_NOTHROW(Spinlock(Lock_rank::delivery).lock());
        Lock_order::released(Lock_rank::delivery);
    }
    {
        const Lock_pair same(a, a);
    }
    const Lock_guard guard(a);
    CHECK_THROWS_AS(b.lock(), fakes::Panicked);
}
