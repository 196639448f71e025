// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/decompress.hpp"

#include <zlib.h>

#include <limits>
#include <memory>

namespace vmm
{

Result<void> decompress_gzip(Byte_view payload, std::span<std::byte> output)
{
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    if (payload.size() > kMost || output.size() > kMost) {
        return fail(Errc::too_big, "its gzip payload is larger than 4 GiB");
    }
    z_stream stream{};
    // zlib takes the input as non-const but does not write to it.
    stream.next_in          = reinterpret_cast<Bytef*>(const_cast<std::byte*>(payload.data()));
    stream.avail_in         = static_cast<uInt>(payload.size());
    stream.next_out         = reinterpret_cast<Bytef*>(output.data());
    stream.avail_out        = static_cast<uInt>(output.size());
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream, kGzipOnly + MAX_WBITS) != Z_OK) {
        return fail(Errc::out_of_memory, "no memory to unpack its gzip payload");
    }
    const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
    switch (inflate(&stream, Z_FINISH)) {
    case Z_STREAM_END: break;
    case Z_BUF_ERROR:
        if (stream.avail_out == 0) {
            return wrong_unpacked_size(Compression::gzip, output.size());
        }
        return corrupt_payload(Compression::gzip, "it ends too early");
    default: return corrupt_payload(Compression::gzip, stream.msg != nullptr ? stream.msg : "bad data");
    }
    if (stream.avail_out != 0) {
        return wrong_unpacked_size(Compression::gzip, output.size());
    }
    return {};
}

} // namespace vmm
