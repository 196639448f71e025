// SPDX-License-Identifier: Apache-2.0
#pragma once
// How an image of dom0 is named to QEMU's programs, with its format, and with where its key lies if it is
// encrypted: the key itself never stands among a program's words, which everybody in dom0 can read.

#include "toolstack/config/disk.hpp"

#include <string>
#include <vector>

namespace vmm::disk
{

struct Qemu_image {
    std::vector<std::string> options; // before the name
    std::string name;
};
// `format_option` is what the program calls its option for the format of a plain image.
[[nodiscard]] Qemu_image qemu_image(const config::Disk& disk, const std::string& format_option);

} // namespace vmm::disk
