// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/decompress.hpp"

#include <zstd.h>

namespace vmm
{

Result<void> decompress_zstd(Byte_view payload, std::span<std::byte> output)
{
    // The frame's end must be found first: the decoder takes bytes behind it for another frame.
    const std::size_t frame = ZSTD_findFrameCompressedSize(payload.data(), payload.size());
    if (ZSTD_isError(frame) != 0U) {
        return corrupt_payload(Compression::zstd, ZSTD_getErrorName(frame));
    }
    // Unpacking in one go uses the output itself as the window, so no frame header can ask for memory.
    const std::size_t got = ZSTD_decompress(output.data(), output.size(), payload.data(), frame);
    if (ZSTD_isError(got) != 0U) {
        return corrupt_payload(Compression::zstd, ZSTD_getErrorName(got));
    }
    if (got != output.size()) {
        return wrong_unpacked_size(Compression::zstd, output.size());
    }
    return {};
}

} // namespace vmm
