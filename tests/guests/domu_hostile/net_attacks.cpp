// SPDX-License-Identifier: Apache-2.0
#include "domu_hostile/attacks.hpp"
#include "domu_hostile/raw_device.hpp"

#include <xen/io/netif.h>

#include <atomic>

namespace vmm::domu
{

using guest::Front_phase;
using guest::kMillisecond;

namespace
{

constexpr u32 kTx = 0;
constexpr u32 kRx = 1;

Raw_memory memory;
constinit Raw_device net(memory, Raw_device::Kind::net);

bool connect(std::span<const Node> lies = {}, u64 seconds = 20)
{
    net.lie(lies);
    return net.open(store, "device/vif/0") && net.settle(Front_phase::running, guest::in_seconds(seconds));
}

Outcome leave()
{
    net.close();
    return net.settle(Front_phase::closed, guest::in_seconds(20))
               ? good()
               : failure("the backend keeps ", net.held(), " pages");
}

u32 answered(u32 ring) { return std::atomic_ref(net.head(ring).response_producer).load(); }

netif_tx_request sound(u32 page = 0)
{
    netif_tx_request request{};
    request.gref = net.ref(page);
    request.size = 60;
    request.id   = static_cast<u16>(page);
    return request;
}

// All of the requests have to be answered, and none as sent.
Outcome refused(std::span<const netif_tx_request> requests)
{
    const u32 first = net.next[kTx];
    for (const netif_tx_request& request : requests)
        net.write(kTx, net.next[kTx]++, &request, sizeof request);
    net.show(kTx, net.next[kTx]);
    net.notify();
    if (!guest::wait_until(
            [] {
                net.head(kTx).response_event = answered(kTx) + 1;
                return answered(kTx) == net.next[kTx];
            },
            guest::in_seconds(10)))
        return failure(answered(kTx) - first, " of ", requests.size(), " requests were answered");
    for (u32 i = 0; i < requests.size(); ++i) {
        if (net.status(kTx, first + i) == NETIF_RSP_OKAY)
            return failure("request ", i, " was taken");
    }
    return good();
}

// Bad requests, each refused alone.
Outcome requests()
{
    if (!connect())
        return failure("cannot connect");
    netif_tx_request odd[4];
    for (netif_tx_request& request : odd)
        request = sound();
    odd[0].gref = 1000; // nobody granted it
    odd[1].gref = ~0u;
    odd[2].size = 13; // no Ethernet header
    odd[3].size = 0;
    for (u32 i = 0; i < std::size(odd); ++i) {
        if (const Outcome outcome = refused({&odd[i], 1}); !outcome.good())
            return failure("odd request ", i, ": ", outcome.reason.text());
    }
    return leave();
}

// What ends the connection for good: the backend must stop reading, and say so by not answering.
Outcome fatal(std::span<const netif_tx_request> requests, u32 ahead = 0)
{
    if (!connect())
        return failure("cannot connect");
    for (const netif_tx_request& request : requests)
        net.write(kTx, net.next[kTx]++, &request, sizeof request);
    net.show(kTx, net.next[kTx] + ahead);
    net.notify();
    guest::wait_until([] { return false; }, guest::system_time() + 300 * kMillisecond);
    net.show(kTx, 0);
    net.notify();
    return leave();
}

Outcome far_ahead() { return fatal({}, 100'000); }
Outcome wrapped() { return fatal({}, ~0u); }

Outcome beyond_page()
{
    netif_tx_request request = sound();
    request.offset           = 4000;
    request.size             = 1000;
    return fatal({&request, 1});
}

Outcome endless_chain()
{
    netif_tx_request chain[40];
    for (netif_tx_request& request : chain) {
        request       = sound();
        request.flags = NETTXF_more_data;
        request.size  = 4000;
    }
    return fatal(chain);
}

Outcome odd_extra()
{
    netif_tx_request pair[2] = {sound(), {}};
    pair[0].flags            = NETTXF_extra_info;
    netif_extra_info extra{};
    extra.type  = 0xee;
    extra.flags = XEN_NETIF_EXTRA_FLAG_MORE;
    __builtin_memcpy(&pair[1], &extra, sizeof extra);
    return fatal(pair);
}

Outcome odd_segments()
{
    netif_tx_request pair[2] = {sound(), {}};
    pair[0].flags            = NETTXF_extra_info | NETTXF_csum_blank;
    netif_extra_info extra{};
    extra.type       = XEN_NETIF_EXTRA_TYPE_GSO;
    extra.u.gso.type = 0x77;
    __builtin_memcpy(&pair[1], &extra, sizeof extra);
    return fatal(pair);
}

// The ring is rewritten for as long as the backend reads it.
Outcome rewritten()
{
    if (!connect())
        return failure("cannot connect");
    u32 seed       = 1;
    const u64 end  = guest::system_time() + 1500 * kMillisecond;
    u32 producer   = 0;
    const u32 size = net.slots(kTx);
    while (guest::system_time() < end) {
        producer = answered(kTx) + size / 2;
        net.show(kTx, producer);
        net.notify();
        for (u32 i = 0; i < size; ++i) {
            seed                     = seed * 1664525 + 1013904223;
            netif_tx_request request = sound(i % kDataPages);
            request.offset           = static_cast<u16>(seed >> 20 & 0x7ff);
            request.size             = static_cast<u16>(seed >> 16 & 0x5ff);
            request.id               = static_cast<u16>(seed >> 12);
            net.write(kTx, i, &request, sizeof request);
        }
    }
    return leave();
}

// Frames on their way from pages that are withdrawn and given again.
Outcome withdrawn()
{
    if (!connect())
        return failure("cannot connect");
    const u64 end = guest::system_time() + 1000 * kMillisecond;
    while (guest::system_time() < end && net.next[kTx] - answered(kTx) < net.slots(kTx)) {
        const u32 page           = net.next[kTx] % kDataPages;
        netif_tx_request request = sound(page);
        request.size             = 1400;
        net.write(kTx, net.next[kTx]++, &request, sizeof request);
        net.show(kTx, net.next[kTx]);
        net.notify();
        net.set_grant(page, 0);
        for (u32 i = 0; i < kDataPages; ++i)
            net.set_grant(i, i == page ? 0 : GTF_permit_access);
    }
    for (u32 i = 0; i < kDataPages; ++i)
        net.set_grant(i, GTF_permit_access);
    return leave();
}

// Places to receive into that are none; dom0 sends into them.
Outcome receive()
{
    if (!connect())
        return failure("cannot connect");
    for (u32 i = 0; i < net.slots(kRx); ++i) {
        const netif_rx_request request{static_cast<u16>(i * 7919), 0,
                                       i % 3 == 0 ? 1000 + i : net.ref(i % kDataPages)};
        net.write(kRx, i, &request, sizeof request);
        net.set_grant(i % kDataPages, i % 2 == 0 ? GTF_permit_access | GTF_readonly : 0);
    }
    net.show(kRx, net.slots(kRx));
    net.notify();
    guest::wait_until([] { return false; }, guest::in_seconds(4));
    if (answered(kRx) == 0)
        return failure("nobody sent anything");
    for (u32 i = 0; i < net.slots(kRx); ++i) {
        if (net.status(kRx, i) > 0 && i < answered(kRx))
            return failure("a frame went into a page that may not be written: ", net.status(kRx, i));
    }
    net.show(kRx, 100'000);
    net.notify();
    guest::wait_until([] { return false; }, guest::in_seconds(2));
    for (u32 i = 0; i < kDataPages; ++i)
        net.set_grant(i, GTF_permit_access);
    return leave();
}

// Gone with everything in flight, again and again.
Outcome vanish()
{
    for (u32 round = 0; round < 5; ++round) {
        if (round == 0 ? !connect()
                       : (net.reopen(), !net.settle(Front_phase::running, guest::in_seconds(20))))
            return failure("cannot connect in round ", round);
        for (u32 i = 0; i < net.slots(kTx); ++i) {
            netif_tx_request request = sound(i % kDataPages);
            request.size             = 1400;
            net.write(kTx, net.next[kTx]++, &request, sizeof request);
        }
        net.show(kTx, net.next[kTx]);
        net.notify();
        if (const Outcome outcome = leave(); !outcome.good())
            return outcome;
    }
    return good();
}

Outcome events()
{
    if (!connect())
        return failure("cannot connect");
    const u64 end = guest::system_time() + 1000 * kMillisecond;
    while (guest::system_time() < end)
        net.notify();
    return leave();
}

// The stock backend says Connected even after it has refused, so only what comes after tells.
Outcome nodes()
{
    static constexpr Node kLies[] = {
        {"tx-ring-ref", "1000"},
        {"tx-ring-ref", "4294967295"},
        {"tx-ring-ref", "x"},
        {"rx-ring-ref", "-1"},
        {"rx-ring-ref", "99999999999999999999"},
        {"event-channel", "0"},
        {"event-channel", "4000"},
        {"event-channel", "rubbish"},
        {"multi-queue-num-queues", "1000000"},
    };
    for (const Node& lie : kLies) {
        connect({&lie, 1}, 1);
        if (const Outcome outcome = leave(); !outcome.good())
            return failure(lie.name, " = ", lie.value, ": ", outcome.reason.text());
        guest::Line node;
        node.put("device/vif/0/");
        node.put(lie.name);
        store.remove(node.text());
    }
    return connect() ? leave() : failure("cannot connect any more");
}

struct Attack {
    std::string_view name;
    Outcome (*run)();
};
constexpr Attack kAttacks[] = {
    {"requests", requests},
    {"far-ahead", far_ahead},
    {"wrapped", wrapped},
    {"beyond-page", beyond_page},
    {"endless-chain", endless_chain},
    {"odd-extra", odd_extra},
    {"odd-segments", odd_segments},
    {"rewritten", rewritten},
    {"withdrawn", withdrawn},
    {"receive", receive},
    {"vanish", vanish},
    {"events", events},
    {"nodes", nodes},
};

} // namespace

Outcome net_attack(Words words)
{
    for (const Attack& attack : kAttacks) {
        if (attack.name == words[0])
            return attack.run();
    }
    return failure("no attack ", words[0]);
}

} // namespace vmm::domu
