// SPDX-License-Identifier: Apache-2.0
//
// An ELF image of a PVH kernel, 32- or 64-bit: what to load where, and the 32-bit entry point its Xen note
// names. Only reads headers, every field bounds-checked against the file; the builder does the loading.
// [ELF-64 object file format; xen/include/public/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY]
#pragma once

#include "base/expected.hpp"
#include "platform/fixed_list.hpp"

#include <span>

namespace vmm
{

struct Elf_segment {
    Gpa address; // p_paddr
    std::span<const u8> data;
    u64 memory_size; // the rest is zero

    [[nodiscard]] Gpa end() const { return address + memory_size; }
};

struct Elf_image {
    Fixed_list<Elf_segment, 16> segments; // PT_LOAD with any size
    Gpa entry;                            // of the note

    [[nodiscard]] Gpa start() const;
    [[nodiscard]] Gpa end() const;
};

// Enoexec: not an x86 ELF executable; einval: corrupt; e2big: too many segments; enodata: no PVH entry.
Expected<Elf_image> read_elf(std::span<const u8> file);

} // namespace vmm
