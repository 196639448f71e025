// SPDX-License-Identifier: Apache-2.0
#include "domu_hostile/attacks.hpp"
#include "domu_hostile/raw_device.hpp"

#include "protocol/number.hpp"

#include <xen/io/blkif.h>

#include <atomic>

namespace vmm::domu
{

using guest::Front_phase;
using guest::kMillisecond;

namespace
{

Raw_memory memory;
constinit Raw_device disk(memory, Raw_device::Kind::disk);
char directory[32]   = "device/vbd/";
u64 directory_length = 0;

bool connect(std::span<const Node> lies = {}, u64 seconds = 20)
{
    disk.lie(lies);
    return disk.open(store, {directory, directory_length}) &&
           disk.settle(Front_phase::running, guest::in_seconds(seconds));
}

Outcome leave()
{
    disk.close();
    return disk.settle(Front_phase::closed, guest::in_seconds(20))
               ? good()
               : failure("the backend keeps ", disk.held(), " pages");
}

u32 answered() { return std::atomic_ref(disk.head(0).response_producer).load(); }

// The disk's end, from its own description.
u64 sectors()
{
    guest::Line node;
    node.put(std::string_view(directory, directory_length));
    node.put("/backend");
    guest::Line path;
    path.put(store.read(node.text()).text);
    path.put("/sectors");
    return protocol::number_from(store.read(path.text()).text, 0);
}

// One sector, from or to data page 0.
blkif_request sound(u8 operation, u64 sector = 0)
{
    blkif_request request{};
    request.operation     = operation;
    request.nr_segments   = 1;
    request.sector_number = sector;
    request.seg[0]        = {disk.ref(0), 0, 0};
    return request;
}

template <class Request>
void post(const Request& request)
{
    static_assert(sizeof(Request) <= sizeof(blkif_request));
    disk.write(0, disk.next[0]++, &request, sizeof request);
}

bool all_answered(u64 seconds)
{
    disk.show(0, disk.next[0]);
    disk.notify();
    return guest::wait_until(
        [] {
            disk.head(0).response_event = answered() + 1;
            return answered() == disk.next[0];
        },
        guest::in_seconds(seconds));
}

template <class Request>
Outcome refused(const Request& request)
{
    const u32 at = disk.next[0];
    post(request);
    if (!all_answered(10))
        return failure("no answer");
    return disk.status(0, at) == BLKIF_RSP_OKAY ? failure("it was taken") : good();
}

blkif_request_indirect indirect(u8 operation, u16 segments, u64 sector = 0)
{
    blkif_request_indirect request{};
    request.operation         = BLKIF_OP_INDIRECT;
    request.indirect_op       = operation;
    request.nr_segments       = segments;
    request.sector_number     = sector;
    request.indirect_grefs[0] = disk.ref(1);
    auto* const list          = disk.data(1).as<blkif_request_segment>();
    for (u32 i = 0; i < guest::kPageSize / sizeof *list; ++i)
        list[i] = {disk.ref(2), 0, 7};
    return request;
}

// Each of these has to be refused by itself, and a good one afterwards to be done.
Outcome requests()
{
    if (!connect())
        return failure("cannot connect");
    const u64 end = sectors();
    u32 number    = 0;
    Outcome outcome;
    const auto expect_refusal = [&](const auto& request) {
        ++number;
        if (outcome.good())
            if (const Outcome one = refused(request); !one.good())
                outcome = failure("odd request ", number, ": ", one.reason.text());
    };
    const auto odd = [&](u8 operation, u64 sector, auto change) {
        blkif_request request = sound(operation, sector);
        change(request);
        expect_refusal(request);
    };
    const auto as_it_is = [](blkif_request&) {};
    odd(BLKIF_OP_READ, end, as_it_is); // 1
    odd(BLKIF_OP_WRITE, end, as_it_is);
    odd(BLKIF_OP_WRITE, ~u64{0}, as_it_is);
    odd(BLKIF_OP_WRITE, ~u64{0} - 6, [](blkif_request& r) { r.seg[0].last_sect = 7; });
    odd(BLKIF_OP_WRITE, end - 1, [](blkif_request& r) { r.seg[0].last_sect = 1; }); // 5
    odd(0xff, 0, as_it_is);
    odd(BLKIF_OP_RESERVED_1, 0, as_it_is);
    odd(BLKIF_OP_READ, 0, [](blkif_request& r) { r.nr_segments = 12; });
    odd(BLKIF_OP_WRITE, 0, [](blkif_request& r) { r.nr_segments = 255; });
    odd(BLKIF_OP_READ, 0, [](blkif_request& r) { r.nr_segments = 0; }); // 10
    odd(BLKIF_OP_WRITE, 0, [](blkif_request& r) { r.seg[0] = {r.seg[0].gref, 5, 2}; });
    odd(BLKIF_OP_WRITE, 0, [](blkif_request& r) { r.seg[0].last_sect = 8; });
    odd(BLKIF_OP_READ, 0, [](blkif_request& r) { r.seg[0].last_sect = 255; });
    odd(BLKIF_OP_READ, 0, [](blkif_request& r) { r.seg[0].gref = 1000; });
    odd(BLKIF_OP_WRITE, 0, [](blkif_request& r) { r.seg[0].gref = ~0u; }); // 15
    disk.set_grant(0, GTF_permit_access | GTF_readonly);
    odd(BLKIF_OP_READ, 0, as_it_is);
    disk.set_grant(0, 0);
    odd(BLKIF_OP_WRITE, 0, as_it_is);
    disk.set_grant(0, GTF_permit_access);
    expect_refusal(indirect(BLKIF_OP_INDIRECT, 4));
    expect_refusal(indirect(BLKIF_OP_WRITE, 0xffff));
    expect_refusal(indirect(0xff, 4)); // 20
    expect_refusal(indirect(BLKIF_OP_WRITE, 20, end - 8));
    blkif_request_indirect nowhere = indirect(BLKIF_OP_WRITE, 20);
    nowhere.indirect_grefs[0]      = 1000;
    expect_refusal(nowhere);
    blkif_request_indirect bent                  = indirect(BLKIF_OP_WRITE, 20);
    disk.data(1).as<blkif_request_segment>()[19] = {disk.ref(2), 7, 3};
    expect_refusal(bent);
    blkif_request_discard discard{};
    discard.operation     = BLKIF_OP_DISCARD;
    discard.sector_number = end - 1;
    discard.nr_sectors    = 2;
    expect_refusal(discard);
    discard.sector_number = 8;
    discard.nr_sectors    = ~u64{0}; // 25
    expect_refusal(discard);
    if (!outcome.good())
        return outcome;
    const u32 at = disk.next[0];
    post(sound(BLKIF_OP_READ));
    if (!all_answered(10) || disk.status(0, at) != BLKIF_RSP_OKAY)
        return failure("a good request is not done after ", number, " bad ones");
    return leave();
}

Outcome read_only()
{
    if (!connect())
        return failure("cannot connect");
    for (const u8 operation : {BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER}) {
        if (const Outcome outcome = refused(sound(operation)); !outcome.good())
            return failure("write ", u32{operation}, ": ", outcome.reason.text());
    }
    if (const Outcome outcome = refused(indirect(BLKIF_OP_WRITE, 20)); !outcome.good())
        return failure("an indirect write: ", outcome.reason.text());
    blkif_request_discard discard{};
    discard.operation  = BLKIF_OP_DISCARD;
    discard.nr_sectors = 8;
    if (const Outcome outcome = refused(discard); !outcome.good())
        return failure("a discard: ", outcome.reason.text());
    return leave();
}

// The backend must stop reading such a ring.
Outcome ahead_by(u32 ahead)
{
    if (!connect())
        return failure("cannot connect");
    post(sound(BLKIF_OP_READ));
    disk.show(0, disk.next[0] + ahead);
    disk.notify();
    guest::wait_until([] { return false; }, guest::system_time() + 300 * kMillisecond);
    if (answered() > disk.next[0] + disk.slots(0))
        return failure("the backend has answered ", answered(), " requests of a ring that makes no sense");
    return leave();
}

Outcome far_ahead() { return ahead_by(100'000); }
Outcome just_ahead() { return ahead_by(disk.slots(0)); }
Outcome wrapped() { return ahead_by(~0u - 1); }

// Reads whose slots change after they were published: sectors, segments, lengths.
Outcome rewritten()
{
    if (!connect())
        return failure("cannot connect");
    u32 seed      = 1;
    const u64 end = guest::system_time() + 1500 * kMillisecond;
    while (guest::system_time() < end) {
        disk.show(0, answered() + disk.slots(0) / 2);
        disk.notify();
        for (u32 i = 0; i < disk.slots(0); ++i) {
            seed                  = seed * 1664525 + 1013904223;
            blkif_request request = sound(BLKIF_OP_READ, seed >> 8 & 0xff);
            request.nr_segments   = static_cast<u8>(seed >> 16 & 15);
            for (u32 s = 0; s < BLKIF_MAX_SEGMENTS_PER_REQUEST; ++s)
                request.seg[s] = {disk.ref((i + s) % kDataPages), static_cast<u8>(seed >> 20 & 3),
                                  static_cast<u8>(seed >> 24 & 15)};
            disk.write(0, i, &request, sizeof request);
        }
    }
    return leave();
}

// The list of segments changes while the backend reads it.
Outcome rewritten_list()
{
    if (!connect())
        return failure("cannot connect");
    auto* const list = disk.data(1).as<volatile blkif_request_segment>();
    const u64 end    = guest::system_time() + 1000 * kMillisecond;
    while (guest::system_time() < end) {
        post(indirect(BLKIF_OP_READ, 30));
        disk.show(0, disk.next[0]);
        disk.notify();
        for (u32 round = 0; round < 200 && answered() != disk.next[0]; ++round) {
            for (u32 i = 0; i < 30; ++i)
                list[i].last_sect = round % 2 ? 7 : 200;
        }
        if (!all_answered(10))
            return failure("no answer");
    }
    return leave();
}

void many_reads()
{
    for (u32 i = 0; i < disk.slots(0); ++i) {
        blkif_request request = sound(BLKIF_OP_READ, i * 8);
        request.nr_segments   = BLKIF_MAX_SEGMENTS_PER_REQUEST;
        for (u32 s = 0; s < BLKIF_MAX_SEGMENTS_PER_REQUEST; ++s)
            request.seg[s] = {disk.ref((i + s) % kDataPages), 0, 7};
        post(request);
    }
    disk.show(0, disk.next[0]);
    disk.notify();
}

// Pages withdrawn while they are read into.
Outcome withdrawn()
{
    if (!connect())
        return failure("cannot connect");
    for (u32 round = 0; round < 20; ++round) {
        many_reads();
        for (u32 i = 0; i < kDataPages; ++i)
            disk.set_grant(i, 0);
        for (u32 i = 0; i < kDataPages; i += 2)
            disk.set_grant(i, GTF_permit_access);
        if (!all_answered(20))
            return failure("round ", round, ": no answer");
        for (u32 i = 0; i < kDataPages; ++i)
            disk.set_grant(i, GTF_permit_access);
    }
    return leave();
}

// Gone with everything in flight. The stock backend may then say Closed and keep the ring until the next one
// connects, so a page that is kept is no failure but the last round has to end well.
Outcome vanish()
{
    for (u32 round = 0; round < 5; ++round) {
        if (!connect())
            return failure("cannot connect in round ", round);
        many_reads();
        disk.close();
        disk.settle(Front_phase::closed, guest::in_seconds(3));
    }
    return connect() ? leave() : failure("cannot connect any more");
}

Outcome events()
{
    if (!connect())
        return failure("cannot connect");
    const u64 end = guest::system_time() + 1000 * kMillisecond;
    while (guest::system_time() < end)
        disk.notify();
    return leave();
}

// None of these may connect.
Outcome nodes()
{
    static constexpr Node kLies[] = {
        {"ring-ref", "1000"},      {"ring-ref", "4294967295"},
        {"ring-ref", "x"},         {"ring-ref", ""},
        {"event-channel", "0"},    {"event-channel", "4000"},
        {"event-channel", "-1"},   {"protocol", "rubbish"},
        {"ring-page-order", "20"}, {"multi-queue-num-queues", "1000000"},
    };
    for (const Node& lie : kLies) {
        if (connect({&lie, 1}, 1))
            return failure("with ", lie.name, " = '", lie.value, "' the backend connects");
        if (const Outcome outcome = leave(); !outcome.good())
            return failure(lie.name, " = '", lie.value, "': ", outcome.reason.text());
        guest::Line node;
        node.put(std::string_view(directory, directory_length));
        node.put("/");
        node.put(lie.name);
        store.remove(node.text());
    }
    return good();
}

struct Attack {
    std::string_view name;
    Outcome (*run)();
};
constexpr Attack kAttacks[] = {
    {"requests", requests},   {"read-only", read_only},
    {"far-ahead", far_ahead}, {"just-ahead", just_ahead},
    {"wrapped", wrapped},     {"rewritten", rewritten},
    {"withdrawn", withdrawn}, {"rewritten-list", rewritten_list},
    {"vanish", vanish},       {"events", events},
    {"nodes", nodes},
};

} // namespace

Outcome disk_attack(Words words)
{
    constexpr u64 kPrefix = 11;
    directory_length      = kPrefix + words[0].copy(directory + kPrefix, sizeof directory - kPrefix);
    for (const Attack& attack : kAttacks) {
        if (attack.name == words[1])
            return attack.run();
    }
    return failure("no attack ", words[1]);
}

} // namespace vmm::domu
