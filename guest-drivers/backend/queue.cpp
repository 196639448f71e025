// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/queue.hpp"

#include "toolstack/xen/types.hpp"

#include <cstring>
#include <utility>

namespace vmm::block
{

using protocol::kSectorSize;

namespace
{

constexpr std::size_t offset_of(const blkif_request_segment& segment)
{
    return segment.first_sect * kSectorSize;
}
constexpr std::size_t length_of(const blkif_request_segment& segment)
{
    return (segment.last_sect - segment.first_sect + 1u) * kSectorSize;
}

} // namespace

Queue::Queue(std::span<std::byte> ring, protocol::Block_abi abi, std::span<Request_log::Entry> log,
             Services services)
    : ring_(ring, protocol::block_slot_size(abi)), abi_(abi), log_(log), services_(services),
      pending_(ring_.slots())
{
}

Queue::~Queue()
{
    for (Pending& pending : pending_) {
        free_buffer(pending);
    }
}

void Queue::serve()
{
    if (broken_) {
        return;
    }
    if (starved_ != nullptr && closed_) {
        finish(*std::exchange(starved_, nullptr), BLKIF_RSP_ERROR);
    } else if (starved_ != nullptr) {
        begin(*std::exchange(starved_, nullptr));
    }
    do {
        while (starved_ == nullptr) {
            const auto waiting = ring_.waiting();
            if (!waiting) {
                broken_ = true;
                return;
            }
            if (*waiting == 0) {
                break;
            }
            take();
        }
        start_copied();
    } while (starved_ == nullptr && ring_.rearm());
}

// The only copy that is looked at: the log's, which is the predecessor's if it had taken this request.
std::span<const std::byte> Queue::take_slot()
{
    const std::uint32_t number = ring_.next();
    Request_log::Entry& entry  = log_[number % ring_.slots()];
    if (entry.whole != 0 && entry.number == number) {
        ring_.skip();
        return entry.slot;
    }
    std::atomic_ref(entry.whole).store(0);
    ring_.take(entry.slot);
    entry.number = number;
    std::atomic_ref(entry.whole).store(1);
    return entry.slot;
}

void Queue::take()
{
    const auto slot  = take_slot();
    Pending& pending = pending_at(taken_++);
    pending.client   = this;
    pending.request  = protocol::read_block_request(slot, abi_);
    pending.stage    = Stage::only;
    pending.finished = pending.copy_failed = false;
    pending.segments.clear();
    pending.memory.clear();
    if (closed_) {
        finish(pending, BLKIF_RSP_ERROR);
    } else if (const auto status = refuse(pending)) {
        finish(pending, *status);
    } else {
        begin(pending);
    }
}

// What is wrong with a request, or how long it is.
std::optional<std::int16_t> Queue::refuse(Pending& pending)
{
    const protocol::Block_request& request = pending.request;
    const Disk_shape& shape                = services_.disk.shape();
    const bool data_only                   = request.indirect;
    switch (request.operation) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE: break;
    case BLKIF_OP_FLUSH_DISKCACHE:
        if (data_only) {
            return BLKIF_RSP_ERROR;
        }
        break;
    case BLKIF_OP_DISCARD:
        if (data_only || shape.read_only || request.sector > shape.sectors ||
            request.sectors > shape.sectors - request.sector) {
            return BLKIF_RSP_ERROR;
        }
        pending.length = request.sectors * kSectorSize;
        return shape.discard ? std::nullopt : std::optional<std::int16_t>(BLKIF_RSP_EOPNOTSUPP);
    default: return data_only ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP;
    }
    if (!load_segments(pending)) {
        return BLKIF_RSP_ERROR;
    }
    const auto sectors = protocol::sectors_moved(pending.segments, request.sector, shape.sectors);
    const bool nothing = pending.segments.empty() && request.operation != BLKIF_OP_FLUSH_DISKCACHE;
    const bool changes = request.operation != BLKIF_OP_READ && !pending.segments.empty();
    if (nothing || (changes && shape.read_only) || (!sectors && !pending.segments.empty())) {
        return BLKIF_RSP_ERROR;
    }
    pending.length = sectors.value_or(0) * kSectorSize;
    return std::nullopt;
}

bool Queue::load_segments(Pending& pending)
{
    const protocol::Block_request& request = pending.request;
    if (request.indirect) {
        return request.segments <= kMostSegments && load_indirect(pending);
    }
    if (request.segments > request.segment.size()) {
        return false;
    }
    pending.segments.assign(request.segment.begin(), request.segment.begin() + request.segments);
    return true;
}

// The pages with segments are the frontend's: copied once, like the request itself.
bool Queue::load_indirect(Pending& pending)
{
    pending.segments.resize(pending.request.segments);
    std::byte* to    = reinterpret_cast<std::byte*>(pending.segments.data());
    std::size_t left = pending.segments.size() * sizeof(blkif_request_segment);
    for (std::size_t page = 0; left > 0; ++page) {
        const grant_ref_t ref    = pending.request.indirect_pages[page];
        const std::size_t length = std::min(left, kPageSize);
        if (std::byte* kept = services_.kept != nullptr ? services_.kept->find(ref) : nullptr) {
            std::memcpy(to, kept, length);
        } else {
            Grant_copy piece{.ref = ref, .length = static_cast<std::uint16_t>(length), .local = to};
            services_.grants.copy({&piece, 1});
            if (!piece.done) {
                return false;
            }
        }
        to += length;
        left -= length;
    }
    return true;
}

void Queue::begin(Pending& pending)
{
    pending.offset = pending.request.sector * kSectorSize;
    if (services_.kept != nullptr) {
        services_.kept->begin_request();
    }
    if (pending.segments.empty() || (services_.disk.immediate() && use_pages(pending))) {
        start(pending);
    } else if (use_buffer(pending)) {
        bring_data(pending);
    } else {
        starved_ = &pending;
    }
}

// The frontend's own pages as the memory of the operation, if all are kept.
bool Queue::use_pages(Pending& pending)
{
    if (services_.kept == nullptr) {
        return false;
    }
    pending.buffer = {};
    pending.memory.clear();
    services_.kept->find_all(pending.segments);
    for (const blkif_request_segment& segment : pending.segments) {
        std::byte* page = services_.kept->find(segment.gref);
        if (page == nullptr) {
            return false;
        }
        pending.memory.push_back({page + offset_of(segment), length_of(segment)});
    }
    return true;
}

bool Queue::use_buffer(Pending& pending)
{
    pending.buffer = services_.buffers.take(pending.length);
    pending.memory.assign(1, {pending.buffer.data(), pending.length});
    return !pending.buffer.empty();
}

void Queue::bring_data(Pending& pending)
{
    const std::size_t before = pieces_in_.size();
    if (pending.request.operation != BLKIF_OP_READ) {
        move_data(pending, Grant_copy::Direction::from_frontend, pieces_in_);
    }
    if (pieces_in_.size() == before) {
        start(pending);
    } else {
        bringing_.push_back(&pending);
    }
}

// One call to the hypervisor for the data of all requests of this turn.
void Queue::start_copied()
{
    copy(pieces_in_);
    for (Pending* pending : bringing_) {
        if (pending->copy_failed) {
            finish(*pending, BLKIF_RSP_ERROR);
        } else {
            start(*pending);
        }
    }
    bringing_.clear();
}

void Queue::start(Pending& pending)
{
    switch (pending.request.operation) {
    case BLKIF_OP_READ: return at_disk(pending, Disk_io::Kind::read);
    case BLKIF_OP_WRITE: return at_disk(pending, Disk_io::Kind::write);
    case BLKIF_OP_DISCARD: return at_disk(pending, Disk_io::Kind::discard);
    default: // a flush with data is one before and one behind the data
        pending.stage = pending.segments.empty() ? Stage::only : Stage::flush_before;
        return at_disk(pending, Disk_io::Kind::flush);
    }
}

void Queue::at_disk(Pending& pending, Disk_io::Kind kind)
{
    pending.kind  = kind;
    pending.error = 0;
    ++under_way_;
    services_.disk.start(pending);
}

void Queue::ended(Disk_io& io)
{
    Pending& pending = static_cast<Pending&>(io);
    --under_way_;
    if (pending.error != 0) {
        complain(pending);
        finish(pending, pending.error == EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
    } else if (pending.stage == Stage::flush_before) {
        pending.stage = Stage::data_between;
        at_disk(pending, Disk_io::Kind::write);
    } else if (pending.stage == Stage::data_between) {
        pending.stage = Stage::flush_after;
        at_disk(pending, Disk_io::Kind::flush);
    } else if (pending.kind == Disk_io::Kind::read && !pending.buffer.empty()) {
        taking_.push_back(&pending);
    } else {
        finish(pending, BLKIF_RSP_OKAY);
    }
}

bool Queue::settle()
{
    if (broken_) {
        return false;
    }
    for (Pending* pending : taking_) {
        if (services_.kept != nullptr) {
            services_.kept->begin_request();
        }
        move_data(*pending, Grant_copy::Direction::to_frontend, pieces_out_);
    }
    copy(pieces_out_);
    for (Pending* pending : taking_) {
        finish(*pending, pending->copy_failed ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
    }
    taking_.clear();
    const std::uint32_t before = answered_;
    for (; answered_ != taken_ && pending_at(answered_).finished; ++answered_) {
        std::array<std::byte, sizeof(blkif_response)> response;
        const Pending& pending = pending_at(answered_);
        ring_.answer(write_block_response(pending.request, pending.status, abi_, response));
    }
    return answered_ != before && ring_.push();
}

// Between the buffer and the frontend's pages: at once where a page is kept, else as pieces for copy().
void Queue::move_data(Pending& pending, Grant_copy::Direction direction, Pieces& pieces)
{
    std::byte* at = pending.buffer.data();
    if (services_.kept != nullptr) {
        services_.kept->find_all(pending.segments);
    }
    for (const blkif_request_segment& segment : pending.segments) {
        const std::size_t length = length_of(segment);
        std::byte* page          = services_.kept != nullptr ? services_.kept->find(segment.gref) : nullptr;
        if (page == nullptr) {
            pieces.push_back({.ref       = segment.gref,
                              .offset    = static_cast<std::uint16_t>(offset_of(segment)),
                              .length    = static_cast<std::uint16_t>(length),
                              .direction = direction,
                              .local     = at,
                              .tag       = static_cast<std::uint32_t>(&pending - pending_.data())});
        } else if (direction == Grant_copy::Direction::from_frontend) {
            std::memcpy(at, page + offset_of(segment), length);
        } else {
            std::memcpy(page + offset_of(segment), at, length);
        }
        at += length;
    }
}

void Queue::copy(Pieces& pieces)
{
    if (pieces.empty()) {
        return;
    }
    services_.grants.copy(pieces);
    for (const Grant_copy& piece : pieces) {
        pending_[piece.tag].copy_failed |= !piece.done;
    }
    pieces.clear();
}

void Queue::finish(Pending& pending, std::int16_t status)
{
    pending.status   = status;
    pending.finished = true;
    free_buffer(pending);
}

void Queue::free_buffer(Pending& pending)
{
    if (!pending.buffer.empty()) {
        services_.buffers.give_back(std::exchange(pending.buffer, {}));
    }
}

void Queue::complain(const Pending& pending)
{
    static constexpr std::string_view kVerbs[] = {"read", "write", "flush", "discard"};
    std::string what(kVerbs[static_cast<std::size_t>(pending.kind)]);
    if (pending.kind != Disk_io::Kind::flush) {
        what += " of " + std::to_string(pending.length / kSectorSize) + " sectors at sector " +
                std::to_string(pending.request.sector);
    }
    const bool full = pending.error == ENOSPC || pending.error == EDQUOT;
    services_.complaints.say("the " + what + " failed: " + std::strerror(pending.error) +
                             "; the guest gets an I/O error" +
                             (full ? ". Make room where the image is; what was written before is safe" : ""));
}

} // namespace vmm::block
