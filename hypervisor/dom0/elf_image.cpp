// SPDX-License-Identifier: Apache-2.0
#include "dom0/elf_image.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"

#include <algorithm>

#include <elf.h>
#include <xen/elfnote.h>

namespace vmm
{
namespace
{

Expected<std::span<const u8>> part(std::span<const u8> file, u64 offset, u64 size)
{
    if (offset > file.size() || size > file.size() - offset)
        return fail(Errc::einval);
    return file.subspan(offset, size);
}

// A copy of the T at `offset`, if it is all inside.
template <class T>
Expected<T> get(std::span<const u8> file, u64 offset)
{
    return bytes::load<T>(TRY(part(file, offset, sizeof(T))).data());
}

// Looks for the entry point among the notes of one segment; enodata when it is not there.
Expected<Gpa> find_entry(std::span<const u8> notes)
{
    for (u64 at = 0; at + sizeof(Elf32_Nhdr) <= notes.size();) {
        const auto note       = TRY(get<Elf32_Nhdr>(notes, at));
        const u64 name        = at + sizeof note;
        const u64 description = name + align_up(note.n_namesz, 4);
        at                    = description + align_up(note.n_descsz, 4);
        const auto owner      = TRY(part(notes, name, note.n_namesz));
        if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || owner.size() != 4 ||
            bytes::compare(owner.data(), "Xen", 4) != 0)
            continue;
        if (note.n_descsz == 8)
            return Gpa(TRY(get<u64>(notes, description)));
        if (note.n_descsz == 4)
            return Gpa(TRY(get<u32>(notes, description)));
        return fail(Errc::einval);
    }
    return fail(Errc::enodata);
}

template <class Header, class Program>
Expected<Elf_image> read(std::span<const u8> file)
{
    const auto header = TRY(get<Header>(file, 0));
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        return fail(Errc::enoexec);
    if (header.e_phentsize != sizeof(Program))
        return fail(Errc::einval);
    Elf_image image;
    bool has_entry = false;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        const u64 offset   = TRY(checked_add<u64>(header.e_phoff, i * sizeof(Program)));
        const auto program = TRY(get<Program>(file, offset));
        if (program.p_type == PT_NOTE && !has_entry) {
            const auto notes = TRY(part(file, program.p_offset, program.p_filesz));
            const auto entry = find_entry(notes);
            if (entry) {
                image.entry = *entry;
                has_entry   = true;
            } else if (entry.error() != Errc::enodata) {
                return fail(entry.error());
            }
        }
        if (program.p_type != PT_LOAD || program.p_memsz == 0)
            continue;
        const auto data = TRY(part(file, program.p_offset, program.p_filesz));
        if (program.p_filesz > program.p_memsz || program.p_memsz > bit(40) || program.p_paddr > bit(40))
            return fail(Errc::einval);
        if (!image.segments.push({Gpa(program.p_paddr), data, program.p_memsz}))
            return fail(Errc::e2big);
    }
    if (image.segments.empty())
        return fail(Errc::einval);
    if (!has_entry)
        return fail(Errc::enodata);
    if (image.entry.value() >> 32)
        return fail(Errc::einval);
    return image;
}

} // namespace

Gpa Elf_image::start() const
{
    return std::ranges::min_element(segments, {}, &Elf_segment::address)->address;
}

Gpa Elf_image::end() const { return std::ranges::max_element(segments, {}, &Elf_segment::end)->end(); }

Expected<Elf_image> read_elf(std::span<const u8> file)
{
    if (file.size() < EI_NIDENT || bytes::compare(file.data(), ELFMAG, SELFMAG) != 0 ||
        file[EI_DATA] != ELFDATA2LSB)
        return fail(Errc::enoexec);
    if (file.size() < sizeof(Elf32_Ehdr))
        return fail(Errc::einval);
    const u16 machine = bytes::load<u16>(file.data() + offsetof(Elf32_Ehdr, e_machine));
    if (file[EI_CLASS] == ELFCLASS64 && machine == EM_X86_64)
        return read<Elf64_Ehdr, Elf64_Phdr>(file);
    if (file[EI_CLASS] == ELFCLASS32 && machine == EM_386)
        return read<Elf32_Ehdr, Elf32_Phdr>(file);
    return fail(Errc::enoexec);
}

} // namespace vmm
