// SPDX-License-Identifier: Apache-2.0
#pragma once
// A Linux bzImage, opened far enough to get at the ELF kernel inside (Linux Documentation/arch/x86/boot.rst,
// protocol 2.08 and later: payload_offset, payload_length). The image is untrusted; nothing is executed or
// written.

#include "toolstack/base/error.hpp"
#include "toolstack/build/byte_view.hpp"
#include "toolstack/build/decompress.hpp"
#include "toolstack/build/image_bytes.hpp"

namespace vmm
{

// More than any kernel unpacks to, and little enough to hold in memory for a moment.
inline constexpr std::size_t kMaxKernelBytes = 512U << 20;

[[nodiscard]] bool is_bzimage(Byte_view file);

struct Bzimage_payload {
    Byte_view bytes;
    Compression compression     = Compression::none;
    std::uint32_t unpacked_size = 0;
};

[[nodiscard]] Result<Bzimage_payload> find_payload(Byte_view bzimage);

// The ELF file inside a bzImage.
[[nodiscard]] Result<Image_bytes> unpack_bzimage(Byte_view bzimage);

} // namespace vmm
