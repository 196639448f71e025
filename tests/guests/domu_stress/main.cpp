// SPDX-License-Identifier: Apache-2.0
//
// A domU whose vCPUs, as many as it has, are busy all the time with what vCPUs and domains do to each other,
// for tests/system/stress.py:
//
// - messages of the APIC and events from each vCPU to each, itself too;
// - events to and from another domain of this kind, its peer, announced to each vCPU in turn;
// - one-shot timers, yields, halts, polls;
// - pages granted to the peer and by the peer, mapped or copied, full of a pattern that says whose they are.
//
// Whatever is sent arrives, once, at the vCPU that it is for; a timer is never early and always comes; a page
// holds what was written; a grant that was handed back is unused. What is not so is printed, and the domain
// crashes. A line each half second says how much has been done. dom0 names the peer in the store, at
// data/peer (data/mortal: it may end at any moment), and ends the work by writing data/stop.
#include "domu_stress/lanes.hpp"
#include "domu_stress/peer.hpp"
#include "domu_stress/ports.hpp"
#include "domu_stress/worker.hpp"

#include "guest/apic.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "lib/shell.hpp"
#include "lib/verdict.hpp"

#include <algorithm>

const char* const kTestName = "domu_stress";

// It is no test as a first domain.
void test_main() { SKIP("this guest is run by tests/system/stress.py"); }

namespace vmm::stress
{

using namespace vmm::guest;
using domu::store;

namespace
{

constexpr u64 kBeat         = 500 * kMillisecond;
constexpr u64 kNobody       = ~u64{0};
constexpr u64 kLongestTimer = 5 * kMillisecond;
constexpr u64 kLongestNap   = 2 * kMillisecond;

std::atomic<bool> stopping{false};
u64 beats     = 0;
u64 next_beat = 0;
u64 peer_now  = kNobody;

// The first vCPU's, with interrupts off: the console and the store want it so.
template <class Body>
auto undisturbed(Body body)
{
    cli();
    const auto result = body();
    sti();
    return result;
}

u64 told(std::string_view node)
{
    return undisturbed([node] { return domu::number(store.read(node).text, kNobody); });
}

[[noreturn]] void give_up()
{
    cli();
    while (trouble != Trouble::told)
        pause();
    print("TROUBLE ", static_cast<const char*>(trouble_reason));
    shut_down(SHUTDOWN_crash);
}

void say(const char* word)
{
    u64 latest = 0;
    for (u32 i = 0; i < processors; ++i) {
        latest            = std::max(latest, workers[i].latest);
        workers[i].latest = 0;
    }
    undisturbed([&] {
        print(word, " ", beats, " at ", me().now() / kMillisecond, " ipi ", total(Deed::ipi), " port ",
              total(Deed::port), " loop ", total(Deed::loop), " peer ", total(Deed::peer), " timer ",
              total(Deed::timer), " mapped ", total(Deed::mapped), " copied ", total(Deed::copied),
              " granted ", total(Deed::granted), " nap ", total(Deed::nap), " yield ", total(Deed::yield),
              " poll ", total(Deed::poll), " late-us ", latest / kMicrosecond);
        return 0;
    });
}

// What each vCPU does, one thing at a time.
void turn(Worker& worker)
{
    const bool starting = !stopping;
    worker.look();
    worker.alarm_works();
    if (starting) {
        switch (worker.any(32)) {
        case 0: worker.nap(kLongestNap); break;
        case 1: worker.poll(kLongestNap); break;
        case 2:
        case 3: worker.yield(); break;
        case 4: worker.set_alarm(kLongestTimer); break;
        default: lanes::send(worker); break;
        }
    } else {
        worker.yield();
    }
    peer::work(worker, starting);
    if (!starting)
        worker.settled = lanes::quiet(worker) && worker.alarm_works() && peer::quiet(worker);
}

// A vCPU but the first.
void run()
{
    if (!become(this_processor()))
        return;
    sti();
    while (trouble == Trouble::none)
        turn(me());
    cli();
    for (;;)
        asm volatile("hlt");
}

bool same_peer() { return told("data/peer") == peer_now; }

void follow_peer()
{
    const u64 named = told("data/peer");
    if (named == peer_now && (named == kNobody || peer::linked()))
        return;
    if (peer::linked())
        peer::unlink();
    peer_now = named;
    if (named != kNobody)
        peer::link(static_cast<domid_t>(named), told("data/mortal") == 1, same_peer);
}

void beat()
{
    Worker& worker = me();
    if (worker.now() < next_beat)
        return;
    next_beat = worker.now() + kBeat;
    ++beats;
    say("beat");
    if (!stopping)
        follow_peer();
    if (told("data/stop") == 1)
        stopping = true;
}

bool all_settled()
{
    for (u32 i = 0; i < processors; ++i)
        if (!workers[i].settled)
            return false;
    return true;
}

// All that is on its way gets time to arrive; then everything has to come out even.
void finish()
{
    const u64 end = me().now() + 50 * kMillisecond;
    while (me().now() < end)
        turn(me());
    lanes::compare();
    if (peer::linked()) {
        peer::compare();
        peer::unlink();
    }
    if (trouble != Trouble::none)
        give_up();
    say("EVEN");
    cli();
    shut_down(SHUTDOWN_poweroff);
}

bool start()
{
    while (processors < kMaxProcessors && vcpu_op(VCPUOP_is_up, processors, nullptr) >= 0)
        ++processors;
    apic::start();
    if (!become(0))
        return false;
    ports::install();
    lanes::open();
    sti();
    for (u32 vcpu = 1; vcpu < processors; ++vcpu)
        if (!start_processor(vcpu, run))
            fail("vCPU ", vcpu, " does not start");
    return trouble == Trouble::none;
}

[[noreturn]] void go()
{
    if (!start())
        give_up();
    for (;;) {
        turn(me());
        beat();
        if (trouble != Trouble::none)
            give_up();
        if (stopping && all_settled()) {
            if (peer::linked())
                peer::say_settled();
            if (!peer::linked() || peer::peer_settled())
                finish();
        }
    }
}

} // namespace

} // namespace vmm::stress

void child_main()
{
    if (!vmm::domu::start()) {
        vmm::guest::print("the guest has no console or no store");
        return;
    }
    vmm::stress::go();
}
