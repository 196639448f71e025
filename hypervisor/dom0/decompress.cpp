// SPDX-License-Identifier: Apache-2.0
#include "dom0/decompress.hpp"

#include <algorithm>
#include <array>

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

namespace vmm
{
namespace
{

constexpr u64 kSizeBytes = 4; // appended by the kernel's build; for gzip they are part of the format

u64 read_le32(std::span<const u8> at)
{
    return u64{at[0]} | u64{at[1]} << 8 | u64{at[2]} << 16 | u64{at[3]} << 24;
}

template <std::size_t N>
bool starts_with(std::span<const u8> data, const std::array<u8, N>& magic)
{
    return data.size() >= N && std::equal(magic.begin(), magic.end(), data.begin());
}

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
        const u64 packed = read_le32(in);
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

} // namespace

Compression detect_compression(std::span<const u8> data)
{
    if (starts_with<2>(data, {0x1f, 0x8b}))
        return Compression::gzip;
    if (starts_with<6>(data, {0xfd, '7', 'z', 'X', 'Z', 0}))
        return Compression::xz;
    if (starts_with<4>(data, {0x28, 0xb5, 0x2f, 0xfd}))
        return Compression::zstd;
    if (starts_with<4>(data, {0x02, 0x21, 0x4c, 0x18}))
        return Compression::lz4;
    return Compression::none;
}

std::string_view compression_name(Compression compression)
{
    switch (compression) {
    case Compression::none: return "none";
    case Compression::gzip: return "gzip";
    case Compression::xz: return "XZ";
    case Compression::zstd: return "zstd";
    case Compression::lz4: return "LZ4";
    }
    return "?";
}

Expected<u64> unpacked_size(std::span<const u8> payload)
{
    if (payload.size() < 2 * kSizeBytes)
        return fail(Errc::einval);
    return read_le32(payload.last(kSizeBytes));
}

Expected<void> decompress(std::span<const u8> payload, std::span<u8> out)
{
    if (payload.size() < 2 * kSizeBytes)
        return fail(Errc::einval);
    const auto body = payload.first(payload.size() - kSizeBytes);
    const Library_scope scope;
    switch (detect_compression(payload)) {
    case Compression::gzip: return unpack_gzip(payload, out);
    case Compression::xz: return unpack_xz(body, out);
    case Compression::zstd: return unpack_zstd(body, out);
    case Compression::lz4: return unpack_lz4(body, out);
    case Compression::none: break;
    }
    return fail(Errc::eopnotsupp);
}

} // namespace vmm
