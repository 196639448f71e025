// SPDX-License-Identifier: Apache-2.0
#include "domu_stress/peer.hpp"

#include "domu_stress/contract.hpp"
#include "domu_stress/link.hpp"
#include "domu_stress/ports.hpp"

#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"

namespace vmm::stress::peer
{

using namespace vmm::guest;

namespace
{

// Where granted pages are mapped, each by one vCPU at a time, and by another one the next time.
constexpr u32 kWindows = 4;
std::atomic<bool> in_use[kWindows];
Page buffers[kMaxProcessors];

// A grant operation that failed: with a peer that may end it is known to happen.
bool refused(s16 status, const char* what)
{
    if (status == GNTST_okay)
        return false;
    if (!the_link.mortal)
        fail(what, " of a page of domain ", the_link.peer, " is refused: ", status);
    return true;
}

void wait_a_little(Worker& worker)
{
    switch (worker.any(8)) {
    case 0: worker.nap(2 * kMillisecond); break;
    case 1: worker.yield(); break;
    default: break;
    }
}

// Returns where, or kWindows.
u32 take_window(Worker& worker)
{
    const auto window = static_cast<u32>(worker.any(kWindows));
    return in_use[window].exchange(true) ? kWindows : window;
}

bool visit_by_map(Worker& worker, u32 number)
{
    const Contract& theirs = *the_link.theirs;
    const u32 window       = take_window(worker);
    if (window == kWindows)
        return false;
    const u64 gpa  = window_address(window);
    const auto op  = grants::map(the_link.peer, theirs.slots[number].ref, gpa, true);
    bool handed_on = false;
    if (!refused(op.status, "mapping")) {
        wait_a_little(worker);
        if (holds(at_gpa(gpa), theirs, number, false, "mapped"))
            fill(at_gpa(gpa), theirs, number, true);
        if (const s16 status = grants::unmap(op.handle, gpa); status != GNTST_okay)
            fail("unmapping is refused: ", status);
        worker.did(Deed::mapped);
        handed_on = true;
    }
    in_use[window] = false;
    return handed_on;
}

s16 copy(u32 ref, Page& buffer, bool out)
{
    gnttab_copy op{};
    auto& far    = out ? op.dest : op.source;
    auto& near   = out ? op.source : op.dest;
    far.u.ref    = ref;
    far.domid    = the_link.peer;
    near.u.gmfn  = gfn_of(&buffer);
    near.domid   = DOMID_SELF;
    op.len       = kPageSize;
    op.flags     = out ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    const s64 rc = grant_op(GNTTABOP_copy, &op, 1);
    return rc == 0 ? op.status : s16{GNTST_general_error};
}

bool visit_by_copy(Worker& worker, u32 number)
{
    const Contract& theirs = *the_link.theirs;
    Page& buffer           = buffers[worker.id];
    const u32 ref          = theirs.slots[number].ref;
    if (refused(copy(ref, buffer, false), "copying") || !holds(&buffer, theirs, number, false, "copied"))
        return false;
    fill(&buffer, theirs, number, true);
    wait_a_little(worker);
    if (refused(copy(ref, buffer, true), "copying back"))
        return false;
    worker.did(Deed::copied);
    return true;
}

void visit(Worker& worker, u32 number)
{
    Slot& slot = the_link.theirs->slots[number];
    if (slot.turn != Turn::visitor)
        return;
    if (worker.any(2) == 0 ? visit_by_map(worker, number) : visit_by_copy(worker, number))
        slot.turn = Turn::owner;
}

// The page is here: what came back is checked, and it goes out again by another reference.
void own(Worker& worker, u32 number, bool starting)
{
    Slot& slot = the_link.mine().slots[number];
    if (slot.turn != Turn::owner)
        return;
    if (slot.ref != 0) {
        holds(&the_link.page(number), the_link.mine(), number, true, "come back");
        if (!grants::revoke(slot.ref))
            fail("slot ", number, " came back and its grant is still in use");
        slot.ref = 0;
        worker.did(Deed::granted);
    }
    if (!starting)
        return;
    ++slot.round;
    slot.ref = reference_of(number, slot.round);
    fill(&the_link.page(number), the_link.mine(), number, false);
    grants::allow(slot.ref, the_link.peer, gfn_of(&the_link.page(number)), true);
    slot.turn = Turn::visitor;
}

bool has_arrived(const Worker& worker, u32 channel)
{
    const u64 sent  = the_link.mine().sent[channel];
    const u64 heard = the_link.theirs->heard[channel];
    if (sent == heard)
        return true;
    if (!the_link.mortal && worker.lived - the_link.since[channel] > kPatience)
        fail("event to the peer's port ", the_link.theirs->ports[channel], " is lost: sent ", sent,
             ", heard ", heard);
    return false;
}

void send(Worker& worker, u32 channel)
{
    if (!has_arrived(worker, channel))
        return;
    the_link.since[channel] = worker.lived;
    ++the_link.mine().sent[channel];
    if (const s64 rc = events::send(the_link.ports_there[channel]); rc != 0 && !the_link.mortal)
        fail("event to the peer cannot be sent: ", rc);
    worker.did(Deed::peer);
}

void listen(u32 channel)
{
    const u64 heard = the_link.mine().heard[channel];
    if (const u64 sent = the_link.theirs->sent[channel]; heard > sent)
        fail("the peer sent ", sent, " events on channel ", channel, " and ", heard, " came");
}

} // namespace

void work(Worker& worker, bool starting)
{
    worker.visits = true;
    if (linked()) {
        for (u32 channel = worker.id; starting && channel < the_link.theirs->channels; channel += processors)
            send(worker, channel);
        if (worker.id < the_link.theirs->channels)
            listen(worker.id);
        const u32 number = static_cast<u32>(worker.any(kSlots)) / processors * processors + worker.id;
        if (number < kSlots) {
            own(worker, number, starting);
            visit(worker, number);
        }
    }
    worker.visits = false;
}

bool quiet(Worker& worker)
{
    worker.visits = true;
    bool all      = true;
    if (linked()) {
        for (u32 channel = worker.id; channel < the_link.theirs->channels; channel += processors)
            all = has_arrived(worker, channel) && all;
        for (u32 number = worker.id; number < kSlots; number += processors)
            all = the_link.mine().slots[number].ref == 0 && all;
    }
    worker.visits = false;
    return all;
}

} // namespace vmm::stress::peer
