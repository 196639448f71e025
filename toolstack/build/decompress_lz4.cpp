// SPDX-License-Identifier: Apache-2.0
// The LZ4 legacy frame: a magic number, then blocks of a 32-bit compressed length and that many bytes, each
// block unpacking, on its own, to 8 MiB save the last. There is no end mark: the kernel's build appends the
// 32-bit unpacked size, and the frame ends where that many bytes are out.
#include "toolstack/build/decompress.hpp"

#include <lz4.h>

#include <algorithm>
#include <limits>

namespace vmm
{

namespace
{

constexpr std::size_t kMagicLength = 4;
constexpr std::size_t kBlockSize   = 8U << 20;

} // namespace

Result<void> decompress_lz4_legacy(Byte_view payload, std::span<std::byte> output)
{
    std::size_t in  = kMagicLength;
    std::size_t out = 0;
    while (out < output.size()) {
        const auto length = read_at<std::uint32_t>(payload, in);
        if (!length) {
            return corrupt_payload(Compression::lz4_legacy, "it ends too early");
        }
        in += sizeof *length;
        const auto block = slice(payload, in, *length);
        if (!block || *length == 0 || *length > static_cast<std::uint32_t>(LZ4_compressBound(kBlockSize))) {
            return corrupt_payload(Compression::lz4_legacy, "bad block length");
        }
        const std::size_t room = std::min(kBlockSize, output.size() - out);
        const int got          = LZ4_decompress_safe(reinterpret_cast<const char*>(block->data()),
                                                     reinterpret_cast<char*>(output.data() + out),
                                                     static_cast<int>(*length), static_cast<int>(room));
        if (got <= 0) {
            return corrupt_payload(Compression::lz4_legacy, "bad block");
        }
        in += *length;
        out += static_cast<std::size_t>(got);
        if (static_cast<std::size_t>(got) < kBlockSize && out < output.size()) {
            return wrong_unpacked_size(Compression::lz4_legacy, output.size());
        }
    }
    return {};
}

} // namespace vmm
