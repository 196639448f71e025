// SPDX-License-Identifier: Apache-2.0
#include "domu_stress/link.hpp"

#include "domu_stress/peer.hpp"
#include "domu_stress/ports.hpp"

#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"

namespace vmm::stress::peer
{

using namespace vmm::guest;

constinit Link the_link;

namespace
{

constexpr u64 kNoMemory      = 0x1'4000'0000; // above any memory such a guest has
constexpr u64 kContractThere = kNoMemory;
constexpr u64 kNapOfWaiting  = 20 * kMillisecond;

Page contract_page;
Page pages[kSlots];

void heard(void* of) { static_cast<std::atomic<u64>*>(of)->fetch_add(1); }

// Takes a grant back that the other side may still have mapped: it is letting go, or is being destroyed.
void take_back(u32 ref)
{
    Worker& worker  = me();
    const u64 begin = worker.lived;
    while (!grants::revoke(ref)) {
        worker.look();
        if (worker.lived - begin > kPatience) {
            fail("domain ", the_link.peer, " is to let go of reference ", ref, " and does not");
            return;
        }
        worker.nap(kNapOfWaiting);
        worker.alarm_works();
    }
}

// Nobody has seen it yet.
void write_contract()
{
    Contract& mine = the_link.mine();
    __builtin_memset(&contract_page, 0, sizeof contract_page);
    mine.salt     = rdtsc();
    mine.channels = processors;
    for (u32 vcpu = 0; vcpu < processors; ++vcpu) {
        const s64 port = events::alloc_unbound(the_link.peer);
        if (port <= 0) {
            fail("no port for the peer: ", port);
            return;
        }
        mine.ports[vcpu] = static_cast<u32>(port);
        evtchn_bind_vcpu bind{mine.ports[vcpu], vcpu};
        if (const s64 rc = event_op(EVTCHNOP_bind_vcpu, &bind); rc != 0)
            fail("a port cannot be bound to vCPU ", vcpu, ": ", rc);
        ports::handle(mine.ports[vcpu], vcpu, heard, &mine.heard[vcpu]);
    }
}

// Until the peer has granted its own.
bool map_contract(bool (*go_on)())
{
    for (;;) {
        const auto op = grants::map(the_link.peer, kContractRef, kContractThere, true);
        if (op.status == GNTST_okay) {
            the_link.handle = op.handle;
            the_link.theirs = at_gpa<Contract>(kContractThere);
            return true;
        }
        if (!go_on() || trouble != Trouble::none)
            return false;
        me().look();
        me().nap(kNapOfWaiting);
        me().alarm_works();
    }
}

void bind_ports()
{
    for (u32 channel = 0; channel < the_link.theirs->channels; ++channel) {
        const s64 port = events::bind_interdomain(the_link.peer, the_link.theirs->ports[channel]);
        if (port <= 0 && !the_link.mortal)
            fail("the peer's port ", the_link.theirs->ports[channel], " cannot be bound: ", port);
        the_link.ports_there[channel] = port > 0 ? static_cast<evtchn_port_t>(port) : 0;
    }
}

void close_ports()
{
    for (evtchn_port_t& port : the_link.ports_there) {
        if (port != 0)
            ports::close(port);
        port = 0;
    }
    for (u32 vcpu = 0; vcpu < the_link.mine().channels; ++vcpu)
        ports::close(the_link.mine().ports[vcpu]);
}

void take_back_pages()
{
    for (Slot& slot : the_link.mine().slots) {
        if (slot.ref != 0)
            take_back(slot.ref);
        slot.ref = 0;
    }
    take_back(kContractRef);
}

} // namespace

Contract& Link::mine() { return *contract_page.as<Contract>(); }
Page& Link::page(u32 slot) { return pages[slot]; }

u64 window_address(u32 window) { return kNoMemory + (1 + window) * kPageSize; }

bool link(domid_t to, bool mortal, bool (*go_on)())
{
    the_link.peer   = to;
    the_link.mortal = mortal;
    write_contract();
    grants::allow(kContractRef, to, gfn_of(&contract_page), true);
    if (!map_contract(go_on)) {
        the_link.theirs = nullptr;
        close_ports();
        take_back_pages();
        return false;
    }
    bind_ports();
    the_link.up = true;
    return true;
}

void unlink()
{
    the_link.up = false;
    for (u32 vcpu = 0; vcpu < processors; ++vcpu)
        while (workers[vcpu].visits && trouble == Trouble::none)
            me().yield();
    if (const s16 status = grants::unmap(the_link.handle, kContractThere); status != GNTST_okay)
        fail("the contract cannot be unmapped: ", status);
    close_ports();
    take_back_pages();
    the_link.theirs = nullptr;
}

bool linked() { return the_link.up; }

void say_settled() { the_link.mine().settled = 1; }
bool peer_settled() { return the_link.theirs->settled != 0; }

void compare()
{
    for (u32 channel = 0; channel < the_link.mine().channels; ++channel) {
        const u64 sent  = the_link.theirs->sent[channel];
        const u64 heard = the_link.mine().heard[channel];
        if (sent != heard)
            fail("the peer sent ", sent, " events on channel ", channel, " and ", heard, " came");
    }
}

} // namespace vmm::stress::peer
