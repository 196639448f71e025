// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/decompress.hpp"

#include <lzma.h>

#include <memory>

namespace vmm
{

namespace
{

// Kernels are packed with a dictionary of at most 32 MiB; a hostile image may ask for 4 GiB.
constexpr std::uint64_t kDecoderMemory = 160U << 20;

std::string_view reason(lzma_ret code)
{
    switch (code) {
    case LZMA_FORMAT_ERROR: return "not an XZ stream";
    case LZMA_OPTIONS_ERROR: return "unsupported stream options";
    case LZMA_MEMLIMIT_ERROR: return "it wants a dictionary larger than any kernel needs";
    case LZMA_MEM_ERROR: return "out of memory";
    case LZMA_BUF_ERROR:
    case LZMA_OK: return "it ends too early";
    default: return "bad data";
    }
}

} // namespace

Result<void> decompress_xz(Byte_view payload, std::span<std::byte> output)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, kDecoderMemory, 0) != LZMA_OK) {
        return fail(Errc::out_of_memory, "no memory to unpack its XZ payload");
    }
    const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> end(&stream, lzma_end);
    stream.next_in   = reinterpret_cast<const std::uint8_t*>(payload.data());
    stream.avail_in  = payload.size();
    stream.next_out  = reinterpret_cast<std::uint8_t*>(output.data());
    stream.avail_out = output.size();
    lzma_ret code    = LZMA_OK;
    while (code == LZMA_OK && (stream.avail_in != 0 || stream.avail_out != 0)) {
        code = lzma_code(&stream, LZMA_FINISH);
    }
    if (code != LZMA_STREAM_END) {
        return stream.avail_out == 0 ? wrong_unpacked_size(Compression::xz, output.size())
                                     : corrupt_payload(Compression::xz, reason(code));
    }
    if (stream.avail_out != 0) {
        return wrong_unpacked_size(Compression::xz, output.size());
    }
    return {};
}

} // namespace vmm
