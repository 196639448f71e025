// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a loader needs of an ELF kernel, 32 or 64 bits: where its segments go in guest-physical memory, and
// the 32-bit PVH entry point from the ELF note XEN_ELFNOTE_PHYS32_ENTRY (<xen/elfnote.h>). The file is
// untrusted: every offset and size is checked against the file, against overflow and against 4 GiB before it
// is believed.

#include "toolstack/base/error.hpp"
#include "toolstack/build/byte_view.hpp"

#include <cstdint>
#include <vector>

namespace vmm
{

struct Elf_segment {
    std::uint64_t address     = 0; // guest-physical
    std::uint64_t file_offset = 0;
    std::uint64_t file_size   = 0;
    std::uint64_t memory_size = 0; // >= file_size; the rest is to be zero
};

struct Elf_image {
    std::vector<Elf_segment> segments; // by address, never overlapping, at least one
    std::uint32_t entry = 0;           // inside one of them

    [[nodiscard]] std::uint64_t begin() const { return segments.front().address; }
    [[nodiscard]] std::uint64_t end() const { return segments.back().address + segments.back().memory_size; }
};

// A stretch of a segment that holds something else than zeros.
struct Elf_run {
    std::uint64_t address     = 0; // guest-physical, on a page boundary save the first of a segment
    std::uint64_t file_offset = 0;
    std::uint64_t size        = 0;
};

// What has to be copied into memory that is zero already; about a third of a Linux kernel need not be.
[[nodiscard]] std::vector<Elf_run> find_runs(Byte_view file, const Elf_image& image);

[[nodiscard]] bool is_elf(Byte_view file);
[[nodiscard]] Result<Elf_image> parse_elf(Byte_view file);

} // namespace vmm
