// SPDX-License-Identifier: Apache-2.0
//
// plinth.cfg: what to boot, as users of Xen's own UEFI application write it. Sections in brackets, `key =
// value`, `#` and `;` begin a line of comment. `[global]` has `default` and what holds for all sections; the
// others have `options` (of the hypervisor), `kernel` (a file, and its command line) and `ramdisk`.
#pragma once

#include "base/types.hpp"

#include <optional>
#include <string_view>

namespace vmm::efi
{

// Parts of the file's text.
struct Boot_entry {
    std::string_view name;
    std::string_view options;
    std::string_view kernel;
    std::string_view kernel_arguments;
    std::string_view ramdisk; // may be empty
};

// Is told what is wrong with the file, and in which line: 0 is all of it. A line that is not understood is
// passed over: a machine has to boot in spite of it.
using Report = void (*)(unsigned line, std::string_view text);

// The section named `wanted`, or if that is empty the default, or else the first. Nothing: the last report
// says why.
std::optional<Boot_entry> find_boot_entry(std::string_view file, std::string_view wanted, Report report);

} // namespace vmm::efi
