// SPDX-License-Identifier: Apache-2.0
#include "efi/image.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"

#include <algorithm>

namespace vmm::efi
{
namespace
{

constexpr u32 kMagic            = 0x1badb002;
constexpr u64 kHasAddresses     = bit(16);
constexpr std::size_t kSearched = 8192;

struct Header {
    u32 magic, flags, checksum;
    u32 header, load, load_end, bss_end, entry;
};

} // namespace

std::optional<Image> find_image(std::span<const u8> file)
{
    // An ELF file begins with headers of its own: here ours is in the first page behind them.
    for (std::size_t at = 0; at + sizeof(Header) <= std::min(file.size(), kSearched); at += sizeof(u32)) {
        const auto header = bytes::load<Header>(file.data() + at);
        if (header.magic != kMagic || header.magic + header.flags + header.checksum != 0 ||
            (header.flags & kHasAddresses) == 0)
            continue;
        const u64 before = u64{header.header} - header.load; // bytes of the image in front of its header
        const u64 size   = u64{header.load_end} - header.load;
        if (header.load > header.header || header.load_end < header.header || before > at ||
            size > file.size() - (at - before) || header.bss_end < header.load_end ||
            header.entry < header.load || header.entry >= header.load_end)
            return {};
        return Image{file.subspan(at - before, size), header.load, header.bss_end, header.entry};
    }
    return {};
}

} // namespace vmm::efi
