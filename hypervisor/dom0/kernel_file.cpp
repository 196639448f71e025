// SPDX-License-Identifier: Apache-2.0
#include "dom0/kernel_file.hpp"

#include "base/string.hpp"

#include <asm/bootparam.h>

namespace vmm
{
namespace
{

constexpr u64 kSetupHeader       = 0x1f1; // in the image's first sector
constexpr u64 kSector            = 512;
constexpr u16 kBootFlag          = 0xaa55;
constexpr u32 kMagic             = 0x53726448; // "HdrS"
constexpr u16 kVersionOfPayloads = 0x0208;
constexpr u32 kElfMagic          = 0x464c457f;

} // namespace

Expected<Kernel_file> open_kernel(std::span<const u8> file)
{
    if (file.size() >= sizeof kElfMagic && bytes::load<u32>(file.data()) == kElfMagic)
        return Kernel_file{file, false};
    if (file.size() < kSetupHeader + sizeof(setup_header))
        return fail(Errc::enoexec);
    const auto setup = bytes::load<setup_header>(file.data() + kSetupHeader);
    if (setup.boot_flag != kBootFlag || setup.header != kMagic)
        return fail(Errc::enoexec);
    if (setup.version < kVersionOfPayloads)
        return fail(Errc::eopnotsupp);
    const u64 sectors = setup.setup_sects == 0 ? 4 : setup.setup_sects;
    const u64 start   = (sectors + 1) * kSector + setup.payload_offset;
    const u64 length  = setup.payload_length;
    if (length == 0 || start > file.size() || length > file.size() - start)
        return fail(Errc::einval);
    return Kernel_file{file.subspan(start, length), true};
}

} // namespace vmm
