// SPDX-License-Identifier: Apache-2.0
#include "platform/boot_info.hpp"

namespace vmm
{

Expected<void> parse_boot_info(u32 magic, Hpa at, const Physical_reader& memory, Boot_info& info)
{
    switch (magic) {
    case kMultiboot1Magic: return parse_multiboot1(at, memory, info);
    case kMultiboot2Magic: return parse_multiboot2(at, memory, info);
    default: return fail(Errc::enoexec);
    }
}

} // namespace vmm
