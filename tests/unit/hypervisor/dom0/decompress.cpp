// SPDX-License-Identifier: Apache-2.0
//
// Each format as the kernel's build makes it (packed by the same libraries, with the size appended), whole,
// cut short and damaged.
#include "dom0/decompress.hpp"

#include <catch2/catch.hpp>

#include <lz4hc.h>
#include <lzma.h>
#include <random>
#include <vector>
#include <zlib.h>
#include <zstd.h>

namespace vmm
{

// The host's surroundings are what the libraries expect.
Library_scope::Library_scope() : saved_fs_base_(0) {}
Library_scope::~Library_scope() { (void)saved_fs_base_; }

} // namespace vmm

using namespace vmm;

namespace
{

using Bytes = std::vector<u8>;

// Compressible, larger than one LZ4 block.
Bytes plain()
{
    Bytes data(9 << 20);
    std::mt19937 random(1);
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = i % 64 < 48 ? static_cast<u8>(i / 64 % 251) : static_cast<u8>(random() % 16);
    return data;
}

void append_le32(Bytes& to, std::size_t value)
{
    for (int i = 0; i < 4; ++i)
        to.push_back(static_cast<u8>(value >> 8 * i));
}

Bytes with_size(Bytes packed, std::size_t size)
{
    append_le32(packed, size);
    return packed;
}

Bytes pack_xz(const Bytes& data)
{
    lzma_options_lzma options{};
    lzma_lzma_preset(&options, 1);
    lzma_filter filters[] = {
        {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
    Bytes out(lzma_stream_buffer_bound(data.size()));
    std::size_t size = 0;
    REQUIRE(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, nullptr, data.data(), data.size(),
                                      out.data(), &size, out.size()) == LZMA_OK);
    out.resize(size);
    return with_size(out, data.size());
}

Bytes pack_zstd(const Bytes& data)
{
    Bytes out(ZSTD_compressBound(data.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3));
    return with_size(out, data.size());
}

Bytes pack_lz4(const Bytes& data)
{
    Bytes out{0x02, 0x21, 0x4c, 0x18};
    for (std::size_t at = 0; at < data.size(); at += 8 << 20) {
        const int part = static_cast<int>(std::min<std::size_t>(data.size() - at, 8 << 20));
        std::vector<char> block(static_cast<std::size_t>(LZ4_compressBound(part)));
        const int size = LZ4_compress_HC(reinterpret_cast<const char*>(&data[at]), block.data(), part,
                                         static_cast<int>(block.size()), 3);
        append_le32(out, static_cast<std::size_t>(size));
        out.insert(out.end(), block.begin(), block.begin() + size);
    }
    return with_size(out, data.size());
}

Bytes pack_gzip(const Bytes& data)
{
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    Bytes out(deflateBound(&stream, data.size()));
    stream.next_in   = const_cast<u8*>(data.data());
    stream.avail_in  = static_cast<uInt>(data.size());
    stream.next_out  = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out; // the format itself ends in the size
}

struct Format {
    const char* name;
    Bytes (*pack)(const Bytes&);
};
const Format kFormats[] = {{"XZ", pack_xz}, {"zstd", pack_zstd}, {"LZ4", pack_lz4}, {"gzip", pack_gzip}};

} // namespace

TEST_CASE("each format unpacks to what was packed")
{
    const Bytes data = plain();
    for (const auto& format : kFormats) {
        const Bytes packed = format.pack(data);
        INFO(format.name);
        REQUIRE(find_packing(packed));
        CHECK(find_packing(packed)->name == format.name);
        REQUIRE(*unpacked_size(packed) == data.size());
        Bytes out(data.size());
        REQUIRE(decompress(packed, out));
        CHECK(out == data);
    }
}

TEST_CASE("damaged, cut and mis-sized payloads are refused")
{
    const Bytes data = plain();
    std::mt19937 random(4);
    for (const auto& format : kFormats) {
        const Bytes packed = format.pack(data);
        INFO(format.name);
        Bytes out(data.size());
        for (int round = 0; round < 8; ++round) {
            Bytes bad = packed;
            bad.resize(bad.size() - 100 - random() % (bad.size() / 2));
            CHECK_FALSE(decompress(bad, out));
        }
        Bytes small(data.size() - 1), large(data.size() + 1);
        CHECK_FALSE(decompress(packed, small));
        CHECK_FALSE(decompress(packed, large));
        Bytes bad = packed;
        for (std::size_t i = 20; i < bad.size() - 20; i += 97)
            bad[i] = static_cast<u8>(bad[i] ^ 0x55);
        CHECK_FALSE(decompress(bad, out));
    }
}

TEST_CASE("what is not compressed is told apart")
{
    const Bytes text(100, 'x');
    Bytes out(100);
    CHECK(find_packing(text) == nullptr);
    CHECK(decompress(text, out).error() == Errc::eopnotsupp);
    CHECK(decompress({}, out).error() == Errc::einval);
    CHECK(unpacked_size({}).error() == Errc::einval);
}
