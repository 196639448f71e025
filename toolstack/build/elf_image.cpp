// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/elf_image.hpp"

#include <elf.h>

#include <xen/elfnote.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

namespace vmm
{

namespace
{

constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 32; // a PVH kernel starts in 32-bit mode
constexpr unsigned kMaxProgramHeaders = 256;
constexpr std::uint64_t kMaxNoteBytes = 1U << 20;

struct Elf32 {
    using Header                       = Elf32_Ehdr;
    using Program_header               = Elf32_Phdr;
    static constexpr unsigned kMachine = EM_386;
};
struct Elf64 {
    using Header                       = Elf64_Ehdr;
    using Program_header               = Elf64_Phdr;
    static constexpr unsigned kMachine = EM_X86_64;
};

std::unexpected<Error> bad(std::string why) { return fail(Errc::invalid, std::move(why)); }

constexpr std::uint64_t round_up_4(std::uint64_t value) { return (value + 3) & ~std::uint64_t{3}; }

// Walks one note segment [ELF gABI, Note Section]; sizes are 32 bits, so sums in 64 bits cannot wrap.
std::optional<std::uint32_t> find_entry_note(Byte_view notes)
{
    std::uint64_t at = 0;
    while (const auto note = read_at<Elf64_Nhdr>(notes, at)) {
        const std::uint64_t name_at  = at + sizeof *note;
        const std::uint64_t value_at = name_at + round_up_4(note->n_namesz);
        const auto name              = slice(notes, name_at, note->n_namesz);
        const auto value             = slice(notes, value_at, note->n_descsz);
        if (!name || !value) {
            return std::nullopt;
        }
        if (note->n_type == XEN_ELFNOTE_PHYS32_ENTRY && name->size() == 4 &&
            std::memcmp(name->data(), "Xen", 4) == 0) {
            // Some kernels write the address with 8 bytes; the upper half must then be zero.
            const auto low  = read_at<std::uint32_t>(*value, 0);
            const auto high = read_at<std::uint32_t>(*value, 4);
            return high.value_or(0) == 0 ? low : std::nullopt;
        }
        at = value_at + round_up_4(note->n_descsz);
    }
    return std::nullopt;
}

Result<void> check_segments(Elf_image& image)
{
    auto& segments = image.segments;
    if (segments.empty()) {
        return bad("it has nothing to load");
    }
    std::sort(segments.begin(), segments.end(),
              [](const Elf_segment& a, const Elf_segment& b) { return a.address < b.address; });
    for (std::size_t i = 1; i < segments.size(); ++i) {
        if (segments[i].address < segments[i - 1].address + segments[i - 1].memory_size) {
            return bad("two of its segments overlap in memory");
        }
    }
    const bool inside = std::any_of(segments.begin(), segments.end(), [&](const Elf_segment& s) {
        return image.entry >= s.address && image.entry - s.address < s.memory_size;
    });
    if (!inside) {
        return bad("its entry point lies outside what it loads");
    }
    return {};
}

template <class Kind>
Result<void> add_segment(Elf_image& image, Byte_view file, const typename Kind::Program_header& header)
{
    if (header.p_memsz == 0) {
        return {};
    }
    if (header.p_filesz > header.p_memsz || !slice(file, header.p_offset, header.p_filesz)) {
        return bad("a segment lies outside the file (is the file cut off?)");
    }
    if (header.p_paddr >= kAddressLimit || header.p_memsz > kAddressLimit - header.p_paddr) {
        return bad("a segment wants to be loaded above 4 GiB");
    }
    image.segments.push_back({header.p_paddr, header.p_offset, header.p_filesz, header.p_memsz});
    return {};
}

template <class Kind>
Result<Elf_image> parse(Byte_view file)
{
    const auto header = read_at<typename Kind::Header>(file, 0);
    if (!header) {
        return bad("its ELF header is cut off");
    }
    if (header->e_machine != Kind::kMachine) {
        return bad("it is not for x86 processors");
    }
    if (header->e_phentsize != sizeof(typename Kind::Program_header) ||
        header->e_phnum > kMaxProgramHeaders) {
        return bad("its ELF program headers make no sense");
    }
    Elf_image image;
    std::optional<std::uint32_t> entry;
    for (unsigned i = 0; i < header->e_phnum; ++i) {
        // e_phoff is up to 64 bits: check it before anything is added to it.
        const auto table = slice(file, header->e_phoff, std::uint64_t{header->e_phnum} * header->e_phentsize);
        const auto program =
            table ? read_at<typename Kind::Program_header>(*table, std::uint64_t{i} * header->e_phentsize)
                  : std::nullopt;
        if (!program) {
            return bad("its ELF program headers lie outside the file (is the file cut off?)");
        }
        if (program->p_type == PT_LOAD) {
            TRY(add_segment<Kind>(image, file, *program));
        } else if (program->p_type == PT_NOTE && program->p_filesz <= kMaxNoteBytes && !entry) {
            const auto notes = slice(file, program->p_offset, program->p_filesz);
            if (!notes) {
                return bad("its ELF notes lie outside the file (is the file cut off?)");
            }
            entry = find_entry_note(*notes);
        }
    }
    if (!entry) {
        return fail(Errc::unsupported, "it has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY): "
                                       "a Linux kernel needs CONFIG_PVH=y");
    }
    image.entry = *entry;
    TRY(check_segments(image));
    return image;
}

} // namespace

std::vector<Elf_run> find_runs(Byte_view file, const Elf_image& image)
{
    constexpr std::uint64_t kPage = 4096;
    std::vector<Elf_run> runs;
    for (const Elf_segment& segment : image.segments) {
        bool joined = false; // to the run before
        for (std::uint64_t at = 0; at < segment.file_size;) {
            const std::uint64_t address = segment.address + at;
            const std::uint64_t size    = std::min(kPage - address % kPage, segment.file_size - at);
            const Byte_view page        = file.subspan(segment.file_offset + at, size);
            if (is_zero(page)) {
                joined = false;
            } else if (joined) {
                runs.back().size += size;
            } else {
                runs.push_back({address, segment.file_offset + at, size});
                joined = true;
            }
            at += size;
        }
    }
    return runs;
}

bool is_elf(Byte_view file)
{
    constexpr unsigned char kMagic[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3};
    return starts_with(file, kMagic);
}

Result<Elf_image> parse_elf(Byte_view file)
{
    const auto identity = slice(file, 0, EI_NIDENT);
    if (!identity || !is_elf(file)) {
        return bad("it is not an ELF file");
    }
    if (std::to_integer<int>((*identity)[EI_DATA]) != ELFDATA2LSB) {
        return bad("it is not for x86 processors");
    }
    switch (std::to_integer<int>((*identity)[EI_CLASS])) {
    case ELFCLASS32: return parse<Elf32>(file);
    case ELFCLASS64: return parse<Elf64>(file);
    default: return bad("its ELF class is unknown");
    }
}

} // namespace vmm
