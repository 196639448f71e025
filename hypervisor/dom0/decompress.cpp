// SPDX-License-Identifier: Apache-2.0
#include "dom0/decompress.hpp"

#include "base/string.hpp"

#include <algorithm>
#include <cstring>

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

namespace vmm
{
namespace
{

constexpr u64 kSizeBytes = 4; // appended by the kernel's build; in gzip they are part of the format

Expected<void> unpack_xz(std::span<const u8> in, std::span<u8> out)
{
    u64 memory_limit        = ~0ull;
    std::size_t in_position = 0, out_position = 0;
    const lzma_ret result = lzma_stream_buffer_decode(&memory_limit, 0, nullptr, in.data(), &in_position,
                                                      in.size(), out.data(), &out_position, out.size());
    if (result == LZMA_MEM_ERROR)
        return fail(Errc::enomem);
    if (result != LZMA_OK || out_position != out.size())
        return fail(Errc::einval);
    return {};
}

Expected<void> unpack_zstd(std::span<const u8> in, std::span<u8> out)
{
    const std::size_t frame = ZSTD_findFrameCompressedSize(in.data(), in.size());
    if (ZSTD_isError(frame))
        return fail(Errc::einval);
    ZSTD_DCtx* const context = ZSTD_createDCtx();
    if (!context)
        return fail(Errc::enomem);
    const std::size_t size = ZSTD_decompressDCtx(context, out.data(), out.size(), in.data(), frame);
    ZSTD_freeDCtx(context);
    if (ZSTD_isError(size) || size != out.size())
        return fail(Errc::einval);
    return {};
}

// A magic number, then blocks of up to 8 MiB each after its packed size. [LZ4 frame format, legacy frame]
Expected<void> unpack_lz4(std::span<const u8> in, std::span<u8> out)
{
    constexpr u64 block_limit = 8u << 20;
    in                        = in.subspan(4);
    while (!out.empty()) {
        if (in.size() < 4)
            return fail(Errc::einval);
        const u64 packed = bytes::load<u32>(in.data());
        in               = in.subspan(4);
        if (packed > in.size() || packed > block_limit * 2)
            return fail(Errc::einval);
        const int room = static_cast<int>(std::min<u64>(out.size(), block_limit));
        const int size =
            LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                                static_cast<int>(packed), room);
        if (size <= 0)
            return fail(Errc::einval);
        in  = in.subspan(packed);
        out = out.subspan(static_cast<std::size_t>(size));
    }
    return {};
}

Expected<void> unpack_gzip(std::span<const u8> in, std::span<u8> out)
{
    constexpr int gzip_window = 15 + 16;
    z_stream stream{};
    stream.next_in   = const_cast<u8*>(in.data());
    stream.avail_in  = static_cast<uInt>(in.size());
    stream.next_out  = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    if (inflateInit2(&stream, gzip_window) != Z_OK)
        return fail(Errc::enomem);
    const int result = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (result == Z_MEM_ERROR)
        return fail(Errc::enomem);
    if (result != Z_STREAM_END || stream.avail_out != 0)
        return fail(Errc::einval);
    return {};
}

using namespace std::string_view_literals;

constexpr Packing kPackings[] = {
    {"gzip", "\x1f\x8b"sv, 0, unpack_gzip},
    {"XZ",
     "\xfd"
     "7zXZ\0"sv,
     kSizeBytes, unpack_xz},
    {"zstd", "\x28\xb5\x2f\xfd"sv, kSizeBytes, unpack_zstd},
    {"LZ4", "\x02\x21\x4c\x18"sv, kSizeBytes, unpack_lz4},
};

} // namespace

const Packing* find_packing(std::span<const u8> payload)
{
    const auto* found = std::ranges::find_if(kPackings, [&](const Packing& packing) {
        return payload.size() >= packing.magic.size() &&
               std::memcmp(payload.data(), packing.magic.data(), packing.magic.size()) == 0;
    });
    return found != std::end(kPackings) ? found : nullptr;
}

Expected<u64> unpacked_size(std::span<const u8> payload)
{
    if (payload.size() < 2 * kSizeBytes)
        return fail(Errc::einval);
    return bytes::load<u32>(payload.last(kSizeBytes).data());
}

Expected<void> decompress(std::span<const u8> payload, std::span<u8> out)
{
    if (payload.size() < 2 * kSizeBytes)
        return fail(Errc::einval);
    const Packing* packing = find_packing(payload);
    if (!packing)
        return fail(Errc::eopnotsupp);
    const Library_scope scope;
    return packing->unpack(payload.first(payload.size() - packing->trailer), out);
}

} // namespace vmm
