// SPDX-License-Identifier: Apache-2.0
//
// A kernel as it is on disk: a bzImage, from which the packed ELF image is taken, or an ELF image itself.
// Only finds and checks; copies nothing. [Linux, Documentation/x86/boot.rst]
#pragma once

#include "base/expected.hpp"

#include <span>

namespace vmm
{

struct Kernel_file {
    std::span<const u8> image; // ELF, or what unpacks to it
    bool packed;
};

// Enoexec: neither bzImage nor ELF; eopnotsupp: a bzImage too old to name its payload; einval: the payload
// would lie outside the file.
Expected<Kernel_file> open_kernel(std::span<const u8> file);

} // namespace vmm
