// SPDX-License-Identifier: Apache-2.0
#include "made_up_images.hpp"

#include <elf.h>
#include <lz4hc.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>

namespace vmm::test
{

namespace
{

constexpr std::size_t kLz4Block = 8U << 20;

template <class T>
void append(Bytes& bytes, const T& value)
{
    const std::size_t at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

// A foreign note first, so that the walk is tested too.
Bytes make_notes(const Made_elf& wanted)
{
    Bytes notes;
    append(notes, Elf64_Nhdr{4, 2, 18});
    append(notes, std::uint32_t{0x00554e47}); // "GNU"
    append(notes, std::uint32_t{0});
    if (wanted.entry) {
        append(notes, Elf64_Nhdr{4, wanted.entry_in_8_bytes ? 8U : 4U, 18});
        append(notes, std::uint32_t{0x006e6558}); // "Xen"
        append(notes, static_cast<std::uint32_t>(*wanted.entry));
        if (wanted.entry_in_8_bytes) {
            append(notes, static_cast<std::uint32_t>(*wanted.entry >> 32));
        }
    }
    return notes;
}

template <class Header, class Program_header>
Bytes make(const Made_elf& wanted, unsigned char elf_class, std::uint16_t machine)
{
    const Bytes notes = make_notes(wanted);
    Header header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = elf_class;
    header.e_ident[EI_DATA]  = ELFDATA2LSB;
    header.e_type            = ET_EXEC;
    header.e_machine         = machine;
    header.e_phoff           = sizeof(Header);
    header.e_phentsize       = sizeof(Program_header);
    header.e_phnum           = static_cast<std::uint16_t>(wanted.segments.size() + 1);
    Bytes file;
    append(file, header);
    std::size_t offset = sizeof(Header) + header.e_phnum * sizeof(Program_header);
    for (const Made_segment& segment : wanted.segments) {
        Program_header program{};
        program.p_type   = PT_LOAD;
        program.p_offset = static_cast<decltype(program.p_offset)>(offset);
        program.p_paddr  = static_cast<decltype(program.p_paddr)>(segment.address);
        program.p_filesz = static_cast<decltype(program.p_filesz)>(segment.contents.size());
        program.p_memsz  = static_cast<decltype(program.p_memsz)>(
            segment.memory_size == 0 ? segment.contents.size() : segment.memory_size);
        append(file, program);
        offset += segment.contents.size();
    }
    Program_header note{};
    note.p_type   = PT_NOTE;
    note.p_offset = static_cast<decltype(note.p_offset)>(offset);
    note.p_filesz = note.p_memsz = static_cast<decltype(note.p_filesz)>(notes.size());
    append(file, note);
    for (const Made_segment& segment : wanted.segments) {
        append(file, segment.contents);
    }
    append(file, notes);
    return file;
}

Bytes compress_gzip(const Bytes& plain)
{
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    Bytes out(deflateBound(&stream, plain.size()) + 64);
    stream.next_in   = reinterpret_cast<Bytef*>(const_cast<std::byte*>(plain.data()));
    stream.avail_in  = static_cast<uInt>(plain.size());
    stream.next_out  = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

// As the kernel's build does it: x86 branch filter, LZMA2, CRC32.
Bytes compress_xz(const Bytes& plain)
{
    lzma_options_lzma options;
    lzma_lzma_preset(&options, 6);
    lzma_filter filters[] = {
        {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
    Bytes out(lzma_stream_buffer_bound(plain.size()));
    std::size_t size = 0;
    REQUIRE(lzma_stream_buffer_encode(
                filters, LZMA_CHECK_CRC32, nullptr, reinterpret_cast<const std::uint8_t*>(plain.data()),
                plain.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()) == LZMA_OK);
    out.resize(size);
    return out;
}

Bytes compress_zstd(const Bytes& plain)
{
    Bytes out(ZSTD_compressBound(plain.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
    return out;
}

Bytes compress_lz4(const Bytes& plain)
{
    Bytes out;
    append(out, std::uint32_t{0x184c2102});
    for (std::size_t at = 0; at < plain.size(); at += kLz4Block) {
        const int size = static_cast<int>(std::min(kLz4Block, plain.size() - at));
        Bytes block(static_cast<std::size_t>(LZ4_compressBound(size)));
        const int got =
            LZ4_compress_HC(reinterpret_cast<const char*>(plain.data() + at),
                            reinterpret_cast<char*>(block.data()), size, static_cast<int>(block.size()), 4);
        REQUIRE(got > 0);
        block.resize(static_cast<std::size_t>(got));
        append(out, static_cast<std::uint32_t>(got));
        append(out, block);
    }
    return out;
}

} // namespace

Bytes pattern(std::size_t size, unsigned seed)
{
    Bytes bytes(size);
    std::uint32_t value = seed * 2654435761U + 1;
    for (std::size_t i = 0; i < size; ++i) {
        // Runs, so that it compresses, of values that differ.
        if (i % 37 == 0) {
            value = value * 1664525U + 1013904223U;
        }
        bytes[i] = static_cast<std::byte>(value >> 24);
    }
    return bytes;
}

Bytes make_elf(const Made_elf& wanted)
{
    return wanted.is_32_bit ? make<Elf32_Ehdr, Elf32_Phdr>(wanted, ELFCLASS32, EM_386)
                            : make<Elf64_Ehdr, Elf64_Phdr>(wanted, ELFCLASS64, EM_X86_64);
}

Bytes make_simple_elf(std::uint64_t address, std::size_t size)
{
    return make_elf({{{address, pattern(size), 0}}, address});
}

Bytes compress(Compression compression, const Bytes& plain)
{
    switch (compression) {
    case Compression::gzip: return compress_gzip(plain);
    case Compression::xz: return compress_xz(plain);
    case Compression::zstd: return compress_zstd(plain);
    case Compression::lz4_legacy: return compress_lz4(plain);
    default: return plain;
    }
}

Bytes make_bzimage(Compression compression, const Bytes& plain)
{
    Bytes payload = compress(compression, plain);
    if (compression != Compression::gzip) {
        append(payload, static_cast<std::uint32_t>(plain.size()));
    }
    constexpr std::size_t kSetupSectors = 3;
    constexpr std::size_t kPayloadAt    = 100; // behind the setup
    Bytes image((kSetupSectors + 1) * 512 + kPayloadAt);
    put_at<std::uint8_t>(image, 0x1f1, kSetupSectors);
    put_at<std::uint32_t>(image, 0x202, 0x53726448);
    put_at<std::uint16_t>(image, 0x206, 0x20f);
    put_at<std::uint32_t>(image, 0x248, kPayloadAt);
    put_at<std::uint32_t>(image, 0x24c, static_cast<std::uint32_t>(payload.size()));
    append(image, payload);
    return image;
}

} // namespace vmm::test
