// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernel images for tests, made in memory: ELF files with a PVH note, and bzImages around any payload. The
// makers write what a test asks for, sound or not.

#include "toolstack/build/decompress.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vmm::test
{

using Bytes = std::vector<std::byte>;

struct Made_segment {
    std::uint64_t address = 0;
    Bytes contents;
    std::uint64_t memory_size = 0; // 0: as long as the contents
};

struct Made_elf {
    std::vector<Made_segment> segments;
    std::optional<std::uint64_t> entry; // none: no PVH note
    bool entry_in_8_bytes = false;
    bool is_32_bit        = false;
};

[[nodiscard]] Bytes make_elf(const Made_elf& wanted);
// One segment of `size` recognisable bytes at `address`, entry at its start.
[[nodiscard]] Bytes make_simple_elf(std::uint64_t address, std::size_t size);

[[nodiscard]] Bytes compress(Compression compression, const Bytes& plain);
// The payload gets the unpacked size appended, as the kernel's build does (gzip has it already).
[[nodiscard]] Bytes make_bzimage(Compression compression, const Bytes& plain);

[[nodiscard]] Bytes pattern(std::size_t size, unsigned seed = 1);

template <class T>
void put_at(Bytes& bytes, std::size_t offset, T value)
{
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    for (std::size_t i = 0; i < sizeof value; ++i) {
        bytes.at(offset + i) = from[i];
    }
}

} // namespace vmm::test
