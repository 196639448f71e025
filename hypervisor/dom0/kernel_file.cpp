// SPDX-License-Identifier: Apache-2.0
#include "dom0/kernel_file.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"

namespace vmm
{
namespace
{

// Offsets in the setup header, which starts in the image's first sector.
constexpr u64 kSetupSectors  = 0x1f1;
constexpr u64 kBootFlag      = 0x1fe;
constexpr u64 kMagic         = 0x202;
constexpr u64 kVersion       = 0x206;
constexpr u64 kPayloadOffset = 0x248;
constexpr u64 kPayloadLength = 0x24c;
constexpr u64 kHeaderEnd     = 0x250;

constexpr u64 kSector            = 512;
constexpr u16 kBootFlagValue     = 0xaa55;
constexpr u32 kMagicValue        = 0x53726448; // "HdrS"
constexpr u16 kVersionOfPayloads = 0x0208;
constexpr u32 kElfMagic          = 0x464c457f;

template <class T>
T get(std::span<const u8> file, u64 offset)
{
    return bytes::load<T>(file.data() + offset);
}

} // namespace

Expected<Kernel_file> open_kernel(std::span<const u8> file)
{
    if (file.size() >= 4 && get<u32>(file, 0) == kElfMagic)
        return Kernel_file{file, false};
    if (file.size() < kHeaderEnd || get<u16>(file, kBootFlag) != kBootFlagValue ||
        get<u32>(file, kMagic) != kMagicValue)
        return fail(Errc::enoexec);
    if (get<u16>(file, kVersion) < kVersionOfPayloads)
        return fail(Errc::eopnotsupp);
    const u64 sectors = file[kSetupSectors] == 0 ? 4 : file[kSetupSectors];
    const u64 start   = (sectors + 1) * kSector + get<u32>(file, kPayloadOffset);
    const u64 length  = get<u32>(file, kPayloadLength);
    if (length == 0 || start > file.size() || length > file.size() - start)
        return fail(Errc::einval);
    return Kernel_file{file.subspan(start, length), true};
}

} // namespace vmm
