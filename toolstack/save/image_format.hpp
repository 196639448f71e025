// SPDX-License-Identifier: Apache-2.0
#pragma once
// The bytes of a saved domain's file, as FORMAT.md specifies them: what the writer and the reader share.
// Nothing outside this folder uses it but its tests.

#include "toolstack/save/image_file.hpp"
#include "toolstack/xen/types.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::save
{

static_assert(std::endian::native == std::endian::little, "the structures below are written as they are");

inline constexpr std::array<std::uint8_t, 8> kMagic{0x89, 'V', 'M', 'M', 'S', 'A', 'V', 0x0a};
inline constexpr std::array<std::uint8_t, 8> kStreamMagic{0x89, 'V', 'M', 'M', 'M', 'I', 'G', 0x0a};
inline constexpr std::uint32_t kVersion = 1;

struct File_header {
    std::array<std::uint8_t, 8> magic = kMagic;
    std::uint32_t version             = kVersion;
    std::uint32_t frame_size          = kPageSize;
    std::uint64_t checksum            = 0; // of the bytes before it
};
static_assert(sizeof(File_header) == 24);

inline constexpr std::uint32_t kFlagZstd     = 1U << 0;  // the payload is one zstd frame
inline constexpr std::uint32_t kFlagOptional = 1U << 31; // who does not know the type may skip the record

struct Record_header {
    Record_type type{};
    std::uint32_t flags       = 0;
    std::uint64_t first       = 0;
    std::uint64_t count       = 0;
    std::uint32_t length      = 0; // of the payload, which follows
    std::uint32_t number      = 0; // of records before it, modulo 2^32
    std::uint64_t payload_sum = 0;
    std::uint64_t checksum    = 0; // of the bytes before it
};
static_assert(sizeof(Record_header) == 48);

struct End_counts {
    std::uint64_t records     = 0; // before the end record
    std::uint64_t frames      = 0; // with contents
    std::uint64_t zero_frames = 0;
};
static_assert(sizeof(End_counts) == 24);

inline constexpr std::size_t kMostFrames     = 1024;                   // of one record with contents
inline constexpr std::uint32_t kMostPayload  = 16 << 20;               // of any record
inline constexpr std::uint64_t kFrameNumbers = std::uint64_t{1} << 40; // physical addresses have 52 bits

// XXH64 with seed 0.
[[nodiscard]] std::uint64_t checksum(std::span<const std::byte> bytes);

// The sum over everything before the member `checksum`, which is the last one.
template <class Header>
[[nodiscard]] std::uint64_t checksum_of(const Header& header)
{
    return checksum(std::as_bytes(std::span(&header, 1)).first(sizeof(Header) - sizeof header.checksum));
}

} // namespace vmm::save
