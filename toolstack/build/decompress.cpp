// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/decompress.hpp"

#include <array>
#include <string>

namespace vmm
{

namespace
{

struct Format {
    Compression compression;
    std::string_view name;
    std::array<unsigned char, 6> magic;
    std::size_t magic_length;
};

constexpr Format kFormats[] = {
    {Compression::gzip, "gzip", {0x1f, 0x8b, 0x08}, 3},
    {Compression::xz, "XZ", {0xfd, '7', 'z', 'X', 'Z', 0x00}, 6},
    {Compression::zstd, "zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4},
    {Compression::lz4_legacy, "LZ4", {0x02, 0x21, 0x4c, 0x18}, 4},
    {Compression::bzip2, "bzip2", {'B', 'Z', 'h'}, 3},
    {Compression::lzma, "LZMA", {0x5d, 0x00, 0x00}, 3},
    {Compression::lzo, "LZO", {0x89, 'L', 'Z', 'O'}, 4},
};

} // namespace

Compression recognise_compression(Byte_view payload)
{
    for (const Format& format : kFormats) {
        if (starts_with(payload, std::span(format.magic).first(format.magic_length))) {
            return format.compression;
        }
    }
    return Compression::none;
}

std::string_view name_of(Compression compression)
{
    for (const Format& format : kFormats) {
        if (format.compression == compression) {
            return format.name;
        }
    }
    return "uncompressed";
}

std::unexpected<Error> corrupt_payload(Compression compression, std::string_view why)
{
    return fail(Errc::invalid, "its " + std::string(name_of(compression)) + " payload is corrupt (" +
                                   std::string(why) + ")");
}

std::unexpected<Error> wrong_unpacked_size(Compression compression, std::size_t promised)
{
    return corrupt_payload(compression,
                           "it does not unpack to the " + std::to_string(promised) + " bytes it promises");
}

Result<void> decompress(Compression compression, Byte_view payload, std::span<std::byte> output)
{
    switch (compression) {
    case Compression::gzip: return decompress_gzip(payload, output);
    case Compression::xz: return decompress_xz(payload, output);
    case Compression::zstd: return decompress_zstd(payload, output);
    case Compression::lz4_legacy: return decompress_lz4_legacy(payload, output);
    case Compression::none: return fail(Errc::unsupported, "its payload is in no known compression format");
    case Compression::bzip2:
    case Compression::lzma:
    case Compression::lzo: break;
    }
    return fail(Errc::unsupported,
                "its payload is compressed with " + std::string(name_of(compression)) +
                    ", which is not supported: build the kernel with XZ, zstd, LZ4 or gzip");
}

} // namespace vmm
