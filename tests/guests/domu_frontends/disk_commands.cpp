// SPDX-License-Identifier: Apache-2.0
#include "domu_frontends/commands.hpp"

#include "guest/block.hpp"

#include <algorithm>

namespace vmm::domu
{

using guest::Block;
using guest::Block_operation;
using guest::Block_outcome;
using guest::Block_refusal;
using guest::Block_request;
using guest::Front_phase;
using guest::kSectorSize;
using guest::Page;

namespace
{

constexpr u64 kPatience = 60; // seconds
constexpr u32 kInFlight = 16;

guest::Block_memory memory;
constinit Block disk(memory);
char directory[32] = "device/vbd/";
Page buffers[kInFlight][guest::kBlockSegments];

constexpr std::string_view kRefusals[] = {"taken",        "not running", "busy",       "read-only",
                                          "out of range", "bad length",  "unsupported"};
constexpr std::string_view kOutcomes[] = {"pending", "done", "failed", "unsupported", "lost"};

std::string_view word_for(Block_refusal refusal) { return kRefusals[static_cast<u8>(refusal)]; }
std::string_view word_for(Block_outcome outcome) { return kOutcomes[static_cast<u8>(outcome)]; }

// What belongs into a sector: no two sectors of a seed, and no two seeds of a sector, have the same.
// tests/system/lib/sectors.py makes the same.
u64 word_of(u64 seed, u64 sector, u64 word) { return (seed << 40 | sector << 6 | word) * 0x9e3779b97f4a7c15; }

void fill(Page* pages, u64 seed, u64 sector, u64 sectors)
{
    u64* words = pages->as<u64>();
    for (u64 i = 0; i < sectors * (kSectorSize / 8); ++i)
        words[i] = word_of(seed, sector + i / (kSectorSize / 8), i % (kSectorSize / 8));
}

// The first sector that is not as it should be; `sectors` if all are.
u64 first_wrong(Page* pages, u64 seed, u64 sector, u64 sectors)
{
    const u64* words = pages->as<u64>();
    for (u64 i = 0; i < sectors * (kSectorSize / 8); ++i) {
        if (words[i] != word_of(seed, sector + i / (kSectorSize / 8), i % (kSectorSize / 8)))
            return i / (kSectorSize / 8);
    }
    return sectors;
}

struct Flight {
    bool used = false;
    u32 slot  = 0;
    u64 sector;
    u64 sectors;
};

struct Range {
    u64 seed;
    u64 next;
    u64 end;
    u64 requests = 0;
};

// Puts as many requests of ever other lengths on their way as there is room for.
Block_refusal start_some(Block_operation operation, Flight (&flights)[kInFlight], Range& range)
{
    const u64 unit = disk.disk().sector_size / kSectorSize;
    const u64 most = u64{disk.disk().segments} * 8 / unit;
    for (u32 i = 0; i < kInFlight && range.next < range.end; ++i) {
        if (flights[i].used)
            continue;
        const u64 length = std::min((1 + range.requests * 37 % most) * unit, range.end - range.next);
        if (operation == Block_operation::write)
            fill(buffers[i], range.seed, range.next, length);
        const Block::Ticket ticket = disk.submit({operation, range.next, length, buffers[i]});
        if (ticket.refusal == Block_refusal::busy)
            break;
        if (ticket.refusal != Block_refusal::none)
            return ticket.refusal;
        flights[i] = {true, ticket.slot, range.next, length};
        range.next += length;
        ++range.requests;
    }
    disk.send();
    return Block_refusal::none;
}

Outcome finish_some(Block_operation operation, Flight (&flights)[kInFlight], u64 seed, u32& left)
{
    left = 0;
    for (u32 i = 0; i < kInFlight; ++i) {
        Flight& flight = flights[i];
        if (!flight.used)
            continue;
        const Block_outcome outcome = disk.collect(flight.slot);
        if (outcome == Block_outcome::pending) {
            ++left;
            if (disk.phase() != Front_phase::running && disk.phase() != Front_phase::draining)
                return failure("sector ", flight.sector, ": the device has gone");
            continue;
        }
        flight.used = false;
        if (outcome != Block_outcome::done)
            return failure("sector ", flight.sector, ": ", word_for(outcome));
        if (operation != Block_operation::read)
            continue;
        if (const u64 wrong = first_wrong(buffers[i], seed, flight.sector, flight.sectors);
            wrong != flight.sectors)
            return failure("sector ", flight.sector + wrong, " is not what was written");
    }
    return good();
}

Outcome transfer(Block_operation operation, Words words)
{
    Range range{number(words[0], 0), number(words[1], 0), 0};
    range.end = range.next + number(words[2], 0);
    if (range.next == range.end)
        return failure("no sectors");
    Flight flights[kInFlight];
    u32 left = 0;
    do {
        if (const Block_refusal refusal = start_some(operation, flights, range);
            refusal != Block_refusal::none)
            return failure("sector ", range.next, ": ", word_for(refusal));
        if (!guest::wait_until([] { return disk.poll(); }, guest::in_seconds(kPatience)))
            return failure("no answer");
        if (const Outcome outcome = finish_some(operation, flights, range.seed, left); !outcome.good())
            return outcome;
    } while (left != 0 || range.next < range.end);
    guest::print("requests: ", range.requests);
    return good();
}

Outcome one(const Block_request& request)
{
    Block_refusal refusal       = Block_refusal::none;
    const Block_outcome outcome = disk.run(request, guest::in_seconds(kPatience), &refusal);
    if (refusal != Block_refusal::none)
        return failure(word_for(refusal));
    return outcome == Block_outcome::done ? good() : failure(word_for(outcome));
}

Outcome settled(Front_phase phase)
{
    if (disk.settle(phase, guest::in_seconds(kPatience)))
        return good();
    return failure("it stays in phase ", static_cast<u32>(disk.phase()), " with ", disk.held(),
                   " pages held");
}

} // namespace

void follow_disk()
{
    if (disk.phase() != Front_phase::gone)
        disk.step();
}

Outcome disk_open(Words words)
{
    constexpr u64 kPrefix = 11;
    if (words[0].size() > sizeof directory - kPrefix)
        return failure("no such device");
    const u64 length = kPrefix + words[0].copy(directory + kPrefix, sizeof directory - kPrefix);
    if (!disk.open(store, {directory, length}))
        return failure("there is no such disk");
    return settled(Front_phase::running);
}

Outcome disk_show(Words)
{
    disk.step();
    const guest::Disk& d = disk.disk();
    guest::print("sectors: ", d.sectors, " of ", d.sector_size, d.read_only ? ", read-only" : ", writable",
                 d.flush ? ", flush" : "", d.discard ? ", discard" : "", ", segments: ", d.segments);
    return good();
}

Outcome disk_close(Words)
{
    disk.close();
    return settled(Front_phase::closed);
}

Outcome disk_reopen(Words)
{
    disk.reopen();
    return settled(Front_phase::running);
}

Outcome disk_gone(Words) { return settled(Front_phase::gone); }
Outcome disk_fill(Words words) { return transfer(Block_operation::write, words); }
Outcome disk_verify(Words words) { return transfer(Block_operation::read, words); }
Outcome disk_flush(Words) { return one({Block_operation::flush}); }
Outcome disk_discard(Words words)
{
    return one({Block_operation::discard, number(words[0]), number(words[1])});
}
Outcome disk_try_write(Words words)
{
    return one({Block_operation::write, number(words[0]), number(words[1]), buffers[0]});
}
Outcome disk_try_read(Words words)
{
    return one({Block_operation::read, number(words[0]), number(words[1]), buffers[0]});
}

} // namespace vmm::domu
