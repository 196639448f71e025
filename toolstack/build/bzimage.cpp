// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/bzimage.hpp"

#include <cstdint>
#include <string>

namespace vmm
{

namespace
{

// Offsets in the file of the setup header's fields.
constexpr std::uint64_t kSetupSectors    = 0x1f1;
constexpr std::uint64_t kHeaderMagic     = 0x202;
constexpr std::uint64_t kProtocolVersion = 0x206;
constexpr std::uint64_t kPayloadOffset   = 0x248;
constexpr std::uint64_t kPayloadLength   = 0x24c;

constexpr std::uint32_t kHdrS                    = 0x53726448;
constexpr std::uint16_t kFirstVersionWithPayload = 0x208;
constexpr unsigned kSectorSize                   = 512;
constexpr unsigned kDefaultSetupSectors          = 4; // what 0 means in very old images

} // namespace

bool is_bzimage(Byte_view file) { return read_at<std::uint32_t>(file, kHeaderMagic) == kHdrS; }

Result<Bzimage_payload> find_payload(Byte_view bzimage)
{
    const auto version = read_at<std::uint16_t>(bzimage, kProtocolVersion);
    const auto sectors = read_at<std::uint8_t>(bzimage, kSetupSectors);
    const auto offset  = read_at<std::uint32_t>(bzimage, kPayloadOffset);
    const auto length  = read_at<std::uint32_t>(bzimage, kPayloadLength);
    if (!version || !sectors || !offset || !length) {
        return fail(Errc::invalid, "its setup header is cut off");
    }
    if (*version < kFirstVersionWithPayload) {
        return fail(Errc::unsupported, "its boot protocol is older than 2.08 (Linux 2.6.26)");
    }
    const std::uint64_t setup      = (*sectors == 0 ? kDefaultSetupSectors : *sectors) + 1U;
    const auto payload             = slice(bzimage, setup * kSectorSize + *offset, *length);
    constexpr std::size_t kTrailer = sizeof(std::uint32_t);
    if (!payload || payload->size() < kTrailer) {
        return fail(Errc::invalid, "its payload lies outside the file (is the file cut off?)");
    }
    Bzimage_payload found;
    found.bytes         = *payload;
    found.compression   = recognise_compression(*payload);
    // Every compressor of the kernel's build leaves the unpacked size at the end, gzip by its own format.
    found.unpacked_size = *read_at<std::uint32_t>(*payload, payload->size() - kTrailer);
    return found;
}

Result<Image_bytes> unpack_bzimage(Byte_view bzimage)
{
    const Bzimage_payload payload = TRY(find_payload(bzimage));
    if (payload.unpacked_size == 0 || payload.unpacked_size > kMaxKernelBytes) {
        return fail(Errc::too_big, "its payload promises to unpack to " +
                                       std::to_string(payload.unpacked_size) + " bytes; 1 to " +
                                       std::to_string(kMaxKernelBytes) + " are accepted");
    }
    Image_bytes unpacked = TRY(Image_bytes::allocate(payload.unpacked_size));
    TRY(decompress(payload.compression, payload.bytes, unpacked.bytes()));
    return unpacked;
}

} // namespace vmm
