// SPDX-License-Identifier: Apache-2.0
#pragma once
// Unpacks what a bzImage carries: XZ, zstd, gzip, and LZ4 in the legacy frame that kernels use. The caller
// gives a buffer of the size that the image promises; every decoder stops at its end, so a hostile image
// cannot make it grow, and a result of any other size is an error. The input is untrusted.

#include "toolstack/base/error.hpp"
#include "toolstack/build/byte_view.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace vmm
{

enum class Compression { none, gzip, xz, zstd, lz4_legacy, bzip2, lzma, lzo };

[[nodiscard]] Compression recognise_compression(Byte_view payload);
[[nodiscard]] std::string_view name_of(Compression compression);

// Bytes after the end of the compressed stream (the size that the kernel's build appends) are ignored.
[[nodiscard]] Result<void> decompress(Compression compression, Byte_view payload,
                                      std::span<std::byte> output);

// One file each; `output` must come out exactly full.
[[nodiscard]] Result<void> decompress_gzip(Byte_view payload, std::span<std::byte> output);
[[nodiscard]] Result<void> decompress_xz(Byte_view payload, std::span<std::byte> output);
[[nodiscard]] Result<void> decompress_zstd(Byte_view payload, std::span<std::byte> output);
[[nodiscard]] Result<void> decompress_lz4_legacy(Byte_view payload, std::span<std::byte> output);

// The two complaints that all decoders share.
[[nodiscard]] std::unexpected<Error> corrupt_payload(Compression compression, std::string_view why);
[[nodiscard]] std::unexpected<Error> wrong_unpacked_size(Compression compression, std::size_t promised);

} // namespace vmm
