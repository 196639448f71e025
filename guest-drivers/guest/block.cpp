// SPDX-License-Identifier: Apache-2.0
#include "guest/block.hpp"

#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "protocol/number.hpp"

#include <xen/io/protocols.h>

#include <algorithm>

namespace vmm::guest
{

namespace
{

constexpr u32 kSectorsInPage = kPageSize / kSectorSize;
constexpr u64 kMostSectors   = ~u64{0} / kSectorSize; // so that bytes can be counted

constexpr u8 kWireOperations[] = {BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_DISCARD};

bool moves_data(Block_operation operation)
{
    return operation == Block_operation::read || operation == Block_operation::write;
}

// The piece of a request that lies in its page number `page`.
blkif_request_segment segment(const Block_request& request, u32 page, grant_ref_t ref)
{
    const u64 left = request.sectors - u64{page} * kSectorsInPage;
    return {ref, 0, static_cast<u8>(std::min<u64>(left, kSectorsInPage) - 1)};
}

Block_outcome outcome_of(s16 status)
{
    if (status == BLKIF_RSP_OKAY)
        return Block_outcome::done;
    return status == BLKIF_RSP_EOPNOTSUPP ? Block_outcome::unsupported : Block_outcome::failed;
}

} // namespace

Block_refusal check(const Block_request& request, const Disk& disk)
{
    if (request.operation == Block_operation::flush)
        return disk.flush ? Block_refusal::none : Block_refusal::unsupported;
    if (request.operation == Block_operation::discard && !disk.discard)
        return Block_refusal::unsupported;
    if (request.operation != Block_operation::read && disk.read_only)
        return Block_refusal::read_only;
    const u32 unit = disk.sector_size / kSectorSize;
    if (request.sectors == 0 || request.sector % unit != 0 || request.sectors % unit != 0)
        return Block_refusal::length;
    if (moves_data(request.operation) &&
        (request.pages == nullptr || request.sectors > u64{disk.segments} * kSectorsInPage))
        return Block_refusal::length;
    if (request.sector > disk.sectors || request.sectors > disk.sectors - request.sector)
        return Block_refusal::out_of_range;
    return Block_refusal::none;
}

bool Block::share()
{
    const u64 number = protocol::number_from(name(), ~u64{0});
    const s64 port   = events::alloc_unbound(backend());
    if (port > 0)
        port_ = static_cast<evtchn_port_t>(port);
    if (number > 0xffffffff || port <= 0)
        return false;
    handle_ = static_cast<blkif_vdev_t>(number);
    ring_.emplace(&memory_.ring, sizeof memory_.ring);
    ring_ref_  = grants::share(backend(), &memory_.ring, true);
    bool whole = ring_ref_ != 0;
    for (u32 i = 0; i < kBlockRequests; ++i) {
        indirect_refs_[i] = grants::share(backend(), &memory_.indirect[i], false);
        whole             = whole && indirect_refs_[i] != 0;
    }
    if (whole)
        events::listen(port_, events::ignore);
    return whole;
}

bool Block::publish()
{
    return put("ring-ref", ring_ref_) && put("event-channel", port_) &&
           put("protocol", XEN_IO_PROTO_ABI_X86_64) && put("feature-persistent", u64{0});
}

// The size may change while the disk is in use; how it is divided may not.
bool Block::agree()
{
    Disk now;
    const u64 size = ask_number("sector-size", kSectorSize);
    now.sectors    = ask_number("sectors", ~u64{0});
    if (now.sectors > kMostSectors || size < kSectorSize || size > kPageSize || (size & (size - 1)) != 0)
        return false;
    now.sector_size    = static_cast<u32>(size);
    const u64 indirect = ask_number("feature-max-indirect-segments", 0);
    now.segments =
        static_cast<u32>(std::clamp<u64>(indirect, BLKIF_MAX_SEGMENTS_PER_REQUEST, kBlockSegments));
    now.read_only = (ask_number("info", 0) & VDISK_READONLY) != 0;
    now.flush     = ask_number("feature-flush-cache", 0) == 1;
    now.discard   = ask_number("feature-discard", 0) == 1;
    disk_         = now;
    return true;
}

u32 Block::take_back()
{
    if (port_ != 0)
        events::close(port_);
    port_    = 0;
    u32 held = !grants::unshare(ring_ref_);
    for (u32 i = 0; i < kBlockRequests; ++i) {
        held += !grants::unshare(indirect_refs_[i]);
        const u32 pages = ungrant(slots_[i]);
        held += pages;
        if (slots_[i].used && pages == 0 && slots_[i].outcome == Block_outcome::pending) {
            slots_[i].outcome = Block_outcome::lost;
            slots_[i].used    = !slots_[i].abandoned;
        }
    }
    return held;
}

// The backend writes into the pages of a read.
bool Block::grant(Slot& slot, const Block_request& request)
{
    slot.pages = 0;
    if (!moves_data(request.operation))
        return true;
    const auto pages = static_cast<u32>((request.sectors + kSectorsInPage - 1) / kSectorsInPage);
    for (u32 i = 0; i < pages; ++i) {
        const grant_ref_t ref =
            grants::share(backend(), request.pages + i, request.operation == Block_operation::read);
        if (ref == 0)
            return false;
        slot.refs[slot.pages++] = ref;
    }
    return true;
}

// How many are still in use.
u32 Block::ungrant(Slot& slot)
{
    u32 held = 0;
    for (u32 i = 0; i < slot.pages; ++i)
        held += !grants::unshare(slot.refs[i]);
    if (held == 0)
        slot.pages = 0;
    return held;
}

void Block::fill(u32 slot, const Block_request& request)
{
    const Slot& own          = slots_[slot];
    blkif_request& wire      = ring_->next();
    const auto segment_count = static_cast<u8>(own.pages);
    if (request.operation == Block_operation::discard) {
        blkif_request_discard discard{};
        discard.operation     = own.wire_operation;
        discard.handle        = handle_;
        discard.id            = slot;
        discard.sector_number = request.sector;
        discard.nr_sectors    = request.sectors;
        __builtin_memcpy(&wire, &discard, sizeof discard);
    } else if (own.pages <= BLKIF_MAX_SEGMENTS_PER_REQUEST) {
        wire               = {};
        wire.operation     = own.wire_operation;
        wire.nr_segments   = segment_count;
        wire.handle        = handle_;
        wire.id            = slot;
        wire.sector_number = request.sector;
        for (u32 i = 0; i < own.pages; ++i)
            wire.seg[i] = segment(request, i, own.refs[i]);
    } else {
        blkif_request_indirect indirect{};
        indirect.operation         = BLKIF_OP_INDIRECT;
        indirect.indirect_op       = own.wire_operation;
        indirect.nr_segments       = segment_count;
        indirect.id                = slot;
        indirect.sector_number     = request.sector;
        indirect.handle            = handle_;
        indirect.indirect_grefs[0] = indirect_refs_[slot];
        auto* const list           = memory_.indirect[slot].as<blkif_request_segment>();
        for (u32 i = 0; i < own.pages; ++i)
            list[i] = segment(request, i, own.refs[i]);
        __builtin_memcpy(&wire, &indirect, sizeof indirect);
    }
}

Block::Ticket Block::submit(const Block_request& request)
{
    if (!running())
        return {Block_refusal::not_running, 0};
    if (const Block_refusal refusal = check(request, disk_); refusal != Block_refusal::none)
        return {refusal, 0};
    const auto free = std::ranges::find(slots_, false, &Slot::used);
    if (free == slots_.end() || ring_->full())
        return {Block_refusal::busy, 0};
    const auto slot      = static_cast<u32>(free - slots_.begin());
    free->wire_operation = kWireOperations[static_cast<u8>(request.operation)];
    if (!grant(*free, request)) {
        ungrant(*free); // the backend was never told of them
        return {Block_refusal::busy, 0};
    }
    free->used      = true;
    free->abandoned = false;
    free->outcome   = Block_outcome::pending;
    fill(slot, request);
    return {Block_refusal::none, slot};
}

void Block::send()
{
    if (running() && ring_->push())
        events::send(port_);
}

void Block::reap()
{
    blkif_response response{};
    while (connected() && (ring_->readable() || ring_->rearm())) {
        ring_->take(response);
        Slot* const slot = response.id < kBlockRequests ? &slots_[response.id] : nullptr;
        if (!slot || !slot->used || slot->outcome != Block_outcome::pending ||
            slot->wire_operation != response.operation || ungrant(*slot) != 0)
            give_up();
        else
            slot->outcome = outcome_of(response.status);
    }
    if (connected() && ring_->broken())
        give_up();
}

bool Block::quiet()
{
    reap();
    return std::ranges::none_of(
        slots_, [](const Slot& slot) { return slot.used && slot.outcome == Block_outcome::pending; });
}

bool Block::poll()
{
    reap();
    return !connected() || std::ranges::any_of(slots_, [](const Slot& slot) {
        return slot.used && slot.outcome != Block_outcome::pending;
    });
}

Block_outcome Block::collect(u32 slot)
{
    if (slot >= kBlockRequests || !slots_[slot].used)
        return Block_outcome::lost;
    const Block_outcome outcome = slots_[slot].outcome;
    if (outcome != Block_outcome::pending)
        slots_[slot].used = false;
    return outcome;
}

Block_outcome Block::run(const Block_request& request, u64 deadline, Block_refusal* refusal)
{
    const Ticket ticket = submit(request);
    if (refusal)
        *refusal = ticket.refusal;
    if (ticket.refusal != Block_refusal::none)
        return Block_outcome::failed;
    send();
    Block_outcome outcome = Block_outcome::pending;
    wait_until(
        [&] {
            poll();
            outcome = collect(ticket.slot);
            return outcome != Block_outcome::pending || !connected();
        },
        deadline);
    if (outcome != Block_outcome::pending)
        return outcome;
    slots_[ticket.slot].abandoned = true;
    give_up();
    return Block_outcome::lost;
}

} // namespace vmm::guest
