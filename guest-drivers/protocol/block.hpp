// SPDX-License-Identifier: Apache-2.0
//
// The block protocol as the backend reads it: one slot of the ring, in the layout of either ABI a PVH guest
// can have, into one structure. Nothing is judged here but what the numbers of segments say about the
// structure itself; the slot must be a private copy. Sectors are of 512 bytes.
// [xen/include/public/io/blkif.h]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

namespace vmm::protocol
{

inline constexpr std::uint64_t kSectorSize      = 512;
inline constexpr unsigned kSectorsInPage        = 8;
inline constexpr unsigned kSegmentsInPage       = 4096 / sizeof(blkif_request_segment);
inline constexpr unsigned kMostIndirectSegments = kSegmentsInPage * BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST;

enum class Block_abi : std::uint8_t { x86_64, x86_32 };

// The frontend's `protocol` node; empty when there is none, which means the backend's own ABI.
constexpr std::optional<Block_abi> block_abi_from(std::string_view protocol)
{
    if (protocol.empty() || protocol == XEN_IO_PROTO_ABI_X86_64)
        return Block_abi::x86_64;
    if (protocol == XEN_IO_PROTO_ABI_X86_32)
        return Block_abi::x86_32;
    return std::nullopt;
}

namespace wire
{

// i386 aligns 64-bit numbers to four bytes.
struct Halves {
    std::uint32_t low;
    std::uint32_t high;
    constexpr operator std::uint64_t() const { return low | std::uint64_t{high} << 32; }
    static constexpr Halves of(std::uint64_t n)
    {
        return {static_cast<std::uint32_t>(n), static_cast<std::uint32_t>(n >> 32)};
    }
};
struct Whole {
    std::uint64_t number;
    constexpr operator std::uint64_t() const { return number; }
    static constexpr Whole of(std::uint64_t n) { return {n}; }
};

template <class U64>
struct Request {
    std::uint8_t operation;
    std::uint8_t nr_segments;
    blkif_vdev_t handle;
    U64 id;
    U64 sector_number;
    blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};
template <class U64>
struct Discard {
    std::uint8_t operation;
    std::uint8_t flag;
    blkif_vdev_t handle;
    U64 id;
    U64 sector_number;
    U64 nr_sectors;
};
template <class U64>
struct Indirect {
    std::uint8_t operation;
    std::uint8_t indirect_op;
    std::uint16_t nr_segments;
    U64 id;
    U64 sector_number;
    blkif_vdev_t handle;
    grant_ref_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};
template <class U64>
struct Response {
    U64 id;
    std::uint8_t operation;
    std::int16_t status;
};

static_assert(sizeof(blkif_request_segment) == 8);
static_assert(sizeof(Request<Whole>) == sizeof(blkif_request));
static_assert(offsetof(Request<Whole>, seg) == offsetof(blkif_request, seg));
static_assert(offsetof(Discard<Whole>, nr_sectors) == offsetof(blkif_request_discard, nr_sectors));
static_assert(offsetof(Indirect<Whole>, indirect_grefs) == offsetof(blkif_request_indirect, indirect_grefs));
static_assert(sizeof(Response<Whole>) == sizeof(blkif_response));
static_assert(sizeof(Request<Halves>) == 108 && offsetof(Indirect<Halves>, indirect_grefs) == 24);
static_assert(sizeof(Response<Halves>) == 12);

} // namespace wire

constexpr std::uint32_t block_slot_size(Block_abi abi)
{
    return abi == Block_abi::x86_64 ? sizeof(wire::Request<wire::Whole>)
                                    : sizeof(wire::Request<wire::Halves>);
}

struct Block_request {
    std::uint8_t operation = 0; // BLKIF_OP_*, for an indirect request the one inside: what the answer repeats
    bool indirect          = false;
    std::uint16_t segments = 0; // may be more than there is room for
    std::uint64_t id       = 0;
    std::uint64_t sector   = 0;
    std::uint64_t sectors  = 0;                                                     // of a discard
    std::array<blkif_request_segment, BLKIF_MAX_SEGMENTS_PER_REQUEST> segment{};    // unless indirect
    std::array<grant_ref_t, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST> indirect_pages{}; // if indirect
};

namespace wire
{

template <class Wire>
Wire view(std::span<const std::byte> slot)
{
    Wire wire;
    std::memcpy(&wire, slot.data(), sizeof wire);
    return wire;
}

template <class U64>
Block_request read(std::span<const std::byte> slot)
{
    Block_request request;
    request.operation = static_cast<std::uint8_t>(slot[0]);
    if (request.operation == BLKIF_OP_DISCARD) {
        const auto wire = view<Discard<U64>>(slot);
        request.id      = wire.id;
        request.sector  = wire.sector_number;
        request.sectors = wire.nr_sectors;
    } else if (request.operation == BLKIF_OP_INDIRECT) {
        const auto wire   = view<Indirect<U64>>(slot);
        request.indirect  = true;
        request.operation = wire.indirect_op;
        request.id        = wire.id;
        request.sector    = wire.sector_number;
        request.segments  = wire.nr_segments;
        std::memcpy(request.indirect_pages.data(), wire.indirect_grefs, sizeof wire.indirect_grefs);
    } else {
        const auto wire  = view<Request<U64>>(slot);
        request.id       = wire.id;
        request.sector   = wire.sector_number;
        request.segments = wire.nr_segments;
        std::memcpy(request.segment.data(), wire.seg, sizeof wire.seg);
    }
    return request;
}

} // namespace wire

// `slot` is at least block_slot_size() long.
inline Block_request read_block_request(std::span<const std::byte> slot, Block_abi abi)
{
    return abi == Block_abi::x86_64 ? wire::read<wire::Whole>(slot) : wire::read<wire::Halves>(slot);
}

// Writes the response to `request` into `to` and returns how much of it is used.
inline std::span<const std::byte> write_block_response(const Block_request& request, std::int16_t status,
                                                       Block_abi abi, std::span<std::byte, 16> to)
{
    const auto put = [&](auto response) {
        std::memcpy(to.data(), &response, sizeof response);
        return to.first(sizeof response);
    };
    if (abi == Block_abi::x86_64)
        return put(wire::Response<wire::Whole>{wire::Whole::of(request.id), request.operation, status});
    return put(wire::Response<wire::Halves>{wire::Halves::of(request.id), request.operation, status});
}

// The sectors that the segments move together, if each lies within its page and all within the disk.
inline std::optional<std::uint64_t> sectors_moved(std::span<const blkif_request_segment> segments,
                                                  std::uint64_t at, std::uint64_t disk_sectors)
{
    std::uint64_t total = 0;
    for (const blkif_request_segment& segment : segments) {
        if (segment.last_sect < segment.first_sect || segment.last_sect >= kSectorsInPage)
            return std::nullopt;
        total += segment.last_sect - segment.first_sect + 1u;
    }
    if (at > disk_sectors || total > disk_sectors - at)
        return std::nullopt;
    return total;
}

} // namespace vmm::protocol
